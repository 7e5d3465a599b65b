"""Digests: XXH3-128 over types and value bytes.

They tell damage from data, and what changed from what did not. They are no defence
against someone who forges a file on purpose.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import xxhash
from numpy.typing import NDArray

__all__ = [
    "Digest",
    "block_digests",
    "describe",
    "described",
    "digest_of",
    "digest_of_attributes",
    "range_digests",
]

_NUMBER = re.compile(r"[<|][biuf][1248]")
_BYTES = re.compile(r"\|V[1-9][0-9]{0,5}")
_SHAPE = re.compile(r"[0-9]{1,19}(?:x[0-9]{1,19})*")
_MOST_AXES = 32
"""Of an HDF5 dataset."""
_MOST_BYTES = 2**62


def describe(dtype: np.dtype[Any], shape: tuple[int, ...]) -> tuple[bytes, bytes]:
    """Return type and shape as texts; a compound is described by its size only.

    Examples
    --------
    >>> describe(np.dtype("f8"), (90, 60))
    (b'<f8', b'90x60')
    """
    return dtype.newbyteorder("<").str.encode(), "x".join(str(n) for n in shape).encode()


def described(
    dtype: bytes, shape: bytes, *, compounds: bool = False
) -> tuple[np.dtype[Any], tuple[int, ...]]:
    """Parse type and shape from two texts.

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
        raise ValueError(f"{text!r} is not the type of a stored array")
    lengths = shape.decode("ascii")
    sizes = tuple(map(int, lengths.split("x"))) if _SHAPE.fullmatch(lengths) else ()
    element = np.dtype(text)
    if (
        not sizes
        or len(sizes) > _MOST_AXES
        or math.prod(n or 1 for n in sizes) * element.itemsize > _MOST_BYTES
    ):
        raise ValueError(f"{lengths!r} is not the shape of a stored array")
    return element, sizes


class Digest:
    """Incremental digest of an array: its type, then its elements in C order, little-endian.

    Parameters
    ----------
    dtype : numpy.dtype, optional
        Type of the elements; None for a digest that begins with nothing.
    """

    def __init__(self, dtype: np.dtype[Any] | None = None) -> None:
        self._hasher = xxhash.xxh3_128()
        if dtype is not None:
            self.note(dtype)

    def note(self, what: str | np.dtype[Any]) -> None:
        """Add a name or a type."""
        self._hasher.update(_text_of(what))

    def update(self, values: NDArray[Any]) -> None:
        """Add the next elements."""
        if values.size:
            self._hasher.update(np.ascontiguousarray(values).reshape(-1).view(np.uint8).data)

    def hex(self) -> str:
        """Return 32 hexadecimal digits."""
        return self._hasher.hexdigest()


def _text_of(what: str | np.dtype[Any]) -> bytes:
    """``f8`` and a NUL for a type; for a compound, the name of each member before its type."""
    if isinstance(what, str):
        return what.encode() + b"\0"
    if what.names is None:
        return f"{what.kind}{what.itemsize}\0".encode()
    return b"".join(_text_of(name) + _text_of(what[name]) for name in what.names)


def digest_of(values: NDArray[Any]) -> str:
    """Digest of an array in memory."""
    digest = Digest(values.dtype)
    digest.update(values)
    return digest.hex()


def block_digests(values: NDArray[Any], bounds: Sequence[int]) -> list[bytes]:
    """Digest of each block of an array in memory, 16 bytes each, most significant first.

    Parameters
    ----------
    values : array, shape (n, ...)
        At least one entry of at least one byte.
    bounds : sequence of int
        Where each block starts on the first axis, and where the last one ends.
    """
    return range_digests(values, pairwise(bounds))


def range_digests(values: NDArray[Any], ranges: Iterable[tuple[int, int]]) -> list[bytes]:
    """Digest of each of some ranges of the first axis, ``(start, stop)``; see :func:`block_digests`."""
    raw = np.ascontiguousarray(values).reshape(-1).view(np.uint8).data
    entry = len(raw) // len(values)
    return [xxhash.xxh3_128_digest(raw[a * entry : b * entry]) for a, b in ranges]


def digest_of_attributes(attributes: Mapping[str, NDArray[Any]]) -> str:
    """Digest of a group's attributes: for each, sorted by name, the name, the type, the elements."""
    digest = Digest()
    for name in sorted(attributes, key=str.encode):
        digest.note(name)
        digest.note(attributes[name].dtype)
        digest.update(attributes[name])
    return digest.hex()
