"""Numpy's keys, taken apart: which entries of the first axis a key needs, and what it does with those.

Files are cut into blocks along the first axis only. So of a key, what it says about that axis decides
what is read; numpy itself checks the key before, and does the rest on the entries that were read.
"""

from __future__ import annotations

import operator
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Picked", "groups_of", "pick"]


@dataclass(frozen=True, slots=True, eq=False)
class Picked:
    """What one key asks for."""

    rows: range | NDArray[np.intp]
    """Entries of the first axis that are needed, rising, none twice."""
    key: tuple[Any, ...]
    """The same key for an array that has these entries only."""
    shape: tuple[int, ...]
    """Of the result."""


def pick(key: Any, shape: tuple[int, ...]) -> Picked:
    """Take a key apart.

    Parameters
    ----------
    key : object
        Anything that numpy takes between brackets, names of columns excepted.
    shape : tuple of int
        Of the array, at least one axis.

    Raises
    ------
    IndexError
        Where numpy raises it for an array of that shape, with numpy's words.

    Examples
    --------
    >>> picked = pick((slice(9, 3, -2), 0), (10, 4))
    >>> picked.rows, picked.key, picked.shape
    (range(5, 11, 2), (slice(None, None, -1), 0), (3,))
    """
    keys = tuple(map(_plain, key if isinstance(key, tuple) else (key,)))
    # One byte, seen as an array of that shape: numpy checks the key as it would for the array itself.
    found = np.broadcast_to(np.uint8(0), shape)[keys].shape
    left = len(shape) - sum(_axes(item) for item in keys)
    for place, item in enumerate(keys):
        if _axes(item) or (item is Ellipsis and left):
            rows, instead = _rows(item, shape[0])
            return Picked(rows, (*keys[:place], instead, *keys[place + 1 :]), found)
    return Picked(range(shape[0]), keys, found)


def _plain(item: Any) -> Any:
    """One part of a key as None, an ellipsis, a slice, an integer or an array; numpy refuses the rest."""
    if item is None or item is Ellipsis or isinstance(item, slice | np.ndarray | str | bytes):
        return item
    if isinstance(item, bool | np.bool_):
        return np.asarray(item)
    try:
        return operator.index(item)
    except TypeError:
        values = np.asarray(item)
    return values.astype(np.intp) if isinstance(item, list | tuple) and not values.size else values


def _axes(item: Any) -> int:
    """How many axes a part of a key is about."""
    if item is None or item is Ellipsis:
        return 0
    return item.ndim if isinstance(item, np.ndarray) and item.dtype == np.bool_ else 1


def _rows(item: Any, length: int) -> tuple[range | NDArray[np.intp], Any]:
    """Entries of the first axis that its part of a key needs, and that part for these entries alone."""
    if item is Ellipsis:
        return range(length), item
    if isinstance(item, slice):
        wanted = range(*item.indices(length))
        return (wanted, slice(None)) if wanted.step > 0 else (wanted[::-1], slice(None, None, -1))
    if isinstance(item, int):
        row = item % length
        return range(row, row + 1), 0
    if item.dtype == np.bool_:
        rows = np.flatnonzero(item.any(axis=tuple(range(1, item.ndim))))
        return rows, item[rows]
    from_start = item.astype(np.intp)
    rows, places = np.unique(np.where(from_start < 0, from_start + length, from_start), return_inverse=True)
    return rows, places.reshape(item.shape)


def groups_of(
    rows: NDArray[np.intp], starts: NDArray[np.int64], *, at_most: int
) -> Iterator[tuple[int, int]]:
    """Yield ``(first, last)``: ranges of ``rows`` that lie in neighbouring blocks, to be read at once.

    Parameters
    ----------
    rows : int array, shape (n,)
        Entries of the first axis, rising.
    starts : int64 array, shape (n_blocks + 1,)
        First entry of each block, and the end of the last.
    at_most : int
        Entries in one group; a single block may exceed it.

    Examples
    --------
    >>> list(groups_of(np.array([0, 5, 6, 31, 90]), np.arange(0, 101, 10), at_most=20))
    [(0, 3), (3, 4), (4, 5)]
    """
    block = np.searchsorted(starts, rows, side="right") - 1
    run = np.concatenate(([0], np.cumsum(np.diff(block) > 1)))
    begin = starts[block]
    part = (begin - begin[np.searchsorted(run, run)]) // max(1, at_most)
    cuts = np.flatnonzero((np.diff(run) != 0) | (np.diff(part) != 0)) + 1
    bounds = [0, *cuts.tolist(), len(rows)]
    yield from pairwise(bounds)
