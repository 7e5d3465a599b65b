"""Executes a load plan: checks every value, then sets every value; ^C waits meanwhile."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from types import FrameType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ann_ckpt.adapters.live import recordings_of_live, with_recordings
from ann_ckpt.adapters.protocol import ExactSimulator, Reading, Records, Simulator
from ann_ckpt.errors import CheckpointError, MismatchError, OptionError, SimulatorError, printable
from ann_ckpt.model import Array, PopulationState, blocks, nbytes
from ann_ckpt.model.arrays import Cast
from ann_ckpt.report import LoadReport, Meter, Note, Progress
from ann_ckpt.selection import EVERYTHING, Selection
from ann_ckpt.transfer.actions import SetTimeStep
from ann_ckpt.transfer.plan import LoadPlan, plan_load

__all__ = [
    "finishing",
    "load_into",
]

_KEPT_BYTES = 128 << 20
"""Values that were read to be checked wait in memory up to this size, so that they are not read twice."""

_WHOLE = "the network was loaded completely before the interrupt was let through"
_PARTLY = "the network is partly loaded; load it again, or build it anew, before going on"


def load_into(
    simulator: Simulator,
    reading: Reading,
    *,
    selection: Selection = EVERYTHING,
    strict: bool = True,
    path: str = "",
    monitors: bool = False,
    progress: Progress | None = None,
) -> LoadReport:
    """Load a stored state into a live network.

    The plan is made and every value that it needs is read before the first one is set,
    so that a damaged file changes nothing.

    Parameters
    ----------
    simulator : Simulator
        The live, compiled network.
    reading : Reading
        What to load; arrays may be lazy. A small one is checked by being read whole, and
        what was read is set. A large one that has a method ``verify()``, yielding the
        bytes that it checked, is checked by it, any other by being read through. So is an array
        with a true attribute ``quick``, which is read again to be set.
    selection : Selection
        Which populations and projections.
    strict : bool
        True: any problem raises. False: what fits is loaded, the rest is in the report.
    path : str
        Where the state comes from, for messages.
    monitors : bool
        Monitors are cut back to what they held when the state was saved, and go on from there.
    progress : callable, optional
        Called as ``progress(what, done, total)`` with bytes; what is read to be checked
        and what is set count each.

    Returns
    -------
    LoadReport
        What was set, converted and rebuilt, and what did not fit.

    Raises
    ------
    MismatchError
        If ``strict`` and something does not fit; it lists every problem, ``report`` has
        them too, and nothing was changed.
    CorruptFileError
        If stored values are damaged; nothing was changed.
    SimulatorError
        If the simulator fails while values are set; some are set already.
    KeyboardInterrupt
        After ^C: at once while values are read and checked, and nothing was changed; once all
        are set if it came while they were. Its notes say so. A second ^C breaks off.
    """
    began = time.perf_counter()
    # A name that only one side has is a finding; so all of the live side has to be there.
    wide = Selection(populations=bool(selection.populations), projections=bool(selection.projections))
    if monitors and not selection.is_whole:
        raise OptionError("monitors=True loads a whole network, and only a part is selected")
    recorded = recordings_of_live(simulator) if monitors else None
    live = simulator.read(wide)
    if recorded is not None:
        live = with_recordings(live, recorded)
    elif reading.state.recordings and isinstance(simulator, Records):
        note = Note("recordings", "the file has what monitors recorded; monitors=True loads it")
        reading = Reading(reading.state, (*reading.notes, note))
    reading = _own_part(reading, live)
    exact = simulator if isinstance(simulator, ExactSimulator) else None
    plan = plan_load(
        reading,
        live,
        selection=selection,
        refusal=simulator.refusal,
        exact=exact,
        offers=simulator,
        monitors=monitors,
    )
    if strict and plan.problems:
        raise _mismatch(plan, path, time.perf_counter() - began)
    meter = Meter(progress, _bytes_to_do(plan))
    kept = _preflight(plan, meter)
    with finishing(_WHOLE, _PARTLY):
        _execute(plan, simulator, kept, meter if progress else None)
    loaded = tuple(p for action in plan.actions for p in action.loads)
    report = _report(plan, path, loaded, plan.nbytes, time.perf_counter() - began)
    steps = [action.time_step for action in plan.actions if isinstance(action, SetTimeStep)]
    before = live.state.time_step
    return replace(report, moved=(before, steps[-1])) if steps and steps[-1] != before else report


def _own_part(reading: Reading, live: Reading) -> Reading:
    """Return of a whole network the part that the live one is, if it is one of several processes' parts."""
    stored = reading.state.populations
    neurons = {
        name: (p.part.first, p.part.first + p.geometry[0])
        for name, p in live.state.populations.items()
        if p.part is not None and name in stored and _whole(stored[name]) == _whole(p)
    }
    neurons = {name: ends for name, ends in neurons.items() if stored[name].part is None}
    return Reading(reading.state.cut(neurons), reading.notes) if neurons else reading


def _whole(population: PopulationState) -> tuple[int, ...]:
    """Geometry of the population of which this may be a part."""
    whole = population.geometry[0] if population.part is None else population.part.whole
    return (whole, *population.geometry[1:])


def _preflight(plan: LoadPlan, meter: Meter) -> _Kept:
    """Read every lazy array once; whatever is damaged says so here."""
    kept = _Kept(_KEPT_BYTES)
    for action in plan.actions:
        for array in action.arrays:
            if (lazy := _lazy(array)) is not None:
                for count in kept.read(lazy) or _checked(lazy):
                    meter.tick(action.path, count)
    return kept


