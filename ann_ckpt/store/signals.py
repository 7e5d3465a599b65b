"""Signals of a batch system: what is unsaved is saved, and the process leaves with a status of its own."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Callable, Sequence
from types import FrameType
from typing import Any, NoReturn, Self

from ann_ckpt.adapters.protocol import CallsBack, Simulator
from ann_ckpt.adapters.simulators import clock_of
from ann_ckpt.errors import OptionError, printable
from ann_ckpt.store.autosave import Saves, save_now

__all__ = ["PREEMPTED", "SignalWatch"]

PREEMPTED = 75
"""Exit status of a process that saved on a signal and wants to be started again (``EX_TEMPFAIL``)."""


class SignalWatch:
    """Listens to signals; see :meth:`CheckpointStore.on_signal`.

    Until it knows the network, nothing can be unsaved, and the process leaves at once. From
    then on a signal is only noted, because the network may be in the middle of a step or of a
    save; it is heeded by :meth:`look`, called between two steps and when it ends.
    """

    def __init__(
        self, store: Saves, signals: Sequence[signal.Signals], within: float, exit_status: int | None
    ) -> None:
        self._store = store
        self._within = within
        self._exit_status = exit_status
        self._came: signal.Signals | None = None
        self._simulator: Simulator | None = None
        self._leave: Callable[[], None] | None = None
        self._process = os.getpid()
        self._before: dict[signal.Signals, Any] = {}
        try:
            for number in signals:
                self._before[number] = signal.signal(number, self._note)
        except BaseException as error:
            self.stop()
            if isinstance(error, ValueError):
                raise OptionError("only the main thread of a process can listen to signals") from error
            raise

    def _note(self, number: int, _frame: FrameType | None) -> None:
        if os.getpid() != self._process:  # a forked child does what it would have done without us
            signal.signal(number, self._before.get(signal.Signals(number)) or signal.SIG_DFL)
            os.kill(os.getpid(), number)
            return
        self._came = signal.Signals(number)
        if self._simulator is None and self._exit_status is not None and not self._store.busy:
            self.look()

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
        return bool(self._before)

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
        seconds = save_now(self._store, self._simulator, f"on {number.name}")
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
        """End the calls and restore the previous signal handlers; without effect the second time."""
        self._unhook()
        while self._before and os.getpid() == self._process:
            number, before = self._before.popitem()
            signal.signal(number, before)

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
