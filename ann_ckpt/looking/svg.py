"""Draws pictures as SVG, which a page or a notebook holds without loading anything.

Lines and words take the colour of the text around them, so that they stand on dark paper too.
"""

from __future__ import annotations

import base64
import itertools
import math
import struct
import sys
import zlib
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from ann_ckpt.looking.pictures import Bars, Curve, Floats, Grid, Picture, Points, Tile, numbers
from ann_ckpt.markup import escaped

__all__ = ["SERIES", "figure", "palette", "svg", "ticks"]

# Cividis (Nunez et al. 2018) and ColorBrewer's PuOr: eyes of every kind tell their ends from their middle.
_CIVIDIS = (
    "00224e 002e6a 1a386f 32436d 434e6c 535a6d 61656f 6f7073 7d7c78 "
    "8c8878 9b9476 aba072 bcae6c cdbb63 dec958 f0d846 fee838"
)
_PURPLE_ORANGE = (
    "2d004b 451871 5f3a91 7b6aa8 9990bf b7b1d5 cfcfe5 e4e5f0 f7f7f6 "
    "fce8cd fed59f fdbc6b ee9b39 d97b12 bd6109 9e4c07 7f3b08"
)
SERIES = ("#4477aa", "#cc7722", "#7a9a3a", "#aa4477")
"""Colours of series, told apart by colour-blind eyes, and on white and on black."""
_NO_VALUE = {False: "#c8c8c8", True: "#8c8c8c"}
"""Where nothing is, for one-sided and two-sided colours: in neither of them, on white and on black paper."""
_EMPTY = 255
_LONG = 10_000
_WIDTH, _HEIGHT = 400, 260
_LEFT, _BOTTOM, _TOP, _RIGHT, _SCALE, _KEY = 58, 42, 10, 14, 78, 14


def figure(picture: Picture) -> str:
    """Return a picture with its title and its note, as HTML."""
    note = f'<span class="ac-note">{escaped(picture.note, 300)}</span>' if picture.note else ""
    return (
        f'<figure class="ac-fig">{svg(picture)}'
        f"<figcaption>{escaped(picture.title, 120)} {note}</figcaption></figure>"
    )


def svg(picture: Picture) -> str:
    """Return a picture as an SVG element; every text in it is escaped."""
    match picture:
        case Grid():
            box, parts = _grid(picture)
        case Bars():
            box, parts = _bars(picture)
        case Curve():
            box, parts = _curve(picture)
        case Points():
            box, parts = _points(picture)
        case _:
            raise TypeError(f"no drawing of {type(picture).__name__}")
    said = ", ".join(filter(None, (picture.title, picture.x_label, picture.y_label, picture.note)))
    labels = [*_labels(picture, box)]
    return (
        f'<svg class="ac-svg" role="img" aria-label="{escaped(said, 400)}" viewBox="0 0 {_WIDTH} {_HEIGHT}" '
        f'width="{_WIDTH}" height="{_HEIGHT}" font-family="system-ui,sans-serif" font-size="11" '
        f'fill="currentColor" style="max-width:100%;height:auto">{"".join([*parts, *labels])}</svg>'
    )


class _Box:
    """The place of the axes in the picture, and what their ends mean."""

    def __init__(
        self,
        limits: Sequence[float],
        right: float = _RIGHT,
        aspect: float | None = None,
        above: float = 0.0,
    ) -> None:
        self.low_x, self.high_x, self.low_y, self.high_y = limits
        self.x, self.y = float(_LEFT), _TOP + above
        self.width, self.height = _WIDTH - _LEFT - right, _HEIGHT - _TOP - _BOTTOM - above
        if aspect is not None:
            width = min(self.width, self.height * aspect)
            self.height, self.width = width / aspect, width
            self.height = max(self.height, 4.0)

    def at(self, x: float, y: float) -> tuple[float, float]:
        """Place of a point."""
        across = (x - self.low_x) / ((self.high_x - self.low_x) or 1.0)
        up = (y - self.low_y) / ((self.high_y - self.low_y) or 1.0)
        return self.x + across * self.width, self.y + (1 - up) * self.height

    @property
    def bottom(self) -> float:
        return self.y + self.height


