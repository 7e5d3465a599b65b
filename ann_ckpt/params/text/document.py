"""A parsed file: plain values, and for each of them where it stands.

The values are ordinary dicts, lists and scalars, which is what a schema validator
takes. The positions run beside them as a tree of :class:`Members` and :class:`Items`,
because a node object around every value would cost ten times the memory and hide the
values from the validator.
"""

from __future__ import annotations

import math
import re
from array import array
from bisect import bisect_right
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from ann_ckpt.params.findings import Finding, Related, pointer
from ann_ckpt.params.rules import RULES

__all__ = [
    "LARGEST",
    "LONGEST",
    "NUMBER",
    "Document",
    "Items",
    "Mark",
    "Member",
    "Members",
    "Numeral",
    "Path",
    "Place",
    "Problem",
    "Problems",
    "SourceText",
    "Span",
    "decode",
    "numeral",
]

NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?P<fraction>\.[0-9]+)?(?P<exponent>[eE][+-]?[0-9]+)?")
"""A number as JSON writes it."""

_NOT_ZERO = re.compile(r"-?[0.]*[1-9]")

LONGEST = 400
"""Characters in the longest literal that is read. No number a simulator holds needs more,
and the time to convert one grows with the square of its length."""


class Numeral(NamedTuple):
    """What a literal stands for, or why it is refused."""

    value: int | float | None
    rule: str = ""
    """Rule id of the refusal or, with a value, of a warning; empty if there is none."""
    message: str = ""


def numeral(literal: str) -> Numeral:
    """Convert a literal that :data:`NUMBER` matches in full.

    Examples
    --------
    >>> numeral("1e3").value, numeral("3").value, numeral("1e999").rule
    (1000.0, 3, 'P009')
    """
    if len(literal) > LONGEST:
        return Numeral(None, "P010", f"a number of {len(literal)} characters; at most {LONGEST} are read")
    value = float(literal)
    if math.isinf(value):
        return Numeral(None, "P009", f"{_short(literal)} is beyond the range of a double")
    if not value and _NOT_ZERO.match(literal):
        return Numeral(value, "P401", f"{_short(literal)} is too small for a double and is read as 0")
    return Numeral(int(literal) if literal.lstrip("-").isdigit() else value)


def _short(literal: str) -> str:
    return literal if len(literal) <= 24 else f"{literal[:20]}\N{HORIZONTAL ELLIPSIS}"


# What editors count as the end of a line; YAML and Unicode know more of them.
_LINE_END = re.compile(r"\r\n?|\n")


@dataclass(frozen=True, slots=True)
class Place:
    """A stretch of one line."""

    line: int
    """From 1."""
    column: int
    """From 1, in Unicode characters."""
    end_column: int
    """Column behind the last character, on the same line; above ``column``."""


@dataclass(frozen=True, slots=True, eq=False)
class SourceText:
    """The decoded text of one file."""

    path: str
    """The file, as it was named."""
    text: str
    origin: Any = None
    """The object in memory that ``text`` was written from; None for a file."""
    _starts: list[int] = field(init=False, repr=False)
    """Offset of the first character of each line."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "_starts", [0, *(m.end() for m in _LINE_END.finditer(self.text))])

    def place(self, start: int, end: int | None = None) -> Place:
        """Return where the characters ``start`` to ``end`` stand.

        A stretch of several lines is cut at the end of its first; an empty one counts
        as one character, so that there is something to point at.
        """
        line = bisect_right(self._starts, start)
        first = self._starts[line - 1]
        stop = max(start + 1, min(end if end is not None else start + 1, self._line_end(line)))
        return Place(line, start - first + 1, stop - first + 1)

    def place_in_origin(self, path: tuple[str | int, ...], *, key: bool) -> Place | None:
        """Return where the origin says that a value, or its name, stands; None if it does not know.

        What ruamel.yaml reads knows the lines it was read from.
        """
        value, found = self.origin, None
        for step in path:
            noted = getattr(getattr(value, "lc", None), "data", None)
            if not isinstance(noted, dict):
                break
            at = noted.get(step)
            if at is not None:
                line, column = at[:2] if key or len(at) < 4 else at[2:4]
                found = Place(line + 1, column + 1, column + 2)
            try:
                value = value[step]
            except LookupError:
                break
        return found

    def offset(self, line: int, column: int) -> int:
        """Return the offset of a line and column, both counted from 0."""
        if line >= len(self._starts):
            return len(self.text)
        return min(self._starts[line] + column, len(self.text))

    def line(self, number: int) -> str:
        """Return one line, counted from 1, without its end."""
        return self.text[self._starts[number - 1] : self._line_end(number)]

    def _line_end(self, number: int) -> int:
        after = self._starts[number] if number < len(self._starts) else len(self.text)
        while after > self._starts[number - 1] and self.text[after - 1] in "\r\n":
            after -= 1
        return after


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


LARGEST = 32 << 20
"""Bytes in the largest file that is read: a value for each of a million neurons fits."""

_BOM = b"\xef\xbb\xbf"
_UTF16 = (b"\xff\xfe", b"\xfe\xff")
# The old XML files were written on the systems of their time.
_DECLARED = re.compile(
    rb"<\?xml[^>]*encoding\s*=\s*[\"'](iso-8859-1|iso-8859-15|windows-1252)[\"']", re.IGNORECASE
)


def decode(raw: bytes, path: str, problems: Problems) -> tuple[SourceText, bool]:
    """Return the text of a file, and whether it is worth reading on.

    JSON and YAML are UTF-8 without a byte-order mark; an XML file may declare one of
    the Western European encodings.
    """
    if len(raw) > LARGEST:
        problems.add("P005", (0, 1), f"more than {LARGEST >> 20} MiB; no parameter file needs that")
        return SourceText(path, ""), False
    if raw.startswith(_UTF16):
        problems.add("P002", (0, 1), "the bytes are UTF-16; save the file as UTF-8")
        return SourceText(path, ""), False
    if raw.startswith(_BOM):
        problems.add("P003", (0, 1), "a byte-order mark; save the file as UTF-8 without one")
        raw = raw[len(_BOM) :]
    if not raw.strip():
        problems.add("P004", (0, 1), "the file is empty")
        return SourceText(path, ""), False
    declared = _DECLARED.match(raw.lstrip())
    try:
        return SourceText(path, raw.decode(declared[1].decode() if declared else "utf-8")), True
    except UnicodeDecodeError as error:
        start = len(raw[: error.start].decode("utf-8", "replace"))
        problems.add("P002", (start, start + 1), f"byte 0x{raw[error.start]:02x} is not UTF-8")
        return SourceText(path, raw.decode("utf-8", "replace")), False
