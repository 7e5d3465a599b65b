"""Reads and writes objects: HDF5 files with one dataset, shared by checkpoints of a store.

An object is written once, chunk by chunk, and never changed. Readers reach it through a
descriptor of their own, so that it stays readable when it is removed meanwhile.
"""

from __future__ import annotations

import contextlib
import math
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor
from typing import Any

import numpy as np
from h5py import h5d, h5g
from numpy.typing import NDArray

from ann_ckpt.errors import (
    CorruptFileError,
    NotReadableError,
    OutsideStoreError,
    PrunedError,
    UnsafeFileError,
)
from ann_ckpt.format import guard, h5, layout
from ann_ckpt.format.bytes import Bytes, FileBytes, NewFile
from ann_ckpt.format.chunk_locations import record_of, trailer_bytes
from ann_ckpt.format.chunking import (
    CHUNKED_BYTES,
    TASK_BYTES,
    ChunkStream,
    Compression,
    chunk_bytes,
    chunk_stream,
)
from ann_ckpt.format.dataset import StoredArray
from ann_ckpt.format.hdf5_file import OpenFile
from ann_ckpt.format.shared.array import SharedArray, StoredObject
from ann_ckpt.format.shared.surroundings import Surroundings, open_plain

__all__ = [
    "ObjectWriter",
    "OpenObjects",
    "is_whole",
    "naming_object",
]


