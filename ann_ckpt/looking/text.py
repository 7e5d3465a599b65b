"""Draws pictures with characters, small, for a terminal."""

from __future__ import annotations

import numpy as np

from ann_ckpt.looking.pictures import Bars, Curve, Floats, Grid, Picture, Points, numbers
from ann_ckpt.looking.values import shrunk, spread

__all__ = ["drawn", "spark"]

_SHADES = (" \N{MIDDLE DOT}\N{LIGHT SHADE}\N{MEDIUM SHADE}\N{DARK SHADE}\N{FULL BLOCK}", " .:=*#")
_EIGHTHS = ("".join(chr(0x2580 + n) for n in range(1, 9)), "_.-:=+*#")
_LINES = 8


def drawn(picture: Picture, *, width: int = 60, plain: bool = False) -> list[str]:
    """Return the lines of a picture, with texts as they are: whoever prints escapes them.

    Parameters
    ----------
    width : int
        Columns at most, without the numbers beside it.
    plain : bool
        Use characters of ASCII only.
    """
    match picture:
        case Grid():
            body = _grid(picture, width, _SHADES[plain])
        case Bars():
            heights = np.sum([np.zeros(len(picture.edges) - 1), *picture.heights.values()], 0)
            ends = _ends(picture.edges)
            if picture.names:
                ends = (picture.names[0], picture.names[-1])
            body = _columns(np.asarray(heights, np.float64), ends, width, _EIGHTHS[plain], from_zero=True)
        case Curve():
            ends = _ends(picture.x) if picture.x.size else ("", "")
            body = _columns(picture.y, ends, width, _EIGHTHS[plain], from_zero=False)
        case Points():
            edges = (spread(picture.y, 24), spread(picture.x, min(width, 48)))
            counts = np.histogram2d(picture.y, picture.x, edges)[0][::-1]
            body = _shaded(
                np.where(counts > 0, counts, np.nan), width, _SHADES[plain], 0.0, float(counts.max())
            )
        case _:
            raise TypeError(f"no drawing of {type(picture).__name__}")
    labels = ", ".join(filter(None, (picture.x_label, picture.y_label)))
    return [picture.title, *body, labels, *([f"({picture.note})"] if picture.note else [])]


def spark(values: Floats, *, plain: bool = False) -> str:
    """Return one character for each value, the higher the larger; a blank where there is none.

    Examples
    --------
    >>> spark(np.array([0.0, np.nan, 1.0, 2.0]), plain=True)
    '_ =#'
    """
    finite = values[np.isfinite(values)]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)
    marks = _EIGHTHS[plain]
    scaled = (values / 2 - low / 2) / ((high / 2 - low / 2) or 1.0)  # halves, which do not overflow
    places = np.nan_to_num(scaled * (len(marks) - 1)).round().astype(int)
    there = np.isfinite(values)
    return "".join(marks[place] if known else " " for place, known in zip(places, there, strict=True))


def _grid(grid: Grid, width: int, shades: str) -> list[str]:
    low, high = grid.limits()
    lines = _shaded(grid.values, width, shades, low, high)
    first, last = numbers([low, high])
    return [*lines, f"{grid.value_label}: {first} [{shades}] {last}"]


def _shaded(values: Floats, width: int, shades: str, low: float, high: float) -> list[str]:
    """Lines of a grid; a character is twice as high as wide."""
    rows, columns = values.shape
    across = min(width, max(columns, min(width, 2 * columns)))
    down = max(1, min(24, round(rows * across / max(1, columns) / 2)))
    there = np.isfinite(values)
    filled = np.where(there, values, 0.0)
    if columns > across or rows > down:
        share = shrunk(there.astype(np.float64), down, across)
        with np.errstate(invalid="ignore", divide="ignore"):
            filled = shrunk(filled, down, across) / share
        there = share > 0
    y = (np.arange(down) + 0.5) * filled.shape[0] / down
    x = (np.arange(across) + 0.5) * filled.shape[1] / across
    picked = filled[np.ix_(y.astype(int), x.astype(int))]
    known = there[np.ix_(y.astype(int), x.astype(int))]
    with np.errstate(invalid="ignore"):
        # Halves do not overflow.
        scaled = np.clip((picked / 2 - low / 2) / ((high / 2 - low / 2) or 1.0), 0, 1)
    places = np.where(known, 1 + np.nan_to_num(scaled) * (len(shades) - 2), 0).round().astype(int)
    return ["".join(shades[place] for place in line).rstrip() for line in places]


def _ends(values: Floats) -> tuple[str, str]:
    first, last = numbers([float(values[0]), float(values[-1])])
    return first, last


def _columns(
    values: Floats, ends: tuple[str, str], width: int, eighths: str, *, from_zero: bool
) -> list[str]:
    """Lines of bars that stand side by side."""
    if values.size > width:
        groups = np.array_split(values, width)
        values = np.array([group.sum() if from_zero else group.mean() for group in groups])
    finite = values[np.isfinite(values)]
    high = float(finite.max()) if finite.size else 1.0
    low = 0.0 if from_zero or not finite.size else float(finite.min())
    there = np.where(np.isfinite(values), values, low)
    scaled = (there / 2 - low / 2) / ((high / 2 - low / 2) or 1.0) * _LINES  # halves, which do not overflow
    lines = []
    for level in range(_LINES - 1, -1, -1):
        cells = np.clip((scaled - level) * len(eighths), 0, len(eighths))
        # What is not nothing is seen, however little.
        seen = scaled > 0 if from_zero else np.isfinite(values)
        cells = np.where((level == 0) & seen & (cells < 1), 1, cells).astype(int)
        lines.append("".join(eighths[cell - 1] if cell else " " for cell in cells).rstrip())
    least, most = numbers([low, high])
    lines[0] = f"{lines[0]:<{values.size}}  {most}"
    lines[-1] = f"{lines[-1]:<{values.size}}  {least}"
    return [*lines, f"{ends[0]} {ends[1]:>{max(1, values.size - len(ends[0]) - 1)}}"]
