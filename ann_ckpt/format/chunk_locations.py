"""Chunk locations of the datasets of a file: from HDF5, or from the trailer that repeats them.

HDF5 finds a chunk through several objects and a tree, which takes longer than reading it; with the
trailer, appended after HDF5's end-of-file address, one short read does. HDF5 never looks behind its own
end, and cuts off what is there when it opens a file for writing: so whatever changes a file takes its
trailer along, and a file without one is read through HDF5.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol, Self

import numpy as np
import xxhash
from h5py import h5d
from numpy.typing import NDArray

from ann_ckpt.errors import CorruptFileError, UnsafeFileError
from ann_ckpt.format import codec
from ann_ckpt.format.bytes import Bytes
from ann_ckpt.format.digest import SHAPE_BYTES, describe, described, has_short_shape
from ann_ckpt.format.guard import DatasetLayout, check_size, layout_of

__all__ = [
    "LOCATION",
    "ChunkLocations",
    "DatasetRecord",
    "HDF5Locations",
    "Location",
    "Trailer",
    "TrailerLocations",
    "record_of",
    "trailer_bytes",
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


# --- The trailer ------------------------------------------------------------------

_DATASET = np.dtype(
    [
        ("row", "<u4"),
        ("kind", "u1"),
        ("packed", "u1"),
        ("dtype", "S8"),
        ("shape", f"S{SHAPE_BYTES}"),
        ("chunk", "<u8"),
        ("first", "<u8"),
    ]
)
_FOOTER = struct.Struct("<QQ16s8s")
_MAGIC = b"annplace"
_READ_AT_ONCE = 4096
"""Bytes from the end of a file that are read at first: most often the whole table of datasets."""
_PACKED = (codec.SHUFFLE, codec.DEFLATE)
_LONGEST = 2**32 - 1


@dataclass(frozen=True, slots=True, eq=False)
class DatasetRecord:
    """One dataset of a file that is being written."""

    row: int
    """Of the index, which says what it is; of no index, as the layout says."""
    layout: DatasetLayout
    """What a compound is made of, its reader knows; here it is only so many bytes."""
    places: NDArray[np.void]
    """Where its chunks lie, records of type :data:`LOCATION`."""


def record_of(dataset: Any, row: int, where: str) -> DatasetRecord | None:
    """Return the trailer record of an open dataset; None if it must be read through HDF5 or is empty."""
    layout = layout_of(dataset, where)
    suits = layout.in_chunks_of_rows and layout.filters in ((), _PACKED) and has_short_shape(layout.shape)
    if not suits or (not layout.chunk and layout.nbytes > _LONGEST):
        return None
    places = HDF5Locations(dataset, layout, where=where).all()
    if layout.dtype.names is not None:
        layout = replace(layout, dtype=np.dtype(f"V{layout.dtype.itemsize}"))
    return DatasetRecord(row, layout, places)


def trailer_bytes(datasets: Sequence[DatasetRecord]) -> bytes:
    """Return the trailer of a file that HDF5 has closed.

    Parameters
    ----------
    datasets : sequence of DatasetRecord
        Rows rise.
    """
    records = np.zeros(len(datasets), _DATASET)
    first = 0
    for number, one in enumerate(datasets):
        records[number] = (
            one.row,
            one.layout.kind,
            bool(one.layout.filters),
            *describe(one.layout.dtype, one.layout.shape),
            one.layout.chunk_length,
            first,
        )
        first += len(one.places)
    parts = [*(one.places.tobytes() for one in datasets), records.tobytes()]
    footer = _FOOTER.pack(len(records), first, xxhash.xxh3_128_digest(records.tobytes()), _MAGIC)
    return b"".join([*parts, footer])


class Trailer:
    """The trailer of a file, with the table of its datasets read.

    Parameters
    ----------
    file : Bytes
        The file.
    records : structured array
        One record for each dataset.
    places : int
        Offset of the first chunk's record, where values end.
    """

    def __init__(self, file: Bytes, records: NDArray[np.void], places: int) -> None:
        self._file = file
        self._records = records
        self._places = places

    @classmethod
    def read(cls, file: Bytes, *, end: int) -> Self | None:
        """Return the trailer of an open file; None if there is none.

        Parameters
        ----------
        end : int
            Where HDF5 says that the file ends.

        Raises
        ------
        CorruptFileError
            If something else stands there, or a damaged one; HDF5 can still be asked.
        """
        size = file.size
        if size == end:
            return None
        tail = file.read(max(0, size - _READ_AT_ONCE), _READ_AT_ONCE)
        if size - end < _FOOTER.size:
            raise _damaged()
        count, chunks, digest, magic = _FOOTER.unpack(tail[-_FOOTER.size :])
        length = count * _DATASET.itemsize
        if magic != _MAGIC or size - _FOOTER.size - length - chunks * LOCATION.itemsize != end:
            raise _damaged()
        if length + _FOOTER.size > len(tail):
            tail = file.read(size - length - _FOOTER.size, length + _FOOTER.size)
        raw = tail[len(tail) - _FOOTER.size - length : len(tail) - _FOOTER.size]
        if xxhash.xxh3_128_digest(raw) != digest:
            raise _damaged()
        return cls(file, np.frombuffer(raw, _DATASET), end)

    def find(self, row: int, where: str) -> tuple[DatasetLayout, TrailerLocations] | None:
        """Return the layout and chunk locations of a dataset; None if the trailer does not list it.

        Raises
        ------
        ValueError
            If the record makes no sense.
        UnsafeFileError
            If it claims more than the file can hold.
        """
        at = int(np.searchsorted(self._records["row"], row))
        if at == len(self._records) or self._records["row"][at] != row:
            return None
        _, kind, packed, dtype, shape, chunk, first = self._records[at].item()
        element, sizes = described(dtype, shape, compounds=True)
        layout = DatasetLayout(
            sizes,
            element,
            kind,
            _PACKED if packed else (),
            (chunk, *sizes[1:]) if kind == h5d.CHUNKED else (),
        )
        if not layout.in_chunks_of_rows:
            raise ValueError("invalid dataset record in the trailer")
        check_size(layout, layout.nbytes, self._places, where)
        start = self._places + first * LOCATION.itemsize
        return layout, TrailerLocations(self._file, start, end=self._places, layout=layout, where=where)

    def check(self, dataset: Any, row: int, where: str) -> None:
        """Verify the chunk locations of a dataset against HDF5's.

        Raises
        ------
        CorruptFileError
            If it does not; what either of them reads may be right.
        """
        try:
            found = self.find(row, where)
        except (UnsafeFileError, ValueError) as error:
            raise CorruptFileError(
                f"invalid chunk index: {getattr(error, 'fact', error)}", where=where
            ) from error
        if found is None:
            return
        seen = record_of(dataset, row, where)
        layout, places = found
        if seen is None or seen.layout != layout or not np.array_equal(seen.places, places.all()):
            raise CorruptFileError("the chunk index does not match HDF5's own chunk locations", where=where)


def _damaged() -> CorruptFileError:
    return CorruptFileError("the trailer (chunk index) is damaged; values are read without it")
