"""A network saved in one process and loaded in another, where the random synapses are others."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import ann_ckpt
from tests.live.conftest import Run, once

NETWORKS = ("rate", "spike", "delays", "single")
QUIET = {"spike": ["excitatory", "inhibitory"]}
RANDOM = {
    "rate": {"ragged", "rows", "matrix"},
    "spike": {"learning", "transposed"},
    "delays": {"each", "spikes"},
    "single": {"ff"},
}
"""Network -> projections that another seed connects differently."""


@dataclass(frozen=True)
class Journey:
    """Files on the way, and what the calls reported."""

    saved: Path
    """The network after some steps."""
    ended: Path
    """The same, uninterrupted, 50 steps later."""
    loaded: Path
    """Another network right after loading ``saved``."""
    resumed: Path
    """That one, 50 steps later."""
    saving: dict[str, Any]
    loading: dict[str, Any]


@pytest.fixture(scope="session")
def journey(run: Run, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Journey]:
    def of(network: str) -> Journey:
        folder = tmp_path_factory.mktemp(network)
        saved, ended, loaded, resumed = (folder / f"{n}.h5" for n in ("saved", "ended", "loaded", "resumed"))
        quiet = QUIET.get(network, [])
        saving = run("record", network=network, saved=str(saved), ended=str(ended), quiet=quiet)
        loading = run("resume", network=network, saved=str(saved), loaded=str(loaded), ended=str(resumed))
        return Journey(saved, ended, loaded, resumed, saving, loading)

    return once(of)


def differences(a: Path, b: Path) -> list[str]:
    """Where two files differ, but for the seeds with which two networks were built."""
    return [path for path in ann_ckpt.differences(ann_ckpt.read(a), ann_ckpt.read(b)) if path != "seed"]


@pytest.mark.parametrize("network", NETWORKS)
def test_every_attribute_of_every_object_arrives(journey: Callable[[str], Journey], network: str) -> None:
    way = journey(network)
    assert differences(way.saved, way.loaded) == []
    assert differences(way.saved, way.ended) != []


@pytest.mark.parametrize("network", NETWORKS)
def test_random_synapses_are_rebuilt_and_only_they(journey: Callable[[str], Journey], network: str) -> None:
    rebuilt = {note["path"].removeprefix("projections/") for note in journey(network).loading["rebuilt"]}
    assert rebuilt == RANDOM[network]


@pytest.mark.parametrize("network", ["rate", "spike"])
def test_it_continues_exactly(journey: Callable[[str], Journey], network: str) -> None:
    way = journey(network)
    assert differences(way.ended, way.resumed) == []


@pytest.mark.parametrize("network", ["rate", "spike"])
def test_a_network_that_has_run_can_be_set_back(
    journey: Callable[[str], Journey], run: Run, tmp_path: Path, network: str
) -> None:
    """Nothing of the steps that it made before the load finds its way into those after it."""
    run("rewind", network=network, saved=str(journey(network).saved), ended=str(tmp_path / "ended.h5"))
    assert differences(journey(network).ended, tmp_path / "ended.h5") == []


def test_loading_again_is_the_same_as_loading_once(
    journey: Callable[[str], Journey], run: Run, tmp_path: Path
) -> None:
    """Where queues are not kept, a fresh network and one that has run still agree."""
    way = journey("delays")
    run("rewind", network="delays", saved=str(way.saved), ended=str(tmp_path / "ended.h5"))
    random = {
        f"populations/{name}/variables/{v}" for name in ("one", "two") for v in ("I", "v", "u", "r", "g_exc")
    }
    found = set(differences(way.resumed, tmp_path / "ended.h5"))
    assert not {path for path in found if "source" in path or "sink" in path}, found - random


def test_what_cannot_be_exact_is_said(journey: Callable[[str], Journey]) -> None:
    hidden = {note["path"]: note["text"] for note in journey("delays").loading["notes"]}
    assert "the delay queue of 10 steps" in hidden["populations/source"]
    assert "the spikes on their way" in hidden["projections/spikes"]
    assert "event-driven" in hidden["projections/spikes"]
    assert "populations/sink" not in hidden
    assert journey("rate").saving["skipped"] == []


def test_what_cannot_be_saved_is_said(journey: Callable[[str], Journey]) -> None:
    skipped = {note["path"]: note["text"] for note in journey("single").saving["skipped"]}
    assert "projections/filter" not in skipped
    assert "spike times" in skipped["populations/times"]
    assert "schedule" in skipped["populations/steps"]
    assert "random generator" in skipped["populations/noise"]


def test_filters_are_kept_and_put_back(journey: Callable[[str], Journey]) -> None:
    """The network that they were loaded into had drawn others."""
    way = journey("single")
    filters = ann_ckpt.read(way.loaded).projections["filter"].dynamics["w"]
    assert filters.dtype == "f4"
    drawn = np.random.default_rng(1).random((3, 3)).astype(np.float32)
    np.testing.assert_array_equal(filters, drawn)
    assert ann_ckpt.read(way.saved).projections["filter"].resume.exactness is ann_ckpt.Exactness.EXACT


def test_the_file_explains_itself(journey: Callable[[str], Journey]) -> None:
    state = ann_ckpt.read(journey("rate").saved)
    learning = state.projections["ragged"].synapse_type
    assert "alpha" in learning.texts["parameters"]
    assert "post.r^2" in learning.texts["equations"]
    assert (learning.attributes["w"].minimum, learning.attributes["w"].maximum) == (0.0, 10.0)
    assert learning.attributes["limit"].ctype == "int"
    assert state.populations["source"].neuron_type.attributes["r"].maximum == 5.0
    assert state.projections["view"].pre_view.tolist() == list(range(4, 12))
    assert state.projections["view"].post_view.tolist() == [1, 2, 3]


def test_types_and_shapes_are_the_simulators_own(journey: Callable[[str], Journey]) -> None:
    double, single = (ann_ckpt.read(journey(network).saved) for network in ("rate", "single"))
    assert double.populations["source"]["v"].dtype == "f8"
    assert single.populations["image"]["v"].dtype == "f4"
    assert single.projections["ff"]["w"].dtype == "f4"
    for state, name in ((double, "source"), (single, "image")):
        population = state.populations[name]
        assert population["kind"].dtype == "i4"
        assert population["on"].dtype == "?"
        assert population["on"].shape == population.geometry
        assert population["armed"].shape == ()
    assert double.projections["single"].single_weight
    assert double.projections["ragged"]["alpha"].shape == (6,)


def test_delays_are_in_steps(journey: Callable[[str], Journey]) -> None:
    state = ann_ckpt.read(journey("delays").saved)
    assert state.dt == 0.5
    assert state.projections["uniform"].delays == 4
    assert state.projections["together"].delays == 3
    assert state.projections["at once"].delays == 1
    each = state.projections["each"]
    assert each.delays.shape == (each.connectivity.n_synapses,)
    assert len(set(each.connectivity.row_sizes.tolist())) > 1, "the rows of this network must be uneven"
    assert 2 <= each.delays.min() < each.delays.max() <= 10
