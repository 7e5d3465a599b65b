"""The state of a network at one time step, and how two of them differ.

Every source yields it and every sink takes it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

import numpy as np

from ann_ckpt.arguments import check_flags
from ann_ckpt.errors import ObjectNotFoundError, StateError, printable
from ann_ckpt.model import parts
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
    same_plain,
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
        check_flags(strict=strict)
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
        chosen = {name: selection.pick_rows(name, self.projections) for name in self.projections}
        kept = {n: p if (r := chosen[n]) is None else p.only_rows(r) for n, p in self.projections.items()}
        if all(kept[name] is projection for name, projection in self.projections.items()):
            return self
        return replace(self, projections=kept, resume=without_rows(self.resume))

    # --- Parts, of several processes ----------------------------------------------

    def part(self, rank: int, ranks: int) -> NetworkState:
        """Return what falls to one of several processes: as many neurons as to any other, if that can be.

        Parameters
        ----------
        rank, ranks : int
            Which process, counted from 0, of how many.

        Raises
        ------
        StateError
            If there is no such process, or this is a part already.
        """
        if not 0 <= rank < ranks:
            raise StateError(f"there is no rank {rank} of {ranks}", details={"expected": "0 <= rank < ranks"})
        return self.cut({n: parts.share(p.geometry[0], rank, ranks) for n, p in self.populations.items()})

    def cut(self, neurons: Mapping[str, tuple[int, int]]) -> NetworkState:
        """Return a network that has of some populations only a range of neurons, with their dendrites.

        Ranks of neurons stay those of the whole network. What the simulator carries from step to step
        is left out, where there is some, because nobody else knows which of it is whose.

        Parameters
        ----------
        neurons : mapping
            By population, where they begin and end along the first axis of its geometry.

        Raises
        ------
        ObjectNotFoundError
            If there is no such population.
        StateError
            If one is a part already, or has not as many neurons.
        """
        cut = {n: parts.cut_population(self.population(n), *ends) for n, ends in neurons.items()}
        ranks = {}
        for name, (first, last) in neurons.items():
            each = math.prod(cut[name].geometry[1:])
            ranks[name] = (first * each, last * each)
        projections = {
            n: parts.cut_projection(p, *ranks[p.post]) if p.post in ranks else p
            for n, p in self.projections.items()
        }
        return replace(self, populations={**self.populations, **cut}, projections=projections)

    @staticmethod
    def joined(states: Sequence[NetworkState]) -> NetworkState:
        """Return the whole network that some parts make up; arrays that are lazy stay so.

        Metadata are those of the first. What the simulator carries from step to step is kept
        where no two parts differ in it.

        Parameters
        ----------
        states : sequence of NetworkState
            At least one, in any order.

        Raises
        ------
        StateError, ConnectivityError
            If they are of different steps, overlap, leave neurons out, or disagree on what has no rows.
        """
        first = states[0]
        for name in ("time_step", "dt", "reseeded"):
            if len(found := {getattr(state, name) for state in states}) > 1:
                shown = ", ".join(sorted(map(str, found)))
                raise StateError(f"the parts of the network differ in {name}", details={"found": shown})
        for state in states[1:]:
            if any(_mappings("constants", first.constants, state.constants, _values)):
                raise StateError("the parts of the network have different constants")
        recordings = [name for state in states for name in state.recordings]
        if len(set(recordings)) < len(recordings):
            raise StateError("two parts of the network have recordings of the same name")
        populations = _grouped(states, "populations")
        divided = {n for n, some in populations.items() if any(p.part is not None for p in some)}
        dynamics = parts.joined_dynamics([state.dynamics for state in states])
        same = dynamics is not None and all(state.resume == first.resume for state in states)
        return replace(
            first,
            populations={n: parts.join_populations(some) for n, some in populations.items()},
            projections={
                n: parts.join_projections(some, divided=some[0].post in divided)
                for n, some in _grouped(states, "projections").items()
            },
            recordings={n: r for state in states for n, r in state.recordings.items()},
            dynamics=dynamics or {},
            resume=first.resume if same else parts.DIVIDED,
            seed=first.seed if len({state.seed for state in states}) == 1 else None,
        )

    def _check_ends(self, projection: ProjectionState) -> None:
        """A projection's ends fit the populations that are here; a partial state may lack them."""
        for side in ("pre", "post"):
            population = self.populations.get(getattr(projection, side))
            size = getattr(projection, f"{side}_size")
            if population is not None and size not in (None, population.whole_size):
                raise StateError(
                    f"projection {printable(projection.name)!r} has its {side} population "
                    f"{printable(population.name)!r} for {size} neurons",
                    details={"expected": f"{population.whole_size}, the population's own size"},
                )


def recordings_of(
    recordings: Mapping[str, Recording], populations: Iterable[str], projections: Iterable[str]
) -> dict[str, Recording]:
    """Return those that are of some populations and projections, or of nothing that is stored."""
    paths = {"", *(f"populations/{name}" for name in populations)}
    paths |= {f"projections/{name}" for name in projections}
    return {name: recording for name, recording in recordings.items() if recording.of in paths}


def _grouped(states: Sequence[NetworkState], group: str) -> dict[str, list[Any]]:
    """Populations or projections by name, of each those of all states that have it."""
    found: dict[str, list[Any]] = {}
    for state in states:
        for name, member in getattr(state, group).items():
            found.setdefault(name, []).append(member)
    return found


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
    """Return the path of everything that differs: ``projections/ff/variables/w``, ...

    Metadata, types and the order of populations and projections count too, the order
    of attributes does not. There is none exactly when the two states say the same.
    How much differs, in files and between networks too, says :func:`ann_ckpt.diff`.

    Raises
    ------
    StateError
        If one of them is something else, such as an open checkpoint, whose ``state()`` is one.
    """
    for given in (a, b):
        if not isinstance(given, NetworkState):
            raise StateError(
                f"{type(given).__name__} where a NetworkState was expected",
                details={"hint": "state() of a checkpoint returns one; diff() compares files and networks"},
            )
    return _differences(a, b)


def _differences(a: NetworkState, b: NetworkState) -> Iterator[str]:
    for scalar in ("time_step", "dt", "seed", "resume", "reseeded"):
        if getattr(a, scalar) != getattr(b, scalar):
            yield scalar
    if not same_plain(a.metadata, b.metadata):
        yield "metadata"
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
    if (a.geometry, a.part) != (b.geometry, b.part):
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
