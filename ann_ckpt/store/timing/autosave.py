"""Saves while simulating: periodically, by the clock, or when a signal arrives; resuming a run."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import sys
import time
import weakref
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from contextlib import nullcontext, suppress
from numbers import Real
from types import FrameType
from typing import Any, Literal, NoReturn, Self

from ann_ckpt.adapters.protocol import CallsBack, Simulator
from ann_ckpt.adapters.simulators import clock_of, identity_of, simulator_for
from ann_ckpt.arguments import check_flags
from ann_ckpt.arguments import duration as milliseconds
from ann_ckpt.errors import OptionError, SimulatorError, printable
from ann_ckpt.report import LoadReport
from ann_ckpt.store.owners.job import LEAD, duration, environment_seconds
from ann_ckpt.store.pruning import Upkeep
from ann_ckpt.store.saving.background import InBackground
from ann_ckpt.store.timing.pacing import Pace
from ann_ckpt.store.timing.resuming import load_newest

__all__ = [
    "Autosaving",
    "Periodic",
    "SignalWatch",
]

_LOG = logging.getLogger("ann_ckpt")
_PREEMPTED = 75
"""Exit status of a process that saved on a signal and wants to be started again (``EX_TEMPFAIL``)."""


class Autosaving(Upkeep, ABC):
    """Base of stores: what they do for a network that is being simulated."""

    def __init__(self, path: str | os.PathLike[str], *, writable: bool, wait: float | None = None) -> None:
        super().__init__(path, writable=writable, wait=wait)
        self.saved_step: int | None = None
        """Time step of what was saved or resumed last through this object."""
        self._saved_of: Callable[[], object] | None = None
        """Of which live network all was saved then, as long as there is that network."""
        self.monitors = False
        """Whether saves keep what monitors hold, and resuming lets them go on from there."""
        self.reason: str | None = None
        """Why the save under way happens, for the checkpoint."""
        self._watches: list[SignalWatch] = []

    @abstractmethod
    def save(self, network: Any = None, *, background: Any = False) -> Any:
        """Add a checkpoint."""

    @property
    @abstractmethod
    def busy(self) -> bool:
        """Whether this thread is in the middle of a change of the store."""

    @abstractmethod
    def _check_writer(self) -> Any:
        """Raise if this store object may not save."""

    @abstractmethod
    def settle(self) -> None:
        """Wait for a save in the background; raise what it raised."""

    def every(
        self,
        period: float | None = None,
        *,
        minutes: float | None = None,
        overhead: float | None = None,
        walltime: str | float | None = None,
        network: Any = None,
        net_id: int = 0,
        within: float = 10.0,
        background: Literal["fork", "copy"] | bool = False,
    ) -> Periodic:
        """Save again and again from now on; whichever rule is given first says so, saves.

        The simulator's own callbacks do it (ANNarchy's ``every``, which calls during
        ``simulate``). Nothing is saved where the run begins or was resumed. Why each save
        happened is logged (logger ``ann_ckpt``, level INFO) and stands in the provenance of the
        checkpoint as ``saved``.

        Parameters
        ----------
        period : float, optional
            Save whenever the simulated time is a multiple of so many ms.
        minutes : float, optional
            Save when so much time has passed on the clock since the last save.
        overhead : float, optional
            Share of the time that the saves may take, such as 0.02: save as often as that allows, judged
            by what the saves before took.
        walltime : str or float, optional
            How long the process may run from now on, ``"24:00:00"``, ``"90min"`` or seconds: save
            before that is over. Within a batch job that says how much time it has left, that
            counts instead, and is asked for with ``minutes`` and ``overhead``, too.
        network : optional
            The live network; default is the simulator's global one.
        net_id : int
            Number of the network, for simulators that keep them globally (ANNarchy 4).
        within : float
            Simulated time in ms between two looks at the clock.
        background : bool or {"fork", "copy"}
            Simulate on while a checkpoint is written, as for :meth:`save`. Of a save that fails you hear
            when the next one is due, or at the end.

        Returns
        -------
        Periodic
            Its ``stop()`` ends it; so does the end of a ``with`` block, which also saves
            if the run has just come to the end of a period.

        Raises
        ------
        SimulatorError
            If the simulator offers no callbacks.
        OptionError
            If no rule is given, or one is out of its range.
        """
        self._check_writer()
        by_clock = not minutes is overhead is walltime is None
        if period is None and not by_clock:
            raise OptionError(
                "no time to save is given",
                details={"expected": "a period, minutes=, overhead= or walltime="},
            )
        InBackground.asked_for(background, None)
        seconds = None if walltime is None else duration(walltime)
        pace = Pace(minutes=minutes, overhead=overhead, walltime=seconds) if by_clock else None
        simulator = simulator_for(network, net_id)
        made = Periodic(self, simulator, period, pace, within, background)
        self._know(simulator)
        return made

    def on_signal(
        self,
        *signals: signal.Signals,
        network: Any = None,
        net_id: int = 0,
        within: float = 10.0,
        exit_status: int | None = _PREEMPTED,
    ) -> SignalWatch:
        """Save and exit when a signal arrives, as batch systems send before they kill a job.

        Called right after the store is opened, it listens until the store is closed. As long as
        no network is known there is nothing to save, and the process exits at once. The network becomes
        known by ``network=``, :meth:`resume` or :meth:`every`; from then on a signal only
        sets a flag, and what is under way, such as a save, comes to its end. The flag is looked at
        between two steps, by :meth:`checkpoint_if_asked`, and at the end of the block or the
        store; then what is unsaved is saved, one line on standard error says so, and the process exits.

        Parameters
        ----------
        *signals : signal.Signals
            Default are SIGTERM and SIGUSR1.
        network : optional
            The live network, if there is one already.
        net_id : int
            Number of the network, for simulators that keep them globally (ANNarchy 4).
        within : float
            Simulated time in ms between two looks; each look interrupts the simulator.
        exit_status : int or None
            What the job script will see; None goes on simulating after saving.

        Returns
        -------
        SignalWatch
            Its ``stop()`` gives the signals back; so does the end of a ``with`` block, or of the store.

        Raises
        ------
        OptionError
            If this is not the main thread, or ``within`` is no number of ms.
        """
        self._check_writer()
        watch = SignalWatch(self, signals or (signal.SIGTERM, signal.SIGUSR1), within, exit_status)
        self._watches = [*(other for other in self._watches if other.listening), watch]
        with suppress(SimulatorError) if network is None else nullcontext():
            watch.attach(simulator_for(network, net_id))
        return watch

    def checkpoint_if_asked(self, network: Any = None, *, net_id: int = 0) -> None:
        """Save what is unsaved and exit if a signal came; else do nothing.

        For places between two calls of ``simulate``, and for simulators that do not call back
        between steps.

        Parameters
        ----------
        network : optional
            The live network; default is the one that was resumed or is saved from.
        net_id : int
            Number of the network, for simulators that keep them globally (ANNarchy 4).

        Raises
        ------
        OptionError
            If no signal handler is installed; :meth:`on_signal` does.
        """
        self._check_writer()
        if not any(watch.listening for watch in self._watches):
            raise OptionError("no signal handler is installed", details={"hint": "call on_signal() first"})
        if network is not None:
            self._know(simulator_for(network, net_id))
        self.heed_signals()

    def heed_signals(self) -> None:
        """Save what is unsaved and exit, if a signal came; the network must be between two steps."""
        for watch in self._watches:
            watch.look()

    def _has_saved(self, simulator: Simulator, step: int | None) -> bool:
        """Whether what was saved last is all of this network at this step."""
        if step is None or step != self.saved_step or self._saved_of is None:
            return False
        return self._saved_of() is identity_of(simulator)

    def _saved(self, step: int | None, simulator: Simulator | None) -> None:
        """Take note of what was saved or resumed.

        Parameters
        ----------
        simulator : Simulator or None
            None if it was not all of a live network.
        """
        self.saved_step, self._saved_of = step, None
        if simulator is not None:
            network = identity_of(simulator)
            try:
                self._saved_of = weakref.ref(network)
            except TypeError:  # made of what cannot be referred to weakly
                self._saved_of = lambda: network

    def _know(self, simulator: Simulator) -> None:
        """Tell those who listen to signals which network there is to save."""
        for watch in self._watches:
            if not watch.attached:
                watch.attach(simulator)

    def resume(self, network: Any = None, *, net_id: int = 0, another_run: bool = False) -> LoadReport | None:
        """Load the newest intact checkpoint into a live network, if it is of the same run.

        Parameters
        ----------
        network : optional
            The live network; default is the simulator's global one.
        net_id : int
            Number of the network, for simulators that keep them globally (ANNarchy 4).
        another_run : bool
            Also from a checkpoint of a network with another seed or other equations, or of another
            task of an array of jobs.

        Returns
        -------
        LoadReport or None
            None if the store is empty: the run begins. Damaged checkpoints that were
            passed over are among the report's notes.

        Raises
        ------
        CorruptFileError
            If there are checkpoints and none is intact.
        MismatchError
            If the network is another one, or the run is and ``another_run`` does not allow it; nothing
            was changed.
        """
        check_flags(another_run=another_run)
        self.settle()
        simulator = simulator_for(network, net_id)
        found = load_newest(
            simulator,
            self._catalog.newest_first(),
            self.path,
            another_run=another_run,
            monitors=self.monitors,
        )
        report = None
        if found is not None:
            report, step = found
            self._saved(step, simulator)
        self._know(simulator)
        return report


def _save_now(
    store: Autosaving,
    simulator: Simulator,
    why: str,
    background: Literal["fork", "copy"] | bool = False,
) -> float | None:
    """Save, unless this very step is saved already, and log why.

    Returns
    -------
    float or None
        Seconds that the caller waited; None if there was nothing to do.
    """
    step = clock_of(simulator).time_step
    if store._has_saved(simulator, step):
        store.settle()  # it may still be on its way
        return None
    began = time.perf_counter()
    store.reason = why
    try:
        store.save(simulator, background=background)
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
    background : bool or {"fork", "copy"}
        As for :meth:`CheckpointStore.save`.

    Raises
    ------
    SimulatorError
        If the simulator offers no callbacks.
    OptionError
        If the period is shorter than a step, or it or ``within`` is no number of ms.
    """

    def __init__(
        self,
        store: Autosaving,
        simulator: Simulator,
        period: float | None,
        pace: Pace | None,
        within: float,
        background: Literal["fork", "copy"] | bool = False,
    ) -> None:
        if not isinstance(simulator, CallsBack):
            raise SimulatorError(
                f"{simulator.label} does not support calls between steps",
                details={"hint": "call save() between two calls of simulate"},
            )
        dt = clock_of(simulator).dt
        if period is not None and not isinstance(period, Real):
            raise OptionError("a period is a plain number of ms", details={"found": printable(period)})
        if period is not None:
            milliseconds("period", period)
        within = milliseconds("within", within)
        if period is not None and dt is not None and period < dt:
            raise OptionError(f"a period of {period} ms is shorter than a step of {dt} ms")
        self._store = store
        self._simulator = simulator
        self._period = period
        self._pace = pace
        self._background = background
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
        seconds = _save_now(self._store, self._simulator, why, self._background)
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
        if kind is not None:
            return
        # A simulator may stop exactly where a period ends, without calling again.
        step = self._step()
        if self._period is not None and step is not None and step % self._steps == 0:
            self._at_period()
        self._store.settle()


