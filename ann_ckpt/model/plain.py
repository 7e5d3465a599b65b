"""Plain values of a state: checks that texts, integers and bounds can be stored, and metadata as JSON.

Every check takes what it looks at in words, for the message, and raises a
:class:`~ann_ckpt.errors.StateError` if it is not as it has to be. In metadata, numbers come out of
numpy, paths out of `pathlib`, and a loss may be NaN: what has an obvious meaning in JSON is taken; the
rest is named before anything is written.
"""

from __future__ import annotations

import contextlib
import json
import math
import operator
import os
from collections.abc import Callable, Mapping
from datetime import date, datetime, time
from enum import Enum
from typing import Any
from uuid import UUID

import numpy as np

from ann_ckpt.errors import StateError, printable

__all__ = [
    "NONFINITE",
    "bound",
    "check_kind",
    "check_text",
    "mapping",
    "metadata_from_json",
    "metadata_to_json",
    "optional_whole",
    "plain_metadata",
    "same_plain",
    "step_length",
    "stored_text",
    "strict_json",
    "whole",
]


def check_text(what: str, text: object) -> str:
    """Return ``text`` if it can be encoded as UTF-8.

    Raises
    ------
    StateError
        If it is not a text, or holds half of a surrogate pair.
    """
    if not isinstance(text, str):
        raise StateError(f"{what} is of type {type(text).__name__}", details={"expected": "a text (str)"})
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise StateError(f"{what} cannot be written as UTF-8: {printable(ascii(text))}") from error
    return str(text)


def same_plain(one: object, other: object) -> bool:
    """Return whether two values of metadata are one in JSON, where 1, 1.0 and true are three.

    Examples
    --------
    >>> same_plain({"a": 1, "b": []}, {"b": [], "a": 1}), same_plain([1], [True])
    (True, False)
    """
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)


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


NONFINITE = "__float__"
"""Only key of the JSON object that stands for a number which JSON does not have."""
_NUMBERS = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}

_DEPTH = 100
"""Nested lists and objects; readers in other languages have limits too."""
_ARRAY_VALUES = 10_000
"""Values of an array that is kept as a list of numbers."""
_INTEGER_BITS = 14_280
"""Python refuses to read or write more than 4300 decimal digits."""


