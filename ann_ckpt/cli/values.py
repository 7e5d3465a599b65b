"""Numbers for people: short, aligned, honest about what was left out."""

from __future__ import annotations

from typing import Any

import click
import numpy as np
from numpy.typing import NDArray

from ann_ckpt.errors import printable

__all__ = ["FEW", "count", "few", "number", "row_range", "shape"]

FEW = 6
"""Values of a row that are shown."""


def number(value: Any, digits: int = 6) -> str:
    """Return one value, a float in so many significant digits.

    Examples
    --------
    >>> number(np.float64(0.1234567)), number(np.int32(12)), number(np.True_)
    ('0.123457', '12', 'true')
    """
    if isinstance(value, bool | np.bool_):
        return "true" if value else "false"
    if isinstance(value, float | np.floating):
        return f"{value:.{digits}g}"
    return str(value)


def few(values: NDArray[Any]) -> list[str]:
    """Return the first values of an array, and how many more there are.

    Examples
    --------
    >>> few(np.arange(10))
    ['0', '1', '2', '3', '4', '5', '+ 4']
    """
    flat = values.reshape(-1)
    shown = [number(v, 4) for v in flat[:FEW]]
    return shown if flat.size <= FEW else [*shown, f"+ {flat.size - FEW:,}"]


def shape(lengths: tuple[int, ...]) -> str:
    """Return a shape or geometry as people write it.

    Examples
    --------
    >>> shape((20, 20)), shape((400,)), shape(())
    ('20 x 20', '400', '1 value')
    """
    return " x ".join(f"{n:,}" for n in lengths) if lengths else "1 value"


def count(number_of: int, noun: str) -> str:
    """Return a number with its noun.

    Examples
    --------
    >>> count(1, "dendrite"), count(1200, "synapse")
    ('1 dendrite', '1,200 synapses')
    """
    return f"{number_of:,} {noun}{'' if number_of == 1 else 's'}"


def row_range(text: str) -> slice:
    """Return the slice that ``a:b`` means, as Python has it, or that of a single row.

    Raises
    ------
    click.BadParameter
        If the text is neither.
    """
    low, colon, high = text.partition(":")
    try:
        start, stop = (int(end) if end else None for end in (low, high))
    except ValueError:
        start, stop, colon = None, None, ""
    if colon:
        return slice(start, stop)
    if start is None:
        raise click.BadParameter(f"{printable(text)!r} is no range of rows; write 10:20, :5, -3: or 7")
    return slice(start, start + 1 or None)
