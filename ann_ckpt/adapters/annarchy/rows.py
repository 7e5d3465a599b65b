"""Live values as lazy arrays: fetched when asked for, a block at a time.

ANNarchy hands out the synapses of one dendrite as a Python list. A flat view of them
has to cut and join such lists without ever holding more than a block.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ann_ckpt.errors import SimulatorError
from ann_ckpt.model import Array
from ann_ckpt.model.arrays import BLOCK_BYTES

__all__ = [
    "BulkSynapses",
    "Copy",
    "LazyRows",
    "Neurons",
    "RowSynapses",
    "rows_of",
    "whole_rows",
    "write_rows",
]


Fetch = Callable[[int], Sequence[Any]]
"""Row number -> values of its synapses."""


_CODES = {"f8": "d", "f4": "f", "i4": "i", "b1": "?"}
"""Type of the values -> how :mod:`struct` calls it."""


class LazyRows:
    """What all kinds have in common: a shape, a type, and slices of the first axis."""

    __slots__ = ("dtype", "shape")

    def __init__(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
        self.shape = shape
        self.dtype = dtype

    def __getitem__(self, key: slice) -> NDArray[Any]:
        start, stop, step = key.indices(self.shape[0])
        if step != 1:
            return self._between(0, self.shape[0])[key]
        return self._between(start, max(start, stop))

    def __array__(self, dtype: Any = None, *, copy: bool | None = None) -> NDArray[Any]:
        if copy is False:
            raise ValueError("the values of a live network cannot be returned without a copy")
        whole = self._between(0, self.shape[0])
        return whole if dtype is None else whole.astype(dtype, copy=False)

    def _between(self, start: int, stop: int) -> NDArray[Any]:
        raise NotImplementedError


class RowSynapses(LazyRows):
    """One value per synapse of a live projection, flat, shape ``(n_synapses,)``.

    Parameters
    ----------
    row_ptr : int64 array, shape (n_rows + 1,)
        Where each row starts, and the end of the last.
    dtype : numpy.dtype
        Type of the values.
    fetch : callable
        Returns the values of one row; called once per row while reading onwards.
    """

    __slots__ = ("_fetch", "_last", "_row_ptr")

    def __init__(self, row_ptr: NDArray[np.int64], dtype: np.dtype[Any], fetch: Fetch) -> None:
        super().__init__((int(row_ptr[-1]),), dtype)
        self._row_ptr = row_ptr
        self._fetch = fetch
        self._last: tuple[int, NDArray[Any]] = (-1, np.empty(0, dtype))

    def _between(self, start: int, stop: int) -> NDArray[Any]:
        out = np.empty(stop - start, self.dtype)
        if not out.size:
            return out
        first = int(np.searchsorted(self._row_ptr, start, side="right")) - 1
        last = int(np.searchsorted(self._row_ptr, stop, side="left"))
        bounds: list[int] = self._row_ptr[first : last + 1].tolist()
        raw = out.data.cast("B")
        for row, (begin, end) in enumerate(pairwise(bounds), start=first):
            if begin == end:
                continue
            if start <= begin and end <= stop:
                self._pack(row, end - begin, raw, begin - start)
            else:
                cut = self._row(row, end - begin)[max(start - begin, 0) : stop - begin]
                at = max(begin - start, 0)
                out[at : at + cut.size] = cut
        return out

    def _pack(self, row: int, size: int, raw: memoryview, at: int) -> None:
        """Write a whole row at element ``at``: twice as fast as assigning a list to a slice."""
        values = self._fetch(row)
        try:
            _packer(size, self.dtype).pack_into(raw, at * self.dtype.itemsize, *values)
        except struct.error as error:
            raise self._changed(row, size, len(values)) from error

    def _row(self, row: int, size: int) -> NDArray[Any]:
        """Return one row, kept for the block that starts where this one was cut."""
        if self._last[0] != row:
            values = np.array(self._fetch(row), self.dtype)
            if values.size != size:
                raise self._changed(row, size, values.size)
            self._last = (row, values)
        return self._last[1]

    @staticmethod
    def _changed(row: int, size: int, now: int) -> SimulatorError:
        return SimulatorError(
            f"row {row} has {now} synapses now and had {size} when reading began",
            details={"hint": "do not simulate or change a network while its state is read"},
        )


class Neurons(LazyRows):
    """One value per neuron of a live population, in its geometry.

    ANNarchy hands out all of them at once; they are kept from the first slice to the
    one that reaches the end, so that reading onwards fetches once.

    Parameters
    ----------
    geometry : tuple of int
        Shape of the population.
    dtype : numpy.dtype
        Type of the values.
    fetch : callable
        Returns the values of all neurons, by rank.
    """

    __slots__ = ("_fetch", "_held")

    def __init__(
        self,
        geometry: tuple[int, ...],
        dtype: np.dtype[Any],
        fetch: Callable[[], Sequence[Any] | NDArray[Any]],
    ) -> None:
        super().__init__(geometry, dtype)
        self._fetch = fetch
        self._held: NDArray[Any] | None = None

    def _between(self, start: int, stop: int) -> NDArray[Any]:
        if self._held is None or start == 0:
            self._held = np.array(self._fetch(), self.dtype).reshape(self.shape)
        values = self._held[start:stop]
        if stop >= self.shape[0]:
            self._held = None
        return values


def rows_of(
    values: Array, row_ptr: NDArray[np.int64], dtype: np.dtype[Any]
) -> Iterator[tuple[int, list[Any]]]:
    """Yield ``(row, values)`` with the values as a list, reading whole rows in blocks.

    ANNarchy takes lists twice as fast as arrays.

    Parameters
    ----------
    values : Array, shape (n_synapses,)
        May be lazy; at most a block, or one row if that is longer, is in memory.
    row_ptr : int64 array, shape (n_rows + 1,)
        Where each row starts, and the end of the last.
    dtype : numpy.dtype
        Type that the C++ code takes.
    """
    for low, high, block in whole_rows(values, row_ptr, dtype):
        bounds: list[int] = row_ptr[low : high + 1].tolist()
        for row, (begin, end) in enumerate(pairwise(bounds), start=low):
            yield row, block[begin - bounds[0] : end - bounds[0]].tolist()


def whole_rows(
    values: Array, row_ptr: NDArray[np.int64], dtype: np.dtype[Any]
) -> Iterator[tuple[int, int, NDArray[Any]]]:
    """Yield ``(low, high, block)``: the values of rows ``low`` to ``high - 1``, a block at a time."""
    at_most = max(1, BLOCK_BYTES // values.dtype.itemsize)
    n_rows = row_ptr.size - 1
    low = 0
    while low < n_rows:
        reach = int(np.searchsorted(row_ptr, row_ptr[low] + at_most, side="right")) - 1
        high = min(max(reach, low + 1), n_rows)
        yield low, high, np.asarray(values[int(row_ptr[low]) : int(row_ptr[high])], dtype)
        low = high


@lru_cache(maxsize=64)
def _packer(size: int, dtype: np.dtype[Any]) -> struct.Struct:
    return struct.Struct(f"={size}{_CODES[dtype.str[1:]]}")


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
