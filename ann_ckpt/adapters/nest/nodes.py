"""Neurons and devices: what NEST shows of them and takes back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ann_ckpt.adapters.nest.kernel import kernel
from ann_ckpt.adapters.nest.models import base_model
from ann_ckpt.adapters.nest.network import Given, NestNetwork
from ann_ckpt.errors import printable
from ann_ckpt.model import Array, Attribute, AttributeInfo, Locality, PopulationState, Resume, TypeInfo

__all__ = ["NestNodes", "lists_of", "move", "per_node"]

POSITION = "position"
"""Where a neuron stands in space; NEST gives it when it makes the neuron."""
STARTS = ".starts"
"""Ending of the name of an array that says where the values of each node begin."""
FOREVER = np.finfo(np.float64).max
"""What NEST has where a device never stops."""

_CLOSE = 1e-6
"""Times in ms, or steps, that differ by less are the same: NEST counts in tics of 1 us."""
_NO_STATE = {
    "element_type", "events", "frozen", "global_id", "label", "local", "model", "model_id", "n_events",
    "node_uses_wfr", "record_from", "record_to", "recordables", "stimulus_source", "thread",
    "thread_local_id", "time_in_steps", "vp",
}  # fmt: skip
_OPTIONS = ("label", "record_to", "time_in_steps")
_LISTS = {
    "amplitude_times", "amplitude_values", "rate_times", "rate_values", "pulse_times", "spike_times",
    "spike_weights", "spike_multiplicities",
}  # fmt: skip
"""What is as long as the user's list of events, node by node."""
_STATE = {"V_m", "U_m", "Ca", "dg_ex", "dg_in", "refractory_input"}
"""What changes in a run, besides what can be recorded."""
_WINDOW = ("origin", "start", "stop")
_WINDOWED = "dc_generator"
"""On which a window is tried for a recorder. Copies of a recorder's model share what it tells its backend: a
default that is set on one of them is forgotten, or set, for all.
"""
_SAMPLING = ("interval", "offset")
_EVENTS = (
    ("spike_times", "spike_weights", "spike_multiplicities"),
    ("amplitude_times", "amplitude_values"),
    ("rate_times", "rate_values"),
)
"""Lists of times by the kernel's clock, each with what belongs to its entries."""
_UNITS = {
    "V_m": "mV", "V_th": "mV", "V_reset": "mV", "E_L": "mV", "E_ex": "mV", "E_in": "mV", "C_m": "pF",
    "g_L": "nS", "g_ex": "nS", "g_in": "nS", "I_e": "pA", "t_ref": "ms", "tau_m": "ms", "tau_syn_ex": "ms",
    "tau_syn_in": "ms", "tau_minus": "ms", "origin": "ms", "start": "ms", "stop": "ms", "interval": "ms",
}  # fmt: skip
"""Of names that mean the same in all models; NEST itself does not say."""
_CTYPES = {"f": "double", "i": "long", "b": "bool"}

_SETTABLE: dict[str, frozenset[str]] = {}
"""By model: what can be set. It takes a try for each name to know."""


@dataclass(slots=True)
class _Content:
    """What nodes have, sorted by what becomes of it."""

    columns: dict[str, NDArray[Any]] = field(default_factory=dict)
    lists: dict[str, list[NDArray[Any]]] = field(default_factory=dict)
    options: dict[str, str | bool] = field(default_factory=dict)
    left: list[str] = field(default_factory=list)


def _trial(base: str) -> str:
    """Return a copy of a model on which values can be tried without touching anybody's."""
    nest, name = kernel(), f"{base}_ann_ckpt"
    if name not in nest.node_models:
        nest.CopyModel(base, name)
    return name


def _settable(base: str, names: Mapping[str, Any]) -> frozenset[str]:
    if base not in _SETTABLE:
        if "record_to" in names:
            return frozenset(names.keys() & {*_WINDOW, *_SAMPLING})
        nest, trial = kernel(), _trial(base)
        defaults = nest.GetDefaults(trial)
        taken = set(_LISTS & names.keys())
        for name in names.keys() & defaults.keys():
            try:
                nest.SetDefaults(trial, {name: defaults[name]})
            except (nest.NESTError, TypeError, ValueError):
                continue
            taken.add(name)
        _SETTABLE[base] = frozenset(taken - _NO_STATE)
    return _SETTABLE[base]


