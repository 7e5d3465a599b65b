"""File objects for reading and writing bytes; HDF5 accesses files through them only.

Reading: an open file is one object with a lifetime. A read that has begun keeps the file open, so
that closing it in another thread never lets the system give its number to another file meanwhile.

Writing: HDF5 crashes, or loses the error, when the disk refuses what it has buffered. So it is told
that every write went well; the first error is kept, and raised before the file gets its name.
"""

from __future__ import annotations

import errno
import io
import os
from collections.abc import Iterable
from typing import Any, Protocol

from ann_ckpt.errors import ClosedCheckpointError, NotReadableError

__all__ = ["Bytes", "FileBytes", "NewFile"]

_REMEMBERED_BYTES = 1 << 20
"""After a failed write, smaller writes are kept in memory: HDF5 may read its own structures again."""
_GATHERED_BYTES = 1 << 20
_GATHERED_SIZES = range(16 << 10, 256 << 10)
"""Smaller writes are structures of HDF5, which it reads again; larger ones are worth a call of the system."""


class Bytes(Protocol):
    """What reading asks of a file, wherever it lies.

    :class:`FileBytes` is one on a disk, :class:`ann_ckpt.remote_bytes.RemoteBytes` one behind a network.
    Any thread may read at any time. The bytes never change while they are open.
    """

    @property
    def distant(self) -> bool:
        """Whether each read takes so long that it pays to say first what will be read; see :meth:`expect`."""

    @property
    def path(self) -> str:
        """What it is called in messages."""

    @property
    def size(self) -> int:
        """Bytes in all."""

    @property
    def closed(self) -> bool:
        """Whether :meth:`close` was called."""

    def close(self) -> None:
        """Refuse further reads; those in flight end first. May be called again."""

    def read(self, offset: int, count: int) -> bytes:
        """Return ``count`` bytes from ``offset`` on, fewer where the file ends.

        Raises
        ------
        ClosedCheckpointError
            If it was closed.
        NotReadableError
            If the bytes do not come.
        """

    def read_into(self, buffer: Any, offset: int) -> int:
        """Fill a buffer of bytes from ``offset`` on; return how many there were. Raises as :meth:`read`."""

    def expect(self, ranges: Iterable[tuple[int, int]]) -> None:
        """Get ready for reads that come next, each an offset and a count; raises as :meth:`read`."""


class _Descriptor:
    """A file descriptor that is closed when nothing refers to it."""

    __slots__ = ("number",)

    def __init__(self, number: int) -> None:
        self.number = number

    def __del__(self) -> None:
        os.close(self.number)


class FileBytes:
    """An open file, read by offset from any thread.

    Parameters
    ----------
    descriptor : int
        Of a regular file, open for reading; closed with this object.
    path : str
        Of the file, for messages.
    """

    distant = False

    def __init__(self, descriptor: int, path: str) -> None:
        self.path = path
        self._descriptor: _Descriptor | None = _Descriptor(descriptor)
        try:
            self.size = os.fstat(descriptor).st_size
            """Bytes of the file when it was opened."""
        except OSError as error:
            raise NotReadableError(f"cannot read: {error.strerror}", where=path) from error

    @property
    def closed(self) -> bool:
        """Whether :meth:`close` was called."""
        return self._descriptor is None

    def close(self) -> None:
        """Close the file after reads in progress have finished; further reads are errors."""
        self._descriptor = None

    def read(self, offset: int, count: int) -> bytes:
        """Return ``count`` bytes from ``offset`` on, fewer at the end of the file.

        Raises
        ------
        ClosedCheckpointError
            If the file was closed.
        NotReadableError
            If the disk does not give them.
        """
        data = bytearray(max(0, min(count, self.size - offset)))
        del data[self.read_into(data, offset) :]
        return bytes(data)

    def read_into(self, buffer: Any, offset: int) -> int:
        """Fill a buffer of bytes from ``offset`` on; return how many there were. Raises as :meth:`read`."""
        open_file = self._open_file()
        view = memoryview(buffer).cast("B")
        done = 0
        try:
            while done < len(view) and (got := os.preadv(open_file.number, [view[done:]], offset + done)):
                done += got
        except OSError as error:
            raise NotReadableError(
                f"cannot read: {error.strerror}",
                details={"offset": str(offset + done)},
                where=self.path,
            ) from error
        return done

    def expect(self, ranges: Iterable[tuple[int, int]]) -> None:
        """Do nothing: the system reads ahead by itself."""

    def is_at(self, path: str | os.PathLike[str]) -> bool:
        """Whether ``path`` still refers to this file."""
        try:
            return os.path.samestat(os.stat(path), os.fstat(self._open_file().number))  # noqa: PTH116
        except FileNotFoundError:
            return False
        except OSError as error:
            raise NotReadableError(f"cannot read: {error.strerror}", where=path) from error

    def _open_file(self) -> _Descriptor:
        found = self._descriptor
        if found is None:
            raise ClosedCheckpointError("the checkpoint is closed", where=self.path)
        return found


