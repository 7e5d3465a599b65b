"""A thread pool that runs work in the caller where no thread can be started.

``concurrent.futures.ThreadPoolExecutor`` refuses work as soon as the interpreter begins to
end, so that a save from ``atexit``, from a thread that outlives the main one, or in the
background of a script's last line would be lost. It also waits for itself if a signal
handler submits while the thread it interrupted was submitting. Here nothing that is handed
over depends on a thread: work that no thread has begun is done by whoever asks for the result.
"""

from __future__ import annotations

import concurrent.futures.thread
import contextlib
import inspect
import os
import selectors
import sys
import threading
import weakref
from collections.abc import Callable, Iterable
from concurrent.futures import Executor, Future
from functools import partial
from queue import Empty, SimpleQueue
from typing import Any, ParamSpec, TypeVar

__all__ = ["Threads", "interpreter_ends", "others_at_work"]

_P = ParamSpec("_P")
_T = TypeVar("_T")
_POOLS: weakref.WeakSet[Threads] = weakref.WeakSet()


def interpreter_ends() -> bool:
    """Whether the main thread has ended: a thread started now would not be joined."""
    return not threading.main_thread().is_alive()


_WAITS = {
    function.__code__
    for function in (
        threading.Condition.wait,
        threading.Thread.join,
        getattr(threading.Thread, "_wait_for_tstate_lock", None),  # where join waits before Python 3.13
        concurrent.futures.thread._worker,  # of a pool: waits for work
        *(getattr(made, "select", None) for made in vars(selectors).values() if inspect.isclass(made)),
    )
    if inspect.isfunction(function)
}
"""Functions of Python's own in which a thread does nothing but wait: for a lock, for work, for a socket."""


def others_at_work() -> list[str]:
    """Return the names of the threads beside this one that may be in the middle of something.

    A thread that waits for a lock of Python's, or for a socket, is not. Any other may be inside a
    library that has locks of its own, which a fork would leave locked for ever. Threads of our pools
    that have nothing to do are ended first; they are started again when there is work.
    """
    for pool in list(_POOLS):
        pool._rest()
    names = {thread.ident: thread.name for thread in threading.enumerate()}
    return sorted(
        names.get(ident, "a thread that Python did not start")
        for ident, frame in sys._current_frames().items()
        if ident != threading.get_ident() and frame.f_code not in _WAITS
    )


class Threads(Executor):
    """A small thread pool that runs work in the order of submission.

    The threads are daemons, since an idle one must not keep the interpreter from ending; work
    is never lost by that, because whoever needs it waits for it. In a forked child, where the
    threads of the parent are not, new ones are started.

    Parameters
    ----------
    workers : int
        How many; they are started when there is work for them.
    name : str
        What they are called, with a number behind it.
    """

    _closed = True  # until it is made, which ^C may prevent

    def __init__(self, workers: int, name: str) -> None:
        self._workers = workers
        self._name = name
        self._begin()
        _POOLS.add(self)
        self._closed = False

    def _begin(self) -> None:
        # A SimpleQueue may be used in a signal handler that interrupted it, unlike a Queue.
        self._tasks: SimpleQueue[_Task[Any] | None] = SimpleQueue()
        self._threads: list[threading.Thread] = []

    def _rest(self) -> None:
        """End the threads, once they have done what they have begun, unless they have much to do."""
        threads, tasks = self._threads, self._tasks
        if not tasks.empty() or threading.current_thread() in threads:
            return
        self._begin()
        tasks.put(None)
        _join(threads)

    def submit(self, fn: Callable[_P, _T], /, *args: _P.args, **kwargs: _P.kwargs) -> Future[_T]:
        """Submit work; run immediately in the caller if no thread can be started.

        Raises
        ------
        RuntimeError
            After :meth:`shutdown`.
        """
        if self._closed:
            raise RuntimeError("the thread pool was shut down")
        task = _Task(partial(fn, *args, **kwargs))
        if len(self._threads) < self._workers:
            self._start()
        if self._threads:
            self._tasks.put(task)
        else:
            task.run()
            if isinstance(error := task.exception(), Exception | None):
                return task
            raise error  # such as ^C, which came to this thread
        return task

    def _start(self) -> None:
        """Start one more thread, if the system and the interpreter let us."""
        thread = threading.Thread(
            target=_work, args=(self._tasks,), name=f"{self._name}_{len(self._threads)}", daemon=True
        )
        self._threads.append(thread)  # before ^C may come, which leaves a thread that runs
        try:
            thread.start()
        except RuntimeError:
            self._threads.remove(thread)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Shut down after the submitted work is done; without effect the second time."""
        if self._closed:
            return
        self._closed = True
        while cancel_futures and not self._tasks.empty():
            with contextlib.suppress(Empty):
                if (task := self._tasks.get_nowait()) is not None:
                    task.cancel()
        self._tasks.put(None)
        if wait:
            _join(self._threads)

    def __del__(self) -> None:
        self.shutdown(wait=False)


class _Task(Future[_T]):
    """Work that is done once: by a thread, or by the first one who asks for the result."""

    def __init__(self, work: Callable[[], _T]) -> None:
        super().__init__()
        self._work = [work]
        self._process = os.getpid()

    def run(self) -> None:
        """Do the work, unless somebody has begun to."""
        try:
            work = self._work.pop()  # atomic: only one gets it
        except IndexError:
            return
        if not self.set_running_or_notify_cancel():
            return
        try:
            result = work()
        except BaseException as error:  # noqa: BLE001  (handed to whoever asks for the result)
            self.set_exception(error)
            del self  # breaks the cycle of the exception, its traceback, and this frame
        else:
            self.set_result(result)

    def _begun(self) -> None:
        """See to it that waiting comes to an end."""
        self.run()
        if not self.done() and self._process != os.getpid():
            raise RuntimeError("this work runs in a thread of the parent process")

    def result(self, timeout: float | None = None) -> _T:
        self._begun()
        return super().result(timeout)

    def exception(self, timeout: float | None = None) -> BaseException | None:
        self._begun()
        return super().exception(timeout)


def _work(tasks: SimpleQueue[_Task[Any] | None]) -> None:
    while (task := tasks.get()) is not None:
        task.run()
        del task  # an idle thread keeps nothing alive
    tasks.put(None)  # for the next one, however many there are


def _join(threads: Iterable[threading.Thread]) -> None:
    for thread in threads:
        if thread.ident is not None:  # else it was never started
            thread.join()


def _begin_anew_in_child() -> None:
    for pool in _POOLS:
        pool._begin()


os.register_at_fork(after_in_child=_begin_anew_in_child)
