"""How long a simulation stands still for a checkpoint, while everything changes from step to step.

The time of a contender is that of the call. Beside it: how long until the checkpoint is on disk while the
simulation goes on, the memory that takes on top, and how long a step takes meanwhile.
"""

from __future__ import annotations

import os
import pickle
import time
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from ann_ckpt import CheckpointStore, NetworkState, PopulationState
from benchmarks import ours
from benchmarks.brian import PlasticNetwork
from benchmarks.harness import Case, Contender, Goal, Measured, Role, Scale, flush
from benchmarks.live import LiveNetwork

__all__ = ["cases"]

_ARRAYS = 8
_MANY = 1 << 30
"""Bytes of arrays at full scale, at the least."""
_MOST_OF_BRIAN = 4_000_000
_MOST_STEPS = 100
"""So often the weights of the live network change by more than a rounding error."""
_ALONE = 1.0
"""Seconds of steps without a save, beside which the others stand."""

_FORK = "limit: fork"
"""A child that ends at once; the steps after it are those while nothing is saved."""
_PLAIN = ours.NAMES["auto"]
_FORKED = "ann_ckpt in the background, forked"
_COPYING = "ann_ckpt in the background, copying"
_PICKLE = "pickle"
_FORK_PICKLE = "fork and pickle"

Ended = Callable[[], bool]
"""Whether what was begun has ended; raises if it failed."""


class Simulation(Protocol):
    """Something that runs and is saved."""

    @property
    def saved(self) -> Any:
        """What a store is given."""

    def step(self) -> None:
        """Go on a little; everything changes."""

    def renew(self) -> None:
        """Get ready for some more steps."""

    def pickle(self, path: Path) -> None:
        """Write everything as its users do without us."""


