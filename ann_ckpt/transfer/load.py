"""Carry out a plan: look at every value first, then set every one."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ann_ckpt.adapters.protocol import ExactSimulator, Reading, Simulator
from ann_ckpt.errors import CheckpointError, MismatchError, SimulatorError, printable
from ann_ckpt.model import Array, blocks, nbytes
from ann_ckpt.report import LoadReport, Progress
from ann_ckpt.selection import EVERYTHING, Selection
from ann_ckpt.transfer.casting import Cast
from ann_ckpt.transfer.plan import LoadPlan, plan_load

__all__ = ["load_into"]


def load_into(
    simulator: Simulator,
    reading: Reading,
    *,
    selection: Selection = EVERYTHING,
    strict: bool = True,
    path: str = "",
    progress: Progress | None = None,
) -> LoadReport:
    """Put a stored state into a live network.

    The plan is made and every value that it needs is read before the first one is set,
    so that a damaged file changes nothing.

    Parameters
    ----------
    simulator : Simulator
        The live, compiled network.
    reading : Reading
        What to load; arrays may be lazy. One that has a method ``verify()``, yielding
        the bytes that it checked, is checked by it, any other by being read through.
    selection : Selection
        Which populations and projections.
    strict : bool
        True: any problem raises. False: what fits is loaded, the rest is in the report.
    path : str
        Where the state comes from, for messages.
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
    """
    began = time.perf_counter()
    # A name that only one side has is a finding; so all of the live side has to be there.
    wide = Selection(populations=bool(selection.populations), projections=bool(selection.projections))
    live = simulator.read(wide)
    exact = simulator if isinstance(simulator, ExactSimulator) else None
    plan = plan_load(reading, live, selection=selection, refusal=simulator.refusal, exact=exact)
    if strict and plan.problems:
        raise _mismatch(plan, path, time.perf_counter() - began)
    meter = _Meter(progress, plan)
    _preflight(plan, meter)
    _execute(plan, simulator, meter)
    loaded = tuple(p for action in plan.actions for p in action.loads)
    return _report(plan, path, loaded, plan.nbytes, time.perf_counter() - began)


def _preflight(plan: LoadPlan, meter: _Meter) -> None:
    """Read every lazy array once; whatever is damaged says so here."""
    for action in plan.actions:
        meter.what = action.path
        for array in action.arrays:
            if (lazy := _lazy(array)) is not None:
                for count in _checked(lazy):
                    meter.tick(count)


def _execute(plan: LoadPlan, simulator: Simulator, meter: _Meter) -> None:
    for action in plan.actions:
        meter.what = action.path
        try:
            action.apply(simulator, meter.watched)
        except CheckpointError as error:
            raise _interrupted(action.path, error.fact) from error
        except Exception as error:
            raise _interrupted(action.path, f"{type(error).__name__}: {error}") from error


def _interrupted(path: str, fact: str) -> SimulatorError:
    return SimulatorError(
        f"loading stopped at {printable(path)}: {fact}",
        details={"hint": "the network is partly loaded; build it anew before going on"},
    )


def _lazy(array: Array) -> Array | None:
    """Return what has to be read from elsewhere, or None for values in memory."""
    source = array.source if isinstance(array, Cast) else array
    return None if isinstance(source, np.ndarray) else source


def _checked(array: Array) -> Iterator[int]:
    """Yield the bytes of each part of ``array`` as it proves intact."""
    verify = getattr(array, "verify", None)
    if verify is not None:
        yield from verify()
    else:
        yield from (block.nbytes for _, block in blocks(array))


class _Meter:
    """Counts bytes for a progress callback: once for checking what is lazy, once for setting."""

    def __init__(self, progress: Progress | None, plan: LoadPlan) -> None:
        lazy = (_lazy(array) for action in plan.actions for array in action.arrays)
        self._progress = progress
        self._total = plan.nbytes + sum(nbytes(array) for array in lazy if array is not None)
        self._done = 0
        self.what = ""

    def tick(self, count: int) -> None:
        """Add bytes that were dealt with."""
        self._done = min(self._done + count, self._total)
        if self._progress is not None:
            self._progress(self.what, self._done, self._total)

    def watched(self, array: Array) -> Array:
        """Return ``array`` so that taking parts of it counts."""
        return array if self._progress is None else _Watched(array, self)


class _Watched:
    """An array that reports how much of it was taken."""

    __slots__ = ("_array", "_meter", "dtype", "shape")

    def __init__(self, array: Array, meter: _Meter) -> None:
        self._array = array
        self._meter = meter
        self.shape = array.shape
        self.dtype = array.dtype

    def __getitem__(self, key: Any) -> NDArray[Any]:
        part = np.asarray(self._array[key])
        self._meter.tick(part.nbytes)
        return part

    def __array__(self, dtype: Any = None, *, copy: bool | None = None) -> NDArray[Any]:
        if copy is False:
            raise ValueError("a watched array cannot be had without a copy")
        whole = np.asarray(self._array)
        self._meter.tick(whole.nbytes)
        return whole if dtype is None else whole.astype(dtype, copy=False)


def _mismatch(plan: LoadPlan, path: str, seconds: float) -> MismatchError:
    problems = plan.problems
    count = f"{len(problems)} problem" + ("s" if len(problems) != 1 else "")
    details = {str(number): str(problem) for number, problem in enumerate(problems, start=1)}
    error = MismatchError(
        f"the stored state does not fit the network: {count}, nothing was changed",
        details=details | {"hint": "strict=False loads what fits"},
        where=printable(path, 400) or None,
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
