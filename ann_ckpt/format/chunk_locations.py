"""Chunk locations of a dataset, from HDF5 or from the trailer."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol

import numpy as np
from h5py import h5d
from numpy.typing import NDArray

from ann_ckpt.errors import CorruptFileError
from ann_ckpt.format.bytes import Bytes
from ann_ckpt.format.guard import DatasetLayout

__all__ = [
    "LOCATION",
    "ChunkLocations",
    "HDF5Locations",
    "Location",
    "TrailerLocations",
]

Location = tuple[int, int, int]
"""Offset in the file, bytes, and filter mask of one chunk."""
LOCATION = np.dtype([("offset", "<u8"), ("size", "<u4"), ("mask", "<u4")])

_LIST_FROM = 16
"""Fewer chunks are asked for one by one."""
_LIST_SHARE = 8
"""So is less than this part of all: asking for one costs as much as this many in a list."""


class ChunkLocations(Protocol):
    """Chunks along the first axis, by number; a contiguous dataset is a single one."""

    def of(self, chunks: range) -> Iterable[Location]:
        """Return the locations of consecutive chunks.

        Raises
        ------
        CorruptFileError
            If one is missing.
        """

    def stored_bytes(self) -> int:
        """Bytes of all of them in the file."""


class HDF5Locations:
    """Chunk locations from HDF5: queried one by one, then listed once that is cheaper.

    Parameters
    ----------
    dataset : h5py.h5d.DatasetID
        Contiguous, or chunked along the first axis only.
    layout : DatasetLayout
        What :func:`ann_ckpt.format.guard.check_dataset` said about it.
    where : str
        File and path for messages.
    """

    def __init__(self, dataset: Any, layout: DatasetLayout, *, where: str) -> None:
        self._dataset = dataset
        self._layout = layout
        self._count = layout.chunk_count
        self._where = where
        self._asked = 0
        self._listed: NDArray[np.void] | None = None

    def of(self, chunks: range) -> Iterable[Location]:
        """Return the locations of some chunks; see :class:`ChunkLocations`."""
        if self._listed is None:
            self._asked += len(chunks)
            if self._asked < _LIST_FROM or self._asked * _LIST_SHARE < self._count:
                return map(self._ask, chunks)
        return _present(self.all()[chunks.start : chunks.stop], chunks.start, self._layout, self._where)

    def all(self) -> NDArray[np.void]:
        """Return the locations of all chunks, records of type :data:`LOCATION`; size 0 for a missing one."""
        if self._listed is None:
            contiguous = self._layout.kind == h5d.CONTIGUOUS
            if contiguous or not hasattr(self._dataset, "chunk_iter"):
                self._listed = np.array([self._ask(number) for number in range(self._count)], LOCATION)
            else:
                self._listed = self._list()
        return self._listed

    def stored_bytes(self) -> int:
        """Bytes of all chunks in the file."""
        return int(self._dataset.get_storage_size())

    def _ask(self, number: int) -> Location:
        if self._layout.kind == h5d.CONTIGUOUS:
            return self._dataset.get_offset(), self._dataset.get_storage_size(), 0
        corner = (number * self._layout.chunk_length,) + (0,) * (self._dataset.rank - 1)
        try:
            info = self._dataset.get_chunk_info_by_coord(corner)
        except (OSError, RuntimeError, ValueError) as error:
            raise CorruptFileError(f"the chunk at {corner[0]} cannot be found", where=self._where) from error
        if info.byte_offset is None:
            raise _missing(number, self._layout, self._where)
        return info.byte_offset, info.size, info.filter_mask

    def _list(self) -> NDArray[np.void]:
        listed = np.zeros(self._count, LOCATION)
        left = self._count

        def note(info: Any) -> bool | None:
            nonlocal left
            left -= 1
            number = info.chunk_offset[0] // self._layout.chunk_length
            listed[number] = (info.byte_offset, info.size, info.filter_mask)
            return True if left < 0 else None  # more than there can be: no use in going on

        try:
            self._dataset.chunk_iter(note)
        except (OSError, RuntimeError, ValueError, IndexError) as error:
            raise CorruptFileError("the chunks cannot be listed", where=self._where) from error
        return listed


class TrailerLocations:
    """Chunk locations from the trailer; each query reads only the records it needs.

    Parameters
    ----------
    file : Bytes
        The file.
    first : int
        Offset of the dataset's first record in it, in bytes.
    end : int
        Where values end in the file at the latest.
    layout : DatasetLayout
        Of the dataset.
    where : str
        File and path for messages.
    """

    def __init__(self, file: Bytes, first: int, *, end: int, layout: DatasetLayout, where: str) -> None:
        self._file = file
        self._first = first
        self._end = end
        self._layout = layout
        self._where = where

    def of(self, chunks: range) -> Iterable[Location]:
        """Return the locations of some chunks; see :class:`ChunkLocations`."""
        return _present(self._read(chunks), chunks.start, self._layout, self._where)

    def all(self) -> NDArray[np.void]:
        """Return the locations of all chunks, records of type :data:`LOCATION`."""
        return self._read(range(self._layout.chunk_count))

    def stored_bytes(self) -> int:
        """Bytes of all chunks in the file."""
        return int(self.all()["size"].sum(dtype=np.int64))

    def _read(self, chunks: range) -> NDArray[np.void]:
        raw = self._file.read(self._first + chunks.start * LOCATION.itemsize, len(chunks) * LOCATION.itemsize)
        found: NDArray[np.void] = np.frombuffer(raw, LOCATION)
        if len(found) != len(chunks) or np.any(found["offset"] > self._end - found["size"].astype(np.int64)):
            raise CorruptFileError("invalid chunk index: a chunk lies outside the file", where=self._where)
        return found


def _present(places: NDArray[np.void], first: int, layout: DatasetLayout, where: str) -> list[Location]:
    """The records as tuples, none of which is missing."""
    found: list[Location] = places.tolist()
    for number, (_, size, _) in enumerate(found, first):
        if not size:
            raise _missing(number, layout, where)
    return found


def _missing(number: int, layout: DatasetLayout, where: str) -> CorruptFileError:
    return CorruptFileError(f"the chunk at {number * layout.chunk_length} is missing", where=where)
