"""What a save shares with the checkpoint before, block by block. Pure: no file, no clock.

A block whose digest the previous layout of the same array knows stays where it is; any
other is *fresh* and goes into a new object. So what is written follows from digests
alone, and a block can be decided as soon as it was hashed, before the next is looked at.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np
import xxhash
from numpy.typing import NDArray

from ann_ckpt.format.plan import ArrayEntry
from ann_ckpt.format.sharing import BLOCK, Piece, SharedArray, StoredObject
from ann_ckpt.model import nbytes

__all__ = ["Action", "ArrayPlan", "Placement", "is_shared", "sources_to_keep"]

INLINE_BYTES = 16 << 10
"""Arrays up to this size stay inside the checkpoint file: a file of their own would cost more."""
_ENTRY_BYTES = 16 << 20
"""So do arrays with entries of the first axis beyond this size, which no block could be cut from."""
_FEW_PIECES = 64
_FEW_SOURCES = 2
_BYTES_PER_SOURCE = 4 << 20
_MOST_SOURCES = 64
_FRESH = ""
"""Stands for the object that does not exist yet; no object has an empty name."""


class Action(StrEnum):
    """What a save does with one array."""

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
    action: Action
    nbytes: int
    """Bytes of all values."""
    fresh_bytes: int
    """Bytes of the values that are written, before compression."""
    pieces: int
    """Stretches of objects that make up the array; 0 for one inside the file."""

    def __str__(self) -> str:
        return f"{self.action:<7}{self.fresh_bytes:>14,} of {self.nbytes:>14,} bytes  {self.path}"


def is_shared(entry: ArrayEntry) -> bool:
    """Whether an array lies in objects rather than in the checkpoint file."""
    size = nbytes(entry.array)
    return size > INLINE_BYTES and size // entry.array.shape[0] <= _ENTRY_BYTES


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
    held = sum(item.entries for item in objects.values())
    if len(previous.pieces) > pieces_allowed or held > 2 * previous.shape[0]:
        return set()
    size = previous.shape[0] * previous.entry_bytes
    if len(objects) < min(_FEW_SOURCES + size // _BYTES_PER_SOURCE, _MOST_SOURCES):
        return set(objects)
    share = dict.fromkeys(objects, 0)
    for piece in previous.pieces:
        share[piece.source.name] += piece.count
    largest = max(share, key=lambda name: (share[name], name))
    return {largest} if 2 * share[largest] >= previous.shape[0] else set()


class Placement:
    """Takes the blocks of one array in order and says of each where it lies.

    Parameters
    ----------
    dtype, shape : dtype, tuple of int
        Of the array.
    previous : SharedArray, optional
        Its layout in the checkpoint before.
    """

    def __init__(
        self, dtype: np.dtype[Any], shape: tuple[int, ...], previous: SharedArray | None = None
    ) -> None:
        self._dtype = dtype
        self._shape = shape
        self._previous: SharedArray | None = None
        self._kept: SharedArray | None = None
        self._sources: dict[str, StoredObject] = {}
        self._places: dict[bytes, dict[tuple[str, int], None]] = {}
        if previous is not None and previous.dtype == dtype and previous.shape[1:] == shape[1:]:
            self._previous = previous
            self._sources = previous.objects
            self._places = _places(previous, sources_to_keep(previous))
        self._records: list[NDArray[np.void]] = []
        self._fresh: list[NDArray[np.void]] = []
        self._pieces: list[tuple[str, int, int]] = []
        self.fresh_entries = 0
        """Entries of the first axis that have to be written."""

    def keep_all(self, records: NDArray[np.void]) -> bool:
        """Keep the previous layout as it is, if these are its blocks; say whether they are."""
        if self._previous is not None and np.array_equal(self._previous.blocks, records):
            self._kept = self._previous
        return self._kept is not None

    def take(self, records: NDArray[np.void]) -> NDArray[np.bool_]:
        """Place the next blocks; return for each whether it is fresh.

        Parameters
        ----------
        records : structured array, shape (n,)
            Of type :data:`~ann_ckpt.format.sharing.BLOCK`.
        """
        counts = records["count"].tolist()
        fresh = np.array([self._take(key, n) for key, n in zip(_keys(records), counts, strict=True)], bool)
        self._records.append(records)
        self._fresh.append(records[fresh])
        return fresh

    def _take(self, key: bytes, count: int) -> bool:
        source, start, held = self._pieces[-1] if self._pieces else ("", 0, 0)
        places = self._places.get(key)
        if places:
            # Going on where the last block ended keeps pieces long where blocks are alike.
            place = (source, start + held) if (source, start + held) in places else next(iter(places))
            del places[place]
        else:
            place = (_FRESH, self.fresh_entries)
            self.fresh_entries += count
        if self._pieces and place == (source, start + held):
            self._pieces[-1] = (source, start, held + count)
        else:
            self._pieces.append((*place, count))
        return place[0] == _FRESH

    @property
    def object_name(self) -> str:
        """Name of the object that the fresh blocks make up: a digest of type, shape and block records."""
        shape = "x".join(str(n) for n in self._shape[1:])
        hasher = xxhash.xxh3_128(f"{self._dtype.newbyteorder('<').str} {shape}\0".encode())
        for records in self._fresh:
            hasher.update(np.ascontiguousarray(records).view(np.uint8).data)
        return hasher.hexdigest()

    def layout(self, fresh: StoredObject | None) -> SharedArray:
        """Return the finished layout.

        Parameters
        ----------
        fresh : StoredObject or None
            The object with the fresh blocks, if there are any.
        """
        if self._kept is not None:
            return self._kept
        sources = self._sources if fresh is None else {**self._sources, _FRESH: fresh}
        pieces = tuple(Piece(sources[name], start, count) for name, start, count in self._pieces)
        return SharedArray(self._dtype, self._shape, pieces, np.concatenate(self._records))

    def plan(self, path: str) -> ArrayPlan:
        """Return what was decided, for people."""
        entry = math.prod(self._shape[1:]) * self._dtype.itemsize
        if self.fresh_entries == self._shape[0]:
            action = Action.NEW
        else:
            action = Action.DELTA if self.fresh_entries else Action.LINKED
        pieces = self._pieces if self._kept is None else self._kept.pieces
        return ArrayPlan(path, action, self._shape[0] * entry, self.fresh_entries * entry, len(pieces))


def _places(previous: SharedArray, usable: set[str]) -> dict[bytes, dict[tuple[str, int], None]]:
    """Where each block of the previous layout lies, as far as its object may be used again."""
    places: dict[bytes, dict[tuple[str, int], None]] = {}
    keys = iter(_keys(previous.blocks))
    counts = iter(previous.blocks["count"].tolist())
    for piece in previous.pieces:
        at, end = piece.start, piece.start + piece.count
        while at < end:
            key = next(keys)
            if piece.source.name in usable:
                places.setdefault(key, {})[piece.source.name, at] = None
            at += next(counts)
    return places


def _keys(records: NDArray[np.void]) -> list[bytes]:
    """Each record as bytes, to look it up by."""
    raw = np.ascontiguousarray(records).tobytes()
    return [raw[i : i + BLOCK.itemsize] for i in range(0, len(raw), BLOCK.itemsize)]
