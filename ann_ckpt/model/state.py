"""The state of a network at one time step, and how two of them differ.

Every source yields it and every sink takes it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

import numpy as np

from ann_ckpt.errors import ObjectNotFoundError, StateError, printable
from ann_ckpt.model.arrays import Array, identical_values
from ann_ckpt.model.objects import (
    PopulationState,
    ProjectionState,
    names_of,
    read_mappings,
    settled_arrays,
    without_rows,
)
from ann_ckpt.model.plain import (
    check_kind,
    optional_whole,
    plain_metadata,
    step_length,
)
from ann_ckpt.model.recordings import Recording
from ann_ckpt.model.types import Exactness, Resume
from ann_ckpt.selection import Selection

__all__ = ["NetworkState", "differences", "recordings_of"]


@dataclass(frozen=True, slots=True, eq=False, kw_only=True, repr=False)
class NetworkState:
    """One instant of a network, or of the part of it that a source offers."""

    populations: Mapping[str, PopulationState] = field(default_factory=dict)
    """By name, in the network's order. An iterable of states is accepted too."""
    projections: Mapping[str, ProjectionState] = field(default_factory=dict)
    """By name, in the network's order. An iterable of states is accepted too."""
    constants: Mapping[str, Array] = field(default_factory=dict)
    """Named values shared by all equations."""
    dynamics: Mapping[str, Array] = field(default_factory=dict)
    """What the simulator carries from step to step for all of it: the states of random generators."""
    resume: Resume | None = None
    """Whether what belongs to no one object goes on exactly; None where the source does not say."""
    reseeded: int | None = None
    """Seed that the running network's generators were given at this instant; a resumed one takes it too."""
    recordings: Mapping[str, Recording] = field(default_factory=dict)
    """What monitors hold, by name, in the simulator's order. An iterable of recordings is accepted too."""
    time_step: int | None = None
    """Steps simulated so far; None where the source does not know."""
    dt: float | None = None
    """Length of one step in ms; None where the source does not know."""
    seed: int | None = None
    """Seed of the network's random numbers, if one was set."""
    metadata: Mapping[str, Any] = field(default_factory=dict)
    """What the user wants to keep beside the network; anything that JSON can hold."""

    def __post_init__(self) -> None:
        for group, cls in (
            ("populations", PopulationState),
            ("projections", ProjectionState),
            ("recordings", Recording),
        ):
            object.__setattr__(self, group, _by_name(group, getattr(self, group), cls))
        for group in ("constants", "dynamics"):
            object.__setattr__(self, group, settled_arrays(group, getattr(self, group)))
        for what, lowest in (("time_step", 0), ("seed", -(2**63)), ("reseeded", -(2**63))):
            object.__setattr__(self, what, optional_whole(what, getattr(self, what), lowest))
        object.__setattr__(self, "dt", step_length(self.dt))
        check_kind("resume", self.resume, Resume | None)
        object.__setattr__(self, "metadata", plain_metadata(self.metadata))
        for projection in self.projections.values():
            self._check_ends(projection)

    def __repr__(self) -> str:
        return (
            f"<network at step {self.time_step}: populations {names_of(self.populations)}; "
            f"projections {names_of(self.projections)}>"
        )

    @property
    def time_ms(self) -> float | None:
        """Simulated time in ms, where both ``time_step`` and ``dt`` are known."""
        return None if self.time_step is None or self.dt is None else self.time_step * self.dt

    def in_memory(self) -> NetworkState:
        """Return the same network with every lazy array read, for after its source was closed or goes on."""
        return replace(
            self,
            populations={n: p.in_memory() for n, p in self.populations.items()},
            projections={n: p.in_memory() for n, p in self.projections.items()},
            recordings={n: r.in_memory() for n, r in self.recordings.items()},
            **read_mappings(self, "constants", "dynamics"),
        )

    def population(self, name: str) -> PopulationState:
        """Return one population; raises with the nearest names."""
        if name not in self.populations:
            raise ObjectNotFoundError.among("the network", "population", name, self.populations)
        return self.populations[name]

    def projection(self, name: str) -> ProjectionState:
        """Return one projection; raises with the nearest names."""
        if name not in self.projections:
            raise ObjectNotFoundError.among("the network", "projection", name, self.projections)
        return self.projections[name]

    def select(self, selection: Selection) -> NetworkState:
        """Return the selected part.

        Raises
        ------
        ObjectNotFoundError
            If it names what is not there.
        """
        populations = {n: self.populations[n] for n in selection.pick("populations", self.populations)}
        projections = {n: self.projections[n] for n in selection.pick("projections", self.projections)}
        part = replace(
            self,
            populations=populations,
            projections=projections,
            recordings=recordings_of(self.recordings, populations, projections),
        )
        return part if selection.attributes is None else part.only_attributes(selection)

    def only_attributes(self, selection: Selection, *, strict: bool = True) -> NetworkState:
        """Return a network whose objects have only the selected attributes; what lost some has no dynamics.

        Parameters
        ----------
        strict : bool
            Whether it is an error to name what is not there.
        """
        objects = {f"populations/{n}": list(p) for n, p in self.populations.items()}
        objects |= {f"projections/{n}": list(p) for n, p in self.projections.items()}
        kept = selection.pick_attributes(objects, strict=strict)
        if kept == objects:
            return self
        return replace(
            self,
            populations={n: _with_only(p, kept[f"populations/{n}"]) for n, p in self.populations.items()},
            projections={n: _with_only(p, kept[f"projections/{n}"]) for n, p in self.projections.items()},
            resume=_PARTLY,
        )

    def only_rows(self, selection: Selection) -> NetworkState:
        """Return a network whose projections have only the selected dendrites, those in memory.

        Raises
        ------
        ObjectNotFoundError
            If the selection names a projection, or a dendrite of one, that is not there.
        """
        selection.check_rows(self.projections)
        chosen = {name: selection.pick_rows(name) for name in self.projections}
        kept = {n: p if (r := chosen[n]) is None else p.only_rows(r) for n, p in self.projections.items()}
        if all(kept[name] is projection for name, projection in self.projections.items()):
            return self
        return replace(self, projections=kept, resume=without_rows(self.resume))

    def _check_ends(self, projection: ProjectionState) -> None:
        """A projection's ends fit the populations that are here; a partial state may lack them."""
        for side in ("pre", "post"):
            population = self.populations.get(getattr(projection, side))
            size = getattr(projection, f"{side}_size")
            if population is not None and size not in (None, population.size):
                raise StateError(
                    f"projection {printable(projection.name)!r} has its {side} population "
                    f"{printable(population.name)!r} for {size} neurons",
                    details={"expected": f"{population.size}, the population's own size"},
                )


