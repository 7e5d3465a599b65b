"""Reads ranges of one dataset, planning the byte ranges to fetch.

HDF5 says where the bytes lie; the bytes themselves come through ``pread`` on a
descriptor of our own and are decoded on threads, outside HDF5's global lock. A chunk
that is stored raw is read only as far as it is needed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Self

import h5py
import numpy as np
from h5py import h5d
from numpy.typing import NDArray

from ann_ckpt.errors import CorruptFileError, MissingExtraError
from ann_ckpt.format import codec, h5
from ann_ckpt.format.bytes import Bytes
from ann_ckpt.format.chunk_locations import ChunkLocations, HDF5Locations, Location
from ann_ckpt.format.guard import PLUGIN_FILTERS, DatasetLayout, check_dataset

__all__ = [
    "ReadRange",
    "Storage",
    "StoredArray",
    "read_ranges",
]

_JOINED_BYTES = 4 << 20
"""Up to this size, chunks that are neighbours in the file are one read."""


@dataclass(frozen=True, slots=True)
class ReadRange:
    """Neighbouring entries that one read gets."""

    start: int
    stop: int
    """Entries of the first axis, counted from the start of the array."""
    offset: int
    """Of the first byte to read, in the file."""
    size: int
    """Bytes to read."""
    chunk: int
    """Entry at which the chunk starts; of the first chunk, if there are several."""
    mask: int
    """HDF5's filter mask."""
    raw: bool
    """Whether the bytes are the values themselves; otherwise it is one whole chunk, to be decoded."""

    @property
    def end(self) -> int:
        """Of the file, behind the last byte to read."""
        return self.offset + self.size

    def joined(self, after: ReadRange) -> ReadRange | None:
        """Return this range and the one that follows as one, if one read covers both."""
        size = self.size + after.size
        if not (self.raw and after.raw) or self.end != after.offset or size > _JOINED_BYTES:
            return None
        return ReadRange(self.start, after.stop, self.offset, size, self.chunk, self.mask, raw=True)


