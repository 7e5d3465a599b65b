"""Description of a shared array: its blocks, and the pieces of objects that hold them.

The checkpoints of a store share *objects*, immutable files with the values of one array
or with its changed blocks only. A shared array is a list of *pieces*, ranges of entries of
objects that follow one another, and of *blocks*, the units that are compared and
checked. Four tables in the checkpoint file hold all of it; nothing here touches a file.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ann_ckpt.format import layout
from ann_ckpt.format.digest import SHAPE_BYTES, describe, described, digest_of

__all__ = [
    "BLOCK",
    "READ_BYTES",
    "TABLE_TYPES",
    "BlockLocation",
    "ObjectBlocks",
    "Piece",
    "SharedArray",
    "SharedTables",
    "StoredObject",
    "block_records",
    "shared_tables",
]

BLOCK = np.dtype([("count", "<u4"), ("high", "<u8"), ("low", "<u8")])
"""One block: entries of the first axis, and the two halves of their XXH3-128."""
_OBJECT = np.dtype([("name", "S32"), ("entries", "<u8"), ("size", "<u8")])
_ARRAY = np.dtype([("dtype", "S4"), ("shape", f"S{SHAPE_BYTES}"), ("pieces", "<u8"), ("blocks", "<u8")])
_PIECE = np.dtype([("object", "<u4"), ("start", "<u8"), ("count", "<u8")])
TABLE_TYPES = {
    layout.SHARED_OBJECTS: _OBJECT,
    layout.SHARED_ARRAYS: _ARRAY,
    layout.SHARED_PIECES: _PIECE,
    layout.SHARED_BLOCKS: BLOCK,
}
"""The tables of a checkpoint by their paths."""
READ_BYTES = 4 << 20
"""Blocks of one object are read together up to this size."""
_NAME = re.compile(r"[0-9a-f]{32}")


BlockLocation = tuple[str, int, tuple[int, int, int]]
"""Name of an object, first entry of a block in it, and the block's record."""


@dataclass(frozen=True, slots=True)
class StoredObject:
    """One file below ``objects/``."""

    name: str
    """XXH3-128 of what is in it, 32 lower-case hexadecimal digits."""
    entries: int
    """Length of its values along the first axis."""
    size: int
    """Bytes of the file."""

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise ValueError(f"{self.name!r} is not the name of an object")


class Piece(NamedTuple):
    """A range of entries of one object that is part of an array."""

    source: StoredObject
    start: int
    """First entry in the object."""
    entries: int
    """How many, at least 1."""


@dataclass(frozen=True, slots=True, eq=False)
class ObjectBlocks:
    """Blocks of an array that lie in one object, in the order in which they lie there."""

    source: StoredObject
    numbers: NDArray[np.intp]
    """Which blocks, shape ``(n,)``."""
    starts: NDArray[np.int64]
    """First entry of each in the object, shape ``(n,)``, rising."""
    stops: NDArray[np.int64]
    """End of each in the object, shape ``(n,)``."""


