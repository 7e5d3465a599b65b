"""Atomic, durable file writes: a file is complete or absent. Independent of HDF5.

The order is the whole point: write a temporary file beside the target, fsync it,
rename it over the target, fsync the folder. Whatever happens before the rename leaves
the old file as it was; what a killed process leaves behind is swept by the next
writer of the same target.

What stands at the target is looked at first, by :func:`check_target`: nothing but an
ordinary file that may be written is ever replaced.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import secrets
import shutil
import socket
import stat
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Self

from ann_ckpt.errors import CheckpointError, FileMissingError, NotReadableError, NotWritableError
from ann_ckpt.paths import local_path
from ann_ckpt.threads import Threads

__all__ = [
    "Flusher",
    "atomic_folder",
    "atomic_write",
    "check_target",
    "code_of_others",
    "explained",
    "fsync_descriptor",
    "fsync_file",
    "fsync_folder",
    "make_folders",
    "not_writable",
    "open_regular",
    "process_alive",
]


def open_regular(path: str | os.PathLike[str]) -> int:
    """Open an existing regular file for reading and return its descriptor.

    Raises
    ------
    OptionError
        If it is not a path on this machine.
    FileMissingError
        If there is nothing of that name.
    NotReadableError
        If it is a folder, a pipe or a device, or the system does not let us read it.
    """
    where = local_path(path)
    try:
        # Without O_NONBLOCK, opening a pipe that nobody writes to would wait for ever.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError as error:
        raise FileMissingError("the file does not exist", where=where) from error
    except (OSError, ValueError) as error:
        raise NotReadableError(f"cannot read: {getattr(error, 'strerror', error)}", where=where) from error
    try:
        mode = os.fstat(descriptor).st_mode
    except OSError as error:
        os.close(descriptor)
        raise NotReadableError(f"cannot read: {error.strerror}", where=where) from error
    if not stat.S_ISREG(mode):
        os.close(descriptor)
        what = "a folder" if stat.S_ISDIR(mode) else "a pipe or a device"
        raise NotReadableError(f"the path is {what}, not a file", where=where)
    return descriptor


_IN_USE: set[str] = set()
_FLUSHED_AT_ONCE = 32 << 20
_ENOTSUPP = 524
"""Linux's own number for "not supported", which network file systems let out."""
_CANNOT = {errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOTTY, errno.EBADF, _ENOTSUPP}
"""What file systems say (CIFS, vboxsf, sshfs and others on FUSE) that cannot sync a folder at all."""
_NO_SUCH_RIGHT = {errno.EPERM, errno.EACCES, *_CANNOT}
_KINDS = {
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}
_ACCESS_LIST = "system.posix_acl_access"


@contextlib.contextmanager
def atomic_write(target: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a temporary path; when the block succeeds, it is renamed to ``target``, durably.

    A symbolic link stays a link, and what it points to is replaced. The new file takes
    over mode, owner, group and access list of the old one, as far as the system permits.
    Missing folders are made.

    What the system refuses inside the block is taken to concern this file, unless it
    comes out of :func:`code_of_others`.

    Raises
    ------
    NotWritableError
        As :func:`check_target`, or if the disk is full. The old file is untouched then,
        and after any other exception too, unless the message says that the new one is in place.
    """
    final = check_target(target)
    with explained(final):
        make_folders(final.parent)
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
                    "this process was forked while its parent wrote the file; only the parent can finish it",
                    where=os.fspath(final),
                )
            _keep_attributes(final, temporary)
            fsync_file(temporary)
            temporary.replace(final)
        _make_name_durable(final)
    finally:
        if os.getpid() == process:  # a child that was forked meanwhile leaves its parent's file alone
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)
        _IN_USE.discard(temporary.name)


@contextlib.contextmanager
def atomic_folder(target: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a temporary folder; when the block succeeds, it is renamed to ``target``, durably.

    Raises
    ------
    NotWritableError
        If there is something at ``target`` that is not an empty folder, if it is the working folder, which
        would be gone, or the disk is full. Nothing is left behind then.
    """
    final = Path(os.path.realpath(local_path(target)))
    with explained(final):
        if final.is_dir() and any(final.iterdir()):
            raise OSError(errno.ENOTEMPTY, "the folder is not empty")
        if os.path.lexists(final) and not final.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, "the path is not a folder")
        if final.is_dir() and final.samefile(Path.cwd()):
            raise OSError(errno.EBUSY, "the path is the working folder")
        make_folders(final.parent)
        sweep(final)
        temporary = final.parent / _temporary_name(final.name)
        _IN_USE.add(temporary.name)
    try:
        with explained(final):
            temporary.mkdir()
            yield temporary
            for file in temporary.iterdir():
                fsync_file(file)
            _keep_attributes(final, temporary)
            fsync_folder(temporary)
            temporary.replace(final)
            fsync_folder(final.parent)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
        _IN_USE.discard(temporary.name)