def ticks(low: float, high: float, count: int = 4, *, whole: bool = False) -> list[float]:
    """Return round numbers between two, about ``count``; only whole ones if asked.

    Examples
    --------
    >>> ticks(0.0, 1.0)
    [0.0, 0.25, 0.5, 0.75, 1.0]
    """
    span = high - low
    if not (math.isfinite(span) and span > 0):
        return [low] if math.isfinite(low) else []
    rough = span / count
    if rough < sys.float_info.min:
        return [low, high]
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(m * power for m in (1, 2, 2.5, 5, 10) if m * power >= rough * 0.999)
    if whole:
        step = max(1.0, float(math.ceil(step)))
    first = math.ceil(low / step - 1e-9)
    return [n * step for n in range(first, first + 3 * count) if n * step <= high + 1e-9 * span]


def _said(values: Sequence[float]) -> list[str]:
    return [
        f"{value:,.0f}" if _LONG <= abs(value) < 1000 * _LONG and value == round(value) else text
        for value, text in zip(values, numbers(values), strict=True)
    ]


def _text(x: float, y: float, text: str, anchor: str = "middle", limit: int = 60, more: str = "") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" {more}>{escaped(text, limit)}</text>'


def _turned(x: float, y: float, text: str, limit: int) -> str:
    return _text(x, y, text, limit=limit, more=f'transform="rotate(-90 {x:.1f} {y:.1f})"')


def _labels(picture: Picture, box: _Box) -> Iterator[str]:
    yield _text(box.x + box.width / 2, box.bottom + 32, picture.x_label, limit=52)
    yield _turned(11, box.y + max(box.height, 90) / 2, picture.y_label, max(14, int(box.height / 5.6)))


def _frame(
    box: _Box, x_ticks: Sequence[tuple[float, str]], y_ticks: Sequence[tuple[float, str]]
) -> list[str]:
    lines = f"M{box.x:.1f} {box.y:.1f}V{box.bottom:.1f}H{box.x + box.width:.1f}"
    parts = [f'<path d="{lines}" fill="none" stroke="currentColor" stroke-opacity=".55"/>']
    for value, said in x_ticks:
        x, _ = box.at(value, box.low_y)
        parts.append(f'<path d="M{x:.1f} {box.bottom:.1f}v4" stroke="currentColor" stroke-opacity=".55"/>')
        inside = min(x, _WIDTH - 3.6 * min(len(said), 10))  # half of it, so that none is cut off
        parts.append(_text(inside, box.bottom + 16, said, limit=20, more=_small(said, 10)))
    for value, said in y_ticks:
        _, y = box.at(box.low_x, value)
        parts.append(f'<path d="M{box.x:.1f} {y:.1f}h-4" stroke="currentColor" stroke-opacity=".55"/>')
        parts.append(_text(box.x - 7, y + 4, said, "end", 20, _small(said, 5.5)))
    return parts


def _small(said: str, room: float) -> str:
    """Return what makes a number of many digits fit where there is room for so many characters."""
    return f'font-size="{11 * room / len(said):.1f}"' if len(said) > room else ""


def _axis(low: float, high: float, *, whole: bool = False) -> list[tuple[float, str]]:
    values = ticks(low, high, whole=whole)
    return [*zip(values, _said(values), strict=True)]


# --- Grid ---------------------------------------------------------------------------


def palette(*, diverging: bool) -> NDArray[np.uint8]:
    """Return 255 colours, shape ``(255, 3)``."""
    stops = (_PURPLE_ORANGE if diverging else _CIVIDIS).split()
    known = np.array([[int(stop[i : i + 2], 16) for i in (0, 2, 4)] for stop in stops], float)
    places = np.linspace(0, len(stops) - 1, _EMPTY)
    made = [np.interp(places, np.arange(len(stops)), known[:, channel]) for channel in range(3)]
    return np.round(np.stack(made, 1)).astype(np.uint8)


