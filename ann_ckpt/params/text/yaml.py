"""YAML, read into the same values and positions as JSON.

PyYAML's parser (its C one where there is one) delivers events; values are resolved
here, because YAML 1.1 as PyYAML resolves it reads a parameter named ``on`` as a bool
and ``1e3`` as a text. A plain scalar is a number exactly where JSON would read one.
Whatever lets one place of the file stand for another (aliases, anchors, merge keys) or
name a type (tags) is refused, so that a file says the same in both notations.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from ann_ckpt.errors import MissingExtraError, printable
from ann_ckpt.params.findings import quoted
from ann_ckpt.params.text.document import NUMBER, Document, Items, Mark, Member, Members, Problems, numeral
from ann_ckpt.params.text.json import (
    DEEPEST,
    MOST_ENTRIES,
    MOST_VALUES,
    SURROGATE,
    too_many,
    too_many_values,
)

__all__ = [
    "read_yaml",
]

# The core schema of YAML 1.2, numbers left out: those are JSON's.
_CONSTANTS = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_NOT_FINITE = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")
# What YAML 1.1, or the core schema, takes for a bool or a number and JSON does not.
_MISLEADING = re.compile(
    r"(?:y|yes|n|no|on|off)"
    r"|[-+]?0[xob][0-9a-f_]+"
    r"|[-+]?(?:[0-9][0-9_]*(?:\.[0-9_]*)?|\.[0-9][0-9_]*)(?:e[-+]?[0-9]+)?"
    r"|[-+]?[0-9]+(?::[0-5]?[0-9])+(?:\.[0-9]*)?",
    re.IGNORECASE,
)
_DIRECTIVE = re.compile(r"^%[^\n]*", re.MULTILINE)
_MOST_DIRECTIVES = 100

_SYNTAX = {
    "expected key": "the indentation fits no line above",
    "block end": "the indentation fits no line above",
    "'-' indicator": "expected '-' below the other items",
    "expected ':'": "expected ':' and a value after the name",
    "mapping values are not allowed": "a second ':' in this line; put the text in quotes",
    "block sequence entries": "'-' cannot begin an item here",
    "block mapping": "a name cannot stand here",
    "escape": "an unknown escape in a text",
    "document start": "text after the end of the document",
    "simple key": "expected ':' and a value after the name",
}
"""What parsers call a fault, by a part of their words, and what we do."""

_TOO_DEEP = f"nested more than {DEEPEST} levels deep"
_HOPELESS = 1000
"""Levels after which what follows is not read to its end: a parser's time grows with their square."""


def read_yaml(text: str, problems: Problems) -> Document | None:
    """Read ``text`` and add to ``problems`` whatever is wrong with it.

    A value that is refused reads as None and is reported; of two members with one name
    the first is kept. Returns None where the text is not well formed or holds nothing.

    Raises
    ------
    MissingExtraError
        If PyYAML is not installed.
    """
    try:
        import yaml
    except ImportError as error:
        raise MissingExtraError(
            "reading YAML needs PyYAML", details={"install": "pip install 'ann_ckpt[yaml]'"}
        ) from error
    directives = _DIRECTIVE.findall(text)
    if len(directives) > _MOST_DIRECTIVES:  # a parser's time grows with the square of their number
        start = text.index(directives[0])
        problems.add("P013", (start, start + len(directives[0])), "directives; types come from the network")
        return None
    try:
        return _Reader(yaml, text, problems).document()
    except _HopelessError:
        return None
    except yaml.reader.ReaderError as error:
        # Its position counts bytes or characters, depending on the parser.
        character = error.character if isinstance(error.character, str) else chr(error.character)
        start = max(0, text.find(character))
        problems.add("P001", (start, start + 1), f"the character {quoted(character)} cannot stand in YAML")
    except yaml.MarkedYAMLError as error:
        if "nesting depth" in (error.problem or ""):  # the limit of libyaml 0.2.6, far beyond ours
            start = _index(error.problem_mark, text)
            problems.add("P006", (start, start + 1), _TOO_DEEP)
            return None
        start, message = _syntax_fault(error, text)
        problems.add("P001", (start, start + 1), message)
    except ValueError:  # the parser that is not libyaml's, of an escape beyond Unicode
        start = max(0, text.find("\\U"))
        problems.add("P001", (start, start + 1), _SYNTAX["escape"])
    return None


