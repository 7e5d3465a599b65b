"""Arrays that verify values against their digests before returning them: in a file, or in objects of a store.

An array that has digests of its blocks is read in whole blocks, on threads, each of which checks
what it has read. A small array is read and checked as a whole. Only parts of large arrays in files
of version 1.0 and 1.1, which have no digests of blocks, come out unchecked.

HDF5 could follow the virtual dataset that stands for a shared array, but fills in zeros, silently,
for a file that is missing. So nothing is left to HDF5 there: every object is there and whole before
the first byte is read.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from functools import cache, cached_property, partial
from itertools import pairwise
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ann_ckpt.errors import CorruptFileError
from ann_ckpt.format import codec
from ann_ckpt.format.dataset import Storage, StoredArray
from ann_ckpt.format.digest import BlockDigests, block_entries, range_digests
from ann_ckpt.format.shared.array import READ_BYTES, ObjectBlocks, SharedArray, block_records
from ann_ckpt.format.shared.objects import OpenObjects, naming_object
from ann_ckpt.threads import Threads

__all__ = ["CheckedArray", "SharedReader"]

PARALLEL_BYTES = 4 << 20
"""Reads from this size on put their values straight where they belong; smaller ones are copied."""
_TASK_BYTES = 2 << 20
"""Values that one thread reads and checks at a time."""
_AHEAD_BYTES = 32 << 20
"""Values that are fetched at a time where they lie far away."""
_SCAN_BYTES = 8 << 20
_SMALL_BYTES = 1 << 20
"""Arrays without digests of blocks are read whole up to this size, so that any part of them is checked."""


class Sum(Protocol):
    """An incremental digest."""

    def update(self, values: NDArray[Any]) -> None:
        """Add the next elements."""

    def hex(self) -> str:
        """Return 32 hexadecimal digits."""


class _Ranges(ABC):
    """What can be read in ranges of its first axis."""

    dtype: np.dtype[Any]
    shape: tuple[int, ...]

    @property
    def quick(self) -> bool:
        """Whether to read it twice, not keep it: it is large, uncompressed and not behind an address."""
        return False

    def read(self, start: int, stop: int) -> NDArray[Any]:
        """Return elements ``[start, stop)`` of the first axis, shape ``(stop - start, ...)``."""
        out = np.empty((max(0, stop - start), *self.shape[1:]), self.dtype)
        self.read_into(out, start)
        return out

    @abstractmethod
    def expect(self, spans: Iterable[tuple[int, int]]) -> None:
        """Get ready for reads of entries that come next, each ``(start, stop)``, where they lie far away."""

    @abstractmethod
    def read_into(self, out: NDArray[Any], start: int) -> None:
        """Fill ``out``, C-contiguous and of this type, from entry ``start`` of the first axis on."""


class CheckedArray(_Ranges):
    """A dataset, read in ranges of its first axis.

    Parameters
    ----------
    stored : StoredArray
        The dataset.
    digest : str
        Of all values.
    begin : callable
        Returns a new digest of that kind.
    blocks : callable, optional
        Returns the digests of its blocks, if it has them.
    where : str
        File and path for messages.
    """

    def __init__(
        self,
        stored: StoredArray,
        digest: str,
        begin: Callable[[], Sum],
        blocks: Callable[[], BlockDigests] | None = None,
        *,
        where: str,
    ) -> None:
        self.dtype = stored.dtype
        self.shape = stored.shape
        self._stored = stored
        self._digest = digest
        self._begin = begin
        self._blocks = None if blocks is None else cache(blocks)
        self._where = where
        self._last: tuple[int, NDArray[Any]] | None = None

    @property
    def quick(self) -> bool:
        """Whether to read it twice, not keep it: it is large, uncompressed and not behind an address.

        Every part that is read is checked against the digest of its blocks, so both reads are.
        """
        raw = self._stored.chunk_length == 1 and not self._stored.distant
        return raw and self._blocks is not None and math.prod(self.shape) * self.dtype.itemsize > _SMALL_BYTES

    def storage(self) -> Storage:
        """Return how the array is stored; reads the size of every chunk."""
        return self._stored.storage()

    @cached_property
    def block_starts(self) -> NDArray[np.int64]:
        """Where what is read together begins on the first axis, and the end; shape ``(n_blocks + 1,)``."""
        length = self.shape[0]
        return np.append(np.arange(0, length, self._unit or max(1, length)), length)

    @cached_property
    def _unit(self) -> int:
        """Entries that are read together; 0 where that is the whole array."""
        block, chunk = block_entries(self.dtype.itemsize, self.shape), self._stored.chunk_length
        if self._blocks is None and math.prod(self.shape) * self.dtype.itemsize <= _SMALL_BYTES:
            return 0
        return chunk if block == 0 or chunk % block == 0 else block

    def read_into(self, out: NDArray[Any], start: int) -> None:
        """Fill ``out``, C-contiguous and of this type, from entry ``start`` of the first axis on.

        Raises
        ------
        CorruptFileError
            If the values are not what was written.
        """
        if out.shape == self.shape and not out.size:
            self._check_whole(out)
        elif not out.size:
            return
        elif self._blocks is not None:
            try:
                self._read_blocks(self._blocks(), out, start)
            except CorruptFileError as error:
                error.where = error.where or self._where
                raise
        elif out.shape == self.shape:
            self._fetch(out, start, self._stored.read_into, self._stored.chunk_length)
            self._check_whole(out)
        elif math.prod(self.shape) * self.dtype.itemsize <= _SMALL_BYTES:
            out[...] = self.read(0, self.shape[0])[start : start + len(out)]
        else:
            self._fetch(out, start, self._stored.read_into, self._stored.chunk_length)

    def expect(self, spans: Iterable[tuple[int, int]]) -> None:
        """Get ready for reads of entries that come next, each ``(start, stop)``, where they lie far away."""
        if self._stored.distant and self.shape:
            n, length = self._unit or max(1, self.shape[0]), self.shape[0]
            self._stored.expect((start - start % n, min(stop + -stop % n, length)) for start, stop in spans)

    def verify(self, look: Callable[[NDArray[Any]], None] = lambda _: None) -> Iterator[int]:
        """Verify the whole array, a few MiB at a time; yield the number of bytes read.

        Parameters
        ----------
        look : callable
            Given each part; what it is given changes later.

        Raises
        ------
        CorruptFileError
            After the last part, if the values are not what was written.
        """
        found = self._begin()
        unit = self._stored.chunk_length
        entry = max(1, math.prod(self.shape[1:]) * self.dtype.itemsize)
        length = self.shape[0] if self.shape else 1
        step = unit * max(1, _SCAN_BYTES // (unit * entry))
        buffer = np.empty((min(step, length), *self.shape[1:]) if self.shape else (), self.dtype)
        for start in range(0, length, step):
            part = buffer[: length - start] if self.shape else buffer
            self._fetch(part, start, self._stored.read_into, unit)
            found.update(part)
            look(part)
            yield part.nbytes
        self._compare(found)

    def _check_whole(self, values: NDArray[Any]) -> None:
        found = self._begin()
        found.update(values)
        self._compare(found)

    def _compare(self, found: Sum) -> None:
        if found.hex() != self._digest:
            raise CorruptFileError("checksum mismatch", where=self._where)

    def _read_blocks(self, blocks: BlockDigests, out: NDArray[Any], start: int) -> None:
        n, length = self._unit, self.shape[0]

        def one(part: NDArray[Any], begin: int) -> None:
            self._stored.read_into(part, begin)
            blocks.check(part, begin)

        fill_whole_blocks(
            out,
            start,
            floor=lambda entry: entry - entry % n,
            ceiling=lambda entry: min(entry + -entry % n, length),
            fetch=partial(self._fetch_new, one=one, unit=n),
        )

    def _fetch_new(
        self, out: NDArray[Any], start: int, one: Callable[[NDArray[Any], int], None], unit: int
    ) -> None:
        """Fetch all but the unit where the last read ended: the dendrite behind it begins there."""
        last = self._last
        if out.nbytes >= PARALLEL_BYTES:
            self._fetch(out, start, one, unit)
            return
        known = 0 if last is None or last[0] != start else len(last[1])
        if last is not None and known:
            out[:known] = last[1]
        if known < len(out):
            self._fetch(out[known:], start + known, one, unit)
            end = (len(out) - 1) // unit * unit
            self._last = (start + end, out[end:].copy())

    def _fetch(
        self,
        out: NDArray[Any],
        start: int,
        one: Callable[[NDArray[Any], int], None],
        unit: int,
    ) -> None:
        """Have ``out`` filled by threads, each of which takes whole units of entries, and whole chunks."""
        if not self.shape or out.nbytes <= _TASK_BYTES:
            if self.shape:
                self._stored.expect([(start, start + len(out))])
            one(out, start)
            return
        entry = out.nbytes // len(out)
        step = unit * max(1, _TASK_BYTES // (unit * entry))
        stop = start + len(out)
        cuts = [start, *range(start + step - start % unit, stop, step), stop]
        tasks = [(out[a - start : b - start], a) for a, b in pairwise(cuts)]
        at_once = len(tasks) if not self._stored.distant else max(1, _AHEAD_BYTES // (step * entry))
        for group in range(0, len(tasks), at_once):
            some = tasks[group : group + at_once]
            self._stored.expect([(some[0][1], some[-1][1] + len(some[-1][0]))])
            for _ in reading_threads().map(lambda task: one(*task), some):
                pass


class SharedReader(_Ranges):
    """A shared array, read piece by piece from its objects.

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

    @property
    def block_starts(self) -> NDArray[np.int64]:
        """First entry of each block and the end of the last, shape ``(n_blocks + 1,)``."""
        return self._load()[0].block_starts

    def expect(self, spans: Iterable[tuple[int, int]]) -> None:
        """Get ready for reads of entries that come next, each ``(start, stop)``, where they lie far away."""
        array, objects = self._load()
        if objects.distant:
            starts = array.block_starts
            with objects.of(array) as sources:
                blocks = _Blocks(array, sources, self._where, distant=objects.distant)
                for start, stop in spans:
                    first = int(np.searchsorted(starts, start, side="right")) - 1
                    blocks.expect(array.by_object(first, int(np.searchsorted(starts, stop))))

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
            blocks = _Blocks(array, sources, self._where, distant=objects.distant)
            fill_whole_blocks(
                out,
                start,
                floor=lambda entry: int(starts[np.searchsorted(starts, entry, side="right") - 1]),
                ceiling=lambda entry: int(starts[np.searchsorted(starts, entry)]),
                fetch=blocks.read_into,
            )


