"""Pictures of a projection: which synapses there are, what they carry, how many each neuron has."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ann_ckpt.errors import OptionError, printable
from ann_ckpt.looking.pictures import Bars, Floats, Grid, Tile
from ann_ckpt.looking.sampling import BUDGET, Sample, SynapseSample, check_ranks, floats, sample, synapses
from ann_ckpt.looking.values import histogram_of, mosaic
from ann_ckpt.model import Array, nbytes
from ann_ckpt.model.rows import RowAccess

__all__ = ["FIELDS", "SIDE", "connectivity", "degrees", "fields", "matrix"]

SIDE = 200
"""Rows or columns of a picture of synapses, unless told otherwise."""
FIELDS = 16
"""Neurons whose receptive field is drawn, unless told otherwise."""
_FIELD_SIDE = 64
_SILENT = 1 << 24
"""Neurons without a synapse that are counted at most: a file may claim any size."""

_Ranks = NDArray[np.int64]
Sizes = tuple[int | None, int | None]
"""Neurons on the post- and on the pre-synaptic side, None where nobody knows."""


def matrix(
    projection: RowAccess, values: Array, label: str, sizes: Sizes, *, side: int = SIDE, budget: int = BUDGET
) -> Grid:
    """Return one value per synapse over the two populations, means of bins where there are many neurons."""
    found = synapses(projection, values, budget)
    assert found.values is not None  # noqa: S101  values were asked for
    binned = _Bins(found.post, found.pre, sizes, found.whole, side)
    good = np.isfinite(found.values)
    counts = binned.sums(good.astype(np.float64))
    with np.errstate(invalid="ignore", divide="ignore"):
        means = binned.sums(np.where(good, found.values, 0.0)) / counts
    means[counts == 0] = np.nan
    signed = bool(np.nanmin(means, initial=0.0) < 0 < np.nanmax(means, initial=0.0))
    return binned.grid(projection, means, label, found.note(), diverging=signed)


def connectivity(projection: RowAccess, sizes: Sizes, *, side: int = SIDE, budget: int = BUDGET) -> Grid:
    """Return which neurons are connected; how densely, where there are many."""
    found = _whole_dendrites(synapses(projection, None, budget))
    binned = _Bins(found.post, found.pre, sizes, found.whole, side)
    counts = binned.sums(np.ones(found.pre.size))
    # Where there are only dendrites that were read in part, each counts as that part.
    rows_seen = np.bincount(binned.y, 1.0 / np.maximum(found.row_sizes, 1), binned.shape[0])
    of = binned.row_counts() if found.whole else rows_seen
    with np.errstate(invalid="ignore", divide="ignore"):
        density = counts / (of[:, None] * binned.column_counts()[None, :])
    label = "share of all possible synapses" if binned.binned else "synapses of a pair"
    return binned.grid(projection, density, label, found.note(), from_zero=True)


def _whole_dendrites(found: SynapseSample) -> SynapseSample:
    """Leave out dendrites that were read in part, unless there are no others.

    What was read of one may lie anywhere in it, most often at one end of the other population, which
    would seem to be connected more than completely.
    """
    _, dendrite, read = np.unique(found.post, return_inverse=True, return_counts=True)
    whole = read[dendrite] >= found.row_sizes
    if whole.all() or not whole.any():
        return found
    return replace(found, post=found.post[whole], pre=found.pre[whole], row_sizes=found.row_sizes[whole])


class _Bins:
    """Neurons of both sides in bins of equal width."""

    def __init__(self, post: _Ranks, pre: _Ranks, sizes: Sizes, whole: bool, side: int) -> None:
        found = (int(post.max(initial=-1)) + 1, int(pre.max(initial=-1)) + 1)
        post_size, pre_size = (max(1, known or 0, seen) for known, seen in zip(sizes, found, strict=True))
        self.sizes = (post_size, pre_size)
        # Runs that were read are few, and would be lost among many lines without anything.
        most = side if whole else max(1, min(side, _breaks(post)))
        self.shape = (min(self.sizes[0], most), min(self.sizes[1], side if whole else min(side, SIDE)))
        self.binned = self.shape != self.sizes
        self.y = post * self.shape[0] // self.sizes[0]
        self._place = self.y * self.shape[1] + pre * self.shape[1] // self.sizes[1]

    def sums(self, weights: Floats) -> Floats:
        """Sum of what falls into each bin."""
        sums = np.bincount(self._place, weights, self.shape[0] * self.shape[1])
        return np.asarray(sums, np.float64).reshape(self.shape)

    def row_counts(self) -> Floats:
        """Neurons in each bin of rows."""
        return self._counts(0)

    def column_counts(self) -> Floats:
        """Neurons in each bin of columns."""
        return self._counts(1)

    def _counts(self, axis: int) -> Floats:
        size, bins = self.sizes[axis], self.shape[axis]
        return np.diff([float(-(-i * size // bins)) for i in range(bins + 1)])

    def grid(
        self,
        projection: RowAccess,
        values: Floats,
        label: str,
        note: str,
        *,
        diverging: bool = False,
        from_zero: bool = False,
    ) -> Grid:
        bins = f"bins of {self.sizes[0] / self.shape[0]:,.3g} x {self.sizes[1] / self.shape[1]:,.3g} neurons"
        return Grid(
            title=projection.name,
            x_label=f"pre: {projection.pre} [rank]",
            y_label=f"post: {projection.post} [rank]",
            note=", ".join(filter(None, (note, bins if self.binned else ""))),
            values=values,
            value_label=label,
            extent=(-0.5, self.sizes[1] - 0.5, -0.5, self.sizes[0] - 0.5),
            diverging=diverging,
            from_zero=from_zero,
            ranks=True,
        )


def _breaks(post: _Ranks) -> int:
    """How many runs of dendrites were read."""
    return int(np.count_nonzero(np.diff(post) != 0)) + 1 if post.size else 1


def degrees(
    projection: RowAccess, sizes: Sizes = (None, None), *, incoming: bool, budget: int = BUDGET
) -> Bars:
    """Return how many synapses the neurons have, those that arrive or those that leave; some have none."""
    known = sizes[0] or projection.post_size if incoming else sizes[1] or projection.pre_size
    if incoming:
        found = _row_sizes(projection, known or 0, budget)
        label = f"synapses onto a neuron of {projection.post}"
    else:
        label = f"synapses from a neuron of {projection.pre}"
        if nbytes(projection.pre_ranks) > budget:
            return _mean_outgoing(projection, known or 0, budget)
        pre = np.asarray(projection.pre_ranks[:])
        check_ranks(projection, pre, known)
        counts = np.unique(pre, return_counts=True)[1].astype(np.float64)
        silent = min((known or 0) - counts.size, _SILENT)
        counts = np.concatenate([np.zeros(max(0, silent)), counts])
        found = Sample(counts, counts.size, counts.size)
    return histogram_of(found, label, projection.name, whole=True, noun="neurons")


def _row_sizes(projection: RowAccess, known: int, budget: int) -> Sample:
    pointers = projection.row_ptr
    n = projection.n_rows
    if nbytes(pointers) <= budget:
        sizes = np.diff(floats(pointers[:]))
    else:
        run = (128 << 10) // pointers.dtype.itemsize
        times = max(1, budget // (256 << 10))
        starts = ((np.arange(times) * 2 + 1) * (n - run) // (2 * times)).tolist()
        sizes = np.concatenate([np.diff(floats(pointers[a : a + run + 1])) for a in starts])
    # Neurons without a dendrite; beside a sample of dendrites, the same share of them.
    without = max(0, known - n)
    silent = min(without if sizes.size == n else without * sizes.size // n, _SILENT)
    sizes = np.concatenate([np.zeros(silent), sizes])
    return Sample(sizes, sizes.size, n + (silent if sizes.size == n + silent else without))


def _mean_outgoing(projection: RowAccess, known: int, budget: int) -> Bars:
    """What leaves neurons on average, by their ranks: a sample does not tell what leaves a single one."""
    found = sample(projection.pre_ranks, budget)
    size = max(known, int(found.values.max(initial=0)) + 1)
    edges = np.linspace(0, size, min(60, size) + 1)
    counts = np.histogram(found.values, edges)[0] * (found.of / max(1, found.looked_at))
    return Bars(
        title=projection.name,
        x_label=f"neuron of {projection.pre} [rank]",
        y_label="synapses from a neuron, mean of a bin",
        note=found.note().replace("values", "synapses"),
        edges=edges,
        heights={"": counts / np.diff(edges)},
    )


def fields(
    projection: RowAccess,
    values: Array,
    label: str,
    geometry: tuple[int, ...],
    *,
    neurons: list[int] | None = None,
    at_most: int = FIELDS,
    budget: int = BUDGET,
) -> Grid:
    """Return what some neurons receive, over the geometry of the pre-synaptic population.

    Parameters
    ----------
    geometry : tuple of int
        Of the pre-synaptic population; a third axis is laid behind the second.
    neurons : list of int, optional
        Post ranks; by default up to `at_most`, spread evenly.

    Raises
    ------
    OptionError
        If the projection has no dendrite for one of them, or none at all.
    """
    rows = _rows_of(projection, neurons, at_most, budget)
    wide = (geometry[0], math.prod(geometry[1:])) if len(geometry) > 1 else (1, geometry[0])
    shape = (min(wide[0], _FIELD_SIDE), min(wide[1], _FIELD_SIDE))
    parts, ranks = [], []
    for row in rows:
        start, stop = (int(n) for n in np.asarray(projection.row_ptr[row : row + 2]))
        pre = np.asarray(projection.pre_ranks[start:stop]).astype(np.int64)
        check_ranks(projection, pre, wide[0] * wide[1])
        place = pre // wide[1] * shape[0] // wide[0] * shape[1] + pre % wide[1] * shape[1] // wide[1]
        taken = floats(values[start:stop])
        counts = np.bincount(place, minlength=shape[0] * shape[1])
        sums = np.bincount(place, taken, shape[0] * shape[1])
        # Several synapses of one pair add up; neurons of one bin are averaged.
        means = sums / np.maximum(counts, 1) if shape != wide else sums
        parts.append(np.where(counts > 0, means, np.nan).reshape(shape))
        ranks.append(int(np.asarray(projection.post_ranks[row : row + 1])[0]))
    tiles: tuple[Tile, ...] = ()
    if shape[0] == 1:
        drawn, y_label = np.concatenate(parts), f"neurons {ranks[0]:,} to {ranks[-1]:,}"
    else:
        across = math.ceil(math.sqrt(len(parts) * shape[0] / shape[1]))
        drawn, tiles = mosaic(parts, [f"{rank:,}" for rank in ranks], across)
        y_label = ""
    signed = bool(np.nanmin(drawn, initial=0.0) < 0 < np.nanmax(drawn, initial=0.0))
    of = f"{len(parts)} of {projection.n_rows:,} neurons of {projection.post}, by rank"
    return Grid(
        title=f"{projection.name}: receptive fields",
        x_label=f"over {projection.pre}, {' x '.join(map(str, geometry))} neurons",
        y_label=y_label,
        note=of + (", means of bins" if shape != wide else ""),
        values=drawn,
        value_label=label,
        extent=(0.0, float(drawn.shape[1]), 0.0, float(drawn.shape[0])),
        diverging=signed,
        tiles=tiles,
        equal=shape[0] > 1,
    )


def _rows_of(projection: RowAccess, neurons: list[int] | None, at_most: int, budget: int) -> list[int]:
    if neurons is None:
        n = projection.n_rows
        if not n:
            raise OptionError(f"projection {printable(projection.name)!r} has no dendrites")
        each = 16 * max(1, projection.n_synapses // n) + (512 << 10)
        small = 16 * projection.n_synapses <= budget
        count = min(n, at_most if small else max(1, min(at_most, budget // each)))
        # Not the first and the last, which stand at corners, where there is a choice.
        inner = n > count + 1
        chosen = np.unique(np.linspace(0, n - 1, count + 2 if inner else count).astype(int)).tolist()
        return [int(row) for row in (chosen[1:-1] if inner else chosen)]
    rows = []
    for rank in neurons:
        row = projection.find_row(rank)
        if row is None:
            raise OptionError(
                f"projection {printable(projection.name)!r} has no dendrite for neuron {rank}",
                details={"stored": f"{projection.n_rows:,} dendrites"},
            )
        rows.append(row)
    if not rows:
        raise OptionError("no neurons are named", details={"expected": "at least one post rank"})
    return rows
