"""Pictures with matplotlib, through the extra ``plot``: of a network, of a store, of two networks.

Each takes an ``ax`` of matplotlib's, or makes one, and returns it. Of large arrays a part is read,
spread evenly, and the picture says so. A path is ``populations/NAME/ATTRIBUTE`` or
``projections/NAME/ATTRIBUTE``, as ``ann-ckpt ls`` prints it.
"""

from __future__ import annotations

import contextlib
import operator
import os
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import Any

import numpy as np

from ann_ckpt.diffing.pictures import Changes
from ann_ckpt.diffing.pictures import changes as compared
from ann_ckpt.errors import OptionError, printable
from ann_ckpt.looking import choice, values, wiring
from ann_ckpt.looking.choice import Network, Shown
from ann_ckpt.looking.pictures import Bars, Curve, Floats, Grid, Picture, Points
from ann_ckpt.looking.sampling import BUDGET
from ann_ckpt.looking.svg import SERIES
from ann_ckpt.model.exchange import optional
from ann_ckpt.store import history as over_time
from ann_ckpt.store.opening import open_checkpoint
from ann_ckpt.store.store import CheckpointStore

__all__ = [
    "change_histogram",
    "change_scatter",
    "connectivity",
    "draw",
    "figure",
    "histogram",
    "history",
    "in_degree",
    "matrix",
    "out_degree",
    "raster",
    "rate_map",
    "receptive_fields",
    "sizes",
    "synapse_turnover",
    "traces",
]

_PIXELS = 400
SIDE = 2000
"""Neurons on one side of a matrix, beyond which they are binned."""
_BESIDE = 0.12
"""Inches around each picture, so that the scale of one is not taken for the axis of the next."""
_Source = Any
"""An open checkpoint, a :class:`~ann_ckpt.NetworkState`, or a path that :func:`ann_ckpt.open` takes."""


def rate_map(network: _Source, path: str, *, ax: Any = None, budget: int = BUDGET) -> Any:
    """Draw the values of a population over its geometry: a line of one axis, a map of two.

    Parameters
    ----------
    network : Checkpoint, NetworkState or path-like
        What is drawn.
    path : str
        ``populations/layer/r``.
    ax : matplotlib.axes.Axes, optional
        Where to draw; by default in a new figure.
    budget : int
        Bytes of values that are read at most, about.

    Raises
    ------
    MissingExtraError
        Without matplotlib, which the extra ``plot`` brings.
    OptionError
        If there is no value per neuron at that path.
    """

    def made(found: Network) -> Picture:
        one = choice.shown(found, path)
        if one.values.shape != getattr(one.owner, "geometry", None):
            raise OptionError(
                f"{printable(path)!r} does not have one value per neuron",
                details={"found": f"shape {tuple(one.values.shape)}"},
            )
        return values.rate_map(one.values, one.label, _title(path), budget=budget)

    return draw(_with(network, made), ax=ax)


def histogram(network: _Source, path: str, *, bins: int = 60, ax: Any = None, budget: int = BUDGET) -> Any:
    """Draw how the values of an attribute, or delays, are distributed; arguments as for :func:`rate_map`.

    Parameters
    ----------
    bins : int
        How many bars, at most.
    """
    if bins < 1:
        raise OptionError(f"bins={bins} is not a number of bars")

    def made(found: Network) -> Picture:
        one = choice.shown(found, path)
        return values.histogram(one.values, one.label, _title(path), bins=bins, budget=budget)

    return draw(_with(network, made), ax=ax)


def connectivity(network: _Source, path: str, *, ax: Any = None, budget: int = BUDGET) -> Any:
    """Draw which neurons a projection connects, or how densely where there are many.

    Arguments as for :func:`rate_map`; the path is ``projections/NAME``.
    """

    def made(found: Network) -> Picture:
        projection = choice.projection_of(found, path)
        return wiring.connectivity(projection, choice.sizes_of(found, projection), side=SIDE, budget=budget)

    return draw(_with(network, made), ax=ax)


def matrix(network: _Source, path: str, *, ax: Any = None, budget: int = BUDGET) -> Any:
    """Draw one value per synapse over both populations, as means of bins where there are many neurons.

    Arguments as for :func:`rate_map`; the path is ``projections/NAME/ATTRIBUTE``.
    """

    def made(found: Network) -> Picture:
        one = _per_synapse(found, path)
        projection = choice.projection_of(found, path)
        sizes_ = choice.sizes_of(found, projection)
        return wiring.matrix(projection, one.values, one.label, sizes_, side=SIDE, budget=budget)

    return draw(_with(network, made), ax=ax)