def check_target(target: str | os.PathLike[str]) -> Path:
    """Return the file that writing to ``target`` creates or replaces, with links followed.

    To be asked before anything is read or computed that is to be written there.

    Raises
    ------
    OptionError
        If it is not a path on this machine.
    NotWritableError
        If there is something else than an ordinary file, a file that is
        write-protected, or a folder that cannot be written to or made.
    """
    text = local_path(target)
    with explained(Path(text)):
        if text.endswith(os.sep):
            raise IsADirectoryError(
                errno.EISDIR, "the path is a folder" if Path(text).is_dir() else "the path ends in /"
            )
        final = Path(os.path.realpath(text))
        status = None
        with contextlib.suppress(FileNotFoundError):
            status = final.stat()
        if status is not None:
            _check_replaceable(final, status.st_mode)
        folder = next(level for level in final.parents if os.path.lexists(level))
        if not folder.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
        if not os.access(folder, os.W_OK | os.X_OK):
            read_only = os.statvfs(folder).f_flag & os.ST_RDONLY
            number = errno.EROFS if read_only else errno.EACCES
            raise OSError(number, os.strerror(number))
    return final


def _check_replaceable(final: Path, mode: int) -> None:
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    if not stat.S_ISREG(mode):
        raise OSError(
            errno.EINVAL, f"the path is {_KINDS.get(stat.S_IFMT(mode), 'of an unknown type')}, not a file"
        )
    # The superuser may write everything; that a file is protected is meant for him, too.
    if not mode & 0o222 or not os.access(final, os.W_OK):
        raise PermissionError(errno.EACCES, f"the file is write-protected (mode {stat.S_IMODE(mode):o})")


def make_folders(folder: Path) -> None:
    """Make a folder and those above it that are missing, each one durable before the next is made.

    Raises
    ------
    OSError
        If the system refuses; what could not be made durable is not left behind.
    """
    missing = []
    for level in (folder, *folder.parents):
        if level.is_dir():
            break
        missing.append(level)
    for level in reversed(missing):
        try:
            level.mkdir()
        except FileExistsError:
            if not level.is_dir():
                raise
        try:
            fsync_folder(level.parent)
        except OSError:
            with contextlib.suppress(OSError):
                level.rmdir()
            raise


def _make_name_durable(final: Path) -> None:
    try:
        fsync_folder(final.parent)
    except OSError as error:
        raised = not_writable(final, error)
        raised.details = {
            "found": "the new file is in place and complete, but its folder could not be synced",
            "hint": "until a later save succeeds, a power cut may bring back the previous file",
        }
        raise raised from error