class NestNodes:
    """One NodeCollection under its name.

    Parameters
    ----------
    network : NestNetwork
        Keeps what times of devices stand for.
    name : str
    """

    def __init__(self, network: NestNetwork, name: str) -> None:
        self.name = name
        self.nodes = network.nodes[name]
        self._network = network
        status = self.nodes.get()
        self.size = len(self.nodes)
        self._status: dict[str, Any] = status if self.size > 1 else {n: (v,) for n, v in status.items()}
        self.model = str(self._status["model"][0])
        self.base = base_model(self.model)
        self.is_device = self._status["element_type"][0] in ("stimulator", "recorder")
        self.frozen = any(self._status["frozen"])
        """Whether some are left out of the simulation, which is not saved."""
        self.records = "record_to" in self._status
        self.recordables = frozenset(self._status.get("recordables", ((),))[0])
        self._content = self._sorted()

    def _sorted(self) -> _Content:
        found = _Content()
        settable = _settable(self.base, self._status)
        for name, values in self._status.items():
            first = values[0]
            if name in _OPTIONS:
                if len(set(values)) == 1:
                    found.options[name] = first
            elif name in settable:
                self._file(found, name, values)
        if self.nodes.spatial is not None:
            places = np.asarray(kernel().GetPosition(self.nodes), np.float64)
            found.columns[POSITION] = places.reshape(self.size, -1)
        kept = self._network.given.get(self.name)
        if kept is not None:
            for name, (given, means) in kept.columns.items():
                if name in found.columns and _alike(found.columns[name], given):
                    found.columns[name] = means
            if _same_lists(kept.lists_given, found.lists):
                found.lists.update(kept.lists_mean)
        return found

    @staticmethod
    def _file(found: _Content, name: str, values: Any) -> None:
        first = values[0]
        if isinstance(first, bool | int | float | np.number):
            found.columns[name] = np.array(values, np.float64 if isinstance(first, float) else None)
        elif isinstance(first, np.ndarray | list | tuple) and not any(isinstance(v, str) for v in first):
            arrays = [np.asarray(value, np.float64) for value in values]
            if name in _LISTS or len({array.shape for array in arrays}) > 1:
                found.lists[name] = arrays
            else:
                found.columns[name] = np.stack(arrays)
        elif any(len(value) for value in values if hasattr(value, "__len__")):
            found.left.append(name)

    # --- reading ------------------------------------------------------------------------

    @property
    def values(self) -> dict[str, NDArray[Any]]:
        """What the nodes have, by name, one for each; of devices by the clock of the network."""
        return dict(self._content.columns)

    @property
    def hidden(self) -> list[str]:
        """What can be recorded and neither be read otherwise nor set."""
        return sorted(self.recordables - self._content.columns.keys())

    @property
    def left(self) -> list[str]:
        """What has values and is in no state."""
        return self._content.left

    @property
    def options(self) -> dict[str, str | bool]:
        """What a device is given when it is made, such as where a recorder writes to."""
        return self._content.options

    def state(self, resume: Resume) -> PopulationState:
        """Return the population, in memory."""
        changing = (self.recordables | _STATE) & self._content.columns.keys()
        attributes = {n: Attribute(v, Locality.LOCAL) for n, v in self._content.columns.items()}
        infos = {
            name: AttributeInfo(ctype=_CTYPES.get(values.dtype.kind, ""), unit=_UNITS.get(name, ""))
            for name, values in self._content.columns.items()
        }
        texts = {} if self.base == self.model else {"copied from": self.base}
        return PopulationState(
            self.name,
            (self.size,),
            parameters={n: a for n, a in attributes.items() if n not in changing},
            variables={n: a for n, a in attributes.items() if n in changing},
            neuron_type=TypeInfo(self.model, texts=texts, attributes=infos),
            dynamics=self.dynamics(),
            resume=resume,
        )

    def dynamics(self) -> dict[str, Array]:
        """Return lists of any length, one after the other, and where each begins."""
        found: dict[str, Array] = {}
        for name, arrays in self._content.lists.items():
            found[name] = np.concatenate(arrays)
            found[name + STARTS] = np.cumsum([0, *(array.size for array in arrays)])
        return found

    # --- setting ------------------------------------------------------------------------

    def refuse(self, values: Mapping[str, Array]) -> str | None:
        """Say why values cannot be set together, tried on a copy of the model; None if they can."""
        if POSITION in values and not np.array_equal(
            np.asarray(values[POSITION]), self._content.columns[POSITION]
        ):
            return "neurons stand elsewhere in space, and NEST places them only when it makes them"
        nest = kernel()
        given = {name: np.asarray(v) for name, v in values.items() if name != POSITION}
        different = self._different(given)
        if (fault := self._refuse_times(given, different)) is not None:
            return fault
        if self.records:
            different = [name for name in different if name in _WINDOW]
        trial = _trial(_WINDOWED if self.records else self.base)
        if not different:
            return None
        seen: set[bytes] = set()
        for rank, one in enumerate(per_node(self._set_with(given, different), self.size)):
            key = repr(one).encode()
            if key in seen:
                continue
            seen.add(key)
            try:
                nest.SetDefaults(trial, one)
            except (nest.NESTError, TypeError, ValueError) as error:
                return f"NEST refuses the values of neuron {rank}: {printable(_said(error), 160)}"
        return None

    def _refuse_times(self, given: Mapping[str, NDArray[Any]], different: list[str]) -> str | None:
        """Say why times of a device cannot be, or those of a recorder cannot be changed."""
        step = float(kernel().resolution)
        sampling = [name for name in _SAMPLING if self.records and name in given]
        for name in (*_WINDOW, *sampling):
            if name in given and (fault := _unlike_steps(given[name], step)):
                return f"{name} {fault}"
        if changed := [name for name in sampling if name in different]:
            if not np.all(given.get("interval", step) >= step):
                return f"interval is below the step of {step} ms"
            if len(kernel().GetConnections(source=self.nodes)):
                return f"NEST sets no other {changed[0]} once something is recorded"
        return None

    def _different(self, values: Mapping[str, NDArray[Any]]) -> list[str]:
        here = self._content.columns
        return [n for n, v in values.items() if v.tobytes() != np.ascontiguousarray(here[n]).tobytes()]

    def _set_with(self, given: Mapping[str, NDArray[Any]], different: list[str]) -> dict[str, NDArray[Any]]:
        """What differs; of neurons all values if a parameter does, for some models move others with it."""
        changing = self.recordables | _STATE
        only = self.records or all(name in changing for name in different)
        return {name: v for name, v in given.items() if not only or name in different}

    def set(self, values: Mapping[str, Array]) -> None:
        """Set values of all neurons at once, those of one neuron together."""
        given = {name: np.asarray(v) for name, v in values.items() if name != POSITION}
        given = self._set_with(given, self._different(given))
        if self.is_device:
            given = self._in_kernel_time(given)
        if given:
            self.nodes.set(list(per_node(given, self.size)))

    def refuse_dynamics(self, dynamics: Mapping[str, Array]) -> str | None:
        """Say why lists of events do not fit, or None."""
        for name in dynamics:
            if name.removesuffix(STARTS) not in self._content.lists:
                return f"the network has nothing for {printable(name)}"
        for name in self._content.lists:
            if (name in dynamics) != (name + STARTS in dynamics):
                return f"{name} has no beginnings"
            if name in dynamics and (fault := _unsound(dynamics[name], dynamics[name + STARTS], self.size)):
                return f"{name}: {fault}"
        return None

    def set_dynamics(self, dynamics: Mapping[str, Array]) -> None:
        """Set lists of events; their times are those of the network."""
        lists = lists_of(dynamics)
        if lists and not _same_lists(lists, self._content.lists):
            self._set_lists(lists)

    def _set_lists(self, lists: dict[str, list[NDArray[Any]]]) -> None:
        kept = self._network.given.setdefault(self.name, Given())
        there = lists
        if self._network.offset:
            there = self._lists_in_kernel_time(lists)
        kept.lists_given, kept.lists_mean = (there, lists) if there is not lists else ({}, {})
        here = self._content.lists
        self.nodes.set(
            [
                {n: _as_taken(n, a[i]) for n, a in there.items() if a[i].size or here[n][i].size}
                for i in range(self.size)
            ]
        )

    # --- the clock ----------------------------------------------------------------------

    def _in_kernel_time(self, given: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Return when a device is on by the clock of the kernel, which cannot be set, and note it."""
        offset = self._network.offset
        kept = self._network.given.setdefault(self.name, Given()).columns
        if not given.keys() & set(_WINDOW):
            return given
        wanted = {n: np.asarray(given.get(n, self._content.columns[n])) for n in _WINDOW}
        for name in _WINDOW:
            kept.pop(name, None)
        if not offset:
            return given
        step = float(kernel().resolution)
        steps = {n: np.rint(np.where(v >= FOREVER / 2, 0.0, v) / step) for n, v in wanted.items()}
        begin = np.maximum(steps["origin"] + steps["start"] - offset, 0) * step
        end = np.maximum(steps["origin"] + steps["stop"] - offset, 0) * step
        there = {
            "origin": np.zeros(self.size),
            "start": begin,
            "stop": np.where(wanted["stop"] >= FOREVER / 2, wanted["stop"], np.maximum(end, begin)),
        }
        for name in _WINDOW:
            kept[name] = (there[name], np.array(wanted[name]))
        return {**given, **there}

    def _lists_in_kernel_time(self, lists: dict[str, list[NDArray[Any]]]) -> dict[str, list[NDArray[Any]]]:
        """Return events by the clock of the kernel; of those that are over, values that last are kept."""
        step, now = float(kernel().resolution), self._network.kernel_step
        there = {name: list(arrays) for name, arrays in lists.items()}
        for times, *others in _EVENTS:
            if times not in lists:
                continue
            for rank in range(self.size):
                # The times of spikes count from the origin, which is 0 by the clock of the kernel.
                origin = self._content.columns["origin"][rank] if times == "spike_times" else 0.0
                moved = _on_grid(lists[times][rank] + origin - self._network.offset * step, step)
                keep = np.flatnonzero(moved > 0)
                if times != "spike_times":
                    past = np.flatnonzero(moved <= now * step)[-1:]
                    keep = np.concatenate([past, np.flatnonzero(moved > now * step)])
                    moved[past] = (now + 1) * step
                there[times][rank] = moved[keep]
                for name in others:
                    if name in lists and lists[name][rank].size == moved.size:
                        there[name][rank] = lists[name][rank][keep]
        return there

    def shift(self) -> None:
        """Set when a device is on anew, after the network's beginning was moved."""
        window = {n: self._content.columns[n] for n in _WINDOW if n in self._content.columns}
        if len(window) == len(_WINDOW):
            there = self._in_kernel_time(dict(window))
            self.nodes.set([{n: float(v[i]) for n, v in there.items()} for i in range(self.size)])
        if any(times in self._content.lists for times, *_ in _EVENTS):
            self._set_lists(self._content.lists)


def _same_lists(a: Mapping[str, list[NDArray[Any]]], b: Mapping[str, list[NDArray[Any]]]) -> bool:
    return bool(a) and all(
        len(arrays) == len(b.get(name, ())) and all(map(_alike, arrays, b[name]))
        for name, arrays in a.items()
    )


def _alike(a: NDArray[Any], b: NDArray[Any]) -> bool:
    """Whether times are the same but for the rounding of NEST, which counts in tics."""
    return a.shape == b.shape and bool(np.all(np.abs(a - b) < _CLOSE))


def _as_taken(name: str, values: NDArray[Any]) -> NDArray[Any]:
    return values.astype(np.int64) if name == "spike_multiplicities" else values


def _on_grid(times: NDArray[Any], step: float) -> NDArray[Any]:
    """Return times that are whole steps but for rounding as whole steps."""
    steps = np.rint(times / step)
    return np.where(np.abs(times / step - steps) < _CLOSE, steps * step, times)


def move(network: NestNetwork, step: int) -> None:
    """Let a network stand at another step; the kernel's clock stays, and devices are set by it."""
    if network.offset == step - network.kernel_step:
        return
    devices = [NestNodes(network, name) for name in network.devices]
    network.offset = step - network.kernel_step
    for device in devices:
        device.shift()


def per_node(values: Mapping[str, NDArray[Any]], size: int) -> Iterator[dict[str, Any]]:
    """Yield what each node is given, as NEST takes it."""
    lists = {name: v.tolist() for name, v in values.items()}
    for rank in range(size):
        yield {name: v[rank] for name, v in lists.items()}


def lists_of(dynamics: Mapping[str, Array]) -> dict[str, list[NDArray[Any]]]:
    """Return lists by name, one for each node."""
    found = {}
    for name, values in dynamics.items():
        if name + STARTS in dynamics:
            starts = np.asarray(dynamics[name + STARTS])
            found[name] = np.split(np.asarray(values), starts[1:-1])
    return found


def _unlike_steps(times: NDArray[Any], step: float) -> str | None:
    """Say why times are no whole steps from 0 on."""
    known = times[times < FOREVER / 2] if times.size else times
    if np.any(np.isnan(times)) or (known.size and (known.min() < 0 or not np.all(np.isfinite(known)))):
        return "has a time before 0"
    if np.any(np.abs(known / step - np.rint(known / step)) > _CLOSE):
        return f"is no multiple of the step of {step} ms"
    return None


def _unsound(values: Array, starts: Array, size: int) -> str | None:
    ends = np.asarray(starts)
    if len(values.shape) != 1 or values.dtype != np.float64 or ends.shape != (size + 1,):
        return f"expected a list of floats for each of {size} nodes"
    if ends.dtype.kind != "i" or ends[0] != 0 or np.any(np.diff(ends) < 0) or ends[-1] != values.shape[0]:
        return "the beginnings of the lists are no increasing numbers"
    return None


def _said(error: Exception) -> str:
    return str(error).rsplit("': ", maxsplit=1)[-1]
