"""The conformance suite, on the simulator that needs no simulator."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import ann_ckpt
from ann_ckpt import (
    Attribute,
    AttributeInfo,
    Connectivity,
    Exactness,
    Locality,
    NetworkState,
    PopulationState,
    ProjectionState,
    Resume,
    Selection,
    TypeInfo,
)
from ann_ckpt.adapters.simulators import Simulators
from ann_ckpt.demo import DemoNetwork
from ann_ckpt.errors import MismatchError, SimulatorError
from ann_ckpt.selection import EVERYTHING
from ann_ckpt.simulators import Clock, Owner, Reading, Simulator
from ann_ckpt.testing import SimulatorSuite, captured, disturbed, rewired


@pytest.fixture(scope="module")
def simulator() -> Simulator:
    network = DemoNetwork(side=6)
    network.monitor("layer", ["r", "onset"], period=3.0)
    network.simulate(20)
    return network


class TestDemoNetwork(SimulatorSuite):
    """All that a simulator has to do."""

    def simulate(self, simulator: DemoNetwork, duration: float) -> None:
        simulator.simulate(duration)


class Everything(DemoNetwork):
    """Offers all that there is, and may be told to get one thing wrong."""

    wrong = ""

    def simulate(self, duration: float) -> None:
        for _ in range(round(duration)):
            super().simulate(1)
            if self.wrong == "forgets its weights":
                self.calls = getattr(self, "calls", 0) + 1
                weights = np.asarray(self.read().state.projections["lateral"]["w"])
                self.set_projection_attribute("lateral", "w", weights * (1 + self.calls % 5 / 100))

    def call_every(self, period: float, call: Callable[[], None]) -> Callable[[], None]:
        def swallow() -> None:
            with contextlib.suppress(Exception):
                call()

        period = 1.0 if self.wrong == "calls at any time" else period
        leave = super().call_every(period, swallow if self.wrong == "swallows" else call)
        return (lambda: None) if self.wrong == "calls for ever" else leave

    def clock(self) -> Clock:
        return replace(super().clock(), dt=0.5) if self.wrong == "clock" else super().clock()

    def refuse_time_step(self, time_step: int) -> str | None:
        return "no" if self.wrong == "refuses its time" else None

    def refuse_values(self, stored: Owner, values: Mapping[str, Any]) -> str | None:
        return "no" if self.wrong == "refuses its values" else None

    def refuse_dynamics(self, stored: Owner) -> str | None:
        return "no" if self.wrong == "refuses its dynamics" else super().refuse_dynamics(stored)

    def cannot_take(self, stored: Owner) -> str | None:
        return "only reseeded" if self.wrong == "reseeds otherwise" and not hasattr(stored, "name") else None

    def set_dynamics(self, stored: Owner, dynamics: Mapping[str, Any]) -> None:
        if self.wrong != "keeps its dynamics":
            super().set_dynamics(stored, dynamics)

    def reseed(self, seed: int) -> None:
        super().reseed(seed + (getattr(self, "loading", False) and self.wrong == "reseeds otherwise"))

    def barrier(self) -> None:
        self.loading = False
        super().barrier()
        self.loading = True
        if self.wrong == "hides the barrier":
            self._reseeded = None

    def set_attributes(self, stored: PopulationState | ProjectionState, values: Mapping[str, Any]) -> None:
        population = isinstance(stored, PopulationState)
        one = super().set_population_attribute if population else super().set_projection_attribute
        for name, array in list(values.items())[self.wrong == "leaves one out" :]:
            one(stored.name, name, array)

    def set_population_attribute(self, population: str, attribute: str, values: Any) -> None:
        if self.wrong == "sets twice":
            values = np.asarray(values) * 2
        super().set_population_attribute(population, attribute, values)


def everything() -> Everything:
    network = Everything(side=6)
    network.simulate(20)
    return network


class TestEverything(TestDemoNetwork):
    """And all that it may offer."""

    @pytest.fixture
    def simulator(self) -> Simulator:
        return everything()


@pytest.mark.parametrize(
    ("wrong", "test"),
    [
        ("forgets its weights", "test_a_run_goes_on_as_it_did"),
        ("calls at any time", "test_it_calls_between_steps_at_multiples_of_a_period"),
        ("calls for ever", "test_it_calls_between_steps_at_multiples_of_a_period"),
        ("swallows", "test_it_calls_between_steps_at_multiples_of_a_period"),
        ("clock", "test_the_clock_says_what_a_reading_says"),
        ("refuses its time", "test_its_own_values_and_time_are_not_refused"),
        ("refuses its values", "test_its_own_values_and_time_are_not_refused"),
        ("refuses its dynamics", "test_its_own_values_and_time_are_not_refused"),
        ("keeps its dynamics", "test_a_run_goes_on_as_it_did"),
        ("reseeds otherwise", "test_a_run_goes_on_from_a_barrier_as_it_did"),
        ("hides the barrier", "test_a_run_goes_on_from_a_barrier_as_it_did"),
        ("leaves one out", "test_every_value_can_be_set"),
        ("sets twice", "test_values_can_be_set_one_by_one"),
    ],
)
def test_the_suite_notices(wrong: str, test: str) -> None:
    network = everything()
    getattr(TestDemoNetwork(), test)(network)
    network.wrong = wrong
    with pytest.raises((AssertionError, MismatchError, pytest.fail.Exception)):
        getattr(TestDemoNetwork(), test)(network)


class TestTyped(TestDemoNetwork):
    """One that says what its equations are, and in which units its values."""

    builds_beside = False  # what is built is a DemoNetwork

    @pytest.fixture
    def simulator(self) -> Simulator:
        return typed()


class Typed(Everything):
    """Has a unit and a text for everything."""

    def read(self, selection: Selection = EVERYTHING) -> Reading:
        state = super().read(selection).state
        units = {"unit": "mV"}
        if self.wrong == "has a unit at times":
            self.readings = getattr(self, "readings", 0) + 1
            units = {"unit": "mV"} if self.readings == 1 else {}

        def kind(owner: PopulationState | ProjectionState) -> TypeInfo:
            attributes = {name: AttributeInfo(**units) for name in owner}
            return TypeInfo(
                "typed", texts={"equations": "dv/dt = -v"} if units else {}, attributes=attributes
            )

        return Reading(
            replace(
                state,
                populations={n: replace(p, neuron_type=kind(p)) for n, p in state.populations.items()},
                projections={n: replace(p, synapse_type=kind(p)) for n, p in state.projections.items()},
            )
        )


def typed() -> Typed:
    network = Typed(side=6)
    network.simulate(20)
    return network


@pytest.mark.parametrize(
    "test", ["test_values_of_another_unit_are_a_problem", "test_other_equations_are_noted"]
)
def test_the_suite_compares_types(test: str) -> None:
    getattr(TestDemoNetwork(), test)(typed())
    network = typed()
    network.wrong = "has a unit at times"
    with pytest.raises((AssertionError, pytest.fail.Exception)):
        getattr(TestDemoNetwork(), test)(network)


@pytest.mark.parametrize("wrong", ["", "leaves it as it is", "simulates another one"])
def test_the_suite_makes_a_model_ready(wrong: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Model:
        """A network as a script describes it."""

        def __init__(self) -> None:
            self.network: Everything | None = None

        def simulate(self, duration: float) -> None:
            assert self.network is not None
            (Everything(side=3) if wrong == "simulates another one" else self.network).simulate(duration)

    def prepare(model: object, directory: str) -> object | None:
        if isinstance(model, Model) and wrong != "leaves it as it is":
            model.network = Everything(side=3)
        return model if isinstance(model, Model) else None

    class Suite(SimulatorSuite):
        def unprepared(self) -> Model:
            return Model()

    registry = Simulators()
    registry.register("Model", lambda network, net_id: getattr(network, "network", None), prepare=prepare)
    monkeypatch.setattr("ann_ckpt.testing.suite.SIMULATORS", registry)
    monkeypatch.setattr("ann_ckpt.testing.suite.simulator_for", registry.find)
    with pytest.raises((AssertionError, SimulatorError)) if wrong else contextlib.nullcontext():
        Suite().test_a_model_is_made_ready(everything(), tmp_path)


def test_what_is_carried_is_copied() -> None:
    network = everything()
    state = captured(network.read().state)
    assert state.dynamics.keys() == {"noise"}
    assert state.populations["layer"].dynamics.keys() == {"past"}
    past = np.array(state.populations["layer"].dynamics["past"])
    network.simulate(3)
    assert np.array_equal(state.populations["layer"].dynamics["past"], past)


def test_rewiring_leaves_out_what_was_carried_along_the_old_synapses() -> None:
    projection = DemoNetwork(side=6).read().state.projections["lateral"]
    assert rewired(replace(projection, dynamics={"queue": np.ones(3)})).dynamics == {}


def test_disturbing_changes_every_value() -> None:
    state = DemoNetwork(side=6).read().state
    other = disturbed(captured(state))
    for name, population in state.populations.items():
        for attribute in population:
            assert np.all(np.asarray(population[attribute]) != np.asarray(other.populations[name][attribute]))
    assert other.time_step != state.time_step


def test_rewiring_keeps_a_synapse_of_each_dendrite() -> None:
    for projection in DemoNetwork(side=6).read().state.projections.values():
        fewer = rewired(projection)
        assert 0 < fewer.connectivity.n_synapses < projection.connectivity.n_synapses
        had, has = projection.connectivity.row_sizes, fewer.connectivity.row_sizes
        assert np.array_equal(had > 0, has > 0)


class Ordered:
    """Keeps synapses in an order of its own, with delays of two pathways and values that are arrays.

    What arrives at a neuron is summed up in that order, so that other orders end in other bits.
    """

    label = "Ordered 1.0"
    wrong = ""

    def __init__(self, size: int = 9, *, seed: int = 0) -> None:
        rng = np.random.default_rng(seed)
        self.size, self.step = size, 0
        self.v = rng.random(size)
        self.tau = rng.random((size, 3))
        self.reversal = rng.random(2)
        self.rows = Connectivity.from_rows(
            np.arange(size), [np.flatnonzero(row) for row in rng.random((size, size)) < 0.6]
        )
        n = self.rows.n_synapses
        self.order = rng.permutation(n)
        self.own = {"w": 6 * rng.random(n) - 3, "trace": rng.random((n, 2)).astype(np.float32)}
        self.delays = {"pre": rng.integers(1, 9, n, np.int32), "post": rng.random(n) / 100}
        self.shared = np.float64(0.001)

    @staticmethod
    def build(state: NetworkState) -> Ordered:
        return Ordered(state.populations["cells"].size, seed=7)

    def in_rows(self, own: np.ndarray) -> np.ndarray:
        rows = np.empty_like(own)
        rows[self.order] = own
        return rows

    def simulate(self, steps: int) -> None:
        pre = self.rows.pre_ranks[self.order]
        post = np.repeat(self.rows.post_ranks, self.rows.row_sizes)[self.order]
        for _ in range(steps):
            drive = np.zeros(self.size)
            np.add.at(drive, post, self.own["w"] * self.v[pre])
            self.v = np.tanh(drive + self.v / 3)
            self.step += 1

    def read(self, selection: Selection = EVERYTHING) -> Reading:
        exact = Resume(Exactness.EXACT)
        cells = PopulationState(
            "cells",
            (self.size,),
            parameters={"tau": self.tau, "reversal": Attribute(self.reversal, Locality.GLOBAL)},
            variables={"v": self.v},
            resume=exact,
        )
        synapses = ProjectionState(
            "synapses",
            "cells",
            "cells",
            "exc",
            self.rows,
            variables={name: Attribute(self.in_rows(a), Locality.LOCAL) for name, a in self.own.items()},
            pathway_delays={name: self.in_rows(d) for name, d in self.delays.items()}
            | {"shared": self.shared},
            order=self.order,
            pre_size=self.size,
            post_size=self.size,
            resume=exact,
        )
        populations, projections = {"cells": cells}, {"synapses": synapses}
        return Reading(
            NetworkState(
                populations={n: populations[n] for n in selection.pick("populations", populations)},
                projections={n: projections[n] for n in selection.pick("projections", projections)},
                time_step=self.step,
                dt=1.0,
                resume=exact,
            )
        )

    def refusal(self, projection: ProjectionState) -> str | None:
        return None

    def set_time_step(self, time_step: int) -> None:
        self.step = time_step

    def set_constant(self, name: str, value: Any) -> None:
        raise AssertionError(name)

    def set_population_attribute(self, population: str, attribute: str, values: Any) -> None:
        setattr(self, attribute, np.array(values))

    def set_projection_attribute(self, projection: str, attribute: str, values: Any) -> None:
        self.own[attribute] = np.asarray(values)[self.order]

    def set_delays(self, projection: str, delays: Any) -> None:
        raise AssertionError("it has delays of pathways")

    def set_pathway_delays(self, projection: str, delays: Mapping[str, Any]) -> None:
        for name, values in delays.items():
            if name == "shared":
                self.shared = np.float64(values)
            elif self.wrong != "keeps its delays":
                self.delays[name] = np.asarray(values)[self.order]

    def connect(self, projection: ProjectionState) -> None:
        rows = projection.connectivity
        order = np.arange(rows.n_synapses) if projection.order is None else np.asarray(projection.order)
        if self.wrong == "ignores the order":
            order = np.arange(rows.n_synapses)
        self.rows = replace(rows, pre_ranks=np.array(rows.pre_ranks))
        self.order = np.array(order)
        self.own = {"w": np.asarray(projection["w"])[order], "trace": np.zeros((order.size, 2), np.float32)}
        self.delays = {n: np.asarray(projection.pathway_delays[n])[order] for n in self.delays}


def ordered() -> Ordered:
    network = Ordered()
    network.simulate(5)
    return network


class TestOrdered(SimulatorSuite):
    """One whose synapses are in an order of their own."""

    @pytest.fixture
    def simulator(self) -> Simulator:
        return ordered()

    def simulate(self, simulator: Ordered, duration: float) -> None:
        simulator.simulate(round(duration))


@pytest.mark.parametrize(
    ("wrong", "test"),
    [
        ("ignores the order", "test_synapses_are_put_back_in_the_order_of_the_simulator"),
        ("ignores the order", "test_a_network_can_be_made_from_a_state"),
        ("keeps its delays", "test_delays_can_be_set"),
    ],
)
def test_the_suite_notices_what_becomes_of_orders_and_pathways(wrong: str, test: str) -> None:
    getattr(TestOrdered(), test)(ordered())
    network = ordered()
    network.wrong = wrong
    network.build = lambda state: replaced(Ordered(seed=7), wrong)  # type: ignore[method-assign]
    with pytest.raises((AssertionError, MismatchError)):
        getattr(TestOrdered(), test)(network)


def replaced(network: Ordered, wrong: str) -> Ordered:
    network.wrong = wrong
    return network


def test_a_run_goes_on_in_another_network_with_synapses_in_another_order(tmp_path) -> None:
    network = ordered()
    ann_ckpt.save(tmp_path / "net.h5", network=network)
    with ann_ckpt.CheckpointStore(tmp_path / "run.ckpt", "a") as store:
        store.save(network)
    network.simulate(20)
    for path in (tmp_path / "net.h5", tmp_path / "run.ckpt"):
        other = Ordered(seed=1)
        assert len(ann_ckpt.load(path, network=other).rebuilt) == 1
        made, report = ann_ckpt.build(path, simulator=Ordered)
        assert not report.problems
        for resumed in (other, made):
            resumed.simulate(20)
            assert not list(ann_ckpt.differences(network.read().state, resumed.read().state))
            assert np.array_equal(resumed.own["trace"], network.own["trace"])
    # Without the order, the same values end in other bits: it is what the test rests on.
    plain = replace(ann_ckpt.read(tmp_path / "net.h5").projections["synapses"], order=None)
    unordered = Ordered(seed=1)
    ann_ckpt.load(tmp_path / "net.h5", network=unordered)
    unordered.connect(plain)
    unordered.simulate(20)
    assert not np.array_equal(unordered.v, network.v)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_every_value_of_a_disturbed_state_is_another_one(dtype):
    top = np.finfo(dtype).max
    values = np.array([0, 1, -1, 3e8, 1e20, top, -top, np.inf, -np.inf, np.nan], dtype)
    state = NetworkState(
        populations=[PopulationState("p", values.shape, variables={"v": values, "one": dtype(1)})]
    )
    for seed in range(5):
        found = disturbed(state, seed=seed).populations["p"]
        assert not (np.asarray(found["v"]) == values).any()
        assert np.isfinite(np.asarray(found["v"]))[-3:].all()
        assert np.asarray(found["one"]) != 1
