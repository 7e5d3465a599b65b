"""Delays in old files: milliseconds or steps, and the time step that no file records.

Up to 4.5.2, dendrites hold steps. From 4.6.7, network files hold milliseconds.
Connectivity files hold steps before 5.0 and milliseconds since; their ``max_delay``
and ``uniform_delay`` are steps always.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ann_ckpt.adapters.legacy.values import NumberRows, Value, kind_of, number

__all__ = [
    "Delays",
    "Step",
    "find_step",
    "from_connectivity",
    "from_value",
]

DEFAULT_DT = 1.0
"""ANNarchy's own default for dt, in ms."""

_TOLERANCE = 1e-6
_DENOMINATOR = 10_000


@dataclass(frozen=True, slots=True, eq=False)
class Delays:
    """The delays of one projection, as the file has them."""

    values: NDArray[Any]
    """Shape ``()`` or ``(n_synapses,)``: ms if float, steps if integer."""
    longest: int | None = None
    """The longest delay in steps that the projection was made for, if the file says."""

    @property
    def in_ms(self) -> bool:
        """Whether these are milliseconds, which need dt to become steps."""
        return self.values.dtype.kind == "f"

    def steps(self, dt: float) -> int | NDArray[np.int32] | None:
        """Return whole steps, shape as ``values``; None if ``dt`` does not divide them."""
        with np.errstate(all="ignore"):
            exact = self.values / dt if self.in_ms else self.values
            rounded = np.rint(exact)
            fits = np.isfinite(exact) & (np.abs(exact - rounded) <= _TOLERANCE * np.maximum(1, rounded))
            fits &= (rounded >= 0) & (rounded <= np.iinfo(np.int32).max)
        if not np.all(fits):
            return None
        return rounded.astype(np.int32) if rounded.ndim else int(rounded)


@dataclass(frozen=True, slots=True)
class Step:
    """The length of a step, and how it is known."""

    dt: float
    """In ms."""
    reason: str
    """Continues the sentence 'delays became steps with dt = 0.5 ms, ...'."""


def from_value(value: Value, row_ptr: NDArray[np.int64], *, in_ms: bool) -> Delays | str:
    """Return delays of any form that a version wrote, or the reason why they cannot be used.

    Parameters
    ----------
    value : Value
        One number, or rows like those of ``pre_ranks``; a single row of one number
        stands for all synapses.
    row_ptr : int array, shape (n_rows + 1,)
        The rows of the projection.
    in_ms : bool
        Whether the unit is ms; steps otherwise.
    """
    flat = _flat(value, row_ptr)
    if flat is None:
        return f"the delays are {kind_of(value)}, which does not fit the {int(row_ptr[-1])} synapses"
    if in_ms:
        return Delays(flat.astype(np.float64))
    steps = np.rint(flat) if flat.dtype.kind == "f" else flat
    if flat.dtype.kind == "f" and not np.array_equal(steps, flat):
        return "the delays should be whole steps and are not"
    return Delays(steps.astype(np.int64))


def from_connectivity(
    value: Value, row_ptr: NDArray[np.int64], *, longest: int | None, uniform: int | None
) -> Delays | str | None:
    """Return the delays of a connectivity file, whose unit depends on who wrote it.

    Steps are integers. Milliseconds are floats, or integers beyond ``max_delay`` where
    dt itself was an integer.

    Parameters
    ----------
    value : Value
        The entry ``delay``: None, a number or rows.
    row_ptr : int array, shape (n_rows + 1,)
        The rows of the projection.
    longest, uniform : int, optional
        The entries ``max_delay`` and ``uniform_delay``, in steps; -1 if not uniform.
    """
    if uniform is not None and uniform >= 0:
        # 0 is how ANNarchy notes that there are no delays: what is sent arrives one step later.
        return Delays(np.array(max(1, uniform), np.int64), longest)
    if value is None:
        return None
    flat = _flat(value, row_ptr)
    if flat is None:
        return f"the delays are {kind_of(value)}, which does not fit the {int(row_ptr[-1])} synapses"
    in_ms = flat.dtype.kind == "f" or (
        longest is not None and longest > 0 and flat.size and flat.max() > longest
    )
    return Delays(flat.astype(np.float64 if in_ms else np.int64), longest)


def find_step(all_delays: Iterable[Delays], given: float | None) -> Step | None:
    """Return dt for delays in ms: the given one, or the one that the delays suggest.

    Without a given one, a connectivity file may imply it (its longest delay is there
    in ms and in steps). Else ANNarchy's default is assumed if it divides all delays,
    or the shortest delay if that does and not all are equal.

    Returns
    -------
    Step or None
        None if nothing is in ms, or if no dt was given and nothing suggests one.
    """
    delays = [d for d in all_delays if d.in_ms and d.values.size]
    if not delays:
        return None
    if given is not None:
        return Step(given, "as given")
    for one in delays:
        if one.longest is not None and one.longest > 0 and np.isfinite(one.values).all():
            dt = float(Fraction(float(one.values.max()) / one.longest).limit_denominator(_DENOMINATOR))
            if dt > 0 and one.steps(dt) is not None:
                return Step(dt, f"which makes the longest of {one.longest} steps as the file says")
    if all(d.steps(DEFAULT_DT) is not None for d in delays):
        return Step(DEFAULT_DT, "ANNarchy's default; assumed, as the file does not record it")
    shortest = _shortest(delays)
    if shortest is None or not all(d.steps(shortest) is not None for d in delays):
        return None
    return Step(shortest, "the shortest delay, which divides all; assumed, as the file does not record it")


def _flat(value: Value, row_ptr: NDArray[np.int64]) -> NDArray[np.generic] | None:
    """Return one number as shape ``()``, rows like the projection's as shape ``(n_synapses,)``."""
    single = number(value)
    if single is not None:
        return single
    if isinstance(value, NumberRows):
        flat, same_rows = value.values, np.array_equal(value.row_ptr, row_ptr)
    elif isinstance(value, np.ndarray) and value.dtype.kind in "iuf":
        flat = value.reshape(-1)
        same_rows = value.ndim == 2 and np.array_equal(
            np.arange(value.shape[0] + 1) * value.shape[1], row_ptr
        )
    else:
        return None
    if same_rows:
        return flat
    return flat.reshape(()) if flat.size == 1 else None


def _shortest(delays: Iterable[Delays]) -> float | None:
    """Return the shortest delay, one step where a network has any without delays; None if all are equal."""
    values = np.concatenate([d.values.reshape(-1) for d in delays])
    shortest, longest = float(values.min()), float(values.max())
    return shortest if 0 < shortest < longest < math.inf else None
