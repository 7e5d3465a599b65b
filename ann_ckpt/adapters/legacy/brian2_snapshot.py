"""One snapshot of a file that Brian2 stored, as a state.

It has the arrays of each object by its name, and nothing that says what the object is: that shows in
the names of its arrays. What an array is in a state is decided where it is for live networks, in
:mod:`ann_ckpt.adapters.brian2.mapping`.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Any, Final, TypeGuard

import numpy as np
from numpy.typing import NDArray

from ann_ckpt.adapters.brian2.mapping import (
    BUFFER,
    NETWORK_TIME,
    Kind,
    Role,
    invalid_random,
    queue_arrays,
    random_arrays,
    role_of,
    rows_of,
    steps_of,
)
from ann_ckpt.adapters.legacy.streams import Budget
from ann_ckpt.adapters.legacy.values import NumberRows, Table, Value, check_text, kind_of, number
from ann_ckpt.adapters.protocol import Reading
from ann_ckpt.errors import CorruptFileError, StateError, printable
from ann_ckpt.model import (
    Attribute,
    Exactness,
    Locality,
    NetworkState,
    PopulationState,
    ProjectionState,
    Resume,
)
from ann_ckpt.report import Note

__all__ = ["DELAY", "QUEUE", "TIME", "read_snapshot"]

TIME: Final = "0_t"
"""The network's time in s; every snapshot has it."""
QUEUE: Final = "_spikequeue"
"""What the pathways of synapses have, and nothing else."""
DELAY: Final = "delay"

_CLASSES = {"spatialstateupdater": "SpatialStateUpdater"}
"""What parts with arrays are called in a state, by what Brian2 names them, with or without a number."""
_RANDOM = "_random_generator_state"
_CLOCK: Final = frozenset({"timestep", "t"})
_CHANGED, _PREVIOUS_DT = "_spikes_changed", "_previous_dt"
"""What a group that is given its spikes keeps beside its arrays."""
_ENDS: Final = (("_synaptic_pre", "N_outgoing"), ("_synaptic_post", "N_incoming"))

_MOST_STEPS = 1 << 20
"""Longest delay in steps: a queue has a slot for each."""

_EXACT = Resume(Exactness.EXACT)
_NO_DELAYS = Resume(Exactness.APPROXIMATE, ("delays, which Brian2 stores since 2.10",))
_NO_RANDOM = Resume(Exactness.APPROXIMATE, ("random numbers, which the file does not have",))
_SOME_RANDOM = Resume(
    Exactness.APPROXIMATE,
    ("random numbers that compiled code had drawn in advance, which Brian2 stores since 2.11",),
)
_NOT_STORED: Final = (
    "no file of Brian2 has units, equations and code, which groups synapses connect, and which objects "
    "are active: they are those of the network that it is loaded into"
)


def read_snapshot(key: str, stored: Table, budget: Budget) -> Reading:
    """Return the network of a snapshot, and notes on what was left out or assumed.

    Parameters
    ----------
    key : str
        Its name, for messages.
    stored : dict
        What the file has under it.
    budget : Budget
        What reading this file may still use.

    Raises
    ------
    CorruptFileError
        If arrays contradict each other, or are not arrays.
    """
    try:
        return _Snapshot(stored, budget).reading()
    except (CorruptFileError, StateError) as error:
        raise CorruptFileError(error.fact, details={"snapshot": printable(key), **error.details}) from error


