"""What a path means inside a network, and which pictures suit it."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from ann_ckpt.errors import AttributeNotFoundError, ObjectNotFoundError, OptionError, printable
from ann_ckpt.format.layout import escape, unescape
from ann_ckpt.looking import recorded, values, wiring
from ann_ckpt.looking.pictures import Picture, labelled
from ann_ckpt.looking.sampling import BUDGET
from ann_ckpt.model import Array, PopulationState, Recording, TypeInfo
from ann_ckpt.model.rows import RowAccess

__all__ = [
    "Network",
    "Shown",
    "changing",
    "drawable",
    "path_below",
    "pick",
    "pictures",
    "projection_of",
    "recorded_pictures",
    "shown",
]


_FORMS = "populations/NAME, projections/NAME, either with an attribute behind it, projections/NAME/delays"
_OF_SYNAPSES = ("post_ranks", "row_ptr", "pre_ranks", "delays", "order")
_OWNERS = 40
"""Objects, and variables of each, among which those that change are looked for."""


class Network(Protocol):
    """A checkpoint or a state."""

    @property
    def populations(self) -> Mapping[str, PopulationState]:
        """Populations by name."""

    @property
    def projections(self) -> Mapping[str, Any]:
        """Projections by name."""

    @property
    def recordings(self) -> Mapping[str, Recording]:
        """What monitors recorded, by their names."""

    @property
    def dt(self) -> float | None:
        """Length of a step in ms."""


@dataclass(frozen=True, slots=True, eq=False)
class Shown:
    """One array of a network, with what a picture says of it."""

    path: str
    """``populations/layer/r``: names as they are in paths, a slash as ``%2F``."""
    label: str
    """Its name, with its unit."""
    values: Array
    owner: PopulationState | RowAccess
    per_synapse: bool
    """Whether there is one number per synapse."""


def shown(network: Network, path: str) -> Shown:
    """Return the array at a path: ``populations/NAME/ATTRIBUTE``, ``projections/NAME/ATTRIBUTE`` or delays.

    Raises
    ------
    ObjectNotFoundError, AttributeNotFoundError
        If there is none; the message offers the nearest name.
    """
    found = pick(network, path)
    if not isinstance(found, Shown):
        names = ", ".join(printable(name, 40) for name in list(found.attributes)[:12]) or "none"
        raise OptionError(
            f"{printable(path)!r} is an object with several attributes",
            details={"attributes": names, "hint": "put one behind the path"},
        )
    return found


def pick(network: Network, path: str) -> Shown | PopulationState | RowAccess:
    """Return the population, the projection or the array at a path; errors as for :func:`shown`."""
    match path.strip("/").split("/"):
        case ["populations", name, *rest]:
            owner: Any = _member(network.populations, "population", name)
        case ["projections", name, *rest]:
            owner = _member(network.projections, "projection", name)
        case _:
            rest, owner = ["", "", ""], None
    level = ""
    if rest[:1] in (["parameters"], ["variables"]) and len(rest) > 1:
        level, *rest = rest
    if len(rest) > 1:
        raise _nothing_at(path, _FORMS)
    return _attribute(owner, network.dt, path.strip("/"), level, _true(rest[0])) if rest else owner


def _nothing_at(path: str, forms: str) -> ObjectNotFoundError:
    return ObjectNotFoundError(
        f"there are no values to look at under {printable(path)!r}", details={"forms": forms}
    )


def _member(members: Mapping[str, Any], noun: str, link: str) -> Any:
    name = link if link in members else _true(link)
    if name not in members:
        raise ObjectNotFoundError.among("the network", noun, name, members)
    return members[name]


def _true(link: str) -> str:
    try:
        return unescape(link)
    except ValueError:
        return link


def _attribute(owner: Any, dt: float | None, path: str, level: str, name: str) -> Shown:
    of_population = isinstance(owner, PopulationState)
    if name == "delays" and not level and not of_population and owner.delays is not None:
        steps = np.asarray(owner.delays) if isinstance(owner.delays, int) else owner.delays
        unit = "steps" if dt is None else f"steps of {dt:g} ms"
        return Shown(path, labelled("delay", unit), steps, owner, steps.shape == (owner.n_synapses,))
    held = getattr(owner, level) if level else owner
    if name not in held:
        noun = "population" if of_population else "projection"
        raise AttributeNotFoundError.among(
            f"{noun} {printable(owner.name)!r}", level.removesuffix("s") or "attribute", name, held
        )
    array = held[name].values if level else held[name]
    label = labelled(name, _unit(owner.neuron_type if of_population else owner.synapse_type, name))
    return Shown(path, label, array, owner, not of_population and array.shape == (owner.n_synapses,))


def _unit(kind: TypeInfo | None, name: str) -> str:
    return kind.attributes[name].unit if kind is not None and name in kind.attributes else ""


def drawable(network: Network) -> Iterator[str]:
    """Yield the paths of the arrays that have more than one value, populations first."""
    for group in ("populations", "projections"):
        for name, owner in getattr(network, group).items():
            base = f"{group}/{escape(name)}"
            for level in ("parameters", "variables"):
                held = getattr(owner, level).items()
                yield from (f"{base}/{path_below(level, n)}" for n, a in held if a.values.shape)
            delays = getattr(owner, "delays", None)
            if delays is not None and not isinstance(delays, int):
                yield f"{base}/delays"


def path_below(level: str, name: str) -> str:
    """Path of an attribute below its owner; one that is called as synapses or delays are needs its level."""
    return f"{level}/{name}" if name in _OF_SYNAPSES else escape(name)


def changing(network: Network, at_most: int) -> list[str]:
    """Return paths of variables that have many numbers, those of projections first: what a run changes."""
    found: list[str] = []
    for group in ("projections", "populations"):
        for name, owner in itertools.islice(getattr(network, group).items(), _OWNERS):
            found += [
                f"{group}/{escape(name)}/{path_below('variables', variable)}"
                for variable, a in itertools.islice(owner.variables.items(), _OWNERS)
                if a.values.shape and a.values.dtype.kind in "fiu"
            ]
    return found[:at_most]


def projection_of(network: Network, path: str) -> RowAccess:
    """Return the projection that a path leads to or into.

    Raises
    ------
    OptionError
        If it leads to something else.
    """
    found = pick(network, path)
    owner = found.owner if isinstance(found, Shown) else found
    if isinstance(owner, PopulationState):
        raise OptionError(f"{printable(path)!r} is of a population", details={"expected": "projections/NAME"})
    return owner


def pictures(
    network: Network, path: str, budget: int = BUDGET, *, side: int = wiring.SIDE, fields: int = wiring.FIELDS
) -> list[Picture]:
    """Return the pictures that suit what is at a path; together they read about ``budget`` bytes.

    Parameters
    ----------
    path : str
        As for :func:`pick`, or that of a recording: of a population its map, of a projection which
        synapses there are, of an attribute its distribution and where its values are.
    side : int
        Rows or columns of a matrix at most; of more neurons, means of bins are drawn.
    fields : int
        Neurons whose receptive field is drawn, at most.
    """
    kind = path.strip("/").partition("/")[0]
    if kind == "recordings":
        return recorded_pictures(network, path, budget)
    if kind not in ("populations", "projections"):
        raise _nothing_at(path, f"{_FORMS}, recordings/NAME")
    found = pick(network, path)
    if isinstance(found, PopulationState):
        group = found.variables or found.parameters
        first = next((name for name, a in group.items() if a.values.shape == found.geometry), None)
        if first is None:
            raise OptionError(
                f"population {printable(found.name)!r} has no value per neuron",
                details={"hint": "nothing to draw"},
            )
        return pictures(network, f"{path.strip('/')}/{escape(first)}", budget)
    if not isinstance(found, Shown):
        third = budget // 3
        sizes = sizes_of(network, found)
        degrees = [wiring.degrees(found, sizes, incoming=i, budget=third) for i in (True, False)]
        return [wiring.connectivity(found, sizes, side=side, budget=third), *degrees]
    made: list[Picture] = []
    if isinstance(found.owner, PopulationState) and found.values.shape == found.owner.geometry:
        made.append(values.rate_map(found.values, found.label, _title(found.path), budget=budget // 2))
    made.append(values.histogram(found.values, found.label, _title(found.path), budget=budget // 3))
    if found.per_synapse and not isinstance(found.owner, PopulationState):
        sizes = sizes_of(network, found.owner)
        third = budget // 3
        made.append(wiring.matrix(found.owner, found.values, found.label, sizes, side=side, budget=third))
        geometry = pre_geometry(network, found.owner)
        if geometry is not None and len(geometry) > 1 and found.values.dtype.kind == "f":
            made.append(
                wiring.fields(found.owner, found.values, found.label, geometry, at_most=fields, budget=third)
            )
    return made


def recorded_pictures(network: Network, path: str, budget: int = BUDGET) -> list[Picture]:
    """Return the picture of a series at ``recordings/NAME/VARIABLE``, or those of all of ``recordings/NAME``.

    Raises
    ------
    ObjectNotFoundError, AttributeNotFoundError
        If there is none; the message offers the nearest name.
    """
    match path.strip("/").split("/"):
        case ["recordings", name, *rest] if len(rest) <= 1:
            recording = _member(network.recordings, "recording", name)
        case _:
            raise _nothing_at(path, "recordings/NAME, recordings/NAME/VARIABLE")
    variables = [_true(rest[0])] if rest else list(recording)
    kind = _recorded_kind(network, recording)
    return [
        recorded.recorded(
            recording[variable],
            labelled(variable, _unit(kind, variable)),
            f"{recording.name}/{variable}",
            dt=network.dt,
            budget=budget // max(1, len(variables)),
        )
        for variable in variables
    ]


def _recorded_kind(network: Network, recording: Recording) -> TypeInfo | None:
    group, _, name = recording.of.partition("/")
    members = network.populations if group == "populations" else network.projections
    owner: Any = members.get(name) or members.get(_true(name))
    return getattr(owner, "neuron_type", None) or getattr(owner, "synapse_type", None)


def sizes_of(network: Network, projection: RowAccess) -> tuple[int | None, int | None]:
    """Neurons on the post- and on the pre-synaptic side, where the network or the projection says."""
    sides = ((projection.post, projection.post_size), (projection.pre, projection.pre_size))
    post, pre = (
        network.populations[name].size if name in network.populations else size for name, size in sides
    )
    return post, pre


def pre_geometry(network: Network, projection: RowAccess) -> tuple[int, ...] | None:
    """Geometry of the pre-synaptic population, if the network has it."""
    return network.populations[projection.pre].geometry if projection.pre in network.populations else None


def _title(path: str) -> str:
    return path.partition("/")[2]