class NewFile(io.RawIOBase):
    """A file that HDF5 writes through; it stores the first error and reports success to HDF5.

    Chunks that follow one another are gathered, and written by one call of the system: at each one, the
    threads that compress the next ones get Python, and this one has to wait for it.

    Parameters
    ----------
    path : str
        An existing file, which is emptied.

    Raises
    ------
    OSError
        If it cannot be opened.
    """

    def __init__(self, path: str) -> None:
        super().__init__()
        # What a link leads to, which somebody put there, must not be written over.
        flags = os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
        self._descriptor = os.open(path, flags, 0o666)
        self._process = os.getpid()
        self._at = 0
        self._size = 0
        self._error: OSError | None = None
        self._lost: dict[int, bytes] = {}
        self._gathered = bytearray()
        self._gathered_at = 0

    def check(self) -> None:
        """Raise the first write error.

        Raises
        ------
        OSError
            As the system gave it.
        """
        if self._error is not None:
            raise self._error

    def append(self, data: bytes) -> None:
        """Append to the file."""
        self.check()
        self.seek(0, os.SEEK_END)
        self.write(data)
        self.check()

    def close(self) -> None:
        """Close the file; errors remain available to :meth:`check`."""
        if not self.closed:
            self._write_gathered()
            try:
                os.close(self._descriptor)
            except OSError as error:  # NFS reports here what it could not write
                self._error = self._error or error
        super().close()

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Seek; the end is the end of what was written so far."""
        self._at = offset + {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._size}[whence]
        return self._at

    def tell(self) -> int:
        """Return the current position."""
        return self._at

    def readinto(self, buffer: Any) -> int:
        """Read into ``buffer``; bytes that were never written are zeros."""
        self._write_gathered()
        view = memoryview(buffer).cast("B")
        done = 0
        try:
            while done < len(view) and (got := os.preadv(self._descriptor, [view[done:]], self._at + done)):
                done += got
        except OSError as error:
            self._error = self._error or error
        view[done:] = bytes(len(view) - done)
        for start, data in self._lost.items():
            first, last = max(start, self._at), min(start + len(data), self._at + len(view))
            if first < last:
                view[first - self._at : last - self._at] = data[first - start : last - start]
        self._at += len(view)
        return len(view)

    def write(self, data: Any) -> int:
        """Write at the current position; after an error, only keep what HDF5 may read back."""
        view = memoryview(data).cast("B")
        if self._at != self._gathered_at + len(self._gathered) or not self._gathers(len(view)):
            self._write_gathered()
        if self._gathers(len(view)):
            self._gathered_at = self._at - len(self._gathered)
            self._gathered += view
        else:
            self._write(view, self._at)
        self._at += len(view)
        self._size = max(self._size, self._at)
        return len(view)

    def truncate(self, size: int | None = None) -> int:
        """Set the size of the file."""
        self._write_gathered()
        self._size = self._at if size is None else size
        self._refuse_in_child()
        if self._error is None:
            try:
                os.ftruncate(self._descriptor, self._size)
            except OSError as error:
                self._error = error
        return self._size

    def flush(self) -> None:
        """Do nothing: the caller makes the file durable."""

    def _refuse_in_child(self) -> None:
        """Leave the file to the parent: HDF5 flushes what it holds when a forked child ends."""
        if self._error is None and os.getpid() != self._process:
            self._error = OSError(errno.EPERM, "the file is being written by the parent process")

    def _gathers(self, size: int) -> bool:
        """Whether so many bytes more are gathered."""
        return size in _GATHERED_SIZES and len(self._gathered) + size <= _GATHERED_BYTES

    def _write_gathered(self) -> None:
        if self._gathered:
            self._write(memoryview(self._gathered), self._gathered_at)
            self._gathered = bytearray()

    def _write(self, view: memoryview, at: int) -> None:
        self._refuse_in_child()
        done = 0
        try:
            while self._error is None and done < len(view):
                done += os.pwrite(self._descriptor, view[done:], at + done)
        except OSError as error:
            self._error = error
        if self._error is not None and len(view) <= _REMEMBERED_BYTES:
            self._lost.pop(at, None)  # the last write to a place wins
            self._lost[at] = bytes(view)
