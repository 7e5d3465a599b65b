"""A named network of PyNN as a simulator: what PyNN shows of it, and takes back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ann_ckpt.adapters.protocol import Clock, Owner, Reading
from ann_ckpt.adapters.pynn.network import PynnNetwork, pynn
from ann_ckpt.errors import SimulatorError, printable
from ann_ckpt.model import (
    Array,
    Attribute,
    Connectivity,
    Exactness,
    Locality,
    NetworkState,
    PopulationState,
    ProjectionState,
    Resume,
    TypeInfo,
)
from ann_ckpt.report import Note
from ann_ckpt.selection import EVERYTHING, Selection

__all__ = ["INITIAL", "METADATA", "WEIGHT", "PynnSimulator", "adapt", "as_given", "close"]

METADATA = "pynn"
"""Under which metadata have what is needed to make the network."""
WEIGHT = "w"
DELAY = "delay"
"""Attribute of delays in ms; only where they are no whole steps."""
INITIAL = "initial."
"""Beginning of the names of what variables begin with."""
_ROUNDING = 1e-9
"""Part of a value, or of a step, that is lost when PyNN converts units there and back."""
_ON_GRID = 1e-6
"""Part of a step by which a delay may be off."""
_PARTS = ("timing_dependence", "weight_dependence", "voltage_dependence")
_NO_STATE = {"spikes"}


def adapt(network: object | None, _net_id: int) -> PynnSimulator | None:
    """Return the simulator for a named network of PyNN, or None if this is not one."""
    return PynnSimulator(network) if isinstance(network, PynnNetwork) else None


class PynnSimulator:
    """Meets :class:`~ann_ckpt.adapters.protocol.Simulator`.

    Parameters
    ----------
    network : PynnNetwork

    Raises
    ------
    SimulatorError
        If the backend was set up anew since the network was named, or with several MPI processes, each of
        which sees its own neurons.
    """

    def __init__(self, network: PynnNetwork) -> None:
        network.check_alive()
        if (processes := int(network.sim.num_processes())) > 1:
            raise SimulatorError(
                f"PyNN runs with {processes} MPI processes, each of which sees its own neurons"
            )
        self._network = network

    @property
    def network(self) -> PynnNetwork:
        """The network, which is looked at each time: whoever holds it may set the backend up anew."""
        self._network.check_alive()
        return self._network

    @property
    def label(self) -> str:
        """Names and version, such as ``PyNN 0.13.0 on NEST``."""
        return f"PyNN {pynn('pyNN').__version__} on {self._network.sim.simulator.name}"

    @property
    def identity(self) -> object:
        """The network, of which there may be several simulators."""
        return self._network

    # --- reading ------------------------------------------------------------------------

    def read(self, selection: Selection = EVERYTHING) -> Reading:
        """Return the selected part of the network, with notes on what is not saved."""
        network, notes = self.network, [Note("", "PyNN does not show state variables; they are not saved")]
        populations = {
            n: self._population(n, notes) for n in selection.pick("populations", network.populations)
        }
        projections = {n: self._projection(n) for n in selection.pick("projections", network.projections)}
        about = {n: self._synapse_type(n, notes) for n in projections}
        state = NetworkState(
            populations=populations,
            projections=projections,
            resume=Resume(Exactness.APPROXIMATE, ("spikes on their way", "random numbers")),
            time_step=network.step,
            dt=float(network.sim.get_time_step()),
            metadata={
                METADATA: {
                    "backend": network.sim.__name__,
                    "min_delay": float(network.sim.get_min_delay()),
                    "max_delay": float(network.sim.get_max_delay()),
                    "labels": {
                        "populations": {n: str(network.populations[n].label) for n in populations},
                        "projections": {n: str(network.projections[n].label) for n in projections},
                    },
                    "synapses": about,
                }
            },
        )
        return Reading(state, tuple(notes))

    def clock(self) -> Clock:
        """Return the step, and its length in ms."""
        return Clock(self.network.step, float(self.network.sim.get_time_step()))

    def _population(self, name: str, notes: list[Note]) -> PopulationState:
        population = self.network.populations[name]
        cell = population.celltype
        found = dict(self._parameters(population))
        if left := [n for n in cell.get_parameter_names() if n not in found]:
            notes.append(
                Note(f"populations/{name}", f"not saved: {', '.join(left)}, which {self.label} does not read")
            )
        for variable, value in population.initial_values.items():
            if isinstance(getattr(value, "base_value", None), pynn("pyNN.random").RandomDistribution):
                notes.append(
                    Note(f"populations/{name}", f"not saved: what {variable} begins with, which was drawn")
                )
            else:
                found[INITIAL + variable] = np.broadcast_to(value.evaluate(), (population.size,)).astype(
                    float
                )
        hidden = sorted(set(cell.recordable) - _NO_STATE)
        reason = (
            f"{', '.join(hidden)}, which PyNN does not show"
            if hidden
            else "random numbers, and the spikes left"
        )
        return PopulationState(
            name,
            (population.size,),
            parameters={n: Attribute(v, Locality.LOCAL) for n, v in found.items()},
            neuron_type=TypeInfo(type(cell).__name__),
            resume=Resume(Exactness.APPROXIMATE, (reason,)),
        )

    @staticmethod
    def _parameters(population: Any) -> Iterator[tuple[str, NDArray[Any]]]:
        """Yield parameters, one value per neuron; of lists as many as the longest has, NaN behind its end.

        What a backend cannot read back, as Brian2's cannot spike times, is left out.
        """
        names = list(population.celltype.get_parameter_names())
        try:
            found = population.get(names, simplify=False) if names else []
        except Exception:  # noqa: BLE001  (each backend has errors of its own)
            found = [_shown(population, name) for name in names]
        for name, values in zip(names, found, strict=True):
            if values is None:
                continue
            each = np.asarray(values)
            if each.dtype != object:
                yield name, np.array(np.broadcast_to(each, (population.size,)))
                continue
            lists = [np.asarray(getattr(one, "value", one), np.float64).ravel() for one in each]
            padded = np.full((len(lists), max(map(len, lists), default=0)), np.nan)
            for row, one in zip(padded, lists, strict=True):
                row[: one.size] = one
            yield name, padded

    def _table(self, name: str) -> NDArray[np.float64]:
        """Return synapses in the order of rows: pre, post, weight, delay in ms."""
        projection, ends = self.network.projections[name], self.network.ends[name]
        table = np.array(_listed(projection), np.float64).reshape(-1, 4)
        for column, ranks in ((0, ends.pre_ranks), (1, ends.post_ranks)):
            table[:, column] = ranks[table[:, column].astype(np.int64)]
        # Of several between two neurons nobody can tell which is which, but by their values.
        return table[np.lexsort((table[:, 2], table[:, 3], table[:, 0], table[:, 1]))]

    def _projection(self, name: str) -> ProjectionState:
        network, projection, ends = self.network, self.network.projections[name], self.network.ends[name]
        table, plain = self._table(name), type(projection.synapse_type).__name__
        pre, post = (table[:, column].astype(np.int32) for column in (0, 1))
        first = np.flatnonzero(np.diff(post, prepend=-1))
        steps = table[:, 3] / float(network.sim.get_time_step())
        variables = {WEIGHT: Attribute(table[:, 2].copy(), Locality.LOCAL)}
        whole = bool(np.all(np.abs(steps - np.rint(steps)) < _ON_GRID))
        if not whole:
            variables[DELAY] = Attribute(table[:, 3].copy(), Locality.LOCAL)
        reasons = ["spikes on their way"]
        if plain != "StaticSynapse":
            reasons.append(f"what {plain} keeps of past spikes")
        return ProjectionState(
            name,
            ends.pre,
            ends.post,
            str(projection.receptor_type),
            Connectivity(post[first], np.append(first, post.size), pre),
            variables=variables,
            delays=np.rint(steps).astype(np.int32) if whole else None,
            pre_size=network.populations[ends.pre].size,
            post_size=network.populations[ends.post].size,
            synapse_type=TypeInfo(plain),
            resume=Resume(Exactness.APPROXIMATE, tuple(reasons)),
        )

    def _synapse_type(self, name: str, notes: list[Note]) -> dict[str, Any]:
        """Return the class of synapses and parts of it, with what all of them share."""
        given = self.network.projections[name].synapse_type
        parts = {part: one for part in _PARTS if (one := getattr(given, part, None)) is not None}
        taken = {n for one in parts.values() for n in one.get_parameter_names()} | {"weight", DELAY}
        left: list[str] = []
        found = _described(given, taken, left) | {n: _described(one, set(), left) for n, one in parts.items()}
        if left:
            notes.append(
                Note(f"projections/{name}", f"not saved: {', '.join(left)}, which synapses do not share")
            )
        return found

    # --- setting ------------------------------------------------------------------------

    def refusal(self, projection: ProjectionState) -> str | None:
        """Say why ``projection`` cannot be put in place of the live one of its name."""
        table, sim = self._table(projection.name), self.network.sim
        rows = projection.connectivity
        post = np.repeat(rows.post_ranks, rows.row_sizes)
        if not (np.array_equal(table[:, 0], rows.pre_ranks) and np.array_equal(table[:, 1], post)):
            return "PyNN takes no synapses away; ann_ckpt.pynn.build makes the network anew from the file"
        if projection.delays is None:
            return None
        ms = np.broadcast_to(np.asarray(projection.delays), post.shape) * float(sim.get_time_step())
        low, high = float(sim.get_min_delay()), float(sim.get_max_delay())
        if ms.size and not low - 1e-6 <= ms.min() <= ms.max() <= high + 1e-6:
            return f"it has delays of {ms.min():g} to {ms.max():g} ms, and setup was told {low:g} to {high:g}"
        return self._refuse_each(projection.name, ms, table[:, 3], "delays")

    def _refuse_each(self, name: str, wanted: NDArray[Any], here: NDArray[Any], what: str) -> str | None:
        """Say why synapses cannot be given values one by one, where there are several between two neurons."""
        if close(wanted, here):
            return None
        table = self._table(name)
        same = np.flatnonzero(np.all(np.diff(table[:, :2], axis=0) == 0, axis=1))
        if np.any(wanted[same] != wanted[same + 1]):
            return (
                f"{what} differ between synapses of the same two neurons, and PyNN sets one for all of them"
            )
        return None

    def refuse_values(self, stored: Owner, values: Mapping[str, Array]) -> str | None:
        """Say what PyNN says of parameters, which it is given for a moment; or of weights."""
        given = {name: np.asarray(v) for name, v in values.items()}
        # Behind the end of a list stands NaN.
        if any(v.ndim == 1 and v.dtype.kind == "f" and not np.all(np.isfinite(v)) for v in given.values()):
            return "a value is no number"
        if isinstance(stored, ProjectionState):
            table = self._table(stored.name)
            for name, column in ((WEIGHT, 2), (DELAY, 3)):
                if name in given and (
                    why := self._refuse_each(stored.name, given[name], table[:, column], name)
                ):
                    return why
        if not isinstance(stored, PopulationState):
            return None
        population = self.network.populations[stored.name]
        before = dict(self._parameters(population))
        given = {n: v for n, v in given.items() if not n.startswith(INITIAL)}
        if all(close(v, before[n]) for n, v in given.items()):
            return None
        try:
            population.set(**{n: as_given(v) for n, v in given.items()})
        except Exception as error:  # noqa: BLE001  (each backend has errors of its own)
            return f"{self.label} refuses the values: {printable(str(error), 160)}"
        finally:
            population.set(**{n: as_given(v) for n, v in before.items()})
        return None

    def set_attributes(self, stored: PopulationState | ProjectionState, values: Mapping[str, Array]) -> None:
        """Set all values of one object together; what is the same already is left alone."""
        given = {name: np.asarray(v) for name, v in values.items()}
        if isinstance(stored, ProjectionState):
            for name, column in ((WEIGHT, 2), (DELAY, 3)):
                if name in given and not close(given[name], self._table(stored.name)[:, column]):
                    self._set_synapses(stored.name, "weight" if name == WEIGHT else name, given[name])
            return
        population = self.network.populations[stored.name]
        before = dict(self._parameters(population))
        parameters = {n: v for n, v in given.items() if not n.startswith(INITIAL)}
        if not all(close(v, before[n]) for n, v in parameters.items()):
            population.set(**{n: as_given(v) for n, v in parameters.items()})
        for name, each in given.items():
            variable = name.removeprefix(INITIAL)
            if variable != name and not close(each, population.initial_values[variable].evaluate()):
                population.initialize(**{variable: each})

    def set_population_attribute(self, population: str, attribute: str, values: Array) -> None:
        """Set one attribute of all neurons."""
        self.set_attributes(PopulationState(population, np.shape(values)[:1]), {attribute: values})

    def set_projection_attribute(self, projection: str, attribute: str, values: Array) -> None:
        """Set one attribute of synapses, given in rows."""
        self._set_synapses(projection, "weight" if attribute == WEIGHT else attribute, np.asarray(values))

    def _set_synapses(self, name: str, attribute: str, values: NDArray[Any]) -> None:
        """Set a value of each synapse, which PyNN takes as a matrix of the neurons that were connected."""
        projection, ends, table = self.network.projections[name], self.network.ends[name], self._table(name)
        matrix = np.full((ends.pre_ranks.size, ends.post_ranks.size), np.nan)
        pre, post = (_places(ranks, table[:, i]) for i, ranks in enumerate((ends.pre_ranks, ends.post_ranks)))
        matrix[pre, post] = values
        if len(table):
            projection.set(**{attribute: matrix})

    def set_constant(self, name: str, value: NDArray[Any]) -> None:
        """Do nothing: there are no constants."""

    def set_delays(self, projection: str, delays: int | Array) -> None:
        """Set delays in steps."""
        ms = np.asarray(delays) * float(self.network.sim.get_time_step())
        self._set_synapses(projection, DELAY, np.broadcast_to(ms, (len(self._table(projection)),)))

    def connect(self, projection: ProjectionState) -> None:
        """Synapses that differ are always refused."""
        raise SimulatorError(f"synapses of {printable(projection.name)} cannot be replaced")

    def refuse_time_step(self, time_step: int) -> str | None:
        """Say that PyNN's clock cannot be set."""
        return None if time_step == self.network.step else "PyNN has no call that sets the time"

    def set_time_step(self, time_step: int) -> None:
        """Do nothing: only the time that it is already is not refused."""


