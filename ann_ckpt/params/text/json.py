"""A strict JSON reader that knows where every name and value stands.

The standard library's reader keeps the last of two equal names, reads ``NaN`` and
``1e999``, recurses as deeply as the file likes, and forgets every position. This one
reports all of that and goes on, so that one run shows everything; only where the text
is not well formed does it stop.
"""

from __future__ import annotations

import re
from json.decoder import JSONDecodeError, scanstring  # type: ignore[attr-defined]
from typing import Any

from ann_ckpt.errors import printable
from ann_ckpt.params.findings import quoted
from ann_ckpt.params.text.document import NUMBER, Document, Items, Mark, Member, Members, Problems, numeral

__all__ = [
    "DEEPEST",
    "MOST_ENTRIES",
    "MOST_VALUES",
    "SURROGATE",
    "read_json",
    "too_many",
    "too_many_values",
]

DEEPEST = 32
"""Levels of nesting in the deepest file that is read."""

MOST_ENTRIES = 500_000
"""Names, objects and arrays in the largest file that is read: each takes some hundred bytes of
memory for three of text. What is in arrays counts as values."""

MOST_VALUES = 2_000_000
"""Values in the arrays of the largest file that is read: two for each of a million neurons."""

SURROGATE = re.compile("[\ud800-\udfff]")
"""Half of a surrogate pair: a text with one in it cannot be written as UTF-8."""

_SPACE = re.compile(r"[ \t\n\r]*")
_PLAIN = re.compile(r'"([^"\\\x00-\x1f]*)"')
_NAME = re.compile(r'("([^"\\\x00-\x1f]*)")[ \t\n\r]*:[ \t\n\r]*')
_COLON = re.compile(r"[ \t\n\r]*:[ \t\n\r]*")
_AFTER_VALUE = re.compile(r"()()[ \t\n\r]*([,}\]])[ \t\n\r]*")
# A number that needs no check for its length or range, with what follows it in an object
# or array: nearly every value of a parameter file, read in one match.
_EASY = re.compile(r"(-?(?:0|[1-9][0-9]{0,14}))(\.[0-9]{1,25})?[ \t\n\r]*([,}\]])[ \t\n\r]*")
_WORD = re.compile(r"[^\s,:\[\]{}\"]+")
# A text that is never closed matches to the end of the file: looked for once more behind
# each of its quotes, it would take time with the square of the length.
_BRACKET_OR_TEXT = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"?|[\[\]{}]', re.DOTALL)

_CONSTANTS = {"true": True, "false": False, "null": None}
_NOT_FINITE = {"NaN", "Infinity", "-Infinity", "nan", "inf", "-inf", "-NaN", "-nan", "+Infinity", "+inf"}
_CONFLICT = ("<<<<<<<", "=======", ">>>>>>>")
"""What git writes into a file around what it could not merge."""
_UNRESOLVED = "a merge conflict that is not resolved"
_PYTHON = {"True": "true", "False": "false", "None": "null"}


class _Stop(Exception):  # noqa: N818 - it ends the reading, it is not an error of the caller
    """The text is not well formed from here on."""


def read_json(text: str, problems: Problems, *, deepest: int = DEEPEST) -> Document | None:
    """Read ``text`` and add to ``problems`` whatever is wrong with it.

    A value that is refused (``NaN``, too deep) reads as None and is reported; of two
    members with one name the first is kept. Returns None where the text is not well
    formed.
    """
    return _Reader(text, problems, deepest).document()


