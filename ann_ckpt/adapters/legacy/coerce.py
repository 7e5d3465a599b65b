"""Asking a value for what a layout expects there: ranks, rows, names, one number.

Everything comes from a file that a stranger may have written; what does not fit is a
:class:`~ann_ckpt.CorruptFileError` with the entry's name, never a surprise later.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ann_ckpt.adapters.legacy.values import Rows, Value
from ann_ckpt.errors import CorruptFileError, UnsafeFileError, printable

__all__ = ["check_text", "is_number", "kind_of", "names", "number", "ranks", "rows_of", "text", "whole"]


_LARGEST = (1 << 63) - 1
_NAME_CHARACTERS = 1000
"""Longest name; no simulator compiles a longer one, and HDF5 has its own limits."""


def kind_of(value: Value) -> str:
    """Say for people what a value is."""
    if isinstance(value, np.ndarray):
        return f"an array of {value.dtype}, shape {value.shape}"
    if isinstance(value, Rows):
        return f"{value.n_rows} rows of numbers"
    if isinstance(value, (tuple, dict, str)):
        return {tuple: "a list", dict: "a dict", str: "a text"}[type(value)]
    return "nothing" if value is None else printable(value, 40)


def is_number(value: Value) -> bool:
    """Whether a value is one number or bool."""
    return isinstance(value, (bool, int, float)) or (isinstance(value, np.ndarray) and value.ndim == 0)


def number(value: Value) -> NDArray[Any] | None:
    """Return one number as an array of shape ``()``, or None if the value is none."""
    if not is_number(value):
        return None
    array = np.asarray(value)
    return array if array.dtype.kind in "iufb" else None


def whole(value: Value, what: str) -> int:
    """Return one integer."""
    array = np.asarray(value).reshape(-1) if isinstance(value, (int, np.ndarray)) else np.empty(0)
    if array.size != 1 or array.dtype.kind not in "iu" or int(array[0]) > _LARGEST:
        raise CorruptFileError(f"{what} is {kind_of(value)}; expected one integer")
    return int(array[0])


def text(value: Value, what: str) -> str:
    """Return a text; a list of one text counts, as MATLAB files know no other."""
    if isinstance(value, tuple) and len(value) == 1:
        value = value[0]
    if not isinstance(value, str):
        raise CorruptFileError(f"{what} is {kind_of(value)}; expected a text")
    return check_text(value)


def check_text(value: str) -> str:
    """Return a text that every format can hold; half a surrogate pair is none.

    Raises
    ------
    CorruptFileError
        If it is no Unicode.
    UnsafeFileError
        If it is longer than any name.
    """
    if len(value) > _NAME_CHARACTERS:
        raise UnsafeFileError(f"a name has {len(value)} characters", details={"begins": printable(value, 40)})
    try:
        value.encode("utf-8")
    except UnicodeEncodeError as error:
        raise CorruptFileError(f"a name is not Unicode: {printable(value, 40)!r}") from error
    return value


def names(table: Mapping[str, Value], key: str) -> tuple[str, ...]:
    """Return the list of names under ``key``, each once; empty if there is none."""
    value = table.get(key)
    if isinstance(value, str):
        value = (value,)
    if value is None or (isinstance(value, np.ndarray) and not value.size):
        return ()
    if not isinstance(value, tuple) or not all(isinstance(name, str) for name in value):
        raise CorruptFileError(f"{key!r} is {kind_of(value)}; expected a list of names")
    return tuple(dict.fromkeys(check_text(str(name)) for name in value))


def ranks(value: Value, what: str) -> NDArray[Any]:
    """Return a flat array of integers."""
    array = value if isinstance(value, np.ndarray) else None
    if array is not None and not array.size:
        return np.empty(0, np.int64)
    if array is None or array.dtype.kind not in "iu" or max(array.shape, default=1) != array.size:
        raise CorruptFileError(f"{what} is {kind_of(value)}; expected a flat list of integers")
    return array.reshape(-1)


def rows_of(value: Value, n_rows: int) -> Rows | None:
    """Return a value as ``n_rows`` rows of numbers, or None if it is not of that form."""
    if isinstance(value, Rows):
        return value if value.n_rows == n_rows else None
    if not isinstance(value, np.ndarray) or value.dtype.kind not in "iufb":
        return None
    if value.ndim == 2 and value.shape[0] == n_rows:
        return Rows(value.reshape(-1), np.arange(n_rows + 1, dtype=np.int64) * value.shape[1])
    if not value.size and not n_rows:
        return Rows(value.reshape(-1), np.zeros(1, np.int64))
    return None
