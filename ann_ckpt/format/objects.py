"""Objects: files with one dataset each, which the checkpoints of a store share.

An object is written once, chunk by chunk, and never changed. Readers reach it through a
descriptor of their own, so that it stays readable when it is removed meanwhile.
"""

from __future__ import annotations

import contextlib
import errno
import math
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor
from typing import Any

import numpy as np
from h5py import h5d, h5g
from numpy.typing import NDArray

from ann_ckpt.errors import CorruptFileError, PrunedError, UnknownFormatError, UnsafeFileError, printable
from ann_ckpt.format import guard, h5, layout
from ann_ckpt.format.chunking import CHUNKED_BYTES, Compression, chunk_bytes
from ann_ckpt.format.chunks import TASK_BYTES, ChunkStream, chunk_stream
from ann_ckpt.format.sharing import SharedArray, StoredObject
from ann_ckpt.format.stored import StoredArray
from ann_ckpt.format.trailer import Trailer, append_trailer, note

__all__ = ["ObjectWriter", "OpenObjects", "is_whole", "naming_object"]

_HELD = 256
"""A checkpoint with at most this many objects holds all of them open once it reads from one."""


class ObjectWriter:
    """Writes one object whose length is not known beforehand.

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
        self._file: Any = None
        self._stream: ChunkStream | None = None
        self._put = 0
        self._waiting: list[NDArray[Any]] = []

    def finish(self) -> None:
        """Complete the file and close it."""
        with h5.system_errors():
            with contextlib.closing(self):
                self._write_rest()
                noted = note(h5d.open(self._file, layout.OBJECT_VALUES.encode()), 0, self.path)
            if noted is not None:
                append_trailer(self.path, [noted])

    def close(self) -> None:
        """Close the file as it is."""
        if self._file is not None:
            self._file.close()
            self._file = None

    @property
    def entries(self) -> int:
        """Entries taken so far."""
        return self._put + self._n_waiting

    def append(self, values: NDArray[Any]) -> None:
        """Add entries at the end; ``values`` must not change until the object is finished."""
        with h5.system_errors():
            while len(values):
                room = self._batch - self._n_waiting
                self._waiting.append(values[:room])
                values = values[room:]
                if self._n_waiting == self._batch:
                    self._stream = self._stream or self._create(0, growing=True)
                    self._put_waiting(self._stream)

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
        self._file = h5.create_file(self.path)
        root = h5g.open(self._file, b"/")
        h5.write_attribute(root, layout.A_FORMAT, np.array(layout.OBJECT_FORMAT.encode()))
        return root


class OpenObjects:
    """The objects of one checkpoint, opened when they are first needed.

    With up to 256 of them, all descriptors are taken at once, so that the checkpoint
    stays readable to its end even if it is pruned meanwhile. With more, each object is
    opened for the duration of a read, and a pruned one raises :class:`PrunedError`.

    Parameters
    ----------
    checkpoint : str
        Path of the checkpoint file; objects lie relative to it.
    objects : sequence of StoredObject
        Everything that the checkpoint refers to.
    still_there : callable
        Whether the checkpoint file still has its name, which tells pruning from damage.
    count : callable
        Told the number of bytes of each read.
    """

    def __init__(
        self,
        checkpoint: str,
        objects: Sequence[StoredObject],
        *,
        still_there: Callable[[], bool],
        count: Callable[[int], None],
    ) -> None:
        self._folder = os.path.dirname(os.path.realpath(checkpoint))  # noqa: PTH120  (dozens of paths are made)
        self._still_there = still_there
        self._count = count
        self._held: dict[str, _OpenObject] = {}
        if len(objects) <= _HELD:
            for item in objects:
                # A missing one is an error for the arrays that need it, and for no other.
                with contextlib.suppress(CorruptFileError):
                    self._held[item.name] = self._open(item)

    def close(self) -> None:
        """Close all of them."""
        for held in self._held.values():
            held.close()
        self._held.clear()

    @contextlib.contextmanager
    def of(self, array: SharedArray) -> Iterator[Callable[[str], StoredArray]]:
        """Yield what returns the dataset in an object that pieces of ``array`` come from, by its name.

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
            for name, item in array.objects.items():
                opened[name] = self._held.get(name) or stack.enter_context(
                    contextlib.closing(self._open(item))
                )
            yield lambda name: opened[name].values(array, self._count)

    def check_trailers(self, array: SharedArray) -> None:
        """Check that HDF5 sees the values of ``array`` where its objects note them.

        Raises
        ------
        CorruptFileError
            If it does not in one of them, or one is missing.
        """
        for name, item in array.objects.items():
            held = self._held.get(name)
            if held is not None:
                held.check_trailer()
            else:
                with contextlib.closing(self._open(item)) as opened:
                    opened.check_trailer()

    def _open(self, item: StoredObject) -> _OpenObject:
        path = f"{self._folder}/{layout.object_path(item.name)}"
        try:
            return _OpenObject(path, item)
        except FileNotFoundError as error:
            if not self._still_there():
                raise PrunedError(
                    "the checkpoint was pruned while it was open",
                    details={"missing": f"object {item.name}"},
                ) from error
            raise CorruptFileError(
                f"the object {item.name} is missing", where=printable(path, 400)
            ) from error