def plain_metadata(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return a copy made of dicts, lists, texts, numbers, bools and None only.

    numpy's numbers and arrays become Python's, tuples lists, keys texts; paths, dates,
    times and UUIDs their usual texts; members of an enumeration their values.

    Raises
    ------
    StateError
        If something has no obvious form in JSON; the message says under which key.
    """
    if not isinstance(given, Mapping):
        raise StateError(f"metadata is {_type(given)}", details={"expected": "a mapping of names to values"})
    return _mapping(given, "metadata", 0)


def metadata_to_json(metadata: Mapping[str, Any]) -> str:
    """Return plain metadata as one strict JSON text; :func:`metadata_from_json` undoes it exactly."""
    return json.dumps(_marked(metadata), ensure_ascii=False, allow_nan=False)


def metadata_from_json(document: Mapping[str, Any]) -> dict[str, Any]:
    """Parse metadata from the JSON object in a file."""
    return {key: _unmarked(value) for key, value in document.items()}


def strict_json(text: str) -> Any:
    """Parse a JSON text as RFC 8259 has it, of which every part can be written again.

    Raises
    ------
    ValueError
        If it is none, or a key stands twice, a number is too large for a float, or a text is not UTF-8.
    """
    value = json.loads(text, object_pairs_hook=_unique, parse_constant=_finite, parse_float=_finite)
    if "\\ud" in text.lower():  # halves of surrogate pairs, unless two of them are one character
        json.dumps(value, ensure_ascii=False).encode()
    return value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key stands twice in a JSON object")
    return found


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{printable(text, 40)} is no number in JSON, or too large")
    return number


def _plain(value: Any, where: str, depth: int) -> Any:
    if depth > _DEPTH:
        raise StateError(f"metadata is nested deeper than {_DEPTH}")
    if isinstance(value, Enum):
        value = value.value
    if isinstance(value, np.ndarray):
        value = _list(value, where)
    if isinstance(value, Mapping):
        return _mapping(value, where, depth)
    if isinstance(value, list | tuple):
        return [_plain(entry, f"{where}[{i}]", depth + 1) for i, entry in enumerate(value)]
    return None if value is None else _single(value, where)


def _single(value: Any, where: str) -> bool | int | float | str:
    if isinstance(value, np.timedelta64):  # numpy takes it for an integer, whose unit would be lost
        raise _unknown(value, where)
    for kinds, turn in _SINGLE:
        if isinstance(value, kinds):
            plain = turn(value)
            if isinstance(plain, float) and plain != value and not math.isnan(plain):
                raise StateError(f"{where} is {printable(value, 40)}, which no float of 8 bytes is")
            if isinstance(plain, int) and plain.bit_length() > _INTEGER_BITS:
                raise StateError(f"{where} is an integer of more than {_INTEGER_BITS} bits")
            return plain if isinstance(plain, int | float) else check_text(where, plain)
    raise _unknown(value, where)


def _float(value: Any) -> float:
    # One object stands for every NaN, so that equal metadata compares equal.
    return math.nan if math.isnan(value) else float(value)


_SINGLE: tuple[tuple[Any, Callable[[Any], Any]], ...] = (
    (bool | np.bool_, bool),
    (int | np.integer, int),
    (float | np.floating, _float),
    (str | np.datetime64 | UUID, str),
    (datetime | date | time, lambda moment: moment.isoformat()),
    (os.PathLike, os.fspath),
)
"""Classes of single values, and what turns one of them into what JSON has."""


def _mapping(given: Mapping[Any, Any], where: str, depth: int) -> dict[str, Any]:
    plain: dict[str, Any] = {}
    for key, value in given.items():
        name = _key(key, where)
        if name in plain:
            raise StateError(f"two keys of {where} become the same text {printable(name)!r}")
        plain[name] = _plain(value, f"{where}[{printable(name, 60)!r}]", depth + 1)
    if _is_mark(plain):
        raise StateError(f"{where} has the form reserved for {plain[NONFINITE]}; pass the number itself")
    return plain


def _key(key: Any, where: str) -> str:
    """Keys that are not texts become the texts that Python's own `json` makes of them."""
    what = f"the key {_shown(key)} of {where}"
    if isinstance(key, str):
        return check_text(what, key)
    plain = _plain(key, what, 0)
    if isinstance(plain, list | dict):
        raise StateError(f"{what} is not a text")
    return plain if isinstance(plain, str) else json.dumps(plain)


def _shown(key: Any) -> str:
    try:
        return printable(ascii(key), 60)
    except ValueError:  # Python writes no integers of more than 4300 digits
        return f"<{type(key).__name__}>"


def _list(values: np.ndarray[Any, Any], where: str) -> Any:
    if values.size > _ARRAY_VALUES:
        raise StateError(
            f"{where} is an array of {values.size:,} values",
            details={
                "expected": f"at most {_ARRAY_VALUES:,}; store larger arrays as a constant of the state"
            },
        )
    if np.ma.is_masked(values) or values.dtype.kind not in "biufUM":
        raise _unknown(values, where)
    return (values.astype(str) if values.dtype.kind == "M" else values).tolist()


def _marked(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _marked(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [_marked(entry) for entry in value]
    if isinstance(value, float) and not math.isfinite(value):
        return {NONFINITE: str(value)}
    return value


def _unmarked(value: Any) -> Any:
    if isinstance(value, dict):
        return _NUMBERS[value[NONFINITE]] if _is_mark(value) else metadata_from_json(value)
    return [_unmarked(entry) for entry in value] if isinstance(value, list) else value


def _is_mark(value: Mapping[str, Any]) -> bool:
    return list(value) == [NONFINITE] and isinstance(value[NONFINITE], str) and value[NONFINITE] in _NUMBERS


def _unknown(value: object, where: str) -> StateError:
    return StateError(
        f"{where} is {_type(value)}, which cannot be represented in JSON",
        details={"expected": "texts, numbers, bools, None, lists and mappings of them, paths, dates"},
    )


def _type(value: object) -> str:
    if isinstance(value, np.ma.MaskedArray):
        return "a masked array"
    if isinstance(value, np.ndarray):
        return f"an array of {value.dtype}"
    return f"of type {type(value).__name__}"
