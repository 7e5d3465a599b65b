"""A shared array, read piece by piece out of its objects.

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
from ann_ckpt.format.codec import WORKERS
from ann_ckpt.format.digest import range_digests
from ann_ckpt.format.objects import OpenObjects, naming_object
from ann_ckpt.format.sharing import SharedArray, Span, block_records
from ann_ckpt.format.stored import Storage, StoredArray
from ann_ckpt.threads import Threads

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
        starts, stop = array.block_starts, start + len(out)
        first = int(np.searchsorted(starts, start, side="right")) - 1
        last = int(np.searchsorted(starts, stop, side="left"))
        with objects.of(array) as sources:
            blocks = _Blocks(array, sources, self._where)
            # Of the blocks at both ends a part may be wanted; they are checked whole all the same.
            cut = starts[first] < start or stop < starts[last]
            if cut and (last - first == 1 or out.nbytes < _PARALLEL_BYTES):
                out[...] = blocks.read(first, last)[start - starts[first] :][: len(out)]
                return
            if starts[first] < start:
                first += 1
                out[: starts[first] - start] = blocks.read(first - 1, first)[start - starts[first] :]
            if stop < starts[last]:
                last -= 1
                out[starts[last] - start :] = blocks.read(last, last + 1)[: stop - starts[last]]
            blocks.read_into(out[starts[first] - start : starts[last] - start], first, last)


class _Blocks:
    """Whole blocks of one array, each held against its digest as soon as it was read."""

    def __init__(self, array: SharedArray, sources: Callable[[str], StoredArray], where: str) -> None:
        self._array = array
        self._sources = sources
        self._where = where

    def read(self, first: int, last: int) -> NDArray[Any]:
        """Return blocks ``[first, last)``."""
        array = self._array
        entries = int(array.block_starts[last] - array.block_starts[first])
        out = np.empty((entries, *array.shape[1:]), array.dtype)
        self.read_into(out, first, last)
        return out

    def read_into(self, out: NDArray[Any], first: int, last: int) -> None:
        """Fill ``out`` with blocks ``[first, last)``."""
        if first == last:
            return
        run = map if out.nbytes < _PARALLEL_BYTES else _pool().map
        begin = int(self._array.block_starts[first])
        for _ in run(lambda span: self._fetch(span, out, begin), self._array.spans(first, last)):
            pass

    def _fetch(self, span: Span, out: NDArray[Any], begin: int) -> None:
        """Read blocks straight to where they belong in ``out``, which starts at entry ``begin``."""
        array = self._array
        places = array.block_starts[span.numbers] - begin
        ends = places + (span.stops - span.starts)
        # Blocks that are neighbours both there and here are one read.
        heads = (span.starts[1:] != span.stops[:-1]) | (places[1:] != ends[:-1])
        firsts, lasts = np.append(True, heads), np.append(heads, True)
        parts = [
            (start, out[place:end])
            for start, place, end in zip(
                span.starts[firsts].tolist(), places[firsts].tolist(), ends[lasts].tolist(), strict=True
            )
        ]
        with naming_object(span.source.name, self._where):
            self._sources(span.source.name).gather(parts)
        digests = range_digests(out, zip(places.tolist(), ends.tolist(), strict=True))
        wrong = np.flatnonzero(block_records(ends - places, digests) != array.blocks[span.numbers])
        if wrong.size:
            raise CorruptFileError(
                f"values in the object {span.source.name} differ from their digest",
                details={"entries": f"{span.starts[wrong[0]]} to {span.stops[wrong[0]]} of the object"},
                where=self._where,
            )


@cache
def _pool() -> Threads:
    """Threads of their own: those that decode chunks may be waited for from here."""
    return Threads(WORKERS, "ann_ckpt-share")
