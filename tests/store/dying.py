"""A process that dies at a chosen system call, played in this one.

After its last moment nothing that it still tries has an effect: neither clean-up code
nor finalizers get through, as after SIGKILL.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any
from unittest import mock

from ann_ckpt import CheckpointStore
from ann_ckpt.store.owners.lock import FileLock

# Everything that changes what is on the disk, apart from what HDF5 writes into temporary files.
CALLS = ("fsync", "link", "mkdir", "rename", "replace", "unlink", "ftruncate", "pwrite")


class Killed(BaseException):
    """The process is dead."""


class Mortal:
    """Counts the calls, and dies at one of them."""

    def __init__(self, after: int | None = None) -> None:
        self.after = after
        self.calls = 0

    @property
    def dead(self) -> bool:
        return self.after is not None and self.calls > self.after

    def wrap(self, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            if not fills_a_temporary_file(real, args):
                self.calls += 1
                if self.dead:
                    raise Killed
            return real(*args, **kwargs)

        return call


def fills_a_temporary_file(real: Callable[..., Any], args: tuple[Any, ...]) -> bool:
    """Whether a call writes what HDF5 has for a file without a name."""
    writes = real.__name__ in ("pwrite", "ftruncate")
    return writes and Path(f"/proc/self/fd/{args[0]}").readlink().suffix == ".tmp"


@contextlib.contextmanager
def dying(store: CheckpointStore, after: int | None) -> Iterator[Mortal]:
    """Let what happens inside the block end at its ``after``-th system call, if it comes so far.

    Then the store is left as a dead process leaves it: the system closes its files, and
    with them its locks, and nobody removes anything.
    """
    mortal = Mortal(after)
    taken: list[FileLock] = []
    acquire = FileLock.acquire

    def noted(lock: FileLock, **options: Any) -> bool:
        taken.append(lock)
        return acquire(lock, **options)

    with contextlib.ExitStack() as stack:
        stack.enter_context(mock.patch.object(FileLock, "acquire", noted))
        for name in CALLS:
            stack.enter_context(mock.patch.object(os, name, mortal.wrap(getattr(os, name))))
        with contextlib.suppress(Killed):
            yield mortal
        if mortal.dead:
            bury(store, taken)


def bury(store: CheckpointStore, taken: Iterable[FileLock] = ()) -> None:
    """Close what the system closes when a process ends, without a word to the disk.

    Parameters
    ----------
    taken : iterable of FileLock
        Locks that were taken besides those of the store and its session.
    """
    session = store._session
    session._members.clear()
    session._begin()
    for lock in (session._lock, store._change, *taken):
        if lock.held:
            lock.forget()
    store._joined = None
    if store._writer is not None:
        store._writer.close()
        store._writer = None
    store._background = None
