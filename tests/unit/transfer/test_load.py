from __future__ import annotations

import pickle
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ann_ckpt import Attribute, Connectivity, NetworkState, Selection, differences
from ann_ckpt.adapters.protocol import Reading
from ann_ckpt.demo import DemoNetwork
from ann_ckpt.errors import CorruptFileError, MismatchError, SimulatorError
from ann_ckpt.testing import captured, disturbed
from ann_ckpt.transfer import load, load_into


class Lazy:
    """An array in a file, with a log of what was asked of it."""

    def __init__(self, values: Any, log: list[str], *, broken: bool = False, checked: str = "whole") -> None:
        self.values = np.asarray(values)
        self.quick = checked == "read"
        self.shape, self.dtype = self.values.shape, self.values.dtype
        self.log, self.broken = log, broken

    def __getitem__(self, key: slice) -> Any:
        self.log.append("read")
        if self.broken:
            raise CorruptFileError("the values differ from their digest")
        return self.values[key]

    def __array__(self, dtype: Any = None, *, copy: bool | None = None) -> Any:
        self.log.append("whole")
        if self.broken:
            raise CorruptFileError("the values differ from their digest")
        return self.values

    def verify(self) -> Iterator[int]:
        self.log.append("verify")
        yield self.values.nbytes // 2
        if self.broken:
            raise CorruptFileError("the values differ from their digest")
        yield self.values.nbytes - self.values.nbytes // 2


def with_layer_rates(state: NetworkState, values: Any) -> NetworkState:
    layer = state.populations["layer"]
    variables = {**layer.variables, "r": Attribute(values, layer.attribute("r").locality)}
    return replace(state, populations={**state.populations, "layer": replace(layer, variables=variables)})


@pytest.fixture
def network() -> DemoNetwork:
    made = DemoNetwork(side=5, seed=1)
    made.simulate(10)
    return made


@settings(max_examples=20)
@given(st.integers(0, 50), st.integers(51, 99), st.integers(0, 8))
def test_any_network_takes_over_any_state_of_its_kind(seed: int, other: int, steps: int) -> None:
    source, target = DemoNetwork(side=4, seed=seed), DemoNetwork(side=4, seed=other)
    source.simulate(steps)
    stored = captured(source.read().state)
    report = load_into(target, Reading(stored))
    assert [path for path in differences(stored, captured(target.read().state)) if path != "seed"] == []
    assert {note.path for note in report.rebuilt} == {"projections/forward", "projections/lateral"}
    assert not report.problems


def test_the_report_says_what_was_done(network: DemoNetwork) -> None:
    stored = disturbed(network.read().state)
    report = load_into(network, Reading(stored), path="net.h5")
    assert report.path == "net.h5"
    assert {"time_step", "constants/period", "populations/layer/r", "projections/lateral/w"} <= set(
        report.loaded
    )
    assert len(set(report.loaded)) == len(report.loaded)
    assert report.bytes_read > 8 * network.n_synapses
    assert "0 problems" in report.headline()


def test_one_error_lists_every_problem_and_survives_pickling(network: DemoNetwork) -> None:
    stored = disturbed(network.read().state)
    stored = replace(stored, dt=0.1, populations={"image": stored.populations["image"]})
    before = captured(network.read().state)
    with pytest.raises(MismatchError) as caught:
        load_into(network, Reading(stored), path="net.h5")
    text = str(caught.value)
    assert "2 problems, nothing was changed" in text
    assert "populations/layer: the file has no population 'layer'" in text
    assert "dt: 0.1 ms in the file, 1.0 ms in the network" in text
    assert "net.h5" in text
    assert len(caught.value.report.problems) == 2
    assert caught.value.report.loaded == ()
    assert not list(differences(before, captured(network.read().state)))
    again = pickle.loads(pickle.dumps(caught.value))
    assert (str(again), again.report.problems) == (text, caught.value.report.problems)