class Flusher:
    """Flushes a file to disk incrementally while it is written, as a context manager.

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
        """Report that about ``nbytes`` more were written."""
        self._waiting += nbytes
        if self._waiting >= _FLUSHED_AT_ONCE and (self._running is None or self._running.done()):
            if self._running is not None:
                self._running.result()
            self._waiting = 0
            self._running = self._thread.submit(fsync_file, self._path)


def sweep(final: Path) -> list[Path]:
    """Remove temporary files and folders of dead writers of ``final``; return what was removed."""
    prefix = f".{_stem(final.name)}-{_host()}-"
    removed = []
    for left in final.parent.glob(f"{prefix}*.tmp"):
        pid = left.name[len(prefix) :].split("-")[0]
        own = pid == str(os.getpid())
        dead = left.name not in _IN_USE if own else pid.isdigit() and not process_alive(int(pid))
        if dead:
            with contextlib.suppress(OSError):
                if left.is_dir() and not left.is_symlink():
                    shutil.rmtree(left)
                else:
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
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    except PermissionError:
        return  # one may have the right to write to a folder and not to read it
    try:
        fsync_descriptor(descriptor)
    finally:
        os.close(descriptor)


def fsync_descriptor(descriptor: int) -> None:
    """Make the content of an open file durable, where the system can."""
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _CANNOT:
            raise


def not_writable(path: str | os.PathLike[str], error: OSError) -> NotWritableError:
    """Return the error for a path that could not be written."""
    reason = error.strerror or str(error)
    wrapped = NotWritableError(
        f"cannot write: {reason}",
        details={"kept": "whatever was there before is untouched"},
        where=path,
    )
    wrapped.errno = error.errno
    return wrapped


class _OfOthersError(Exception):
    """Carries an error past :func:`explained`."""

    def __init__(self, error: OSError) -> None:
        super().__init__()
        self.error = error


@contextlib.contextmanager
def explained(final: Path) -> Iterator[None]:
    """Convert operating system errors to :class:`NotWritableError`.

    Errors of this package pass, and so do those out of :func:`code_of_others`.
    """
    try:
        yield
    except CheckpointError:
        raise
    except _OfOthersError as passing:
        raise passing.error from passing.error.__cause__
    except OSError as error:
        raise not_writable(final, error) from error


@contextlib.contextmanager
def code_of_others() -> Iterator[None]:
    """Mark code that runs during a write but is not part of it: sources, progress callbacks.

    An :class:`OSError` that is raised inside comes out of :func:`explained` as it is, and is not blamed
    on the file.
    """
    try:
        yield
    except CheckpointError:
        raise
    except OSError as error:
        raise _OfOthersError(error) from error


def fsync_file(path: Path) -> None:
    """Make the content of a file durable, where the system can."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fsync_descriptor(descriptor)
    finally:
        os.close(descriptor)


def _keep_attributes(old: Path, new: Path) -> None:
    """Give the new file owner, group, access list, user attributes and mode of the old one."""
    try:
        status = old.stat()
    except FileNotFoundError:
        return
    now = new.stat()
    if (status.st_uid, status.st_gid) != (now.st_uid, now.st_gid):
        for owner in (status.st_uid, -1):  # who may not give a file away may keep its group
            with contextlib.suppress(OSError):
                os.chown(new, owner, status.st_gid)
                break
    if hasattr(os, "listxattr"):
        with contextlib.suppress(OSError):
            for name in os.listxattr(old):
                if name.startswith("user.") or name == _ACCESS_LIST:
                    os.setxattr(new, name, os.getxattr(old, name))
    mode = stat.S_IMODE(status.st_mode)
    if mode != stat.S_IMODE(new.stat().st_mode):
        try:
            new.chmod(mode)
        except OSError as error:
            if error.errno not in _NO_SUCH_RIGHT:
                raise


def _host() -> str:
    return hashlib.blake2b(socket.gethostname().encode(), digest_size=4).hexdigest()


def _stem(name: str) -> str:
    """Short and of fixed length, because a target's own name may fill the limit already."""
    return "ann_ckpt-" + hashlib.blake2b(os.fsencode(name), digest_size=6).hexdigest()


def _temporary_name(name: str) -> str:
    return f".{_stem(name)}-{_host()}-{os.getpid()}-{secrets.token_hex(4)}.tmp"
