"""ANNarchy's monitors: what their recorders in C++ hold, read in parts, and set again.

A recorder keeps samples as one record after the other and spikes as a list of steps for each neuron. It
forgets on ``get()``; nothing here makes it forget. When samples were taken ANNarchy only knows in
Python, as the steps between which each variable was recorded.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from itertools import count
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ann_ckpt.adapters.annarchy.bindings import Bindings
from ann_ckpt.errors import SimulatorError, printable
from ann_ckpt.model import Array, Recording, Series, blocks
from ann_ckpt.report import Loss, Note

__all__ = ["LiveMonitor", "clock_is_set", "live_monitors"]

_SUM = re.compile(r"sum\((\w+)\)")


def live_monitors(bindings: Bindings) -> dict[str, LiveMonitor]:
    """Return the monitors of a network that have not been stopped, by name.

    Those of one name, such as ANNarchy gives to all monitors of a population, are told apart in the
    order in which they were made.

    Raises
    ------
    SimulatorError
        If their recorders cannot be read.
    """
    found: dict[str, LiveMonitor] = {}
    taken = {monitor.name for monitor in bindings.monitors}
    for monitor in bindings.monitors:
        name = monitor.name
        if name in found:
            name = next(other for n in count(2) if (other := f"{name}-{n}") not in taken)
            taken.add(name)
        if monitor.cyInstance is not None:
            if not hasattr(monitor.cyInstance, "_ann_ckpt_tape"):
                raise SimulatorError(
                    f"monitors=True: what {printable(name)!r} recorded cannot be read and set",
                    details={"expected": "ANNarchy 5.0, and a network compiled by ann_ckpt.annarchy.compile"},
                )
            found[name] = LiveMonitor(bindings, monitor, name)
    return found


def clock_is_set(bindings: Bindings, now: int) -> None:
    """Note in the monitors that the time step is about to be set: what they record next follows another time.

    ANNarchy would take them to have recorded all the way.
    """
    before = bindings.time_step()
    for monitor in bindings.monitors:
        for variable, intervals in monitor._recorded_variables.items():
            if not getattr(monitor.cyInstance, f"record_{_tape_name(variable)}", False):
                continue
            if intervals["start"][-1] == before:
                intervals["start"][-1] = now
            elif now != before:
                intervals["stop"][-1] = before
                intervals["start"].append(now)
                intervals["stop"].append(None)


class _Tape(NamedTuple):
    """What a recorder says of one variable."""

    dtype: str
    levels: int
    """Containers inside a record."""
    events: bool
    length: int
    even: bool
    """Whether all records have the same sizes."""


class LiveMonitor:
    """One monitor, by the name under which it is saved."""

    def __init__(self, bindings: Bindings, monitor: Any, name: str) -> None:
        self._bindings = bindings
        self._monitor = monitor
        self._recorder = monitor.cyInstance
        self.name = name

    def recording(self) -> tuple[Recording, tuple[Note, ...]]:
        """Return what it holds, and notes on what of that cannot be kept."""
        period, period_offset, offset = self._recorder._ann_ckpt_timing()
        series: dict[str, Series] = {}
        notes: list[Note] = []
        sizes: list[int] | None = None
        for variable in self._variables:
            try:
                series[variable] = self._series(variable)
            except _CannotBeKept as reason:
                notes.append(Loss(f"recordings/{self.name}/{variable}", str(reason)))
                continue
            if self._tape(variable).levels == 2 and not self._tape(variable).events:
                sizes = self._sizes(variable) or sizes
        recording = Recording(
            self.name,
            of=self._of,
            series=series,
            ranks=self._ranks,
            settings={"period": period, "period_offset": period_offset},
            carried={
                "offset": offset,
                "recording": {v: bool(getattr(self._recorder, f"record_{_tape_name(v)}")) for v in series},
                "recorded": {v: self._monitor._recorded_variables[v] for v in series},
                "last_recorded": {v: self._monitor._last_recorded_variables[v] for v in series},
            }
            | ({} if sizes is None else {"sizes": sizes}),
        )
        return recording, tuple(notes)

    def refuse(self, stored: Recording) -> str | None:
        """Return why the monitor cannot hold a recording of the same object and variables, or None."""
        return next(self._faults(stored), None)

    def set(self, stored: Recording) -> None:
        """Hold a recording, and nothing else."""
        carried = stored.carried
        self._recorder._ann_ckpt_set_offset(carried["offset"])
        for variable, series in stored.items():
            name = _tape_name(variable)
            self._recorder._ann_ckpt_clear(name)
            if series.ranks is not None and series.times is not None:
                self._append_events(name, series.times, series.ranks)
            elif series.values is not None:
                self._append_records(name, series.values, carried.get("sizes"))
            setattr(self._recorder, f"record_{name}", carried["recording"][variable])
            for key in ("recorded", "last_recorded"):
                intervals = carried[key][variable]
                getattr(self._monitor, f"_{key}_variables")[variable] = {
                    "start": list(intervals["start"]),
                    "stop": list(intervals["stop"]),
                }

    # --- what it says of itself ---------------------------------------------------------

    @property
    def _variables(self) -> list[str]:
        """Those that are recorded; of another one ANNarchy has said that it cannot be."""
        names = self._recorder._ann_ckpt_names()
        there = [v for v in dict.fromkeys(self._monitor.variables) if _tape_name(v) in names]
        return [v for v in there if hasattr(self._recorder, f"record_{_tape_name(v)}")]

    @property
    def _of(self) -> str:
        thing = self._monitor.object
        if hasattr(thing, "population"):  # a view
            return f"populations/{self._bindings.name_of(thing.population)}"
        if hasattr(thing, "proj"):  # a dendrite
            return f"projections/{self._bindings.name_of(thing.proj)}"
        group = (
            "populations" if any(thing is p for p in self._bindings.populations.values()) else "projections"
        )
        return f"{group}/{self._bindings.name_of(thing)}"

    @property
    def _ranks(self) -> NDArray[np.int32] | None:
        thing = self._monitor.object
        if hasattr(thing, "population"):
            return np.asarray(list(thing.ranks), np.int32)
        if hasattr(thing, "proj"):
            return np.array([thing.post_rank], np.int32)
        return None

    def _tape(self, variable: str) -> _Tape:
        return _Tape(*self._recorder._ann_ckpt_tape(_tape_name(variable)))

    def _sizes(self, variable: str) -> list[int]:
        """Synapses of each dendrite in a record, if there is one."""
        _, levels = self._recorder._ann_ckpt_read(_tape_name(variable), 0, 1)
        return [int(size) for size in np.frombuffer(levels[1], np.int64)] if levels[1] else []

    def _entry(self, variable: str) -> tuple[int, ...]:
        """Shape of one record."""
        tape, thing = self._tape(variable), self._monitor.object
        if tape.levels == 0:
            return ()
        values, _ = self._recorder._ann_ckpt_read(_tape_name(variable), 0, 1)
        size = len(values) // np.dtype(tape.dtype).itemsize
        geometry = getattr(thing, "geometry", None)
        if tape.levels == 1 and self._of.startswith("populations/") and self._ranks is None:
            return tuple(int(n) for n in geometry) if geometry is not None else (int(thing.size),)
        return (size,)

    # --- reading ------------------------------------------------------------------------

    def _series(self, variable: str) -> Series:
        tape, name = self._tape(variable), _tape_name(variable)
        if tape.events:
            events = _Events(self._recorder, name, tape.length)
            if events.falls:
                raise _CannotBeKept("the time was set back while it recorded, so its spikes are in no order")
            return Series(times=_Column(events, 0), ranks=_Column(events, 1))
        if not tape.even:
            raise _CannotBeKept("the number of synapses changed while they were recorded")
        values = _Records(self._recorder, name, np.dtype(tape.dtype), (tape.length, *self._entry(variable)))
        return Series(times=self._times(variable, tape.length), values=values)

    def _times(self, variable: str, length: int) -> NDArray[np.int64] | None:
        """The step of each sample; None if ANNarchy does not know."""
        period, period_offset, offset = self._recorder._ann_ckpt_timing()
        now = self._bindings.time_step()
        recording = bool(getattr(self._recorder, f"record_{_tape_name(variable)}"))
        intervals = self._monitor._recorded_variables[variable]
        starts, stops = list(intervals["start"]), list(intervals["stop"])
        only = len(stops) == 1 and stops[0] is None
        if recording:
            stops[-1] = now  # get(keep=True) leaves there when it was called
        elif stops[-1] is None:
            stops[-1] = starts[-1]  # it was never started

        def steps(start: int, stop: int) -> NDArray[np.int64]:
            first = start + (period_offset + offset - start) % period
            return np.arange(first, stop, period, dtype=np.int64)

        times = np.concatenate([steps(int(a), int(b)) for a, b in zip(starts, stops, strict=True)])
        if only and recording and times.size > length:
            times = times[times.size - length :]  # start() of a monitor that waited does not note when
        return times if times.size == length and (times[1:] >= times[:-1]).all() else None

    # --- setting ------------------------------------------------------------------------

    def _faults(self, stored: Recording) -> Iterator[str]:
        wanted = {"offset": int, "recording": dict, "recorded": dict, "last_recorded": dict}
        if not all(isinstance(stored.carried.get(key), kind) for key, kind in wanted.items()):
            yield "the file does not say what the monitor went on from"
            return
        for variable, series in stored.items():
            if variable not in stored.carried["recording"] or not all(
                _are_intervals(stored.carried[key].get(variable)) for key in ("recorded", "last_recorded")
            ):
                yield f"the file does not say when {printable(variable)} was recorded"
                return
            yield from self._faults_of(variable, series, stored.carried.get("sizes"))

    def _faults_of(self, variable: str, series: Series, sizes: Any) -> Iterator[str]:
        tape, what = self._tape(variable), printable(variable)
        if tape.events:
            if series.ranks is None or series.times is None or series.times.dtype.kind not in "iu":
                yield f"{what} in the file is not a list of events and their steps"
                return
            ranks = self._ranks
            known = np.arange(self._monitor.object.size) if ranks is None else ranks
            for _, block in blocks(series.ranks):
                if not np.isin(block, known).all():
                    yield f"{what} in the file is of other neurons than the monitor records"
                    return
            return
        values = series.values
        if values is None or series.ranks is not None:
            yield f"{what} in the file is not a list of samples"
        elif values.dtype != np.dtype(tape.dtype):
            yield f"{what} is {values.dtype} in the file, {tape.dtype} in the network"
        elif values.shape[0] and not self._fits(variable, tape, values.shape[1:], sizes):
            yield f"{what} has samples of the shape {values.shape[1:]}, which is not that of the monitor's"

    def _fits(self, variable: str, tape: _Tape, entry: tuple[int, ...], sizes: Any) -> bool:
        thing = self._monitor.object
        if tape.levels == 0:
            return entry == ()
        if tape.levels == 2:
            counted = isinstance(sizes, list) and all(isinstance(n, int) and n >= 0 for n in sizes)
            rows = 1 if hasattr(thing, "proj") else len(thing.post_ranks)
            return bool(counted) and len(sizes) == rows and entry == (sum(sizes),)
        if self._of.startswith("projections/"):
            return entry == (1 if hasattr(thing, "proj") else len(thing.post_ranks),)
        if self._ranks is not None:
            return entry == (self._ranks.size,)
        return entry == self._entry(variable)

    def _append_records(self, name: str, values: Array, sizes: Sequence[int] | None) -> None:
        tape = _Tape(*self._recorder._ann_ckpt_tape(name))
        for _, block in blocks(values):
            records = len(block)
            levels: list[NDArray[np.int64]] = []
            if tape.levels == 1:
                levels = [np.full(records, block[0].size, np.int64)]
            elif tape.levels == 2 and sizes is not None:
                rows = np.asarray(sizes, np.int64)
                levels = [np.full(records, rows.size, np.int64), np.tile(rows, records)]
            self._recorder._ann_ckpt_append(name, records, np.ascontiguousarray(block), levels)

    def _append_events(self, name: str, times: Array, ranks: Array) -> None:
        dtype = _Tape(*self._recorder._ann_ckpt_tape(name)).dtype
        step = (4 << 20) // 8
        for start in range(0, times.shape[0], step):
            some = np.asarray(ranks[start : start + step])
            order = np.argsort(some, kind="stable")
            who, counts = np.unique(some, return_counts=True)
            when = np.asarray(times[start : start + step])[order].astype(dtype)
            levels = [who.astype(np.int64), counts.astype(np.int64)]
            self._recorder._ann_ckpt_append(name, who.size, when, levels)


class _CannotBeKept(Exception):  # noqa: N818  (a note is made of it)
    """Why a variable that is recorded is not in the file."""


def _tape_name(variable: str) -> str:
    """Return what a recorder calls a variable, as ``Monitor.get`` does."""
    found = _SUM.search(variable) if variable.startswith("sum(") else None
    return variable if found is None else f"_sum_{found[1]}"


def _are_intervals(given: Any) -> bool:
    if not (isinstance(given, Mapping) and all(isinstance(given.get(k), list) for k in ("start", "stop"))):
        return False
    starts, stops = given["start"], given["stop"]
    return (
        len(starts) == len(stops) > 0
        and all(isinstance(n, int) for n in starts)
        and all(n is None or isinstance(n, int) for n in stops)
    )


class _Records:
    """Samples of a recorder, an array that is read in parts."""

    def __init__(self, recorder: Any, name: str, dtype: np.dtype[Any], shape: tuple[int, ...]) -> None:
        self._recorder = recorder
        self._name = name
        self.dtype = dtype
        self.shape = shape

    def __getitem__(self, key: slice) -> NDArray[Any]:
        start, stop, _ = key.indices(self.shape[0])
        values, _ = self._recorder._ann_ckpt_read(self._name, start, max(start, stop))
        return np.frombuffer(values, self.dtype).reshape(max(0, stop - start), *self.shape[1:])

    def __array__(self, dtype: Any = None, *, copy: bool | None = None) -> NDArray[Any]:
        whole = self[0 : self.shape[0]]
        return whole if dtype is None else whole.astype(dtype)


class _Events:
    """Spikes of a recorder in the order of steps, those of one step in that of ranks."""

    def __init__(self, recorder: Any, name: str, length: int) -> None:
        self._recorder = recorder
        self._name = name
        self.length = length

    @cached_property
    def _by_rank(self) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
        values, (who, counts) = self._recorder._ann_ckpt_read(self._name, 0, 0)
        ranks = np.repeat(np.frombuffer(who, np.int64), np.frombuffer(counts, np.int64)).astype(np.int32)
        return np.frombuffer(values, np.int64), ranks

    @property
    def falls(self) -> bool:
        """Whether an event of a neuron is not later than the one before."""
        times, ranks = self._by_rank
        return bool(((np.diff(times) <= 0) & (np.diff(ranks) == 0)).any())

    @cached_property
    def columns(self) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
        """Steps and ranks, shape ``(n,)`` each."""
        times, ranks = self._by_rank
        order = np.argsort(times, kind="stable")  # ranks rise already
        return times[order], ranks[order]


class _Column:
    """Steps or ranks of events, an array."""

    def __init__(self, events: _Events, number: int) -> None:
        self._events = events
        self._number = number
        self.shape = (events.length,)
        self.dtype = np.dtype((np.int64, np.int32)[number])

    def __getitem__(self, key: Any) -> NDArray[Any]:
        return np.asarray(self._events.columns[self._number][key])

    def __array__(self, dtype: Any = None, *, copy: bool | None = None) -> NDArray[Any]:
        whole = self._events.columns[self._number]
        return whole if dtype is None else whole.astype(dtype)