def _grid(grid: Grid) -> tuple[_Box, list[str]]:
    left, right, top, bottom = grid.extent
    rows, columns = grid.values.shape
    aspect = columns / max(1, rows) if grid.equal else None
    box = _Box((left, right, bottom, top), _SCALE, aspect)
    low, high = grid.limits()
    parts = [
        *_nothing(grid, box),
        _image(box.x, box.y, box.width, box.height, _indices(grid.values, low, high), grid.diverging),
    ]
    if grid.tiles:
        for tile in grid.tiles:
            x, y = box.x + tile.x / columns * box.width, box.y + tile.y / rows * box.height
            parts.append(_text(x, y - 2, tile.text, "start", 16, 'font-size="8.5"'))
    else:
        whole = grid.ranks
        parts += _frame(
            box,
            _axis(left, right, whole=whole),
            _axis(min(top, bottom), max(top, bottom), whole=whole),
        )
    return box, parts + _scale(grid, box.x + box.width + 12, box, low, high)


def _nothing(grid: Grid, box: _Box) -> Iterator[str]:
    """Draw what is seen where there is no value.

    Paper would not do: it is as dark as the lowest value on a dark page, and the middle of two-sided
    colours is as light as a light one.
    """
    if not np.isnan(grid.values).any():
        return
    rows, columns = grid.values.shape
    whole = Tile(0.0, 0.0, float(columns), float(rows), "")
    for tile in grid.tiles or (whole,):
        x, y = box.x + tile.x / columns * box.width, box.y + tile.y / rows * box.height
        yield _blank(x, y, tile.width / columns * box.width, tile.height / rows * box.height, grid)


def _blank(x: float, y: float, width: float, height: float, grid: Grid) -> str:
    colour = _NO_VALUE[grid.diverging]
    return f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" fill="{colour}"/>'


def _scale(grid: Grid, x: float, box: _Box, low: float, high: float) -> list[str]:
    """Draw what colours mean: a strip, with its ends and its middle."""
    height = max(box.height, 90.0)
    strip = np.arange(_EMPTY - 1, -1, -1, dtype=np.uint8)[:, None]
    parts = [_image(x, box.y, 11, height, strip, grid.diverging)]
    for value, said in _axis(low, high):
        y = box.y + height * (1 - (value - low) / (high - low))
        parts.append(f'<path d="M{x + 11:.1f} {y:.1f}h3" stroke="currentColor" stroke-opacity=".55"/>')
        parts.append(_text(x + 17, y + 4, said, "start", 14, _small(said, 5.5)))
    drawn = [grid.values[int(t.y) : int(t.y + t.height), int(t.x) : int(t.x + t.width)] for t in grid.tiles]
    if any(np.isnan(values).any() for values in drawn or [grid.values]):
        y = box.y + height + 8
        parts += [_blank(x, y, 11, 11, grid), _text(x + 17, y + 9, "no value", "start", 9)]
    middle = box.y + height / 2
    parts.append(_turned(min(x + 59, _WIDTH - 4), middle, grid.value_label, max(16, int(height / 5.6))))
    return parts


def _indices(values: Floats, low: float, high: float) -> NDArray[np.uint8]:
    with np.errstate(all="ignore"):
        scaled = (values / 2 - low / 2) / (high / 2 - low / 2)
        places = np.clip(np.nan_to_num(scaled, nan=0.0, posinf=1.0, neginf=0.0), 0, 1) * (_EMPTY - 1)
    return np.where(np.isnan(values), _EMPTY, np.round(places)).astype(np.uint8)


def _image(
    x: float, y: float, width: float, height: float, indices: NDArray[np.uint8], diverging: bool
) -> str:
    data = base64.b64encode(_png(indices, palette(diverging=diverging))).decode()
    return (
        f'<image x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" '
        f'preserveAspectRatio="none" style="image-rendering:pixelated" href="data:image/png;base64,{data}"/>'
    )


