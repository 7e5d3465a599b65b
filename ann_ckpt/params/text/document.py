"""A parsed file: plain values, and for each of them where it stands.

The values are ordinary dicts, lists and scalars, which is what a schema validator
takes. The positions run beside them as a tree of :class:`Members` and :class:`Items`,
because a node object around every value would cost ten times the memory and hide the
values from the validator.
"""

from __future__ import annotations

from array import array
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from ann_ckpt.params.findings import Finding, Related, pointer
from ann_ckpt.params.rules import RULES
from ann_ckpt.params.text.source import Place, SourceText

__all__ = ["Document", "Items", "Mark", "Member", "Members", "Path", "Problem", "Problems", "Span"]

MOST_PROBLEMS = 10_000
"""Beyond this many, problems of one file are counted and not kept."""

Path = tuple[str | int, ...]
"""Names and indices from the top to a value."""

Span = tuple[int, int]
"""Offsets of the first character and of the one behind the last."""


class Member(NamedTuple):
    """Where one member of an object stands."""

    key_start: int
    key_end: int
    start: int
    end: int
    mark: Mark
    """Positions inside the value; None for a scalar."""


class Members(dict[str, Member]):
    """Positions inside an object, by name."""

    __slots__ = ()


@dataclass(slots=True)
class Items:
    """Positions inside an array."""

    starts: array[int] = field(default_factory=lambda: array("I"))
    ends: array[int] = field(default_factory=lambda: array("I"))
    marks: dict[int, Mark] = field(default_factory=dict)
    """Positions inside those items that are objects or arrays."""


Mark = Members | Items | None


@dataclass(frozen=True, slots=True, eq=False)
class Document:
    """The values of one file and their positions."""

    value: Any
    """Dicts, lists, strings, numbers, bools and None."""
    span: Span
    mark: Mark

    def span_of(self, path: Path, *, key: bool = False) -> Span:
        """Return where the value at ``path`` stands, or with ``key`` its name.

        A path that leads out of the document gives the nearest value on the way.
        """
        span, name, mark = self.span, self.span, self.mark
        for step in path:
            if isinstance(mark, Members) and isinstance(step, str) and step in mark:
                member = mark[step]
                span, name, mark = (member.start, member.end), (member.key_start, member.key_end), member.mark
            elif isinstance(mark, Items) and isinstance(step, int) and 0 <= step < len(mark.starts):
                span = name = (mark.starts[step], mark.ends[step])
                mark = mark.marks.get(step)
            else:
                break
        return name if key else span


class Problem(NamedTuple):
    """Something wrong, by offsets; sorts in the order of the file."""

    start: int
    end: int
    rule: str
    path: Path
    message: str
    suggestions: tuple[str, ...] = ()
    related: tuple[Related, ...] = ()


class Problems:
    """Collects what is wrong with one text, up to a limit.

    Parameters
    ----------
    limit : int
        How many to keep; more are only counted.
    prefix : tuple
        Path of the value in the file that all paths begin at.
    """

    __slots__ = ("dropped", "found", "limit", "prefix")

    def __init__(self, limit: int = MOST_PROBLEMS, prefix: Path = ()) -> None:
        self.limit = limit
        self.prefix = prefix
        self.found: list[Problem] = []
        self.dropped = 0

    @property
    def full(self) -> bool:
        """Whether more problems are only counted."""
        return len(self.found) >= self.limit

    def add(
        self,
        rule: str,
        span: Span,
        message: str,
        *,
        path: Path = (),
        suggestions: tuple[str, ...] = (),
        related: tuple[Related, ...] = (),
    ) -> None:
        """Note one problem."""
        if not self.full:
            self.found.append(Problem(*span, rule, self.prefix + path, message, suggestions, related))
        else:
            self.dropped += 1

    def findings(self, source: SourceText) -> tuple[Finding, ...]:
        """Return what was found, in the order of the file."""
        return tuple(_finding(p, source) for p in sorted(self.found, key=lambda p: (p.start, p.rule)))


def _finding(problem: Problem, source: SourceText) -> Finding:
    at: Place | None = source.place(problem.start, problem.end)
    if source.origin is not None:
        at = source.place_in_origin(problem.path, key=problem.rule.startswith("P10"))
    located = at is not None
    at = at or Place(1, 1, 2)
    return Finding(
        rule=problem.rule,
        severity=RULES[problem.rule].severity,
        path=source.path,
        pointer=pointer(problem.path),
        line=at.line,
        column=at.column,
        end_column=at.end_column,
        message=problem.message,
        suggestions=problem.suggestions,
        related=problem.related,
        located=located,
    )
