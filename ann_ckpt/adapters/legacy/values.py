"""Values of an old file, independent of its container format.

Pickles, archives and MATLAB files all come down to these few kinds of value; the
layouts of a dozen ANNarchy versions are told apart on them alone.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ann_ckpt.adapters.legacy.streams import Budget
from ann_ckpt.errors import CorruptFileError, UnsafeFileError, printable

__all__ = [
    "NumberRows",
    "OldDocument",
    "Table",
    "Value",
    "array_value",
    "assemble",
    "check_text",
    "is_number",
    "kind_of",
    "names",
    "number",
    "ranks",
    "rows_of",
    "text",
    "whole",
]


@dataclass(frozen=True, slots=True, eq=False)
class NumberRows:
    """A list of lists of numbers, as one flat array and where each row starts in it."""

    values: NDArray[Any]
    """All rows one after the other, shape ``(row_ptr[-1],)``."""
    row_ptr: NDArray[np.int64]
    """Start of each row and the end of the last, shape ``(n_rows + 1,)``."""

    @property
    def n_rows(self) -> int:
        """Number of rows, empty ones included."""
        return self.row_ptr.size - 1


Value: TypeAlias = (
    "bool | int | float | str | NDArray[Any] | NumberRows | tuple[Value, ...] | dict[str, Value] | None"
)
"""Nothing, one number, one text, an array of numbers of any shape, rows of numbers, or
a tuple or dict of values. A list of numbers is a flat array; a list of texts a tuple."""

Table: TypeAlias = "dict[str, Value]"


@dataclass(frozen=True, slots=True)
class OldDocument:
    """Everything one file says, and what its container gives away about the writer."""

    content: Value
    container: str
    """``pickle``, ``gzip``, ``npz`` or ``mat``."""
    traits: frozenset[str] = frozenset()
    """Marks of the writer: ``python2``, ``numpy2``, ``guessed-encoding``, ..."""


def assemble(items: Sequence[Value], budget: Budget) -> Value:
    """Put the elements of a list together: numbers, rows, texts, or a tuple of anything else.

    Parameters
    ----------
    items : sequence of Value
        The elements in order.
    budget : Budget
        Charged with every number that is copied.
    """
    kinds = {type(item) for item in items}
    if not items:
        return np.empty(0)
    if kinds <= {bool, int, float}:
        return _numbers(items)
    if kinds <= {np.ndarray} and all(item.ndim == 1 for item in items):  # type: ignore[union-attr]
        return _rows(items, budget)  # type: ignore[arg-type]
    if kinds <= {bool, int, float, np.ndarray} and all(np.ndim(item) == 0 for item in items):  # type: ignore[arg-type]
        return np.array([np.asarray(item)[()] for item in items])
    return tuple(items)


def array_value(array: NDArray[Any], budget: Budget) -> Value:
    """Return an array from a file as a value: native numbers, or texts as tuple or str."""
    if array.dtype.kind in "US":
        budget.expand(array.size)
        if array.dtype.kind == "U" and array.size and array.dtype.itemsize:
            codes = np.ascontiguousarray(array).view(np.dtype("u4").newbyteorder(array.dtype.byteorder))
            if codes.max() > sys.maxunicode:
                raise CorruptFileError("an array of texts holds a value that is not a text")
        try:
            texts = [
                t.decode("utf-8") if isinstance(t, bytes) else str(t) for t in array.reshape(-1).tolist()
            ]
        except (ValueError, OverflowError) as error:
            raise CorruptFileError("an array of texts holds a value that is not a text") from error
        return tuple(texts) if array.ndim else texts[0]
    if array.dtype.kind == "b" and array.size and array.view(np.uint8).max() > 1:
        raise CorruptFileError("an array of bools holds a value other than true and false")
    if not array.dtype.isnative:
        budget.expand(array.size)
        array = array.astype(array.dtype.newbyteorder("="))
    return array


def _numbers(items: Sequence[Any]) -> NDArray[Any]:
    integers = not any(isinstance(item, float) for item in items)
    try:
        array = np.array(items)
        if integers and array.dtype.kind == "f" and min(items) >= 0:
            array = np.array(items, np.uint64)  # numpy has floats for large integers beside small ones
    except (OverflowError, ValueError) as error:
        raise CorruptFileError(
            "a list of numbers holds one that cannot be represented in an array"
        ) from error
    if array.dtype.kind not in ("iub" if integers else "f"):
        raise CorruptFileError("the numbers of a list do not share one type")
    return array


def _rows(items: Sequence[NDArray[Any]], budget: Budget) -> NumberRows:
    sizes = np.fromiter((item.size for item in items), np.int64, len(items))
    row_ptr = np.concatenate((np.zeros(1, np.int64), np.cumsum(sizes)))
    filled = [item for item in items if item.size]
    budget.expand(int(row_ptr[-1]) + len(items))
    values = np.concatenate(filled) if filled else np.empty(0)
    if filled and values.dtype.kind == "f" and all(item.dtype.kind in "iub" for item in filled):
        if any(item.min() < 0 for item in filled):
            raise CorruptFileError("the numbers of rows do not share one type")
        values = np.concatenate(filled, dtype=np.uint64, casting="unsafe")
    return NumberRows(values, row_ptr)


_LARGEST = (1 << 63) - 1
_NAME_CHARACTERS = 1000
"""Longest name; no simulator compiles a longer one, and HDF5 has its own limits."""


def kind_of(value: Value) -> str:
    """Say for people what a value is."""
    if isinstance(value, np.ndarray):
        return f"an array of {value.dtype}, shape {value.shape}"
    if isinstance(value, NumberRows):
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
    """Return a text that every format can hold; unpaired surrogates are refused.

    Raises
    ------
    CorruptFileError
        If it is not valid Unicode.
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


def rows_of(value: Value, n_rows: int) -> NumberRows | None:
    """Return a value as ``n_rows`` rows of numbers, or None if it is not of that form."""
    if isinstance(value, NumberRows):
        return value if value.n_rows == n_rows else None
    if not isinstance(value, np.ndarray) or value.dtype.kind not in "iufb":
        return None
    if value.ndim == 2 and value.shape[0] == n_rows:
        return NumberRows(value.reshape(-1), np.arange(n_rows + 1, dtype=np.int64) * value.shape[1])
    if not value.size and not n_rows:
        return NumberRows(value.reshape(-1), np.zeros(1, np.int64))
    return None
