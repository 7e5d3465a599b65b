"""One checkpoint file opened for reading: header, index, and arrays on demand.

Opening looks at the root only. Everything else is reached through the index, checked
by :mod:`ann_ckpt.format.guard` when it is reached, and never before.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from functools import cached_property, partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ann_ckpt.errors import (
    ClosedCheckpointError,
    CorruptFileError,
    FormatVersionError,
    UnrecognisedFileError,
    UnsafeFileError,
    printable,
)
from ann_ckpt.files import open_regular
from ann_ckpt.format import guard, h5, layout
from ann_ckpt.format.bytes import FileBytes
from ann_ckpt.format.digest import Digest, digest_of, digest_of_attributes
from ann_ckpt.format.index import Index, index_type
from ann_ckpt.format.links import check_shared_link
from ann_ckpt.format.objects import OpenObjects
from ann_ckpt.format.opened import OpenFile
from ann_ckpt.format.shared import SharedReader
from ann_ckpt.format.sharing import TABLE_TYPES, BlockPlace, SharedArray, SharedTables, StoredObject
from ann_ckpt.format.stored import StoredArray

__all__ = ["FileReader"]


class FileReader:
    """A checkpoint file; many may be open on one file, in threads and processes.

    Raises
    ------
    UnrecognisedFileError
        If the file is not HDF5, or HDF5 of something else.
    FormatVersionError
        If a newer major version of the format wrote it.
    CorruptFileError, UnsafeFileError
        If it is damaged, or asks for what no checkpoint needs.
    """

    _opened: OpenObjects | None = None

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = os.fspath(path)
        self._tally = _Tally()
        self._file = OpenFile(FileBytes(open_regular(self.path), self.path), count=self._tally.add)
        try:
            with self.believing(""):
                self.header = self._read_header()
        except BaseException:
            self.close()
            raise

    def __del__(self) -> None:
        if hasattr(self, "_file"):  # there was something to open
            self.close()

    @property
    def closed(self) -> bool:
        """Whether :meth:`close` was called."""
        return self._file.closed

    @property
    def bytes_read(self) -> int:
        """Bytes of values read so far, from this file and from objects."""
        return self._tally.total

    @property
    def file_size(self) -> int:
        """Bytes of the file."""
        return self._file.file.size

    def close(self) -> None:
        """Release the file; what was not read is out of reach from now on."""
        if self._opened is not None:
            self._opened.close()
        self._file.close()

    @cached_property
    def index(self) -> Index:
        """Every stored object by its path, in file order."""
        with self.believing(layout.INDEX):
            noted = self._file.noted(layout.INDEX, layout.INDEX_ROW)
            try:
                index = self._read_index(noted or self._file.through_hdf5(layout.INDEX))
            except CorruptFileError:
                if noted is None:
                    raise
                index = self._read_index(self._file.through_hdf5(layout.INDEX))
            if _digest_of_header(self.header) != index[""].digest:
                raise CorruptFileError("the header differs from its digest")
        return index

    def _read_index(self, dataset: StoredArray) -> Index:
        table = dataset.read(0, dataset.shape[0])
        if table.dtype.names is None:
            table = table.view(index_type(table.dtype.itemsize))
        if digest_of(table) != h5.text_of(self.header[layout.A_INDEX_DIGEST]):
            raise CorruptFileError("the index differs from its digest")
        return Index(table)

    def __contains__(self, path: str) -> bool:
        return path in self.index

    def attributes(self, path: str) -> dict[str, NDArray[Any]]:
        """Attributes of a group, checked against its digest."""
        with self.believing(path):
            found = self._read_attributes(self._file.group(path))
        digest = digest_of_attributes(found) if path else _digest_of_header(found)
        if digest != self.index[path].digest:
            raise CorruptFileError("the attributes differ from their digest", where=self.where(path))
        return found

    def text(self, path: str) -> str:
        """A stored text, checked against its digest."""
        with self.believing(path):
            value = self._open_known(path).read_scalar()
            self._check_digest(path, digest_of(value))
            return h5.text_of(value)

    def array(self, path: str) -> StoredArray | SharedReader:
        """Open a dataset of values; nothing is read yet."""
        with self.believing(path):
            if self.index[path].encoding != layout.E_SHARED:
                return self._open_known(path)
            self._check_encoding(path)
            dtype, shape = self._shared.describe(self._shared_numbers[path])
            return SharedReader(
                dtype, shape, lambda: (self.layout_of(path), self._objects), where=self.where(path)
            )

    def read_into(self, path: str, stored: StoredArray | SharedReader, out: NDArray[Any]) -> None:
        """Read a whole array, opened by :meth:`array`, into memory, and hold it against its digest.

        Raises
        ------
        CorruptFileError
            If the values are not the ones that were written.
        """
        if isinstance(stored, SharedReader):
            stored.read_into(out, 0)  # checks each block itself
            return
        digest = Digest(stored.dtype)
        for part in stored.fill(out, 0):
            digest.update(part)
        self._check_digest(path, digest.hex())

    def layout_of(self, path: str) -> SharedArray:
        """Return the blocks and pieces of a shared array, checked against its digest."""
        with self.believing(path):
            array = self._shared.array(self._shared_numbers[path])
            self._check_digest(path, array.digest)
            return array

    @property
    def shared_paths(self) -> list[str]:
        """The arrays whose values lie in objects, in file order."""
        return list(self._shared_numbers)

    @property
    def objects(self) -> list[StoredObject]:
        """Every object that the file refers to."""
        if layout.SHARED not in self.index:
            return []
        with self.believing(layout.SHARED):
            return self._shared.objects

    def globals(self, path: str) -> dict[str, NDArray[Any]]:
        """Single values packed together in one dataset, by their true names."""
        with self.believing(path):
            packed = self._open_known(path).read_scalar()
            self._check_digest(path, digest_of(packed))
            names = packed.dtype.names
            if names is None or packed.shape != ():
                raise ValueError("a structured value was expected")
            return {layout.unescape(n): np.array(packed[n]) for n in names}

    def verify(self, path: str, seen: set[BlockPlace] | None = None) -> Iterator[int]:
        """Read one stored object to its end against its digest; yield bytes as they are read.

        Parameters
        ----------
        path : str
            The object.
        seen : set, optional
            Blocks of objects that were found intact before; they are not read again, and
            those that are read are added.
        """
        row = self.index[path]
        if row.encoding == layout.E_GROUP:
            self.attributes(path)
            if not path:  # arrays are checked with their values
                with self.believing(layout.INDEX):
                    self._file.verify_trailer(layout.INDEX, layout.INDEX_ROW)
        elif row.encoding == layout.E_TEXT:
            self.text(path)
        elif row.encoding == layout.E_SHARED:
            yield from self._verify_shared(path, set() if seen is None else seen)
        else:
            yield from self._verify_array(path)

    def _verify_shared(self, path: str, seen: set[BlockPlace]) -> Iterator[int]:
        """Check that HDF5 sees the array where its pieces are, then every block not seen yet."""
        with self.believing(path):
            parent_path, _, link = path.rpartition("/")
            array = self.layout_of(path)
            check_shared_link(self._file.group(parent_path), link, array, self.where(path))
            for first, last in array.stretches():
                places = array.places(first, last)
                if not seen.issuperset(places):
                    self._objects.verify_trailer(array.objects[places[0][0]])
                    start, stop = (int(array.block_starts[block]) for block in (first, last))
                    yield self.array(path).read(start, stop).nbytes
                    seen.update(places)

    def where(self, path: str) -> str:
        """File and path for messages."""
        return self._file.where(path)

    def _verify_array(self, path: str) -> Iterator[int]:
        with self.believing(path):
            self._check_encoding(path)
            stored = self._file.through_hdf5(path)
            self._file.verify_noted(path, self.index.number(path))
            digest = Digest(stored.dtype)
            for part in stored.scan():
                digest.update(part)
                yield part.nbytes
            self._check_digest(path, digest.hex())

    @cached_property
    def _shared(self) -> SharedTables:
        """The tables behind shared arrays; the last one is read in ranges, an array's at a time."""
        tables = SharedTables(
            self._table(layout.SHARED_OBJECTS),
            self._table(layout.SHARED_ARRAYS),
            self._table(layout.SHARED_PIECES),
            lambda start, stop: self._rows(layout.SHARED_BLOCKS, start, stop),
        )
        if len(tables) != len(self._shared_numbers):
            raise ValueError("the table of shared arrays is not that of the index")
        return tables

    @cached_property
    def _shared_numbers(self) -> dict[str, int]:
        paths = (path for path, row in self.index.items() if row.encoding == layout.E_SHARED)
        return {path: number for number, path in enumerate(paths)}

    @cached_property
    def _objects(self) -> OpenObjects:
        self._opened = OpenObjects(
            self.path,
            self._shared.objects,
            still_there=partial(self._file.file.is_at, self.path),
            count=self._tally.add,
        )
        return self._opened

    def _table(self, path: str) -> NDArray[np.void]:
        table = self._rows(path, 0)
        self._check_digest(path, digest_of(table))
        return table

    def _rows(self, path: str, start: int, stop: int | None = None) -> NDArray[np.void]:
        """Records of one of the tables; read by noted places, they are bytes of no known type."""
        stored = self._open_known(path)
        rows = stored.read(start, stored.shape[0] if stop is None else stop)
        return rows if rows.dtype.names else rows.view(TABLE_TYPES[path])

    def _check_encoding(self, path: str) -> None:
        row = self.index[path]
        if row.version > layout.ENCODINGS.get(row.encoding, 0):
            raise FormatVersionError(
                f"encoding {printable(row.encoding)!r} version {row.version} is not known here",
                details={"hint": "update ann_ckpt"},
            )

    def _check_digest(self, path: str, found: str) -> None:
        if found != self.index[path].digest:
            raise CorruptFileError("the values differ from their digest", where=self.where(path))

    def _read_header(self) -> dict[str, NDArray[Any]]:
        root = self._file.group("")
        if not _is_ours(root):
            raise UnrecognisedFileError(
                "an HDF5 file, but not one of this format",
                details={"expected": f"the root attribute {layout.A_FORMAT!r} = {layout.FORMAT!r}"},
                where=self.path,
            )
        header = self._read_attributes(root)
        major, minor = (int(v) for v in header[layout.A_VERSION])
        if major > layout.VERSION[0]:
            raise FormatVersionError(
                f"the file has format version {major}.{minor}",
                details={"reads": f"versions up to {layout.VERSION[0]}.x", "hint": "update ann_ckpt"},
                where=self.path,
            )
        return header

    def _read_attributes(self, group: Any) -> dict[str, NDArray[Any]]:
        return {name: h5.read_attribute(group, name) for name in h5.attribute_names(group)}

    def _open_known(self, path: str) -> StoredArray:
        """Open a dataset whose encoding the index names, if it is one that is understood here."""
        self._check_encoding(path)
        return self._file.array(path, self.index.number(path))

    def believing(self, path: str) -> guard.believing:
        """Turn whatever HDF5, or a structure that makes no sense, raises into :class:`CorruptFileError`.

        Everything that takes a file at its word stands inside such a block.
        """
        if self.closed:
            raise ClosedCheckpointError("the checkpoint is closed", where=self.where(path))
        return guard.believing(self.where(path))


class _Tally:
    """Counts bytes that several threads read."""

    def __init__(self) -> None:
        self.total = 0
        self._lock = threading.Lock()

    def add(self, count: int) -> None:
        with self._lock:
            self.total += count


def _digest_of_header(header: dict[str, NDArray[Any]]) -> str:
    """Digest of the root's attributes without the one that is written last."""
    return digest_of_attributes({k: v for k, v in header.items() if k != layout.A_INDEX_DIGEST})


def _is_ours(root: Any) -> bool:
    """Whether the root says that the file is of this format; other files may hold anything there."""
    try:
        name = h5.read_attribute(root, layout.A_FORMAT)
    except (KeyError, UnsafeFileError):
        return False
    return name.dtype.kind == "S" and name.shape == () and name == layout.FORMAT.encode()