class Arrays:
    """Some arrays of random numbers."""

    def __init__(self, nbytes: int) -> None:
        rng = np.random.default_rng(7)
        self._arrays = {f"p{i}": rng.random(nbytes // 8 // _ARRAYS) for i in range(_ARRAYS)}
        self._next = 0

    @property
    def saved(self) -> NetworkState:
        return NetworkState(
            populations=[PopulationState(n, a.shape, variables={"r": a}) for n, a in self._arrays.items()],
            time_step=self._next,
        )

    def step(self) -> None:
        self._next += 1
        array = self._arrays[f"p{self._next % _ARRAYS}"]
        np.multiply(array, 0.999, out=array)

    def renew(self) -> None:
        for _ in range(_ARRAYS):
            self.step()

    def pickle(self, path: Path) -> None:
        with path.open("wb") as file:
            pickle.dump(self._arrays, file, protocol=5)


class Live:
    """A compiled network of ANNarchy."""

    def __init__(self, synapses: int, folder: Path, *, instrumented: bool, threads: int) -> None:
        self._made = LiveNetwork(synapses, instrumented=instrumented, folder=folder, threads=threads)
        self.saved = self._made.network
        self._steps = 0

    def step(self) -> None:
        self._steps += 1
        self.saved.simulate(1.0)

    def renew(self) -> None:
        if self._steps > _MOST_STEPS:
            self._made.fill(self._made.values)
            self._steps = 0
        self.step()

    def pickle(self, path: Path) -> None:
        self.saved.save(str(path.with_suffix(".data")))
        path.with_suffix(".data").rename(path)


class Brian:
    """A network of Brian2."""

    def __init__(self, synapses: int) -> None:
        self._made = PlasticNetwork(synapses)
        self.saved = self._made.network

    def step(self) -> None:
        from brian2 import ms

        self.saved.run(0.1 * ms)
        self._made.decay()

    def renew(self) -> None:
        self.step()

    def pickle(self, path: Path) -> None:
        self.saved.store(filename=str(path))


def cases(scale: Scale) -> list[Case]:
    """Pauses of arrays, and of live networks by synapses, compiled plainly and with our bindings."""
    sizes, goals = scale.synapses, scale.name == "full"
    nbytes = max(scale.nbytes, _MANY if goals else 0)
    found = [
        _case(
            f"pause/arrays-{nbytes >> 20}-MiB",
            "arrays",
            lambda _: Arrays(nbytes),
            nbytes=nbytes,
            goal=goals,
        )
    ]
    found += [
        _case(
            f"pause/{how}-{synapses}-synapses-{threads}-threads",
            f"ANNarchy, {how}, {synapses:,} synapses, threads: {threads}",
            partial(_live, synapses, how == "instrumented", threads),
            ("ANNarchy",),
            nbytes=16 * synapses,
            goal=goals and how == "instrumented" and synapses == max(sizes),
            series=f"{how}, threads: {threads}",
            x=synapses,
        )
        for how in ("plain", "instrumented")
        for threads in (1, 2)
        for synapses in (sizes if threads == 2 else sizes[2:])  # one thread: of the largest, at full scale
    ]
    found += [
        _case(
            f"brian2-pause/{synapses}-synapses",
            f"Brian2, {synapses:,} synapses",
            partial(_brian, synapses),
            ("brian2",),
            nbytes=32 * synapses,
        )
        for synapses in sizes
        if synapses <= _MOST_OF_BRIAN
    ]
    return found


def _live(synapses: int, instrumented: bool, threads: int, folder: Path) -> Simulation:
    return Live(synapses, folder, instrumented=instrumented, threads=threads)


def _brian(synapses: int, _: Path) -> Simulation:
    return Brian(synapses)


def _case(
    key: str,
    title: str,
    make: Callable[[Path], Simulation],
    needs: tuple[str, ...] = (),
    *,
    nbytes: int,
    goal: bool = False,
    series: str = "",
    x: float | None = None,
) -> Case:
    heading = "How long the simulation stands still"
    twentieth = Goal(text="at most a twentieth of the plain save", what=_FORKED, over=_PLAIN, at_most=0.05)
    return Case(
        key,
        f"{heading}: {title}, everything changes",
        partial(_contenders, make, needs),
        nbytes=nbytes,
        writes=True,
        goals=(twentieth,) if goal else (),
        series=f"{heading}: {series}" if series else "",
        axis="synapses" if series else "",
        x=x,
    )


def _contenders(make: Callable[[Path], Simulation], needs: tuple[str, ...], folder: Path) -> list[Contender]:
    made = cache(lambda: make(folder))
    store = cache(lambda: CheckpointStore(folder / "run.ckpt", "a"))
    pickled = folder / "pickled"

    def saves(background: str | None) -> Ended:
        if background is None:
            store().save(made().saved)
            return lambda: True
        pending = store().save(made().saved, background=background)
        return lambda: pending.done and bool(pending.wait())

    def pickles() -> None:
        made().pickle(pickled)
        flush(pickled)

    def plain_pickle() -> Ended:
        pickles()
        return lambda: True

    def fork() -> Ended:
        ended, until = _forked(lambda: None), time.perf_counter() + _ALONE
        return lambda: time.perf_counter() >= until and ended()

    ways: dict[str, tuple[Role, Callable[[], Ended]]] = {
        _FORK: (Role.LIMIT, fork),
        _PLAIN: (Role.OURS, partial(saves, None)),
        _FORKED: (Role.OURS, partial(saves, "fork")),
        _COPYING: (Role.OURS, partial(saves, "copy")),
        _PICKLE: (Role.PEER, plain_pickle),
        _FORK_PICKLE: (Role.PEER, partial(_forked, pickles)),
    }

    def before() -> None:
        made().renew()
        if not len(store()):
            store().save(made().saved)
            made().renew()

    def after() -> None:
        store().prune(keep_last=1)
        pickled.unlink(missing_ok=True)

    return [
        Contender(
            name,
            lambda way=way: _measured(way, made()),
            role=role,
            before=before,
            after=after,
            needs=needs,
            memory=False,
        )
        for name, (role, way) in ways.items()
    ]


def _measured(way: Callable[[], Ended], simulation: Simulation) -> Measured:
    """Save while the simulation goes on."""
    resident = most = _memory()
    began = time.perf_counter()
    ended = way()
    stall = time.perf_counter() - began
    steps = []
    while not ended():
        begins = time.perf_counter()
        simulation.step()
        steps.append(time.perf_counter() - begins)
        most = max(most, _memory())
    beside = {"until on disk": time.perf_counter() - began}
    if steps:
        beside["a step meanwhile"] = sum(steps) / len(steps)
    return Measured(stall, most - resident, beside)


def _forked(work: Callable[[], None]) -> Ended:
    """Let a child do something, with the memory as it is now."""
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            work()
            status = 0
        finally:
            os._exit(status)

    def ended() -> bool:
        found, status = os.waitpid(pid, os.WNOHANG)
        if found and status:
            raise ChildProcessError(f"the child ended with status {status}")
        return found == pid

    return ended


def _memory() -> int:
    """Bytes of this process and its children together; pages that they share count once."""
    children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    return sum(map(_own, ["self", *children]))


def _own(pid: str) -> int:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return 0  # it has ended
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:")), 0)
