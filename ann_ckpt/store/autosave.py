"""Saves during a simulation, at a period or on a signal; resumes from the newest checkpoint."""

from __future__ import annotations

import signal
from collections.abc import Callable, Sequence
from dataclasses import replace
from types import FrameType
from typing import Any, Protocol, Self

from ann_ckpt.adapters.protocol import CallsBack, Reading, Simulator
from ann_ckpt.adapters.simulators import clock_of
from ann_ckpt.errors import (
    CorruptFileError,
    FileMissingError,
    FormatVersionError,
    OptionError,
    PrunedError,
    SimulatorError,
    UnknownFormatError,
    UnsafeFileError,
    printable,
)
from ann_ckpt.report import LoadReport, Note
from ann_ckpt.store.catalog import CheckpointInfo, open_inside
from ann_ckpt.transfer import load_into

__all__ = [
    "PREEMPTED",
    "Periodic",
    "SignalWatch",
    "load_newest",
]

PREEMPTED = 75
"""Exit status of a process that saved on a signal and wants to be started again (``EX_TEMPFAIL``)."""
_DAMAGED = (CorruptFileError, UnsafeFileError, UnknownFormatError, FileMissingError, PrunedError)


class _Saves(Protocol):
    """The part of a store that is needed here."""

    @property
    def saved_step(self) -> int | None:
        """Time step of what this process saved or resumed last."""

    def save(self, network: Any) -> Any:
        """Add a checkpoint."""


class _Hooked:
    """Something that is called between steps until it is stopped; a context manager."""

    def __init__(self, store: _Saves, simulator: Simulator, period: float) -> None:
        if not isinstance(simulator, CallsBack):
            raise SimulatorError(
                f"{simulator.label} does not support calls between steps",
                details={"hint": "call save() between two calls of simulate"},
            )
        dt = clock_of(simulator).dt
        if dt is not None and period < dt:
            raise OptionError(f"a period of {period} ms is shorter than a step of {dt} ms")
        self._store = store
        self._simulator = simulator
        self._leave: Callable[[], None] | None = simulator.call_every(period, self._between_steps)

    def _between_steps(self) -> None:
        raise NotImplementedError

    def _at_end(self) -> None:
        """Do what is still to be done when the block ends well."""
        raise NotImplementedError

    def _save_once(self) -> None:
        """Save, unless this very step is saved already."""
        if self._step() != self._store.saved_step:
            self._store.save(self._simulator)

    def _step(self) -> int | None:
        return clock_of(self._simulator).time_step

    def stop(self) -> None:
        """End the calls; without effect the second time."""
        if self._leave is not None:
            self._leave()
            self._leave = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        self.stop()
        if kind is None:
            self._at_end()


class Periodic(_Hooked):
    """Saves whenever the simulated time is a multiple of a period; see :meth:`CheckpointStore.every`."""

    def __init__(self, store: _Saves, simulator: Simulator, period: float) -> None:
        super().__init__(store, simulator, period)
        dt = clock_of(simulator).dt
        self._steps = 1 if dt is None else max(1, round(period / dt))
        self._began = self._step()

    def _between_steps(self) -> None:
        # Where a run begins there is nothing new: it was built, or resumed from the store.
        if self._step() != self._began:
            self._save_once()

    def _at_end(self) -> None:
        # A simulator may stop exactly where a period ends, without calling again.
        step = self._step()
        if step is not None and step % self._steps == 0:
            self._between_steps()


class SignalWatch(_Hooked):
    """Saves and exits after a signal; see :meth:`CheckpointStore.on_signal`."""

    def __init__(
        self,
        store: _Saves,
        simulator: Simulator,
        period: float,
        signals: Sequence[signal.Signals],
        exit_status: int | None,
    ) -> None:
        super().__init__(store, simulator, period)
        self._exit_status = exit_status
        self._came = False
        self._before: dict[signal.Signals, Any] = {}
        try:
            for number in signals:
                self._before[number] = signal.signal(number, self._note)
        except BaseException:
            self.stop()
            raise

    def _note(self, _number: int, _frame: FrameType | None) -> None:
        """Take note, and nothing else: the network may be in the middle of a step."""
        self._came = True

    def _between_steps(self) -> None:
        if self._came:
            self._came = False
            self._save_once()
            if self._exit_status is not None:
                raise SystemExit(self._exit_status)

    def _at_end(self) -> None:
        self._between_steps()

    def stop(self) -> None:
        """Stop the calls and restore the previous signal handlers."""
        super().stop()
        while self._before:
            signal.signal(*self._before.popitem())


def load_newest(
    simulator: Simulator, infos: Sequence[CheckpointInfo], where: str
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

    Returns
    -------
    report, time_step
        Damaged checkpoints that were passed over are among the report's notes.

    Raises
    ------
    CorruptFileError
        If there are checkpoints and all of them are damaged; nothing was changed.
    MismatchError
        If the newest intact one does not fit the network; nothing was changed.
    """
    passed: list[Note] = []
    for info in reversed(infos):
        try:
            with open_inside(info.path) as checkpoint:
                reading = Reading(checkpoint.state(lazy=True))
                report = load_into(simulator, reading, path=info.path)
                return replace(report, notes=(*passed, *report.notes)), checkpoint.time_step
        except FormatVersionError:
            raise  # intact, and newer than this package: not to be passed over
        except _DAMAGED as error:
            passed.append(Note(info.name, f"skipped: {error.fact}"))
    if passed:
        raise CorruptFileError(
            "no checkpoint of the store can be loaded",
            details={note.path: note.text for note in passed},
            where=printable(where, 400),
        )
    return None
