"""The conformance suite, on the simulator that needs no simulator."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from ann_ckpt import PopulationState, ProjectionState
from ann_ckpt.demo import DemoNetwork
from ann_ckpt.errors import MismatchError
from ann_ckpt.simulators import Clock, Owner, Simulator
from ann_ckpt.testing import SimulatorSuite, captured, disturbed, rewired


@pytest.fixture(scope="module")
def simulator() -> Simulator:
    network = DemoNetwork(side=6)
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
