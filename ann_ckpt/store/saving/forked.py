"""A save by a forked child, with the memory of the moment.

Nothing is copied at the fork: both processes see the same pages, and the kernel copies a page
when one of them changes it. The child is this package's alone: no signal of the parent, no exit
handler and no destructor runs in it, and it ends as soon as it has answered.
"""

from __future__ import annotations

import contextlib
import gc
import os
import pickle  # of our own child, through a pipe that nobody else has
import signal
import sys
import traceback
import warnings
from collections.abc import Callable, Iterator
from typing import Any, Generic, NoReturn, TypeVar

import numpy as np

from ann_ckpt.adapters.protocol import MayFork, Simulator
from ann_ckpt.durable import explained, fsync_folder
from ann_ckpt.errors import CheckpointError, NotWritableError, printable
from ann_ckpt.format.plan import FilePlan
from ann_ckpt.report import human_bytes
from ann_ckpt.store.folder import StoreFolder
from ann_ckpt.store.owners.lock import FileLock
from ann_ckpt.store.reports import StoreReport
from ann_ckpt.store.saving.memory import available
from ann_ckpt.store.saving.writer import Remembered, SeriesWriter, Snapshot
from ann_ckpt.threads import interpreter_ends, others_at_work

__all__ = ["Child", "ChildDiedError", "ForkedSave", "refuse_fork"]

_T = TypeVar("_T")
_HEAD = 8
"""Bytes before an answer that say how long it is."""


def refuse_fork(plan: FilePlan, simulator: Simulator | None, at_most: int | None) -> str | None:
    """Return why a save cannot be left to a forked child here and now, or None if it can.

    Parameters
    ----------
    plan : FilePlan
        What is to be saved.
    simulator : Simulator or None
        Whose it is; None for a state.
    at_most : int or None
        Bytes that both processes together may take on top; None for what is available.
    """
    return next(_reasons(plan, simulator, at_most), None)


def _reasons(plan: FilePlan, simulator: Simulator | None, at_most: int | None) -> Iterator[str]:
    if sys.platform == "darwin" or not hasattr(os, "fork"):
        yield "libraries of this system do not survive a fork"
    if interpreter_ends():
        yield "the interpreter is about to end"
    if simulator is None:
        if not all(isinstance(entry.array, np.ndarray) for entry in plan.arrays):
            yield "the state is not in memory, but read while it is saved"
    else:
        says = simulator.refuse_fork() if isinstance(simulator, MayFork) else "it has no refuse_fork"
        if says is not None:
            yield f"{printable(simulator.label)}: {says}"
    most = available() if at_most is None else at_most
    if most is not None and plan.nbytes > most:
        allowed = "are available" if at_most is None else "are allowed by at_most"
        sizes = human_bytes(plan.nbytes), human_bytes(most)
        yield f"{sizes[0]} could change before they are saved, and {sizes[1]} {allowed}"
    others = others_at_work()
    if others:
        yield f"other threads may be inside a library: {', '.join(printable(name, 40) for name in others)}"


