"""What workers do with stores: a plastic network that saves as it runs, is killed, and goes on."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import ann_ckpt
import ann_ckpt.annarchy
from ann_ckpt import CheckpointStore
from tests.live.exact_networks import DRIFT, NOISY
from tests.live.lab import Lab, ann, connect
from tests.store.dying import CALLS

PERIOD = 50.0
"""Milliseconds between two checkpoints."""
LENGTH = 1000.0
"""Milliseconds of the whole run."""
DOOMED = 12
"""The save that is counted, or interrupted."""


def plastic(seed: int, threads: int = 1) -> Lab:
    """Return a noisy network that learns, compiled, with weights enough for objects of a store."""
    lab = Lab(dt=1.0, seed=seed)
    lab.network.config(num_threads=threads)
    neuron = ann.Neuron(**NOISY)
    source, sink = lab.population("source", (10, 10), neuron), lab.population("sink", 60, neuron)
    drawn = {"weights": lab.uniform(0.0, 0.5), "delays": lab.uniform(1.0, 6.0)}
    learning = lab.projection("learning", source, sink, "exc", ann.Synapse(**DRIFT))
    connect(learning, "fixed_probability", 0.7, **drawn)
    connect(lab.projection("back", sink, source, "exc", ann.Oja), "all_to_all", weights=0.1, delays=3.0)
    with ann_ckpt.annarchy.instrument():
        lab.compile(Path(os.environ["LIVE_COMPILED"]) / f"store-plastic-{threads}")
    return lab


class Counted:
    """Counts the calls that change the disk, and may kill the process at one of them."""

    def __init__(self, last: int | None) -> None:
        self.last = last
        self.calls = 0

    @contextlib.contextmanager
    def watching(self) -> Iterator[None]:
        with contextlib.ExitStack() as stack:
            for name in CALLS:
                stack.enter_context(mock.patch.object(os, name, self._wrap(getattr(os, name))))
            yield

    def _wrap(self, real: Any) -> Any:
        def call(*args: Any, **kwargs: Any) -> Any:
            if self.calls == self.last:
                os.kill(os.getpid(), signal.SIGKILL)
            self.calls += 1
            return real(*args, **kwargs)

        return call


class Watched(CheckpointStore):
    """A store that lets one of its saves be watched."""

    def __init__(self, path: str, last: int | None = None) -> None:
        super().__init__(path, "a")
        self.saves = 0
        self.counted = Counted(last)

    def save(self, *args: Any, **kwargs: Any) -> Any:
        self.saves += 1
        with self.counted.watching() if self.saves == DOOMED else contextlib.nullcontext():
            return super().save(*args, **kwargs)


def straight(path: str, ended: str) -> int:
    """Run without interruption; answer how many calls changed the disk during one save."""
    lab = plastic(1)
    with Watched(path) as store, store.every(PERIOD, network=lab.network):
        lab.network.simulate(LENGTH)
    ann_ckpt.save(ended, network=lab.network)
    return store.counted.calls


def killed(path: str, last: int) -> int:
    """Run until the process is killed in the middle of a save; answer how it ended."""
    child = os.fork()
    if child == 0:
        try:
            lab = plastic(1)
            with Watched(path, last) as store, store.every(PERIOD, network=lab.network):
                lab.network.simulate(LENGTH)
        finally:
            os._exit(1)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def resumed(path: str, ended: str) -> tuple[int | None, list[str]]:
    """Go on where the newest checkpoint stands; answer its step and what the load had to say."""
    lab = plastic(2)
    with CheckpointStore(path, "a") as store:
        report = store.resume(lab.network, another_run=True)
        step = store.saved_step
        with store.every(PERIOD, network=lab.network):
            lab.network.simulate(LENGTH - (step or 0))
    ann_ckpt.save(ended, network=lab.network)
    return step, [] if report is None else [str(note) for note in report.notes]


def forked(path: str, inline: str, threads: int, period: float) -> tuple[int, list[str]]:
    """Simulate on while children save, and once more without; answer how many saves there were, and why."""
    ways: list[str] = []

    class Noted(CheckpointStore):
        """A store that notes who saves."""

        def save(self, *args: Any, **kwargs: Any) -> Any:
            pending = super().save(*args, **kwargs)
            ways.append(pending.because or pending.way)
            return pending

    lab = plastic(1, threads)
    begin = Path(path).with_name("begin.h5")
    ann_ckpt.save(begin, network=lab.network)
    with Noted(path, "a") as store, store.every(period, network=lab.network, background=True):
        lab.network.simulate(LENGTH)
    ann_ckpt.load(begin, network=lab.network)
    with CheckpointStore(inline, "a") as store, store.every(period, network=lab.network):
        lab.network.simulate(LENGTH)
    return len(ways), sorted(set(ways))