def _in_use(handler: Any, number: int) -> Any:
    """Return a handler, or, if it is that of a watch that has ended, what was there before it."""
    while isinstance(watch := getattr(handler, "__self__", None), SignalWatch) and not watch.listening:
        handler = watch._before[number]
    # What C code has set can neither be called nor set again.
    return signal.SIG_DFL if handler is None else handler


class SignalWatch:
    """Listens to signals; see :meth:`CheckpointStore.on_signal`.

    Until it knows the network, nothing can be unsaved, and the process leaves at once. From
    then on a signal is only noted, because the network may be in the middle of a step or of a
    save; it is heeded by :meth:`look`, called between two steps and when it ends.
    """

    def __init__(
        self, store: Autosaving, signals: Sequence[signal.Signals], within: float, exit_status: int | None
    ) -> None:
        self._store = store
        self._within = milliseconds("within", within)
        self._exit_status = exit_status
        self._came: signal.Signals | None = None
        self._simulator: Simulator | None = None
        self._leave: Callable[[], None] | None = None
        self._process = os.getpid()
        self._before: dict[int, Any] = {}
        """What each signal did before; None where that was not Python's."""
        self._ended = False
        try:
            for number in dict.fromkeys(signals):
                self._before[number] = _in_use(signal.getsignal(number), number)
                signal.signal(number, self._note)
        except BaseException as error:
            self.stop()
            if isinstance(error, ValueError):
                raise OptionError("only the main thread of a process can install signal handlers") from error
            raise

    def _note(self, number: int, frame: FrameType | None) -> None:
        # A forked child does what it would have done without us, and so does whoever comes after us.
        if self._ended or os.getpid() != self._process:
            self._pass_on(number, frame)
            return
        self._came = signal.Signals(number)
        if self._simulator is None and self._exit_status is not None and not self._store.busy:
            self.look()

    def _pass_on(self, number: int, frame: FrameType | None) -> None:
        """Do what the signal did before this watch."""
        before = _in_use(self._before[number], number)
        if callable(before):
            before(number, frame)
        elif before != signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)

    def attach(self, simulator: Simulator) -> None:
        """Take the network that may have to be saved, and look between its steps if it calls back."""
        self._unhook()
        self._simulator = simulator
        if isinstance(simulator, CallsBack):
            within = max(self._within, clock_of(simulator).dt or 0.0)
            self._leave = simulator.call_every(within, self.look)

    @property
    def listening(self) -> bool:
        """Whether it was not stopped."""
        return not self._ended

    @property
    def attached(self) -> bool:
        """Whether it knows the network."""
        return self._simulator is not None

    def look(self, *, save: bool = True) -> None:
        """If a signal came, save what is unsaved and leave; the network must be between two steps."""
        if self._came is not None and os.getpid() == self._process:
            number, self._came = self._came, None
            done = self._save(number) if save else "the store was just closed"
            if self._exit_status is not None:
                self._depart(number, done)

    def _save(self, number: signal.Signals) -> str:
        if self._simulator is None:
            return "there was nothing to save"
        seconds = _save_now(self._store, self._simulator, f"on {number.name}")
        step = clock_of(self._simulator).time_step
        what = "the network" if step is None else f"step {step}"
        if seconds is None:
            return f"{what} was saved before"
        return f"saved {what} to {printable(self._store.path, 400)} in {seconds:.2f} s"

    def _depart(self, number: signal.Signals, done: str) -> NoReturn:
        with contextlib.suppress(OSError, ValueError, AttributeError):  # nobody need be listening
            sys.stderr.write(f"ann_ckpt: {number.name}: {done}; leaving with status {self._exit_status}\n")
            sys.stderr.flush()
        raise SystemExit(self._exit_status)

    def stop(self) -> None:
        """End the calls and restore the previous signal handlers; without effect the second time.

        A handler that somebody has set after this watch stays. Where this one's own cannot be taken off, as
        in another thread than the main one, it passes on what comes.
        """
        self._unhook()
        if os.getpid() != self._process:
            return
        self._ended = True
        for number, before in self._before.items():
            if signal.getsignal(number) == self._note:
                with suppress(ValueError):
                    signal.signal(number, _in_use(before, number))

    def _unhook(self) -> None:
        if self._leave is not None:
            self._leave()
            self._leave = None

    def end(self) -> None:
        """Look for the last time, then stop; what comes in the last save is heeded, too."""
        try:
            self.look()
        finally:
            self.stop()
        self.look()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is None:
            self.end()
        else:
            self.stop()
