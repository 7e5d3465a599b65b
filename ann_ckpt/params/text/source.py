"""The text of a file, and which line and column an offset in it stands for."""

from __future__ import annotations

import re
from bisect import bisect_right
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Place", "SourceText"]

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