class _Snapshot:
    """Objects sorted by what they are, on their way to a state."""

    def __init__(self, stored: Table, budget: Budget) -> None:
        self._budget = budget
        self._time = _seconds(stored[TIME], "the time of the network")
        self._random = stored.get(_RANDOM)
        self._notes = [Note("", _NOT_STORED)]
        self._clocks: dict[str, Table] = {}
        self._monitors: list[str] = []
        self._groups: dict[str, Table] = {}
        parts: dict[str, Table] = {}
        for name, table in stored.items():
            if name in (TIME, _RANDOM):
                continue
            if not isinstance(table, dict):
                raise CorruptFileError(f"{printable(name)} is {kind_of(table)}; expected arrays by name")
            if "_synaptic_pre" in table or ("i" in table and "t" not in table):
                self._groups[check_text(name)] = table
            elif "N" in table and table.keys() & {"t", "count"}:  # some monitors only count
                self._monitors.append(name)
            elif table.keys() >= _CLOCK:
                self._clocks[name] = table
            elif table:
                parts[check_text(name)] = table
        self._one_clock = False
        self._parts: dict[str, dict[str, Table]] = {name: {} for name in self._groups}
        for name, table in parts.items():
            self._assign(name, table)

    def _assign(self, name: str, table: Table) -> None:
        """Give a part to its group; Brian2 begins the name of a part with that of the group."""
        owners = [
            group
            for group, its in self._groups.items()
            if name.startswith(f"{group}_") and (QUEUE not in table or "_synaptic_pre" in its)
        ]
        if owners:
            owner = max(owners, key=len)
            self._parts[owner][name.removeprefix(f"{owner}_")] = table
        else:
            self._notes.append(Note(printable(name), "belongs to no group in the file; left out"))

    def reading(self) -> Reading:
        """Return the state, and notes."""
        step, dt = self._reference()
        random, resume = self._random_numbers()
        synapses = {name for name, table in self._groups.items() if "_synaptic_pre" in table}
        state = NetworkState(
            populations={n: self._population(n) for n in sorted(self._groups.keys() - synapses)},
            projections={n: self._projection(n, dt) for n in sorted(synapses)},
            dynamics={**random, **self._rest(step, dt)},
            resume=resume,
            time_step=step,
            dt=None if dt is None else dt * 1000.0,
        )
        for name in self._monitors:
            self._notes.append(Note(f"monitors/{name}", "what a monitor has recorded is not converted"))
        return Reading(state, tuple(self._notes))

    def _reference(self) -> tuple[int | None, float | None]:
        """Return steps so far and their length in s, of the clock whose steps are the network's."""
        # A monitor with steps of its own has a clock that is called after it.
        own = {n: t for n, t in self._clocks.items() if n.removesuffix("_clock") not in self._monitors}
        steps = {n: _seconds(_array(t, "dt"), f"dt of {printable(n)}") for n, t in own.items() if "dt" in t}
        if not steps:
            self._notes.append(Note("time_step", "no clock of the file has steps of one length"))
            return None, None
        name = "defaultclock" if "defaultclock" in steps else min(steps, key=lambda n: (steps[n], n))
        self._one_clock = len(own) == 1
        for other in sorted(own.keys() - {name}):
            how = f"steps of {steps[other] * 1e3:g} ms" if other in steps else "times of its own"
            what = f"a clock with {how}; it is not compared, as the file does not say whose it is"
            self._notes.append(Note(printable(other), what))
        step = _array(own[name], "timestep")
        if step.size != 1 or step.dtype.kind not in "iu" or step[0] < 0:
            raise CorruptFileError(f"the time step of {printable(name)} is {kind_of(step)}")
        return int(step[0]), steps[name]

    def _rest(self, step: int | None, dt: float | None) -> dict[str, NDArray[Any]]:
        """Return what the time of the network has beyond whole steps."""
        if step is None or dt is None:
            return {}
        rest = self._time - step * dt
        if abs(rest) > dt:
            raise CorruptFileError(
                f"the network is at {self._time} s, and its clock at step {step} of {dt} s"
            )
        return {NETWORK_TIME: np.array(rest)}

    def _random_numbers(self) -> tuple[dict[str, NDArray[Any]], Resume]:
        """Return the random numbers of the process, and whether they are all there."""
        table = self._random
        if table is None:
            return {}, _NO_RANDOM
        if not isinstance(table, dict):
            raise CorruptFileError(f"the random numbers are {kind_of(table)}")
        rest, resume = {}, _EXACT
        for kind in ("rand", "randn"):
            buffer, index = table.get(f"{kind}_buffer"), table.get(f"{kind}_buffer_index")
            if not (_is_flat(buffer) and _is_flat(index) and index.shape == (1,) and 0 <= index[0] <= BUFFER):
                what = f"{kind_of(buffer)}, used up to {kind_of(index)}"
                raise CorruptFileError(f"{kind}_buffer is {what}, as Brian2 has none")
            used = int(index[0]) or BUFFER  # at 0, numbers are drawn before one is used
            if buffer.dtype == np.float64 and buffer.shape != (BUFFER,):
                raise CorruptFileError(f"{kind}_buffer is {kind_of(buffer)}; expected {BUFFER} numbers")
            if buffer.dtype == np.float64:
                rest[kind] = buffer[used:]
            else:
                rest[kind] = np.zeros(0)
                resume = _EXACT if used == BUFFER and resume is _EXACT else _SOME_RANDOM
        found = _twister(table.get("numpy_state"), rest)
        return found, resume

    # --- groups -------------------------------------------------------------------------

    def _population(self, name: str) -> PopulationState:
        table = self._groups[name]
        size = _array(table, "i").size
        variables: dict[str, Attribute] = {}
        dynamics = self._carried_by_parts(name)
        kind = Kind.GENERATOR if _CHANGED in table else Kind.NEURONS
        if kind is Kind.GENERATOR:
            previous = table.get(_PREVIOUS_DT)
            dynamics[_CHANGED] = np.array(bool(_single(table[_CHANGED], _CHANGED)))
            dynamics[_PREVIOUS_DT] = np.array(
                np.nan if previous is None else float(_single(previous, _PREVIOUS_DT))
            )
        for key, own in self._arrays(name, table).items():
            role = role_of(key, kind, constant=False, scalar=own.size == 1, length=own.size, size=size)
            if role is Role.DYNAMICS:
                if not key.startswith("_") and kind is Kind.NEURONS:
                    raise _of_another_size(name, key, own, size)
                dynamics[key] = own
            elif role is not Role.NOTHING:
                variables[key] = _attribute(own, size)
        return PopulationState(name, (size,), variables=variables, dynamics=dynamics, resume=_EXACT)

    def _projection(self, name: str, dt: float | None) -> ProjectionState:
        table, parts = self._groups[name], self._parts[name]
        pathways = {key: part for key, part in parts.items() if QUEUE in part}
        ends = [_ranks(table, ranks, counts) for ranks, counts in _ENDS]
        n = ends[0].size
        if ends[1].size != n:
            raise CorruptFileError(
                f"{printable(name)} has {n} neurons where synapses begin, {ends[1].size} where they end"
            )
        connectivity, order, places = rows_of(*ends)
        variables: dict[str, Attribute] = {}
        dynamics = self._carried_by_parts(name)
        linked = {f"_{key}_{DELAY}" for key in pathways}  # those of the pathways once more
        for key, own in self._arrays(name, table).items():
            role = role_of(key, Kind.SYNAPSES, constant=False, scalar=own.size == 1, length=own.size, size=n)
            if role is Role.DYNAMICS:
                if not key.startswith("_"):
                    raise _of_another_size(name, key, own, n)
                if key not in linked:
                    dynamics[key] = own
            elif role in (Role.PARAMETER, Role.VARIABLE):
                variables[key] = _attribute(own if own.size != n or places is None else own[places], n)
        delays: dict[str, NDArray[Any]] = {}
        for key, pathway in pathways.items():
            dynamics |= queue_arrays(key, _slots(pathway[QUEUE], f"{name}_{key}", n, self._budget))
            if DELAY in pathway:
                delays[key] = _delays(pathway, n, places, f"{name}_{key}")
        known = len(delays) == len(pathways)
        if not known:
            self._notes.append(
                Note(f"projections/{name}", "has no delays: before 2.10 Brian2 did not store them")
            )
        return ProjectionState(
            name,
            "",
            "",
            "",
            connectivity,
            variables=variables,
            delays=_steps(delays, dt if self._one_clock else None),
            pathway_delays=delays,
            order=order,
            dynamics=dynamics,
            resume=_EXACT if known else _NO_DELAYS,
        )

    def _carried_by_parts(self, name: str) -> dict[str, NDArray[Any]]:
        """Return the arrays of what a group contains, such as the integrator of a spatial neuron."""
        found: dict[str, NDArray[Any]] = {}
        for part, table in self._parts[name].items():
            if QUEUE not in table:
                arrays = self._arrays(f"{name}_{part}", table)
                kind = _CLASSES.get(part.rstrip("_0123456789"), part)
                found |= {f"{kind}.{key}": own for key, own in arrays.items() if not key.endswith("_idx")}
        return found

    def _arrays(self, name: str, table: Table) -> dict[str, NDArray[Any]]:
        keys = sorted(table.keys() - {_CHANGED, _PREVIOUS_DT})
        try:
            return {check_text(key): _array(table, key) for key in keys}
        except CorruptFileError as error:
            error.details.setdefault("object", printable(name))
            raise


