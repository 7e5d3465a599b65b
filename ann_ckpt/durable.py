"""Files that are there whole or not at all. Knows no HDF5.

The order is the whole point: write a temporary file beside the target, fsync it,
rename it over the target, fsync the folder. Whatever happens before the rename leaves
the old file as it was; what a killed process leaves behind is swept by the next
writer of the same target.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
import socket
import stat
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Self

from ann_ckpt.errors import CheckpointError, NotWritableError
from ann_ckpt.threads import Threads

__all__ = [
    "Flusher",
    "atomic_write",
    "explained",
    "fsync_file",
    "fsync_folder",
    "not_writable",
    "process_alive",
]

_IN_USE: set[str] = set()
_FLUSHED_AT_ONCE = 32 << 20


@contextlib.contextmanager
def atomic_write(target: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a temporary path; when the block ends well, it becomes ``target``, durably.

    A symbolic link stays a link, and what it points to is replaced. The new file takes
    over the permissions of the old one.

    Raises
    ------
    NotWritableError
        If the folder is missing or not writable, the disk is full, or ``target`` is a
        folder. The old file is untouched then, and after any other exception too.
    """
    final = Path(os.path.realpath(target))
    with explained(final):
        if final.is_dir():
            raise IsADirectoryError(21, "Is a directory")
        sweep(final)
        temporary = final.parent / _temporary_name(final.name)
        _IN_USE.add(temporary.name)
    process = os.getpid()
    try:
        with explained(final):
            os.close(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o666))
            yield temporary
            if os.getpid() != process:
                raise NotWritableError(
                    "this process was forked while its parent wrote the file; only the parent finishes it",
                    where=os.fspath(final),
                )
            _keep_mode(final, temporary)
            fsync_file(temporary)
            temporary.replace(final)
            fsync_folder(final.parent)
    finally:
        if os.getpid() == process:  # a child that was forked meanwhile leaves its parent's file alone
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)
        _IN_USE.discard(temporary.name)


class Flusher:
    """Has a file reach the disk little by little while it is being written, as a context manager.

    So writing and waiting for the disk overlap, and the fsync that makes the file durable
    finds little left to do. Leaving the block waits for the thread that does it, and raises
    what the disk refused: a later fsync need not say it again.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._thread = Threads(1, "ann_ckpt-flush")
        self._waiting = 0
        self._running: Future[None] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._thread.shutdown()
        if kind is None and self._running is not None:
            self._running.result()

    def wrote(self, nbytes: int) -> None:
        """Tell it that about so much more is in the file."""
        self._waiting += nbytes
        if self._waiting >= _FLUSHED_AT_ONCE and (self._running is None or self._running.done()):
            if self._running is not None:
                self._running.result()
            self._waiting = 0
            self._running = self._thread.submit(fsync_file, self._path)


def sweep(final: Path) -> list[Path]:
    """Remove what dead writers of ``final`` left beside it; return what was removed."""
    prefix = f".{_stem(final.name)}-{_host()}-"
    removed = []
    for left in final.parent.glob(f"{prefix}*.tmp"):
        pid = left.name[len(prefix) :].split("-")[0]
        own = pid == str(os.getpid())
        dead = left.name not in _IN_USE if own else pid.isdigit() and not process_alive(int(pid))
        if dead:
            with contextlib.suppress(OSError):
                left.unlink()
                removed.append(left)
    return removed


def process_alive(pid: int) -> bool:
    """Whether a process of this number runs on this host."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def fsync_folder(folder: Path) -> None:
    """Make the names in ``folder`` durable, where the system can."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def not_writable(path: str | os.PathLike[str], error: OSError) -> NotWritableError:
    """Return the error that says why ``path`` could not be written."""
    reason = error.strerror or str(error)
    wrapped = NotWritableError(
        f"cannot write: {reason}",
        details={"kept": "whatever stood there before is untouched"},
        where=os.fspath(path),
    )
    wrapped.errno = error.errno
    return wrapped


@contextlib.contextmanager
def explained(final: Path) -> Iterator[None]:
    """Turn what the system refuses into :class:`NotWritableError`."""
    try:
        yield
    except CheckpointError:
        raise
    except OSError as error:
        raise not_writable(final, error) from error


def fsync_file(path: Path) -> None:
    """Make the content of a file durable."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _keep_mode(old: Path, new: Path) -> None:
    with contextlib.suppress(FileNotFoundError):
        new.chmod(stat.S_IMODE(old.stat().st_mode))


def _host() -> str:
    return hashlib.blake2b(socket.gethostname().encode(), digest_size=4).hexdigest()


def _stem(name: str) -> str:
    """Short and of fixed length, because a target's own name may fill the limit already."""
    return "ann_ckpt-" + hashlib.blake2b(os.fsencode(name), digest_size=6).hexdigest()


def _temporary_name(name: str) -> str:
    return f".{_stem(name)}-{_host()}-{os.getpid()}-{secrets.token_hex(4)}.tmp"