def receptive_fields(
    network: _Source,
    path: str,
    *,
    neurons: Sequence[int] | None = None,
    geometry: Sequence[int] | None = None,
    ax: Any = None,
    budget: int = BUDGET,
) -> Any:
    """Draw what some neurons receive, each over the geometry of the pre-synaptic population.

    Arguments as for :func:`rate_map`; the path is ``projections/NAME/ATTRIBUTE``.

    Parameters
    ----------
    neurons : sequence of int, optional
        Post ranks; by default up to 16, spread evenly.
    geometry : sequence of int, optional
        Of the pre-synaptic population, where the network does not have it.

    Raises
    ------
    OptionError
        If the geometry is not known or none, or a neuron has no dendrite.
    """
    chosen = None if neurons is None else _integers("neurons", neurons, 0)
    sides = None if geometry is None else _integers("geometry", geometry, 1)
    if geometry is not None and not sides:
        raise OptionError("geometry is empty", details={"expected": "geometry=(rows, columns)"})

    def made(found: Network) -> Picture:
        one = _per_synapse(found, path)
        projection = choice.projection_of(found, path)
        known = sides or choice.pre_geometry(found, projection)
        if known is None:
            raise OptionError(
                f"the geometry of {printable(projection.pre)!r} is not known",
                details={"hint": "geometry=(rows, columns)"},
            )
        return wiring.fields(projection, one.values, one.label, tuple(known), neurons=chosen, budget=budget)

    return draw(_with(network, made), ax=ax)


def in_degree(network: _Source, path: str, *, ax: Any = None, budget: int = BUDGET) -> Any:
    """Draw how many synapses arrive at a neuron; arguments as for :func:`connectivity`."""
    return draw(_with(network, lambda found: _degrees(found, path, True, budget)), ax=ax)


def out_degree(network: _Source, path: str, *, ax: Any = None, budget: int = BUDGET) -> Any:
    """Draw how many synapses leave a neuron; of a sample, means over ranks. As :func:`connectivity`."""
    return draw(_with(network, lambda found: _degrees(found, path, False, budget)), ax=ax)


def raster(network: _Source, path: str, *, ax: Any = None, budget: int = BUDGET) -> Any:
    """Draw the events that a monitor recorded, such as spikes; arguments as for :func:`rate_map`.

    The path is ``recordings/NAME/VARIABLE``. Of a series that is larger than the budget the end is drawn.
    """
    return draw(_with(network, lambda found: _recorded(found, path, budget, events=True)), ax=ax)


def traces(network: _Source, path: str, *, ax: Any = None, budget: int = BUDGET) -> Any:
    """Draw the samples that a monitor took of some neurons; arguments as for :func:`raster`."""
    return draw(_with(network, lambda found: _recorded(found, path, budget, events=False)), ax=ax)


def history(store: Any, path: str, *, ax: Any = None, budget: int = 4 * BUDGET) -> Any:
    """Draw the median of an attribute over the checkpoints of a store, with bands of quantiles.

    Parameters
    ----------
    store : CheckpointStore or path-like
        A store; of many checkpoints, 60 are looked at.
    path : str
        ``projections/ff/w``.
    ax : matplotlib.axes.Axes, optional
        Where to draw; by default in a new figure.
    budget : int
        Bytes of values that are read at most, about, of all checkpoints together.
    """
    return draw(over_time.history(_infos(store), path, budget=budget), ax=ax)


def sizes(store: Any, *, ax: Any = None) -> Any:
    """Draw what each save added to a store, in MiB; arguments as for :func:`history`."""
    return draw(over_time.sizes(_infos(store)), ax=ax)


def change_scatter(a: _Source, b: _Source, path: str, *, ax: Any = None, budget: int = BUDGET) -> Any:
    """Draw the values of an attribute in two networks against each other; synapses by (pre, post).

    Parameters
    ----------
    a, b : Checkpoint, NetworkState or path-like
        Before and after.
    path, ax, budget
        As for :func:`rate_map`.
    """
    return draw(_between(a, b, path, budget).scatter(), ax=ax)


