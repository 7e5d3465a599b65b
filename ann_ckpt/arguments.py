"""Checks what callers hand over, before anything happens."""

from __future__ import annotations

import math
from collections.abc import Mapping
from numbers import Real
from typing import Any

import numpy as np

from ann_ckpt.errors import OptionError, printable

__all__ = ["check_flags", "duration", "named", "number"]


def check_flags(*, hint: str | None = None, **flags: object) -> None:
    """Raise if an argument is neither True nor False; those of numpy are taken, and 0 and 1.

    Parameters
    ----------
    hint : str, optional
        What the caller may have meant.
    **flags
        Arguments by name.

    Raises
    ------
    OptionError
        If one of them is something else, which would count as True.
    """
    for name, value in flags.items():
        number = isinstance(value, int | np.integer) and value in (0, 1)
        if not number and not isinstance(value, np.bool_):
            what = f"not {value}" if isinstance(value, int | np.integer) else f"not a {type(value).__name__}"
            raise OptionError(
                f"{name}= takes True or False, {what}", details={} if hint is None else {"hint": hint}
            )


def named(name: str, objects: object, noun: str) -> dict[str, Any]:
    """Return objects by name.

    Parameters
    ----------
    name : str
        Of the argument.
    objects : mapping of str to object
    noun : str
        What each of them is.

    Raises
    ------
    OptionError
        If it is no mapping, or a name is no text.
    """
    if not isinstance(objects, Mapping):
        raise OptionError(
            f"{name}= takes a mapping of names to {noun}s, not a {type(objects).__name__}",
            details={"hint": '{"E": ...}'},
        )
    for key in objects:
        if not isinstance(key, str):
            raise OptionError(
                f"{name}=: the name {printable(repr(key), 60)} is of the type {type(key).__name__}, not str"
            )
    return dict(objects)


def duration(name: str, value: object) -> float:
    """Return a duration in ms.

    Raises
    ------
    OptionError
        If it is no number, not finite, or negative.
    """
    if not isinstance(value, Real) or isinstance(value, bool):
        raise OptionError(f"{name}= takes a number of ms, not a {type(value).__name__}")
    ms = float(value)
    if not 0 <= ms < math.inf:
        raise OptionError(f"{name}= takes a number of ms from 0, not {ms}")
    return ms


def number(name: str, value: Any) -> Any:
    """Return a number as it is, since an int64 may be no float; it may be infinite.

    Raises
    ------
    OptionError
        If it is something else, or NaN.
    """
    try:
        found = np.asarray(value)
    except ValueError:  # lists in lists of different lengths
        found = np.empty(0)
    if found.shape or found.dtype.kind not in "iuf":
        raise OptionError(f"{name}= takes a number, not a {type(value).__name__}")
    if np.isnan(found):
        raise OptionError(f"{name}= takes a number, not NaN")
    return found[()]