class _OpenObject:
    """One object behind a descriptor; HDF5 opens it when its values are asked for."""

    def __init__(self, path: str, item: StoredObject) -> None:
        self._item = item
        self._where = printable(path, 400)
        self._lock = threading.Lock()
        self._file: Any = None
        self._values: StoredArray | None = None
        self._checked = False
        self._descriptor = _open_plain(path)
        self._size = os.fstat(self._descriptor).st_size
        if self._size != item.size and not _is_complete(self._descriptor, self._size):
            self.close()
            raise CorruptFileError(
                f"the object {item.name} is not as long as it was written",
                details={"expected": f"{item.size} bytes", "found": f"{self._size} bytes"},
                where=self._where,
            )

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def values(self, array: SharedArray, count: Callable[[int], None]) -> StoredArray:
        """The dataset inside, which must have the type and the entries of ``array``."""
        with self._lock:
            if self._values is None:
                with naming_object(self._item.name, self._where):
                    self._values = self._open(count)
        expected = (array.dtype, (self._item.entries, *array.shape[1:]))
        if (self._values.dtype, self._values.shape) != expected:
            raise CorruptFileError(
                f"the object {self._item.name} holds values of another type or shape",
                details={
                    "expected": f"{expected[0]} {expected[1]}",
                    "found": f"{self._values.dtype} {self._values.shape}",
                },
                where=self._where,
            )
        return self._values

    def check_trailer(self) -> None:
        """Check that HDF5 sees the values where the object notes them, once."""
        with self._lock, naming_object(self._item.name, self._where):
            if not self._checked:
                trailer = self._trailer()
                if trailer is not None:
                    trailer.check(self._dataset(), 0, self._where)
            self._checked = True

    def _open(self, count: Callable[[int], None]) -> StoredArray:
        found: dict[str, Any] = {"descriptor": self._descriptor, "count": count, "where": self._where}
        noted = None
        with contextlib.suppress(CorruptFileError):  # HDF5 knows it too
            trailer = self._trailer()
            noted = None if trailer is None else trailer.find(0, self._where)
        if noted is not None:
            return StoredArray(*noted, **found)
        return StoredArray.opened(self._dataset(), self._size, **found)

    def _trailer(self) -> Trailer | None:
        end = guard.check_superblock(self._descriptor, self._where)
        return Trailer.read(self._descriptor, size=self._size, end=end)

    def _dataset(self) -> Any:
        """The dataset inside, opened by HDF5."""
        if self._file is None:
            self._file = h5.open_descriptor(self._descriptor)
        root = h5g.open(self._file, b"/")
        link = layout.OBJECT_VALUES.encode()
        guard.check_link(root, link, layout.OBJECT_VALUES, self._where)
        return h5d.open(root, link)


def is_whole(path: str, size: int | None = None) -> bool:
    """Whether there is an object that is as long as it says.

    Parameters
    ----------
    size : int, optional
        As long as that, if it still has its trailer.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        found = os.fstat(descriptor).st_size
        return found == size or _is_complete(descriptor, found)
    finally:
        os.close(descriptor)


def _is_complete(descriptor: int, size: int) -> bool:
    """Whether an object ends where HDF5 ends, or with a whole trailer.

    HDF5 opens the objects of a checkpoint that somebody opens for writing likewise, and
    takes their trailers away; their values are as they were.
    """
    try:
        end = guard.check_superblock(descriptor, "")
        Trailer.read(descriptor, size=size, end=end)
    except (CorruptFileError, UnknownFormatError):
        return False
    return True


@contextlib.contextmanager
def naming_object(name: str, where: str) -> Iterator[None]:
    """Let every error about damage say which object is concerned."""
    try:
        with guard.believing(where):
            yield
    except CorruptFileError as error:
        if name in error.fact:
            raise
        raise CorruptFileError(
            f"the object {name} is damaged", details={"found": error.fact, **error.details}, where=error.where
        ) from error


def _open_plain(path: str) -> int:
    """Open a file of the store; a symbolic link in its place could lead out of the store."""
    try:
        return os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise UnsafeFileError(
                "a symbolic link stands where an object should be", where=printable(path, 400)
            ) from error
        raise
