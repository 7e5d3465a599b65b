"""Checks a file's metadata against limits before any value is read.

Plain HDF5 follows a file wherever it points: external storage, external links and
virtual datasets hand out the content of other files, a filter number can load a
library, a few bytes can claim to be terabytes. A checkpoint needs none of that, so
each object is looked at when it is reached and refused with its path.
"""

from __future__ import annotations

import math
import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from h5py import h5d, h5l, h5o, h5s

from ann_ckpt.durable import open_regular
from ann_ckpt.errors import (
    CheckpointError,
    ClosedCheckpointError,
    CorruptFileError,
    NotReadableError,
    StateError,
    UnrecognisedFileError,
    UnsafeFileError,
    printable,
)
from ann_ckpt.format import codec, h5, layout
from ann_ckpt.format.bytes import Bytes

__all__ = [
    "DatasetLayout",
    "Sources",
    "begins_like_hdf5",
    "check_dataset",
    "check_group",
    "check_link",
    "check_size",
    "check_superblock",
    "first_bytes",
    "layout_of",
    "messages",
    "reporting_corruption",
    "sources_of",
]

SIGNATURE = b"\x89HDF\r\n\x1a\n"
PLUGIN_FILTERS = {codec.BLOSC: "blosc", 32015: "zstd"}
"""Filters of the ``plugins`` extra, by HDF5's registered numbers."""
_OWN_FILTERS = (codec.SHUFFLE, codec.DEFLATE)
"""In the order of writing."""
_MOST_INFLATION = 1032
"""No deflate stream grows by more (RFC 1951: 258 bytes from two bits)."""
_PLUGIN_INFLATION = 1 << 16
_CHUNK_BYTES = 64 << 20
_CHUNK_NOTED = 8
"""Bytes that a file spends on each chunk at the least, to say where it lies."""
_LAYOUT, _CONTINUATION = 8, 16
"""Kinds of messages in an object header."""
_VIRTUAL = 3
"""A class of layouts."""
_MOST_BLOCKS = 64
"""Of one header; HDF5 starts another where a message no longer fits."""


_NONSENSE = (
    OSError,
    RuntimeError,
    LookupError,
    ValueError,
    TypeError,
    AttributeError,
    ArithmeticError,
)
"""What HDF5, numpy and plain Python raise when a file is not what it says."""


class reporting_corruption:  # noqa: N801  (reads as a verb; a class because thousands of objects make thousands of these)
    """Convert errors from HDF5, or from an invalid structure, to :class:`CorruptFileError`.

    Memory that runs out is an :class:`UnsafeFileError`: the file may be right about its size. What the
    system refuses is a :class:`NotReadableError`: the file may be intact.

    Parameters
    ----------
    where : str
        File and path for messages.
    file : Bytes, optional
        If it was closed meanwhile, that is the reason for whatever was raised.
    """

    __slots__ = ("_file", "_where")

    def __init__(self, where: str, file: Bytes | None = None) -> None:
        self._where = where
        self._file = file

    def __enter__(self) -> None:
        pass

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        if isinstance(error, _NONSENSE) and self._file is not None and self._file.closed:
            raise ClosedCheckpointError(
                "the checkpoint was closed during the read", where=self._where
            ) from error
        if isinstance(error, StateError):
            raise CorruptFileError(
                "the stored values are invalid", details={"found": error.fact}, where=self._where
            ) from error
        if isinstance(error, CheckpointError):
            error.where = error.where or self._where
        elif isinstance(error, MemoryError):
            raise UnsafeFileError(
                "not enough memory for the sizes that the file declares", where=self._where
            ) from error
        elif isinstance(error, OSError) and error.errno is not None:
            raise NotReadableError(f"cannot read: {error.strerror}", where=self._where) from error
        elif isinstance(error, _NONSENSE):
            raise CorruptFileError(
                "the file is damaged",
                details={"found": f"{type(error).__name__}: {printable(error, 300)}"},
                where=self._where,
            ) from error


def first_bytes(path: str | os.PathLike[str], most: int) -> bytes:
    """Return at most so many bytes from the beginning of a file.

    Raises
    ------
    FileMissingError, NotReadableError
        If there is none, or it is no regular file, or cannot be read.
    """
    try:
        with os.fdopen(open_regular(path), "rb") as file:
            return file.read(most)
    except OSError as error:
        if isinstance(error, CheckpointError):
            raise
        raise NotReadableError(f"cannot read: {error.strerror}", where=path) from error


def begins_like_hdf5(path: str | os.PathLike[str]) -> bool:
    """Whether a file begins with HDF5's signature; raises as :func:`first_bytes`."""
    return first_bytes(path, len(SIGNATURE)) == SIGNATURE


