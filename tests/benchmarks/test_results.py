"""Ratios, goals and tables, on made-up figures."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.harness import Case, Goal, Role
from benchmarks.report import report
from benchmarks.results import Result, Row, Spread, judge
from benchmarks.table import COLUMNS, cells, markdown, text

RUN = {"scale": "small", "commit": "", "command": "python -m benchmarks", "machine": {"python": "3.11"}}


def made(*goals: Goal) -> Result:
    rows = [
        Row("limit", Role.LIMIT, [None, 1.0, 2.0, 4.0], memory=0, file=1000, read=0, written=1000),
        Row("ours", Role.OURS, [None, 2.0, 2.0, 2.0], memory=5 << 20, file=800, read=0, written=800),
        Row("slow", Role.PEER, [30.0, None, None, None], memory=1, file=900, read=0, written=900),
        Row("quick", Role.PEER, [None, 4.0, 4.0, 4.0], memory=1, file=900, read=0, written=900),
        Row("absent", Role.PEER, problem="not installed: absent"),
    ]
    result = Result("a/b", "A case", 1000, "", "", None, {row.name: row for row in rows})
    result.goals = judge(Case("a/b", "A case", lambda _: [], goals=goals), result)
    return result


def test_ratios_are_taken_turn_by_turn() -> None:
    assert made().ratio("ours", "limit") == Spread(1.0, 0.5, 2.0)


def test_ratios_use_the_turns_in_which_both_took_part_or_the_medians_if_there_are_none() -> None:
    assert made().ratio("slow", "limit") == Spread(15.0, 15.0, 15.0)
    assert made().ratio("absent", "limit") is None


def test_the_best_peer_is_the_fastest_that_gave_a_figure() -> None:
    best = made().best_peer
    assert best is not None
    assert best.name == "quick"


@pytest.mark.parametrize(
    ("goal", "value", "met"),
    [
        (Goal(text="", what="ours", over="limit", at_most=1.05), 1.0, True),
        (Goal(text="", what="quick", over="ours", at_least=5), 2.0, False),
        (Goal(text="", what="ours", minus="limit", at_most=1e-3), 0.0, True),
        (Goal(text="", what="ours", of="memory", at_most=1 << 20), 5 << 20, False),
        (Goal(text="", what="ours", of="file", over="slow", at_most=1), 800 / 900, True),
        (Goal(text="", what="absent", over="ours", at_least=1), None, None),
        (Goal(text="", what="ours", of="file", over="absent", at_most=1), None, None),
    ],
)
def test_goals_are_held_against_what_was_measured(goal: Goal, value: float | None, met: bool | None) -> None:
    (outcome,) = made(goal).goals
    assert (outcome.value, outcome.met) == (value, met)


def test_a_goal_asks_for_exactly_one_bound() -> None:
    with pytest.raises(ValueError, match="either at_most or at_least"):
        Goal(text="fast", what="ours")
    with pytest.raises(ValueError, match="both over and minus"):
        Goal(text="fast", what="ours", over="limit", minus="limit", at_most=1)


def test_what_is_missing_stands_in_the_tables() -> None:
    for shown in (text(made()), markdown(made())):
        assert "not installed: absent" in shown


def test_tables_have_a_line_for_each_contender_and_a_cell_for_each_column() -> None:
    lines = cells(made())
    assert [line[0] for line in lines] == ["limit", "ours", "slow", "quick", "absent"]
    assert all(len(line) == len(COLUMNS) for line in lines[:-1])
    assert all(row.count("|") == len(COLUMNS) + 1 for row in markdown(made()).splitlines())


def test_what_a_run_has_timed_beside_gets_a_column() -> None:
    result = made()
    result.rows["ours"].beside = {"until on disk": [3.0, 5.0, 4.0]}
    lines = {line[0]: line for line in cells(result)}
    assert (lines["ours"][-1], lines["limit"][-1]) == ("4.00 s", "-")
    for shown in (text(result), markdown(result)):
        assert "until on disk" in shown
    assert len({row.count("|") for row in markdown(result).splitlines()}) == 1


def test_results_survive_json() -> None:
    result = made(Goal(text="fast", what="ours", over="limit", at_most=1.05))
    assert Result.from_json(json.loads(json.dumps(result.to_json()))) == result


def test_the_report_holds_goals_missed_and_met() -> None:
    goals = (
        Goal(text="quick enough", what="ours", over="limit", at_most=1.05),
        Goal(text="quicker than the quick", what="quick", over="ours", at_least=5),
    )
    written = report([RUN], [made(*goals)], [])
    assert "quick enough: 1.00, met" in written
    assert "quicker than the quick: 2.00, MISSED" in written


def test_the_report_of_a_run_that_was_stopped_says_what_is_missing() -> None:
    result = made()
    assert "Not reached" not in report([RUN | {"cases": [result.key]}], [result], [])
    stopped = [RUN | {"cases": [result.key]}, RUN | {"cases": ["later/one"]}]
    assert "Not reached: `later/one`." in report(stopped, [result], [])


@given(st.lists(st.floats(1e-9, 1e9), min_size=1))
def test_a_spread_holds_its_median(values: list[float]) -> None:
    spread = Spread.of(values)
    assert spread is not None
    assert spread.low <= spread.median <= spread.high
    assert {spread.low, spread.high} <= set(values)
