"""Compares two arrays and matches the synapses of two projections, block by block.

Parts of arrays with equal digests are not read.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from ann_ckpt.diffing.report import ValueChange
from ann_ckpt.model import Array, Connectivity
from ann_ckpt.model.arrays import BLOCK_BYTES, bits, distances, equal_numbers
from ann_ckpt.model.units import reworded

__all__ = [
    "ChangeCounter",
    "Digested",
    "Matched",
    "Side",
    "common_rows",
    "compare_values",
    "matched",
    "same_values",
]

_AT_ONCE = 1 << 20
"""Synapses of one side that are looked at together; one longer row may exceed it."""
_PIECES = 16
"""Places at which synapses are looked at where not all are."""

Indices = NDArray[np.intp]


@dataclass(frozen=True, slots=True, eq=False)
class Side:
    """Some dendrites of one projection, in the order in which they are compared."""

    posts: NDArray[np.int32]
    """Post rank of each dendrite, shape ``(n,)``."""
    starts: NDArray[np.int64]
    """Where each begins among all synapses, shape ``(n,)``."""
    stops: NDArray[np.int64]
    """Where each ends, shape ``(n,)``."""

    def gather(self, values: Array) -> NDArray[Any]:
        """Return values per synapse of these dendrites, one after the other."""
        if not self.starts.size:
            return np.empty((0, *values.shape[1:]), values.dtype)
        if np.array_equal(self.starts[1:], self.stops[:-1]):
            return np.asarray(values[int(self.starts[0]) : int(self.stops[-1])])
        rows = zip(self.starts.tolist(), self.stops.tolist(), strict=True)
        return np.concatenate([np.asarray(values[start:stop]) for start, stop in rows])

    def post_of_each(self) -> NDArray[np.int32]:
        """Post rank of each synapse that :meth:`gather` returns."""
        return np.repeat(self.posts, self.stops - self.starts)


@dataclass(frozen=True, slots=True, eq=False)
class Matched:
    """Synapses onto some neurons, side by side."""

    a: Side
    b: Side
    in_a: Indices
    """Of the synapses that both have: places in what ``a.gather`` returns, rising, shape ``(n,)``."""
    in_b: Indices
    """The same synapses in what ``b.gather`` returns."""
    removed: int
    added: int

    @property
    def moved(self) -> bool:
        """Whether the common synapses are in a different order."""
        return bool(np.any(np.diff(self.in_b) < 0))


def matched(a: Connectivity, b: Connectivity, *, at_most: int | None = None) -> Iterator[Matched]:
    """Match the synapses of two projections, neuron by neuron, from the lowest rank to the highest.

    Where a pre-neuron stands in a row several times, the first of one side is the first
    of the other.

    Parameters
    ----------
    at_most : int, optional
        Synapses of one side that are looked at, about; neurons are left out evenly. By default all.
    """
    order_a, order_b = np.argsort(a.post_ranks), np.argsort(b.post_ranks)
    posts = np.union1d(a.post_ranks, b.post_ranks)
    ends = np.cumsum(np.maximum(_sizes(a, order_a, posts), _sizes(b, order_b, posts)))
    at_once = _AT_ONCE if at_most is None else max(1, min(_AT_ONCE, at_most // _PIECES))
    pieces = np.split(posts, np.flatnonzero(np.diff(ends // at_once)) + 1)
    if at_most is not None and ends.size and ends[-1] > at_most:
        pieces = [pieces[i] for i in np.unique(np.linspace(0, len(pieces) - 1, _PIECES).astype(int))]
    for some in pieces:
        if some.size:
            yield _match(a, _side(a, order_a, some), b, _side(b, order_b, some))


def common_rows(a: Connectivity, b: Connectivity) -> tuple[Indices, Indices]:
    """Return the numbers of the rows that belong to the same neurons, by rising post rank."""
    _, in_a, in_b = np.intersect1d(a.post_ranks, b.post_ranks, assume_unique=True, return_indices=True)
    return in_a, in_b


def _match(a: Connectivity, rows_a: Side, b: Connectivity, rows_b: Side) -> Matched:
    pairs_a = _pairs(rows_a.gather(a.pre_ranks), rows_a)
    pairs_b = _pairs(rows_b.gather(b.pre_ranks), rows_b)
    if np.array_equal(pairs_a, pairs_b):
        every = np.arange(pairs_a.size)
        return Matched(rows_a, rows_b, every, every, 0, 0)
    keys_a, keys_b = _keys(pairs_a, pairs_b)
    _, in_a, in_b = np.intersect1d(keys_a, keys_b, assume_unique=True, return_indices=True)
    order = np.argsort(in_a)
    kept = in_a.size
    return Matched(rows_a, rows_b, in_a[order], in_b[order], pairs_a.size - kept, pairs_b.size - kept)


def _pairs(pre: NDArray[np.int32], side: Side) -> NDArray[np.int64]:
    """Post and pre rank of each synapse as one number."""
    return side.post_of_each().astype(np.int64) << np.int64(32) | pre.astype(np.int64)


def _keys(a: NDArray[np.int64], b: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Numbers that stand only once on each side: of pairs that repeat, each occurrence has its own."""
    occurrence_a, occurrence_b = _occurrence(a), _occurrence(b)
    most = 1 + max(int(occurrence_a.max(initial=0)), int(occurrence_b.max(initial=0)))
    if most == 1:
        return a, b
    distinct = np.union1d(a, b)
    return (
        np.searchsorted(distinct, a) * most + occurrence_a,
        np.searchsorted(distinct, b) * most + occurrence_b,
    )


