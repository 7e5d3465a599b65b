"""What a network offers to parameter files: names, types, sizes and current values.

Everything that takes a network here (schemas, extraction, application, comparison)
looks at it through this description. Values stay lazy: only those of global parameters
are ever read, one at a time, when somebody asks for them.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from ann_ckpt.model import (
    Array,
    Attribute,
    AttributeInfo,
    Locality,
    NetworkState,
    PopulationState,
    ProjectionState,
    TypeInfo,
)
from ann_ckpt.params.ctype import CType, Scalar

__all__ = [
    "SECTIONS",
    "NetworkDescription",
    "ObjectDescription",
    "ParameterDescription",
    "describe",
    "describe_parameter",
]

SECTIONS = ("populations", "projections")
"""The sections whose members hold parameters."""


@dataclass(frozen=True, slots=True, eq=False)
class ParameterDescription:
    """One parameter of one population or projection, or one constant."""

    name: str
    ctype: CType
    locality: Locality
    shape: tuple[int, ...]
    """``()`` for a global parameter; else of its values."""
    values: Array
    info: AttributeInfo = field(default_factory=AttributeInfo)

    @property
    def size(self) -> int:
        """Number of values."""
        return math.prod(self.shape)

    @property
    def is_global(self) -> bool:
        """Whether one value serves all."""
        return self.locality is Locality.GLOBAL

    def current(self) -> Scalar | None:
        """Read the value of a global parameter; None for NaN and infinities, which JSON lacks."""
        return self.ctype.from_numpy(np.asarray(self.values))


@dataclass(frozen=True, slots=True, eq=False)
class ObjectDescription:
    """One population or projection."""

    section: str
    """One of :data:`SECTIONS`."""
    name: str
    type_name: str
    """Neuron or synapse type; empty if unknown."""
    type_description: str
    parameters: Mapping[str, ParameterDescription]
    variables: Mapping[str, ParameterDescription] = field(default_factory=dict)
    """Global variables: ANNarchy writes them into its parameter files, and passes them over
    when it reads one."""


@dataclass(frozen=True, slots=True, eq=False)
class NetworkDescription:
    """All that a parameter file may name."""

    populations: Mapping[str, ObjectDescription]
    projections: Mapping[str, ObjectDescription]
    constants: Mapping[str, ParameterDescription]

    def objects(self) -> Iterator[ObjectDescription]:
        """Yield populations, then projections."""
        yield from self.populations.values()
        yield from self.projections.values()

    def parameter(self, section: str, name: str, parameter: str | None = None) -> ParameterDescription:
        """Return a parameter of an object, or without ``parameter`` a constant.

        Raises
        ------
        KeyError
            If there is none.
        """
        if parameter is None:
            return self.constants[name]
        members: Mapping[str, ObjectDescription] = getattr(self, section)
        return members[name].parameters[parameter]


def describe(state: NetworkState) -> NetworkDescription:
    """Describe the parameters and constants of a state. Arrays of values are not read."""
    return NetworkDescription(
        populations={p.name: _object("populations", p, p.neuron_type) for p in state.populations.values()},
        projections={p.name: _object("projections", p, p.synapse_type) for p in state.projections.values()},
        constants={
            name: describe_parameter(name, Attribute(values, _locality(values)))
            for name, values in state.constants.items()
        },
    )


def _object(
    section: str, owner: PopulationState | ProjectionState, type_info: TypeInfo | None
) -> ObjectDescription:
    declared = type_info.attributes if type_info is not None else {}
    return ObjectDescription(
        section,
        owner.name,
        type_info.name if type_info is not None else "",
        type_info.description if type_info is not None else "",
        {
            name: describe_parameter(name, attribute, declared.get(name))
            for name, attribute in owner.parameters.items()
        },
        {
            name: describe_parameter(name, attribute)
            for name, attribute in owner.variables.items()
            if attribute.locality is Locality.GLOBAL
        },
    )


def describe_parameter(
    name: str, attribute: Attribute, info: AttributeInfo | None = None
) -> ParameterDescription:
    """Describe one attribute; where a declaration contradicts what is stored, it is no help."""
    info = info or AttributeInfo()
    values, locality = attribute.values, attribute.locality
    stored = CType.of("", values.dtype)
    declared = CType.of(info.ctype, values.dtype)
    ctype = declared if stored.covers(declared) else stored
    made = ParameterDescription(name, ctype, locality, values.shape, values, info)
    doubtful = ctype != stored or info.minimum is not None or info.maximum is not None
    if not (made.is_global and doubtful):
        return made
    current = made.current()
    if current is None:
        made = replace(made, ctype=stored)
        current = made.current()
    if current is None:
        return made
    minimum = info.minimum if info.minimum is None or info.minimum <= current else None
    maximum = info.maximum if info.maximum is None or info.maximum >= current else None
    return replace(made, info=replace(info, minimum=minimum, maximum=maximum))


def _locality(values: Array) -> Locality:
    return Locality.UNKNOWN if values.shape else Locality.GLOBAL
