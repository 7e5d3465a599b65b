"""Converts a state to the tables that ANNarchy 5.0 writes; no I/O."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ann_ckpt.adapters.legacy.versions import NETWORK_ENTRIES, POPULATION_ENTRIES, PROJECTION_ENTRIES
from ann_ckpt.errors import StateError, printable
from ann_ckpt.model import (
    Array,
    Attribute,
    Locality,
    NetworkState,
    PopulationState,
    ProjectionState,
    in_memory,
    plain_array,
)
from ann_ckpt.report import Note

__all__ = ["SynapseRows", "TableEntry", "network_table"]

_BLOCK = 1 << 18


@dataclass(frozen=True, slots=True, eq=False)
class SynapseRows:
    """One value per synapse, which a file holds as a list of rows or as an array of them."""

    row_ptr: NDArray[np.int64]
    """Start of each row and the end of the last, shape ``(n_rows + 1,)``."""
    values: Array
    """Shape ``(n_synapses,)``; may be lazy."""
    as_array: bool
    """Whether ANNarchy expects an array, of numbers or of lists, and not a list of lists."""
    unit: float | None = None
    """What values are multiplied with on their way: dt, for delays in ms."""

    @property
    def width(self) -> int | None:
        """Length of the rows, if it is the same for all."""
        sizes = np.diff(self.row_ptr)
        return int(sizes[0]) if sizes.size and (sizes == sizes[0]).all() else None

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the values in the file."""
        if self.unit is not None:
            return np.dtype(np.float64)
        # ANNarchy's own files have ranks of 64 bits.
        return np.dtype(np.int64) if self.values.dtype.kind == "i" else self.values.dtype

    def blocks(self) -> Iterator[tuple[NDArray[np.int64], NDArray[Any]]]:
        """Yield whole rows, a few at a time: their bounds within the block, and their values."""
        first, n_rows = 0, self.row_ptr.size - 1
        while first < n_rows:
            last = int(np.searchsorted(self.row_ptr, self.row_ptr[first] + _BLOCK, side="right")) - 1
            last = min(n_rows, max(first + 1, last))
            start, stop = int(self.row_ptr[first]), int(self.row_ptr[last])
            values = plain_array(self.values[start:stop])
            values = values * self.unit if self.unit is not None else values.astype(self.dtype, copy=False)
            yield self.row_ptr[first : last + 1] - start, values
            first = last


TableEntry: TypeAlias = (
    "str | bool | int | float | tuple[int, ...] | list[str] | list[int] | NDArray[Any] | Array | SynapseRows "
    "| dict[str, TableEntry]"
)
"""What stands under one name: a text, a number, a tuple of lengths, names, post ranks,
values of neurons or dendrites, values of synapses, or a table of its own."""


def network_table(state: NetworkState) -> tuple[dict[str, Any], tuple[Note, ...]]:
    """Return everything that stands in a file of ANNarchy's, and what has no place there.

    Parameters
    ----------
    state : NetworkState
        Its arrays may be lazy.

    Raises
    ------
    StateError
        If two objects, or an object and an entry of the file's own, share a name; if only a part
        of an object is here; or if there are delays and dt is not known, because these files have
        delays in ms.
    """
    table: dict[str, Any] = {} if state.time_step is None else {"time_step": state.time_step}
    table["net_id"] = 0
    notes = list(_without_a_place(state))
    _check_objects(state)
    for population in state.populations.values():
        table[population.name] = _population_table(population)
    for projection in state.projections.values():
        table[projection.name] = _projection_table(projection, state.dt)
        if projection.delays is None:
            what = "its delays are not known" + ("; one step was written" if state.dt else "")
            notes.append(Note(f"projections/{projection.name}", what))
        there = {
            "delays of pathways": bool(projection.pathway_delays),
            "the order of synapses": projection.order is not None,
            "which neurons its views select": projection.pre_view is not None
            or projection.post_view is not None,
        }
        for lost, known in there.items():
            if known:
                what = f"{lost} cannot be stored in ANNarchy's own formats; left out"
                notes.append(Note(f"projections/{projection.name}", what))
    table["obj_names"] = {"populations": list(state.populations), "projections": list(state.projections)}
    return table, tuple(notes)


