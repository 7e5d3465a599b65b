"""State shared by all open handles of a process on one store: the writer lock, and turns.

A process may open a store as often as it likes (a notebook cell that is run again, two parts of
a program); its objects share the lock that keeps other processes out, and change the store one
after another. A thread that asks for a turn while it has one, in a signal handler or a callback,
would wait for itself, so it is refused at once.
"""

from __future__ import annotations

import atexit
import os
import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import NoReturn, Protocol

from ann_ckpt.errors import BusyError, FileMissingError, LockedError
from ann_ckpt.store.folder import StoreFolder

__all__ = ["Session"]

_SESSIONS: weakref.WeakValueDictionary[tuple[int, ...], Session] = weakref.WeakValueDictionary()
_AT_WORK = threading.RLock()
"""Held while a session is looked up, joined or left; a signal handler may interrupt its own thread."""


class _Remembers(Protocol):
    """Whoever builds upon the checkpoint that was saved last."""

    def forget(self) -> None:
        """Read it again before the next save."""


class Session:
    """State of one process on one store; created by :meth:`of`."""

    def __init__(self, folder: StoreFolder) -> None:
        self._path = folder.path
        self._lock = folder.writing_lock()
        self._members: set[object] = set()
        self._writers: weakref.WeakSet[_Remembers] = weakref.WeakSet()
        self._left_at_exit = False
        self._begin()

    def _begin(self) -> None:
        self._turn = threading.Lock()
        self._inside: set[int] = set()

    @staticmethod
    def of(folder: StoreFolder) -> Session:
        """Return the session of this process at an existing store, whatever path leads there.

        Raises
        ------
        FileMissingError
            If the folder is gone.
        """
        try:
            status = folder.path.stat()
        except OSError as error:
            raise FileMissingError("the store does not exist", where=folder.path) from error
        key = (status.st_dev, status.st_ino, *folder.share)
        with _AT_WORK:
            found = _SESSIONS.get(key)
            if found is not None and not found._stands_at(status):
                found._lock.forget()  # of a folder that was moved, or removed and its number given to another
                found = None
            if found is None:
                found = _SESSIONS[key] = Session(folder)
            return found

    def _stands_at(self, status: os.stat_result) -> bool:
        """Whether the path that this session knows still leads to the folder of that status."""
        try:
            return os.path.samestat(self._path.stat(), status)
        except OSError:
            return False

    # --- The writer's lock --------------------------------------------------------

    def join(self, member: object, *, wait: float = 0.0) -> bool:
        """Register a writer; the caller must hold the turn.

        Parameters
        ----------
        member : object
            Stands for one store object.
        wait : float
            Seconds to wait for another process.

        Returns
        -------
        bool
            Whether a process that died left the lock behind.

        Raises
        ------
        LockedError
            If another process holds it.
        """
        with _AT_WORK:
            self._members.add(member)
            if self._lock.intact:
                return False
            self._left_at_exit = False
        try:
            return self._lock.acquire(wait=wait, durable=True)
        except BaseException:
            self._members.discard(member)
            raise

    def leave(self, member: object) -> None:
        """Unregister a writer; the last one releases the lock."""
        with _AT_WORK:
            self._members.discard(member)
            if not self._members:
                self._lock.release()

    def check(self, member: object) -> None:
        """Raise if ``member`` may no longer save.

        Raises
        ------
        LockedError
            If the lock was taken away, for example by ``ann-ckpt unlock``.
        """
        if self._left_at_exit:  # a save from an exit handler that was registered before this module's
            self.join(member)
        if not self._lock.intact:
            self.refuse_lost()

    def refuse_lost(self) -> NoReturn:
        """Raise because the lock was taken away."""
        moved = not os.path.lexists(self._path)
        raise LockedError(
            "the store was moved or removed while it was open"
            if moved
            else "the lock of this store was removed while it was open, and another process may save now",
            details={"hint": "open it where it is now" if moved else "open the store again"},
            where=self._path,
        )

    # --- Turns --------------------------------------------------------------------

    @property
    def busy(self) -> bool:
        """Whether this thread changes the store, or waits to."""
        return threading.get_ident() in self._inside

    @contextmanager
    def entered(self) -> Iterator[None]:
        """Mark this thread as one that changes the store, or waits to.

        Raises
        ------
        BusyError
            If it does already: this is a signal handler, or a callback.
        """
        thread = threading.get_ident()
        if thread in self._inside:
            raise BusyError(
                "this thread is already inside a call that changes the store, and cannot wait for itself",
                details={
                    "hint": "in a signal handler or a callback only take note; "
                    "save when the call has returned (on_signal does so)"
                },
                where=self._path,
            )
        try:
            self._inside.add(thread)
            yield
        finally:
            self._inside.discard(thread)

    def take_turn(self, cleanup: ExitStack) -> None:
        """Wait for other threads; the turn lasts until ``cleanup`` ends, in whichever thread."""
        turn = self._turn
        taken: list[bool] = []
        cleanup.callback(lambda: turn.release() if taken else None)
        taken.extend(map(type(turn).acquire, (turn,)))  # one call, so that no ^C comes before it is noted

    # --- Building upon what was saved ---------------------------------------------

    def add_writer(self, writer: _Remembers) -> None:
        """Register a writer to be notified when all checkpoints are removed."""
        self._writers.add(writer)

    def forget_checkpoints(self) -> None:
        """Notify the registered writers."""
        for writer in self._writers:
            writer.forget()


def _each(do: Callable[[Session], None]) -> None:
    for session in list(_SESSIONS.values()):
        do(session)


def _leave_at_exit(session: Session) -> None:
    """Leave no lock behind that somebody on another host would have to remove."""
    if session._members:
        session._members.clear()
        session._left_at_exit = True
        session._lock.release()


def _begin_anew_in_child(session: Session) -> None:
    """The child of a fork has none of the threads that have turns, and not the lock either."""
    session._members.clear()
    session._begin()


def _after_fork_in_child() -> None:
    _each(_begin_anew_in_child)
    _AT_WORK.release()


atexit.register(_each, _leave_at_exit)
os.register_at_fork(
    before=_AT_WORK.acquire, after_in_parent=_AT_WORK.release, after_in_child=_after_fork_in_child
)
