"""The order in which Brian has synapses, and the rows in which a state has them; needs no Brian2."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ann_ckpt.adapters.brian2.mapping import steps_of
from ann_ckpt.format.digest import ArrayDigest
from ann_ckpt.model import Array, Connectivity, blocks, nbytes

__all__ = ["InRows", "KnownIntegers", "Places", "Steps", "SynapsesInRows"]

_GATHERED = 1 << 16
"""Places that are followed at a time: numpy makes longer integers of them, which should stay near."""
_TURNED = 256
_WHOLE_BYTES = 128 << 20
"""Values up to this size are read whole: they are fetched from places faster than put there."""


@dataclass(frozen=True, slots=True)
class Places:
    """Where in Brian's order the synapses of the rows are, and the reverse."""

    order: NDArray[np.int32]
    """For each synapse in Brian's order its place in the rows, shape ``(n_synapses,)``."""
    own: NDArray[np.int32]
    """For each synapse in rows its number in Brian."""
    width: int
    """Synapses of each row where Brian has them as a table whose columns are the rows, as all-to-all
    connections are; else 0. A table is turned three times as fast as places are followed."""

    @classmethod
    def of(cls, order: NDArray[np.int32], own: NDArray[np.int32], rows: int) -> Places:
        """Look whether they form a table."""
        width, rest = divmod(order.size, max(rows, 1))
        table = not rest and np.array_equal(
            own.reshape(-1, width or 1), np.arange(order.size, dtype=np.int32).reshape(width or 1, -1).T
        )
        return cls(order, own, width if table else 0)

    def to_rows(self, values: NDArray[Any], start: int, stop: int) -> NDArray[Any]:
        """Return the values of the synapses from ``start`` to ``stop`` in rows, of all in Brian's order."""
        if self.width:
            first = start // self.width
            table = values.reshape(self.width, -1)[:, first : -(-stop // self.width)]
            turned = np.empty(table.shape[::-1], values.dtype)
            _turn(table, turned)
            flat = turned.reshape(-1)
            return flat[start - first * self.width : stop - first * self.width]
        out = np.empty(max(0, stop - start), values.dtype)
        _gather(values, self.own[start:stop], out)
        return out

    def from_rows(self, values: Array, out: NDArray[Any]) -> None:
        """Set all values in Brian's order, of those in rows, which may be lazy."""
        if self.width:
            for start, block in blocks(values):
                self._turn_back(block, start, out.reshape(self.width, -1))
        elif nbytes(values) <= _WHOLE_BYTES:
            _gather(np.asarray(values), self.order, out)
        else:
            for start, block in blocks(values):
                out[self.own[start : start + len(block)]] = block

    def _turn_back(self, block: NDArray[Any], start: int, table: NDArray[Any]) -> None:
        """Set columns of a table from place ``start`` in rows on; a block may begin and end within a row."""
        first, column = divmod(start, self.width)
        head = min(-start % self.width, block.size)
        table[column : column + head, first] = block[:head]
        first += bool(head)
        last = first + (block.size - head) // self.width
        tail = head + (last - first) * self.width
        _turn(block[head:tail].reshape(-1, self.width), table[:, first:last])
        if tail < block.size:
            table[: block.size - tail, last] = block[tail:]


def _turn(table: NDArray[Any], out: NDArray[Any]) -> None:
    """Set ``out`` to ``table.T`` in squares that fit into the nearest cache."""
    for row in range(0, table.shape[0], _TURNED):
        for column in range(0, table.shape[1], _TURNED):
            square = table[row : row + _TURNED, column : column + _TURNED]
            out[column : column + _TURNED, row : row + _TURNED] = square.T


def _gather(values: NDArray[Any], places: NDArray[np.int32], out: NDArray[Any]) -> None:
    """Set ``out`` to ``values[places]``; the places are known to exist."""
    for start in range(0, places.size, _GATHERED):
        stop = start + _GATHERED
        np.take(values, places[start:stop], out=out[start:stop], mode="clip")


class InRows:
    """Brian's own values of synapses, in the order of the rows; put there when asked for."""

    __slots__ = ("_own", "_places", "dtype", "shape")

    def __init__(self, own: NDArray[Any], places: Places) -> None:
        self._own = own
        self._places = places
        self.dtype = own.dtype
        self.shape = own.shape

    def __getitem__(self, key: Any) -> NDArray[Any]:
        if isinstance(key, slice) and key.step in (None, 1):
            start, stop, _ = key.indices(self.shape[0])
            return self._places.to_rows(self._own, start, stop)
        return np.asarray(self._own[self._places.own[key]])

    def __array__(self, dtype: Any = None, *, copy: bool | None = None) -> NDArray[Any]:
        if copy is False:
            raise ValueError("values in another order cannot be returned without a copy")
        whole = self[:]
        return whole if dtype is None else whole.astype(dtype, copy=False)


class KnownIntegers:
    """Integers that are what they are until the synapses change.

    They are as they have to be by the way they were made, so that no state looks through them, and are
    compared with those of a file by digest.
    """

    def __init__(self, values: NDArray[np.int32]) -> None:
        self._values = values
        self.dtype = values.dtype
        self.shape = values.shape

    def __getitem__(self, key: Any) -> NDArray[Any]:
        return np.asarray(self._values[key])

    def __array__(self, dtype: Any = None, *, copy: bool | None = None) -> NDArray[Any]:
        whole = self._values if dtype is None else self._values.astype(dtype, copy=False)
        return whole.copy() if copy else whole

    @cached_property
    def digest(self) -> str:
        """As files have it."""
        digest = ArrayDigest(self.dtype, self.shape)
        digest.update(self._values)
        return digest.hex()


class Steps:
    """Delays in s as whole steps."""

    __slots__ = ("_dt", "_seconds", "dtype", "shape")

    def __init__(self, seconds: Array, dt: float) -> None:
        self._seconds = seconds
        self._dt = dt
        self.dtype = np.dtype(np.int32)
        self.shape = seconds.shape

    def __getitem__(self, key: Any) -> NDArray[Any]:
        return steps_of(np.asarray(self._seconds[key]), self._dt)

    def __array__(self, dtype: Any = None, *, copy: bool | None = None) -> NDArray[Any]:
        if copy is False:
            raise ValueError("steps cannot be returned without a copy")
        whole = steps_of(np.asarray(self._seconds), self._dt)
        return whole if dtype is None else whole.astype(dtype, copy=False)


@dataclass(frozen=True, slots=True)
class SynapsesInRows:
    """Synapses in rows, and what they were made from."""

    digest: tuple[str, str]
    connectivity: Connectivity
    order: KnownIntegers
    places: Places | None
    """None if Brian has them in this order too."""

    @classmethod
    def of(
        cls,
        digest: tuple[str, str],
        connectivity: Connectivity,
        order: NDArray[np.int32],
        places: NDArray[np.int32] | None,
    ) -> SynapsesInRows:
        """Remember what is in no file yet."""
        pre_ranks = KnownIntegers(np.asarray(connectivity.pre_ranks))
        shown = replace(connectivity, pre_ranks=pre_ranks)
        known = None if places is None else Places.of(order, places, connectivity.n_rows)
        return cls(digest, shown, KnownIntegers(order), known)
