"""Chunk index (trailer) appended after HDF5's end-of-file address.

HDF5 finds a chunk through several objects and a tree, which takes longer than reading it;
here one short read does. HDF5 never looks behind its own end, and cuts off what is there
when it opens a file for writing: so whatever changes a file takes its trailer along, and
a file without one is read through HDF5.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
import xxhash
from h5py import h5d
from numpy.typing import NDArray

from ann_ckpt.errors import CorruptFileError, UnsafeFileError
from ann_ckpt.format import codec
from ann_ckpt.format.bytes import Bytes
from ann_ckpt.format.chunk_locations import LOCATION, HDF5Locations, TrailerLocations
from ann_ckpt.format.digest import describe, described
from ann_ckpt.format.guard import DatasetLayout, check_size, layout_of

__all__ = [
    "DatasetRecord",
    "Trailer",
    "record_of",
    "trailer_bytes",
]


_DATASET = np.dtype(
    [
        ("row", "<u4"),
        ("kind", "u1"),
        ("packed", "u1"),
        ("dtype", "S8"),
        ("shape", "S64"),
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
    """Where its chunks lie, records of type :data:`~ann_ckpt.format.chunk_locations.LOCATION`."""


def record_of(dataset: Any, row: int, where: str) -> DatasetRecord | None:
    """Return the trailer record of an open dataset; None if it must be read through HDF5 or is empty."""
    layout = layout_of(dataset, where)
    suits = layout.in_chunks_of_rows and layout.filters in ((), _PACKED)
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