def _of_another_size(name: str, key: str, own: NDArray[Any], size: int) -> CorruptFileError:
    return CorruptFileError(
        f"{printable(name)} has {own.size} values of {printable(key)}, and is {size} large"
    )


def _array(table: Mapping[str, Value], key: str) -> NDArray[Any]:
    """Return an array, which Brian2 stores with its size."""
    stored = table.get(key)
    if isinstance(stored, tuple) and len(stored) == 2:
        values, size = stored
        if _is_flat(values) and _single(size, "a size") == values.size:
            return values
    raise CorruptFileError(f"{printable(key)} is {kind_of(stored)}; expected a flat array and its size")


def _is_flat(values: Value) -> TypeGuard[NDArray[Any]]:
    return isinstance(values, np.ndarray) and values.ndim == 1 and values.dtype.kind in "iufb"


def _single(value: Value, what: str) -> float:
    array = value.reshape(-1) if isinstance(value, np.ndarray) else number(value)
    if array is None or array.size != 1 or array.dtype.kind not in "iufb":
        raise CorruptFileError(f"{printable(what)} is {kind_of(value)}; expected one number")
    return float(array.reshape(()))


def _seconds(value: Value, what: str) -> float:
    found = _single(value, what)
    if not (np.isfinite(found) and found >= 0):
        raise CorruptFileError(f"{what} is {found}; expected seconds")
    return found