def _index(mark: Any, text: str) -> int:
    return min(mark.index, len(text)) if mark is not None else 0


def _syntax_fault(error: Any, text: str) -> tuple[int, str]:
    """Return where a fault is and what it is: what was never closed is told where it opened."""
    problem, context = error.problem or "", error.context or ""
    gave_up = _index(error.problem_mark or error.context_mark, text)
    opened = _index(error.context_mark, text)
    if "quoted scalar" in context and ("end of stream" in problem or "document" in problem):
        return opened, "a text without its closing quote"
    if "flow" in context and text[opened : opened + 1] in {"[", "{"}:
        closing = "]" if text[opened] == "[" else "}"
        elsewhere = error.problem_mark is None or error.problem_mark.line != error.context_mark.line
        if elsewhere or gave_up >= len(text.rstrip()):
            return (
                opened,
                f"'{text[opened]}' is not closed; expected ',' or '{closing}' behind its last value",
            )
        return gave_up, f"expected ',' or '{closing}'"
    character = text[gave_up : gave_up + 1]
    if character == "\t":
        message = "a tab; YAML is indented with blanks"
    elif "cannot start any token" in problem:
        message = f"{quoted(character)} cannot begin a value; put the text in quotes"
    else:
        otherwise = printable(f"not well formed: {problem or 'not YAML'}", 200)
        message = next((m for word, m in _SYNTAX.items() if word in problem), otherwise)
    return gave_up, message


class _HopelessError(Exception):
    """Reading on would take too much time or memory; that was reported."""