class _Blocks:
    """Whole blocks of one array, each verified against its digest as it is read."""

    def __init__(
        self, array: SharedArray, sources: Callable[[str], StoredArray], where: str, *, distant: bool
    ) -> None:
        self._array = array
        self._sources = sources
        self._where = where
        self._distant = distant

    def read_into(self, out: NDArray[Any], start: int) -> None:
        """Fill ``out`` with the blocks from entry ``start`` on, where one begins."""
        starts = self._array.block_starts
        first, last = (int(n) for n in np.searchsorted(starts, (start, start + len(out))))
        run = map if out.nbytes < PARALLEL_BYTES else reading_threads().map
        parts = list(self._array.by_object(first, last))
        at_once = max(1, _AHEAD_BYTES // READ_BYTES if self._distant else len(parts))
        for group in range(0, len(parts), at_once):
            if self._distant:
                self.expect(parts[group : group + at_once])
            for _ in run(lambda part: self._fetch(part, out, start), parts[group : group + at_once]):
                pass

    def expect(self, parts: Iterable[ObjectBlocks]) -> None:
        """Get ready for reading blocks."""
        for part in parts:
            with naming_object(part.source.name, self._where):
                self._sources(part.source.name).expect(
                    zip(part.starts.tolist(), part.stops.tolist(), strict=True)
                )

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


def fill_whole_blocks(
    out: NDArray[Any],
    start: int,
    *,
    floor: Callable[[int], int],
    ceiling: Callable[[int], int],
    fetch: Callable[[NDArray[Any], int], None],
) -> None:
    """Fill ``out`` from entry ``start`` on by reading whole blocks, trimmed at both ends.

    Parameters
    ----------
    floor, ceiling : callable
        Where the block begins in which an entry lies; where the next block begins at or after an entry.
    fetch : callable
        ``fetch(array, entry)`` fills an array with whole blocks from an entry on.
    """
    stop = start + len(out)
    low, high = floor(start), ceiling(stop)
    first, last = ceiling(start), floor(stop) if stop < high else stop
    if (low, high) == (start, stop):
        fetch(out, start)
    elif out.nbytes < PARALLEL_BYTES or first >= last:
        whole = np.empty((high - low, *out.shape[1:]), out.dtype)
        fetch(whole, low)
        out[...] = whole[start - low : stop - low]
    else:
        parts = ((start, first), (first, last), (last, stop))
        for a, b in parts:
            if a < b:
                fill_whole_blocks(out[a - start : b - start], a, floor=floor, ceiling=ceiling, fetch=fetch)


@cache
def reading_threads() -> Threads:
    """Return the thread pool for reading and verifying; its work never waits for the pool itself."""
    return Threads(codec.WORKERS, "ann_ckpt-read")
