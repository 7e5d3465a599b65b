"""States for tests of simulators: a network's own one, copied, changed, damaged."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ann_ckpt.errors import CorruptFileError
from ann_ckpt.model import (
    Array,
    Attribute,
    Connectivity,
    NetworkState,
    PopulationState,
    ProjectionState,
    TypeInfo,
)

__all__ = [
    "arrays",
    "captured",
    "damaged",
    "delays_reversed",
    "disturbed",
    "mapped",
    "order_reversed",
    "other_texts",
    "other_units",
    "rewired",
    "with_projections",
    "with_types",
    "without_first_attribute",
]


def captured(state: NetworkState) -> NetworkState:
    """Return a state with every array copied into memory, apart from the live network."""
    return mapped(state, lambda array: np.array(np.asarray(array)))


def disturbed(state: NetworkState, *, seed: int = 0) -> NetworkState:
    """Return a state of the same structure in which every value of an attribute is another one."""
    rng = np.random.default_rng(seed)

    def another(array: Array) -> NDArray[Any]:
        values = np.asarray(array)
        if values.dtype.kind == "b":
            return np.array(~values)
        if values.dtype.kind == "f":
            found = np.array(values + rng.uniform(0.5, 1.5, values.shape), values.dtype)
            # What is too large for the sum to be another number, or no number.
            stays = (found == values) | (np.isnan(found) & np.isnan(values))
            return np.array(np.where(stays, np.where(values == 1, 2, 1), found), values.dtype)
        return np.array(np.where(values > 0, values - 1, values + 1), values.dtype)

    step = None if state.time_step is None else state.time_step + 17
    return replace(mapped(captured(state), another, attributes_only=True), time_step=step)


def rewired(projection: ProjectionState) -> ProjectionState:
    """Return a projection with every third synapse gone, but the first of each dendrite.

    What remains keeps its order, so that no way of storing synapses has a reason to refuse. What the
    simulator carried along the old synapses is left out.
    """
    synapses = projection.connectivity
    kept = np.arange(synapses.n_synapses) % 3 != 2
    kept[synapses.row_ptr[:-1][synapses.row_sizes > 0]] = True
    row_ptr = np.concatenate(([0], np.cumsum(kept)))[synapses.row_ptr]
    connectivity = Connectivity(synapses.post_ranks, row_ptr, np.asarray(synapses.pre_ranks)[kept])
    every = (synapses.n_synapses,)

    def remaining(attributes: Mapping[str, Attribute]) -> dict[str, Attribute]:
        return {
            name: Attribute(np.asarray(a.values)[kept], a.locality) if a.values.shape[:1] == every else a
            for name, a in attributes.items()
        }

    delays = projection.delays
    order = None if projection.order is None else np.asarray(projection.order)
    return replace(
        projection,
        pathway_delays={
            name: values if values.shape == () else np.asarray(values)[kept]
            for name, values in projection.pathway_delays.items()
        },
        order=None if order is None else (np.cumsum(kept) - 1)[order[kept[order]]].astype(order.dtype),
        connectivity=connectivity,
        parameters=remaining(projection.parameters),
        variables=remaining(projection.variables),
        delays=delays if delays is None or isinstance(delays, int) else np.asarray(delays)[kept],
        dynamics={},
    )


def mapped(
    state: NetworkState, change: Callable[[Array], Array], *, attributes_only: bool = False
) -> NetworkState:
    """Return ``state`` with each array changed; of attributes and constants only, if asked for."""

    def carried(dynamics: Mapping[str, Array]) -> dict[str, Array]:
        return dict(dynamics) if attributes_only else {name: change(a) for name, a in dynamics.items()}

    def attributes(group: Mapping[str, Attribute]) -> dict[str, Attribute]:
        return {name: Attribute(change(a.values), a.locality) for name, a in group.items()}

    def population(p: PopulationState) -> PopulationState:
        return replace(
            p,
            parameters=attributes(p.parameters),
            variables=attributes(p.variables),
            dynamics=carried(p.dynamics),
        )

    def projection(p: ProjectionState) -> ProjectionState:
        changed = replace(p, parameters=attributes(p.parameters), variables=attributes(p.variables))
        if attributes_only:
            return changed
        synapses = p.connectivity
        return replace(
            changed,
            connectivity=Connectivity(synapses.post_ranks, synapses.row_ptr, change(synapses.pre_ranks)),
            dynamics=carried(p.dynamics),
            delays=p.delays if p.delays is None or isinstance(p.delays, int) else change(p.delays),
            pathway_delays={name: change(a) for name, a in p.pathway_delays.items()},
            order=None if p.order is None else change(p.order),
        )

    return replace(
        state,
        populations={name: population(p) for name, p in state.populations.items()},
        projections={name: projection(p) for name, p in state.projections.items()},
        constants={name: change(value) for name, value in state.constants.items()},
        dynamics=carried(state.dynamics),
    )


def with_projections(
    state: NetworkState, change: Callable[[ProjectionState], ProjectionState]
) -> NetworkState:
    """Return a state with every projection changed."""
    return replace(state, projections={name: change(p) for name, p in state.projections.items()})


def with_types(
    state: NetworkState, change: Callable[[TypeInfo], tuple[TypeInfo, Iterable[str]]]
) -> tuple[NetworkState, set[str]]:
    """Return ``state`` with all types changed, and the paths of what changed: objects, or attributes."""
    found: set[str] = set()

    def other(path: str, owner: PopulationState | ProjectionState, kind: TypeInfo | None) -> TypeInfo | None:
        if kind is None:
            return None
        made, names = change(kind)
        found.update(f"{path}/{name}" if name else path for name in names if not name or name in owner)
        return made

    populations = {
        n: replace(p, neuron_type=other(f"populations/{n}", p, p.neuron_type))
        for n, p in state.populations.items()
    }
    projections = {
        n: replace(p, synapse_type=other(f"projections/{n}", p, p.synapse_type))
        for n, p in state.projections.items()
    }
    return replace(state, populations=populations, projections=projections), found


def other_units(kind: TypeInfo) -> tuple[TypeInfo, list[str]]:
    """Return a type in other units, and the names of the attributes that have one."""
    named = {n: a for n, a in kind.attributes.items() if a.unit}
    other = {n: replace(a, unit=f"1000 {a.unit}") for n, a in named.items()}
    return replace(kind, attributes={**kind.attributes, **other}), list(other)


def other_texts(kind: TypeInfo) -> tuple[TypeInfo, list[str]]:
    """All but that of the parameters, which holds their initial values."""
    other = {n: f"{text} # another one" for n, text in kind.texts.items() if n != "parameters"}
    return replace(kind, texts={**kind.texts, **other}), [""] if other else []


def delays_reversed(projection: ProjectionState) -> ProjectionState:
    """Return a projection whose delays per synapse have changed places."""
    delays = projection.delays
    pathways = {
        name: np.asarray(values)[::-1].copy() if values.shape else values
        for name, values in projection.pathway_delays.items()
    }
    if delays is not None and not isinstance(delays, int):
        delays = np.asarray(delays)[::-1].copy()
    return replace(projection, delays=delays, pathway_delays=pathways)


def order_reversed(projection: ProjectionState) -> ProjectionState:
    """Return a projection whose simulator has the synapses the other way round."""
    if projection.order is None:
        return projection
    return replace(projection, order=np.asarray(projection.order)[::-1].copy())


def without_first_attribute(state: NetworkState) -> NetworkState:
    """Return a state in which the first population lacks its first attribute."""
    name, population = next((n, p) for n, p in state.populations.items() if p.attributes)
    lost = next(iter(population))
    fewer = replace(
        population,
        parameters={n: a for n, a in population.parameters.items() if n != lost},
        variables={n: a for n, a in population.variables.items() if n != lost},
    )
    return replace(state, populations={**state.populations, name: fewer})


def damaged(state: NetworkState) -> NetworkState:
    """Return a state whose last value per synapse or neuron cannot be read."""
    name, population = next((n, p) for n, p in reversed(list(state.populations.items())) if p.attributes)
    attribute = [*population.parameters, *population.variables][-1]
    broken = Attribute(_Unreadable(population[attribute]), population.attribute(attribute).locality)
    if attribute in population.variables:
        changed = replace(population, variables={**population.variables, attribute: broken})
    else:
        changed = replace(population, parameters={**population.parameters, attribute: broken})
    return replace(state, populations={**state.populations, name: changed})


class _Unreadable:
    """An array in a damaged file."""

    def __init__(self, array: Array) -> None:
        self.shape = array.shape
        self.dtype = array.dtype

    def __getitem__(self, key: Any) -> NDArray[Any]:
        raise CorruptFileError("the values differ from their digest")

    def __array__(self, dtype: Any = None, *, copy: bool | None = None) -> NDArray[Any]:
        raise CorruptFileError("the values differ from their digest")


def arrays(state: NetworkState) -> Iterator[tuple[str, Array]]:
    """Yield every array with its path."""
    for name, population in state.populations.items():
        for attribute in population:
            yield f"populations/{name}/{attribute}", population[attribute]
    for name, projection in state.projections.items():
        yield f"projections/{name}/pre_ranks", projection.connectivity.pre_ranks
        if projection.delays is not None and not isinstance(projection.delays, int):
            yield f"projections/{name}/delays", projection.delays
        for pathway, delays in projection.pathway_delays.items():
            yield f"projections/{name}/pathway_delays/{pathway}", delays
        if projection.order is not None:
            yield f"projections/{name}/order", projection.order
        for attribute in projection:
            yield f"projections/{name}/{attribute}", projection[attribute]
    for name, value in state.constants.items():
        yield f"constants/{name}", value
