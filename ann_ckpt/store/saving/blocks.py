"""Cuts arrays into blocks, hashes the blocks, places them and writes the new ones.

Blocks are the units of change detection. Values per synapse are cut at row boundaries
only, and whether a row starts a block depends on that row alone: a dendrite that grows
moves everything behind it, and yet changes its own block only.
"""

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
from ann_ckpt.model import Array, Connectivity, nbytes
from ann_ckpt.model.arrays import piece
from ann_ckpt.store.saving.placement import Placement

__all__ = [
    "LONGEST",
    "ROW_BLOCK",
    "BlockDigestCache",
    "digest_whole",
    "even_bounds",
    "grown_bounds",
    "hash_and_place",
    "row_bounds",
]

ROW_BLOCK = 32 << 10
"""Synapses that a block of rows has on average."""
LONGEST = 3 * ROW_BLOCK // 2
"""A block that reaches this many synapses ends with the row; longer rows are cut inside."""
_EVEN_BYTES = 256 << 10


def row_bounds(connectivity: Connectivity) -> NDArray[np.int64]:
    """Return the block bounds of values per synapse.

    A row starts a block with a probability of its size over :data:`ROW_BLOCK`, decided
    by a hash of its post rank. So there is one start in that many synapses on average,
    however rows are sized and ordered, and no row has a say in where another is cut,
    except inside ranges that grow too long.

    Parameters
    ----------
    connectivity : Connectivity
        At least one synapse.

    Returns
    -------
    int64 array, shape (n_blocks + 1,)
        Rising, from 0 to the number of synapses.
    """
    starts, sizes = connectivity.row_ptr[:-1], connectivity.row_sizes
    share = (sizes.astype(np.uint64) << np.uint64(32)) // np.uint64(ROW_BLOCK)
    is_start = _hash32(connectivity.post_ranks) < share
    is_start[0] = True
    section = np.cumsum(is_start) - 1
    part = (starts - starts[is_start][section]) // LONGEST
    is_cut = is_start | np.append(True, np.diff(part) != 0)
    bounds = (starts[is_cut], _inside_rows(starts, sizes), [connectivity.n_synapses])
    return np.unique(np.concatenate(bounds).astype(np.int64))


def even_bounds(array: Array) -> NDArray[np.int64]:
    """Return the bounds of blocks of about 256 KiB.

    Parameters
    ----------
    array : Array
        At least one entry; cut along its first axis.
    """
    length = array.shape[0]
    step = max(1, _EVEN_BYTES * length // nbytes(array))
    return np.append(np.arange(0, length, step, dtype=np.int64), length)


def grown_bounds(array: Array, previous: SharedArray, pieces: int) -> NDArray[np.int64]:
    """Return the bounds of the blocks of an array that has grown at its end.

    Parameters
    ----------
    array : Array
        At least as many entries as before.
    previous : SharedArray
        Its layout before.
    pieces : int
        The first so many pieces keep their blocks; what is behind them is cut evenly.
    """
    end = int(previous.piece_starts[pieces])
    kept = previous.block_starts[previous.block_starts < end]
    length = array.shape[0]
    step = max(1, _EVEN_BYTES * length // nbytes(array))
    return np.concatenate((kept, np.arange(end, length, step), [length])).astype(np.int64)


def _inside_rows(starts: NDArray[np.int64], sizes: NDArray[np.int64]) -> NDArray[np.int64]:
    """Cuts inside rows that are longer than a block may be, counted from the start of the row."""
    cuts = np.maximum(sizes - 1, 0) // LONGEST
    rows = np.repeat(np.arange(sizes.size), cuts)
    number = np.arange(rows.size) - np.repeat(np.cumsum(cuts) - cuts, cuts) + 1
    return np.asarray(starts[rows] + number * LONGEST, np.int64)


def _hash32(ranks: NDArray[np.int32]) -> NDArray[np.uint64]:
    """Spread ranks evenly over 32 bits (the finalizer of splitmix64, upper half)."""
    mixed = ranks.astype(np.uint64) + np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return (mixed ^ (mixed >> np.uint64(31))) >> np.uint64(32)


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
    pieces: int | None = None,
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
    pieces : int, optional
        See :class:`~ann_ckpt.store.saving.placement.Placement`.
    pool : Executor
        Where to hash.
    cache : BlockDigestCache
        Knows what was hashed before.
    write : callable
        Takes fresh values, some MiB at a time.
    tick : callable
        Told the number of bytes after each batch.
    """
    placement = Placement(array.dtype, array.shape, previous, pieces)
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
        values = piece(array, int(cuts[0]), int(cuts[-1]))
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