class _Reader:
    def __init__(self, text: str, problems: Problems, deepest: int) -> None:
        self.text = text
        self.problems = problems
        self.deepest = deepest
        self.trail: list[str | int] = [""] * (deepest + 1)
        """Name or index at each level on the way to the value being read."""
        self.names: dict[str, str] = {}
        """One object for equal names: ten thousand populations share their parameters."""
        self.left = MOST_ENTRIES
        self.values_left = MOST_VALUES

    def document(self) -> Document | None:
        start = self._skip(0)
        try:
            value, mark, end = self._value(start, 0)
            rest = self._skip(end)
            if rest < len(self.text):
                raise self._stop(rest, "text after the end of the file's only value")
        except _Stop:
            return None
        return Document(value, (start, end), mark)

    def _skip(self, position: int) -> int:
        return _SPACE.match(self.text, position).end()  # type: ignore[union-attr] # matches anything

    def _value(self, start: int, depth: int) -> tuple[Any, Mark, int]:
        """Read the value at ``start``, whose own name stands at ``trail[depth - 1]``."""
        text = self.text
        first = text[start : start + 1]
        if first == '"':
            value, end = self._string(start, depth)
            return value, None, end
        if first in "{[" and first:
            if depth >= self.deepest:
                return self._too_deep(start, depth)
            return self._object(start, depth) if first == "{" else self._array(start, depth)
        match = NUMBER.match(text, start)
        if match is not None:
            return self._number(match, depth)
        return self._word(start, depth)

    def _object(self, start: int, depth: int) -> tuple[dict[str, Any], Members, int]:
        text, names, trail = self.text, self.names, self.trail
        value: dict[str, Any] = {}
        marks = Members()
        position = self._skip(start + 1)
        self._count(start)
        if text.startswith("}", position):
            return value, marks, position + 1
        while True:
            self._count(position)
            name = _NAME.match(text, position)
            if name is not None:
                key, key_end, member_start = name[2], name.end(1), name.end()
            else:
                key, key_end, member_start = self._name(position, depth)
            trail[depth] = key = names.setdefault(key, key)
            after = _EASY.match(text, member_start)
            if after is not None:
                member, member_end = _easy(after)
                mark: Mark = None
            else:
                member, mark, member_end = self._value(member_start, depth + 1)
                after = _AFTER_VALUE.match(text, member_end)
            if key in value:
                self._note("P007", position, key_end, depth + 1, f"{quoted(key)} stands twice here")
            else:
                value[key] = member
                marks[key] = Member(position, key_end, member_start, member_end, mark)
            if after is None or after[3] == "]":
                raise self._expected(member_end, "',' or '}'")
            if after[3] == "}":
                return value, marks, after.start(3) + 1
            position = after.end()

    def _array(self, start: int, depth: int) -> tuple[list[Any], Items, int]:
        text, trail = self.text, self.trail
        value: list[Any] = []
        items = Items()
        counted = 0
        position = self._skip(start + 1)
        self._count(start)
        if text.startswith("]", position):
            return value, items, position + 1
        while True:
            after = _EASY.match(text, position)
            if after is not None:
                item, end = _easy(after)
            else:
                trail[depth] = len(value)
                self.values_left -= len(value) - counted
                counted = len(value)
                item, mark, end = self._value(position, depth + 1)
                if mark is not None:
                    items.marks[len(value)] = mark
                after = _AFTER_VALUE.match(text, end)
            value.append(item)
            items.starts.append(position)
            items.ends.append(end)
            if len(value) - counted > self.values_left:
                too_many_values(self.problems, position)
                raise _Stop
            if after is None or after[3] == "}":
                raise self._expected(end, "',' or ']'")
            if after[3] == "]":
                self.values_left -= len(value) - counted
                return value, items, after.start(3) + 1
            position = after.end()

    def _count(self, position: int) -> None:
        """Count one name, object or array; stop the reading where there are too many."""
        self.left -= 1
        if self.left < 0:
            too_many(self.problems, position)
            raise _Stop

    def _name(self, position: int, depth: int) -> tuple[str, int, int]:
        """Read a name with escapes in it and the colon behind it, or say what is wrong there."""
        if self.text.startswith("}", position):
            raise self._stop(position, "a comma before '}'")
        if not self.text.startswith('"', position):
            raise self._expected(position, "a name in double quotes")
        name, end = self._string(position, depth)
        colon = _COLON.match(self.text, end)
        if colon is None:
            raise self._stop(end, f"expected ':' after the name {quoted(name)}")
        return name, end, colon.end()

    def _string(self, start: int, depth: int) -> tuple[str, int]:
        plain = _PLAIN.match(self.text, start)
        if plain is not None:
            return plain[1], plain.end()
        try:
            value, end = scanstring(self.text, start + 1, True)
        except JSONDecodeError as error:
            raise self._stop(error.pos, _string_fault(error.msg), start=start) from None
        if SURROGATE.search(value):
            self._note("P012", start, end, depth, "half of a surrogate pair in a text")
            value = SURROGATE.sub("\N{REPLACEMENT CHARACTER}", value)
        return value, end

    def _number(self, match: re.Match[str], depth: int) -> tuple[int | float | None, None, int]:
        start, end = match.span()
        following = self.text[end : end + 1]
        if following.isalnum() or following in {".", "_", "+", "-"}:
            return self._word(start, depth)
        value, rule, message = numeral(match[0])
        if rule:
            self._note(rule, start, end, depth, message)
        return value, None, end

    def _word(self, start: int, depth: int) -> tuple[Any, None, int]:
        """Read what is neither text, number, object nor array: a constant, or a fault."""
        match = _WORD.match(self.text, start)
        if match is None:
            if self.text.startswith("]", start) and self.text[:start].rstrip().endswith(","):
                raise self._stop(start, "a comma before ']'")
            raise self._expected(start, "a value")
        word, end = match[0], match.end()
        if word in _CONSTANTS:
            return _CONSTANTS[word], None, end
        if word in _NOT_FINITE:
            self._note("P008", start, end, depth, f"{word} is not a JSON number")
            return None, None, end
        raise self._stop(start, _word_fault(word), end=end)

    def _too_deep(self, start: int, depth: int) -> tuple[None, None, int]:
        """Report an object or array below the deepest level, and step over it without recursion."""
        level = 0
        for match in _BRACKET_OR_TEXT.finditer(self.text, start):
            level += {"{": 1, "[": 1, "}": -1, "]": -1}.get(match[0], 0)
            if level == 0:
                self._note("P006", start, start + 1, depth, f"nested more than {self.deepest} levels deep")
                return None, None, match.end()
        self._note("P006", start, start + 1, depth, f"nested more than {self.deepest} levels deep")
        raise self._stop(len(self.text), "the file ends inside an object or array")

    def _expected(self, position: int, what: str) -> _Stop:
        if self._skip(position) >= len(self.text):
            return self._stop(len(self.text), f"the file ends where {what} should stand")
        position = self._skip(position)
        if self.text.startswith(("//", "/*", "#"), position):
            return self._stop(position, "a comment; JSON has none")
        if self.text.startswith(_CONFLICT, position):
            return self._stop(position, _UNRESOLVED)
        word = _WORD.match(self.text, position)
        end = word.end() if word else position + 1
        return self._stop(position, f"expected {what}, found {quoted(self.text[position:end], 30)}", end=end)

    def _note(self, rule: str, start: int, end: int, depth: int, message: str) -> None:
        self.problems.add(rule, (start, end), message, path=tuple(self.trail[:depth]))

    def _stop(
        self, position: int, message: str, *, start: int | None = None, end: int | None = None
    ) -> _Stop:
        self.problems.add("P001", (position if start is None else start, end or position + 1), message)
        return _Stop()


