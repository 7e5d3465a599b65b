"""An array in a file that verifies values against its digests before returning them.

An array that has digests of its blocks is read in whole blocks, on threads, each of which checks
what it has read. A small array is read and checked as a whole. Only parts of large arrays in files
of version 1.0 and 1.1, which have no digests of blocks, come out unchecked.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from functools import cache, partial
from itertools import pairwise
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ann_ckpt.errors import CorruptFileError
from ann_ckpt.format import codec
from ann_ckpt.format.block_digests import BlockDigests
from ann_ckpt.format.dataset import Storage, StoredArray
from ann_ckpt.threads import Threads

__all__ = [
    "PARALLEL_BYTES",
    "CheckedArray",
    "fill_whole_blocks",
    "reading_threads",
]

PARALLEL_BYTES = 4 << 20
"""Reads from this size on put their values straight where they belong; smaller ones are copied."""
_TASK_BYTES = 2 << 20
"""Values that one thread reads and checks at a time."""
_SCAN_BYTES = 8 << 20
_SMALL_BYTES = 1 << 20
"""Arrays without digests of blocks are read whole up to this size, so that any part of them is checked."""


class Sum(Protocol):
    """An incremental digest."""

    def update(self, values: NDArray[Any]) -> None:
        """Add the next elements."""

    def hex(self) -> str:
        """Return 32 hexadecimal digits."""


class CheckedArray:
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

    def storage(self) -> Storage:
        """Return how the array is stored; reads the size of every chunk."""
        return self._stored.storage()

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

    def verify(self) -> Iterator[int]:
        """Verify the whole array, a few MiB at a time; yield the number of bytes read.

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
        chunk, length = self._stored.chunk_length, self.shape[0]
        n = chunk if chunk % blocks.entries == 0 else blocks.entries

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
            one(out, start)
            return
        entry = out.nbytes // len(out)
        step = unit * max(1, _TASK_BYTES // (unit * entry))
        stop = start + len(out)
        cuts = [start, *range(start + step - start % unit, stop, step), stop]
        tasks = [(out[a - start : b - start], a) for a, b in pairwise(cuts)]
        for _ in reading_threads().map(lambda task: one(*task), tasks):
            pass


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
