"""An open checkpoint file: header, index, and arrays on demand.

Opening looks at the root only. Everything else is reached through the index, checked
by :mod:`ann_ckpt.format.guard` when it is reached, and never before.
"""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from functools import cached_property, partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ann_ckpt.durable import open_regular
from ann_ckpt.errors import (
    ChangedFileError,
    ClosedCheckpointError,
    CorruptFileError,
    FormatVersionError,
    OptionError,
    UnrecognisedFileError,
    UnsafeFileError,
    printable,
)
from ann_ckpt.format import guard, h5, layout
from ann_ckpt.format.bytes import Bytes, FileBytes
from ann_ckpt.format.checked import CheckedArray, SharedReader
from ann_ckpt.format.dataset import StoredArray
from ann_ckpt.format.digest import (
    FIRST_DIGEST,
    ArrayDigest,
    BlockDigests,
    Digest,
    block_entries,
    digest_of,
    digest_of_attributes,
)
from ann_ckpt.format.hdf5_file import OpenFile
from ann_ckpt.format.layout import Index, IndexRow, index_type
from ann_ckpt.format.shared.array import TABLE_TYPES, BlockLocation, SharedArray, SharedTables, StoredObject
from ann_ckpt.format.shared.links import check_shared_link
from ann_ckpt.format.shared.objects import OpenObjects
from ann_ckpt.format.shared.surroundings import Elsewhere, OnDisk, Surroundings
from ann_ckpt.paths import absolute, address_of, spoken
from ann_ckpt.remote_bytes import RemoteBytes

__all__ = [
    "FileReader",
]


_TABLE_TYPES = {**TABLE_TYPES, layout.DIGESTS_ARRAYS: FIRST_DIGEST}
_HEADER_DIGEST_SINCE = 2
"""Minor version from which on a file has a digest of its header beside that in the index."""


Look = Callable[[NDArray[Any]], None]
"""Is given values that are being verified."""