def check_superblock(file: Bytes) -> int:
    """Check the signature and the length of a file before HDF5 opens it.

    A failed open can leave a file half open inside HDF5 and spoil later opens of it, so
    the two usual reasons are found without HDF5.

    Returns
    -------
    int
        Where HDF5 says that the file ends.

    Raises
    ------
    UnrecognisedFileError
        If the signature is missing.
    CorruptFileError
        If the file ends before the length in its superblock.
    """
    head, path = file.read(0, 64), file.path
    if not head:
        raise UnrecognisedFileError("the file is empty", where=path)
    if head[:8] != SIGNATURE:
        raise UnrecognisedFileError("not an HDF5 file", details={"begins": repr(head[:8])}, where=path)
    end = _end_of_file(head)
    if end is None:
        raise CorruptFileError("the HDF5 superblock is damaged", where=path)
    if file.size < end:
        raise CorruptFileError(
            "the file is truncated",
            details={"expected": f"{end} bytes", "found": f"{file.size} bytes"},
            where=path,
        )
    return end


def _end_of_file(head: bytes) -> int | None:
    """End-of-file address from a superblock of version 0 to 3 with 8-byte offsets and lengths."""
    if len(head) < 64:
        return None
    version = head[8]
    place = {0: (13, 40), 1: (13, 44), 2: (9, 28), 3: (9, 28)}.get(version)
    if place is None or head[place[0] : place[0] + 2] != b"\x08\x08":
        return None
    return int(struct.unpack_from("<Q", head, place[1])[0])


def check_link(parent: Any, link: bytes, path: str, where: str) -> None:
    """Raise for anything but a hard link of bounded name length.

    Raises
    ------
    CorruptFileError
        If there is nothing at ``path``.
    UnsafeFileError
        If the link leads out of the file or round in it.
    """
    if len(link) > layout.NAME_BYTES:
        raise UnsafeFileError("a name is too long", where=f"{where}:/{printable(path)}")
    try:
        kind = parent.links.get_info(link).type
    except KeyError:
        raise CorruptFileError(
            "an object that the index lists is missing", where=f"{where}:/{printable(path)}"
        ) from None
    if kind != h5l.TYPE_HARD:
        name = {h5l.TYPE_SOFT: "a soft link", h5l.TYPE_EXTERNAL: "a link to another file"}.get(
            kind, "an unknown link"
        )
        raise UnsafeFileError(f"{name} in place of a dataset or group", where=f"{where}:/{printable(path)}")


class Sources(NamedTuple):
    """Where the sources of a virtual dataset lie."""

    heap: int
    """Address of a global heap."""
    number: int
    """In the heap."""


def sources_of(file: Bytes, parent: Any, link: bytes) -> Sources | None:
    """Return where the sources of a virtual dataset lie; None for other datasets, which have none.

    Parameters
    ----------
    file : Bytes
        What HDF5 reads.
    parent : h5py.h5g.GroupID
    link : bytes
        A hard link to the dataset.

    Raises
    ------
    CorruptFileError
        If its header cannot be read.
    """
    try:
        for kind, message in messages(file, parent.links.get_info(link).u):
            if kind == _LAYOUT and message[0] >= 3 and message[1] == _VIRTUAL:
                return Sources(*struct.unpack_from("<QI", message, 2))
    except (struct.error, IndexError):
        raise CorruptFileError("the header of an object is damaged") from None
    return None


def messages(file: Bytes, address: int) -> Iterator[tuple[int, bytes]]:
    """Yield kind and content of each message in an object header, of either version.

    Raises
    ------
    CorruptFileError, struct.error, IndexError
        If there is no header.
    """
    head = file.read(address, 64)
    tracked = 0
    if head[:4] == b"OHDR":
        flags, begin = head[5], 6
        begin += 16 * bool(flags & 0x20) + 4 * bool(flags & 0x10)
        width = 1 << (flags & 3)
        size = int.from_bytes(head[begin : begin + width], "little")
        blocks = [(address + begin + width, size)]
        tracked, prefix = 2 * bool(flags & 4), 4
    else:
        blocks, prefix = [(address + 16, struct.unpack_from("<I", head, 8)[0])], 8
    for number, (start, size) in enumerate(blocks):
        if number == _MOST_BLOCKS or not 0 <= size <= file.size - start:
            raise CorruptFileError("the header of an object is damaged")
        block, at = file.read(start, size), 0
        while size - at >= prefix + tracked:
            kind, length = struct.unpack_from("<BH" if prefix == 4 else "<HH", block, at)
            at += prefix + tracked
            message = block[at : at + length]
            if kind == _CONTINUATION:
                place, extent = struct.unpack_from("<QQ", message)
                # Of version 2 they begin with a signature, and end with a checksum.
                blocks.append((place, extent) if prefix == 8 else (place + 4, extent - 8))
            yield kind, message
            at += length


def check_group(parent: Any, link: bytes, path: str, where: str) -> None:
    """Raise if an object is not a group."""
    if h5o.get_info(parent, link).type != h5o.TYPE_GROUP:
        raise CorruptFileError("not a group", where=f"{where}:/{printable(path)}")