def _occurrence(pairs: NDArray[np.int64]) -> NDArray[np.int64]:
    """How many equal pairs stand before each one."""
    order = np.argsort(pairs, kind="stable")
    is_first = np.append(True, np.diff(pairs[order]) != 0)[: pairs.size]
    firsts = np.flatnonzero(is_first)
    counts = np.diff(np.append(firsts, pairs.size))
    found = np.empty(pairs.size, np.int64)
    found[order] = np.arange(pairs.size) - np.repeat(firsts, counts)
    return found


def _side(connectivity: Connectivity, order: Indices, posts: NDArray[np.int32]) -> Side:
    """Dendrites of the neurons ``posts``, as far as there are any."""
    in_order = connectivity.post_ranks[order]
    rows = order[np.searchsorted(in_order, posts[0]) : np.searchsorted(in_order, posts[-1], side="right")]
    return Side(connectivity.post_ranks[rows], connectivity.row_ptr[rows], connectivity.row_ptr[rows + 1])


def _sizes(connectivity: Connectivity, order: Indices, posts: NDArray[np.int32]) -> NDArray[np.int64]:
    """Synapses onto each of the neurons ``posts``."""
    sizes = np.zeros(posts.size, np.int64)
    sizes[np.searchsorted(posts, connectivity.post_ranks[order])] = connectivity.row_sizes[order]
    return sizes


@runtime_checkable
class Digested(Protocol):
    """A stored array whose digests are available without reading its values."""

    @property
    def digest(self) -> str:
        """Digest of the values, or of the blocks if there are any."""

    def _blocks(self) -> tuple[NDArray[np.int64], NDArray[Any]] | None:
        """First entry of each block and the end of the last, and a record of each; None without blocks."""


