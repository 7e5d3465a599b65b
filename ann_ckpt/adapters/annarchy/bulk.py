"""Rows of an instrumented network, between its memory and arrays of ours, without Python objects."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ann_ckpt.adapters.annarchy.rows import LazyRows, whole_rows
from ann_ckpt.model import Array

__all__ = ["BulkSynapses", "Copy", "write_rows"]

Copy = Callable[[int, int, NDArray[Any]], None]
"""``copy(low, high, values)``: all values of rows ``low`` to ``high - 1``, out of or into a flat array."""


class BulkSynapses(LazyRows):
    """One value per synapse of an instrumented projection, flat, shape ``(n_synapses,)``.

    Whole rows are copied straight to where they are wanted.

    Parameters
    ----------
    row_ptr : int64 array, shape (n_rows + 1,)
        Where each row starts, and the end of the last.
    dtype : numpy.dtype
        Type of the values, the one that they have in C++.
    read : callable
        Fills an array with the values of a range of rows.
    """

    __slots__ = ("_last", "_read", "_row_ptr")

    def __init__(self, row_ptr: NDArray[np.int64], dtype: np.dtype[Any], read: Copy) -> None:
        super().__init__((int(row_ptr[-1]),), dtype)
        self._row_ptr = row_ptr
        self._read = read
        self._last: tuple[int, NDArray[Any]] = (-1, np.empty(0, dtype))

    def _between(self, start: int, stop: int) -> NDArray[Any]:
        out = np.empty(stop - start, self.dtype)
        if not out.size:
            return out
        ptr = self._row_ptr
        low = int(np.searchsorted(ptr, start, side="left"))
        high = int(np.searchsorted(ptr, stop, side="right")) - 1
        if low > high:  # inside of one row
            return self._part(low - 1, start, stop)
        first, last = int(ptr[low]), int(ptr[high])
        if start < first:
            out[: first - start] = self._part(low - 1, start, first)
        if first < last:
            self._read(low, high, out[first - start : last - start])
        if last < stop:
            out[last - start :] = self._part(high, last, stop)
        return out

    def _part(self, row: int, start: int, stop: int) -> NDArray[Any]:
        """Return entries ``start`` to ``stop`` of one row, which is kept for the block that goes on in it."""
        begin, end = (int(at) for at in self._row_ptr[row : row + 2])
        if self._last[0] != row:
            values = np.empty(end - begin, self.dtype)
            self._read(row, row + 1, values)
            self._last = (row, values)
        return self._last[1][start - begin : stop - begin]


def write_rows(values: Array, row_ptr: NDArray[np.int64], dtype: np.dtype[Any], put: Copy) -> None:
    """Hand over values per synapse in blocks of whole rows.

    Parameters
    ----------
    values : Array, shape (n_synapses,)
        May be lazy; at most a block, or one row if that is longer, is in memory.
    row_ptr : int64 array, shape (n_rows + 1,)
        Where each row starts, and the end of the last.
    dtype : numpy.dtype
        Type that the C++ code takes.
    put : callable
        Sets the values of a range of rows.
    """
    for low, high, block in whole_rows(values, row_ptr, dtype):
        put(low, high, np.ascontiguousarray(block))