@dataclass(frozen=True, eq=False)
class SharedArray:
    """The layout of one array, without its values.

    Raises
    ------
    ValueError
        If pieces and blocks do not both add up to the array, a block lies across
        pieces, a piece leaves its object, or two pieces share entries of one.
    """

    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    pieces: tuple[Piece, ...]
    blocks: NDArray[np.void]
    """Records of type :data:`BLOCK`, shape ``(n_blocks,)``."""

    def __post_init__(self) -> None:
        if not self.shape or self.shape[0] <= 0:
            raise ValueError("a shared array needs at least one entry")
        if self.block_starts[-1] != self.shape[0] or not np.all(np.diff(self.block_starts) > 0):
            raise ValueError("the blocks do not add up to the array")
        counts = np.diff(self.piece_starts)
        if self.piece_starts[-1] != self.shape[0] or not np.all(counts > 0):
            raise ValueError("the pieces do not add up to the array")
        entries = np.array([item.entries for item in self.objects.values()])[self._piece_sources]
        if not np.all((self._piece_places >= 0) & (self._piece_places <= entries - counts)):
            raise ValueError("a piece extends beyond its object")
        places = np.searchsorted(self.block_starts, self.piece_starts)
        if not np.array_equal(self.block_starts[places], self.piece_starts):
            raise ValueError("a block spans two pieces")
        order = np.lexsort((self._piece_places, self._piece_sources))
        source, start = self._piece_sources[order], self._piece_places[order]
        end = start + counts[order]
        if np.any((source[1:] == source[:-1]) & (start[1:] < end[:-1])):
            raise ValueError("two pieces overlap in an object")

    @cached_property
    def block_starts(self) -> NDArray[np.int64]:
        """First entry of each block and the end of the last, shape ``(n_blocks + 1,)``."""
        return _running(self.blocks["count"])

    @cached_property
    def piece_starts(self) -> NDArray[np.int64]:
        """First entry of each piece and the end of the last, shape ``(n_pieces + 1,)``."""
        return _running([p.entries for p in self.pieces])

    @cached_property
    def block_sources(self) -> NDArray[np.intp]:
        """Which of :attr:`objects` each block lies in, counted from 0, shape ``(n_blocks,)``."""
        return self._piece_sources[self._block_pieces]

    @cached_property
    def block_places(self) -> NDArray[np.int64]:
        """First entry of each block in its object, shape ``(n_blocks,)``."""
        shifts = self._piece_places - self.piece_starts[:-1]
        return np.asarray(self.block_starts[:-1] + shifts[self._block_pieces])

    @cached_property
    def _block_pieces(self) -> NDArray[np.intp]:
        return np.searchsorted(self.piece_starts, self.block_starts[:-1], side="right") - 1

    @cached_property
    def _piece_sources(self) -> NDArray[np.intp]:
        number = {name: n for n, name in enumerate(self.objects)}
        return np.array([number[p.source.name] for p in self.pieces], np.intp)

    @cached_property
    def _piece_places(self) -> NDArray[np.int64]:
        return np.array([p.start for p in self.pieces], np.int64)

    def places(self, first: int, last: int) -> list[BlockLocation]:
        """Where blocks ``[first, last)`` lie, and what their digests are."""
        names = list(self.objects)
        return [
            (names[source], start, record)
            for source, start, record in zip(
                self.block_sources[first:last].tolist(),
                self.block_places[first:last].tolist(),
                self.blocks[first:last].tolist(),
                strict=True,
            )
        ]

    def contiguous_blocks(self) -> Iterator[tuple[int, int]]:
        """Yield ranges ``[first, last)`` of blocks that are adjacent in one object, a few MiB at most."""
        starts, piece_starts = self.block_starts, self.piece_starts
        first, last = 0, self.blocks.size
        at_most = max(1, READ_BYTES // max(1, self.entry_bytes))
        while first < last:
            begin = int(starts[first])
            piece = int(np.searchsorted(piece_starts, begin, side="right")) - 1
            reach = min(int(piece_starts[piece + 1]), begin + at_most)
            stop = min(max(int(np.searchsorted(starts, reach, side="right")) - 1, first + 1), last)
            yield first, stop
            first = stop

    def by_object(self, first: int, last: int) -> Iterator[ObjectBlocks]:
        """Group blocks ``[first, last)`` by the object that holds them, a few MiB at a time."""
        sources = list(self.objects.values())
        order = np.lexsort((self.block_places[first:last], self.block_sources[first:last])) + first
        counts = np.diff(self.block_starts)[order]
        source, starts = self.block_sources[order], self.block_places[order]
        at_most = max(1, READ_BYTES // max(1, self.entry_bytes))
        for run in np.split(np.arange(order.size), np.flatnonzero(np.diff(source)) + 1):
            part = (np.cumsum(counts[run]) - counts[run]) // at_most
            for some in np.split(run, np.flatnonzero(np.diff(part)) + 1):
                yield ObjectBlocks(
                    sources[source[some[0]]], order[some], starts[some], starts[some] + counts[some]
                )

    @cached_property
    def objects(self) -> Mapping[str, StoredObject]:
        """The objects that the pieces come from, by name."""
        return {p.source.name: p.source for p in self.pieces}

    @property
    def digest(self) -> str:
        """Digest of the block records, 32 hexadecimal digits; equal if block bounds and values are."""
        return digest_of(self.blocks)

    @property
    def entry_bytes(self) -> int:
        """Bytes of one entry of the first axis."""
        return math.prod(self.shape[1:]) * self.dtype.itemsize

    @property
    def stored_bytes(self) -> int:
        """The array's share of the files that its pieces come from, rounded down."""
        return sum(p.source.size * p.entries // p.source.entries for p in self.pieces)

    @property
    def whole_object(self) -> bool:
        """Whether the array is one object from end to end."""
        return len(self.pieces) == 1 and self.pieces[0].source.entries == self.shape[0]


def block_records(counts: Sequence[int] | NDArray[Any], digests: Iterable[bytes]) -> NDArray[np.void]:
    """Return blocks as records of type :data:`BLOCK`.

    Parameters
    ----------
    counts : sequence of n_blocks int
        Entries of each block.
    digests : iterable of n_blocks bytes
        16 bytes each, most significant first.
    """
    records = np.empty(len(counts), BLOCK)
    halves = np.frombuffer(b"".join(digests), ">u8").reshape(-1, 2)
    records["count"] = counts
    records["high"], records["low"] = halves[:, 0], halves[:, 1]
    return records


def shared_tables(arrays: Sequence[SharedArray]) -> dict[str, NDArray[np.void]]:
    """Return the tables of a checkpoint file by their paths.

    Parameters
    ----------
    arrays : sequence of SharedArray
        In the order in which the index lists them.
    """
    objects: dict[StoredObject, int] = {}
    pieces = [
        (objects.setdefault(p.source, len(objects)), p.start, p.entries) for a in arrays for p in a.pieces
    ]
    rows = [(*describe(a.dtype, a.shape), len(a.pieces), a.blocks.size) for a in arrays]
    return {
        layout.SHARED_OBJECTS: np.array([(o.name, o.entries, o.size) for o in objects], _OBJECT),
        layout.SHARED_ARRAYS: np.array(rows, _ARRAY),
        layout.SHARED_PIECES: np.array(pieces, _PIECE),
        layout.SHARED_BLOCKS: np.concatenate([a.blocks for a in arrays]) if arrays else np.empty(0, BLOCK),
    }


class SharedTables:
    """The tables of a checkpoint file, validated.

    Parameters
    ----------
    objects, arrays, pieces : structured arrays
        As :func:`shared_tables` made them.
    blocks : callable
        ``blocks(start, stop)`` returns a range of the last table, which may be large.

    Raises
    ------
    ValueError
        If a table has other columns, or a name or type is none.
    """

    def __init__(
        self,
        objects: NDArray[np.void],
        arrays: NDArray[np.void],
        pieces: NDArray[np.void],
        blocks: Callable[[int, int], NDArray[np.void]],
    ) -> None:
        for table, expected in ((objects, _OBJECT), (arrays, _ARRAY), (pieces, _PIECE)):
            if table.ndim != 1 or table.dtype != expected:
                raise ValueError("the columns of a store table differ from the format")
        self.objects = [StoredObject(name.decode(), *rest) for name, *rest in objects.tolist()]
        self._arrays = arrays
        self._pieces = pieces
        self._blocks = blocks
        self._piece_ends = _running(arrays["pieces"])
        self._block_ends = _running(arrays["blocks"])
        if self._piece_ends[-1] != pieces.size:
            raise ValueError("the piece table does not match the array table")

    def __len__(self) -> int:
        return int(self._arrays.size)

    def describe(self, number: int) -> tuple[np.dtype[Any], tuple[int, ...]]:
        """Return type and shape of the array of that number, counted as the index lists them."""
        return described(*self._arrays[["dtype", "shape"]][number].item())

    def array(self, number: int) -> SharedArray:
        """Return the layout of the array of that number."""
        rows = self._pieces[self._piece_ends[number] : self._piece_ends[number + 1]]
        blocks = self._blocks(int(self._block_ends[number]), int(self._block_ends[number + 1]))
        if blocks.dtype != BLOCK:
            raise ValueError("the columns of the block table differ from the format")
        sources = map(self.objects.__getitem__, rows["object"].tolist())
        pieces = tuple(map(Piece, sources, rows["start"].tolist(), rows["count"].tolist()))
        return SharedArray(*self.describe(number), pieces, blocks)


def _running(counts: Sequence[int] | NDArray[Any]) -> NDArray[np.int64]:
    """Cumulative sum with a zero in front; refuses what does not fit in memory addresses."""
    given = np.asarray(counts, np.uint64)
    total = np.concatenate((np.zeros(1, np.float64), np.cumsum(given, dtype=np.float64)))
    if total[-1] > 2**62:
        raise ValueError("implausibly large counts")
    return np.concatenate((np.zeros(1, np.int64), np.cumsum(given.astype(np.int64))))
