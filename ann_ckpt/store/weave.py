"""One array on its way into the store: hashed block by block, placed, and written where fresh."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ann_ckpt.format.codec import WORKERS
from ann_ckpt.format.digest import block_digests
from ann_ckpt.format.sharing import SharedArray, block_records
from ann_ckpt.model import Array, nbytes
from ann_ckpt.store.plan import Placement

__all__ = ["weave"]

_BATCH_BYTES = 4 << 20
"""Blocks of a lazy array are read and hashed in batches of about this size."""
_BATCH_IN_MEMORY = 16 << 20
"""Others take no memory; the longer a task, the less often threads wait for each other."""
_IN_FLIGHT = 2 * WORKERS

_Hashed = tuple[NDArray[Any], NDArray[np.void]]
"""Values of consecutive blocks, and their records."""


def weave(
    array: Array,
    bounds: NDArray[np.int64],
    previous: SharedArray | None,
    *,
    pool: Executor,
    write: Callable[[NDArray[Any]], None],
    tick: Callable[[int], None],
) -> Placement:
    """Hash an array, decide where each block lies, and hand over the fresh ones in order.

    A lazy array is read once, from its first entry to its last, and each block decided
    while it passes. An array in memory is hashed to its end first: if it turns out the
    same as before, its layout stays, however long its history.

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
    write : callable
        Takes fresh values, some MiB at a time.
    tick : callable
        Told the number of bytes after each batch.
    """
    placement = Placement(array.dtype, array.shape, previous)
    hashed = _hashed(array, bounds, pool, tick)
    if isinstance(array, np.ndarray):
        records = np.concatenate([records for _, records in hashed])
        if placement.keep_all(records):
            return placement
        hashed = iter([(array, records)])
    at_most = max(1, _BATCH_BYTES // (nbytes(array) // array.shape[0]))
    for values, records in hashed:
        for start, stop in _runs(placement.take(records), records["count"]):
            for part in range(start, stop, at_most):
                write(values[part : min(stop, part + at_most)])
    return placement


def _hashed(
    array: Array, bounds: NDArray[np.int64], pool: Executor, tick: Callable[[int], None]
) -> Iterator[_Hashed]:
    """Yield the blocks in batches, hashed on threads while the next ones are fetched."""
    waiting: deque[tuple[NDArray[Any], Future[NDArray[np.void]]]] = deque()

    def first() -> _Hashed:
        values, records = waiting.popleft()
        tick(values.nbytes)
        return values, records.result()

    size = _BATCH_IN_MEMORY if isinstance(array, np.ndarray) else _BATCH_BYTES
    batches = list(_batches(array, bounds, size))
    for cuts in batches:
        values = np.asarray(array[int(cuts[0]) : int(cuts[-1])])
        work = partial(_records, values, cuts - cuts[0])
        if len(batches) == 1:
            tick(values.nbytes)
            yield values, work()
            return
        waiting.append((values, pool.submit(work)))
        if len(waiting) > _IN_FLIGHT:
            yield first()
    while waiting:
        yield first()


def _records(values: NDArray[Any], cuts: NDArray[np.int64]) -> NDArray[np.void]:
    return block_records(np.diff(cuts), block_digests(values, cuts.tolist()))


def _batches(array: Array, bounds: NDArray[np.int64], size: int) -> Iterator[NDArray[np.int64]]:
    """Group blocks: bounds of as many as make up about ``size`` bytes."""
    entry = nbytes(array) // array.shape[0]
    groups = bounds[:-1] * entry // size
    starts = np.flatnonzero(np.append(True, np.diff(groups) > 0))
    for first, last in zip(starts, [*starts[1:], bounds.size - 1], strict=True):
        yield bounds[first : last + 1]


def _runs(fresh: NDArray[np.bool_], counts: NDArray[np.integer[Any]]) -> Iterator[tuple[int, int]]:
    """Entries from where to where of each run of fresh blocks."""
    edges = np.flatnonzero(np.diff(np.concatenate(([False], fresh, [False])).astype(np.int8)))
    ends = np.concatenate(([0], np.cumsum(counts, dtype=np.int64)))
    for first, last in edges.reshape(-1, 2):
        yield int(ends[first]), int(ends[last])
