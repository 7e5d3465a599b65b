"""When a save is due, on a clock that the test turns."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from itertools import cycle
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ann_ckpt.errors import OptionError
from ann_ckpt.store.owners.job import LEAD
from ann_ckpt.store.timing.pacing import Pace

LOOK = 0.05
"""Seconds between two looks."""


class Clock:
    """A clock that stands still until it is turned."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def run(
    pace: Callable[[Clock], Pace], costs: Iterator[float], *, seconds: float
) -> tuple[float, list[tuple[float, str]]]:
    """Run so long; the share that saves took, and when each was begun and why."""
    clock = Clock()
    made = pace(clock)
    began, spent, saves = clock.now, 0.0, []
    while clock.now < began + seconds:
        clock.now += LOOK
        why = made.due()
        if why is not None:
            saves.append((clock.now - began, why))
            cost = next(costs)
            clock.now += cost
            spent += cost
            made.saved(cost)
    return spent / (clock.now - began), saves


def budget(clock: Clock) -> Pace:
    return Pace(overhead=0.02, clock=clock, left=lambda: None)


@given(st.lists(st.floats(0.01, 2.0), min_size=1, max_size=20))
def test_a_budget_is_used_and_kept_over_ten_minutes_whatever_saves_take(costs: list[float]) -> None:
    share, saves = run(budget, cycle(costs), seconds=600.0)
    assert 0.016 <= share <= 0.024
    assert len(saves) >= 5


def test_a_save_that_was_dear_is_paid_off_before_the_next() -> None:
    _, saves = run(budget, iter([8.0, *[0.1] * 1000]), seconds=1000.0)
    assert saves[1][0] >= 8.0 / 0.02


def test_so_many_minutes_after_the_last_save() -> None:
    _, saves = run(lambda clock: Pace(minutes=2, clock=clock, left=lambda: None), cycle([5.0]), seconds=600.0)
    assert [round(when) for when, _ in saves] == [120, 245, 370, 495]
    assert {why for _, why in saves} == {"2 minutes since the last save"}


def test_a_save_by_somebody_else_counts_as_the_last() -> None:
    clock = Clock()
    pace = Pace(minutes=1, clock=clock, left=lambda: None)
    clock.now += 50
    pace.saved(None)
    clock.now += 50
    assert pace.due() is None
    clock.now += 10
    assert pace.due()


def test_before_the_time_is_up_it_saves_once() -> None:
    _, saves = run(
        lambda clock: Pace(walltime=600, clock=clock, left=lambda: None), cycle([5.0]), seconds=600.0
    )
    ((when, why),) = saves
    assert 535 <= when <= 545
    assert why.endswith("s of the job's time are left")


def test_a_save_that_takes_long_is_begun_early(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(LEAD, "100")
    _, saves = run(
        lambda clock: Pace(minutes=12, walltime=3600, clock=clock, left=lambda: None),
        cycle([200.0]),
        seconds=3600.0,
    )
    assert 3600 - 410 <= saves[-1][0] <= 3600 - 200
    assert "left" in saves[-1][1]


def test_what_the_batch_system_says_comes_first_and_is_asked_again() -> None:
    asked: list[float] = []

    def make(clock: Clock) -> Pace:
        def left() -> float:
            asked.append(clock.now)
            return 1000.0 + (3000.0 if len(asked) > 1 else 0.0) - (clock.now - 1000.0)

        return Pace(walltime=10, clock=clock, left=left)

    _, saves = run(make, cycle([1.0]), seconds=3950.0)
    assert [round(when, -2) for when, _ in saves] == [3900]
    assert 5 <= len(asked) <= 8


def test_rules_go_together_and_each_says_so() -> None:
    _, saves = run(
        lambda clock: Pace(minutes=1, overhead=0.001, walltime=600, clock=clock, left=lambda: None),
        cycle([1.0]),
        seconds=600.0,
    )
    said = {why.partition(" ")[2] for _, why in saves}
    assert said == {
        "minutes since the last save",
        "take no more than 0.1 % of the run",
        "s of the job's time are left",
    }


def test_a_save_longer_than_the_margin_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "ann_ckpt"):
        run(
            lambda clock: Pace(minutes=1, walltime=600, clock=clock, left=lambda: None),
            cycle([70.0]),
            seconds=600.0,
        )
    assert [record.message for record in caplog.records] == [
        "the last save took 70 s: it has to begin that long before the time is up"
    ]


@pytest.mark.parametrize(
    "wrong",
    [
        {"minutes": 0},
        {"minutes": float("nan")},
        {"minutes": "30"},
        {"overhead": 0},
        {"overhead": 1},
        {"overhead": [0.5]},
    ],
)
def test_numbers_out_of_range_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(OptionError, match=r"expected a|takes a number"):
        Pace(**wrong)
