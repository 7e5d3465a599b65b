"""Blocks of the checkpoint before, each of which the next one may link once."""

from __future__ import annotations

from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ann_ckpt.format.sharing import BLOCK, SharedArray

__all__ = ["ABSENT", "KnownBlocks", "same_blocks"]

ABSENT = -1
"""Stands for the number of a block that is not known."""


class KnownBlocks:
    """Looks for blocks among those of a previous layout: first in their old place, then anywhere.

    Parameters
    ----------
    previous : SharedArray
        The layout.
    usable : set of str
        Names of the objects in which blocks may be found.
    """

    def __init__(self, previous: SharedArray, usable: set[str]) -> None:
        self._blocks = previous.blocks
        self._free = np.isin(
            previous.block_sources, [n for n, name in enumerate(previous.objects) if name in usable]
        )
        self._asked = 0
        self._last = ABSENT

    def take(self, records: NDArray[np.void]) -> NDArray[np.int64]:
        """Find the next blocks; what was found once is not found again.

        Parameters
        ----------
        records : structured array, shape (n,)
            Of type :data:`~ann_ckpt.format.sharing.BLOCK`.

        Returns
        -------
        int64 array, shape (n,)
            Which known block each of them is; ``ABSENT`` for those that are not known.
        """
        found = self._in_place(records)
        missing = np.flatnonzero(found == ABSENT)
        for place, key in zip(missing.tolist(), _keys(records[missing]), strict=True):
            before = int(found[place - 1]) if place else self._last
            found[place] = self._anywhere(key, before + 1)
        self._last = int(found[-1])
        return found

    def _in_place(self, records: NDArray[np.void]) -> NDArray[np.int64]:
        found = np.full(len(records), ABSENT, np.int64)
        there = slice(self._asked, self._asked + len(records))
        before = self._blocks[there]
        same = self._free[there] & same_blocks(before, records[: len(before)])
        found[: len(before)][same] = np.flatnonzero(same) + self._asked
        self._free[there] &= ~same
        self._asked += len(records)
        return found

    def _anywhere(self, key: bytes, expected: int) -> int:
        """Going on where the last block was found keeps pieces long where blocks are alike."""
        places = self._by_content.get(key, {})
        while places:
            number = expected if expected in places else next(iter(places))
            del places[number]
            if self._free[number]:
                self._free[number] = False
                return number
        return ABSENT

    @cached_property
    def _by_content(self) -> dict[bytes, dict[int, None]]:
        """The blocks that were left when one was first not found in its place."""
        left = np.flatnonzero(self._free)
        places: dict[bytes, dict[int, None]] = {}
        for number, key in zip(left.tolist(), _keys(self._blocks[left]), strict=True):
            places.setdefault(key, {})[number] = None
        return places


def same_blocks(some: NDArray[np.void], others: NDArray[np.void]) -> NDArray[np.bool_]:
    """Which of two equally long sequences of block records are equal, shape ``(n,)``."""
    a, b = (np.ascontiguousarray(r).view(np.uint8).reshape(-1, BLOCK.itemsize) for r in (some, others))
    return np.asarray(np.all(a == b, axis=1))


def _keys(records: NDArray[np.void]) -> list[bytes]:
    """Each record as bytes, to look it up by."""
    raw = np.ascontiguousarray(records).tobytes()
    return [raw[i : i + BLOCK.itemsize] for i in range(0, len(raw), BLOCK.itemsize)]
