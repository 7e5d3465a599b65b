"""Processes that save, prune or read in a loop until somebody kills them."""

from __future__ import annotations

import os
import random
import sys
import time
import traceback
from collections.abc import Callable

import numpy as np

import ann_ckpt
from ann_ckpt import CheckpointStore, Retention, differences
from ann_ckpt.errors import FileMissingError, PrunedError
from tests.store.runs import state

SCALE = 2

Say = Callable[[object], None]


def save(path: str, first: int, say: Say, *, retention: bool = False, background: bool = False) -> None:
    """Save from step ``first`` on, and say each step once its save has returned."""
    rules = Retention(keep_last=3, keep_every=16) if retention else None
    with CheckpointStore(path, "a", retention=rules) as store:
        for step in range(first, sys.maxsize):
            store.save(state(step, scale=SCALE), background=background)
            say(step)


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


ROLES: dict[str, Callable[[str, int, Say], None]] = {
    "plain": save,
    "retention": lambda path, first, say: save(path, first, say, retention=True),
    "background": lambda path, first, say: save(path, first, say, background=True),
    "prune": lambda path, _, say: prune(path, say),
    "read": lambda path, _, say: read(path, say),
    "hold": lambda path, _, say: hold(path, say),
}


def run(path: str, log: str, role: str, first: int) -> None:
    """Play a role; what is said goes to the file ``log``, a line at a time."""
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def say(word: object) -> None:
        os.write(descriptor, f"{word}\n".encode())

    try:
        ROLES[role](path, first, say)
    except BaseException:  # noqa: BLE001  whatever it is, the test reads it
        os.write(descriptor, f"FAILED\n{traceback.format_exc()}".encode())
        os._exit(1)
