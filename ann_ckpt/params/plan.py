"""From a checked file to what will be set: everything is computed before anything happens."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ann_ckpt.adapters.protocol import Owner, RefusesValues, SetsTogether, Simulator
from ann_ckpt.errors import SimulatorError
from ann_ckpt.model import Array, Attribute, NetworkState, PopulationState, ProjectionState
from ann_ckpt.model.arrays import identical_values
from ann_ckpt.params.description import FREE, SECTIONS, NetworkDescription, ParameterDescription
from ann_ckpt.selection import Selection
from ann_ckpt.transfer.load import finishing

__all__ = [
    "Change",
    "change_live",
    "changed_state",
    "filled",
    "plan_changes",
    "shown",
]


@dataclass(frozen=True, slots=True, eq=False)
class Change:
    """One parameter or constant and the value it gets."""

    section: str
    """``populations``, ``projections`` or ``constants``."""
    owner: str
    """Population or projection; empty for a constant."""
    name: str
    given: Any
    """The value as the file has it."""
    values: NDArray[Any]
    """The same in the network's type and shape."""
    parameter: ParameterDescription
    """What the network has now."""

    @property
    def differs(self) -> bool:
        """Whether the network has other values now."""
        return not identical_values(self.parameter.values, self.values)

    @property
    def path(self) -> tuple[str, ...]:
        """Names from the section to the value."""
        owner = (self.owner,) if self.section in SECTIONS else ()
        return (self.section, *owner, self.name)

    def __str__(self) -> str:
        return f"{'/'.join(self.path)}: {shown(self.parameter.values)} -> {shown(self.values)}"


def shown(values: Array) -> str:
    """Return values as a message shows them: one as it is, many by their range."""
    array = np.asarray(values)
    if not array.shape:
        return str(array[()])
    if not array.size:
        return "no values"
    return f"{array.size} values from {array.min()} to {array.max()}"


def plan_changes(
    data: Mapping[str, Any], network: NetworkDescription, *, leave_out: Collection[tuple[str, str, str]] = ()
) -> tuple[Change, ...]:
    """Return a change for every value of a checked file that the network has a place for.

    One number for a parameter with many values is given to all of them; an array may be
    flat or in the parameter's shape.

    Parameters
    ----------
    data : mapping
        Content of a file whose values have passed the network's schema. Names that the
        network lacks are passed over: whoever checked the file has reported them.
    network : NetworkDescription
        The network to change.
    leave_out : collection of tuple of str
        Section, owner and name of what is not to be changed; the file may have anything for it.
    """
    changes = []
    for section in SECTIONS:
        known = getattr(network, section)
        for owner, values in data.get(section, {}).items():
            if owner in known:
                wanted = {n: v for n, v in values.items() if (section, owner, n) not in leave_out}
                changes += _of(section, owner, wanted, known[owner].parameters)
    changes += _of("constants", "", data.get("constants", {}), network.constants)
    return tuple(changes)


def _of(
    section: str, owner: str, values: Mapping[str, Any], known: Mapping[str, ParameterDescription]
) -> list[Change]:
    return [
        Change(section, owner, name, given, filled(given, known[name]), known[name])
        for name, given in values.items()
        if name in known
    ]


def filled(given: Any, parameter: ParameterDescription) -> NDArray[Any]:
    """Return a value of a file in the type and shape that a parameter has in the network."""
    dtype = parameter.values.dtype
    if isinstance(given, list):
        return np.asarray(given, dtype).reshape(parameter.shape)
    return np.full(parameter.shape, given, dtype)


def changed_state(
    state: NetworkState, changes: Iterable[Change], free: Mapping[str, Any] | None = None
) -> NetworkState:
    """Return a state with other parameters and constants; what does not change is shared.

    Parameters
    ----------
    free : mapping, optional
        The ``network`` section of the file, which is kept in the metadata.
    """
    by_owner: dict[tuple[str, str], dict[str, NDArray[Any]]] = {}
    constants: dict[str, Array] = dict(state.constants)
    for change in changes:
        if change.section == "constants":
            constants[change.name] = change.values
        else:
            by_owner.setdefault((change.section, change.owner), {})[change.name] = change.values
    populations: dict[str, Any] = dict(state.populations)
    projections: dict[str, Any] = dict(state.projections)
    for (section, owner), parameters in by_owner.items():
        members = populations if section == "populations" else projections
        old = members[owner]
        new = {name: Attribute(values, old.attribute(name).locality) for name, values in parameters.items()}
        members[owner] = replace(old, parameters={**old.parameters, **new})
    metadata = {**state.metadata, FREE: dict(free)} if free else state.metadata
    return replace(
        state, constants=constants, populations=populations, projections=projections, metadata=metadata
    )