def _attribute(own: NDArray[Any], size: int) -> Attribute:
    """Return one value for all or one each; of a single neuron or synapse the file does not say which."""
    if own.size == size:
        return Attribute(own, Locality.LOCAL if size != 1 else Locality.UNKNOWN)
    return Attribute(own.reshape(()), Locality.GLOBAL)


def _ranks(table: Table, ranks: str, counts: str) -> NDArray[np.int32]:
    """Return the neurons at one end of synapses; how many there are bounds the memory that rows take."""
    found, limit = _array(table, ranks), _array(table, counts).size
    if found.dtype.kind not in "iu" or (found.size and not 0 <= found.min() <= found.max() < limit):
        raise CorruptFileError(f"{ranks} names neurons that {counts}, of {limit}, does not count")
    return found.astype(np.int32, copy=False)


def _slots(stored: Value, name: str, n_synapses: int, budget: Budget) -> list[list[int]]:
    """Return the synapses that spikes reach, step by step from now on."""
    # None: it never ran.
    slots = [[]] if stored is None else _compiled(stored) or _interpreted(stored, budget)
    if slots is None:
        raise CorruptFileError(f"the spikes under way in {printable(name)} are in no form that Brian2 stores")
    if any(not 0 <= synapse < n_synapses for slot in slots for synapse in slot):
        raise CorruptFileError(
            f"spikes under way in {printable(name)} are for synapses that it does not have"
        )
    return slots


