"""Hashes one array block by block, places the blocks and writes the new ones."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor, Future
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ann_ckpt.format.codec import WORKERS
from ann_ckpt.format.digest import block_digests
from ann_ckpt.format.shared.array import SharedArray, block_records
from ann_ckpt.model import Array, nbytes, plain_array
from ann_ckpt.store.placement import Placement

__all__ = [
    "BlockDigestCache",
    "digest_whole",
    "hash_and_place",
]

_Key = tuple[bytes, bytes]
"""Digest of a region, and where it is cut."""


def digest_whole(values: NDArray[Any]) -> bytes:
    """Return the digest of a region."""
    return block_digests(values, [0, len(values)])[0]


class BlockDigestCache:
    """Cache of block digests of the previous and the current save, keyed by the digest of each region."""

    def __init__(self) -> None:
        self._before: dict[_Key, NDArray[np.void]] = {}
        self._now: dict[_Key, NDArray[np.void]] = {}

    def begin(self) -> None:
        """Begin a save; entries that the previous save did not use are dropped."""
        self._before, self._now = self._now, {}

    def records(self, values: NDArray[Any], cuts: NDArray[np.int64], digest: bytes) -> NDArray[np.void]:
        """Return the records of the blocks of one region.

        Parameters
        ----------
        values : array, shape (n, ...)
            At least one entry of at least one byte.
        cuts : int64 array, shape (n_blocks + 1,)
            Where blocks start, from 0, and where the last one ends.
        digest : bytes
            What :func:`digest_whole` says.
        """
        key = (digest, cuts.tobytes())
        found = self._before.get(key)
        if found is None:
            found = block_records(np.diff(cuts), block_digests(values, cuts.tolist()))
        self._now[key] = found
        return found


_BATCH_BYTES = 4 << 20
"""Blocks are hashed, and those of a lazy array read, in batches of about this size."""
_IN_FLIGHT = 2 * WORKERS
_IN_A_TASK = 4
"""Batches in memory that one task hashes: the longer it is, the less often threads wait for each other."""

_Hashed = tuple[NDArray[Any], NDArray[np.void]]
"""Values of consecutive blocks, and their records."""


def hash_and_place(
    array: Array,
    bounds: NDArray[np.int64],
    previous: SharedArray | None,
    *,
    pool: Executor,
    cache: BlockDigestCache,
    write: Callable[[NDArray[Any]], None],
    tick: Callable[[int], None],
) -> Placement:
    """Hash an array, place each block, and write the new ones in order.

    A lazy array is read once, from its first entry to its last, and each block decided
    while it passes. An array in memory is hashed to its end first: if it turns out the
    same as before, its layout stays, however long its history, unless that holds too much.

    Parameters
    ----------
    array : Array
        Eager or lazy.
    bounds : int64 array, shape (n_blocks + 1,)
        Where blocks start, and where the last one ends.
    previous : SharedArray or None
        The array's layout in the checkpoint before.
    pool : Executor
        Where to hash.
    cache : BlockDigestCache
        Knows what was hashed before.
    write : callable
        Takes fresh values, some MiB at a time.
    tick : callable
        Told the number of bytes after each batch.
    """
    placement = Placement(array.dtype, array.shape, previous)
    hashed: Iterable[_Hashed]
    if isinstance(array, np.ndarray):
        records = np.concatenate(list(_hashed_in_memory(array, bounds, pool, cache, tick)))
        if placement.keep_all(records):
            return placement
        hashed = [(array, records)]
    else:
        hashed = _hashed_while_read(array, bounds, pool, cache, tick)
    at_most = max(1, _BATCH_BYTES // (nbytes(array) // array.shape[0]))
    for values, records in hashed:
        for start, stop in _runs(placement.take(records), records["count"]):
            for part in range(start, stop, at_most):
                write(values[part : min(stop, part + at_most)])
    return placement


def _hashed_in_memory(
    array: NDArray[Any],
    bounds: NDArray[np.int64],
    pool: Executor,
    cache: BlockDigestCache,
    tick: Callable[[int], None],
) -> Iterator[NDArray[np.void]]:
    """Yield the records of the blocks, a region at a time; whole regions are hashed on threads, ahead."""

    def digests(some: Sequence[NDArray[np.int64]]) -> list[bytes]:
        return [digest_whole(array[cuts[0] : cuts[-1]]) for cuts in some]

    batches = list(_batches(array, bounds))
    groups = [batches[i : i + _IN_A_TASK] for i in range(0, len(batches), _IN_A_TASK)]
    for group, found in zip(groups, pool.map(digests, groups), strict=True):
        for cuts, digest in zip(group, found, strict=True):
            values = array[cuts[0] : cuts[-1]]
            yield cache.records(values, cuts - cuts[0], digest)
            tick(values.nbytes)


def _hashed_while_read(
    array: Array,
    bounds: NDArray[np.int64],
    pool: Executor,
    cache: BlockDigestCache,
    tick: Callable[[int], None],
) -> Iterator[_Hashed]:
    """Yield the blocks in batches; each is hashed as a whole on a thread while the next ones are fetched."""
    waiting: deque[tuple[NDArray[Any], NDArray[np.int64], Future[bytes]]] = deque()

    def first() -> _Hashed:
        values, cuts, digest = waiting.popleft()
        tick(values.nbytes)
        return values, cache.records(values, cuts, digest.result())

    for cuts in _batches(array, bounds):
        values = plain_array(array[int(cuts[0]) : int(cuts[-1])])
        waiting.append((values, cuts - cuts[0], pool.submit(digest_whole, values)))
        if len(waiting) > _IN_FLIGHT:
            yield first()
    while waiting:
        yield first()


def _batches(array: Array, bounds: NDArray[np.int64]) -> Iterator[NDArray[np.int64]]:
    """Group blocks: bounds of as many as make up a few MiB."""
    entry = nbytes(array) // array.shape[0]
    groups = bounds[:-1] * entry // _BATCH_BYTES
    starts = np.flatnonzero(np.append(True, np.diff(groups) > 0))
    for first, last in zip(starts, [*starts[1:], bounds.size - 1], strict=True):
        yield bounds[first : last + 1]


def _runs(fresh: NDArray[np.bool_], counts: NDArray[np.integer[Any]]) -> Iterator[tuple[int, int]]:
    """Entries from where to where of each run of fresh blocks."""
    edges = np.flatnonzero(np.diff(np.concatenate(([False], fresh, [False])).astype(np.int8)))
    ends = np.concatenate(([0], np.cumsum(counts, dtype=np.int64)))
    for first, last in edges.reshape(-1, 2):
        yield int(ends[first]), int(ends[last])