def recordings_of(
    recordings: Mapping[str, Recording], populations: Iterable[str], projections: Iterable[str]
) -> dict[str, Recording]:
    """Return those that are of some populations and projections, or of nothing that is stored."""
    paths = {"", *(f"populations/{name}" for name in populations)}
    paths |= {f"projections/{name}" for name in projections}
    return {name: recording for name, recording in recordings.items() if recording.of in paths}


_PARTLY = Resume(Exactness.APPROXIMATE, ("attributes that were not selected",))


_T = TypeVar("_T", PopulationState, ProjectionState)


def _with_only(owner: _T, names: list[str]) -> _T:
    if len(names) == len(list(owner)):
        return owner
    parameters = {n: a for n, a in owner.parameters.items() if n in names}
    variables = {n: a for n, a in owner.variables.items() if n in names}
    return replace(owner, parameters=parameters, variables=variables, dynamics={}, resume=_PARTLY)


def _by_name(group: str, given: Any, cls: type[Any]) -> Mapping[str, Any]:
    if not isinstance(given, Iterable) or isinstance(given, cls):
        raise StateError(
            f"{group} are of type {type(given).__name__}", details={"expected": f"{cls.__name__} objects"}
        )
    members = given.values() if isinstance(given, Mapping) else list(given)
    named: dict[str, Any] = {}
    for member in members:
        if not isinstance(member, cls):
            raise StateError(f"{group} hold {cls.__name__} objects, not {type(member).__name__}")
        if member.name in named:
            raise StateError(f"{group}: duplicate name {printable(member.name)!r}")
        named[member.name] = member
    if isinstance(given, Mapping) and list(given) != list(named):
        raise StateError(f"{group}: a key differs from the name of its object")
    return named


