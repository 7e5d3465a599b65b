"""Processes that save, prune or read in a loop until somebody kills them."""

from __future__ import annotations

import contextlib
import os
import random
import sys
import threading
import time
import traceback
from collections.abc import Callable
from pathlib import Path

import numpy as np

import ann_ckpt
from ann_ckpt import Checkpoint, CheckpointStore, Retention, differences
from ann_ckpt.errors import ClosedCheckpointError, FileMissingError, NotWritableError, PrunedError
from tests.store.runs import ROWS, state

SCALE = 2

Say = Callable[[object], None]


def save(path: str, first: int, say: Say, *, retention: bool = False, background: bool = False) -> None:
    """Save from step ``first`` on, and say each step once its save has returned."""
    rules = Retention(keep_last=3, keep_every=16) if retention else None
    with CheckpointStore(path, "a", retention=rules) as store:
        for step in range(first, sys.maxsize):
            store.save(state(step, scale=SCALE), background=background)
            say(step)


STEPS = 20
"""That each of several processes saves together."""


def save_together(path: str, first: int, say: Say, rank: int, ranks: int) -> None:
    """Save one process's part of each of the next steps."""
    with CheckpointStore(path, "a", rank=rank, ranks=ranks, retention=Retention(keep_last=STEPS)) as store:
        for step in range(first, first + STEPS):
            store.save(state(step, scale=1).part(rank, ranks), background=step % 3 == 0)
            say(step)
    say("done")


def fork(path: str, first: int, say: Say) -> None:
    """Leave every save to a forked child; say which child, and each step once it is known to be saved."""
    with CheckpointStore(path, "a", retention=Retention(keep_last=3)) as store:
        for step in range(first, sys.maxsize):
            pending = store.save_in_background(state(step), way="fork")
            say(f"child {Path(f'/proc/self/task/{os.getpid()}/children').read_text()}")
            with contextlib.suppress(NotWritableError):  # somebody killed the child
                pending.wait()
                say(f"saved {step}")


def prune(path: str, say: Say) -> None:
    """Prune beside whoever saves, and say how many checkpoints went each time."""
    while True:
        with CheckpointStore(path, "prune") as store:
            say(len(store.prune(keep_last=4, keep_every=16).removed))


def read(path: str, say: Say) -> None:
    """Read the newest checkpoint, and say its step if it is what was saved."""
    while True:
        found = ann_ckpt.read(path)
        assert found.time_step is not None
        assert not list(differences(found, state(found.time_step, scale=SCALE)))
        say(found.time_step)


def hold(path: str, say: Say) -> None:
    """Begin to read any checkpoint, wait until it is pruned or for a while, and read the rest."""
    while True:
        store = CheckpointStore(path)
        try:
            checkpoint = store[random.randrange(len(store))]
            np.asarray(checkpoint.projections["ff"]["w"])
        except (IndexError, FileMissingError, PrunedError):
            continue  # it went before anything was read
        with checkpoint:
            step = checkpoint.time_step
            for _ in range(30):
                if str(step) not in store:
                    break
                time.sleep(0.01)
            pruned = str(step) not in store
            assert step is not None
            assert not list(differences(checkpoint.state(), state(step, scale=SCALE)))
            say("pruned" if pruned else "there")


def threads(path: str, say: Say) -> None:
    """Read parts of checkpoints on four threads, while one more opens them and closes them meanwhile."""
    now: list[Checkpoint | None] = [None]
    failed: list[BaseException] = []

    def read_parts() -> None:
        numbers = random.Random(threading.get_ident())
        while not failed:
            checkpoint = now[0]
            try:
                if checkpoint is not None:
                    say(_part(checkpoint, numbers))
            except (ClosedCheckpointError, PrunedError):
                continue  # somebody closed it, or it went before anything was read
            except BaseException as error:  # noqa: BLE001  whatever it is, the test reads it
                failed.append(error)

    readers = [threading.Thread(target=read_parts, daemon=True) for _ in range(4)]
    for reader in readers:
        reader.start()
    while not failed:
        store = CheckpointStore(path)
        with contextlib.suppress(IndexError, FileMissingError), store[-1 - random.randrange(2)] as checkpoint:
            now[0] = checkpoint
            time.sleep(random.random() / 20)
    raise failed[0]


def _part(checkpoint: Checkpoint, numbers: random.Random) -> int:
    """Read some part of a checkpoint and hold it against what was saved; return its step."""
    step = checkpoint.time_step
    assert step is not None
    expected = state(step, scale=SCALE).projections["ff"]
    found = checkpoint.projections["ff"]
    if numbers.random() < 0.5:
        start = numbers.randrange(expected.n_synapses)
        part = slice(start, start + numbers.randrange(20_000))
        assert np.array_equal(found["w"][part], np.asarray(expected["w"])[part])
    else:
        rank = 2 * numbers.randrange(ROWS)
        one, other = found.dendrite(rank), expected.dendrite(rank)
        assert np.array_equal(one["w"], other["w"])
        assert np.array_equal(one.pre_ranks, other.pre_ranks)
    return step


ROLES: dict[str, Callable[[str, int, Say], None]] = {
    "plain": save,
    "retention": lambda path, first, say: save(path, first, say, retention=True),
    "background": lambda path, first, say: save(path, first, say, background=True),
    "fork": fork,
    "prune": lambda path, _, say: prune(path, say),
    "read": lambda path, _, say: read(path, say),
    "hold": lambda path, _, say: hold(path, say),
    "threads": lambda path, _, say: threads(path, say),
}


def run(path: str, log: str, role: str, first: int) -> None:
    """Play a role; what is said goes to the file ``log``, a line at a time."""
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def say(word: object) -> None:
        os.write(descriptor, f"{word}\n".encode())

    try:
        if role.startswith("rank"):
            save_together(path, first, say, *map(int, role.split("-")[1::2]))
        else:
            ROLES[role](path, first, say)
    except BaseException:  # noqa: BLE001  whatever it is, the test reads it
        os.write(descriptor, f"FAILED\n{traceback.format_exc()}".encode())
        os._exit(1)
    os._exit(0)
