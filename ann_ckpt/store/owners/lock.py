"""Lock files that name their holder.

The system's own lock on the file does the excluding, and lets go by itself when its
holder dies. The text inside is for people, and for file systems shared by several hosts,
where that lock may not reach: a lock written by another host is taken over only by a
later start of the same batch job, whose system has ended the earlier one.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import logging
import os
import shlex
import socket
import stat
import threading
import time
import weakref
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

from ann_ckpt.durable import fsync_descriptor, fsync_folder, not_writable, process_alive
from ann_ckpt.errors import CheckpointError, LockedError, printable
from ann_ckpt.store.owners.job import Job

__all__ = ["FileLock", "Holder", "SecondHold", "break_lock", "holder_of"]

_POLL = 0.02
"""Seconds between two attempts."""
_LAST_BREATH = 2.0
"""Seconds that a forked child, which closes the file at once, may live longer than whoever held it, and that
somebody may look at a lock, or take to sign it."""
_UNSUPPORTED = {
    errno.ENOSYS,
    errno.ENOTSUP,
    errno.EOPNOTSUPP,
    errno.ENOLCK,
    errno.EIO,
    errno.EINVAL,
    errno.EROFS,
    524,  # ENOTSUPP of Linux's own, which Lustre and NFS let out
}
"""What file systems say that have no such locks."""
_NO_FORK = threading.RLock()
"""Held while a lock is taken, so that no child inherits a descriptor that nobody closes in it."""
_HELD: weakref.WeakSet[FileLock] = weakref.WeakSet()
_TEXT_BYTES = 4096
_UNKNOWN = "unknown"
_LOG = logging.getLogger("ann_ckpt")


@dataclass(frozen=True, slots=True)
class SecondHold:
    """A second hold on a lock, of the same process or of its child."""

    path: Path
    descriptor: int

    @property
    def intact(self) -> bool:
        """Whether the file still exists."""
        return _leads_to(self.path, self.descriptor)

    def close(self) -> None:
        """Let go."""
        _close(self.descriptor)


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

    @property
    def intact(self) -> bool:
        """Whether it is held and the file still exists."""
        return self.held and _leads_to(self._path, self._descriptor)

    def second_hold(self) -> SecondHold:
        """Return a hold on the lock that a forked child keeps: the lock stays until both let go."""
        return SecondHold(self._path, os.dup(self._descriptor))

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
        if self.held:  # and the file is gone, or whoever holds it would not ask
            self.forget()
        while True:
            try:
                with _NO_FORK:
                    return self._try(durable=durable)
            except LockedError:
                over = time.monotonic() - deadline
                if over >= 0 and (over >= _LAST_BREATH or self._is_held()):
                    raise
            time.sleep(_POLL)

    def _is_held(self) -> bool:
        """Whether somebody has it who lives, as far as is known.

        Where nobody signed it, somebody only looks at it, or is about to sign; and where a dead process
        did, at most its child holds it, forked a moment before that one was killed.
        """
        with contextlib.suppress(CheckpointError):
            found = holder_of(self._path)
            return found is not None and not (
                found.unsigned
                or (
                    found.host == socket.gethostname()
                    and found.pid.isdecimal()
                    and not process_alive(int(found.pid))
                )
            )
        return True

    def release(self) -> None:
        """Release the lock; without effect if it is not held."""
        if self.held:
            if self.intact:
                with contextlib.suppress(OSError):
                    self._path.unlink()
            self.forget()

    def forget(self) -> None:
        """Close the file only: in a forked child the lock belongs to the parent."""
        _close(self._descriptor)
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
                    _close(descriptor)
                    continue
                try:
                    self._sign(descriptor, durable=durable)
                except BaseException:  # a full disk; where there are no locks, a file without text would stay
                    with contextlib.suppress(OSError):
                        if _leads_to(self._path, descriptor):
                            self._path.unlink()
                    raise
                self._descriptor = descriptor
            except BaseException as error:
                _close(descriptor)
                if isinstance(error, OSError) and not isinstance(error, CheckpointError):
                    raise not_writable(self._path, error) from error
                raise
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
        """Lock the open file; return whether it was left behind, None if it lost its name meanwhile."""
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return self._give_way(descriptor)
        except OSError as error:
            if error.errno not in _UNSUPPORTED:
                raise not_writable(self._path, error) from error
            # Without such locks, whoever made the file holds it until the file is gone.
            hint = "this file system has no locks, so a dead holder's file stays"
            return False if made else self._give_way(descriptor, hint)
        try:
            if not os.path.samestat(os.fstat(descriptor), self._path.stat()):
                return None
        except FileNotFoundError:
            return None
        holder = _read(descriptor)
        if holder and holder.get("host") != socket.gethostname():
            return self._give_way(descriptor)
        return bool(holder)

    def _give_way(self, descriptor: int, hint: str = "") -> bool | None:
        """Raise, unless the lock was one that this job may replace: then None, because the file is gone."""
        if not self._replace(descriptor):
            raise self._refusal(_read(descriptor), hint) from None
        return None

    def _replace(self, descriptor: int) -> bool:
        """Remove the open lock file if an earlier start of this very job wrote it; say so, and whether.

        The file goes away, so that a process of that start that lives on somewhere sees that it has lost it.
        """
        job, found = Job.current(), _holder(self._path, _read(descriptor))
        if job is None or not job.replaces(found.job):
            return False
        aside = self._path.with_name(f"{self._path.name}.{os.getpid()}.old")
        try:
            self._path.rename(aside)
            taken = os.path.samestat(os.fstat(descriptor), aside.stat())
            if not taken:  # another process of this job was faster: give it its lock back
                with contextlib.suppress(FileExistsError):
                    os.link(aside, self._path)
            aside.unlink()
        except FileNotFoundError:
            return True
        except OSError as error:
            raise not_writable(self._path, error) from error
        if taken:
            _LOG.warning(
                "took over %s from %s: this is restart %d of the same job",
                self._path,
                found.name,
                job.restart,
            )
        return True

    def _sign(self, descriptor: int, *, durable: bool) -> None:
        holder: dict[str, Any] = {
            "host": socket.gethostname(),
            "pid": os.getpid(),
            "since": datetime.now(UTC).isoformat(timespec="seconds"),
            "purpose": self._purpose,
        }
        if (job := Job.current()) is not None:
            holder["job"] = job.to_dict()
        try:
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, json.dumps(holder).encode(), 0)
            if durable:
                fsync_descriptor(descriptor)
                fsync_folder(self._path.parent)
        except OSError as error:
            raise not_writable(self._path, error) from error

    def _refusal(self, holder: dict[str, Any], hint: str = "") -> LockedError:
        found = _holder(self._path, holder)
        folder = self._path.parent.parent if self._path.parent.name == "shards" else self._path.parent
        unlock = f"`ann-ckpt unlock {shlex.quote(printable(folder, 400))}`"
        if found.job is not None and (hint or found.host != socket.gethostname()):
            advice = f"`{found.job.lookup}` shows that job; if it is gone: {unlock}"
        elif hint or (holder and found.host != socket.gethostname()):
            advice = f"{hint + '; ' if hint else ''}if that process is gone: {unlock}"
        else:
            advice = f"wait=SECONDS waits for it; {unlock} says who it is"
        return LockedError(
            f"another process {found.purpose or self._purpose}: {found.name}",
            details={"hint": advice},
            where=self._path,
        )


def _plain(descriptor: int) -> int:
    """Return the descriptor of an ordinary file; a pipe or a device holds no text, and no lock is one."""
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        _close(descriptor)
        raise OSError(errno.EINVAL, "the path exists and is not a lock file")
    return descriptor


@dataclass(frozen=True, slots=True)
class Holder:
    """Holder of a lock, as recorded in its file; texts are safe to print."""

    path: Path
    """The lock file."""
    host: str
    pid: str
    since: str
    """UTC, ISO 8601."""
    purpose: str
    """What it does: ``saves to the store``; may be empty."""
    alive: bool | None = None
    """Whether it still lives; None where that cannot be known from here."""
    job: Job | None = None
    """The batch job that it runs in, if it says so."""

    @property
    def unsigned(self) -> bool:
        """Whether nobody has said yet who it is."""
        return self.host == _UNKNOWN

    @property
    def name(self) -> str:
        """Process, host, time and batch job in one line."""
        job = "" if self.job is None else f", {self.job.name}"
        return f"process {self.pid} on host {self.host}, since {self.since}{job}"

    def to_dict(self) -> dict[str, Any]:
        """Return everything as JSON can hold it."""
        return {
            "file": os.fspath(self.path),
            "host": self.host,
            "pid": int(self.pid) if self.pid.isdecimal() else None,
            "since": self.since,
            "purpose": self.purpose,
            "alive": self.alive,
            "job": None if self.job is None else self.job.to_dict(),
        }


def holder_of(path: Path) -> Holder | None:
    """Return the holder of a lock; None if it is not held.

    Parameters
    ----------
    path : Path
        The lock file.

    Raises
    ------
    NotWritableError
        If the file cannot be looked at.
    """
    try:
        descriptor = _plain(os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise not_writable(path, error) from error
    try:
        found = _holder(path, _read(descriptor))
        return replace(found, alive=_lives(descriptor, found))
    except OSError as error:
        raise not_writable(path, error) from error
    finally:
        _close(descriptor)


def break_lock(holder: Holder) -> None:
    """Remove a lock, whoever holds it.

    Raises
    ------
    LockedError
        If it changed hands since it was looked at.
    NotWritableError
        If the system refuses.
    """
    if (found := holder_of(holder.path)) is None:
        return
    if replace(found, alive=holder.alive) != holder:
        raise LockedError(
            "the lock was taken by another process just now",
            details={"holder": found.name},
            where=holder.path,
        )
    try:
        holder.path.unlink(missing_ok=True)
        fsync_folder(holder.path.parent)
    except OSError as error:
        raise not_writable(holder.path, error) from error


def _lives(descriptor: int, holder: Holder) -> bool | None:
    """Whether whoever signed the open lock file still runs."""
    here = holder.host == socket.gethostname()
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:  # no such locks here: only the number of the process tells
        return process_alive(int(holder.pid)) if here and holder.pid.isdecimal() else None
    fcntl.flock(descriptor, fcntl.LOCK_UN)
    return False if here else None


def _holder(path: Path, found: dict[str, Any]) -> Holder:
    host, pid, since = (printable(found.get(key, _UNKNOWN), 80) for key in ("host", "pid", "since"))
    job = Job.from_dict(found.get("job"))
    return Holder(path, host, pid, since, printable(found.get("purpose", ""), 80), job=job)


def _close(descriptor: int) -> None:
    """Close the file; what the system could not write of its text no longer matters."""
    with contextlib.suppress(OSError):
        os.close(descriptor)


def _leads_to(path: Path, descriptor: int) -> bool:
    """Whether a path is that of the open file."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except OSError:
        return False


def _read(descriptor: int) -> dict[str, Any]:
    """What a holder wrote; empty where nobody did, and a blank holder where there is no such text to read."""
    text = b"?"
    with contextlib.suppress(OSError):
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
    _NO_FORK.release()


os.register_at_fork(
    before=_NO_FORK.acquire, after_in_parent=_NO_FORK.release, after_in_child=_forget_in_child
)