def _listed(projection: Any) -> Any:
    """Return synapses as PyNN lists them: pre, post, weight, delay."""
    names = ["weight", "delay"]
    if not len(projection):
        return []
    try:
        return projection.get(names, format="list")
    except ValueError:
        if len(projection) > 1:
            raise
        # Brian2's backend lists no single synapse.
        weight, delay = projection.get(names, format="array")
        i, j = np.argwhere(~np.isnan(weight))[0]
        return [(i, j, weight[i, j], delay[i, j])]


def _shown(population: Any, name: str) -> Any:
    """Return a parameter, None if the backend cannot read it."""
    try:
        return population.get(name, simplify=False)
    except Exception:  # noqa: BLE001  (each backend has errors of its own)
        return None


def _described(model: Any, without: set[str], left: list[str]) -> dict[str, Any]:
    """Return the class of a model and its parameters that are one number; others are added to ``left``."""
    found: dict[str, float] = {}
    for name in model.get_parameter_names():
        if name in without:
            continue
        value = model.parameter_space[name]
        if value.is_homogeneous and isinstance(value.base_value, int | float | np.number):
            found[name] = float(value.base_value)
        else:
            left.append(name)
    return {"class": type(model).__name__, "parameters": found}


def _places(ranks: NDArray[np.int64], wanted: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return where ranks stand in a list of ranks."""
    order = np.argsort(ranks)
    places: NDArray[np.int64] = order[np.searchsorted(ranks, wanted.astype(np.int64), sorter=order)]
    return places


def as_given(values: NDArray[Any]) -> Any:
    """Return parameters as PyNN takes them: lists without what stands behind their ends."""
    if values.ndim == 1:
        return values
    sequence = pynn("pyNN.parameters").Sequence
    return [sequence(row[~np.isnan(row)]) for row in values]


def close(a: NDArray[Any], b: Any) -> bool:
    """Whether values are the same, but for conversions of units there and back."""
    b = np.broadcast_to(np.asarray(b), np.shape(a)) if np.ndim(b) == 0 else np.asarray(b)
    if a.shape != b.shape or a.dtype.kind not in "fiub":
        return False
    return bool(np.allclose(a, b, rtol=_ROUNDING, atol=0.0, equal_nan=a.dtype.kind == "f"))