def _png(indices: NDArray[np.uint8], colours: NDArray[np.uint8]) -> bytes:
    """Return a PNG of palette indices; the last one is transparent."""
    rows, columns = indices.shape
    lines = np.concatenate([np.zeros((rows, 1), np.uint8), indices], 1).tobytes()

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    return b"".join(
        [
            b"\x89PNG\r\n\x1a\n",
            chunk(b"IHDR", struct.pack(">IIBBBBB", columns, rows, 8, 3, 0, 0, 0)),
            chunk(b"PLTE", colours.tobytes() + b"\0\0\0"),
            chunk(b"tRNS", b"\xff" * _EMPTY + b"\0"),
            chunk(b"IDAT", zlib.compress(lines, 9)),
            chunk(b"IEND", b""),
        ]
    )


# --- Bars, curves, points -------------------------------------------------------------


def _bars(bars: Bars) -> tuple[_Box, list[str]]:
    tops = np.sum(list(bars.heights.values()), 0) if bars.heights else np.zeros(len(bars.edges) - 1)
    highest = bars.top or float(np.max(tops, initial=0.0)) or 1.0
    names = [name for name in bars.heights if name]
    limits = (float(bars.edges[0]), float(bars.edges[-1]), 0.0, highest * 1.05)
    box = _Box(limits, above=_KEY if names else 0.0)
    floor = np.zeros(len(bars.edges) - 1)
    parts = []
    gap = 0.6 if box.width / max(1, len(floor)) > 4 else 0.0
    for colour, heights in zip(itertools.cycle(SERIES), bars.heights.values(), strict=False):
        path = []
        for i in np.flatnonzero(heights):
            x0, y0 = box.at(float(bars.edges[i]), float(floor[i]))
            x1, y1 = box.at(float(bars.edges[i + 1]), float(floor[i] + heights[i]))
            y1 = min(y1, y0 - 0.7)  # a single value among millions is still seen
            path.append(f"M{x0 + gap / 2:.1f} {y0:.1f}V{y1:.1f}H{max(x1 - gap / 2, x0 + 0.3):.1f}V{y0:.1f}Z")
        parts.append(f'<path fill="{colour}" d="{"".join(path)}"/>')
        floor = floor + heights
    parts += _key([*zip(names, itertools.cycle(SERIES), itertools.repeat(1.0))])
    if bars.names:
        every = max(1, math.ceil(len(bars.names) / 5))
        middles = (bars.edges[:-1] + bars.edges[1:]) / 2
        x_ticks = [(float(middles[i]), bars.names[i]) for i in range(0, len(bars.names), every)]
    else:
        x_ticks = _axis(box.low_x, box.high_x)
    return box, parts + _frame(box, x_ticks, _axis(0.0, box.high_y))


def _key(series: Sequence[tuple[str, str, float]]) -> list[str]:
    """Name the series above the axes, each with its colour and how solid it is."""
    parts, x = [], float(_LEFT)
    for name, colour, opacity in series:
        square = f'width="9" height="9" fill="{colour}" fill-opacity="{opacity:.2f}"'
        parts.append(f'<rect x="{x:.1f}" y="{_TOP - 6}" {square}/>')
        parts.append(_text(x + 13, _TOP + 2.5, name, "start", 24))
        x += 27 + 6.0 * min(len(name), 24)
    return parts


