"""Digests of the blocks of an array, so that any part can be verified on its own.

A large array is cut into blocks of 64 KiB. The digests of 256 blocks have a digest of their own, and
the digest of the array is one over type, shape and those: a read of some rows looks at two short
ranges of digests, however large the array is. Where the blocks begin depends on type and shape only,
so the digest of an array does not change when it is stored in another way.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import xxhash
from numpy.typing import NDArray

from ann_ckpt.errors import CorruptFileError
from ann_ckpt.format import layout
from ann_ckpt.format.digest import Digest

__all__ = ["FIRST_DIGEST", "WHOLE_BYTES", "ArrayDigest", "BlockDigests", "block_entries", "digest_tables"]

WHOLE_BYTES = 32 << 10
"""Arrays below this size are checked as a whole."""
BLOCK_BYTES = 64 << 10
_FAN = 256
"""Blocks whose digests share a digest."""
_DIGEST = np.dtype("<u8")
FIRST_DIGEST = np.dtype([("row", "<u4"), ("first", "<u8")])
"""One large array: its row in the index, and where its digests begin in the table of all digests."""


def block_entries(itemsize: int, shape: tuple[int, ...]) -> int:
    """Return the number of entries per block; 0 for an array without blocks.

    Parameters
    ----------
    itemsize : int
        Bytes of one element.
    shape : tuple of int
        Of the array.
    """
    entry = math.prod(shape[1:]) * itemsize
    return 0 if not shape or shape[0] * entry < WHOLE_BYTES else max(1, BLOCK_BYTES // entry)


class ArrayDigest:
    """Incremental digest of an array and of its blocks."""

    def __init__(self, dtype: np.dtype[Any], shape: tuple[int, ...]) -> None:
        self._whole = _begun(dtype, shape)
        entry = math.prod(shape[1:]) * dtype.itemsize
        self._block = block_entries(dtype.itemsize, shape) * entry
        self._leaves: list[int] = []
        self._begun: Any = None
        self._missing = 0
        self.beside: NDArray[np.uint64] = np.empty(0, _DIGEST)
        """After :meth:`hex`, what is stored beside a large array: digests of groups, then of blocks."""

    def update(self, values: NDArray[Any]) -> None:
        """Add the next elements."""
        if not self._block:
            self._whole.update(values)
            return
        left = np.ascontiguousarray(values).reshape(-1).view(np.uint8).data
        if self._missing:
            left = self._continue(left)
        n = self._block
        full = len(left) // n * n
        self._leaves += [xxhash.xxh3_64_intdigest(left[i : i + n]) for i in range(0, full, n)]
        if full < len(left):
            self._begun, self._missing = xxhash.xxh3_64(), n
            self._continue(left[full:])

    def _continue(self, data: memoryview) -> memoryview:
        """Go on with the block that was begun; return what is left for the next one."""
        part = data[: self._missing]
        self._begun.update(part)
        self._missing -= len(part)
        if not self._missing:
            self._leaves.append(self._begun.intdigest())
        return data[len(part) :]

    def hex(self) -> str:
        """Return the digest, 32 hexadecimal digits; nothing can be added afterwards."""
        if self._missing:
            self._leaves.append(self._begun.intdigest())
            self._missing = 0
        if self._block and self.beside.size == 0:
            leaves = np.array(self._leaves, _DIGEST)
            groups = _group_digests(leaves)
            self._whole.update(groups)
            self.beside = np.concatenate((groups, leaves))
        return self._whole.hex()


def digest_tables(beside: Mapping[int, NDArray[np.uint64]]) -> dict[str, NDArray[Any]]:
    """Return the tables of a file by their paths.

    Parameters
    ----------
    beside : mapping
        :attr:`ArrayDigest.beside` of each large array by its row in the index; rows rise.
    """
    sizes = [digests.size for digests in beside.values()]
    arrays = np.array(list(zip(beside, np.cumsum([0, *sizes[:-1]]), strict=True)), FIRST_DIGEST)
    return {layout.DIGESTS_ARRAYS: arrays, layout.DIGESTS_BLOCKS: np.concatenate(list(beside.values()))}


class BlockDigests:
    """Block digests of one array in a file, each verified before it is used.

    Parameters
    ----------
    dtype, shape
        Of the array.
    digest : str
        Of the array.
    read : callable
        ``read(start, stop)`` returns a part of :attr:`ArrayDigest.beside`.
    """

    def __init__(
        self,
        dtype: np.dtype[Any],
        shape: tuple[int, ...],
        digest: str,
        read: Callable[[int, int], NDArray[np.uint64]],
    ) -> None:
        self.entries = block_entries(dtype.itemsize, shape)
        """Entries of the first axis in one block; the last one may have fewer."""
        self._count = math.ceil(shape[0] / self.entries)
        self._read = read
        groups = read(0, math.ceil(self._count / _FAN))
        whole = _begun(dtype, shape)
        whole.update(groups)
        if whole.hex() != digest:
            raise _mismatch()
        self._groups = groups
        self._leaves = np.empty(self._count, _DIGEST)
        self._known = np.zeros(groups.size, bool)

    def check(self, values: NDArray[Any], start: int) -> None:
        """Verify values from block boundary ``start`` to a block boundary or the end of the array.

        Raises
        ------
        CorruptFileError
            If they, or the digests, are not what was written.
        """
        n = self.entries * (values.nbytes // len(values))
        raw = values.reshape(-1).view(np.uint8).data
        found = [xxhash.xxh3_64_intdigest(raw[i : i + n]) for i in range(0, len(raw), n)]
        first = start // self.entries
        expected = self._of(first, first + len(found))
        wrong = np.flatnonzero(expected != np.array(found, _DIGEST))
        if wrong.size:
            entry = (first + int(wrong[0])) * self.entries
            raise CorruptFileError(
                "checksum mismatch", details={"entries": f"{entry} to {entry + self.entries} of the array"}
            )

    def _of(self, first: int, last: int) -> NDArray[np.uint64]:
        for group in range(first // _FAN, math.ceil(last / _FAN)):
            if not self._known[group]:
                start, stop = group * _FAN, min((group + 1) * _FAN, self._count)
                leaves = self._read(self._groups.size + start, self._groups.size + stop)
                if _group_digests(leaves) != self._groups[group]:
                    raise _mismatch()
                self._leaves[start:stop] = leaves
                self._known[group] = True
        return self._leaves[first:last]


def _begun(dtype: np.dtype[Any], shape: tuple[int, ...]) -> Digest:
    digest = Digest(dtype)
    digest.note("x".join(map(str, shape)))
    return digest


def _group_digests(leaves: NDArray[np.uint64]) -> NDArray[np.uint64]:
    groups = range(0, leaves.size, _FAN)
    return np.array([xxhash.xxh3_64_intdigest(leaves[i : i + _FAN].data) for i in groups], _DIGEST)


def _mismatch() -> CorruptFileError:
    return CorruptFileError("checksum mismatch", details={"found": "damaged block digests"})
