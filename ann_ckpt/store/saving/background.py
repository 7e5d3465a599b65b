"""Executors for a save's write jobs: inline or in a background thread."""

from __future__ import annotations

import atexit
import logging
import os
import threading
from collections import deque
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack, nullcontext, suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Literal, Protocol, cast

import numpy as np

from ann_ckpt.errors import OptionError, printable
from ann_ckpt.model import Array, in_memory
from ann_ckpt.store.reports import StoreReport
from ann_ckpt.threads import interpreter_ends

__all__ = [
    "BACKGROUND_BYTES",
    "BackgroundExecutor",
    "BackgroundSave",
    "InBackground",
    "InlineExecutor",
    "SaveExecutor",
    "executor_for",
]


BACKGROUND_BYTES = 256 << 20
"""How much may wait to be written in the background; the caller waits for what goes beyond."""
_LOOKS_AGAIN = 1.0
"""Seconds after which a thread that waits for jobs looks by itself."""


@dataclass(frozen=True, slots=True)
class InBackground:
    """How a save in the background was asked for."""

    way: Literal["fork", "copy"] | None
    """None: a forked child where that is safe, else copies."""
    at_most: int | None
    """Bytes of memory that may be taken on top."""

    @classmethod
    def asked_for(
        cls, background: object, at_most: int | None, *, name: str = "background"
    ) -> InBackground | None:
        """Return what ``background=`` and ``at_most=`` mean; None if the caller is to wait.

        Parameters
        ----------
        background, at_most
            As given.
        name : str
            What the caller calls the former.

        Raises
        ------
        OptionError
            If one of them is nothing of the kind.
        """
        if background not in (False, True, "fork", "copy"):
            raise OptionError(
                f"{name}={printable(background)!r} is unknown",
                details={"known": "'fork', 'copy'" if name == "way" else "True, 'fork', 'copy', False"},
            )
        if at_most is not None and not (isinstance(at_most, int) and at_most >= 0):
            raise OptionError(
                f"at_most={printable(at_most)}", details={"expected": "a number of bytes, 0 or more"}
            )
        if not background:
            return None
        return cls(
            cast("Literal['fork', 'copy'] | None", None if background is True else background), at_most
        )

    @property
    def waiting_bytes(self) -> int:
        """How much may wait as copies."""
        return BACKGROUND_BYTES if self.at_most is None else self.at_most


class SaveExecutor(Protocol):
    """Runs write jobs in order."""

    def keep(self, values: Array) -> Array:
        """Return values that do not change until their job is done."""

    def do(self, job: Callable[[], None], nbytes: int = 0) -> None:
        """Run a job now or later; ``nbytes`` is the memory that it holds.

        Raises
        ------
        BaseException
            Whatever a job raised; no job after it is done.
        """

    def close(self) -> None:
        """Take no more jobs; raises as :meth:`do`."""

    def give_up(self, error: BaseException) -> None:
        """Do no more jobs, because of an error of the caller; the one that is being done ends."""


class InlineExecutor:
    """Runs every job immediately."""

    def keep(self, values: Array) -> Array:
        """Return the values themselves."""
        return values

    def do(self, job: Callable[[], None], nbytes: int = 0) -> None:
        """Run the job."""
        job()

    def close(self) -> None:
        """Do nothing: all is done."""

    def give_up(self, error: BaseException) -> None:
        """Do nothing: no job waits."""


