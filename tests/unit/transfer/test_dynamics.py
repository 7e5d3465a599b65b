"""What is carried from step to step: set with the whole network, or said why not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from ann_ckpt import (
    Connectivity,
    Exactness,
    NetworkState,
    PopulationState,
    ProjectionState,
    Resume,
    Selection,
)
from ann_ckpt.adapters.protocol import ExactSimulator, Owner, Reading
from ann_ckpt.transfer import LoadPlan, load_into, plan_load

EXACT = Resume(Exactness.EXACT)
APPROXIMATE = Resume(Exactness.APPROXIMATE, ("refractory countdowns",))


def state(**changes: Any) -> NetworkState:
    given: dict[str, Any] = {
        "populations": [
            PopulationState("a", (2,), dynamics={"spiked": np.array([1], np.int32)}, resume=EXACT),
            PopulationState("b", (2,), resume=EXACT),
        ],
        "dynamics": {"rng": np.zeros((1, 625), np.uint32)},
        "resume": EXACT,
        "time_step": 3,
        "dt": 1.0,
    }
    return NetworkState(**{**given, **changes})


class Simulator:
    """Takes everything, unless told otherwise, and remembers in which order."""

    label = "test"

    def __init__(self, *, lacks: str | None = None, refuses: str | None = None) -> None:
        self.lacks, self.refuses = lacks, refuses
        self.done: list[tuple[str, ...]] = []

    def read(self, selection: Selection = Selection()) -> Reading:  # noqa: B008  (frozen)
        return Reading(state())

    def refusal(self, projection: object) -> str | None:
        return None

    def set_time_step(self, time_step: int) -> None:
        self.done.append(("time_step", str(time_step)))

    def set_constant(self, name: str, value: object) -> None: ...

    def set_population_attribute(self, population: str, attribute: str, values: object) -> None: ...

    def set_projection_attribute(self, projection: str, attribute: str, values: object) -> None: ...

    def set_delays(self, projection: str, delays: object) -> None: ...

    def connect(self, projection: object) -> None: ...

    def cannot_take(self, stored: Owner) -> str | None:
        return self.lacks

    def refuse_dynamics(self, stored: Owner) -> str | None:
        return self.refuses

    def set_dynamics(self, stored: Owner, dynamics: Mapping[str, Any]) -> None:
        self.done.append((getattr(stored, "name", ""), *dynamics))

    def reseed(self, seed: int) -> None:
        self.done.append(("reseed", str(seed)))

    def barrier(self) -> None: ...


def plan(stored: NetworkState, exact: ExactSimulator | None, **options: Any) -> LoadPlan:
    return plan_load(Reading(stored), Reading(state()), refusal=lambda _: None, exact=exact, **options)


def test_the_test_simulator_is_one() -> None:
    assert isinstance(Simulator(), ExactSimulator)


def test_it_is_set_after_everything_else() -> None:
    simulator = Simulator()
    report = load_into(simulator, Reading(state(reseeded=5)))
    assert simulator.done == [("time_step", "3"), ("reseed", "5"), ("", "rng"), ("a", "spiked")]
    assert {"reseeded", "dynamics/rng", "populations/a/dynamics/spiked"} < set(report.loaded)
    assert report.notes == ()


@pytest.mark.parametrize(
    ("exact", "reason"),
    [(None, "takes none of it back"), (Simulator(lacks="two threads"), "two threads")],
    ids=["simulator", "network"],
)
def test_what_cannot_be_taken_is_noted(exact: ExactSimulator | None, reason: str) -> None:
    made = plan(state(), exact)
    assert made.problems == ()
    notes = {note.path: note.text for note in made.notes}
    assert reason in notes[""]
    assert reason in notes["populations/a"]
    assert "populations/b" not in notes


def test_what_makes_no_sense_is_a_problem() -> None:
    made = plan(state(), Simulator(refuses="ranks from -1"))
    assert [str(p) for p in made.mismatched] == [
        "dynamics: ranks from -1",
        "populations/a/dynamics: ranks from -1",
    ]


def test_a_part_is_not_resumed() -> None:
    made = plan(state(reseeded=5), Simulator(), selection=Selection(populations="a", projections=False))
    assert not any("dynamics" in action.path or action.path == "reseeded" for action in made.actions)


def test_nothing_is_carried_into_a_network_that_does_not_fit() -> None:
    made = plan(state(dt=0.5), Simulator())
    assert made.mismatched
    assert not any("dynamics" in action.path for action in made.actions)
    said = "the dynamics in the file are not used: something else does not fit"
    assert [str(note) for note in made.notes] == [said]
    nothing = state(dt=0.5, dynamics={}, populations=[PopulationState("a", (2,)), PopulationState("b", (2,))])
    assert plan(nothing, Simulator()).notes == ()


def test_what_the_file_says_of_itself_is_passed_on() -> None:
    b = PopulationState("b", (2,), resume=APPROXIMATE)
    stored = state(populations=[state().populations["a"], b])
    notes = {note.path: note.text for note in plan(stored, Simulator()).notes}
    assert notes == {
        "populations/b": "the file says that resuming is approximate: refractory countdowns",
    }
    live = replace(state(), populations=stored.populations)
    made = plan_load(Reading(stored), Reading(live), refusal=lambda _: None, exact=Simulator())
    assert {note.path: note.text for note in made.notes} == notes


def test_after_a_barrier_nothing_is_said_against_it() -> None:
    """The file says that it is exact, and the reports do too."""
    reseeded = Resume(Exactness.RESEEDED, ("the generator",))
    hidden = Resume(Exactness.APPROXIMATE, ("the generator",))
    stored = state(reseeded=5, resume=reseeded, dynamics={})
    live = replace(state(), resume=hidden)
    made = plan_load(Reading(stored), Reading(live), refusal=lambda _: None, exact=Simulator())
    assert made.notes == ()
    live = replace(state(), resume=Resume(Exactness.APPROXIMATE, ("the generator", "its dreams")))
    made = plan_load(Reading(stored), Reading(live), refusal=lambda _: None, exact=Simulator())
    assert [note.text for note in made.notes] == [
        "a resumed run may differ, because this cannot be restored: its dreams"
    ]


def test_what_the_file_lacks_of_the_live_ones_is_said() -> None:
    a = PopulationState("a", (2,), dynamics={"spiked": np.zeros(1, np.int32), "python.rates": np.zeros(1)})
    live = replace(state(), populations={"a": a, "b": state().populations["b"]})
    made = plan_load(Reading(state()), Reading(live), refusal=lambda _: None, exact=Simulator())
    assert [str(note) for note in made.notes] == [
        "populations/a: the file does not have python.rates; kept as it is"
    ]


def test_filters_that_an_older_file_lacks_are_no_problem() -> None:
    nothing = Connectivity(np.empty(0, np.int32), np.zeros(1, np.int64), np.empty(0, np.int32))
    filters = ProjectionState("filter", "a", "b", "exc", nothing, dynamics={"w": np.eye(3)})
    live = replace(state(), projections={"filter": filters})
    made = plan_load(Reading(state()), Reading(live), refusal=lambda _: None, exact=Simulator())
    assert made.problems == ()
    assert [str(note) for note in made.notes] == [
        "projections/filter: the file does not have its filters; they stay as they are"
    ]
    assert plan(live, Simulator()).problems, "a network without them cannot take them"
