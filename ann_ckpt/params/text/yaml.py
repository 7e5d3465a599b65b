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
from ann_ckpt.params.text.document import Document, Items, Mark, Member, Members, Problems
from ann_ckpt.params.text.json import DEEPEST, SURROGATE
from ann_ckpt.params.text.numerals import NUMBER, numeral

__all__ = ["read_yaml"]

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
        mark = error.problem_mark or error.context_mark
        start = min(mark.index, len(text)) if mark is not None else 0
        if "nesting depth" in (error.problem or ""):  # the limit of libyaml 0.2.6, far beyond ours
            problems.add("P006", (start, start + 1), _TOO_DEEP)
            return None
        context = f", {error.context}" if error.context else ""
        problems.add("P001", (start, start + 1), printable(f"{error.problem or 'not YAML'}{context}"))
    return None


class _HopelessError(Exception):
    """The text is nested so deep that the parser takes ever longer for each level; that was reported."""


class _Reader:
    def __init__(self, yaml: Any, text: str, problems: Problems) -> None:
        self.yaml = yaml
        self.problems = problems
        self.events = yaml.parse(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
        self.trail: list[str | int] = []
        self.names: dict[str, str] = {}
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

    def _key(self, event: Any) -> str | None:
        """Return the name that ``event`` is, or None for one that is refused."""
        if not isinstance(event, self.yaml.ScalarEvent):
            self._note("P013", event, "a name that is no plain text")
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
            self._note("P008", event, f"{text} is no number of JSON")
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
