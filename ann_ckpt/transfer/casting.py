"""Values of one type where another is wanted: only where nothing but rounding is lost."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ann_ckpt.model import Array, blocks

__all__ = ["Cast", "cast_refusal"]


class Cast:
    """An array as another type; blocks are converted when they are asked for.

    Parameters
    ----------
    values : Array
        May be lazy.
    dtype : numpy.dtype
        Type to hand out. :func:`cast_refusal` has said that it will do.
    """

    __slots__ = ("dtype", "shape", "source")

    def __init__(self, values: Array, dtype: np.dtype[Any]) -> None:
        self.source = values
        self.dtype = dtype
        self.shape = values.shape

    def __getitem__(self, key: Any) -> NDArray[Any]:
        return np.asarray(self.source[key]).astype(self.dtype)

    def __array__(self, dtype: Any = None, *, copy: bool | None = None) -> NDArray[Any]:
        if copy is False:
            raise ValueError("a converted array cannot be had without a copy")
        whole = np.asarray(self.source).astype(self.dtype)
        return whole if dtype is None else whole.astype(dtype, copy=False)


def cast_refusal(values: Array, dtype: np.dtype[Any]) -> str | None:
    """Say why ``values`` cannot become ``dtype``; None if they can.

    A float64 may be rounded to a float32. Everything else has to come out equal: a float
    becomes an integer only if it is one, an integer only if it is in range, and a bool
    only from 0 and 1. The values are read only where the types alone do not decide.

    Examples
    --------
    >>> cast_refusal(np.array([1.0, 2.0]), np.dtype(np.int32))
    >>> cast_refusal(np.array([1.0, 2.5]), np.dtype(np.int32))
    '2.5 is no int32'
    """
    if _always_fits(values.dtype, dtype):
        return None
    rounding = values.dtype.kind == dtype.kind == "f"
    for _, block in blocks(values):
        lost = _overflows(block, dtype) if rounding else _differs(block, dtype)
        if np.any(lost):
            return f"{block[lost].ravel()[0] if block.shape else block[()]} is no {dtype}"
    return None


def _always_fits(stored: np.dtype[Any], live: np.dtype[Any]) -> bool:
    """Whether every value of one type is one of the other; numpy says so of int64 and float64 too."""
    wide = stored.kind in "iu" and stored.itemsize >= live.itemsize and live.kind == "f"
    return np.can_cast(stored, live, "safe") and not wide


def _overflows(block: NDArray[Any], dtype: np.dtype[Any]) -> NDArray[np.bool_]:
    with np.errstate(over="ignore", invalid="ignore"):
        lost: NDArray[np.bool_] = np.isinf(block.astype(dtype)) & np.isfinite(block)
    return lost


def _differs(block: NDArray[Any], dtype: np.dtype[Any]) -> NDArray[np.bool_]:
    """Where converting there and back changes a value."""
    outside = np.zeros(block.shape, np.bool_)
    if dtype.kind in "iu":
        # The bounds as Python numbers: an int64 bound has no exact float to compare with.
        low, high = int(np.iinfo(dtype).min), int(np.iinfo(dtype).max)
        if block.dtype.kind == "f":
            outside = ~((block >= low) & (block < high + 1))
        elif block.dtype.kind != "b":
            outside = (block < low) | (block > high) if block.dtype.kind == "i" else block > high
    with np.errstate(invalid="ignore", over="ignore"):
        back = np.where(outside, 0, block).astype(dtype).astype(block.dtype)
    lost: NDArray[np.bool_] = outside | (back != np.where(outside, 0, block))
    return lost
