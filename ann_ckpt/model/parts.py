"""Parts of a network: the rows that one of several processes has, cut out and put together again.

A population is divided along the first axis of its geometry, a projection into the dendrites
of such neurons. Whatever has no rows (constants, global values, names, types) is in every part.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from ann_ckpt.errors import StateError, printable
from ann_ckpt.model.arrays import Array, Attribute, Locality, identical_values
from ann_ckpt.model.connectivity import Connectivity, row_pointers
from ann_ckpt.model.objects import PopulationState, ProjectionState
from ann_ckpt.model.types import Exactness, Part, Resume

__all__ = [
    "DIVIDED",
    "ChainedArray",
    "cut_population",
    "cut_projection",
    "join_populations",
    "join_projections",
    "joined_dynamics",
    "share",
]

_T = TypeVar("_T", PopulationState, ProjectionState)

DIVIDED = Resume(
    Exactness.APPROXIMATE, ("what is carried from step to step was not divided among the processes",)
)
"""Of a part of what carries something, and of a whole whose parts carry different things."""


def share(length: int, rank: int, ranks: int) -> tuple[int, int]:
    """Return the range of ``length`` entries that falls to one of several processes, as even as can be.

    Examples
    --------
    >>> [share(10, rank, 3) for rank in range(3)]
    [(0, 4), (4, 7), (7, 10)]
    """
    whole, more = divmod(length, ranks)
    first = rank * whole + min(rank, more)
    return first, first + whole + (rank < more)


class _Derived:
    """Base of arrays that are made from others, and read when they are used."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    def _read(self, start: int, stop: int) -> NDArray[Any]:
        raise NotImplementedError

    def __getitem__(self, key: Any, /) -> Any:
        if isinstance(key, slice):
            start, stop, step = key.indices(self.shape[0])
            if step == 1:
                return self._read(start, max(start, stop))
        return self.__array__()[key]

    def __array__(self, dtype: Any = None, /, *, copy: bool | None = None) -> NDArray[Any]:
        if copy is False:
            raise ValueError("an array that is read from others cannot be returned without a copy")
        whole = self._read(0, self.shape[0])
        return whole if dtype is None else whole.astype(dtype, copy=False)


class ChainedArray(_Derived):
    """Arrays one behind the other along the first axis.

    Parameters
    ----------
    parts : sequence of Array
        At least one; of one type, and of one shape but for the first axis.
    """

    def __init__(self, parts: Sequence[Array]) -> None:
        self.parts = tuple(parts)
        self.dtype = parts[0].dtype
        self._ends = np.cumsum([part.shape[0] for part in parts])
        self.shape = (int(self._ends[-1]), *parts[0].shape[1:])

    def _read(self, start: int, stop: int) -> NDArray[Any]:
        found = [np.empty((0, *self.shape[1:]), self.dtype)]
        for part, end in zip(self.parts, self._ends.tolist(), strict=True):
            begin = end - part.shape[0]
            low, high = max(start, begin), min(stop, end)
            if low < high:
                found.append(np.asarray(part[low - begin : high - begin]))
        return np.concatenate(found)


class _Range(_Derived):
    """A range of the first axis of a lazy array."""

    def __init__(self, array: Array, first: int, last: int) -> None:
        self._array, self._first = array, first
        self.dtype = array.dtype
        self.shape = (last - first, *array.shape[1:])

    def _read(self, start: int, stop: int) -> NDArray[Any]:
        return np.asarray(self._array[self._first + start : self._first + stop])


def _ranged(array: Array, first: int, last: int) -> Array:
    if (first, last) == (0, array.shape[0]):
        return array
    return array[first:last] if isinstance(array, np.ndarray) else _Range(array, first, last)


# --- Cutting ----------------------------------------------------------------------


def cut_population(population: PopulationState, first: int, last: int) -> PopulationState:
    """Return the neurons ``[first, last)`` along the first axis of a whole population.

    Raises
    ------
    StateError
        If it is a part itself, or has not as many.
    """
    length, *others = population.geometry
    if population.part is not None or not 0 <= first <= last <= length:
        raise StateError(
            f"population {printable(population.name)!r} cannot be cut to {first}:{last}",
            details={"found": f"geometry {population.geometry}" + " of a part" * bool(population.part)},
        )

    def cut(attribute: Attribute) -> Attribute:
        if attribute.locality is not Locality.LOCAL:
            return attribute
        return Attribute(_ranged(attribute.values, first, last), attribute.locality)

    return replace(
        population,
        geometry=(last - first, *others),
        part=Part(first, length),
        parameters={n: cut(a) for n, a in population.parameters.items()},
        variables={n: cut(a) for n, a in population.variables.items()},
        **_without_dynamics(population),
    )