def _curve(curve: Curve) -> tuple[_Box, list[str]]:
    edges = [curve.y, *curve.lines.values(), *(edge for band in curve.bands.values() for edge in band)]
    finite = np.concatenate([edge[np.isfinite(edge)] for edge in edges]) if edges else np.empty(0)
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0)
    room = (high - low) * 0.06 or max(abs(high) * 0.1, 0.5)
    x0, x1 = (float(curve.x[0]), float(curve.x[-1])) if curve.x.size else (0.0, 1.0)
    if x0 == x1:
        x0, x1 = x0 - 0.5, x1 + 0.5
    box = _Box((x0, x1, low - room, high + room), above=_KEY if curve.y_name else 0.0)
    opacities = [0.3 + 0.25 * n for n in range(len(curve.bands))]
    named = [(curve.y_name, 1.0), *zip(curve.bands, opacities, strict=True)]
    colours = [SERIES[n % len(SERIES)] for n in range(1, len(curve.lines) + 1)]
    key = [(name, SERIES[0], opacity) for name, opacity in named if name]
    parts = _key([*key, *((name, colour, 1.0) for name, colour in zip(curve.lines, colours, strict=True))])
    for opacity, (lower, upper) in zip(opacities, curve.bands.values(), strict=True):
        known = np.isfinite(lower) & np.isfinite(upper)
        there = [*zip(curve.x[known], upper[known], strict=True)]
        back = [*zip(curve.x[known][::-1], lower[known][::-1], strict=True)]
        if there:
            parts.append(
                f'<path fill="{SERIES[0]}" fill-opacity="{opacity:.2f}" d="{_line(box, there + back)}Z"/>'
            )
    known = np.isfinite(curve.y)
    line = [*zip(curve.x[known], curve.y[known], strict=True)]
    if len(line) == 1:
        x, y = box.at(*map(float, line[0]))
        parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{SERIES[0]}"/>')
    elif line:
        parts.append(f'<path fill="none" stroke="{SERIES[0]}" stroke-width="1.8" d="{_line(box, line)}"/>')
    for colour, values in zip(colours, curve.lines.values(), strict=True):
        known = np.isfinite(values)
        if known.any():
            there = [*zip(curve.x[known], values[known], strict=True)]
            parts.append(f'<path fill="none" stroke="{colour}" stroke-width="1.4" d="{_line(box, there)}"/>')
    for place, said in curve.marks[:8]:
        x, _ = box.at(place, low)
        parts.append(
            f'<path d="M{x:.1f} {box.y:.1f}V{box.bottom:.1f}" stroke="currentColor" stroke-opacity=".3" '
            'stroke-dasharray="2 3"/>'
        )
        parts.append(_text(min(x + 2, _WIDTH - 60), box.y + 8, said, "start", 12, 'font-size="9"'))
    return box, parts + _frame(box, _axis(x0, x1), _axis(box.low_y, box.high_y))


def _line(box: _Box, points: Sequence[tuple[float, float]]) -> str:
    places = [box.at(float(x), float(y)) for x, y in points]
    return "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in places)


def _points(points: Points) -> tuple[_Box, list[str]]:
    both = np.concatenate([points.x, points.y])
    (left, right), (low, high) = (
        (_range(both), _range(both)) if points.diagonal else map(_range, (points.x, points.y))
    )
    box = _Box((left, right, low, high), aspect=1.25 if points.diagonal else None)
    parts = []
    if points.diagonal:
        x0, y0 = box.at(low, low)
        x1, y1 = box.at(high, high)
        line = f"M{x0:.1f} {y0:.1f}L{x1:.1f} {y1:.1f}"
        parts.append(f'<path d="{line}" stroke="currentColor" stroke-opacity=".4" stroke-dasharray="4 3"/>')
    dots = "".join(
        "M{:.1f} {:.1f}h.01".format(*box.at(float(x), float(y)))
        for x, y in zip(points.x, points.y, strict=True)
    )
    parts.append(
        f'<path d="{dots}" stroke="{SERIES[0]}" stroke-opacity=".8" stroke-width="3" stroke-linecap="round"/>'
    )
    return box, parts + _frame(box, _axis(left, right), _axis(low, high))


def _range(values: Floats) -> tuple[float, float]:
    """Ends of an axis with some room around the values."""
    low, high = (float(values.min()), float(values.max())) if values.size else (0.0, 1.0)
    room = (high - low) * 0.04 or max(abs(high) * 0.1, 0.5)
    return low - room, high + room
