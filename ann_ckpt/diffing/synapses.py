"""Matches the synapses of two projections by (pre, post), block by block."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ann_ckpt.model import Array, Connectivity

__all__ = ["Matched", "Side", "common_rows", "matched"]

_AT_ONCE = 1 << 20
"""Synapses of one side that are looked at together; one longer row may exceed it."""

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
            return np.empty(0, values.dtype)
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


def matched(a: Connectivity, b: Connectivity) -> Iterator[Matched]:
    """Match the synapses of two projections, neuron by neuron, from the lowest rank to the highest.

    Where a pre-neuron stands in a row several times, the first of one side is the first
    of the other.
    """
    order_a, order_b = np.argsort(a.post_ranks), np.argsort(b.post_ranks)
    posts = np.union1d(a.post_ranks, b.post_ranks)
    ends = np.cumsum(np.maximum(_sizes(a, order_a, posts), _sizes(b, order_b, posts)))
    for some in np.split(posts, np.flatnonzero(np.diff(ends // _AT_ONCE)) + 1):
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
