"""Numbers with a unit: ``"tau": "10 ms"`` becomes a number in the unit that the model states.

Units are pint's. Only a number, followed by units with small powers, ever reaches it: its
own parser takes whole expressions, which can ask for any amount of work.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from decimal import Decimal
from functools import cache
from typing import Any

from ann_ckpt.errors import printable
from ann_ckpt.params.description import SECTIONS
from ann_ckpt.params.findings import quoted
from ann_ckpt.params.schema.schema import MarksReader, Schema
from ann_ckpt.params.text.document import NUMBER, Document, Problems, numeral

__all__ = [
    "in_model_units",
]

_NAME = r"[A-Za-zµμΩ°%]{1,20}(?:\s?(?:\^|\*\*)\s?-?[1-9])?"
_UNITS = re.compile(rf"{_NAME}(?:\s?[*/·]\s?{_NAME}|\s{_NAME}){{0,4}}")
_MOST_DIGITS = 40


class _Refused(Exception):  # noqa: N818 - it carries a message to where it is reported
    """A text that is not a quantity, or has another dimension than the model's."""

    def __init__(self, rule: str, message: str) -> None:
        super().__init__(message)
        self.rule = rule


def in_model_units(document: Document, schema: Schema, problems: Problems) -> Document:
    """Return a document whose quantities are plain numbers in the units of the model.

    A text that is none, or whose unit does not fit, is added to ``problems`` and stays.
    A document without quantities is returned as it is.

    Parameters
    ----------
    document : Document
        Content of a parameter file.
    schema : Schema
        Its ``x-ann`` notes say which unit each parameter has.
    """
    marks_of = MarksReader(schema)
    value: dict[str, Any] = dict(document.value)
    for section in SECTIONS:
        members = value.get(section)
        if not isinstance(members, dict):
            continue
        for owner, values in members.items():
            texts = [n for n, v in values.items() if type(v) is str] if isinstance(values, dict) else []
            if not texts:
                continue
            above = marks_of.owner((section, owner))
            changed = dict(values)
            for name in texts:
                path = (section, owner, name)
                marks = marks_of.member(above, name)
                if "ctype" not in marks:
                    continue  # an unknown name is reported by itself
                try:
                    changed[name] = _number(values[name], marks)
                except _Refused as refused:
                    problems.add(refused.rule, document.span_of(path), str(refused), path=path)
            if value[section] is members:
                value[section] = dict(members)
            value[section][owner] = changed
    return Document(value, document.span, document.mark)


def _number(text: str, marks: dict[str, Any]) -> int | float | str:
    """Return what a text stands for, in the unit of a parameter; a text that the schema refuses stays."""
    match = NUMBER.match(text.strip()[: _MOST_DIGITS * 2])
    unit = text.strip()[match.end() :].strip() if match else ""
    own = str(marks.get("unit", ""))
    if match is None or not unit or not _UNITS.fullmatch(unit):
        if own and marks["ctype"] != "bool":
            raise _Refused("P201", f"expected a number, found the text {quoted(text, 40)}")
        return text
    if not own or marks["ctype"] == "bool":
        raise _Refused(
            "P207", f"{quoted(text, 40)} has a unit and the parameter has none; give a plain number"
        )
    literal = match[0]
    value, rule, message = numeral(literal)
    if value is None or len(literal) > _MOST_DIGITS:
        raise _Refused(rule or "P010", message or f"a number of {len(literal)} characters beside a unit")
    if unit == own:
        return value
    converted = _converted(literal, unit, own)
    if not math.isfinite(converted):
        raise _Refused("P009", f"{quoted(text, 40)} is beyond the range of a double in {printable(own, 30)}")
    whole = marks["ctype"] not in {"double", "float"} and converted.is_integer()
    return int(converted) if whole else converted


def _converted(literal: str, unit: str, own: str) -> float:
    pint, quantity = _pint()
    for name, whose in ((own, "the model's unit"), (unit, "the unit")):
        if not _UNITS.fullmatch(name) or not _known(name):
            raise _Refused("P207", f"{whose} {quoted(name, 30)} is not known; give a plain number")
    try:
        return float(quantity(Decimal(literal), _spelled(unit)).to(_spelled(own)).magnitude)
    except pint.errors.DimensionalityError:
        raise _Refused("P207", f"expected {printable(own, 30)}, found {printable(unit, 30)}") from None
    except (pint.errors.PintError, ArithmeticError, TypeError, ValueError) as error:
        raise _Refused("P207", f"{quoted(unit, 30)} cannot be converted: {printable(error, 100)}") from None


def _spelled(unit: str) -> str:
    """Return a unit as pint spells it."""
    return unit.replace("·", "*").replace("Ohm", "ohm")


@cache
def _known(unit: str) -> bool:
    pint, quantity = _pint()
    try:
        quantity(1, _spelled(unit))
    except (pint.errors.PintError, ArithmeticError, TypeError, ValueError, AttributeError):
        return False
    return True


@cache
def _pint() -> tuple[Any, Callable[..., Any]]:
    try:
        import pint
    except ImportError:
        raise _Refused(
            "P207", "converting units needs pint: pip install 'ann_ckpt[units]'; or give a plain number"
        ) from None
    # Decimal numbers: 1.1 s are 1100 ms and not 1100.0000000000002.
    return pint, pint.UnitRegistry(non_int_type=Decimal, cache_folder=None).Quantity
