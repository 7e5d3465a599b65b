"""A shared array, read piece by piece out of its objects.

HDF5 could follow the virtual dataset that stands for it, but fills in zeros, silently,
for a file that is missing. So nothing is left to HDF5 here: every object is there and
whole before the first byte is read, and every block that a read touches is held against
its digest before any of its values comes out.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ann_ckpt.errors import CorruptFileError
from ann_ckpt.format.codec import WORKERS
from ann_ckpt.format.digest import range_digests
from ann_ckpt.format.objects import OpenObjects, naming_object
from ann_ckpt.format.sharing import SPAN_BYTES, SharedArray, Span, block_records
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
            run = map if out.nbytes < _PARALLEL_BYTES else _pool().map
            for some in task.in_order(array.spans(first, last)):
                for _ in run(task.fetch, some):
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
        self._spare: list[NDArray[Any]] = []

    def in_order(self, spans: Iterable[Span]) -> Iterator[list[tuple[Span, bool]]]:
        """Yield the spans to fetch, those that may be fetched together; and whether each is read in place.

        First come those that lie in one object as far apart as they belong here, most often
        nearly all of the array. They are read with the holes between their blocks. Those of
        other objects come afterwards, and what they hold for the holes with them.
        """
        shifts = [(span, self._shift_of(span)) for span in spans]
        common = Counter(shift for _, shift in shifts if shift is not None).most_common(1)
        usual = common[0][0] if common else None
        yield [(span, True) for span, shift in shifts if shift is not None and shift == usual]
        yield [
            (span, shift is not None and bool(np.all(span.starts[1:] == span.stops[:-1])))
            for span, shift in shifts
            if shift is None or shift != usual
        ]

    def _shift_of(self, span: Span) -> tuple[str, int] | None:
        """How far the blocks lie in their object from where they belong.

        Returns
        -------
        name, int
            The object, and the distance; None if it is not the same for all of them, or
            if one of them is not wanted whole.
        """
        places = self._places(span)
        distances = span.starts - places
        inside = places[0] >= 0 and places[-1] + span.stops[-1] - span.starts[-1] <= len(self._out)
        return (span.source.name, int(distances[0])) if inside and np.ptp(distances) == 0 else None

    def fetch(self, item: tuple[Span, bool]) -> None:
        """Read whole blocks, check them, and keep what is asked for; see :meth:`in_order`."""
        span, straight = item
        array, low, high = self._array, int(span.starts[0]), int(span.stops[-1])
        places = self._places(span)
        values = (
            self._out[int(places[0]) : int(places[0]) + high - low] if straight else self._borrow(high - low)
        )
        with naming_object(span.source.name, self._where):
            self._sources(span.source.name).read_into(values, low, threads=False)
        ranges = list(zip((span.starts - low).tolist(), (span.stops - low).tolist(), strict=True))
        found = block_records(span.stops - span.starts, range_digests(values, ranges))
        wrong = np.flatnonzero(found != array.blocks[span.numbers])
        if wrong.size:
            begin, end = span.starts[wrong[0]], span.stops[wrong[0]]
            raise CorruptFileError(
                f"values in the object {span.source.name} differ from their digest",
                details={"entries": f"{begin} to {end} of the object"},
                where=self._where,
            )
        if not straight:
            self._scatter(values, ranges, places.tolist())
            self._spare.append(values)

    def _borrow(self, entries: int) -> NDArray[Any]:
        """Return memory for values; new memory costs as much as reading into it, so old is used again."""
        array = self._array
        while self._spare:
            spare = self._spare.pop()
            if spare.base is not None and len(spare.base) >= entries:
                return spare.base[:entries]
        at_least = max(
            entries, SPAN_BYTES // max(1, array.entry_bytes) if self._out.nbytes > SPAN_BYTES else 0
        )
        return np.empty((at_least, *array.shape[1:]), array.dtype)[:entries]

    def _places(self, span: Span) -> NDArray[np.int64]:
        """Where each block begins in ``out``."""
        return np.asarray(self._array.block_starts[span.numbers] - self._start)

    def _scatter(self, values: NDArray[Any], ranges: list[tuple[int, int]], places: list[int]) -> None:
        """Put each block to its place, as far as it is wanted."""
        for (start, stop), place in zip(ranges, places, strict=True):
            first, last = max(0, place), min(len(self._out), place + stop - start)
            self._out[first:last] = values[start + first - place : start + last - place]


@cache
def _pool() -> ThreadPoolExecutor:
    """Threads of their own: those that decode chunks may be waited for from here."""
    return ThreadPoolExecutor(WORKERS, "ann_ckpt-share")


os.register_at_fork(after_in_child=_pool.cache_clear)  # threads do not follow into a child
