"""What is drawn, whoever draws it: a grid of values, bars, a line with bands, points."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

__all__ = ["LARGEST", "Bars", "Curve", "Floats", "Grid", "Picture", "Points", "Tile", "labelled", "numbers"]

Floats = NDArray[np.float64]
LARGEST = 1e300
"""Larger numbers are drawn as this one: differences and sums of it are still numbers."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Picture:
    """What all pictures have. Labels are plain text that may come from a file: whoever draws escapes them."""

    title: str
    x_label: str
    """What the horizontal axis is, with its unit."""
    y_label: str
    """What the vertical axis is, with its unit."""
    note: str = ""
    """What a reader has to know: that it is a sample, or binned."""


@dataclass(frozen=True, slots=True)
class Tile:
    """A small grid inside a grid, where several stand side by side, and the label above it."""

    x: float
    """Left edge, in columns."""
    y: float
    """Top edge, in rows."""
    width: float
    """In columns."""
    height: float
    """In rows."""
    text: str


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Grid(Picture):
    """Values on a grid, the first row on top."""

    values: Floats
    """Shape ``(n_rows, n_columns)``; NaN where there is nothing."""
    value_label: str
    """What a value is, with its unit."""
    extent: tuple[float, float, float, float]
    """Left, right, top and bottom edge, in the units of the axes."""
    diverging: bool = False
    """Whether the colours have their middle at zero."""
    tiles: tuple[Tile, ...] = ()
    equal: bool = False
    """Whether a step to the right is as long as a step down, as in space."""
    from_zero: bool = False
    """Whether the colours begin at zero, whatever the lowest value is."""

    ranks: bool = False
    """Whether the axes count neurons, so that there is nothing between whole numbers."""

    def limits(self) -> tuple[float, float]:
        """Return the values at the ends of the colour scale: different from each other, and finite."""
        finite = np.clip(self.values[np.isfinite(self.values)], -LARGEST, LARGEST)
        low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0)
        if self.diverging:
            high = max(abs(low), abs(high)) or 1.0
            return -high, high
        if self.from_zero:
            low = min(low, 0.0)
        if low == high:
            low, high = min(low, 0.0), max(high, 0.0) or 1.0
        return low, high


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Bars(Picture):
    """How many values lie between edges, or heights of named things, one series on the other."""

    edges: Floats
    """Edges of the bars, rising, shape ``(n + 1,)``."""
    heights: Mapping[str, Floats]
    """Heights of each series, shape ``(n,)``; a single one may have an empty name."""
    top: float | None = None
    """Height of the axis, where several pictures are to be compared."""
    names: tuple[str, ...] = ()
    """Names of the bars, where they stand for things and not for ranges of numbers."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Curve(Picture):
    """A line, and bands around it."""

    x: Floats
    """Rising, shape ``(n,)``."""
    y: Floats
    """Shape ``(n,)``; NaN where nothing is known."""
    y_name: str = ""
    """What the line is: ``median``."""
    bands: Mapping[str, tuple[Floats, Floats]] = field(default_factory=dict)
    """Lower and upper edges by name, the widest first."""
    lines: Mapping[str, Floats] = field(default_factory=dict)
    """Further lines over the same axis, by name; shape ``(n,)`` each."""
    marks: tuple[tuple[float, str], ...] = ()
    """Places on the horizontal axis with a text: tags."""

    def __post_init__(self) -> None:
        """Leave out places that are not finite numbers; heights that are not become NaN."""
        there = np.isfinite(self.x)
        held = {
            "x": _drawable(self.x[there]),
            "y": _drawable(self.y[there]),
            "bands": {n: (_drawable(a[there]), _drawable(b[there])) for n, (a, b) in self.bands.items()},
            "lines": {name: _drawable(line[there]) for name, line in self.lines.items()},
            "marks": tuple((place, said) for place, said in self.marks if np.isfinite(place)),
        }
        for name, value in held.items():
            object.__setattr__(self, name, value)


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Points(Picture):
    """Points, and the line on which both coordinates are equal."""

    x: Floats
    y: Floats
    diagonal: bool = True
    """Whether the axes are of one kind, so that there is such a line."""

    def __post_init__(self) -> None:
        """Leave out points whose place is not of finite numbers."""
        there = np.isfinite(self.x) & np.isfinite(self.y)
        object.__setattr__(self, "x", _drawable(self.x[there]))
        object.__setattr__(self, "y", _drawable(self.y[there]))


def _drawable(values: Floats) -> Floats:
    """Values that can be drawn: NaN where one is not finite, and none too large to calculate with."""
    return np.where(np.isfinite(values), np.clip(values, -LARGEST, LARGEST), np.nan)


def labelled(name: str, unit: str = "") -> str:
    """Return the label of an axis.

    Examples
    --------
    >>> labelled("v", "mV"), labelled("w")
    ('v [mV]', 'w')
    """
    return f"{name} [{unit}]" if unit else name


def numbers(values: Sequence[float]) -> list[str]:
    """Return numbers as text, in four digits or in as many more as tell them apart.

    Examples
    --------
    >>> numbers([-70.0010, -70.0005, -70.0]), numbers([0.0, 1 / 3])
    (['-70.001', '-70.0005', '-70'], ['0', '0.3333'])
    """
    near = min((b - a for a, b in pairwise(sorted(set(values)))), default=math.inf) / 10
    said: list[str] = []
    for digits in range(4, 18):
        said = [f"{value:.{digits}g}" for value in values]
        if all(abs(float(text) - value) <= near for text, value in zip(said, values, strict=True)):
            break
    return said
