"""Block records of stretches of memory, remembered by a digest of each stretch as a whole.

A digest of some MiB is one call; those of its blocks are many, before and after each of
which Python's lock has to be waited for. So whole regions are hashed on several threads,
blocks on one, and of a region that did not change nothing but the whole.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ann_ckpt.format.digest import block_digests
from ann_ckpt.format.sharing import block_records

__all__ = ["Regions", "digest_whole"]

_Key = tuple[bytes, bytes]
"""Digest of a region, and where it is cut."""


def digest_whole(values: NDArray[Any]) -> bytes:
    """Return the digest of a region."""
    return block_digests(values, [0, len(values)])[0]


class Regions:
    """What was hashed for the save before and for this one; it depends on values alone."""

    def __init__(self) -> None:
        self._before: dict[_Key, NDArray[np.void]] = {}
        self._now: dict[_Key, NDArray[np.void]] = {}

    def begin(self) -> None:
        """Begin a save: what the one before did not meet is forgotten."""
        self._before, self._now = self._now, {}

    def records(self, values: NDArray[Any], cuts: NDArray[np.int64], digest: bytes) -> NDArray[np.void]:
        """Return the records of the blocks of one region.

        Parameters
        ----------
        values : array, shape (n, ...)
            At least one entry of at least one byte.
        cuts : int64 array, shape (n_blocks + 1,)
            Where blocks start, from 0, and where the last one ends.
        digest : bytes
            What :func:`digest_whole` says.
        """
        key = (digest, cuts.tobytes())
        found = self._before.get(key)
        if found is None:
            found = block_records(np.diff(cuts), block_digests(values, cuts.tolist()))
        self._now[key] = found
        return found
