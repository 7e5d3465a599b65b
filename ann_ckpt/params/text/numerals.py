"""Number literals, the same for JSON, YAML and XML."""

from __future__ import annotations

import math
import re
from typing import NamedTuple

__all__ = ["LONGEST", "NUMBER", "Numeral", "numeral"]

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