def too_many(problems: Problems, position: int) -> None:
    """Note that a file has more entries than are read, the first of them at ``position``."""
    problems.add(
        "P017", (position, position + 1), f"more than {MOST_ENTRIES:,} names, objects and arrays in one file"
    )


def too_many_values(problems: Problems, position: int) -> None:
    """Note that arrays have more values than are read, the first of them at ``position``."""
    problems.add(
        "P017", (position, position + 1), f"more than {MOST_VALUES:,} values in the arrays of one file"
    )


def _easy(match: re.Match[str]) -> tuple[int | float, int]:
    """Return the number that :data:`_EASY` matched and where it ends."""
    if match[2] is None:
        return int(match[1]), match.end(1)
    return float(match[1] + match[2]), match.end(2)


def _word_fault(word: str) -> str:
    shown = printable(word, 30)
    if word in _PYTHON:
        return f"{shown} is Python; JSON writes {_PYTHON[word]}"
    if word.startswith(_CONFLICT):
        return _UNRESOLVED
    if word.startswith(("//", "/*", "#")):
        return "a comment; JSON has none"
    if word.startswith("'"):
        return "a text in single quotes; JSON takes double quotes"
    if word[0] in "+-.0123456789":
        return f"{shown} is not a number as JSON writes it"
    return f"{shown!r} is not a value; texts are written in double quotes"


def _string_fault(message: str) -> str:
    """Say in our words what the standard library's scanner found wrong with a text."""
    if message.startswith("Unterminated"):
        return "a text without its closing quote"
    if message.startswith("Invalid control"):
        return "a control character in a text; write it as \\u followed by four digits"
    return "an unknown escape in a text"