def _check_objects(state: NetworkState) -> None:
    for name in (*state.populations, *state.projections):
        if name in NETWORK_ENTRIES or "\0" in name:
            raise _no_place(f"an object is called {printable(name)!r}")
        if name in state.populations and name in state.projections:
            raise _no_place(f"a population and a projection are both called {printable(name)!r}")
    for population in state.populations.values():
        if population.part is not None:
            raise _no_place(f"of population {printable(population.name)!r} only a part is here")
    for projection in state.projections.values():
        if projection.partial:
            raise _no_place(f"of projection {printable(projection.name)!r} only some dendrites are here")


def _population_table(population: PopulationState) -> dict[str, Any]:
    table: dict[str, Any] = {"name": population.name, "geometry": population.geometry}
    table |= {"size": population.size, **_names(population)}
    _check_attributes(population.name, population.attributes, POPULATION_ENTRIES, len(population.geometry))
    return table | {name: _plain(attribute) for name, attribute in population.attributes.items()}


def _projection_table(projection: ProjectionState, dt: float | None) -> dict[str, Any]:
    synapses = projection.connectivity
    table: dict[str, Any] = {
        "name": projection.name,
        "pre": projection.pre,
        "post": projection.post,
        "target": projection.target,
        "post_ranks": synapses.post_ranks.tolist(),
    }
    table |= _names(projection)
    _check_attributes(projection.name, projection.attributes, PROJECTION_ENTRIES, 1)
    delays = _delays(projection, dt)
    if delays is not None:
        table["delays"] = delays
    table["pre_ranks"] = SynapseRows(synapses.row_ptr, synapses.pre_ranks, as_array=True)
    ragged = table["pre_ranks"].width is None
    for name, attribute in projection.attributes.items():
        if attribute.locality is Locality.LOCAL:
            table[name] = SynapseRows(synapses.row_ptr, attribute.values, as_array=ragged)
        else:
            table[name] = _plain(attribute, as_list=True)
    return table


def _delays(projection: ProjectionState, dt: float | None) -> float | SynapseRows | None:
    delays = projection.delays
    if dt is None:
        if delays is None:
            return None
        raise _no_place(f"projection {printable(projection.name)!r} has delays in steps, and dt is not known")
    if delays is None or isinstance(delays, int):
        return dt * max(1, delays or 1)
    return SynapseRows(projection.connectivity.row_ptr, delays, as_array=False, unit=dt)


def _names(owner: PopulationState | ProjectionState) -> dict[str, list[str]]:
    groups = {"parameters": list(owner.parameters), "variables": list(owner.variables)}
    return {"attributes": [*groups["parameters"], *groups["variables"]], **groups}


def _plain(attribute: Attribute, *, as_list: bool = False) -> Any:
    values = in_memory(attribute.values)
    return values.tolist() if values.ndim <= as_list else values


def _check_attributes(
    owner: str, attributes: Mapping[str, Attribute], taken: frozenset[str], axes: int
) -> None:
    for name, attribute in attributes.items():
        if name in taken or "\0" in name:
            raise _no_place(f"{printable(owner)!r} has an attribute called {printable(name)!r}")
        own = {Locality.GLOBAL: 0, Locality.UNKNOWN: math.inf}.get(attribute.locality, axes)
        if len(attribute.values.shape) > own:
            raise _no_place(f"the values of {printable(name)!r} of {printable(owner)!r} are arrays")


def _no_place(fact: str) -> StateError:
    return StateError(fact, details={"hint": "ANNarchy's own formats cannot hold this; .h5 can"})


_PLACELESS: Final = (
    ("constants", "constants"),
    ("seed", "the seed"),
    ("dynamics", "the states of random generators"),
    ("metadata", "metadata"),
    ("recordings", "recordings"),
    ("reseeded", "from which seed the random generators began anew"),
)


def _without_a_place(state: NetworkState) -> Iterator[Note]:
    for field, what in _PLACELESS:
        if getattr(state, field) not in (None, {}):
            yield Note("", f"{what} cannot be stored in ANNarchy's own formats; left out")
    groups: Mapping[str, Mapping[str, PopulationState | ProjectionState]] = {
        "populations": state.populations,
        "projections": state.projections,
    }
    for group, objects in groups.items():
        for name, owner in objects.items():
            if owner.dynamics:
                yield Note(f"{group}/{name}", "its dynamics cannot be stored there; left out")