class FileReader:
    """A checkpoint file; many may be open on one file, in threads and processes.

    Parameters
    ----------
    path : path-like
        The file, or its address; objects of a store are found from there.
    file : Bytes, optional
        Its bytes, if they do not lie on a disk; closed with the reader.

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

    def __init__(self, path: str | os.PathLike[str], file: Bytes | None = None) -> None:
        self.path = os.fspath(path)
        self._place: str | os.PathLike[str] = self.path
        self._tally = _Tally()
        if file is None and (address := address_of(path)) is not None:
            file = RemoteBytes(address)
        if isinstance(file, RemoteBytes):
            self._place = str(file.address)
            self.path = spoken(self._place)
        elif file is None:
            self._place = absolute(path)  # objects lie beside it, wherever this process goes
            file = FileBytes(open_regular(self.path), self.path)
        self._file = OpenFile(file, count=self._tally.add)
        try:
            with self.reporting_corruption(""):
                self.header = self._read_header()
        except BaseException:
            self.close()
            raise

    def __del__(self) -> None:
        if hasattr(self, "_file"):  # there was something to open
            self.close()

    def __reduce__(self) -> tuple[Any, ...]:
        return reopened, self.identity

    @property
    def identity(self) -> tuple[str, str]:
        """Absolute path and index digest, by which another process finds the same file.

        Raises
        ------
        ClosedCheckpointError
            If it was closed.
        OptionError
            If it does not lie on a disk.
        """
        if self.closed:
            raise ClosedCheckpointError("the checkpoint is closed", where=self.where(""))
        if not isinstance(self._file.file, FileBytes | RemoteBytes):
            raise OptionError("a checkpoint that is not on a disk cannot be pickled", where=self.where(""))
        return os.fspath(self._place), self._index_digest

    def expecting(self, digest: str) -> FileReader:
        """Return this reader if the file has that index digest; close it and raise if not."""
        if self._index_digest == digest:
            return self
        self.close()
        raise ChangedFileError(
            "the file is not the one that was pickled",
            details={"expected": f"index digest {digest}", "found": self._index_digest},
            where=self.path,
        )

    @property
    def closed(self) -> bool:
        """Whether :meth:`close` was called."""
        return self._file.closed

    @property
    def bytes_read(self) -> int:
        """Bytes of values read so far, from this file and from objects."""
        return self._tally.total

    @property
    def file_bytes(self) -> int:
        """Bytes of the file."""
        return self._file.file.size

    def close(self) -> None:
        """Close the file; unread data is no longer available."""
        if self._opened is not None:
            self._opened.close()
        self._file.close()

    @cached_property
    def index(self) -> Index:
        """Every stored object by its path, in file order."""
        with self.reporting_corruption(layout.INDEX):
            noted = self._file.from_trailer(layout.INDEX, layout.INDEX_ROW)
            try:
                index = self._read_index(noted or self._file.through_hdf5(layout.INDEX))
            except CorruptFileError:
                if noted is None:
                    raise
                index = self._read_index(self._file.through_hdf5(layout.INDEX))
        return index

    def _read_index(self, dataset: StoredArray) -> Index:
        table = dataset.read(0, dataset.shape[0])
        if table.dtype.names is None:
            table = table.view(index_type(table.dtype.itemsize))
        if digest_of(table) != self._index_digest:
            raise CorruptFileError("checksum mismatch in the index")
        return Index(table)

    def __contains__(self, path: str) -> bool:
        return path in self.index

    def attributes(self, path: str) -> dict[str, NDArray[Any]]:
        """Attributes of a group, checked against its digest; without those that the format does not know."""
        with self.reporting_corruption(path):
            self._expect(path, layout.E_GROUP)
            known = layout.GROUP_ATTRIBUTES if path else layout.ROOT_ATTRIBUTES
            beside = () if path else (layout.A_INDEX_DIGEST, layout.A_HEADER_DIGEST)
            return self._checked_attributes(self._file.group(path), known, beside, self.index[path].digest)

    def _checked_attributes(
        self, group: Any, known: AbstractSet[str], beside: Sequence[str], digest: str
    ) -> dict[str, NDArray[Any]]:
        """Read known attributes; those of ``beside`` are in no digest, and anybody may have added others."""
        names = [name for name in h5.attribute_names(group) if name not in beside]
        found = {name: h5.read_attribute(group, name) for name in names if name in known}
        if digest_of_attributes(found) == digest:
            return found
        # A later minor version may know more attributes than this one, and has them in its digest.
        if self._minor > layout.VERSION[1]:
            everything = {name: h5.read_attribute(group, name) for name in names}
            if digest_of_attributes(everything) == digest:
                return found
        raise CorruptFileError("checksum mismatch in the attributes")

    def text(self, path: str) -> str:
        """A stored text, checked against its digest."""
        with self.reporting_corruption(path):
            self._expect(path, layout.E_TEXT)
            value = self._open_known(path).read_scalar()
            self._check_digest(path, digest_of(value))
            return h5.text_of(value)

    def array(self, path: str) -> CheckedArray | SharedReader:
        """Open a dataset of values; nothing is read yet."""
        with self.reporting_corruption(path):
            self._expect(path, *layout.E_VALUES)
            return _ENCODINGS.get(self.index[path].encoding, _UNKNOWN).open(self, path)

    def _open_stored(self, path: str) -> CheckedArray:
        return self._checked(path, self._open_known(path))

    def _open_shared(self, path: str) -> SharedReader:
        self._check_encoding(path)
        dtype, shape = self._shared.describe(self._shared_numbers[path])
        return SharedReader(
            dtype, shape, lambda: (self.layout_of(path), self._objects), where=self.where(path)
        )

    def _checked(self, path: str, stored: StoredArray) -> CheckedArray:
        row, where = self.index[path], self.where(path)
        if row.version < layout.ENCODINGS.get(row.encoding, layout.UNKNOWN_ENCODING).blocks_since:
            return CheckedArray(stored, row.digest, partial(Digest, stored.dtype), where=where)
        blocks = None
        if block_entries(stored.dtype.itemsize, stored.shape):
            blocks = partial(self._block_digests, path, stored)
        begin = partial(ArrayDigest, stored.dtype, stored.shape)
        return CheckedArray(stored, row.digest, begin, blocks, where=where)

    def _block_digests(self, path: str, stored: StoredArray) -> BlockDigests:
        row = self.index.number(path)
        first = self._first_digests.get(row)
        if first is None:
            raise CorruptFileError("the block digests are missing")
        digests = self._open_known(layout.DIGESTS_BLOCKS)

        def read(start: int, stop: int) -> NDArray[np.uint64]:
            return digests.read(first + start, first + stop)

        return BlockDigests(stored.dtype, stored.shape, self.index[path].digest, read)

    @cached_property
    def _first_digests(self) -> dict[int, int]:
        return dict(self._table(layout.DIGESTS_ARRAYS).tolist())

    def layout_of(self, path: str) -> SharedArray:
        """Return the blocks and pieces of a shared array, checked against its digest."""
        with self.reporting_corruption(path):
            array = self._shared.array(self._shared_numbers[path])
            self._check_digest(path, array.digest)
            return array

    @property
    def shared_paths(self) -> list[str]:
        """Paths of the shared arrays, in file order."""
        return list(self._shared_numbers)

    @property
    def objects(self) -> list[StoredObject]:
        """Every object that the file refers to."""
        if layout.SHARED not in self.index:
            return []
        with self.reporting_corruption(layout.SHARED):
            return self._shared.objects

    def check_place(self) -> None:
        """Raise :class:`OutsideStoreError` if the file has shared arrays and is not in a store."""
        if self.objects:
            with self.reporting_corruption(layout.SHARED):
                self._objects.check_place()

    def globals(self, path: str) -> dict[str, NDArray[Any]]:
        """Single values packed together in one dataset, by their true names."""
        with self.reporting_corruption(path):
            self._expect(path, layout.E_GLOBALS)
            packed = self._open_known(path).read_scalar()
            self._check_digest(path, digest_of(packed))
            names = packed.dtype.names
            if names is None or packed.shape != ():
                raise ValueError("expected a structured value")
            return {layout.unescape(n): np.array(packed[n]) for n in names}

    def verify(
        self,
        path: str,
        seen: set[BlockLocation] | None = None,
        look: Callable[[str, NDArray[Any]], None] = lambda *_: None,
    ) -> Iterator[int]:
        """Verify one entry against its digest; yield the number of bytes read.

        Parameters
        ----------
        path : str
            The object.
        seen : set, optional
            Blocks of objects that were found intact before; they are not read again, and
            those that are read are added.
        look : callable
            Given the path of an array and its values, in order, a part at a time; not those of blocks that
            were seen, and before the last one was compared with a digest.
        """
        encoding = _ENCODINGS.get(self.index[path].encoding, _UNKNOWN)
        return encoding.verify(self, path, set() if seen is None else seen, partial(look, path))

    def _verify_group(self, path: str, _: set[BlockLocation], __: Look) -> Iterator[int]:
        self.attributes(path)
        if not path:  # arrays are checked with their values
            with self.reporting_corruption(layout.INDEX):
                self._file.verify_trailer(layout.INDEX, layout.INDEX_ROW)
        yield from ()

    def _verify_text(self, path: str, _: set[BlockLocation], __: Look) -> Iterator[int]:
        self.text(path)
        yield from ()

    def _verify_table(self, path: str, seen: set[BlockLocation], look: Look) -> Iterator[int]:
        yield from (0 for _ in self._verify_array(path, seen, look))  # none of the network's values

    def _verify_shared(self, path: str, seen: set[BlockLocation], look: Look) -> Iterator[int]:
        """Check that HDF5 sees the array where its pieces are, then every block not seen yet."""
        with self.reporting_corruption(path):
            parent_path, _, link = path.rpartition("/")
            array = self.layout_of(path)
            check_shared_link(self._file.file, self._file.group(parent_path), link, array, self.where(path))
            for first, last in array.contiguous_blocks():
                places = array.places(first, last)
                if not seen.issuperset(places):
                    self._objects.verify_trailer(array.objects[places[0][0]])
                    start, stop = (int(array.block_starts[block]) for block in (first, last))
                    values = self.array(path).read(start, stop)
                    look(values)
                    yield values.nbytes
                    seen.update(places)

    def where(self, path: str) -> str:
        """File and path for messages."""
        return self._file.where(path)

    def _verify_array(self, path: str, _: set[BlockLocation], look: Look) -> Iterator[int]:
        with self.reporting_corruption(path):
            self._check_encoding(path)
            stored = self._file.through_hdf5(path)
            self._file.verify_locations(path, self.index.number(path))
            yield from self._checked(path, stored).verify(look)

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
            raise ValueError("the table of shared arrays does not match the index")
        return tables

    @cached_property
    def _shared_numbers(self) -> dict[str, int]:
        paths = (path for path, row in self.index.items() if row.encoding == layout.E_SHARED)
        return {path: number for number, path in enumerate(paths)}

    @cached_property
    def _objects(self) -> OpenObjects:
        file = self._file.file
        place: Surroundings = OnDisk(os.fspath(self._place), self._is_still_there)
        if isinstance(file, RemoteBytes):
            place = Elsewhere(file)
        self._opened = OpenObjects(place, self._shared.objects, count=self._tally.add)
        return self._opened

    def _is_still_there(self) -> bool:
        """Whether the file has not been removed from its store; True where it is not on a disk."""
        file = self._file.file
        return not isinstance(file, FileBytes) or file.is_at(self._place)

    def _table(self, path: str) -> NDArray[np.void]:
        table = self._rows(path, 0)
        self._check_digest(path, digest_of(table))
        return table

    def _rows(self, path: str, start: int, stop: int | None = None) -> NDArray[np.void]:
        """Records of one of the tables; read by noted places, they are bytes of no known type."""
        stored = self._open_known(path)
        rows = stored.read(start, stored.shape[0] if stop is None else stop)
        return rows.view(_TABLE_TYPES[path]) if rows.dtype.kind == "V" and not rows.dtype.names else rows

    def _expect(self, path: str, *encodings: str) -> None:
        """Raise if the index says that something is what it cannot be there."""
        encoding = self._check_encoding(path).encoding
        if encoding not in encodings:
            raise ValueError(f"the index has the encoding {encoding!r}, not {' or '.join(encodings)}")

    def _check_encoding(self, path: str) -> IndexRow:
        row = self.index[path]
        if row.version > layout.ENCODINGS.get(row.encoding, layout.UNKNOWN_ENCODING).newest:
            raise FormatVersionError(
                f"encoding {printable(row.encoding)!r} version {row.version} is not supported",
                details={"hint": "update ann_ckpt"},
            )
        return row

    def _check_digest(self, path: str, found: str) -> None:
        if found != self.index[path].digest:
            raise CorruptFileError("checksum mismatch", where=self.where(path))

    def _read_header(self) -> dict[str, NDArray[Any]]:
        root = self._file.group("")
        if not _is_ours(root):
            raise UnrecognisedFileError(
                "an HDF5 file, but not a checkpoint of this package",
                details={"expected": f"the root attribute {layout.A_FORMAT!r} = {layout.FORMAT!r}"},
                where=self._file.file.path,
            )
        names = h5.attribute_names(root)
        version = {layout.A_VERSION: h5.read_attribute(root, layout.A_VERSION)}
        major, minor = h5.integers(version, layout.A_VERSION)
        if major < 1 or minor < 0:
            raise ValueError(f"there is no format version {major}.{minor}")
        if major > layout.VERSION[0]:
            raise FormatVersionError(
                f"the file has format version {major}.{minor}",
                details={"reads": f"versions up to {layout.VERSION[0]}.x", "hint": "update ann_ckpt"},
                where=self._file.file.path,
            )
        self._minor = minor
        self._index_digest = h5.text_of(h5.read_attribute(root, layout.A_INDEX_DIGEST))
        if minor < _HEADER_DIGEST_SINCE and layout.A_HEADER_DIGEST not in names:
            return self.attributes("")
        digest = h5.text_of(h5.read_attribute(root, layout.A_HEADER_DIGEST))
        known = layout.ROOT_ATTRIBUTES | {layout.A_INDEX_DIGEST}
        return self._checked_attributes(root, known, (layout.A_HEADER_DIGEST,), digest)

    def _open_known(self, path: str) -> StoredArray:
        """Open a dataset whose encoding the index names, if it is one that is understood here."""
        self._check_encoding(path)
        return self._file.array(path, self.index.number(path))

    def reporting_corruption(self, path: str) -> guard.reporting_corruption:
        """Convert errors from HDF5, or from an invalid structure, to :class:`CorruptFileError`.

        Everything that takes a file at its word stands inside such a block.
        """
        if self.closed:
            raise ClosedCheckpointError("the checkpoint is closed", where=self.where(path))
        return guard.reporting_corruption(self.where(path), self._file.file)


def reopened(path: str, digest: str) -> FileReader:
    """Return a reader of a file that was pickled; arrays that arrive one by one share it.

    Raises
    ------
    ChangedFileError
        If another file lies there by now. What :class:`FileReader` raises may come too.
    """
    with _REOPENING:
        found = _REOPENED.get((path, digest))
        if found is None or found.closed or not found._is_still_there():
            found = _REOPENED[path, digest] = FileReader(path).expecting(digest)
        return found


_REOPENED: weakref.WeakValueDictionary[tuple[str, str], FileReader] = weakref.WeakValueDictionary()
_REOPENING = threading.RLock()  # a signal handler may unpickle in the middle of it


def _begin_anew_in_child() -> None:
    global _REOPENING  # noqa: PLW0603  (another thread of the parent may have held it)
    _REOPENING = threading.RLock()


os.register_at_fork(after_in_child=_begin_anew_in_child)


class _Encoding(NamedTuple):
    """How what has one encoding is read."""

    verify: Callable[[FileReader, str, set[BlockLocation], Look], Iterator[int]]
    open: Callable[[FileReader, str], CheckedArray | SharedReader] = FileReader._open_stored


_UNKNOWN = _Encoding(FileReader._verify_array)
"""Reading refuses it, once it is known to be there."""
_ENCODINGS: Mapping[str, _Encoding] = {
    layout.E_GROUP: _Encoding(FileReader._verify_group),
    layout.E_TEXT: _Encoding(FileReader._verify_text),
    layout.E_TABLE: _Encoding(FileReader._verify_table),
    layout.E_GLOBALS: _Encoding(FileReader._verify_array),
    layout.E_ARRAY: _Encoding(FileReader._verify_array),
    layout.E_SHARED: _Encoding(FileReader._verify_shared, FileReader._open_shared),
}


class _Tally:
    """Counts bytes that several threads read."""

    def __init__(self) -> None:
        self.total = 0
        self._lock = threading.RLock()  # a signal handler may read in the middle of a read

    def add(self, count: int) -> None:
        with self._lock:
            self.total += count


def _is_ours(root: Any) -> bool:
    """Whether the root says that the file is of this format; other files may hold anything there."""
    try:
        name = h5.read_attribute(root, layout.A_FORMAT)
    except (KeyError, UnsafeFileError):
        return False
    return name.dtype.kind == "S" and name.shape == () and name == layout.FORMAT.encode()
