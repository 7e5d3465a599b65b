"""Digests: XXH3-128 over types and value bytes, and XXH3-64 over the blocks of large arrays.

They tell damage from data, and what changed from what did not. They are not a defence
against someone who forges a file on purpose.

A large array is cut into blocks of 64 KiB, so that any part can be verified on its own. The digests of
256 blocks have a digest of their own, and the digest of the array is one over type, shape and those: a
read of some rows looks at two short ranges of digests, however large the array is. Where the blocks
begin depends on type and shape only, so the digest of an array does not change when it is stored in
another way.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import xxhash
from numpy.typing import NDArray

from ann_ckpt.errors import CorruptFileError
from ann_ckpt.format import layout

__all__ = [
    "FIRST_DIGEST",
    "SHAPE_BYTES",
    "WHOLE_BYTES",
    "ArrayDigest",
    "BlockDigests",
    "Digest",
    "block_digests",
    "block_entries",
    "describe",
    "described",
    "digest_of",
    "digest_of_attributes",
    "digest_tables",
    "has_short_shape",
    "range_digests",
]

_NUMBER = re.compile(r"[<|][biuf][1248]")
_BYTES = re.compile(r"\|V[1-9][0-9]{0,5}")
_SHAPE = re.compile(r"[0-9]{1,19}(?:x[0-9]{1,19})*")
_MOST_AXES = 32
"""Of an HDF5 dataset."""
_MOST_BYTES = 2**62
SHAPE_BYTES = 64
"""Longest text of a shape in the tables that describe arrays; up to 32 axes may need more."""


def describe(dtype: np.dtype[Any], shape: tuple[int, ...]) -> tuple[bytes, bytes]:
    """Return type and shape as texts; a compound is described by its size only.

    Examples
    --------
    >>> describe(np.dtype("f8"), (90, 60))
    (b'<f8', b'90x60')
    """
    return dtype.newbyteorder("<").str.encode(), "x".join(str(n) for n in shape).encode()


def has_short_shape(shape: tuple[int, ...]) -> bool:
    """Whether the tables that describe arrays have room for a shape."""
    return len(describe(np.dtype(np.uint8), shape)[1]) <= SHAPE_BYTES


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
