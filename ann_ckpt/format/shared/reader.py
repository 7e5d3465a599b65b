"""Reads a shared array from its objects, piece by piece.

HDF5 could follow the virtual dataset that stands for it, but fills in zeros, silently,
for a file that is missing. So nothing is left to HDF5 here: every object is there and
whole before the first byte is read, and every block that a read touches is held against
its digest before any of its values comes out.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ann_ckpt.errors import CorruptFileError
from ann_ckpt.format.checked import PARALLEL_BYTES, fill_whole_blocks, reading_threads
from ann_ckpt.format.dataset import Storage, StoredArray
from ann_ckpt.format.digest import range_digests
from ann_ckpt.format.shared.array import ObjectBlocks, SharedArray, block_records
from ann_ckpt.format.shared.objects import OpenObjects, naming_object

__all__ = [
    "SharedReader",
]


class SharedReader:
    """Reads ranges of the first axis, as :class:`~ann_ckpt.format.dataset.StoredArray` does.

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
        """Return how the array is stored in its objects."""
        return Storage("shared", (), 0, self._load()[0].stored_bytes)

    def read(self, start: int, stop: int) -> NDArray[Any]:
        """Return elements ``[start, stop)`` of the first axis, shape ``(stop - start, ...)``."""
        out = np.empty((max(0, stop - start), *self.shape[1:]), self.dtype)
        self.read_into(out, start)
        return out

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
        starts = array.block_starts
        with objects.of(array) as sources:
            blocks = _Blocks(array, sources, self._where)
            fill_whole_blocks(
                out,
                start,
                floor=lambda entry: int(starts[np.searchsorted(starts, entry, side="right") - 1]),
                ceiling=lambda entry: int(starts[np.searchsorted(starts, entry)]),
                fetch=blocks.read_into,
            )


class _Blocks:
    """Whole blocks of one array, each held against its digest as soon as it was read."""

    def __init__(self, array: SharedArray, sources: Callable[[str], StoredArray], where: str) -> None:
        self._array = array
        self._sources = sources
        self._where = where

    def read_into(self, out: NDArray[Any], start: int) -> None:
        """Fill ``out`` with the blocks from entry ``start`` on, where one begins."""
        starts = self._array.block_starts
        first, last = (int(n) for n in np.searchsorted(starts, (start, start + len(out))))
        run = map if out.nbytes < PARALLEL_BYTES else reading_threads().map
        for _ in run(lambda part: self._fetch(part, out, start), self._array.by_object(first, last)):
            pass

    def _fetch(self, part: ObjectBlocks, out: NDArray[Any], begin: int) -> None:
        """Read blocks straight to where they belong in ``out``, which starts at entry ``begin``."""
        array = self._array
        places = array.block_starts[part.numbers] - begin
        ends = places + (part.stops - part.starts)
        # Blocks that are neighbours both there and here are one read.
        heads = (part.starts[1:] != part.stops[:-1]) | (places[1:] != ends[:-1])
        firsts, lasts = np.append(True, heads), np.append(heads, True)
        parts = [
            (start, out[place:end])
            for start, place, end in zip(
                part.starts[firsts].tolist(), places[firsts].tolist(), ends[lasts].tolist(), strict=True
            )
        ]
        with naming_object(part.source.name, self._where):
            self._sources(part.source.name).gather(parts)
        digests = range_digests(out, zip(places.tolist(), ends.tolist(), strict=True))
        wrong = np.flatnonzero(block_records(ends - places, digests) != array.blocks[part.numbers])
        if wrong.size:
            raise CorruptFileError(
                f"checksum mismatch in the object {part.source.name}",
                details={"entries": f"{part.starts[wrong[0]]} to {part.stops[wrong[0]]} of the object"},
                where=self._where,
            )
