"""Executes a file plan: writes every entry to a new HDF5 file, block by block.

Chunks are compressed on a few threads while the next block is fetched, and handed to
HDF5 ready-made, in order. At any time a bounded number of chunks is in flight, so the
memory needed does not depend on the size of the array.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import h5py
import numpy as np
from h5py import h5d, h5g, h5p, h5s
from numpy.typing import NDArray

from ann_ckpt.durable import code_of_others
from ann_ckpt.format import h5, layout
from ann_ckpt.format.bytes import NewFile
from ann_ckpt.format.chunk_locations import DatasetRecord, record_of, trailer_bytes
from ann_ckpt.format.chunking import StorageChoice, StorageKind, chunk_stream
from ann_ckpt.format.codec import WORKERS
from ann_ckpt.format.digest import ArrayDigest, Digest, digest_of, digest_of_attributes, digest_tables
from ann_ckpt.format.layout import IndexRow, index_table
from ann_ckpt.format.plan import ArrayEntry, FilePlan, GroupEntry, SharedEntry, TextEntry
from ann_ckpt.format.shared.array import shared_tables
from ann_ckpt.format.shared.links import create_shared_link
from ann_ckpt.model import Array, blocks
from ann_ckpt.threads import Threads

__all__ = [
    "write_file",
]

Tick = Callable[[str, int], None]
Pieces = Iterator[tuple[int, NDArray[Any]]]
"""Where each piece of an array starts on the first axis, and its values."""

_HASHED_ASIDE = 1 << 20
"""Smaller pieces are hashed sooner than a thread wakes up."""
_LATER = np.array(b"-" * 32)
"""Takes the place of a digest at the beginning of the file, so that one short read opens it."""


def write_file(plan: FilePlan, path: str, *, tick: Tick) -> None:
    """Write the file that ``plan`` describes to ``path``, over whatever is there.

    Parameters
    ----------
    plan : FilePlan
        From :func:`ann_ckpt.format.plan.plan_file`.
    path : str
        A temporary file; making it durable and giving it its name is the caller's.
    tick : callable
        Called as ``tick(path_of_array, bytes)`` after each block.

    Raises
    ------
    OSError
        If the system does not take the bytes; ``errno`` says why.
    """
    with contextlib.closing(NewFile(path)) as file:
        with contextlib.closing(h5.create_file(file)) as hdf5, Threads(WORKERS, "ann_ckpt-write") as pool:
            noted = _Writer(file, hdf5, pool, tick).write(plan)
        file.append(trailer_bytes(noted))
    file.check()


class _Writer:
    """One file being written: open groups by path, and the index that grows with them."""

    def __init__(self, file: NewFile, hdf5: Any, pool: Threads, tick: Tick) -> None:
        self._file = file
        self._groups: dict[str, Any] = {"": h5g.open(hdf5, b"/")}
        self._pool = pool
        self._tick = tick
        self._index: list[IndexRow] = []
        self._noted: list[DatasetRecord] = []
        self._digests: dict[int, NDArray[np.uint64]] = {}
        self._header: Mapping[str, NDArray[Any]] = {}

    def write(self, plan: FilePlan) -> list[DatasetRecord]:
        """Write everything; return where the datasets lie that the trailer notes."""
        for entry in plan.entries:
            digest = _WRITING[entry.encoding](self, entry)
            self._record(entry.path, entry.encoding, digest, entry.locality, axes=entry.axes)
        if plan.shared:
            self._tables(layout.SHARED, shared_tables([entry.array for entry in plan.shared]))
        if self._digests:
            self._tables(layout.DIGESTS, digest_tables(self._digests))
        self._finish()
        return self._noted

    def _record(
        self, path: str, encoding: str, digest: str, locality: str = "", *, axes: bool = False
    ) -> None:
        known = layout.ENCODINGS[encoding]
        version = known.with_axes if axes else known.version
        self._index.append(IndexRow(path, encoding, version, str(locality), digest))

    def _tables(self, group: str, tables: Mapping[str, NDArray[Any]]) -> None:
        self._record(group, layout.E_GROUP, self._group(GroupEntry(group)))
        for path, table in tables.items():
            h5.write_whole(*self._place(path), table, compact=False)
            self._note(path, len(self._index))
            self._record(path, layout.E_TABLE, digest_of(table))

    def _finish(self) -> None:
        table = index_table(self._index)
        root = self._groups[""]
        h5.write_whole(root, layout.INDEX, table, compact=False)
        self._note(layout.INDEX, layout.INDEX_ROW)
        digest = np.array(digest_of(table).encode())
        h5.replace_attribute(root, layout.A_INDEX_DIGEST, digest)
        header = {**self._header, layout.A_INDEX_DIGEST: digest}
        h5.replace_attribute(root, layout.A_HEADER_DIGEST, np.array(digest_of_attributes(header).encode()))

    def _note(self, path: str, row: int) -> None:
        parent, link = self._place(path)
        noted = record_of(h5d.open(parent, link.encode()), row, path)
        if noted is not None:
            self._noted.append(noted)

    def _place(self, path: str) -> tuple[Any, str]:
        parent, _, link = path.rpartition("/")
        return self._groups[parent], link

    def _group(self, entry: GroupEntry) -> str:
        if entry.path:
            parent, link = self._place(entry.path)
            self._groups[entry.path] = h5g.create(parent, link.encode())
        else:
            self._header = entry.attributes
            for name in (layout.A_INDEX_DIGEST, layout.A_HEADER_DIGEST):
                h5.write_attribute(self._groups[""], name, _LATER)
        for name, value in entry.attributes.items():
            h5.write_attribute(self._groups[entry.path], name, value)
        return digest_of_attributes(entry.attributes)

    def _text(self, entry: TextEntry) -> str:
        return digest_of(h5.write_text(*self._place(entry.path), entry.text))

    def _shared(self, entry: SharedEntry) -> str:
        create_shared_link(*self._place(entry.path), entry.array)
        return entry.array.digest

    def _array(self, entry: ArrayEntry) -> str:
        parent, link = self._place(entry.path)
        array = entry.array
        single = entry.encoding == layout.E_GLOBALS
        digest = Digest(array.dtype) if single else ArrayDigest(array.dtype, array.shape)
        pieces = self._hashed(entry, digest)
        if entry.storage.kind is StorageKind.CHUNKED:
            self._chunked(parent, link, entry.array, entry.storage, pieces)
            self._note(entry.path, len(self._index))
        elif entry.storage.kind is StorageKind.COMPACT:
            for _, value in pieces:
                h5.write_whole(parent, link, value, compact=True)
        else:
            _contiguous(parent, link, entry.array, pieces)
        found = digest.hex()
        if isinstance(digest, ArrayDigest) and digest.beside.size:
            self._digests[len(self._index)] = digest.beside
        return found

    def _hashed(self, entry: ArrayEntry, digest: Digest | ArrayDigest) -> Pieces:
        """Yield the values of an array; while they are written, a thread takes them into the digest."""
        for start, block in _read(entry.array, max(1, entry.storage.chunk)):
            entry.check(block)
            if block.nbytes < _HASHED_ASIDE:
                digest.update(block)
                yield start, block
            else:
                hashing = self._pool.submit(digest.update, block)
                yield start, block
                hashing.result()
            self._file.check()
            self._tick(entry.path, block.nbytes)

    def _chunked(self, parent: Any, link: str, array: Array, storage: StorageChoice, pieces: Pieces) -> None:
        stream = chunk_stream(
            parent,
            link,
            array.dtype,
            array.shape,
            chunk=storage.chunk,
            compression=storage.compression,
            pool=self._pool,
        )
        for start, block in pieces:
            stream.put(start, block)
        stream.finish()


_WRITING: Mapping[str, Callable[[_Writer, Any], str]] = {
    layout.E_GROUP: _Writer._group,
    layout.E_TEXT: _Writer._text,
    layout.E_SHARED: _Writer._shared,
    layout.E_ARRAY: _Writer._array,
    layout.E_GLOBALS: _Writer._array,
}
"""How what has an encoding is written; returns its digest. Tables are written by the writer itself."""


def _read(array: Array, unit: int) -> Pieces:
    """Yield an array in pieces of whole chunks, of ``unit`` entries.

    What its source raises is not blamed on the file that is written.
    """
    pieces = blocks(array, unit=unit)
    while True:
        with code_of_others():
            piece = next(pieces, None)
        if piece is None:
            return
        yield piece


def _contiguous(parent: Any, link: str, array: Array, pieces: Pieces) -> None:
    creation = h5p.create(h5p.DATASET_CREATE)
    creation.set_obj_track_times(False)
    creation.set_fill_time(h5d.FILL_TIME_NEVER)
    space = h5s.create_simple(array.shape) if array.shape else h5s.create(h5s.SCALAR)
    dataset = h5py.Dataset(h5d.create(parent, link.encode(), h5.file_type(array.dtype), space, creation))
    for start, block in pieces:
        if block.size:
            dataset[start : start + len(block)] = block