def _compiled(stored: Value) -> list[list[int]] | None:
    """Return the slots of a compiled queue: which of them is now, and all of them."""
    if not isinstance(stored, tuple) or len(stored) != 2:
        return None
    now, rows = stored
    if not isinstance(rows, NumberRows):  # a queue without slots is one whose spikes were never asked for
        return [[]] if now == 0 and isinstance(rows, np.ndarray) and not rows.size else None
    if (
        type(now) is not int
        or not 0 <= now < rows.n_rows
        or (rows.values.size and rows.values.dtype.kind != "i")
    ):
        return None
    flat, bounds = rows.values.tolist(), rows.row_ptr.tolist()
    slots = [flat[start:stop] for start, stop in pairwise(bounds)]
    return [*slots[now:], *slots[:now]]


def _interpreted(stored: Value, budget: Budget) -> list[list[int]] | None:
    """Return the slots of a queue in Python: dt, pairs of step and synapse, and the shape of the queue."""
    if not isinstance(stored, tuple) or len(stored) != 3:
        return None
    _, pairs, shape = stored
    if not isinstance(pairs, np.ndarray) or pairs.dtype.kind not in "iu" or pairs.shape[1:] != (2,):
        return None
    if not _is_flat(shape) or shape.dtype.kind != "i" or shape.size != 2 or not 0 < shape[0] <= _MOST_STEPS:
        return None
    if pairs.size and not 0 <= pairs[:, 0].min() <= pairs[:, 0].max() < shape[0]:
        return None
    budget.expand(int(shape[0]))  # a step without spikes takes no bytes
    slots: list[list[int]] = [[] for _ in range(shape[0])]
    for step, synapse in pairs.tolist():
        slots[step].append(synapse)
    return slots


def _delays(
    pathway: Table, n_synapses: int, places: NDArray[np.int32] | None, name: str
) -> NDArray[np.floating[Any]]:
    """Return the delays of a pathway in s: one where all are the same, else in rows."""
    own = _array(pathway, DELAY)
    if own.dtype.kind != "f" or own.size not in (1, n_synapses):
        raise CorruptFileError(
            f"{printable(name)} has {own.size} delays of {own.dtype} for {n_synapses} synapses"
        )
    if own.size and not (own.min() >= 0 and np.isfinite(own.max())):
        raise CorruptFileError(f"{printable(name)} has delays from {own.min()} to {own.max()} s")
    if own.size and np.all(own == own[0]):
        return np.array(own[0])
    return own if places is None else own[places]


def _steps(delays: Mapping[str, NDArray[Any]], dt: float | None) -> int | NDArray[np.int32] | None:
    """Return the delays of the first pathway in steps; None where it is not known which is the first."""
    first = delays.get("pre") if len(delays) != 1 else next(iter(delays.values()))
    if first is None or not dt:
        return None
    if first.size and first.max() / dt > _MOST_STEPS:
        raise CorruptFileError(f"delays of up to {first.max()} s, in steps of {dt} s")
    steps = steps_of(first, dt)
    return steps if steps.shape else int(steps)


def _twister(state: Value, rest: Mapping[str, NDArray[np.float64]]) -> dict[str, NDArray[Any]]:
    """Return the random numbers of the process as dynamics."""
    if isinstance(state, tuple) and len(state) == 5 and state[0] == "MT19937":
        words, position, has_gauss, gauss = state[1:]
        if _is_flat(words) and words.dtype == np.uint32 and type(position) is type(has_gauss) is int:
            normal = _single(gauss, "the stored normal number")
            if 0 <= position < 1 << 32 and has_gauss in (0, 1):
                state = ("MT19937", words, position, has_gauss, normal)
                found = random_arrays(state, rest["rand"], rest["randn"])
                if invalid_random(found) is None:
                    return found
    raise CorruptFileError(f"the state of numpy's random numbers is {kind_of(state)}, as numpy has none")
