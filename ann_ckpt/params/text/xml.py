"""The XML parameter files of ANNarchy before 4.6: free names and values.

    <database>
      <parameter><name>tau</name><value>10.0</value></parameter>
    </database>

Such a file never knew populations; a script looked the values up by name. They read as
the ``network`` section here, which is what the two calls give back to a script.

The values become what ANNarchy makes of them: an integer, else a float, else a text.
Document types and entities are refused before anything is expanded.
"""

from __future__ import annotations

import re
from typing import Any
from xml.parsers import expat

from ann_ckpt.errors import printable
from ann_ckpt.params.findings import quoted
from ann_ckpt.params.text.document import (
    NUMBER,
    Document,
    Member,
    Members,
    Problems,
    SourceText,
    Span,
    numeral,
)

__all__ = [
    "read_xml",
]

# Python's own reading, which ANNarchy used, takes a sign, a bare point and leading zeros.
_PYTHON_NUMBER = re.compile(r"[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?")
_NOT_FINITE = re.compile(r"[-+]?(?:nan|inf|infinity)", re.IGNORECASE)


def read_xml(source: SourceText, problems: Problems) -> Document | None:
    """Read an XML parameter file and add to ``problems`` whatever is wrong with it.

    Returns None where the text is not well formed or asks for an entity.
    """
    return _Reader(source, problems).document()


class _Refused(Exception):  # noqa: N818 - it ends the reading, it is not an error of the caller
    """The file asks for something that is not read."""


class _Reader:
    def __init__(self, source: SourceText, problems: Problems) -> None:
        self.source = source
        self.problems = problems
        self.open: list[tuple[str, int]] = []
        """Tag and offset of each element on the way down."""
        self.fields: dict[str, tuple[str, Span]] = {}
        """Text and position of each field of the parameter being read."""
        self.text: list[str] = []
        self.text_start = 0
        self.values: dict[str, Any] = {}
        self.marks = Members()
        self.parser = expat.ParserCreate()
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.CharacterDataHandler = self._characters
        self.parser.StartDoctypeDeclHandler = self._doctype

    def document(self) -> Document | None:
        try:
            self.parser.Parse(self.source.text, True)
        except expat.ExpatError as error:
            start = self.source.offset(error.lineno - 1, error.offset)
            self.problems.add("P001", (start, start + 1), expat.errors.messages[error.code])
            return None
        except _Refused:
            return None
        whole = (0, len(self.source.text))
        network = Member(*whole, *whole, self.marks)
        return Document({"network": self.values}, whole, Members(network=network))

    def _here(self) -> int:
        return self.source.offset(self.parser.CurrentLineNumber - 1, self.parser.CurrentColumnNumber)

    def _doctype(self, *_: object) -> None:
        # The parser says so only where the inner part of the declaration begins.
        start = max(0, self.source.text.rfind("<!DOCTYPE", 0, self._here() + 1))
        self.problems.add("P015", (start, start + len("<!DOCTYPE")), "a document type; entities are not read")
        raise _Refused

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        start = self._here()
        self.open.append((tag, start))
        self.text = []
        expected = {2: ("parameter",), 3: ("name", "value")}.get(len(self.open))
        if len(self.open) == 1 and tag != "database":
            self._note(start, tag, f"the root element {printable(tag, 60)}; expected database")
            raise _Refused
        if expected is not None and tag not in expected:
            self._note(start, tag, f"the element {printable(tag, 60)}; expected {' or '.join(expected)}")
        elif len(self.open) > 3:
            self._note(
                start, tag, f"the element {printable(tag, 60)} inside {printable(self.open[2][0], 60)}"
            )
            raise _Refused
        elif len(self.open) == 3 and tag in self.fields:
            self._note(start, tag, f"a second {tag} in one parameter")
        if attributes:
            self._note(start, tag, f"the attribute {printable(next(iter(attributes)), 60)}; there are none")

    def _characters(self, text: str) -> None:
        if not self.text:
            self.text_start = self._here()
        self.text.append(text)

    def _end(self, tag: str) -> None:
        _, start = self.open.pop()
        if len(self.open) == 2:
            text = "".join(self.text)
            at = self.text_start + len(text) - len(text.lstrip()) if text.strip() else start
            length = len(text.strip()) or len(tag) + 2
            self.fields.setdefault(tag, (text.strip(), (at, at + length)))
        elif len(self.open) == 1:
            if tag == "parameter":
                self._parameter(start)
            self.fields = {}
        self.text = []

    def _parameter(self, start: int) -> None:
        name, name_span = self.fields.get("name", ("", (start, start)))
        value, value_span = self.fields.get("value", ("", (start, start)))
        if not name or not value:
            self._note(start, "parameter", f"a parameter without its {'value' if name else 'name'}")
        elif name in self.values:
            self.problems.add("P007", name_span, f"{quoted(name)} stands twice", path=("network", name))
        else:
            self.values[name] = self._value(value, value_span, name)
            self.marks[name] = Member(*name_span, *value_span, None)

    def _value(self, text: str, span: Span, name: str) -> Any:
        if _NOT_FINITE.fullmatch(text):
            self.problems.add("P008", span, f"{text} is not a finite number", path=("network", name))
            return None
        if not _PYTHON_NUMBER.fullmatch(text):
            return text
        value, rule, message = numeral(_as_json(text))
        if rule:
            self.problems.add(rule, span, message, path=("network", name))
        return value

    def _note(self, start: int, tag: str, message: str) -> None:
        self.problems.add("P014", (start, start + len(tag) + 1), message)


def _as_json(literal: str) -> str:
    """Return a number that Python reads as JSON writes it; what is too long stays too long."""
    if NUMBER.fullmatch(literal):
        return literal
    sign = "-" if literal.startswith("-") else ""
    mantissa, mark, exponent = literal.lstrip("+-").lower().partition("e")
    whole, point, fraction = mantissa.partition(".")
    return f"{sign}{whole.lstrip('0') or '0'}{point and '.' + (fraction or '0')}{mark}{exponent}"
