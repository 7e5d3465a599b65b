"""Reads a bounded part of arrays, spread evenly over them, and says whether it was all."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ann_ckpt.errors import ConnectivityError, printable
from ann_ckpt.looking.pictures import Floats
from ann_ckpt.model import Array, nbytes
from ann_ckpt.model.rows import RowAccess

__all__ = [
    "BUDGET",
    "Sample",
    "SynapseSample",
    "check_ranks",
    "floats",
    "paired",
    "quantiles",
    "reading_cost",
    "sample",
    "synapses",
]

BUDGET = 16 << 20
"""Bytes of values that one picture reads unless told otherwise."""
_RUN = 128 << 10
"""Bytes that are read in one piece: a compressed chunk, which is read whole in any case."""
_CHECK = 4096
"""Bytes of values for each byte that it takes to check them: 16 for a block of 64 KiB."""


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """Some values of an array, or all of them."""

    values: Floats
    """Flat; what is not a finite number is left out."""
    looked_at: int
    """Values that were read, including those that are not finite."""
    of: int
    """Values that there are."""

    @property
    def whole(self) -> bool:
        """Whether every value was read."""
        return self.looked_at == self.of

    @property
    def strange(self) -> int:
        """How many of those that were read are NaN or infinite."""
        return self.looked_at - self.values.size

    def note(self) -> str:
        """Return what a reader has to know about it; empty if there is nothing."""
        notes = [] if self.whole else [f"a sample: {self.looked_at:,} of {self.of:,} values"]
        if self.strange:
            notes.append(f"{self.strange:,} not finite")
        return ", ".join(notes)


@dataclass(frozen=True, slots=True, eq=False)
class SynapseSample:
    """Some synapses of a projection, or all of them."""

    post: NDArray[np.int64]
    """Shape ``(n,)``."""
    pre: NDArray[np.int64]
    """Shape ``(n,)``."""
    row_sizes: NDArray[np.int64]
    """For each synapse, how many its dendrite has; shape ``(n,)``."""
    values: Floats | None
    """Values of one attribute, shape ``(n,)``; None if none was asked for."""
    of: int
    """Synapses that there are."""

    @property
    def whole(self) -> bool:
        """Whether every synapse was read."""
        return self.pre.size == self.of

    def note(self) -> str:
        """Return what a reader has to know about it; empty if there is nothing."""
        return "" if self.whole else f"a sample: {self.pre.size:,} of {self.of:,} synapses"


def floats(values: object) -> Floats:
    """Return values as flat doubles."""
    return np.asarray(values).astype(np.float64, copy=False).reshape(-1)


def quantiles(values: Floats, at: tuple[float, ...]) -> Floats:
    """Return quantiles, NaN where there are no values."""
    return np.quantile(values, at) if values.size else np.full(len(at), np.nan)


def reading_cost(array: Array, budget: int) -> int:
    """Return how many bytes :func:`sample` reads at most, with what it takes to find and check them."""
    size = nbytes(array)
    return min(size + _RUN, max(budget, 2 * _entry_run(array)[1])) + size // _CHECK + (4 << 10)


def sample(array: Array, budget: int = BUDGET) -> Sample:
    """Read values of an array: all of them if they fit into ``budget`` bytes, else runs spread evenly."""
    total = int(np.prod(array.shape, dtype=np.int64))
    if nbytes(array) <= budget or not array.shape:
        parts = [floats(array[:] if array.shape else array)]
    else:
        run, size = _entry_run(array)
        parts = [floats(array[a:b]) for a, b in _runs(array.shape[0], run, max(1, budget // (2 * size)))]
    flat = np.concatenate(parts)
    finite = np.isfinite(flat)
    return Sample(flat if finite.all() else flat[finite], flat.size, total)


def paired(a: Array, b: Array, budget: int = BUDGET) -> tuple[Floats, Floats, str]:
    """Read values of two arrays of one shape at the same places, and say what a reader has to know."""
    if nbytes(a) + nbytes(b) <= budget or not a.shape:
        return floats(np.asarray(a)), floats(np.asarray(b)), ""
    run, size = max(_entry_run(a), _entry_run(b))
    places = [*_runs(a.shape[0], run, max(1, budget // (4 * size)))]
    before, after = (np.concatenate([floats(array[i:j]) for i, j in places]) for array in (a, b))
    of = int(np.prod(a.shape, dtype=np.int64))
    return before, after, f"a sample: {before.size:,} of {of:,} values"


def synapses(projection: RowAccess, values: Array | None = None, budget: int = BUDGET) -> SynapseSample:
    """Read synapses with one attribute: all if they fit into ``budget`` bytes, else runs spread evenly.

    Parameters
    ----------
    values : Array, optional
        One value per synapse, shape ``(n_synapses,)``.
    """
    pointers, ranks = projection.row_ptr, projection.pre_ranks
    n = projection.n_synapses
    each = ranks.dtype.itemsize + (0 if values is None else values.dtype.itemsize)
    if nbytes(pointers) + nbytes(projection.post_ranks) > max(budget // 4, _RUN):
        pieces = _by_rows(projection, values, budget)
    else:
        ptr, posts = np.asarray(pointers[:]), np.asarray(projection.post_ranks[:])
        left = max(budget - ptr.nbytes - posts.nbytes, _RUN)
        run = max(1, n if n * each <= left else _RUN // each)
        pieces = (
            _piece(projection, values, ptr, posts, a, b) for a, b in _runs(n, run, left // (2 * run * each))
        )
    found = [piece for piece in pieces if piece[0].size]
    nothing: tuple[Any, ...] = (*[np.empty(0, np.int64)] * 3, np.empty(0))
    columns = [np.concatenate(column) for column in zip(*(found or (nothing,)), strict=True)]
    return SynapseSample(columns[0], columns[1], columns[2], None if values is None else columns[3], n)


def check_ranks(projection: RowAccess, ranks: NDArray[Any], size: int | None) -> None:
    """Refuse ranks that no population has: where a file says so, pictures would grow without bounds.

    Raises
    ------
    ConnectivityError
        If one is negative, or not below ``size``.
    """
    if ranks.size and not 0 <= ranks.min() <= ranks.max() < (size or 1 << 31):
        raise ConnectivityError(
            f"projection {printable(projection.name)!r} has ranks from {ranks.min():,} to {ranks.max():,}",
            details={"expected": "ranks from 0" + (f", below {size:,}" if size else "")},
        )


def _piece(
    projection: RowAccess, values: Array | None, ptr: NDArray[Any], posts: NDArray[Any], a: int, b: int
) -> tuple[Any, Any, Any, Floats]:
    """Synapses ``a:b``, where ``ptr`` and ``posts`` are those of rows that hold them."""
    sizes = np.diff(ptr)
    if sizes.size != posts.size or (sizes < 0).any() or not ptr[0] <= a <= b <= ptr[-1]:
        raise ConnectivityError(
            f"projection {printable(projection.name)!r} has dendrites that do not follow each other",
            details={"expected": f"{posts.size:,} starts that rise to {projection.n_synapses:,}"},
        )
    rows = np.searchsorted(ptr, np.arange(a, b), side="right") - 1
    taken = np.zeros(0) if values is None else floats(values[a:b])
    sizes = sizes[rows]
    pre = np.asarray(projection.pre_ranks[a:b]).astype(np.int64)
    check_ranks(projection, pre, projection.pre_size)
    check_ranks(projection, posts, projection.post_size)
    return posts[rows].astype(np.int64), pre, sizes.astype(np.int64), taken


def _by_rows(projection: RowAccess, values: Array | None, budget: int) -> Iterator[tuple[Any, Any, Any, Any]]:
    """Pieces of a projection that has too many dendrites to read where each begins."""
    rows = _RUN // projection.row_ptr.dtype.itemsize
    each = projection.pre_ranks.dtype.itemsize + (0 if values is None else values.dtype.itemsize)
    times = max(1, budget // (8 * _RUN))
    for low, high in _runs(projection.n_rows, rows, times):
        ptr = np.asarray(projection.row_ptr[low : high + 1])
        posts = np.asarray(projection.post_ranks[low:high])
        a = int(ptr[0])
        yield _piece(projection, values, ptr, posts, a, min(int(ptr[-1]), a + max(1, 4 * _RUN // each)))


def _entry_run(array: Array) -> tuple[int, int]:
    """Entries of the first axis that are read together, and their bytes."""
    entry = max(1, nbytes(array) // max(1, array.shape[0])) if array.shape else 1
    run = max(1, _RUN // entry, getattr(array, "chunks", (1,))[0] if array.shape else 1)
    return run, run * entry


def _runs(length: int, run: int, times: int) -> Iterator[tuple[int, int]]:
    """Ranges of ``run`` entries, at most ``times``, spread evenly; they begin at multiples of ``run``."""
    there = -(-length // run) if run else 0
    chosen = min(max(1, times), there)
    # The middles of equal parts: neither end stands for more than its share.
    for number in np.unique((np.arange(chosen) * 2 + 1) * there // (2 * max(1, chosen))).tolist():
        yield number * run, min((number + 1) * run, length)
