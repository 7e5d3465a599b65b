"""Pictures of the values of one array: their distribution, and where they are in a population."""

from __future__ import annotations

import math

import numpy as np

from ann_ckpt.looking.pictures import LARGEST, Bars, Curve, Floats, Grid, Picture, Tile
from ann_ckpt.looking.sampling import BUDGET, Sample, floats, sample
from ann_ckpt.model import Array, nbytes

__all__ = ["binned_means", "histogram", "histogram_of", "mosaic", "rate_map", "shrunk", "spread"]

_BINS = 60
_SIDE = 240
"""Rows or columns of a grid at most; more are binned."""


def histogram(array: Array, label: str, title: str, *, bins: int = _BINS, budget: int = BUDGET) -> Bars:
    """Return how the values of an array are distributed."""
    return histogram_of(sample(array, budget), label, title, bins=bins, whole=array.dtype.kind in "iub")


def histogram_of(
    found: Sample, label: str, title: str, *, bins: int = _BINS, whole: bool = False, noun: str = "values"
) -> Bars:
    """Return how values are distributed.

    Parameters
    ----------
    whole : bool
        Whether they are whole numbers, of which each, or an equal number of them, gets a bar.
    """
    values = np.clip(found.values, -LARGEST, LARGEST)
    low, high = (float(values.min()), float(values.max())) if values.size else (0.0, 1.0)
    if whole and values.size:
        step = max(1, math.ceil((high - low + 1) / bins))
        edges = low - 0.5 + step * np.arange(math.ceil((high - low + 1) / step) + 1, dtype=np.float64)
    else:
        edges = _edges(low, high, bins)
    counts = np.histogram(values, edges)[0].astype(np.float64)
    return Bars(
        title=title,
        x_label=label,
        y_label=f"number of {noun}",
        note=found.note(),
        edges=edges,
        heights={"": counts},
    )


def spread(values: Floats, bins: int) -> Floats:
    """Edges of equal bars that hold values, none of which is larger than :data:`LARGEST`."""
    return _edges(*((float(values.min()), float(values.max())) if values.size else (0.0, 1.0)), bins)


def _edges(low: float, high: float, bins: int) -> Floats:
    """Edges of equal bars that hold ``low`` and ``high``, also where doubles are too coarse for so many."""
    room = max(abs(low) / 2, 0.5) if low == high else 0.0
    edges = np.linspace(low - room, high + room, bins + 1)
    if (np.diff(edges) > 0).all():
        return edges
    room = max(abs(low), abs(high), 1e-290) * 1e-12
    return np.linspace(low - room, high + room, bins + 1)


def rate_map(array: Array, label: str, title: str, *, budget: int = BUDGET) -> Picture:
    """Return the values of a population over its geometry: a line, a map, or slices of more axes."""
    tiles: tuple[Tile, ...]
    if len(array.shape) == 1:
        return _line(array, label, title, budget)
    if 0 in array.shape:
        # One field without a value: a picture of no fields has no size.
        values, note, tiles = np.full((1, 1), np.nan), "no neurons", ()
        extent = (-0.5, 0.5, -0.5, 0.5)
        labels = ("last axis", "last axis but one")
    elif len(array.shape) == 2:
        values, note = binned_means(array, budget)
        tiles = ()
        extent = (-0.5, array.shape[1] - 0.5, -0.5, array.shape[0] - 0.5)
        labels = ("second axis [neuron]", "first axis [neuron]")
    else:
        values, note, tiles = _slices(array, budget)
        extent = (0.0, float(values.shape[1]), 0.0, float(values.shape[0]))
        labels = ("last axis, slices side by side", "last axis but one")
    diverging = bool(np.nanmin(values, initial=0.0) < 0 < np.nanmax(values, initial=0.0))
    return Grid(
        title=title,
        x_label=labels[0],
        y_label=labels[1],
        note=note,
        values=values,
        value_label=label,
        extent=extent,
        diverging=diverging,
        tiles=tiles,
        equal=True,
        ranks=not tiles,
    )