@dataclass(frozen=True, slots=True)
class DatasetLayout:
    """Metadata of a dataset: shape, type, storage, filters."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    """Of the elements in memory."""
    kind: int
    """Storage layout, as HDF5 numbers it."""
    filters: tuple[int, ...]
    """HDF5's filter numbers, in the order of writing."""
    chunk: tuple[int, ...]
    """Shape of a chunk; empty if it has none."""

    @property
    def nbytes(self) -> int:
        """Bytes of all elements in memory."""
        return math.prod(self.shape) * self.dtype.itemsize

    @property
    def entry_bytes(self) -> int:
        """Bytes of one entry of the first axis in memory."""
        return math.prod(self.shape[1:]) * self.dtype.itemsize

    @property
    def chunk_length(self) -> int:
        """Entries of the first axis in a chunk; a contiguous dataset is a single one."""
        return self.chunk[0] if self.chunk else self.shape[0]

    @property
    def chunk_count(self) -> int:
        """Chunks of a dataset that is not cut along other axes than the first."""
        return math.ceil(self.shape[0] / self.chunk_length)

    @property
    def in_chunks_of_rows(self) -> bool:
        """Whether it can be located and decoded without HDF5: contiguous, or chunked along the first axis."""
        # What is packed lies in chunks: nothing else says how much is unpacked together.
        pieces = (self.kind == h5d.CONTIGUOUS and not self.filters) or (
            self.kind == h5d.CHUNKED and self.chunk[1:] == self.shape[1:] and self.chunk[0] > 0
        )
        there_are_any = bool(self.shape) and self.nbytes > 0
        return there_are_any and pieces and codec.decodes(self.filters)


def check_dataset(dataset: Any, file_size: int, where: str) -> DatasetLayout:
    """Raise for storage, types, filters and sizes that the format does not allow.

    Parameters
    ----------
    dataset : h5py.h5d.DatasetID
        Opened, nothing read yet.
    file_size : int
        Bytes of the whole file; what a dataset claims to hold has to fit into it.
    where : str
        File and path for the message.
    """
    found = layout_of(dataset, where)
    check_size(found, dataset.get_storage_size(), file_size, where)
    return found


def layout_of(dataset: Any, where: str) -> DatasetLayout:
    """Return the metadata of an open dataset without checking its size; see :func:`check_dataset`."""
    creation = dataset.get_create_plist()
    if creation.get_external_count():
        raise UnsafeFileError("the data lie in another file (external storage)", where=where)
    kind = creation.get_layout()
    if kind not in (h5d.COMPACT, h5d.CONTIGUOUS, h5d.CHUNKED):
        raise UnsafeFileError("the data lie in other files (virtual dataset)", where=where)
    filters = tuple(creation.get_filter(i)[0] for i in range(creation.get_nfilters()))
    own = [f for f in filters if f in _OWN_FILTERS]
    unknown = set(filters) - set(own) - set(PLUGIN_FILTERS)
    if unknown or len(filters) > 2 or own != [f for f in _OWN_FILTERS if f in own]:
        raise UnsafeFileError(f"unsupported HDF5 filters {list(filters)}", where=where)
    if filters and kind != h5d.CHUNKED:
        raise CorruptFileError("filters of a dataset that has no chunks", where=where)
    try:
        dtype = h5.memory_dtype(dataset.get_type())
    except UnsafeFileError as error:
        error.where = where
        raise
    space = dataset.get_space()
    if space.get_simple_extent_type() == h5s.NULL:
        raise UnsafeFileError("a dataset has no dataspace", where=where)
    chunk = creation.get_chunk() if kind == h5d.CHUNKED else ()
    return DatasetLayout(space.get_simple_extent_dims(), dtype, kind, filters, chunk)


def check_size(found: DatasetLayout, stored: int, file_size: int, where: str) -> None:
    """Raise if a dataset declares more than its file can hold.

    Parameters
    ----------
    stored : int
        Bytes of it in the file; looked at only where values are stored as they are.
    """
    claimed = found.nbytes
    if found.kind == h5d.CHUNKED:
        growth = max(
            (_PLUGIN_INFLATION if f in PLUGIN_FILTERS else _MOST_INFLATION for f in found.filters), default=1
        )
        believable = claimed <= file_size * growth + _CHUNK_BYTES
    else:
        believable = stored == claimed <= file_size
    if not believable:
        raise UnsafeFileError(
            f"a dataset claims {claimed} bytes",
            details={"found": f"a file of {file_size} bytes"},
            where=where,
        )
    chunks = math.prod(-(-n // c) for n, c in zip(found.shape, found.chunk, strict=False))
    if found.chunk and chunks * _CHUNK_NOTED > file_size:
        raise UnsafeFileError(
            f"a dataset claims {chunks} chunks",
            details={"found": f"a file of {file_size} bytes"},
            where=where,
        )
    if math.prod(found.chunk) * found.dtype.itemsize > _CHUNK_BYTES:
        raise UnsafeFileError("a chunk is larger than the format allows", where=where)