class ObjectWriter:
    """Writes one object of initially unknown length.

    Parameters
    ----------
    path : str
        A temporary file; making it durable and giving it its name is the caller's.
    dtype, entry : dtype, tuple of int
        Type of the values, and shape of one entry of the first axis.
    compression : Compression
        For its chunks.
    pool : Executor
        Where to compress.
    """

    def __init__(
        self,
        path: str,
        dtype: np.dtype[Any],
        entry: tuple[int, ...],
        *,
        compression: Compression,
        pool: Executor,
    ) -> None:
        self.path = path
        self._dtype = dtype
        self._entry = entry
        self._entry_bytes = max(1, math.prod(entry) * dtype.itemsize)
        self._chunk = max(1, chunk_bytes(compression) // self._entry_bytes)
        # Blocks that changed come in small pieces; they are gathered until they are worth a task.
        self._batch = self._chunk * max(1, TASK_BYTES // (self._chunk * self._entry_bytes))
        self._compression = compression
        self._pool = pool
        self._file: NewFile | None = None
        self._hdf5: Any = None
        self._stream: ChunkStream | None = None
        self._put = 0
        self._waiting: list[NDArray[Any]] = []

    def finish(self) -> None:
        """Complete the file and close it."""
        with contextlib.closing(self):
            file = self._begin()
            self._write_rest()
            noted = record_of(
                h5d.open(self._hdf5, layout.OBJECT_VALUES.encode()), layout.OBJECT_ROW, self.path
            )
            self._hdf5.close()
            if noted is not None:
                file.append(trailer_bytes([noted]))
        file.check()

    def close(self) -> None:
        """Close the file without completing it."""
        if self._hdf5 is not None and self._hdf5.valid:
            self._hdf5.close()
        if self._file is not None:
            self._file.close()

    @property
    def entries(self) -> int:
        """Entries appended so far."""
        return self._put + self._n_waiting

    def append(self, values: NDArray[Any]) -> None:
        """Add entries at the end; ``values`` must not change until the object is finished."""
        file = self._begin()
        while len(values):
            room = self._batch - self._n_waiting
            self._waiting.append(values[:room])
            values = values[room:]
            if self._n_waiting == self._batch:
                self._stream = self._stream or self._create(0, growing=True)
                self._put_waiting(self._stream)
                file.check()

    def _begin(self) -> NewFile:
        """Return the file, made when the first entries come: who creates a writer must not touch the disk."""
        if self._file is None:
            self._file = NewFile(self.path)
            self._hdf5 = h5.create_file(self._file)
        return self._file

    @property
    def _n_waiting(self) -> int:
        return sum(map(len, self._waiting))

    def _put_waiting(self, stream: ChunkStream) -> None:
        values = self._waiting[0] if len(self._waiting) == 1 else np.concatenate(self._waiting)
        self._waiting = []
        stream.grow(self._put + len(values))
        stream.put(self._put, values)
        self._put += len(values)

    def _write_rest(self) -> None:
        """Write what fills no batch; an object smaller than a chunk is exactly as long as its values."""
        left = self._n_waiting
        if self._stream is None and left * self._entry_bytes < CHUNKED_BYTES:
            values = np.concatenate([np.empty((0, *self._entry), self._dtype), *self._waiting])
            h5.write_whole(self._root(), layout.OBJECT_VALUES, values, compact=False)
            return
        stream = self._stream or self._create(left, growing=False)
        if left:
            self._put_waiting(stream)
        stream.finish()

    def _create(self, length: int, *, growing: bool) -> ChunkStream:
        return chunk_stream(
            self._root(),
            layout.OBJECT_VALUES,
            self._dtype,
            (length, *self._entry),
            chunk=self._chunk if growing else min(length, self._chunk),
            compression=self._compression,
            pool=self._pool,
            growing=growing,
        )

    def _root(self) -> Any:
        root = h5g.open(self._hdf5, b"/")
        h5.write_attribute(root, layout.A_FORMAT, np.array(layout.OBJECT_FORMAT.encode()))
        return root


_HELD = 256
"""A checkpoint with at most this many objects holds all of them open once it reads from one."""


class OpenObjects:
    """The objects of one checkpoint, opened when they are first needed.

    With up to 256 of them, all descriptors are taken at once, so that the checkpoint
    stays readable to its end even if it is pruned meanwhile. With more, each object is
    opened for the duration of a read, and a pruned one raises :class:`PrunedError`. Behind a
    network, those that an array needs are opened together when it is first read.

    Parameters
    ----------
    place : Surroundings
        Where the checkpoint file lies.
    objects : sequence of StoredObject
        Everything that the checkpoint refers to.
    count : callable
        Told the number of bytes of each read.
    """

    def __init__(
        self,
        place: Surroundings,
        objects: Sequence[StoredObject],
        *,
        count: Callable[[int], None],
    ) -> None:
        self._place = place
        self._count = count
        self._held: dict[str, _OpenObject] = {}
        self._verified: set[str] = set()
        if len(objects) <= _HELD and not place.distant:
            for item in objects:
                # A missing one is an error for the arrays that need it, and for no other.
                with contextlib.suppress(CorruptFileError, UnsafeFileError, NotReadableError):
                    self._held[item.name] = self._open(item)

    @property
    def distant(self) -> bool:
        """Whether it pays to say first what will be read."""
        return self._place.distant

    def check_place(self) -> None:
        """Check that the checkpoint file lies in a store.

        Raises
        ------
        OutsideStoreError
            If there is none around it.
        """
        if not self._place.in_store():
            raise OutsideStoreError(
                "the checkpoint was moved out of its store; the objects with its arrays are missing",
                details={
                    "hint": "in the store, `ann-ckpt export run.ckpt@STEP net.h5` writes one whole file"
                },
                where=self._place.shown,
            )

    def close(self) -> None:
        """Close all of them."""
        for held in self._held.values():
            held.close()
        self._held.clear()

    @contextlib.contextmanager
    def of(self, array: SharedArray) -> Iterator[Callable[[str], StoredArray]]:
        """Yield a function that returns the dataset of an object of ``array`` by name.

        All of these objects are there, and as long as they were written; HDF5 opens
        those only that are asked for.

        Raises
        ------
        CorruptFileError
            If one is missing, shorter than it was written, or of another type.
        PrunedError
            If one is missing because the checkpoint itself was removed.
        """
        with contextlib.ExitStack() as stack:
            opened = {}
            if self._place.distant:
                self._hold(array.objects.values())
            for name, item in array.objects.items():
                opened[name] = self._held.get(name) or stack.enter_context(
                    contextlib.closing(self._open(item))
                )
            yield lambda name: opened[name].values(array)

    def verify_trailer(self, item: StoredObject) -> None:
        """Verify the trailer of each object against HDF5's chunk locations, once.

        Raises
        ------
        CorruptFileError, PrunedError
            If it does not, or the object is missing.
        """
        if item.name not in self._verified:
            if self._place.distant:
                self._hold([item])
            held = self._held.get(item.name)
            with contextlib.nullcontext(held) if held else contextlib.closing(self._open(item)) as opened:
                opened.verify_trailer()
            self._verified.add(item.name)

    def _hold(self, items: Iterable[StoredObject]) -> None:
        """Open those that are not open yet, several at a time; they stay so."""
        missing = [item for item in items if item.name not in self._held]
        for item, found in zip(missing, self._place.open(missing), strict=True):
            self._held.setdefault(item.name, self._opened(item, found))

    def _open(self, item: StoredObject) -> _OpenObject:
        (found,) = self._place.open([item])
        return self._opened(item, found)

    def _opened(self, item: StoredObject, found: Bytes | FileNotFoundError) -> _OpenObject:
        if not isinstance(found, FileNotFoundError):
            return _OpenObject(found, item, self._count)
        if not self._place.still_there():
            raise PrunedError(
                "the checkpoint was pruned while it was open",
                details={"missing": f"object {item.name}"},
            ) from found
        self.check_place()
        raise CorruptFileError(
            f"the object {item.name} is missing", where=self._place.object_path(item)
        ) from found


class _OpenObject:
    """One object, open; HDF5 opens it only if that is the way to its values."""

    def __init__(self, file: Bytes, item: StoredObject, count: Callable[[int], None]) -> None:
        self._item = item
        self._lock = threading.RLock()  # a signal handler may read in the middle of a read
        self._values: StoredArray | None = None
        self._file = OpenFile(file, count=count)
        self._where = file.path
        if self._file.file.size != item.size and not self._file.is_complete():
            self.close()
            raise CorruptFileError(
                f"the object {item.name} has the wrong size",
                details={"expected": f"{item.size} bytes", "found": f"{self._file.file.size} bytes"},
                where=self._where,
            )

    def close(self) -> None:
        self._file.close()

    def values(self, array: SharedArray) -> StoredArray:
        """The dataset inside, which must have the type and the entries of ``array``."""
        with self._lock:
            if self._values is None:
                with naming_object(self._item.name, self._where):
                    self._values = self._file.array(layout.OBJECT_VALUES, layout.OBJECT_ROW)
        expected = (array.dtype, (self._item.entries, *array.shape[1:]))
        if (self._values.dtype, self._values.shape) != expected:
            raise CorruptFileError(
                f"the object {self._item.name} has the wrong type or shape",
                details={
                    "expected": f"{expected[0]} {expected[1]}",
                    "found": f"{self._values.dtype} {self._values.shape}",
                },
                where=self._where,
            )
        return self._values

    def verify_trailer(self) -> None:
        """Check that HDF5 sees the values where the object notes them."""
        with self._lock, naming_object(self._item.name, self._where):
            self._file.verify_trailer(layout.OBJECT_VALUES, layout.OBJECT_ROW)


def is_whole(path: str, size: int | None = None) -> bool:
    """Whether an object exists and has the length that it declares.

    Parameters
    ----------
    size : int, optional
        Bytes that it was written with; what is that long is taken for whole unread.
    """
    try:
        descriptor = open_plain(path)
    except (FileNotFoundError, NotReadableError, UnsafeFileError):
        return False
    with contextlib.closing(OpenFile(FileBytes(descriptor, path), count=lambda _: None)) as file:
        return file.file.size == size or file.is_complete()


@contextlib.contextmanager
def naming_object(name: str, where: str) -> Iterator[None]:
    """Add the object's name to errors about damage."""
    try:
        with guard.reporting_corruption(where):
            yield
    except CorruptFileError as error:
        if name in error.fact:
            raise
        raise CorruptFileError(
            f"the object {name} is damaged", details={"found": error.fact, **error.details}, where=error.where
        ) from error