@pytest.fixture(params=["whole", "verify", "read"])
def checked(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """How arrays are checked: read whole and kept, verified for want of room, or read twice as they are."""
    if request.param == "verify":
        monkeypatch.setattr(load, "_KEPT_BYTES", 0)
    return str(request.param)


def test_everything_is_verified_before_anything_is_set(network: DemoNetwork, checked: str) -> None:
    log: list[str] = []
    before = captured(network.read().state)
    stored = with_layer_rates(
        disturbed(before), Lazy(before.populations["layer"]["r"], log, broken=True, checked=checked)
    )
    with pytest.raises(CorruptFileError):
        load_into(network, Reading(stored))
    assert not list(differences(before, captured(network.read().state)))
    assert log == [checked]


def test_what_is_cast_is_verified_where_it_comes_from(network: DemoNetwork, checked: str) -> None:
    log: list[str] = []
    rates = network.read().state.populations["layer"]["r"]
    stored = with_layer_rates(
        captured(network.read().state), Lazy(np.asarray(rates, np.float32), log, checked=checked)
    )
    report = load_into(network, Reading(stored))
    assert [note.path for note in report.cast] == ["populations/layer/r"]
    assert log[0] == checked
    assert (len(log) == 1) == (checked == "whole")
    np.testing.assert_array_equal(network.read().state.populations["layer"]["r"], np.float32(rates))


def test_progress_rises_to_the_whole(network: DemoNetwork) -> None:
    seen: list[tuple[str, int, int]] = []
    state = captured(network.read().state)
    stored = with_layer_rates(disturbed(state), Lazy(state.populations["layer"]["r"], []))
    report = load_into(network, Reading(stored), progress=lambda *args: seen.append(args))
    done = [d for _, d, _ in seen]
    (total,) = {t for *_, t in seen}
    assert done == sorted(done)
    assert done[-1] == total == report.bytes_read + stored.populations["layer"]["r"].shape[0] ** 2 * 8
    assert "projections/lateral/w" in {what for what, *_ in seen}


def test_a_simulator_that_fails_midway_is_not_hidden(network: DemoNetwork) -> None:
    class Failing(DemoNetwork):
        def set_projection_attribute(self, projection: str, attribute: str, values: Any) -> None:
            raise MemoryError("no room")

    failing = Failing(side=5, seed=1)
    with pytest.raises(
        SimulatorError, match=r"stopped at projections/forward/eta: MemoryError: no room"
    ) as caught:
        load_into(failing, Reading(captured(failing.read().state)))
    assert "partly loaded" in caught.value.details["hint"]


@pytest.mark.parametrize("side", ["pre", "post"])
@pytest.mark.parametrize("beyond", [0, 1, 2**31 - 1 - 25])
def test_a_rank_that_no_neuron_has_never_reaches_the_simulator(
    network: DemoNetwork, side: str, beyond: int
) -> None:
    """A simulator in C++ would write past the end of its arrays."""

    class Trusting(DemoNetwork):
        def connect(self, projection: Any) -> None:
            raise AssertionError("the simulator was asked")

    stored = captured(network.read().state)
    lateral = stored.projections["lateral"]
    synapses = lateral.connectivity
    posts, pres = np.array(synapses.post_ranks), np.array(synapses.pre_ranks)
    changed, size = (posts, lateral.post_size) if side == "post" else (pres, lateral.pre_size)
    assert size == 25
    changed[-1] = size + beyond
    # A file need not know how large the populations are.
    wrong = replace(
        lateral,
        connectivity=Connectivity(posts, synapses.row_ptr, pres),
        pre_size=None,
        post_size=None,
    )
    populations = {}  # the state itself would refuse
    stored = replace(stored, populations=populations, projections={"lateral": wrong})
    target = Trusting(side=5, seed=1)
    before = captured(target.read().state)
    with pytest.raises(MismatchError, match=rf"{size + beyond} in a population of {size}"):
        load_into(target, Reading(stored), selection=Selection(False, "lateral"))
    assert not list(differences(before, captured(target.read().state)))


def test_a_part_is_loaded_alone(network: DemoNetwork) -> None:
    before = captured(network.read().state)
    wanted = disturbed(before)
    report = load_into(network, Reading(wanted), selection=Selection(False, "lateral"))
    now = captured(network.read().state)
    assert {path.split("/")[1] for path in differences(before, now)} == {"lateral"}
    assert all(path.startswith("projections/lateral/") for path in report.loaded)
    assert now.time_step == before.time_step
