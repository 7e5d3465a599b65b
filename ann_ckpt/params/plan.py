"""From a checked file to what will be set: everything is computed before anything happens."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ann_ckpt.model import Array
from ann_ckpt.model.compare import identical_values
from ann_ckpt.params.description import SECTIONS, NetworkDescription, ParameterDescription

__all__ = [
    "Change",
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


def plan_changes(data: Mapping[str, Any], network: NetworkDescription) -> tuple[Change, ...]:
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
    """
    changes = []
    for section in SECTIONS:
        known = getattr(network, section)
        for owner, values in data.get(section, {}).items():
            if owner in known:
                changes += _of(section, owner, values, known[owner].parameters)
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
