"""Compares two arrays block by block; parts with equal digests are not read."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from ann_ckpt.diffing.report import ValueChange
from ann_ckpt.model import Array
from ann_ckpt.model.arrays import BLOCK_BYTES

__all__ = ["Change", "Digested", "compare_values", "same_values"]


@runtime_checkable
class Digested(Protocol):
    """A stored array whose digests are available without reading its values."""

    @property
    def digest(self) -> str:
        """Digest of the values, or of the blocks if there are any."""

    def _blocks(self) -> tuple[NDArray[np.int64], NDArray[Any]] | None:
        """First entry of each block and the end of the last, and a record of each; None without blocks."""


class Change:
    """Adds up how the values of one array changed, a piece at a time.

    Parameters
    ----------
    path : str
        What the array is called in the report.
    before, after : Array
        Nothing but their types is looked at.
    """

    def __init__(self, path: str, before: Array, after: Array) -> None:
        self._path = path
        self._retyped = before.dtype != after.dtype
        self._texts = [f"type {before.dtype} became {after.dtype}"] if self._retyped else []
        self._compared = self._changed = self._finite = 0
        self._total = self._largest = 0.0

    def equal(self, count: int) -> None:
        """Count values that are known to be equal."""
        self._compared += count

    def say(self, text: str) -> None:
        """Add a remark for the report."""
        self._texts.append(text)

    def add(self, before: NDArray[Any], after: NDArray[Any]) -> None:
        """Compare values of the same shape: bit for bit, or as numbers where the types differ."""
        a, b = before.reshape(-1), after.reshape(-1)
        self._compared += a.size
        differ = ~((a == b) | (np.isnan(a) & np.isnan(b))) if self._retyped else _bits(a) != _bits(b)
        if not differ.any():
            return
        self._changed += int(np.count_nonzero(differ))
        with np.errstate(all="ignore"):
            sizes = np.abs(b[differ].astype(np.float64) - a[differ].astype(np.float64))
        sizes = sizes[np.isfinite(sizes)]
        self._finite += sizes.size
        self._total += float(sizes.sum())
        self._largest = max(self._largest, float(sizes.max(initial=0.0)))

    def result(self) -> ValueChange | None:
        """Return the change; None if nothing changed."""
        if not (self._changed or self._retyped):
            return None
        largest, mean = (self._largest, self._total / self._finite) if self._finite else (None, None)
        return ValueChange(self._path, self._compared, self._changed, largest, mean, ", ".join(self._texts))


def compare_values(path: str, a: Array, b: Array) -> ValueChange | None:
    """Compare two arrays; None if they are equal bit for bit.

    Lazy arrays are read in step, a few MiB at a time, and only where their digests do
    not tell that they are equal.
    """
    if a.shape != b.shape:
        return ValueChange(path, 0, 0, None, None, f"shape {a.shape} became {b.shape}")
    change = Change(path, a, b)
    if not a.shape:
        before, after = np.asarray(a), np.asarray(b)
        change.add(before, after)
        change.say(f"{before[()]!s} became {after[()]!s}")
        return change.result()
    left = a.shape[0]
    for start, stop in _unequal(a, b):
        change.add(np.asarray(a[start:stop]), np.asarray(b[start:stop]))
        left -= stop - start
    change.equal(left * math.prod(a.shape[1:]))
    return change.result()


def same_values(a: Array, b: Array) -> bool:
    """Whether two flat arrays are the same; reads no further than the first block that differs."""
    if a.shape != b.shape or a.dtype != b.dtype:
        return False
    return all(np.array_equal(_bits(a[i:j]), _bits(b[i:j])) for i, j in _unequal(a, b))


def _unequal(a: Array, b: Array) -> Iterator[tuple[int, int]]:
    """Ranges of the first axis, of at most a few MiB, that may differ."""
    entry = max(1, a.dtype.itemsize * math.prod(a.shape[1:]))
    step = max(1, BLOCK_BYTES // entry)
    for start, stop in _apart(a, b):
        for begin in range(start, stop, step):
            yield begin, min(begin + step, stop)


def _apart(a: Array, b: Array) -> Iterator[tuple[int, int]]:
    """Ranges that no digest shows to be equal."""
    whole = (0, a.shape[0])
    if not (isinstance(a, Digested) and isinstance(b, Digested)) or a.dtype != b.dtype:
        yield whole
        return
    blocks, others = a._blocks(), b._blocks()
    if blocks is None or others is None:
        # A digest of blocks is no digest of values: they can be compared only with their like.
        if not (blocks is others and a.digest == b.digest):
            yield whole
        return
    yield from _between_equal_blocks(blocks, others)


def _between_equal_blocks(
    blocks: tuple[NDArray[np.int64], NDArray[Any]], others: tuple[NDArray[np.int64], NDArray[Any]]
) -> Iterator[tuple[int, int]]:
    """Ranges between blocks that both arrays have at the same place."""
    (starts, records), (other_starts, other_records) = blocks, others
    _, here, there = np.intersect1d(starts[:-1], other_starts[:-1], assume_unique=True, return_indices=True)
    at = 0
    for block in here[records[here] == other_records[there]].tolist():
        if starts[block] > at:
            yield at, int(starts[block])
        at = int(starts[block + 1])
    if at < starts[-1]:
        yield at, int(starts[-1])


def _bits(values: Any) -> NDArray[Any]:
    """The same memory as unsigned integers, which compare NaN and -0.0 by their bits."""
    array = np.ascontiguousarray(values)
    return array.view(f"u{array.itemsize}")
