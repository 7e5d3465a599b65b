"""Monitors of Brian2: what they have recorded, as recordings, and set again in Brian's own arrays."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ann_ckpt.adapters.brian2.live import fill
from ann_ckpt.errors import printable
from ann_ckpt.model import Array, Recording, Series, blocks
from ann_ckpt.report import Loss, Note

__all__ = ["BrianMonitor"]

_MOST = 2**31 - 1
"""Brian counts records with 32 bits."""


class BrianMonitor:
    """A SpikeMonitor or EventMonitor, StateMonitor, or PopulationRateMonitor.

    Parameters
    ----------
    monitor : brian2.Group
        One that :meth:`knows`.
    """

    def __init__(self, monitor: Any) -> None:
        from brian2 import EventMonitor, PopulationRateMonitor
        from brian2.groups.subgroup import Subgroup

        self._monitor = monitor
        self._part = monitor.source if isinstance(monitor.source, Subgroup) else None
        """The part of a group that it is of."""
        self._event = str(monitor.event) if isinstance(monitor, EventMonitor) else None
        """What it waits for; None for samples."""
        self._is_rate = isinstance(monitor, PopulationRateMonitor)

    @staticmethod
    def knows(monitor: Any) -> bool:
        """Whether a monitor is one of these classes."""
        from brian2 import EventMonitor, PopulationRateMonitor, StateMonitor

        return isinstance(monitor, EventMonitor | StateMonitor | PopulationRateMonitor)

    @property
    def name(self) -> str:
        """Its name in the network and in files."""
        return str(self._monitor.name)

    def recording(self) -> tuple[Recording, tuple[Note, ...]]:
        """Return what it holds, which are live arrays, and notes on what cannot be kept."""
        notes: tuple[Note, ...] = ()
        times, ranks = self._times, self._event_ranks
        if times is not None and bool(np.any(times[1:] < times[:-1])):
            reason = "the time was set back while it recorded, so that its records are in no order"
            notes, series = (Loss(f"recordings/{self.name}", reason),), {}
        else:
            series = {
                name: Series(
                    times=times, ranks=ranks, values=None if name == self._event else self._own(name)
                )
                for name in self._series
            }
        carried: dict[str, Any] = {"active": bool(self._monitor.active)}
        if self._event is not None and not np.array_equal(self._own("count"), self._counted(ranks)):
            carried["count"] = self._own("count").tolist()
        if not self._columns:
            carried["N"] = int(self._own("N").item())
        return (
            Recording(
                self.name,
                of=self._of,
                series=series,
                ranks=self._ranks,
                settings=self._settings,
                carried=carried,
            ),
            notes,
        )

    def refuse(self, stored: Recording) -> str | None:
        """Return why the monitor cannot hold a recording of the same object and variables, or None."""
        return next(self._faults(stored), None)

    def set(self, stored: Recording) -> None:
        """Hold a recording, and nothing else."""
        monitor, arrays = self._monitor, self._arrays_of(stored)
        length = len(next(iter(stored.values()))) if stored else 0
        for name in self._columns:
            variable = monitor.variables[name]
            variable.resize(length if variable.ndim == 1 else (length, monitor.n_indices))
            fill(variable.get_value(), arrays[name])
        if self._event is not None:
            if monitor.record:
                self._own("i")[:] -= self._start
            self._own("count")[:] = stored.carried.get("count", self._counted(self._event_ranks))
        monitor.variables["N"].set_value(length if self._columns else stored.carried["N"])
        monitor.active = stored.carried["active"]

    # --- what it says of itself ---------------------------------------------------------

    def _own(self, name: str) -> NDArray[Any]:
        return np.asarray(self._monitor.variables[name].get_value())

    @property
    def _columns(self) -> list[str]:
        """Brian's arrays that have a place for each record."""
        if self._is_rate:
            return ["t", "rate"]
        names = {*self._monitor.record_variables} | (set() if self._event is not None else {"t"})
        return sorted(names)

    @property
    def _series(self) -> list[str]:
        """Variables that are recorded; events themselves by the name of the event."""
        listed = [name for name in self._columns if name != "t" and (name != "i" or self._event is None)]
        return [self._event, *listed] if self._event is not None and self._monitor.record else listed

    @property
    def _times(self) -> NDArray[np.float64] | None:
        return self._own("t") if "t" in self._columns else None

    @property
    def _start(self) -> int:
        return 0 if self._part is None else int(self._part.start)

    @property
    def _event_ranks(self) -> NDArray[np.int32] | None:
        """Neuron of each event in the whole group; Brian has its number in the part."""
        if self._event is None or not self._monitor.record:
            return None
        own = self._own("i")
        return own + np.int32(self._start) if self._start else own

    def _counted(self, ranks: NDArray[np.int32] | None) -> NDArray[np.int32]:
        """Events of each neuron as they are listed."""
        size = len(self._monitor.source)
        listed = np.zeros(0, np.int32) if ranks is None else ranks - self._start
        return np.bincount(listed, minlength=size).astype(np.int32)

    @property
    def _of(self) -> str:
        group = self._monitor.source if self._part is None else self._part.source
        return f"{'projections' if hasattr(group, '_pathways') else 'populations'}/{group.name}"

    @property
    def _ranks(self) -> NDArray[np.int32] | None:
        part, monitor = self._part, self._monitor
        if self._event is not None or self._is_rate or monitor.record_all:
            return None if part is None else np.arange(part.start, part.stop, dtype=np.int32)
        return np.asarray(monitor.record, np.int32) + np.int32(self._start)

    @property
    def _settings(self) -> dict[str, Any]:
        monitor = self._monitor
        found: dict[str, Any] = {"kind": type(monitor).__name__, "when": str(monitor.when)}
        found["order"] = int(monitor.order)
        if hasattr(monitor.clock, "dt_"):
            found["dt"] = f"{float(monitor.clock.dt_) * 1e3:g} ms"
        if self._event is not None:
            found |= {"event": self._event, "record": bool(monitor.record)}
        return found

    # --- setting ------------------------------------------------------------------------

    def _arrays_of(self, stored: Recording) -> dict[str, Array]:
        """Arrays of a recording by Brian's names; events in the whole group."""
        found: dict[str, Array] = {}
        for name, series in stored.items():
            if series.times is not None:
                found["t"] = series.times
            if series.ranks is not None:
                found["i"] = series.ranks
            if series.values is not None:
                found[name] = series.values
        return found

    def _faults(self, stored: Recording) -> Iterator[str]:
        carried = stored.carried
        if not isinstance(carried.get("active"), bool):
            yield "the file does not say whether the monitor was active"
            return
        size = len(self._monitor.source)
        counts = carried.get("count")
        if counts is not None and not (
            isinstance(counts, list)
            and len(counts) == size
            and all(isinstance(n, int) and 0 <= n <= _MOST for n in counts)
        ):
            yield f"the file does not count the events of {size} neurons"
        number = carried.get("N", 0)
        if ("N" in carried) != (not self._columns) or not (isinstance(number, int) and 0 <= number <= _MOST):
            yield "the file does not say how many events there were"
        lengths = {len(series) for series in stored.values()}
        if len(lengths) > 1 or max(lengths, default=0) > _MOST:
            yield f"its variables have different numbers of records in the file: {sorted(lengths)}"
        arrays = self._arrays_of(stored)
        for name in self._columns:
            yield from self._faults_of(name, arrays.get(name))

    def _faults_of(self, name: str, values: Array | None) -> Iterator[str]:
        what = printable(name)
        if values is None:
            yield f"the file has no {what} of the records"
            return
        own = self._own(name)
        if values.dtype != own.dtype:
            yield f"{what} is {values.dtype} in the file, {own.dtype} in the network"
        elif values.shape[1:] != own.shape[1:]:
            yield f"{what} has records of the shape {values.shape[1:]} in the file, {own.shape[1:]} here"
        elif name == "i" and self._event is not None:
            stop = self._start + len(self._monitor.source)
            for _, block in blocks(values):
                if block.size and not self._start <= block.min() <= block.max() < stop:
                    yield f"events of neurons from {block.min()} to {block.max()}, which it does not record"
                    return