def _execute(plan: LoadPlan, simulator: Simulator, kept: _Kept, meter: Meter | None) -> None:
    for action in plan.actions:

        def watch(array: Array, path: str = action.path) -> Array:
            array = kept.instead_of(array)
            return array if meter is None else _Watched(array, partial(meter.tick, path))

        try:
            action.apply(simulator, watch)
        except CheckpointError as error:
            raise _interrupted(action.path, error.fact) from error
        except Exception as error:
            raise _interrupted(action.path, f"{type(error).__name__}: {error}") from error


def _interrupted(path: str, fact: str) -> SimulatorError:
    return SimulatorError(
        f"loading stopped at {printable(path)}: {fact}",
        details={"hint": _PARTLY},
    )


def _lazy(array: Array) -> Array | None:
    """Return what has to be read from elsewhere, or None for values in memory."""
    source = array.source if isinstance(array, Cast) else array
    return None if isinstance(source, np.ndarray) else source


def _checked(array: Array) -> Iterator[int]:
    """Yield the bytes of each part of ``array`` as it proves intact."""
    verify = getattr(array, "verify", None)
    if verify is not None and not _quick(array):
        yield from verify()
    else:
        yield from (block.nbytes for _, block in blocks(array))


def _quick(array: Array) -> bool:
    """Whether the array asks to be read twice rather than kept."""
    return bool(getattr(array, "quick", False))


class _Kept:
    """Arrays that were read to be checked, until they are set.

    Parameters
    ----------
    room : int
        Bytes that they may take; what does not fit is read once more.
    """

    def __init__(self, room: int) -> None:
        self._room = room
        self._values: dict[int, NDArray[Any]] = {}

    def read(self, lazy: Array) -> list[int]:
        """Read an array, which is checked so; return the bytes, or nothing if there is no room for it."""
        size = nbytes(lazy)
        if size > self._room or id(lazy) in self._values or _quick(lazy):
            return []
        self._values[id(lazy)] = np.asarray(lazy)
        self._room -= size
        return [size]

    def instead_of(self, array: Array) -> Array:
        """Hand out the values of an array, once, and the array itself if they are not here."""
        values = self._values.pop(id(_lazy(array)), None)
        if values is None:
            return array
        return Cast(values, array.dtype) if isinstance(array, Cast) else values


def _bytes_to_do(plan: LoadPlan) -> int:
    """Bytes of all values: once for checking what is lazy, once for setting."""
    lazy = (_lazy(array) for action in plan.actions for array in action.arrays)
    return plan.nbytes + sum(nbytes(array) for array in lazy if array is not None)


class _Watched:
    """An array that reports how much of it was taken."""

    __slots__ = ("_array", "_tick", "dtype", "shape")

    def __init__(self, array: Array, tick: Callable[[int], None]) -> None:
        self._array = array
        self._tick = tick
        self.shape = array.shape
        self.dtype = array.dtype

    def __getitem__(self, key: Any) -> NDArray[Any]:
        part = np.asarray(self._array[key])
        self._tick(part.nbytes)
        return part

    def __array__(self, dtype: Any = None, *, copy: bool | None = None) -> NDArray[Any]:
        if copy is False:
            raise ValueError("a watched array cannot be returned without a copy")
        whole = np.asarray(self._array)
        self._tick(whole.nbytes)
        return whole if dtype is None else whole.astype(dtype, copy=False)


def _mismatch(plan: LoadPlan, path: str, seconds: float) -> MismatchError:
    problems = plan.problems
    count = f"{len(problems)} problem" + ("s" if len(problems) != 1 else "")
    details = {str(number): str(problem) for number, problem in enumerate(problems, start=1)}
    hint = f"only automatic numbers differ; try names={dict(plan.renaming)}"
    error = MismatchError(
        f"the stored state does not fit the network: {count}, nothing was changed",
        details=details | {"hint": hint if plan.renaming else "strict=False loads what fits"},
        where=path or None,
    )
    error.report = _report(plan, path, (), 0, seconds)
    return error


def _report(plan: LoadPlan, path: str, loaded: tuple[str, ...], count: int, seconds: float) -> LoadReport:
    return LoadReport(
        path=path,
        loaded=loaded,
        cast=plan.cast,
        rebuilt=plan.rebuilt,
        missing_in_file=plan.missing_in_file,
        missing_in_network=plan.missing_in_network,
        mismatched=plan.mismatched,
        notes=plan.notes,
        bytes_read=count,
        seconds=seconds,
    )


@contextmanager
def finishing(done: str, partly: str) -> Iterator[None]:
    """Defer ^C to the end of the block; a second ^C interrupts it.

    ^C is kept back only in the main thread and where nobody has a handler of his own for it.
    Whatever breaks the block off that is not an error (the second ^C, an exit that a signal
    handler asks for) gets a note.

    Parameters
    ----------
    done : str
        Note of the ``KeyboardInterrupt`` that is raised after the end of the block.
    partly : str
        Note of whatever breaks the block off.

    Raises
    ------
    KeyboardInterrupt
        After the end of the block, if ^C came meanwhile.
    """
    came = False

    def note(number: int, frame: FrameType | None) -> None:
        nonlocal came
        if came:
            signal.default_int_handler(number, frame)
        came = True

    keeps = (
        threading.current_thread() is threading.main_thread()
        and signal.getsignal(signal.SIGINT) is signal.default_int_handler
    )
    if keeps:
        signal.signal(signal.SIGINT, note)
    try:
        yield
    except Exception:
        raise  # an error says itself what became of the network
    except BaseException as error:
        error.add_note(partly)
        raise
    finally:
        if keeps:
            signal.signal(signal.SIGINT, signal.default_int_handler)
    if came:
        interrupt = KeyboardInterrupt()
        interrupt.add_note(done)
        raise interrupt