def differences(a: NetworkState, b: NetworkState) -> Iterator[str]:
    """Yield the path of everything that differs: ``projections/ff/variables/w``, ...

    Metadata, types and the order of populations and projections count too, the order
    of attributes does not. Nothing is yielded exactly when the two states say the same.
    How much differs, in files and between networks too, says :func:`ann_ckpt.diff`.
    """
    for scalar in ("time_step", "dt", "seed", "metadata", "resume", "reseeded"):
        if getattr(a, scalar) != getattr(b, scalar):
            yield scalar
    for ordered in ("populations", "projections", "recordings"):
        if list(getattr(a, ordered)) != list(getattr(b, ordered)):
            yield ordered
    yield from _mappings("constants", a.constants, b.constants, _values)
    yield from _mappings("dynamics", a.dynamics, b.dynamics, _values)
    yield from _mappings("populations", a.populations, b.populations, _populations)
    yield from _mappings("projections", a.projections, b.projections, _projections)
    yield from _mappings("recordings", a.recordings, b.recordings, _recordings)


def _mappings(path: str, a: Mapping[str, Any], b: Mapping[str, Any], inside: Any) -> Iterator[str]:
    if a.keys() != b.keys():
        yield path
    for name in (n for n in a if n in b):
        yield from inside(f"{path}/{name}", a[name], b[name])


def _recordings(path: str, a: Recording, b: Recording) -> Iterator[str]:
    yield from (f"{path}/{what}" for what in a.differences(b))


def _values(path: str, a: Array, b: Array) -> Iterator[str]:
    if not identical_values(a, b):
        yield path


def _attributes(path: str, a: Any, b: Any) -> Iterator[str]:
    for group in ("parameters", "variables"):
        yield from _mappings(f"{path}/{group}", getattr(a, group), getattr(b, group), _attribute)
    yield from _mappings(f"{path}/dynamics", a.dynamics, b.dynamics, _values)
    if a.resume != b.resume:
        yield f"{path}/resume"


def _attribute(path: str, a: Any, b: Any) -> Iterator[str]:
    if a.locality != b.locality:
        yield f"{path}/locality"
    yield from _values(path, a.values, b.values)


def _populations(path: str, a: PopulationState, b: PopulationState) -> Iterator[str]:
    if a.geometry != b.geometry:
        yield f"{path}/geometry"
    if a.neuron_type != b.neuron_type:
        yield f"{path}/neuron_type"
    yield from _attributes(path, a, b)


def _projections(path: str, a: ProjectionState, b: ProjectionState) -> Iterator[str]:
    for scalar in ("pre", "post", "target", "pre_size", "post_size", "synapse_type", "partial"):
        if getattr(a, scalar) != getattr(b, scalar):
            yield f"{path}/{scalar}"
    for array in ("post_ranks", "row_ptr", "pre_ranks"):
        yield from _values(f"{path}/{array}", getattr(a.connectivity, array), getattr(b.connectivity, array))
    for optional in ("delays", "order", "pre_view", "post_view"):
        yield from _optional(f"{path}/{optional}", getattr(a, optional), getattr(b, optional))
    yield from _mappings(f"{path}/pathway_delays", a.pathway_delays, b.pathway_delays, _values)
    yield from _attributes(path, a, b)


def _optional(path: str, a: Any, b: Any) -> Iterator[str]:
    if (a is None) != (b is None):
        yield path
    elif a is not None:
        yield from _values(
            path, np.asarray(a) if isinstance(a, int) else a, np.asarray(b) if isinstance(b, int) else b
        )