def _line(array: Array, label: str, title: str, budget: int) -> Curve:
    n = array.shape[0]
    if nbytes(array) <= budget:
        values = floats(array[:])
        groups = np.array_split(values, min(_SIDE, max(1, n)))
        ends = np.cumsum([0, *map(len, groups)])
        x = (ends[:-1] + ends[1:] - 1) / 2
        note = f"means and ranges of {n / len(groups):.0f} neurons each" if n > _SIDE else ""
    else:
        count = max(1, min(_SIDE, budget // (256 << 10)))
        run = min(max(1, (128 << 10) // array.dtype.itemsize), max(1, n // count))
        starts = (np.arange(count) * 2 + 1) * (n - run) // (2 * count)
        groups = [floats(array[int(a) : int(a) + run]) for a in starts]
        x = starts + run / 2
        note = f"a sample: {count * run:,} of {n:,} neurons; means and ranges"
    y = np.array([_mean(group) for group in groups])
    bands = {}
    if note:
        bands["range"] = (
            np.array([np.min(g[np.isfinite(g)], initial=np.inf) for g in groups]),
            np.array([np.max(g[np.isfinite(g)], initial=-np.inf) for g in groups]),
        )
    return Curve(
        title=title,
        x_label="neuron [rank]",
        y_label=label,
        note=note,
        x=np.asarray(x, np.float64),
        y=y,
        y_name="mean",
        bands=bands,
    )


def _mean(values: Floats) -> float:
    finite = np.clip(values[np.isfinite(values)], -LARGEST, LARGEST)
    return float(finite.mean()) if finite.size else math.nan


def _slices(array: Array, budget: int) -> tuple[Floats, str, tuple[Tile, ...]]:
    """Up to twelve slices of all axes but two beside each other, a column free between them."""
    *outer, rows, columns = array.shape
    depth = math.prod(outer)
    entry = max(1, nbytes(array) // max(1, outer[0]))
    count = max(1, min(depth, 12, budget // entry))
    chosen = np.unique(np.linspace(0, depth - 1, count).astype(int)).tolist()
    across = math.ceil(math.sqrt(len(chosen) * rows / max(1, columns)))
    places = [tuple(int(n) for n in np.unravel_index(i, outer)) for i in chosen]
    parts = [shrunk(np.asarray(array[i : i + 1])[(0, *more)].astype(np.float64), 80) for i, *more in places]
    values, tiles = mosaic(parts, [f"slice {', '.join(map(str, place))}" for place in places], across)
    note = "" if len(chosen) == depth else f"a sample: {len(chosen)} of {depth:,} slices"
    return values, note, tiles


def mosaic(parts: list[Floats], names: list[str], across: int) -> tuple[Floats, tuple[Tile, ...]]:
    """Lay small grids of one shape side by side, in rows of ``across``, with room for a name above each."""
    rows, columns = parts[0].shape
    down = math.ceil(len(parts) / across)
    above, beside = max(1, math.ceil(rows / 3)), max(1, columns // 12)
    values = np.full((down * (rows + above), across * (columns + beside) - beside), np.nan)
    tiles = []
    for number, (part, name) in enumerate(zip(parts, names, strict=True)):
        y, x = number // across * (rows + above) + above, number % across * (columns + beside)
        values[y : y + rows, x : x + columns] = part
        tiles.append(Tile(float(x), float(y), float(columns), float(rows), name))
    return values, tuple(tiles)


def binned_means(array: Array, budget: int) -> tuple[Floats, str]:
    """Return an array of two axes with at most 240 rows and columns, and what to say of it."""
    rows, columns = array.shape
    entry = max(1, nbytes(array) // max(1, rows))
    affordable = max(1, budget // entry)
    if affordable >= rows:
        values = np.asarray(array[:]).astype(np.float64)
        note = "means of bins" if max(rows, columns) > _SIDE else ""
        return shrunk(values, _SIDE), note
    # Of each bin of rows a few that stand together are read.
    bins = min(_SIDE, rows, affordable)
    starts = np.arange(bins) * rows // bins
    each = max(1, affordable // bins)
    parts = [
        np.asarray(array[int(a) : min(int(a) + each, rows)]).astype(np.float64).mean(0, keepdims=True)
        for a in starts
    ]
    return shrunk(np.concatenate(parts), _SIDE), f"a sample: {bins * each:,} of {rows:,} lines, means of bins"


def shrunk(values: Floats, rows: int, columns: int | None = None) -> Floats:
    """Means of bins, so that there are at most so many rows and columns, by default as many of both."""
    for axis, side in enumerate((rows, columns or rows)):
        n = values.shape[axis]
        if n > side:
            starts = np.arange(side) * n // side
            sizes = np.diff([*starts, n])
            with np.errstate(over="ignore", invalid="ignore"):
                sums = np.add.reduceat(values, starts, axis)
            values = sums / (sizes[:, None] if axis == 0 else sizes[None, :])
    return values