class ChangeCounter:
    """Adds up how the values of one array changed, a piece at a time.

    Parameters
    ----------
    path : str
        What the array is called in the report.
    before, after : Array
        Nothing but their types is looked at.
    unit : str
        Of the values, where both sides say the same one.
    """

    def __init__(self, path: str, before: Array, after: Array, unit: str = "") -> None:
        self._path = path
        self._unit = unit
        self._retyped = before.dtype != after.dtype
        self._only: tuple[Any, Any] | None = None
        self._texts = [f"type {before.dtype} became {after.dtype}"] if self._retyped else []
        self._compared = self._changed = self._finite = 0
        self._mean = self._largest = 0.0

    def equal(self, count: int) -> None:
        """Count values that are known to be equal."""
        self._compared += count

    def add(self, before: NDArray[Any], after: NDArray[Any]) -> None:
        """Compare values of the same shape: bit for bit, or as numbers where the types differ."""
        a, b = before.reshape(-1), after.reshape(-1)
        self._compared += a.size
        if a.size == 1:
            self._only = a[0], b[0]
        differ = ~equal_numbers(a, b) if self._retyped else bits(a) != bits(b)
        if not differ.any():
            return
        self._changed += int(np.count_nonzero(differ))
        sizes = distances(a[differ], b[differ])
        sizes = sizes[np.isfinite(sizes)]
        if not sizes.size:
            return
        self._finite += sizes.size
        # Parts of a mean, which do not overflow as a sum of large numbers does.
        mean = float((sizes / sizes.size).sum())
        self._mean += (mean - self._mean) * (sizes.size / self._finite)
        self._largest = max(self._largest, float(sizes.max(initial=0.0)))

    def result(self) -> ValueChange | None:
        """Return the change; None if nothing changed."""
        if not (self._changed or self._retyped):
            return None
        largest, mean = (self._largest, min(self._mean, self._largest)) if self._finite else (None, None)
        texts = list(self._texts)
        if self._compared == 1 and self._only is not None:
            told = (reworded(f"{value!s} {self._unit}".strip()) for value in self._only)
            texts.append(" became ".join(told))
        text = ", ".join(texts)
        beyond = self._changed - self._finite
        return ValueChange(self._path, self._compared, self._changed, largest, mean, text, self._unit, beyond)


def compare_values(path: str, a: Array, b: Array, unit: str = "") -> ValueChange | None:
    """Compare two arrays; None if they are equal bit for bit.

    Lazy arrays are read in step, a few MiB at a time, and only where their digests do
    not tell that they are equal.
    """
    if a.shape != b.shape:
        return ValueChange(path, 0, 0, None, None, f"shape {a.shape} became {b.shape}")
    change = ChangeCounter(path, a, b, unit)
    if not a.shape:
        change.add(np.asarray(a), np.asarray(b))
        return change.result()
    left = a.shape[0]
    for start, stop in _unequal(a, b):
        change.add(np.asarray(a[start:stop]), np.asarray(b[start:stop]))
        left -= stop - start
    change.equal(left * math.prod(a.shape[1:]))
    return change.result()


def same_values(a: Array, b: Array) -> bool:
    """Whether two flat arrays are the same; reads no further than the first block that differs."""
    if a.shape != b.shape or a.dtype != b.dtype:
        return False
    return all(np.array_equal(bits(a[i:j]), bits(b[i:j])) for i, j in _unequal(a, b))


def _unequal(a: Array, b: Array) -> Iterator[tuple[int, int]]:
    """Ranges of the first axis, of at most a few MiB, that may differ."""
    entry = max(1, a.dtype.itemsize * math.prod(a.shape[1:]))
    step = max(1, BLOCK_BYTES // entry)
    for start, stop in _apart(a, b):
        for begin in range(start, stop, step):
            yield begin, min(begin + step, stop)


def _apart(a: Array, b: Array) -> Iterator[tuple[int, int]]:
    """Ranges that no digest shows to be equal."""
    whole = (0, a.shape[0])
    if not (isinstance(a, Digested) and isinstance(b, Digested)) or a.dtype != b.dtype:
        yield whole
        return
    blocks, others = a._blocks(), b._blocks()
    if blocks is None or others is None:
        # A digest of blocks is not a digest of values: they can be compared only with their like.
        if not (blocks is others and a.digest == b.digest):
            yield whole
        return
    yield from _between_equal_blocks(blocks, others)


def _between_equal_blocks(
    blocks: tuple[NDArray[np.int64], NDArray[Any]], others: tuple[NDArray[np.int64], NDArray[Any]]
) -> Iterator[tuple[int, int]]:
    """Ranges between blocks that both arrays have at the same place."""
    (starts, records), (other_starts, other_records) = blocks, others
    _, here, there = np.intersect1d(starts[:-1], other_starts[:-1], assume_unique=True, return_indices=True)
    at = 0
    for block in here[records[here] == other_records[there]].tolist():
        if starts[block] > at:
            yield at, int(starts[block])
        at = int(starts[block + 1])
    if at < starts[-1]:
        yield at, int(starts[-1])
