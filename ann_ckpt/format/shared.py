"""A shared array, read piece by piece out of its objects.

HDF5 could follow the virtual dataset that stands for it, but fills in zeros, silently,
for a file that is missing. So nothing is left to HDF5 here: every object is there and
whole before the first byte is read, and every block that a read touches is held against
its digest before any of its values comes out.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ann_ckpt.errors import CorruptFileError
from ann_ckpt.format.chunks import WORKERS
from ann_ckpt.format.digest import block_digests
from ann_ckpt.format.objects import OpenObjects, naming_object
from ann_ckpt.format.sharing import SharedArray, block_records
from ann_ckpt.format.stored import Storage, StoredArray

__all__ = ["SharedReader"]

_PARALLEL_BYTES = 4 << 20
"""Reads of at least this size go to threads."""


class SharedReader:
    """Reads ranges of the first axis, as :class:`~ann_ckpt.format.stored.StoredArray` does.

    Parameters
    ----------
    dtype, shape : dtype, tuple of int
        Of the array.
    load : callable
        Returns its blocks and pieces, and the objects that these are in; called when
        values are asked for.
    where : str
        File and path for messages.
    """

    def __init__(
        self,
        dtype: np.dtype[Any],
        shape: tuple[int, ...],
        load: Callable[[], tuple[SharedArray, OpenObjects]],
        *,
        where: str,
    ) -> None:
        self.dtype = dtype
        self.shape = shape
        self._load = cache(load)
        self._where = where

    def storage(self) -> Storage:
        """Return how the array lies in its objects."""
        return Storage("shared", (), 0, self._load()[0].stored_bytes)

    def read(self, start: int, stop: int) -> NDArray[Any]:
        """Return elements ``[start, stop)`` of the first axis, shape ``(stop - start, ...)``."""
        out = np.empty((max(0, stop - start), *self.shape[1:]), self.dtype)
        self.read_into(out, start)
        return out

    def blocks(self) -> Iterator[NDArray[Any]]:
        """Yield the whole array in pieces of a few MiB along the first axis."""
        array, _ = self._load()
        for first, last in array.stretches():
            yield self.read(int(array.block_starts[first]), int(array.block_starts[last]))

    def read_into(self, out: NDArray[Any], start: int) -> None:
        """Fill ``out``, C-contiguous and of this type, from entry ``start`` of the first axis on.

        Raises
        ------
        CorruptFileError
            If an object is missing or cut, or a block is not what was written.
        PrunedError
            If the checkpoint was removed meanwhile, and with it what is asked for.
        """
        if not out.size:
            return
        array, objects = self._load()
        first = int(np.searchsorted(array.block_starts, start, side="right")) - 1
        last = int(np.searchsorted(array.block_starts, start + len(out), side="left"))
        with objects.of(array) as sources:
            task = _Reading(array, sources, out, start, self._where)
            stretches = array.stretches(first, last)
            if out.nbytes < _PARALLEL_BYTES:
                for stretch in stretches:
                    task.fetch(stretch)
            else:
                for _ in _pool().map(task.fetch, stretches):
                    pass


class _Reading:
    """One range on its way into ``out``, which starts at entry ``start``."""

    def __init__(
        self,
        array: SharedArray,
        sources: Callable[[str], StoredArray],
        out: NDArray[Any],
        start: int,
        where: str,
    ) -> None:
        self._array = array
        self._sources = sources
        self._out = out
        self._start = start
        self._where = where

    def fetch(self, stretch: tuple[int, int]) -> None:
        """Read whole blocks, check them, and keep what is asked for."""
        array, out, start = self._array, self._out, self._start
        bounds = array.block_starts[stretch[0] : stretch[1] + 1]
        low, high = int(bounds[0]), int(bounds[-1])
        number = int(np.searchsorted(array.piece_starts, low, side="right")) - 1
        piece, offset = array.pieces[number], low - int(array.piece_starts[number])
        inside = start <= low and high <= start + len(out)
        values = (
            out[low - start : high - start]
            if inside
            else np.empty((high - low, *array.shape[1:]), array.dtype)
        )
        with naming_object(piece.source.name, self._where):
            self._sources(piece.source.name).read_into(values, piece.start + offset, threads=False)
        cuts: list[int] = (bounds - low).tolist()
        found = block_records(np.diff(bounds), block_digests(values, cuts))
        wrong = np.flatnonzero(found != array.blocks[slice(*stretch)])
        if wrong.size:
            begin, end = (piece.start + offset + cut for cut in cuts[wrong[0] : wrong[0] + 2])
            raise CorruptFileError(
                f"values in the object {piece.source.name} differ from their digest",
                details={"entries": f"{begin} to {end} of the object"},
                where=self._where,
            )
        if not inside:
            first, last = max(start, low), min(start + len(out), high)
            out[first - start : last - start] = values[first - low : last - low]


@cache
def _pool() -> ThreadPoolExecutor:
    """Threads of their own: those that decode chunks may be waited for from here."""
    return ThreadPoolExecutor(WORKERS, "ann_ckpt-share")


os.register_at_fork(after_in_child=_pool.cache_clear)  # threads do not follow into a child