def cut_projection(projection: ProjectionState, first: int, last: int) -> ProjectionState:
    """Return the dendrites of the neurons with ranks ``[first, last)``; ranks stay those of the network."""
    connectivity = projection.connectivity
    post = connectivity.post_ranks
    rows = np.flatnonzero((post >= first) & (post < last))
    sizes = connectivity.row_sizes[rows]
    starts = connectivity.row_ptr[:-1][rows]
    together = rows.size == 0 or rows[-1] - rows[0] == rows.size - 1
    low, high = (int(rows[0]), int(rows[-1]) + 1) if rows.size else (0, 0)
    pointers = row_pointers(sizes)

    def of_rows(array: Array) -> Array:
        return _ranged(array, low, high) if together else np.asarray(array)[rows]

    def of_synapses(array: Array) -> Array:
        if together:
            return _ranged(array, int(connectivity.row_ptr[low]), int(connectivity.row_ptr[high]))
        places = np.repeat(starts - pointers[:-1], sizes) + np.arange(pointers[-1])
        return np.asarray(np.asarray(array)[places])

    def cut(attribute: Attribute) -> Attribute:
        how = {Locality.SEMIGLOBAL: of_rows, Locality.LOCAL: of_synapses}.get(attribute.locality)
        return attribute if how is None else Attribute(how(attribute.values), attribute.locality)

    delays = projection.delays
    return replace(
        projection,
        connectivity=Connectivity(post[rows], pointers, of_synapses(connectivity.pre_ranks)),
        delays=delays if delays is None or isinstance(delays, int) else of_synapses(delays),
        pathway_delays={n: of_synapses(a) if a.shape else a for n, a in projection.pathway_delays.items()},
        order=None,
        parameters={n: cut(a) for n, a in projection.parameters.items()},
        variables={n: cut(a) for n, a in projection.variables.items()},
        **_without_dynamics(projection),
    )


def _without_dynamics(owner: PopulationState | ProjectionState) -> dict[str, Any]:
    ordered = isinstance(owner, ProjectionState) and owner.order is not None
    return {"dynamics": {}, "resume": DIVIDED} if owner.dynamics or ordered else {}


# --- Joining ----------------------------------------------------------------------


def join_populations(parts: Sequence[PopulationState]) -> PopulationState:
    """Return the population that some parts make up, in any order; one that is whole in each is the first.

    Raises
    ------
    StateError
        If they leave neurons out, overlap, or disagree on what has no rows.
    """
    title = f"population {printable(parts[0].name)!r}"
    divided = [p for p in parts if p.part is not None]
    if not divided:
        _check_alike(title, parts, lambda _: True)
        return parts[0]
    if len(divided) < len(parts):
        raise StateError(f"{title} is whole in some parts of the network, and divided in others")
    ordered = sorted(divided, key=_first)
    _check_alike(title, ordered, lambda a: a.locality is not Locality.LOCAL)
    whole, others = _length(ordered[0]), ordered[0].geometry[1:]
    ends = [0, *(_first(p) + p.geometry[0] for p in ordered)]
    alike = all(_length(p) == whole and p.geometry[1:] == others for p in ordered)
    if not alike or ends[-1] != whole or [_first(p) for p in ordered] != ends[:-1]:
        shown = ", ".join(f"{_first(p)}:{_first(p) + p.geometry[0]} of {_length(p)}" for p in ordered)
        raise StateError(f"{title}: the parts do not make up the whole", details={"found": shown})
    groups = _chained(ordered, {Locality.LOCAL})
    return replace(ordered[0], geometry=(whole, *others), part=None, **groups, **_dynamics_of(ordered))


def join_projections(parts: Sequence[ProjectionState], *, divided: bool) -> ProjectionState:
    """Return the projection that some parts make up, their dendrites sorted by the first of each part.

    Parameters
    ----------
    parts : sequence of ProjectionState
        Of one name.
    divided : bool
        Whether each has dendrites of its own; else all are the same, and the first is returned.

    Raises
    ------
    StateError, ConnectivityError
        If they disagree on what has no rows, or a dendrite is in two of them.
    """
    title = f"projection {printable(parts[0].name)!r}"
    if not divided:
        _check_alike(title, parts, lambda _: True)
        if not all(p.connectivity.equals(parts[0].connectivity) for p in parts[1:]):
            raise StateError(f"{title}: the parts of the network have different synapses")
        return parts[0]
    ordered = sorted(parts, key=lambda p: int(p.post_ranks[0]) if p.n_rows else -1)
    divided_ones = {Locality.LOCAL, Locality.SEMIGLOBAL}
    _check_alike(title, ordered, lambda a: a.locality not in divided_ones)
    connectivities = [p.connectivity for p in ordered]
    pointers = row_pointers(np.concatenate([c.row_sizes for c in connectivities]))
    post = np.concatenate([c.post_ranks for c in connectivities])
    return replace(
        ordered[0],
        connectivity=Connectivity(post, pointers, ChainedArray([c.pre_ranks for c in connectivities])),
        delays=_joined_delays(title, ordered),
        pathway_delays={
            name: ChainedArray([p.pathway_delays[name] for p in ordered]) if first.shape else first
            for name, first in ordered[0].pathway_delays.items()
        },
        order=None,
        **_chained(ordered, divided_ones),
        **_dynamics_of(ordered),
    )


