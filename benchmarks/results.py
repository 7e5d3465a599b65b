"""What measuring a case gave: values, their spread, and ratios taken round by round."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from benchmarks.harness import Case, Goal, Role

__all__ = ["Outcome", "Result", "Row", "Spread", "judge"]


@dataclass(frozen=True, slots=True)
class Spread:
    """The middle of several values, the smallest and the largest."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread | None:
        """Spread of some values; None if there are none."""
        return cls(statistics.median(values), min(values), max(values)) if values else None


@dataclass(slots=True)
class Row:
    """One contender, measured."""

    name: str
    role: Role
    seconds: list[float | None] = field(default_factory=list)
    """One entry a turn; None where it warmed up, or sat out because it had taken its time already."""
    beside: dict[str, list[float]] = field(default_factory=dict)
    """Other seconds of the turns that count, by what they are."""
    memory: int | None = None
    """Bytes of resident memory at the peak above those before the call."""
    file: int | None = None
    """Bytes of what it wrote, or of what it reads."""
    read: int | None = None
    """Bytes read by system calls in one run; reads through a memory map do not show here."""
    written: int | None = None
    """Bytes written by system calls in one run."""
    problem: str = ""
    """Why there are no figures: what is not installed, or what it raised."""

    @property
    def counted(self) -> list[float]:
        """Seconds of the turns that count."""
        return [seconds for seconds in self.seconds if seconds is not None]

    @property
    def time(self) -> Spread | None:
        """Seconds, over the turns that count."""
        return Spread.of(self.counted)


@dataclass(frozen=True, slots=True)
class Outcome:
    """A goal beside what was measured."""

    text: str
    value: float | None
    """None where a contender that the goal needs gave no figure."""
    met: bool | None
    unit: str = ""
    """``s``, ``B``, or empty for a ratio."""


@dataclass(slots=True)
class Result:
    """A case, measured."""

    key: str
    title: str
    nbytes: int
    series: str
    axis: str
    x: float | None
    rows: dict[str, Row]
    goals: list[Outcome] = field(default_factory=list)
    took: float = 0.0
    """Seconds that measuring took, with all that was made before."""

    @property
    def limit(self) -> Row | None:
        """The first row that stands for what the machine can do."""
        return next((r for r in self.rows.values() if r.role is Role.LIMIT and r.time), None)

    @property
    def best_peer(self) -> Row | None:
        """The fastest peer."""
        peers = [r for r in self.rows.values() if r.role is Role.PEER and r.time]
        return min(peers, key=lambda r: r.time.median if r.time else 0.0, default=None)

    def ratio(self, what: str, over: str) -> Spread | None:
        """Time of one contender through that of another, round by round.

        Where one was so slow that they share no round, it is that of the medians.
        """
        if what not in self.rows or over not in self.rows:
            return None
        one, other = self.rows[what], self.rows[over]
        pairs = zip(one.seconds, other.seconds, strict=False)
        found = Spread.of([a / b for a, b in pairs if a is not None and b])
        if found is None and one.time and other.time:
            found = Spread.of([one.time.median / other.time.median])
        return found

    def to_json(self) -> dict[str, Any]:
        """Everything as plain values."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Result:
        """Undo :meth:`to_json`."""
        rows = {name: Row(**{**row, "role": Role(row["role"])}) for name, row in data["rows"].items()}
        return cls(**{**data, "rows": rows, "goals": [Outcome(**goal) for goal in data["goals"]]})


def judge(case: Case, result: Result) -> list[Outcome]:
    """Hold a result against the goals of its case."""
    outcomes = []
    for goal in case.goals:
        value = _value(goal, result)
        unit = "" if goal.over is not None else "s" if goal.of == "seconds" else "B"
        outcomes.append(Outcome(goal.text, value, None if value is None else goal.met(value), unit))
    return outcomes


def _value(goal: Goal, result: Result) -> float | None:
    if goal.over is not None and goal.of == "seconds":
        ratio = result.ratio(goal.what, goal.over)
        return ratio.median if ratio else None
    value = _figure(result, goal.what, goal.of)
    other = goal.over or goal.minus
    if other is None or value is None:
        return value
    second = _figure(result, other, goal.of)
    if second is None:
        return None
    return value / second if goal.over else value - second


def _figure(result: Result, name: str, of: str) -> float | None:
    row = result.rows.get(name)
    if row is None:
        return None
    if of == "seconds":
        return row.time.median if row.time else None
    figure: int | None = getattr(row, of)
    return figure