class _Reader:
    def __init__(self, yaml: Any, text: str, problems: Problems) -> None:
        self.yaml = yaml
        self.problems = problems
        self.events = yaml.parse(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
        self.trail: list[str | int] = []
        self.names: dict[str, str] = {}
        self.left = MOST_ENTRIES
        self.values_left = MOST_VALUES
        self.bracket = 0
        """End of the closing bracket of the collection read last; 0 if it has none."""

    def document(self) -> Document | None:
        next(self.events)  # the start of the stream
        if isinstance(next(self.events), self.yaml.StreamEndEvent):
            self.problems.add("P004", (0, 1), "the file is empty")
            return None
        first = next(self.events)
        value, mark, end = self._value(first)
        next(self.events)  # the end of the document
        following = next(self.events)
        if not isinstance(following, self.yaml.StreamEndEvent):
            self._note("P013", following, "a second document; a parameter file is one")
        return Document(value, (first.start_mark.index, end), mark)

    def _value(self, event: Any) -> tuple[Any, Mark, int]:
        """Read the value that begins with ``event``; returns it and where it ends."""
        yaml = self.yaml
        if isinstance(event, yaml.ScalarEvent):
            refused = self._refuse_properties(event)
            return None if refused else self._scalar(event), None, event.end_mark.index
        if isinstance(event, yaml.AliasEvent):
            self._note(
                "P013", event, f"the alias {printable('*' + event.anchor, 60)}; write the value itself"
            )
            return None, None, event.end_mark.index
        self._refuse_properties(event)
        if len(self.trail) >= DEEPEST:
            return self._too_deep(event)
        self._count(event)
        return self._mapping(event) if isinstance(event, yaml.MappingStartEvent) else self._sequence()

    def _mapping(self, start: Any) -> tuple[dict[str, Any], Members, int]:
        value: dict[str, Any] = {}
        marks = Members()
        end = start.end_mark.index
        for event in self._until(self.yaml.MappingEndEvent):
            key = self._key(event)
            self.trail.append("" if key is None else key)
            following = next(self.events)
            member, mark, end = self._value(following)
            self.trail.pop()
            if key is None:
                continue
            if key in value:
                self._note("P007", event, f"{quoted(key)} stands twice here", name=key)
                continue
            value[key] = member
            marks[key] = Member(
                event.start_mark.index, event.end_mark.index, following.start_mark.index, end, mark
            )
        return value, marks, max(end, self.bracket)

    def _sequence(self) -> tuple[list[Any], Items, int]:
        value: list[Any] = []
        items = Items()
        end = 0
        for event in self._until(self.yaml.SequenceEndEvent):
            self.trail.append(len(value))
            item, mark, end = self._value(event)
            self.trail.pop()
            if mark is not None:
                items.marks[len(value)] = mark
            value.append(item)
            self.values_left -= 1
            if self.values_left < 0:
                too_many_values(self.problems, event.start_mark.index)
                raise _HopelessError
            items.starts.append(event.start_mark.index)
            items.ends.append(end)
        return value, items, max(end, self.bracket)

    def _until(self, last: Any) -> Iterator[Any]:
        """Yield the events up to the one that ends a collection, and note where its bracket ends."""
        for event in self.events:
            if isinstance(event, last):
                # A collection written by indentation ends, for the parser, where the next thing begins.
                bracketed = event.end_mark.index > event.start_mark.index
                self.bracket = event.end_mark.index if bracketed else 0
                return
            yield event

    def _count(self, event: Any) -> None:
        """Count one name, object or array; stop the reading where there are too many."""
        self.left -= 1
        if self.left < 0:
            too_many(self.problems, event.start_mark.index)
            raise _HopelessError

    def _key(self, event: Any) -> str | None:
        """Return the name that ``event`` is, or None for one that is refused."""
        self._count(event)
        if not isinstance(event, self.yaml.ScalarEvent):
            self._note("P013", event, "a name that is not plain text")
            if not isinstance(event, self.yaml.AliasEvent):
                self._step_over()
            return None
        if self._refuse_properties(event):
            return None
        if event.value == "<<" and event.implicit[0]:
            self._note("P013", event, "the merge key <<; write the members themselves")
            return None
        return self.names.setdefault(event.value, event.value)

    def _refuse_properties(self, event: Any) -> bool:
        """Report an anchor or tag; returns whether there was one."""
        if event.anchor is not None:
            self._note("P013", event, f"the anchor {printable('&' + event.anchor, 60)}")
        if event.tag is not None:
            self._note("P013", event, f"the tag {printable(event.tag, 60)}; types come from the network")
        return event.anchor is not None or event.tag is not None

    def _scalar(self, event: Any) -> Any:
        text = event.value
        if not event.implicit[0]:
            if SURROGATE.search(text):
                self._note("P012", event, "half of a surrogate pair in a text")
                text = SURROGATE.sub("\N{REPLACEMENT CHARACTER}", text)
            return text
        if text in _CONSTANTS:
            return _CONSTANTS[text]
        if NUMBER.fullmatch(text):
            value, rule, message = numeral(text)
            if rule:
                self._note(rule, event, message)
            return value
        if _NOT_FINITE.fullmatch(text):
            self._note("P008", event, f"{text} is not a JSON number")
            return None
        if _MISLEADING.fullmatch(text):
            self._note(
                "P402", event, f"{printable(text, 30)} is read as a text here, elsewhere as a number or bool"
            )
        return text

    def _too_deep(self, event: Any) -> tuple[None, None, int]:
        self._note("P006", event, _TOO_DEEP)
        return None, None, self._step_over()

    def _step_over(self) -> int:
        """Consume the rest of a mapping or sequence without recursion; returns where it ends."""
        level = 1
        while True:
            event = next(self.events)
            level += isinstance(event, self.yaml.CollectionStartEvent)
            level -= isinstance(event, self.yaml.CollectionEndEvent)
            if level > _HOPELESS:
                raise _HopelessError
            if not level:
                return int(event.end_mark.index)

    def _note(self, rule: str, event: Any, message: str, *, name: str | None = None) -> None:
        path = (*self.trail, name) if name is not None else tuple(self.trail)
        self.problems.add(rule, (event.start_mark.index, event.end_mark.index), message, path=path)