def joined_dynamics(parts: Sequence[Mapping[str, Array]]) -> dict[str, Array] | None:
    """Return the dynamics that are in one part only, or the same in several; None if two parts differ."""
    found: dict[str, Array] = {}
    for name, array in (item for part in parts for item in part.items()):
        if not identical_values(found.setdefault(name, array), array):
            return None
    return found


def _dynamics_of(parts: Sequence[_T]) -> dict[str, Any]:
    found = joined_dynamics([p.dynamics for p in parts])
    if found is None:
        return {"dynamics": {}, "resume": DIVIDED}
    exact = all(p.resume == parts[0].resume for p in parts)
    return {"dynamics": found, "resume": parts[0].resume if exact else DIVIDED}


def _chained(parts: Sequence[_T], divided: set[Locality]) -> dict[str, Any]:
    return {group: _chained_group(parts, group, divided) for group in ("parameters", "variables")}


def _chained_group(parts: Sequence[_T], group: str, divided: set[Locality]) -> dict[str, Attribute]:
    return {
        name: Attribute(ChainedArray([getattr(p, group)[name].values for p in parts]), first.locality)
        if first.locality in divided
        else first
        for name, first in getattr(parts[0], group).items()
    }


def _joined_delays(title: str, parts: Sequence[ProjectionState]) -> int | Array | None:
    given = [p.delays for p in parts]
    if all(d is None or isinstance(d, int) for d in given):
        if len(set(given)) == 1:
            return given[0]
        raise StateError(f"{title}: the parts have different delays", details={"found": f"{given}"})
    arrays = [d for d in given if d is not None and not isinstance(d, int)]
    if len(arrays) < len(given) or len({a.dtype for a in arrays}) > 1:
        raise StateError(f"{title}: delays are in each synapse of some parts only, or of different types")
    return ChainedArray(arrays)


def _check_alike(title: str, parts: Sequence[_T], same: Callable[[Attribute], bool]) -> None:
    """Raise unless parts have the same attributes, and the same values where ``same`` says so."""
    one = parts[0]
    fields: tuple[str, ...] = ("pre", "post", "target", "pre_size", "post_size", "synapse_type", "partial")
    if isinstance(one, PopulationState):
        fields = ("neuron_type",) if one.part is not None else ("neuron_type", "geometry")
    for other in parts[1:]:
        for field in fields:
            if getattr(one, field) != getattr(other, field):
                raise StateError(f"{title}: the parts of the network differ in {field}")
        for group in ("parameters", "variables"):
            ours, theirs = getattr(one, group), getattr(other, group)
            if list(ours) != list(theirs):
                raise StateError(f"{title}: the parts of the network have different {group}")
            for name, a in ours.items():
                _check_attribute(f"{title}, attribute {printable(name)!r}", a, theirs[name], same)
        if isinstance(one, ProjectionState) and isinstance(other, ProjectionState):
            _check_pathways(title, one, other)


def _check_attribute(title: str, a: Attribute, b: Attribute, same: Callable[[Attribute], bool]) -> None:
    alike = (a.locality, a.values.dtype, a.values.shape[1:]) == (
        b.locality,
        b.values.dtype,
        b.values.shape[1:],
    )
    if not alike:
        raise StateError(f"{title}: the parts of the network have it in different types or shapes")
    if same(a) and not identical_values(a.values, b.values):
        raise StateError(f"{title}: one value for all, and the parts of the network have different ones")


def _check_pathways(title: str, one: ProjectionState, other: ProjectionState) -> None:
    kinds = [{n: (a.dtype, bool(a.shape)) for n, a in p.pathway_delays.items()} for p in (one, other)]
    same = kinds[0] == kinds[1] and all(
        a.shape or identical_values(a, other.pathway_delays[n]) for n, a in one.pathway_delays.items()
    )
    views = [(p.pre_view, p.post_view) for p in (one, other)]
    if not same or not all(np.array_equal(a, b) for a, b in zip(*views, strict=True)):
        raise StateError(f"{title}: the parts of the network differ in delays of pathways, or in views")


def _first(population: PopulationState) -> int:
    return 0 if population.part is None else population.part.first


def _length(population: PopulationState) -> int:
    return population.geometry[0] if population.part is None else population.part.whole