def change_live(simulator: Simulator, changes: Sequence[Change]) -> None:
    """Set every value in a live network; if one is refused, put back those before it.

    A simulator that says beforehand which values it refuses is asked first, and one that takes all
    values of an object at once gets them so.

    Raises
    ------
    SimulatorError
        If the simulator refuses a value after all. Nothing is changed then.
    KeyboardInterrupt
        After ^C, when all is set; a second ^C breaks off, and a note says so.
    """
    together = _together(simulator, changes)
    _ask(simulator, together)
    steps = together if isinstance(simulator, SetsTogether) else [(o, (c,)) for o, cs in together for c in cs]
    with finishing(
        "all parameters were set before the interrupt was let through",
        "the parameters are partly set; set them again before going on",
    ):
        _change_all(simulator, steps)


_Step = tuple[Owner | None, tuple[Change, ...]]
"""Changes of one object, and its present state where the simulator asks for it."""


def _together(simulator: Simulator, changes: Sequence[Change]) -> list[_Step]:
    """Put the changes of each object together, in the order in which objects occur."""
    by_owner: dict[tuple[str, str], list[Change]] = {}
    for change in changes:
        owner = (change.section, change.owner) if change.section in SECTIONS else ("constants", "")
        by_owner.setdefault(owner, []).append(change)
    if not isinstance(simulator, RefusesValues | SetsTogether):
        return [(None, tuple(own)) for own in by_owner.values()]
    sections = {section for section, _ in by_owner}
    state = simulator.read(Selection("populations" in sections, "projections" in sections)).state
    return [
        (state if section == "constants" else getattr(state, section)[owner], tuple(own))
        for (section, owner), own in by_owner.items()
    ]


def _ask(simulator: Simulator, together: Iterable[_Step]) -> None:
    """Raise if the simulator refuses the values of an object, before anything is set."""
    if not isinstance(simulator, RefusesValues):
        return
    for owner, changes in together:
        reason = owner and simulator.refuse_values(owner, {c.name: c.values for c in changes})
        if reason:
            raise SimulatorError(
                "the simulator refuses values, and nothing was changed",
                details={"reason": reason},
                where="/".join(changes[0].path[:-1]),
            )


def _change_all(simulator: Simulator, steps: Iterable[_Step]) -> None:
    done: list[tuple[_Step, list[NDArray[Any]]]] = []
    for step in steps:
        changes = step[1]
        done.append((step, [np.array(change.parameter.values) for change in changes]))
        try:
            _set(simulator, step, [change.values for change in changes])
        except Exception as error:
            with contextlib.suppress(Exception):  # it may refuse the old value just as well
                _set(simulator, *done.pop())
            for earlier, before in reversed(done):
                _set(simulator, earlier, before)
            count = sum(len(before) for _, before in done)
            raise SimulatorError(
                f"the simulator refused a value, and the {count} set before it were put back",
                details={"reason": f"{type(error).__name__}: {error}"},
                where="/".join(changes[0].path if len(changes) == 1 else changes[0].path[:-1]),
            ) from error


def _set(simulator: Simulator, step: _Step, values: Iterable[NDArray[Any]]) -> None:
    owner, changes = step
    named = {change.name: array for change, array in zip(changes, values, strict=True)}
    if isinstance(simulator, SetsTogether) and isinstance(owner, PopulationState | ProjectionState):
        simulator.set_attributes(owner, named)
        return
    for change in changes:
        match change.section:
            case "populations":
                simulator.set_population_attribute(change.owner, change.name, named[change.name])
            case "projections":
                simulator.set_projection_attribute(change.owner, change.name, named[change.name])
            case _:
                simulator.set_constant(change.name, named[change.name])
