"""A shared array, read piece by piece out of its objects.

HDF5 could follow the virtual dataset that stands for it, but fills in zeros, silently,
for a file that is missing. So nothing is left to HDF5 here: every object is there and
whole before the first byte is read, and every block that a read touches is held against
its digest before any of its values comes out.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ann_ckpt.errors import CorruptFileError
from ann_ckpt.format.chunks import WORKERS
from ann_ckpt.format.digest import block_digests
from ann_ckpt.format.objects import OpenObjects
from ann_ckpt.format.sharing import SharedArray, block_records
from ann_ckpt.format.stored import Storage, StoredArray

__all__ = ["SharedReader"]

_STRETCH_BYTES = 4 << 20
"""Blocks that follow one another in an object are read together up to this size."""


@dataclass(frozen=True, slots=True)
class _Stretch:
    """Blocks ``[first, last)`` of the array, side by side in one object."""

    source: str
    start: int
    """Where they start in the object."""
    first: int
    last: int


class SharedReader:
    """Reads ranges of the first axis, as :class:`~ann_ckpt.format.stored.StoredArray` does.

    Parameters
    ----------
    array : SharedArray
        Blocks and pieces.
    objects : OpenObjects
        Where the pieces are.
    where : str
        File and path for messages.
    """

    def __init__(self, array: SharedArray, objects: OpenObjects, *, where: str) -> None:
        self.shape = array.shape
        self.dtype = array.dtype
        self._array = array
        self._objects = objects
        self._where = where

    def storage(self) -> Storage:
        """Return how the array lies in its objects."""
        return Storage("shared", (), 0, self._array.stored_bytes)

    def read(self, start: int, stop: int) -> NDArray[Any]:
        """Return elements ``[start, stop)`` of the first axis, shape ``(stop - start, ...)``."""
        out = np.empty((max(0, stop - start), *self.shape[1:]), self.dtype)
        self.read_into(out, start)
        return out

    def blocks(self) -> Iterator[NDArray[Any]]:
        """Yield the whole array in pieces of a few MiB along the first axis."""
        starts = self._array.block_starts
        for first, last in self.stretches():
            yield self.read(int(starts[first]), int(starts[last]))

    def stretches(self) -> Iterator[tuple[int, int]]:
        """Cut the array into runs of blocks ``[first, last)`` that are best read together."""
        yield from ((s.first, s.last) for s in self._stretches(0, self._array.blocks.size))

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
        starts = self._array.block_starts
        first = int(np.searchsorted(starts, start, side="right")) - 1
        last = int(np.searchsorted(starts, start + len(out), side="left"))
        with self._objects.of(self._array) as sources:

            def fetch(stretch: _Stretch) -> None:
                self._fetch(stretch, sources[stretch.source], out, start)

            stretches = list(self._stretches(first, last))
            if len(stretches) == 1:
                fetch(stretches[0])
            else:
                for _ in _pool().map(fetch, stretches):
                    pass

    def _stretches(self, first: int, last: int) -> Iterator[_Stretch]:
        """Cut blocks ``[first, last)`` at the ends of pieces and where they grow too large."""
        starts, piece_starts = self._array.block_starts, self._array.piece_starts
        at_most = max(1, _STRETCH_BYTES // max(1, self._array.entry_bytes))
        while first < last:
            begin = int(starts[first])
            number = int(np.searchsorted(piece_starts, begin, side="right")) - 1
            piece = self._array.pieces[number]
            reach = min(int(piece_starts[number + 1]), begin + at_most)
            stop = min(max(int(np.searchsorted(starts, reach, side="right")) - 1, first + 1), last)
            offset = begin - int(piece_starts[number])
            yield _Stretch(piece.source.name, piece.start + offset, first, stop)
            first = stop

    def _fetch(self, stretch: _Stretch, source: StoredArray, out: NDArray[Any], start: int) -> None:
        """Read whole blocks, check them, and keep what ``out``, which starts at ``start``, asks for."""
        bounds = self._array.block_starts[stretch.first : stretch.last + 1]
        low, high = int(bounds[0]), int(bounds[-1])
        inside = start <= low and high <= start + len(out)
        values = (
            out[low - start : high - start] if inside else np.empty((high - low, *self.shape[1:]), self.dtype)
        )
        source.read_into(values, stretch.start, threads=False)
        self._check(stretch, values, bounds - low)
        if not inside:
            cut = slice(max(start - low, 0), min(start + len(out), high) - low)
            out[max(low - start, 0) : max(low - start, 0) + cut.stop - cut.start] = values[cut]

    def _check(self, stretch: _Stretch, values: NDArray[Any], bounds: NDArray[np.int64]) -> None:
        cuts: list[int] = bounds.tolist()
        found = block_records(np.diff(bounds), block_digests(values, cuts))
        wrong = np.flatnonzero(found != self._array.blocks[stretch.first : stretch.last])
        if wrong.size:
            begin, end = (stretch.start + cut for cut in cuts[wrong[0] : wrong[0] + 2])
            raise CorruptFileError(
                f"values in the object {stretch.source} differ from their digest",
                details={"entries": f"{begin} to {end} of the object"},
                where=self._where,
            )


@cache
def _pool() -> ThreadPoolExecutor:
    """Threads of its own: the one that decodes chunks may be waited for from here."""
    return ThreadPoolExecutor(WORKERS, "ann_ckpt-share")


os.register_at_fork(after_in_child=_pool.cache_clear)  # threads do not follow into a child
