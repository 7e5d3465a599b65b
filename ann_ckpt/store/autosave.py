"""Saves during a simulation; resumes from the newest checkpoint."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import zip_longest
from typing import Any, Protocol, Self

from ann_ckpt.adapters.protocol import CallsBack, Reading, Simulator
from ann_ckpt.adapters.simulators import clock_of
from ann_ckpt.errors import (
    CorruptFileError,
    FileMissingError,
    FormatVersionError,
    MismatchError,
    OptionError,
    PrunedError,
    SimulatorError,
    UnknownFormatError,
    UnsafeFileError,
    printable,
)
from ann_ckpt.model import NetworkState
from ann_ckpt.report import LoadReport, Note
from ann_ckpt.store.catalog import CheckpointInfo, open_inside
from ann_ckpt.store.job import LEAD, Job, environment_seconds
from ann_ckpt.store.pacing import Pace
from ann_ckpt.transfer import load_into

__all__ = [
    "Periodic",
    "Saves",
    "load_newest",
    "save_now",
]

_LOG = logging.getLogger("ann_ckpt")
_DAMAGED = (CorruptFileError, UnsafeFileError, UnknownFormatError, FileMissingError, PrunedError)


class Saves(Protocol):
    """The part of a store that is needed here."""

    reason: str | None
    """Why the save under way happens, for the checkpoint."""

    @property
    def path(self) -> str:
        """The folder."""

    @property
    def saved_step(self) -> int | None:
        """Time step of what this process saved or resumed last."""

    @property
    def busy(self) -> bool:
        """Whether this thread is in the middle of a change of the store."""

    def save(self, network: Any) -> Any:
        """Add a checkpoint."""

    def heed_signals(self) -> None:
        """Leave, if a signal came."""


def save_now(store: Saves, simulator: Simulator, why: str) -> float | None:
    """Save, unless this very step is saved already, and log why.

    Returns
    -------
    float or None
        Seconds that it took; None if there was nothing to do.
    """
    step = clock_of(simulator).time_step
    if step is not None and step == store.saved_step:
        return None
    began = time.perf_counter()
    store.reason = why
    try:
        store.save(simulator)
    finally:
        store.reason = None
    seconds = time.perf_counter() - began
    _LOG.info("saved step %s to %s in %.2f s: %s", step, store.path, seconds, why)
    lead = environment_seconds(LEAD)
    if lead is not None and seconds > lead:
        _LOG.warning(
            "the last save took %.0f s, longer than the %.0f s from the signal to the end of the job; "
            "print the script anew with a longer --lead",
            seconds,
            lead,
        )
    return seconds


class Periodic:
    """Saves whenever it is due, between two steps; a context manager. See :meth:`CheckpointStore.every`.

    Parameters
    ----------
    store : CheckpointStore
        Where to.
    simulator : Simulator
        The live network.
    period : float or None
        Simulated time in ms.
    pace : Pace or None
        When to save by the clock on the wall.
    within : float
        Simulated time in ms between two looks at that clock.

    Raises
    ------
    SimulatorError
        If the simulator offers no callbacks.
    OptionError
        If the period is shorter than a step.
    """

    def __init__(
        self, store: Saves, simulator: Simulator, period: float | None, pace: Pace | None, within: float
    ) -> None:
        if not isinstance(simulator, CallsBack):
            raise SimulatorError(
                f"{simulator.label} does not support calls between steps",
                details={"hint": "call save() between two calls of simulate"},
            )
        dt = clock_of(simulator).dt
        if period is not None and dt is not None and period < dt:
            raise OptionError(f"a period of {period} ms is shorter than a step of {dt} ms")
        self._store = store
        self._simulator = simulator
        self._period = period
        self._pace = pace
        self._steps = 1 if dt is None or period is None else max(1, round(period / dt))
        self._began = self._step()
        self._leave: list[Callable[[], None]] = []
        if period is not None:
            self._leave.append(simulator.call_every(period, self._at_period))
        if pace is not None:
            self._leave.append(simulator.call_every(max(within, dt or 0.0), self._by_clock))

    def _step(self) -> int | None:
        return clock_of(self._simulator).time_step

    def _at_period(self) -> None:
        # Where a run begins there is nothing new: it was built, or resumed from the store.
        if self._step() != self._began:
            self._save(f"every {self._period:g} ms")

    def _by_clock(self) -> None:
        why = self._pace.due() if self._pace is not None and self._step() != self._began else None
        if why is not None:
            self._save(why)

    def _save(self, why: str) -> None:
        seconds = save_now(self._store, self._simulator, why)
        if self._pace is not None:
            self._pace.saved(seconds)
        self._store.heed_signals()  # nothing is unsaved at this moment

    def stop(self) -> None:
        """End the calls; without effect the second time."""
        while self._leave:
            self._leave.pop()()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        self.stop()
        # A simulator may stop exactly where a period ends, without calling again.
        step = self._step()
        if kind is None and self._period is not None and step is not None and step % self._steps == 0:
            self._at_period()


def load_newest(
    simulator: Simulator, infos: Sequence[CheckpointInfo], where: str, *, another_run: bool
) -> tuple[LoadReport, int | None] | None:
    """Load the newest intact checkpoint; None if the store is empty.

    Parameters
    ----------
    simulator : Simulator
        The live, compiled network.
    infos : sequence of CheckpointInfo
        The series, oldest first.
    where : str
        The store, for messages.
    another_run : bool
        Also one that another run saved.

    Returns
    -------
    report, time_step
        Damaged checkpoints that were passed over are among the report's notes.

    Raises
    ------
    CorruptFileError
        If there are checkpoints and all of them are damaged; nothing was changed.
    MismatchError
        If the newest intact one does not fit the network, or is of another run; nothing was changed.
    """
    passed: list[Note] = []
    for info in reversed(infos):
        try:
            with open_inside(info.path) as checkpoint:
                reading = Reading(checkpoint.state(lazy=True))
                if not another_run:
                    _refuse_another_run(simulator, reading.state, checkpoint.provenance, info.path)
                report = load_into(simulator, reading, path=info.path)
                return replace(report, notes=(*passed, *report.notes)), checkpoint.time_step
        except FormatVersionError:
            raise  # intact, and newer than this package: not to be passed over
        except MismatchError as error:
            if error.report is not None:  # what fits is loaded by load, which has options for that
                error.details["hint"] = f"ann_ckpt.load can do more: {error.details.get('hint', '')}"
            raise
        except _DAMAGED as error:
            passed.append(Note(info.name, f"skipped: {error.fact}"))
    if passed:
        raise CorruptFileError(
            "no checkpoint of the store can be loaded",
            details={note.path: note.text for note in passed},
            where=printable(where, 400),
        )
    return None


def _refuse_another_run(
    simulator: Simulator, stored: NetworkState, provenance: Mapping[str, Any], where: str
) -> None:
    live = simulator.read().state
    found = {}
    if None not in (stored.seed, live.seed) and stored.seed != live.seed:
        found["seed"] = f"{stored.seed} in the checkpoint, {live.seed} in this network"
    there, here = Job.from_dict(provenance.get("job")), Job.current()
    tasks = [None if job is None else job.task for job in (there, here)]
    if None not in tasks and tasks[0] != tasks[1]:
        found["task"] = f"{printable(tasks[0], 40)} saved the checkpoint, this is {printable(tasks[1], 40)}"
    found |= _other_texts(stored, live)
    if found:
        raise MismatchError(
            "the newest checkpoint is of another run",
            details=found | {"hint": "another_run=True resumes from it all the same"},
            where=printable(where, 400),
        )


def _other_texts(stored: NetworkState, live: NetworkState) -> dict[str, str]:
    """Return where the equations of the two differ, with the first lines that do."""
    pairs = [
        *(
            (name, population.neuron_type, live.populations[name].neuron_type)
            for name, population in stored.populations.items()
            if name in live.populations
        ),
        *(
            (name, projection.synapse_type, live.projections[name].synapse_type)
            for name, projection in stored.projections.items()
            if name in live.projections
        ),
    ]
    found = {}
    for name, there, here in pairs:
        if there is None or here is None:
            continue
        for part in sorted(there.texts.keys() & here.texts.keys()):
            lines = zip_longest(_lines(there.texts[part]), _lines(here.texts[part]), fillvalue="")
            for one, two in lines:
                if one != two:
                    shown = f"{printable(one)!r} in the checkpoint, {printable(two)!r} in this network"
                    found[printable(f"{name}, {part}", 80)] = shown
                    break
    return found


def _lines(text: str) -> list[str]:
    """Lines without what only lays them out."""
    return [" ".join(words) for line in text.splitlines() if (words := line.split())]
