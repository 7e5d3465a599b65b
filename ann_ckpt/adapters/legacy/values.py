"""What a file holds once its container is peeled off, whatever the container was.

Pickles, archives and MATLAB files all come down to these few kinds of value; the
layouts of a dozen ANNarchy versions are told apart on them alone.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ann_ckpt.adapters.legacy.limits import Budget
from ann_ckpt.errors import CorruptFileError

__all__ = ["Document", "Rows", "Table", "Value", "array_value", "assemble"]


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
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
    "bool | int | float | str | NDArray[Any] | Rows | tuple[Value, ...] | dict[str, Value] | None"
)
"""Nothing, one number, one text, an array of numbers of any shape, rows of numbers, or
a tuple or dict of values. A list of numbers is a flat array; a list of texts a tuple."""

Table: TypeAlias = "dict[str, Value]"


@dataclass(frozen=True, slots=True)
class Document:
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
                raise CorruptFileError("an array of texts holds what is no text")
        try:
            texts = [
                t.decode("utf-8") if isinstance(t, bytes) else str(t) for t in array.reshape(-1).tolist()
            ]
        except (ValueError, OverflowError) as error:
            raise CorruptFileError("an array of texts holds what is no text") from error
        return tuple(texts) if array.ndim else texts[0]
    if array.dtype.kind == "b" and array.size and array.view(np.uint8).max() > 1:
        raise CorruptFileError("an array of bools holds what is neither true nor false")
    if not array.dtype.isnative:
        budget.expand(array.size)
        array = array.astype(array.dtype.newbyteorder("="))
    return array


def _numbers(items: Sequence[Any]) -> NDArray[Any]:
    try:
        array = np.array(items)
    except (OverflowError, ValueError) as error:
        raise CorruptFileError("a list of numbers holds one that no array can hold") from error
    integers = not any(isinstance(item, float) for item in items)
    if array.dtype.kind not in ("iub" if integers else "f"):
        raise CorruptFileError("the numbers of a list do not fit into one type")
    return array


def _rows(items: Sequence[NDArray[Any]], budget: Budget) -> Rows:
    sizes = np.fromiter((item.size for item in items), np.int64, len(items))
    row_ptr = np.concatenate((np.zeros(1, np.int64), np.cumsum(sizes)))
    filled = [item for item in items if item.size]
    budget.expand(int(row_ptr[-1]) + len(items))
    values = np.concatenate(filled) if filled else np.empty(0)
    return Rows(values, row_ptr)
