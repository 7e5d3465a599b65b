"""Pictures of what monitors recorded: a raster of events, traces of samples."""

from __future__ import annotations

import math

import numpy as np

from ann_ckpt.looking.pictures import LARGEST, Curve, Floats, Grid, Picture, Points
from ann_ckpt.looking.sampling import BUDGET, floats
from ann_ckpt.looking.values import spread
from ann_ckpt.model import Series

__all__ = ["raster", "recorded", "traces"]

_EVENTS = 4000
"""Events that are drawn one by one; of more, how many there are in a bin."""
_BINS = 200
_TRACES = 4
_MOMENTS = 400
"""Points of a trace, at most."""


def recorded(
    series: Series, label: str, title: str, *, dt: float | None = None, budget: int = BUDGET
) -> Picture:
    """Return the picture that suits a series: a raster of events, else traces."""
    draw = raster if series.ranks is not None or series.values is None else traces
    return draw(series, label, title, dt=dt, budget=budget)


def raster(
    series: Series, label: str, title: str, *, dt: float | None = None, budget: int = BUDGET
) -> Points | Grid:
    """Return when each neuron had an event; of many events, how many there were in a bin.

    Parameters
    ----------
    dt : float, optional
        Length of a step in ms.
    budget : int
        Bytes that are read at most, about: of a longer series its end is drawn.
    """
    taken, note = _end(series, budget)
    x, x_label = _times(taken, dt)
    y = floats(np.zeros(len(taken)) if taken.ranks is None else taken.ranks)
    if not np.isfinite(x).all():
        x, y = x[np.isfinite(x)], y[np.isfinite(x)]
        missing = len(taken) - x.size
        note = ", ".join(filter(None, (note, f"{missing:,} at no finite time left out")))
    if x.size <= _EVENTS:
        return Points(
            title=title, x_label=x_label, y_label="neuron [rank]", note=note, x=x, y=y, diagonal=False
        )
    sides = [_edges(y, int(min(_BINS, np.ptp(y) + 1))), _edges(x, _BINS)]
    counts = np.histogram2d(y, x, sides)[0][::-1]  # the first neuron below, as where events are points
    return Grid(
        title=title,
        x_label=x_label,
        y_label="neuron [rank]",
        note=note,
        values=np.where(counts > 0, counts, np.nan),
        value_label=f"{label}: events in a bin",
        extent=(float(sides[1][0]), float(sides[1][-1]), float(sides[0][-1]), float(sides[0][0])),
        from_zero=True,
    )


def _edges(values: Floats, bins: int) -> Floats:
    edges = np.linspace(values.min() - 0.5, values.max() + 0.5, bins + 1)
    return edges if (np.diff(edges) > 0).all() else spread(values, bins)


def traces(series: Series, label: str, title: str, *, dt: float | None = None, budget: int = BUDGET) -> Curve:
    """Return the samples of some entries over time; arguments as for :func:`raster`."""
    taken, note = _end(series, budget)
    every = max(1, -(-len(taken) // _MOMENTS))
    x, x_label = _times(taken, dt)
    held = np.asarray([] if taken.values is None else taken.values)
    values = held.astype(np.float64).reshape(len(held), math.prod(held.shape[1:]))[::every]
    columns = np.unique(np.linspace(0, max(0, values.shape[1] - 1), _TRACES).astype(int)).tolist()
    lines = {f"entry {c}": values[:, c] for c in columns if c < values.shape[1]}
    if values.shape[1] > len(lines):
        note = ", ".join(filter(None, (note, f"{len(lines)} of {values.shape[1]:,} entries")))
    if every > 1:
        note = ", ".join(filter(None, (note, f"each {every}th sample")))
    names = [*lines]
    return Curve(
        title=title,
        x_label=x_label,
        y_label=label,
        note=note,
        x=x[::every],
        y=lines[names[0]] if names else np.full(x[::every].size, np.nan),
        y_name=names[0] if len(names) > 1 else "",
        lines={name: lines[name] for name in names[1:]},
    )


def _end(series: Series, budget: int) -> tuple[Series, str]:
    """Return the last records of a series that a budget allows, in memory, and what to say of it."""
    n = len(series)
    most = max(1, budget * n // max(1, series.nbytes))
    return series[max(0, n - most) :], "" if most >= n else f"the last {most:,} of {n:,} records"


def _times(series: Series, dt: float | None) -> tuple[Floats, str]:
    if series.times is None:
        return np.arange(len(series), dtype=np.float64), "record"
    times = floats(series.times)
    if series.times.dtype.kind == "f":
        dt = 1000.0
    if dt is None:
        return times, "time step"
    with np.errstate(over="ignore"):
        times = times * dt
    return np.where(np.isfinite(times), np.clip(times, -LARGEST, LARGEST), times), "simulated time [ms]"