class BackgroundExecutor:
    """Runs its jobs on a thread, and cleans up behind them.

    Until :meth:`close` the cleaning up is the caller's, who may fail, or be interrupted, anywhere: the thread
    has ended before ``cleanup`` lets go of what was there when it was made.

    Parameters
    ----------
    cleanup : ExitStack
        That the caller is within; :meth:`close` hands it to the thread, which leaves it at the end, with the
        exception if there was one.
    around : callable, optional
        Makes the context in which the thread works.
    at_most : int
        Bytes that may wait; :meth:`do` waits while there would be more.

    Raises
    ------
    RuntimeError
        If no thread can be started.
    """

    def __init__(
        self,
        cleanup: ExitStack,
        around: Callable[[], AbstractContextManager[None]] = nullcontext,
        at_most: int = BACKGROUND_BYTES,
    ) -> None:
        self._callers = cleanup
        self._own: ExitStack | None = None
        """The cleaning up, once it was handed over; no job comes after that."""
        self._around = around
        self._at_most = at_most
        self._lock = threading.Lock()  # left in one step, which leaving a condition is not: ^C may come
        self._changed = threading.Condition(self._lock)
        self._jobs: deque[tuple[Callable[[], None], int]] = deque()
        self._waiting = 0
        self._error: BaseException | None = None
        # No daemon: an interpreter that ends waits until what it was told to save is saved.
        self._thread = threading.Thread(target=self._work_inside, name="ann_ckpt-save")
        cleanup.push(self._callers_end)
        self._thread.start()

    @property
    def busy(self) -> bool:
        """Whether jobs are pending."""
        return self._thread.is_alive()

    def keep(self, values: Array) -> Array:
        """Return a copy."""
        return np.array(in_memory(values))

    def do(self, job: Callable[[], None], nbytes: int = 0) -> None:
        """Submit a job to the thread, once there is room for it."""
        with self._lock:
            self._changed.wait_for(
                lambda: self._error or not self._waiting or self._waiting + nbytes <= self._at_most
            )
            if self._error is not None:
                raise self._error
            self._jobs.append((job, nbytes))
            self._waiting += nbytes
            self._changed.notify_all()

    def close(self) -> None:
        """Hand the cleaning up to the thread, which ends when it has done its jobs."""
        with self._lock:
            if self._error is not None:
                raise self._error
            try:
                self._own = self._callers.pop_all()
            finally:
                self._changed.notify_all()

    def wait(self) -> BaseException | None:
        """Wait for the thread; return the exception of a job, if any."""
        self._thread.join()
        return self._error

    def give_up(self, error: BaseException) -> None:
        """Do no more jobs, and wait for the one that is being done."""
        self._fail(error)
        if self._thread.ident is not None:  # else it was never started
            self._thread.join()

    def _callers_end(
        self, _: type[BaseException] | None, error: BaseException | None, __: TracebackType | None
    ) -> None:
        """Give up if the caller fails; the thread itself comes by here at its own end."""
        if error is not None and threading.current_thread() is not self._thread:
            self.give_up(error)

    def _work_inside(self) -> None:
        with self._around():
            self._work()

    def _work(self) -> None:
        while (next_job := self._next()) is not None:
            job, nbytes = next_job
            try:
                job()
            except BaseException as error:  # noqa: BLE001  (handed to the caller, whatever it is)
                self._fail(error)
            with self._lock:
                self._waiting -= nbytes
                self._changed.notify_all()
        if self._own is None:
            return
        try:
            self._own.__exit__(None if self._error is None else type(self._error), self._error, None)
        except BaseException as error:  # noqa: BLE001  (handed to the caller, whatever it is)
            self._fail(error)

    def _next(self) -> tuple[Callable[[], None], int] | None:
        """Wait for a job; None when there will be no more."""
        with self._lock:
            # Who was interrupted in the middle of notifying does not do it again.
            while not self._changed.wait_for(self._has_news, _LOOKS_AGAIN):
                pass
            return self._jobs.popleft() if self._jobs else None

    def _has_news(self) -> bool:
        return bool(self._jobs) or self._error is not None or self._own is not None

    def _fail(self, error: BaseException) -> None:
        with self._lock:
            self._error = self._error or error
            self._jobs.clear()
            self._changed.notify_all()


def executor_for(
    background: InBackground | None,
    cleanup: ExitStack,
    around: Callable[[], AbstractContextManager[None]],
) -> BackgroundExecutor | InlineExecutor:
    """Return who does the jobs of a save, or waits for a child: the caller, where nothing waits for a thread.

    Parameters
    ----------
    background : InBackground or None
        How that was asked for; None if not.
    cleanup, around
        See :class:`BackgroundExecutor`.
    """
    if background is not None and not interpreter_ends():
        with suppress(RuntimeError):
            return BackgroundExecutor(cleanup, around, background.waiting_bytes)
    return InlineExecutor()


_UNHEARD: set[BackgroundSave] = set()
"""Those whose outcome nobody has asked for."""


class BackgroundSave:
    """A save that runs in the background."""

    def __init__(self) -> None:
        self.report: StoreReport | None = None
        """What was saved, once it is."""
        self.way: Literal["fork", "copy", "caller"] = "caller"
        """Who writes: a forked child, a thread that has copies, or the caller itself."""
        self.because = ""
        """Why it is not a forked child; empty if it is."""
        self.seen = False
        """Whether somebody has waited for the outcome."""
        self._executor: BackgroundExecutor | None = None
        self._process = os.getpid()

    @property
    def executor(self) -> BackgroundExecutor | None:
        """The executor; None if the caller did the work."""
        return self._executor

    @executor.setter
    def executor(self, executor: BackgroundExecutor) -> None:
        self._executor = executor
        _UNHEARD.add(self)

    @property
    def done(self) -> bool:
        """Whether it has ended, with or without success."""
        self._check_process()
        return self._executor is None or not self._executor.busy

    def wait(self) -> StoreReport:
        """Wait for the end and return the report.

        Raises
        ------
        NotWritableError
            If it failed; the store is as it was before.
        OptionError
            In a forked child: only the process that began it knows.
        """
        self._check_process()
        error = self._executor.wait() if self._executor is not None else None
        self.seen = True
        _UNHEARD.discard(self)
        if error is not None:
            raise error
        if self.report is None:
            raise RuntimeError("a save ended without a report")
        return self.report

    def _check_process(self) -> None:
        if self._process != os.getpid():
            raise OptionError(
                "this save belongs to the process that started it",
                details={"found": f"process {os.getpid()}, started by process {self._process}"},
            )


def _say_what_failed() -> None:
    """An exit handler can raise nothing that anybody would see."""
    for save in list(_UNHEARD):
        if save._process != os.getpid():
            continue
        try:
            save.wait()
        except Exception:
            logging.getLogger("ann_ckpt").exception(
                "a background save failed, and its result was never collected"
            )


atexit.register(_say_what_failed)
