"""Type and shape of an array as two short texts: what tables of arrays say about each."""

from __future__ import annotations

import math
import re
from typing import Any

import numpy as np

__all__ = ["describe", "described"]

_NUMBER = re.compile(r"[<|][biuf][1248]")
_BYTES = re.compile(r"\|V[1-9][0-9]{0,5}")
_SHAPE = re.compile(r"[0-9]{1,19}(?:x[0-9]{1,19})*")
_MOST_AXES = 32
"""Of an HDF5 dataset."""
_MOST_BYTES = 2**62


def describe(dtype: np.dtype[Any], shape: tuple[int, ...]) -> tuple[bytes, bytes]:
    """Return the texts; of a compound, only how long it is.

    Examples
    --------
    >>> describe(np.dtype("f8"), (90, 60))
    (b'<f8', b'90x60')
    """
    return dtype.newbyteorder("<").str.encode(), "x".join(str(n) for n in shape).encode()


def described(
    dtype: bytes, shape: bytes, *, compounds: bool = False
) -> tuple[np.dtype[Any], tuple[int, ...]]:
    """Return the type and shape behind two texts.

    Parameters
    ----------
    compounds : bool
        Whether a compound may stand there.

    Raises
    ------
    ValueError
        If they are none.
    """
    text = dtype.decode()
    if not _NUMBER.fullmatch(text) and not (compounds and _BYTES.fullmatch(text)):
        raise ValueError(f"{text!r} is no type of a stored array")
    lengths = shape.decode("ascii")
    sizes = tuple(map(int, lengths.split("x"))) if _SHAPE.fullmatch(lengths) else ()
    element = np.dtype(text)
    if (
        not sizes
        or len(sizes) > _MOST_AXES
        or math.prod(n or 1 for n in sizes) * element.itemsize > _MOST_BYTES
    ):
        raise ValueError(f"{lengths!r} is no shape of a stored array")
    return element, sizes