def change_histogram(a: _Source, b: _Source, path: str, *, ax: Any = None, budget: int = BUDGET) -> Any:
    """Draw how much values changed; arguments as for :func:`change_scatter`."""
    return draw(_between(a, b, path, budget).histogram(), ax=ax)


def synapse_turnover(a: _Source, b: _Source, path: str, *, ax: Any = None, budget: int = BUDGET) -> Any:
    """Draw the values of synapses that stayed, came and went; arguments as for :func:`change_scatter`."""
    return draw(_between(a, b, path, budget).turnover(), ax=ax)


def figure(pictures: Sequence[Picture], *, title: str = "") -> Any:
    """Return a :class:`matplotlib.figure.Figure` with pictures side by side, up to three in a row."""
    across = 2 if len(pictures) == 4 else min(3, max(1, len(pictures)))
    down = -(-max(1, len(pictures)) // across)
    made = optional("matplotlib.figure", "plot").Figure(
        figsize=(5.2 * across, 4.1 * down), layout="constrained", dpi=120
    )
    made.get_layout_engine().set(w_pad=_BESIDE)
    axes = made.subplots(down, across, squeeze=False).ravel()
    for ax, picture in zip(axes, pictures, strict=False):
        draw(picture, ax=ax)
    for ax in axes[len(pictures) :]:
        ax.remove()
    if title:
        made.suptitle(_plain(title, 120))
    return made


def draw(picture: Picture, *, ax: Any = None) -> Any:
    """Draw one picture of this package.

    Raises
    ------
    MissingExtraError
        Without matplotlib, which the extra ``plot`` brings.
    """
    optional("matplotlib", "plot")
    if ax is None:
        ax = optional("matplotlib.pyplot", "plot").subplots(layout="constrained")[1]
    match picture:
        case Grid():
            _grid(picture, ax)
        case Bars():
            _bars(picture, ax)
        case Curve():
            _curve(picture, ax)
        case Points():
            _points(picture, ax)
    ax.set_xlabel(_plain(picture.x_label, 60))
    ax.set_ylabel(_plain(picture.y_label, 60))
    ax.set_title(_plain(picture.title, 60), fontsize=10, loc="left")
    if picture.note:
        ax.annotate(
            _plain(picture.note, 100),
            (0, 1),
            (2, 3),
            xycoords="axes fraction",
            textcoords="offset points",
            fontsize=7,
            color="0.35",
            annotation_clip=False,
        )
        ax.set_title(ax.get_title(loc="left"), fontsize=10, loc="left", pad=16)
    return ax


def _plain(text: str, limit: int) -> str:
    """Return text that matplotlib draws as it is, and not as a formula."""
    return printable(text, limit).replace("\\", "\\\\").replace("$", r"\$")


def _grid(grid: Grid, ax: Any) -> None:
    low, high = grid.limits()
    left, right, top, bottom = grid.extent
    image = ax.imshow(
        np.ma.masked_invalid(grid.values),
        cmap="PuOr_r" if grid.diverging else "cividis",
        vmin=low,
        vmax=high,
        extent=(left, right, bottom, top),
        aspect="equal" if grid.equal else "auto",
        # Cells stay cells; of more than there are pixels, neighbours are averaged and not left out.
        interpolation="nearest" if max(grid.values.shape) <= _PIXELS else "auto",
    )
    if grid.ranks:
        ax.locator_params(integer=True)
    if grid.tiles:
        ax.set_xticks([])
        ax.set_yticks([])
        for side in ax.spines.values():
            side.set_visible(False)
        for tile in grid.tiles:
            ax.annotate(
                _plain(tile.text, 16), (tile.x, tile.y), (0, 1.5), textcoords="offset points", fontsize=6.5
            )
    bar = ax.figure.colorbar(image, ax=ax, shrink=0.85)
    bar.set_label(_plain(grid.value_label, 60))


def _bars(bars: Bars, ax: Any) -> None:
    floor: Floats = np.zeros(len(bars.edges) - 1)
    for n, (name, heights) in enumerate(bars.heights.items()):
        colour = SERIES[n % len(SERIES)]
        label = _plain(name, 40) if name else None
        widths = np.diff(bars.edges)
        ax.bar(bars.edges[:-1], heights, widths, floor, align="edge", color=colour, label=label)
        floor = floor + heights
    if any(bars.heights):
        ax.set_ylim(0, 1.2 * float(np.max(floor, initial=0.0)) or 1.0)  # so that nothing is behind the key
        ax.legend(frameon=False, fontsize=8, ncols=3, loc="upper left")
    if bars.names:
        every = max(1, -(-len(bars.names) // 6))
        middles = (bars.edges[:-1] + bars.edges[1:]) / 2
        ax.set_xticks(middles[::every], [_plain(name, 16) for name in bars.names[::every]])


def _curve(curve: Curve, ax: Any) -> None:
    for n, (name, (lower, upper)) in enumerate(curve.bands.items()):
        ax.fill_between(
            curve.x, lower, upper, color=SERIES[0], alpha=0.22 + 0.2 * n, linewidth=0, label=_plain(name, 40)
        )
    marker = "o" if curve.x.size < 30 else None
    ax.plot(curve.x, curve.y, color=SERIES[0], marker=marker, markersize=3, label=curve.y_name or None)
    for place, said in curve.marks[:8]:
        ax.axvline(place, color="0.5", linewidth=0.8, linestyle=":")
        last = place > curve.x[0] + 0.75 * (curve.x[-1] - curve.x[0])
        ax.annotate(
            _plain(said, 16),
            (place, 1),
            (-2 if last else 2, -9),
            xycoords=("data", "axes fraction"),
            textcoords="offset points",
            fontsize=7,
            ha="right" if last else "left",
        )
    for n, (name, line) in enumerate(curve.lines.items(), 1):
        ax.plot(curve.x, line, color=SERIES[n % len(SERIES)], linewidth=1.2, label=_plain(name, 40))
    if curve.y_name:
        ax.legend(frameon=False, fontsize=8)


def _points(points: Points, ax: Any) -> None:
    ax.scatter(points.x, points.y, s=6, alpha=0.5, color=SERIES[0], linewidths=0)
    if not points.diagonal:
        ax.yaxis.get_major_locator().set_params(integer=True)
        return
    ax.axline((0, 0), slope=1, color="0.5", linewidth=0.8, linestyle="--")


def _integers(name: str, given: Sequence[int], least: int) -> list[int]:
    """Return whole numbers that an argument gives; raises for anything else."""
    with contextlib.suppress(TypeError):
        found = [operator.index(n) for n in given]
        if all(n >= least for n in found):
            return found
    raise OptionError(
        f"{name}={printable(repr(given), 80)} is not possible",
        details={"expected": f"whole numbers from {least}"},
    )


def _title(path: str) -> str:
    return path.strip("/").partition("/")[2]


def _per_synapse(network: Network, path: str) -> Shown:
    found = choice.shown(network, path)
    if not found.per_synapse:
        raise OptionError(
            f"{printable(path)!r} does not have one value per synapse",
            details={"found": f"shape {tuple(found.values.shape)}"},
        )
    return found


def _recorded(network: Network, path: str, budget: int, *, events: bool) -> Picture:
    (picture,) = choice.recorded_pictures(network, path, budget)[:1]
    if isinstance(picture, Curve) is events:
        found = "samples" if isinstance(picture, Curve) else "events"
        raise OptionError(
            f"{printable(path)!r} has no {'events' if events else 'samples'}", details={"found": found}
        )
    return picture


def _degrees(network: Network, path: str, incoming: bool, budget: int) -> Picture:
    projection = choice.projection_of(network, path)
    return wiring.degrees(projection, choice.sizes_of(network, projection), incoming=incoming, budget=budget)


def _with(source: _Source, make: Callable[[Network], Picture]) -> Picture:
    """Make a picture of what a source holds, opening it if it is a path."""
    if not isinstance(source, str | os.PathLike):
        return make(source)
    with open_checkpoint(source) as checkpoint:
        return make(checkpoint)


def _between(a: _Source, b: _Source, path: str, budget: int) -> Changes:
    with ExitStack() as stack:
        both = [
            stack.enter_context(open_checkpoint(one)) if isinstance(one, str | os.PathLike) else one
            for one in (a, b)
        ]
        return compared(both[0], both[1], path, budget=budget)


def _infos(store: Any) -> Any:
    opened = CheckpointStore(store) if isinstance(store, str | os.PathLike) else store
    return opened.checkpoints