def read_ranges(layout: DatasetLayout, places: ChunkLocations, start: int, stop: int) -> Iterator[ReadRange]:
    """Yield what has to be read for entries ``[start, stop)``, in order.

    Parameters
    ----------
    layout : DatasetLayout
        Of the dataset: contiguous, or chunked along its first axis only.
    places : ChunkLocations
        Where its chunks lie.

    Raises
    ------
    CorruptFileError
        If a chunk is missing.
    """
    length = layout.chunk_length
    chunks = range(start // length, math.ceil(stop / length))
    pending: ReadRange | None = None
    for number, place in zip(chunks, places.of(chunks), strict=True):
        first = number * length
        found = _read_range(layout, place, first, max(start, first), min(stop, first + length))
        joined = None if pending is None else pending.joined(found)
        if pending is not None and joined is None:
            yield pending
        pending = joined or found
    if pending is not None:
        yield pending


def _read_range(layout: DatasetLayout, place: Location, first: int, low: int, high: int) -> ReadRange:
    """Entries ``[low, high)`` of one chunk; a packed one is read whole, a raw one so far only."""
    offset, size, mask = place
    all_skipped = (1 << len(layout.filters)) - 1
    if mask & all_skipped != all_skipped:
        return ReadRange(low, high, offset, size, first, mask, raw=False)
    skipped, wanted = (low - first) * layout.entry_bytes, (high - low) * layout.entry_bytes
    return ReadRange(low, high, offset + skipped, wanted, first, mask, raw=True)


def _runs(
    parts: Iterable[tuple[ReadRange, NDArray[Any]]],
) -> Iterator[list[tuple[ReadRange, NDArray[Any]]]]:
    """Group parts whose packed chunks one read gets; what is raw comes alone."""
    run: list[tuple[ReadRange, NDArray[Any]]] = []
    for each in parts:
        part = each[0]
        if run:
            first, last = run[0][0], run[-1][0]
            same = part.chunk == last.chunk
            near = part.offset == last.end and part.end - first.offset <= _JOINED_BYTES
            if part.raw or last.raw or not (same or near):
                yield run
                run = []
        run.append(each)
    if run:
        yield run


@dataclass(frozen=True, slots=True)
class Storage:
    """How an array is stored in its file, for display."""

    kind: str
    """``compact``, ``contiguous`` or ``chunked``."""
    filters: tuple[str, ...]
    chunk: int
    """Elements of one chunk along the first axis; 0 if not chunked."""
    stored_bytes: int
    """Bytes in the file, after compression."""


class StoredArray:
    """A dataset whose metadata was checked, ready to be read.

    Parameters
    ----------
    layout : DatasetLayout
        What the file says about it, and was believed.
    places : ChunkLocations or None
        Where its bytes lie; None if only HDF5 can find or decode them.
    dataset : h5py.h5d.DatasetID, optional
        The dataset; not needed where its places are known.
    file : Bytes
        The same file.
    count : callable
        Told the number of bytes of each read.
    where : str
        File and path for messages.
    """

    def __init__(
        self,
        layout: DatasetLayout,
        places: ChunkLocations | None,
        *,
        dataset: Any = None,
        file: Bytes,
        count: Callable[[int], None],
        where: str,
    ) -> None:
        self.shape = layout.shape
        self.dtype = _without_padding(layout.dtype)
        self._layout = layout
        self._places = places
        self._dataset = dataset
        self._file = file
        self._count = count
        self._where = where

    @classmethod
    def opened(cls, dataset: Any, *, file: Bytes, count: Callable[[int], None], where: str) -> Self:
        """Return a dataset that HDF5 has opened, once :mod:`~ann_ckpt.format.guard` has looked at it."""
        layout = check_dataset(dataset, file.size, where)
        readable = layout.in_chunks_of_rows and _without_padding(layout.dtype) == layout.dtype
        places = HDF5Locations(dataset, layout, where=where) if readable else None
        return cls(layout, places, dataset=dataset, file=file, count=count, where=where)

    @property
    def chunk_length(self) -> int:
        """Entries that are decoded together; 1 if entries can be read individually."""
        return self._layout.chunk[0] if self._layout.filters else 1

    @property
    def distant(self) -> bool:
        """Whether it pays to say first what will be read; see :meth:`expect`."""
        return self._file.distant

    def storage(self) -> Storage:
        """Return how the array is stored; reads the size of every chunk."""
        names = {codec.DEFLATE: "gzip", codec.SHUFFLE: "shuffle", **PLUGIN_FILTERS}
        kinds = {h5d.COMPACT: "compact", h5d.CONTIGUOUS: "contiguous", h5d.CHUNKED: "chunked"}
        layout = self._layout
        return Storage(
            kinds[layout.kind],
            tuple(names[f] for f in layout.filters),
            layout.chunk[0] if layout.chunk else 0,
            self._dataset.get_storage_size() if self._places is None else self._places.stored_bytes(),
        )

    def read(self, start: int, stop: int) -> NDArray[Any]:
        """Return elements ``[start, stop)`` of the first axis, shape ``(stop - start, ...)``."""
        out = np.empty((max(0, stop - start), *self.shape[1:]), self.dtype)
        self.read_into(out, start)
        return out

    def read_scalar(self) -> NDArray[Any]:
        """Return the only value of an array of shape ``()``."""
        value = h5.read_whole(self._dataset, self.dtype)
        self._count(value.nbytes)
        return value

    def read_into(self, out: NDArray[Any], start: int) -> None:
        """Fill ``out``, C-contiguous and of this type, from entry ``start`` of the first axis on.

        Raises
        ------
        CorruptFileError
            If a chunk is missing, short, or does not decode.
        """
        if not out.size:
            return
        if self._places is not None:
            self.gather([(start, out)])
        elif set(self._layout.filters) & set(PLUGIN_FILTERS) or self._layout.kind == h5d.CHUNKED:
            self._read_through_hdf5(out, start)
        else:
            whole = self.read_scalar()
            out[...] = whole[start : start + len(out)] if self.shape else whole

    def expect(self, spans: Iterable[tuple[int, int]]) -> None:
        """Get ready for reads of entries that come next, each ``(start, stop)``, where they lie far away."""
        if self._file.distant and self._places is not None:
            places = self._places
            self._file.expect(
                (part.offset, part.size)
                for start, stop in spans
                for part in read_ranges(self._layout, places, start, stop)
            )

    def gather(self, parts: Sequence[tuple[int, NDArray[Any]]]) -> None:
        """Fill several arrays, each from its own entry on; chunks they share are decoded once.

        Parameters
        ----------
        parts : sequence of (int, array)
            First entry, and what to fill as in :meth:`read_into`; entries rise.
        """
        if self._places is None:
            for start, out in parts:
                self.read_into(out, start)
            return
        found = (
            (part, out[part.start - start : part.stop - start])
            for start, out in parts
            for part in read_ranges(self._layout, self._places, start, start + len(out))
        )
        self._count(self._read_parts(found))

    def _read_parts(self, parts: Iterable[tuple[ReadRange, NDArray[Any]]]) -> int:
        """Fill each array with its part; return how many bytes of the file that took."""
        taken = 0
        for run in _runs(parts):
            first, out = run[0]
            if first.raw:
                taken += self._pread_into(out, first.offset)
                continue
            data = np.empty(run[-1][0].end - first.offset, np.uint8)
            taken += self._pread_into(data, first.offset)
            try:
                self._unpack(data, first.offset, run)
            except CorruptFileError as error:
                error.where = self._where
                raise
        return taken

    def _unpack(
        self, data: NDArray[np.uint8], offset: int, run: Sequence[tuple[ReadRange, NDArray[Any]]]
    ) -> None:
        """Fill each array with its part of the chunks in ``data``, which begins at ``offset`` of the file."""
        filters, count = self._layout.filters, math.prod(self._layout.chunk)
        whole = []
        chunk: codec.Unpacked | None = None
        unpacked = -1
        for part, out in run:
            packed, flat = data[part.offset - offset : part.end - offset].data, out.reshape(-1)
            if len(flat) == count:
                whole.append((packed, part.mask, flat))
                continue
            if chunk is None or unpacked != part.chunk:
                itemsize = self.dtype.itemsize
                chunk = codec.unpack(packed, filters, part.mask, count=count, itemsize=itemsize)
                unpacked = part.chunk
            chunk.copy_to(flat, start=(part.start - part.chunk) * math.prod(self.shape[1:]))
        codec.unpack_into(whole, filters)

    def _pread_into(self, out: NDArray[Any], offset: int) -> int:
        view = out.reshape(-1).view(np.uint8).data
        done = self._file.read_into(view, offset)
        if done < len(view):
            raise CorruptFileError(
                "the file ends inside an array", details={"offset": str(offset + done)}, where=self._where
            )
        return done

    def _read_through_hdf5(self, out: NDArray[Any], start: int) -> None:
        if set(self._layout.filters) & set(PLUGIN_FILTERS):
            _load_plugins(self._where)
        try:
            h5py.Dataset(self._dataset).read_direct(out, np.s_[start : start + len(out)])
        except (OSError, RuntimeError, ValueError) as error:
            raise CorruptFileError(f"HDF5 cannot read the dataset: {error}", where=self._where) from error
        self._count(out.nbytes)


def _without_padding(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """Return a compound as its members side by side, which is how digests take it."""
    if dtype.names is None:
        return dtype
    return np.dtype([(name, dtype[name]) for name in dtype.names])


def _load_plugins(where: str) -> None:
    try:
        import hdf5plugin  # noqa: F401  (registers its filters with HDF5)
    except ImportError as error:
        raise MissingExtraError(
            "the data are compressed with a filter of the package hdf5plugin",
            details={"install": "pip install 'ann_ckpt[plugins]'"},
            where=where,
        ) from error
