"""One at a time: a lock file that says who holds it.

The system's own lock on the file does the excluding, and lets go by itself when its
holder dies. The text inside is for people, and for file systems shared by several hosts,
where that lock may not reach: a lock written by another host is never taken over.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import socket
import stat
import time
import weakref
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

from ann_ckpt.durable import fsync_folder, not_writable
from ann_ckpt.errors import LockedError, printable

__all__ = ["FileLock"]

_POLL = 0.02
"""Seconds between two attempts."""
_UNSUPPORTED = {errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOLCK}
_HELD: weakref.WeakSet[FileLock] = weakref.WeakSet()
_TEXT_BYTES = 4096


class FileLock:
    """A lock file.

    Parameters
    ----------
    path : Path
        The file; it goes away when the lock is released.
    purpose : str
        What its holder does, for the message to others: ``writes to the store``.
    """

    def __init__(self, path: Path, purpose: str) -> None:
        self._path = path
        self._purpose = purpose
        self._descriptor = -1

    @property
    def held(self) -> bool:
        """Whether this process holds it."""
        return self._descriptor >= 0

    def acquire(self, *, wait: float = 0.0, durable: bool = False) -> bool:
        """Take the lock.

        Parameters
        ----------
        wait : float
            Seconds to wait for another holder.
        durable : bool
            Make the mark survive a power cut, for those who look after it.

        Returns
        -------
        bool
            Whether a holder that died left it behind.

        Raises
        ------
        LockedError
            If somebody else holds it; the message says who, where, and since when.
        NotWritableError
            If the file cannot be made.
        """
        deadline = time.monotonic() + wait
        while True:
            try:
                return self._try(durable=durable)
            except LockedError:
                if time.monotonic() >= deadline:
                    raise
            time.sleep(_POLL)

    def release(self) -> None:
        """Let go; without effect if it is not held."""
        if self.held:
            with contextlib.suppress(OSError):
                self._path.unlink()
            self.forget()

    def forget(self) -> None:
        """Close the file without a word: in a forked child the lock is its parent's."""
        os.close(self._descriptor)
        self._descriptor = -1
        _HELD.discard(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()

    def _try(self, *, durable: bool) -> bool:
        while True:
            descriptor, made = self._open()
            try:
                left = self._seize(descriptor, made=made)
                if left is None:
                    os.close(descriptor)
                    continue
                self._sign(descriptor, durable=durable)
            except BaseException:
                os.close(descriptor)
                raise
            self._descriptor = descriptor
            _HELD.add(self)
            return left

    def _open(self) -> tuple[int, bool]:
        """Open the file and say whether it was made just now."""
        # What a link leads to must not be written over, and a pipe not be waited for.
        flags = os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
        while True:
            try:
                with contextlib.suppress(FileExistsError):
                    return os.open(self._path, flags | os.O_CREAT | os.O_EXCL, 0o666), True
                with contextlib.suppress(FileNotFoundError):
                    return _plain(os.open(self._path, flags)), False
            except OSError as error:
                raise not_writable(self._path, error) from error

    def _seize(self, descriptor: int, *, made: bool) -> bool | None:
        """Lock the open file; say whether it was left behind, None if it is not the file any more."""
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise self._refusal(_read(descriptor)) from error
        except OSError as error:
            if error.errno not in _UNSUPPORTED:
                raise not_writable(self._path, error) from error
            # Without such locks, whoever made the file holds it until the file is gone.
            if not made:
                hint = "this file system has no locks, so a dead holder's file stays"
                raise self._refusal(_read(descriptor), hint) from error
            return False
        try:
            if not os.path.samestat(os.fstat(descriptor), self._path.stat()):
                return None
        except FileNotFoundError:
            return None
        holder = _read(descriptor)
        if holder and holder.get("host") != socket.gethostname():
            raise self._refusal(holder)
        return bool(holder)

    def _sign(self, descriptor: int, *, durable: bool) -> None:
        holder = {
            "host": socket.gethostname(),
            "pid": os.getpid(),
            "since": datetime.now(UTC).isoformat(timespec="seconds"),
            "purpose": self._purpose,
        }
        try:
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, json.dumps(holder).encode(), 0)
            if durable:
                os.fsync(descriptor)
                fsync_folder(self._path.parent)
        except OSError as error:
            raise not_writable(self._path, error) from error

    def _refusal(self, holder: dict[str, Any], hint: str = "") -> LockedError:
        host, pid, since = (printable(holder.get(k, "unknown"), 80) for k in ("host", "pid", "since"))
        details = {"holder": f"process {pid} on host {host}, since {since}"}
        if hint or (holder and host != socket.gethostname()):
            details["hint"] = f"{hint + '; ' if hint else ''}if that process is gone, remove the file"
        return LockedError(
            f"somebody else {printable(holder.get('purpose', self._purpose), 80)}",
            details=details,
            where=printable(self._path, 400),
        )


def _plain(descriptor: int) -> int:
    """Return the descriptor of an ordinary file; a pipe or a device holds no text, and no lock is one."""
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "something else than a lock file stands here")
    return descriptor


def _read(descriptor: int) -> dict[str, Any]:
    """What a holder wrote; empty where nobody did, and a blank holder where it is no such text."""
    text = os.pread(descriptor, _TEXT_BYTES, 0)
    if not text.strip(b"\0"):
        return {}
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        found = None
    return found if isinstance(found, dict) and found else {"host": socket.gethostname(), "pid": "unknown"}


def _forget_in_child() -> None:
    """A child must neither hold its parent's lock after the parent died, nor release it."""
    for lock in list(_HELD):
        lock.forget()


os.register_at_fork(after_in_child=_forget_in_child)
