"""Every file in the collection against what the live network said when it was written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ann_ckpt.adapters.legacy import read
from ann_ckpt.adapters.protocol import Reading
from ann_ckpt.errors import CorruptFileError
from ann_ckpt.model import Attribute, Locality, NetworkState, PopulationState, ProjectionState
from tests.legacy import truth

FILES = truth.files()
GROUPS = {"pop": "populations", "proj": "projections", "conn": "projections"}


def test_the_collection_is_complete() -> None:
    listed = sum(
        entry.get("size", 0) > 0
        for folder in truth.SHARED.glob("*/*/truth.json")
        for name, entry in truth.net(folder.parent).facts["files"].items()
        if not name.endswith(".json")
    )
    assert listed == len(FILES)


@pytest.mark.parametrize("path", [p for p in FILES if truth.completed(p)], ids=truth.label)
def test_file_says_what_the_network_said(path: Path) -> None:
    net = truth.net_of(path)
    reading = read(path, dt=net.dt)
    if path.stem.startswith("net"):
        check_network(net, reading)
    else:
        index = int(path.name[1:3])
        state = only_object(reading.state)
        if path.parent.name == "pop":
            check_population(net, index, state, reading)
        elif path.parent.name == "proj":
            check_projection(net, index, state)
            check_delays(net, index, state, reading, saved=net.version >= truth.DELAYS_SINCE)
        else:
            check_synapses(net, index, state)
            check_attribute(net, f"proj{index}", state, "w")
            check_delays(net, index, state, reading, saved=True)


@pytest.mark.parametrize("path", [p for p in FILES if not truth.completed(p)], ids=truth.label)
def test_unfinished_file_is_refused_or_called_partial(path: Path) -> None:
    try:
        said = " ".join(note.text for note in read(path, dt=truth.net_of(path).dt).notes)
    except CorruptFileError as error:
        said = str(error)
    assert "ANNarchy stopped while writing" in said or "ANNarchy did not finish" in said


def check_network(net: truth.Net, reading: Reading) -> None:
    state = reading.state
    overwritten = net.overwritten()
    saved = [p["name"] for p in net.projections if p["saveable"]]
    assert set(state.populations) == {p["name"] for p in net.populations} - overwritten
    assert set(state.projections) == set(saved)
    if net.version >= truth.TIME_STEP_SINCE:
        assert state.time_step == net.facts["truth"]["step"]
        assert list(state.projections) == saved
    else:
        assert state.time_step is None
        assert any("time step" in note.text for note in reading.notes)
    for name in overwritten:
        assert any(
            note.path == f"populations/{name}" and "overwritten" in note.text for note in reading.notes
        )
    for index, population in enumerate(net.populations):
        if population["name"] not in overwritten:
            check_population(net, index, state.populations[population["name"]], reading)
    for index, projection in enumerate(net.projections):
        if projection["name"] in saved:
            found = state.projections[projection["name"]]
            check_projection(net, index, found)
            check_delays(net, index, found, reading, saved=net.version >= truth.DELAYS_SINCE)


def check_population(net: truth.Net, index: int, state: Any, reading: Reading) -> None:
    facts = net.populations[index]
    assert isinstance(state, PopulationState)
    assert state.name == facts["name"]
    assert state.geometry == tuple(facts["geometry"])
    lost = {
        n.path.rpartition("/")[2] for n in reading.notes if n.path.startswith(f"populations/{state.name}/")
    }
    assert set(state.parameters) == set(facts["parameters"]) - lost
    assert set(state.variables) == set(facts["variables"]) - lost
    for name in facts["attributes"]:
        if name in lost:
            assert net.values(f"pop{index}", name) is None
        else:
            check_attribute(net, f"pop{index}", state, name)


def check_projection(net: truth.Net, index: int, state: Any) -> None:
    facts = net.projections[index]
    check_synapses(net, index, state)
    if net.version >= (4, 5, 5):
        assert (state.name, state.pre, state.post, state.target) == tuple(
            facts[key] for key in ("name", "pre", "post", "target")
        )
    else:
        assert (state.pre, state.post, state.target) == ("", "", "")
    assert set(state.variables) == set(facts["variables"])
    assert set(state.parameters) == set(facts["parameters"]) - set(facts["variables"])
    for name in facts["attributes"]:
        check_attribute(net, f"proj{index}", state, name)


def check_synapses(net: truth.Net, index: int, state: Any) -> None:
    assert isinstance(state, ProjectionState)
    synapses = state.connectivity
    assert np.array_equal(synapses.post_ranks, net.arrays[f"proj{index}__post_ranks"])
    assert np.array_equal(synapses.row_sizes, net.arrays[f"proj{index}__row_len"])
    assert np.array_equal(synapses.pre_ranks, net.arrays[f"proj{index}__pre_ranks"])


def check_attribute(net: truth.Net, owner: str, state: Any, name: str) -> None:
    attribute: Attribute = state.attribute(name)
    values = np.asarray(attribute.values)
    check_type(net, owner, name, attribute)
    expected = net.values(owner, name)
    if expected is None:  # the simulator itself could not say
        return
    if attribute.locality is Locality.GLOBAL and expected.ndim:
        assert len(np.unique(expected)) <= 1
        expected = expected[0]
    assert values.shape == expected.shape
    assert np.array_equal(values, expected, equal_nan=expected.dtype.kind == "f")


def check_type(net: truth.Net, owner: str, name: str, attribute: Attribute) -> None:
    group = net.populations if owner.startswith("pop") else net.projections
    ctype = group[int(owner.removeprefix("pop").removeprefix("proj"))].get("ctype", {}).get(name, "double")
    kind = attribute.values.dtype.kind
    floated = net.version >= (5,) and owner.startswith("pop") and attribute.locality is Locality.GLOBAL
    expected = {"double": "f", "float": "f", "int": "i", "bool": "b"}[ctype]
    assert kind == expected or (floated and kind == "f")


def check_delays(
    net: truth.Net, index: int, state: ProjectionState, reading: Reading, *, saved: bool
) -> None:
    first, behind = truth.STEPS_IN_DENDRITES
    per_synapse = f"proj{index}__delay_steps" in net.arrays
    expected = net.delay_steps(index)
    if saved or (first <= net.version < behind and per_synapse):
        if expected is None:
            assert state.delays in (None, 1)
        else:
            assert np.array_equal(np.asarray(state.delays), expected)
    else:
        assert state.delays is None
        assert any("no delays" in n.text for n in reading.notes if n.path == f"projections/{state.name}")


def only_object(state: NetworkState) -> PopulationState | ProjectionState:
    found = [*state.populations.values(), *state.projections.values()]
    assert len(found) == 1
    return found[0]
