"""Decides which blocks of an array are reused from the previous checkpoint; no I/O.

A block whose digest the previous layout of the same array knows stays where it is; any
other is *fresh* and goes into a new object. So what is written follows from digests
alone, and a block can be decided as soon as it was hashed, before the next is looked at.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import Any

import numpy as np
import xxhash
from numpy.typing import NDArray

from ann_ckpt.format.digest import has_short_shape
from ann_ckpt.format.plan import ArrayEntry
from ann_ckpt.format.shared.array import BLOCK, Piece, SharedArray, StoredObject
from ann_ckpt.model import nbytes

__all__ = [
    "ABSENT",
    "ArrayAction",
    "ArrayPlan",
    "KnownBlocks",
    "Placement",
    "is_shared",
    "pieces_to_keep",
    "same_blocks",
    "sources_to_keep",
]

ABSENT = -1
"""Stands for the number of a block that is not known."""


class KnownBlocks:
    """Finds blocks in the previous layout by digest: first at the same position, then anywhere.

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
        """Find the next blocks; each previous block is used at most once.

        Parameters
        ----------
        records : structured array, shape (n,)
            Of type :data:`~ann_ckpt.format.shared.array.BLOCK`.

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


INLINE_BYTES = 16 << 10
"""Arrays up to this size stay inside the checkpoint file: a file of their own would cost more."""
_ENTRY_BYTES = 16 << 20
"""So do arrays with entries of the first axis beyond this size, which no block could be cut from."""
_LONGEST = 2**62
"""Entries along the first axis."""
_FEW_PIECES = 64
_FEW_SOURCES = 2
_BYTES_PER_SOURCE = 4 << 20
_MOST_SOURCES = 64
_FRESH = ""
"""Stands for the object that does not exist yet; no object has an empty name."""


class ArrayAction(StrEnum):
    """How a save stores one array."""

    INLINE = "inline"
    """Written into the checkpoint file itself."""
    NEW = "new"
    """Written into an object of its own."""
    DELTA = "delta"
    """Its changed blocks are written, the others linked."""
    LINKED = "linked"
    """Nothing is written."""


@dataclass(frozen=True, slots=True)
class ArrayPlan:
    """The decision on one array."""

    path: str
    action: ArrayAction
    nbytes: int
    """Bytes of all values."""
    fresh_bytes: int
    """Bytes of the values that are written, before compression."""
    pieces: int
    """Stretches of objects that make up the array; 0 for one inside the file."""

    def __str__(self) -> str:
        return f"{self.action:<7}{self.fresh_bytes:>14,} of {self.nbytes:>14,} bytes  {self.path}"


def is_shared(entry: ArrayEntry) -> bool:
    """Whether an array is shared: stored in objects, not in the checkpoint file."""
    size = nbytes(entry.array)
    shape = entry.array.shape
    # Whatever becomes of its first axis: an array may grow there, or be put together from those of processes.
    short = has_short_shape((_LONGEST, *shape[1:]))
    return size > INLINE_BYTES and size // shape[0] <= _ENTRY_BYTES and short


def sources_to_keep(previous: SharedArray) -> set[str]:
    """Which objects of the previous layout the next one may still point into.

    Reading must not suffer from a long history, nor the disk from what nobody needs:

    * an array in more than 64 pieces has at least two blocks in each on average,
    * its objects hold at most twice as many entries as the array,
    * an array of n MiB has at most ``2 + n / 4`` objects, and no more than 64.

    If one of the first two fails, the array is written anew. If the last one fails, all
    blocks outside its largest object are, or all blocks if those are more than half.
    """
    objects = previous.objects
    pieces_allowed = max(_FEW_PIECES, previous.blocks.size // 2)
    if len(previous.pieces) > pieces_allowed or _holds_too_much(previous):
        return set()
    size = previous.shape[0] * previous.entry_bytes
    if len(objects) < min(_FEW_SOURCES + size // _BYTES_PER_SOURCE, _MOST_SOURCES):
        return set(objects)
    share = dict.fromkeys(objects, 0)
    for piece in previous.pieces:
        share[piece.source.name] += piece.entries
    largest = max(share, key=lambda name: (share[name], name))
    return {largest} if 2 * share[largest] >= previous.shape[0] else set()


_RUN = 32
_DOMINANT = 16


def pieces_to_keep(previous: SharedArray) -> int:
    """How many pieces, from the first on, stay as they are for an array that grows at its end.

    Each save adds a piece for what is new. The others are written together with it when the last 32 or more
    of them have become alike in size: none is more than a sixteenth of them all. So each value is
    written again a few times, however long the array becomes, and there are some tens of pieces.
    """
    if _holds_too_much(previous):
        return 0
    sizes = [piece.entries for piece in previous.pieces]
    for first in range(len(sizes) - _RUN + 1):
        if _DOMINANT * max(sizes[first:]) <= sum(sizes[first:]):
            return first
    return len(sizes)


def _holds_too_much(array: SharedArray) -> bool:
    """Whether the objects of an array hold more than twice as many entries as it has."""
    return sum(item.entries for item in array.objects.values()) > 2 * array.shape[0]


class Placement:
    """Places the blocks of one array, in order.

    Parameters
    ----------
    dtype, shape : dtype, tuple of int
        Of the array.
    previous : SharedArray, optional
        Its layout in the checkpoint before.
    pieces : int, optional
        Of that layout, only the first so many are pointed into; default is what :func:`sources_to_keep` says.
    """

    def __init__(
        self,
        dtype: np.dtype[Any],
        shape: tuple[int, ...],
        previous: SharedArray | None = None,
        pieces: int | None = None,
    ) -> None:
        self._first_pieces = pieces
        self._dtype = dtype
        self._shape = shape
        alike = previous is not None and previous.dtype == dtype and previous.shape[1:] == shape[1:]
        self._previous = previous if alike else None
        self._kept: SharedArray | None = None
        self._records: list[NDArray[np.void]] = []
        self._found: list[NDArray[np.int64]] = []
        self.fresh_entries = 0
        """Entries of the first axis that have to be written."""

    def keep_all(self, records: NDArray[np.void]) -> bool:
        """Keep the previous layout as it is, if these are its blocks; say whether it is kept.

        It is not where its objects hold too much: an array that once shrank and stays as it
        is would hold what it lost for ever.
        """
        if self._previous is not None and not _holds_too_much(self._previous):
            before = self._previous.blocks
            if before.size == records.size and np.all(same_blocks(before, records)):
                self._kept = self._previous
        return self._kept is not None

    def take(self, records: NDArray[np.void]) -> NDArray[np.bool_]:
        """Place the next blocks; return for each whether it is fresh.

        Parameters
        ----------
        records : structured array, shape (n,)
            Of type :data:`~ann_ckpt.format.shared.array.BLOCK`.
        """
        found = self._known.take(records) if self._known else np.full(records.size, ABSENT)
        fresh = np.asarray(found == ABSENT)
        self._records.append(records)
        self._found.append(found)
        self.fresh_entries += int(records["count"][fresh].sum())
        return fresh

    @cached_property
    def _known(self) -> KnownBlocks | None:
        if self._previous is None:
            return None
        if self._first_pieces is None:
            return KnownBlocks(self._previous, sources_to_keep(self._previous))
        kept = {piece.source.name for piece in self._previous.pieces[: self._first_pieces]}
        return KnownBlocks(self._previous, kept)

    @cached_property
    def _pieces(self) -> list[tuple[str, int, int]]:
        """Object, first entry and length of each piece, once all blocks are placed."""
        records, found = np.concatenate(self._records), np.concatenate(self._found)
        counts = records["count"].astype(np.int64)
        fresh = found == ABSENT
        names, sources, starts = [_FRESH], np.zeros(found.size, np.intp), np.empty(found.size, np.int64)
        starts[fresh] = np.cumsum(counts[fresh]) - counts[fresh]
        if self._previous is not None:
            names += self._previous.objects
            linked = found[~fresh]
            sources[~fresh] = self._previous.block_sources[linked] + 1
            starts[~fresh] = self._previous.block_places[linked]
        goes_on = (np.diff(sources) == 0) & (starts[1:] == starts[:-1] + counts[:-1])
        heads = np.flatnonzero(np.concatenate(([True], ~goes_on)))
        lengths = np.add.reduceat(counts, heads)
        return [
            (names[source], start, length)
            for source, start, length in zip(
                sources[heads].tolist(), starts[heads].tolist(), lengths.tolist(), strict=True
            )
        ]

    def object_name(self, share: tuple[int | bytes, int] = (0, 1)) -> str:
        """Name of the object that the fresh blocks make up: a digest of type, shape and block records.

        An array that grows by what it has already needs an object more with the same values: no range of an
        object is in an array twice. So the name is another one then, and with another ``share``, see
        :attr:`~ann_ckpt.store.folder.StoreFolder.share`.
        """
        first, step = share
        shape = "x".join(str(n) for n in self._shape[1:])
        hasher = xxhash.xxh3_128(f"{self._dtype.newbyteorder('<').str} {shape}\0".encode())
        for records, found in zip(self._records, self._found, strict=True):
            hasher.update(records[found == ABSENT].view(np.uint8).data)
        linked = {name for name, _, _ in self._pieces}
        hasher.update(bytes(first))
        while (name := hasher.hexdigest()) in linked:
            hasher.update(bytes(step))
        return name

    def layout(self, fresh: StoredObject | None) -> SharedArray:
        """Return the finished layout.

        Parameters
        ----------
        fresh : StoredObject or None
            The object with the fresh blocks, if there are any.
        """
        if self._kept is not None:
            return self._kept
        sources = {} if self._previous is None else dict(self._previous.objects)
        if fresh is not None:
            sources[_FRESH] = fresh
        pieces = tuple(Piece(sources[name], start, count) for name, start, count in self._pieces)
        return SharedArray(self._dtype, self._shape, pieces, np.concatenate(self._records))

    def plan(self, path: str) -> ArrayPlan:
        """Return a printable summary of the placement."""
        entry = math.prod(self._shape[1:]) * self._dtype.itemsize
        if self.fresh_entries == self._shape[0]:
            action = ArrayAction.NEW
        else:
            action = ArrayAction.DELTA if self.fresh_entries else ArrayAction.LINKED
        pieces = self._pieces if self._kept is None else self._kept.pieces
        return ArrayPlan(path, action, self._shape[0] * entry, self.fresh_entries * entry, len(pieces))