class ForkedSave:
    """A checkpoint that a forked child is saving.

    Parameters
    ----------
    folder : StoreFolder
        The store.
    writer : SeriesWriter
        Used by the child, and told at the end what the child remembers.
    snapshot : Snapshot
        What to save.
    lock : FileLock
        Held by this process. Of its locks the child holds this one only: whoever opens the store after
        this process was killed has the other at once, and waits for the child at this one.
    refuse_lost : callable
        Raises because the lock was taken away.

    Raises
    ------
    OSError
        If the system lets no process be made.
    """

    def __init__(
        self,
        folder: StoreFolder,
        writer: SeriesWriter,
        snapshot: Snapshot,
        lock: FileLock,
        refuse_lost: Callable[[], None],
    ) -> None:
        self._folder = folder
        self._writer = writer
        self._snapshot = snapshot
        self._before = folder.slots()[-1:]
        self.died = False
        """Whether the child ended without an answer."""
        hold = lock.second_hold()

        def check() -> None:
            if not hold.intact:
                refuse_lost()

        def save() -> tuple[StoreReport, Remembered]:
            return writer.save_at_once(snapshot, check), writer.remembered

        try:
            self._child = Child(save)
        finally:
            hold.close()

    def result(self) -> StoreReport:
        """Wait for the child; return what it saved.

        Raises
        ------
        NotWritableError
            If the child died before the checkpoint was there; what it left is marked as unswept.
        """
        try:
            report, remembered = self._child.result()
        except ChildDiedError as died:
            self.died = True
            self._folder.mark_unswept()
            if self._folder.slots()[-1:] == self._before:
                raise NotWritableError(
                    "the process that saved in the background died",
                    details={
                        "found": str(died),
                        "kept": "the checkpoints from before",
                        "hint": "if the memory was full: at_most=, or background='copy'",
                    },
                    where=str(self._folder.path),
                ) from None
            with explained(self._folder.checkpoints):
                fsync_folder(self._folder.checkpoints)
            text = f"the process that saved it died after that: {died}"
            return self._writer.report_of_newest(self._snapshot, text)
        self._writer.remember(remembered)
        return report


class ChildDiedError(Exception):
    """The child ended without an answer."""


class Child(Generic[_T]):
    """A child process that works from now on.

    Parameters
    ----------
    work : callable
        Called in the child; what it returns or raises is handed back.

    Raises
    ------
    OSError
        If the system lets no process be made.
    """

    def __init__(self, work: Callable[[], _T]) -> None:
        self._answer, answers = os.pipe()
        before = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        try:
            with warnings.catch_warnings():
                # Python warns of any thread, also of those that have been looked at.
                warnings.simplefilter("ignore", DeprecationWarning)
                self.pid = os.fork()
            if self.pid == 0:
                _work(work, answers)
        except BaseException:
            os.close(self._answer)
            raise
        finally:
            os.close(answers)
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def result(self) -> _T:
        """Wait for the end of the child; return what the work returned, or raise what it raised.

        Raises
        ------
        ChildDiedError
            If it ended without an answer.
        """
        with os.fdopen(self._answer, "rb") as pipe:
            answer = pipe.read()
        how = self._reap()
        if len(answer) < _HEAD or int.from_bytes(answer[:_HEAD], "little") != len(answer) - _HEAD:
            raise ChildDiedError(how)
        fine, found = pickle.loads(answer[_HEAD:])  # noqa: S301
        if fine:
            return found  # type: ignore[no-any-return]
        raise found

    def _reap(self) -> str:
        """Wait for the process, so that it does not stay as a zombie; say how it ended."""
        try:
            code = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        except ChildProcessError:  # the program collects all its children itself, or lets the system do it
            return "it ended without an answer"
        return f"it was ended by {signal.Signals(-code).name}" if code < 0 else f"it ended with status {code}"


def _work(work: Callable[[], Any], answers: int) -> NoReturn:
    """Do the work and end the process, whatever happens.

    All signals stay blocked: those that a whole job or terminal gets are for the parent, which knows what
    to do, and waits for the child.
    """
    status = 1
    try:
        gc.disable()  # destructors of what belongs to the parent
        try:
            answer = pickle.dumps((True, work()))
        except BaseException as error:  # noqa: BLE001  (handed to the parent, whatever it is)
            answer = _failure(error)
        with os.fdopen(answers, "wb") as pipe:
            pipe.write(len(answer).to_bytes(_HEAD, "little") + answer)
        status = 0
    finally:
        os._exit(status)


def _failure(error: BaseException) -> bytes:
    """Return an exception as an answer."""
    if not isinstance(error, CheckpointError):
        error.add_note(
            f"in the process that was forked to save:\n{''.join(traceback.format_exception(error))}"
        )
    with contextlib.suppress(Exception):
        answer = pickle.dumps((False, error))
        if isinstance(pickle.loads(answer)[1], type(error)):  # noqa: S301
            return answer
    return pickle.dumps((False, RuntimeError("".join(traceback.format_exception(error)))))
