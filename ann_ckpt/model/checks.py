"""Checks that texts, integers and bounds of a state can be stored.

Every function takes what it looks at in words, for the message, and raises a
:class:`~ann_ckpt.errors.StateError` if it is not as it has to be.
"""

from __future__ import annotations

import contextlib
import math
import operator
from collections.abc import Mapping
from typing import Any

import numpy as np

from ann_ckpt.errors import StateError, printable

__all__ = [
    "bound",
    "check_kind",
    "check_text",
    "mapping",
    "optional_whole",
    "step_length",
    "stored_text",
    "whole",
]


def check_text(what: str, text: object) -> str:
    """Return ``text`` if it can be encoded as UTF-8.

    Raises
    ------
    StateError
        If it is no text, or holds half of a surrogate pair.
    """
    if not isinstance(text, str):
        raise StateError(f"{what} is of type {type(text).__name__}", details={"expected": "a text (str)"})
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise StateError(f"{what} cannot be written as UTF-8: {printable(ascii(text))}") from error
    return str(text)


def mapping(what: str, given: Any) -> Mapping[Any, Any]:
    """Return ``given`` if it is a mapping."""
    if not isinstance(given, Mapping):
        raise StateError(
            f"{what} are of type {type(given).__name__}", details={"expected": "a mapping, by name"}
        )
    return given


def check_kind(what: str, given: object, kind: Any) -> None:
    """Raise if ``given`` is not an instance of the class or classes."""
    if not isinstance(given, kind):
        name = getattr(kind, "__name__", str(kind).replace("ann_ckpt.model.", ""))
        raise StateError(f"{what} is of type {type(given).__name__}", details={"expected": name})


def stored_text(what: str, text: object) -> str:
    """Return a text that can be stored in a NUL-padded fixed-length string."""
    checked = check_text(what, text)
    if checked.endswith("\0"):
        raise StateError(f"{what} is {printable(checked)!r}; a trailing NUL cannot be stored")
    return checked


def optional_whole(what: str, given: Any, lowest: int = 0) -> int | None:
    """Return what :func:`whole` does, or None."""
    return None if given is None else whole(what, given, lowest)


def whole(what: str, given: Any, lowest: int = 0) -> int:
    """Return an integer of 64 bits as Python has it; numpy's are taken too."""
    try:
        number = operator.index(given)
    except TypeError as error:
        raise StateError(f"{what} is {printable(given, 40)!r}", details={"expected": "an integer"}) from error
    if not lowest <= number < 2**63:
        raise StateError(
            f"{what} is {printable(number, 40)}",
            details={"expected": f"an integer from {lowest} to 2**63 - 1"},
        )
    return number


def step_length(dt: Any) -> float | None:
    """Return the length of a step in ms, or None."""
    if dt is None:
        return None
    try:
        length = float(dt + 0)  # texts have no sum
    except (TypeError, ValueError, OverflowError) as error:
        raise StateError(f"dt is {printable(dt, 40)!r}", details={"expected": "a length in ms"}) from error
    if not (math.isfinite(length) and length > 0):
        raise StateError(f"dt is {length}; expected a positive length in ms")
    return length


def bound(what: str, given: Any) -> float | None:
    """Return a bound of an attribute, or None where there is none."""
    if given is None:
        return None
    number: object = given.item() if isinstance(given, np.generic) else given
    with contextlib.suppress(OverflowError):  # an integer that no float can hold
        if isinstance(number, int | float) and math.isfinite(number):
            return number
    raise StateError(
        f"the {what} of an attribute is {printable(given, 40)!r}",
        details={"expected": "a finite number, or None where there is no bound"},
    )
