"""What ANNarchy's own descriptions of neurons and synapses say about attributes and types."""

from __future__ import annotations

import inspect
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, is_dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from ann_ckpt.errors import SimulatorError, printable
from ann_ckpt.model import AttributeInfo, Locality, TypeInfo

__all__ = ["Declared", "declared", "described", "weight_is_single"]

_DTYPES: dict[str, np.dtype[Any]] = {
    "double": np.dtype(np.float64),
    "float": np.dtype(np.float32),
    "int": np.dtype(np.int32),
    "bool": np.dtype(np.bool_),
    "char": np.dtype(np.bool_),
}
"""C type in the generated code -> type of the values. A char is how CUDA code keeps a bool."""

_NEURON_TEXTS = (
    "parameters", "equations", "functions", "spike", "axon_spike", "reset", "axon_reset", "refractory",
)  # fmt: skip
_SYNAPSE_TEXTS = (
    "parameters", "equations", "functions", "psp", "operation", "pre_spike", "post_spike",
    "pre_axon_spike", "pruning", "creating",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Declared:
    """One attribute as a neuron or synapse type declares it."""

    name: str
    ctype: str
    """C type in the generated code, which is part of the accessors' names."""
    locality: Locality
    parameter: bool
    """Whether the equations leave it alone."""
    minimum: float | None
    maximum: float | None

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the values in numpy."""
        if self.ctype not in _DTYPES:
            raise SimulatorError(
                f"attribute {printable(self.name)!r} has the C type {printable(self.ctype)!r}",
                details={"expected": ", ".join(_DTYPES)},
            )
        return _DTYPES[self.ctype]


def declared(description: Mapping[str, Any], *, single_weight: bool = False) -> tuple[Declared, ...]:
    """Return the attributes of an analysed neuron or synapse type, parameters first.

    Parameters
    ----------
    description : mapping
        ANNarchy's ``neuron_type.description`` or ``synapse_type.description``.
    single_weight : bool
        Whether the projection was compiled with one weight for all synapses; the
        description does not know.
    """
    found: dict[str, Declared] = {}
    for group in ("parameters", "variables"):
        for entry in description[group]:
            name = entry["name"]
            # Hidden arrays of random numbers are drawn anew in every step before they are used.
            if name in found or name.startswith("rand_"):
                continue
            locality = Locality.GLOBAL if name == "w" and single_weight else Locality(entry["locality"])
            bounds = entry.get("bounds", {})
            found[name] = Declared(
                name,
                entry["ctype"],
                locality,
                parameter=group == "parameters",
                minimum=_number(bounds.get("min")),
                maximum=_number(bounds.get("max")),
            )
    return tuple(found.values())


def weight_is_single(projection: Any) -> bool:
    """Whether a compiled projection keeps one weight for all its synapses."""
    return bool(projection._has_single_weight())  # nothing public says it


def described(kind: Any, attributes: Iterable[Declared]) -> TypeInfo:
    """Return a neuron or synapse type as text."""
    parts = _SYNAPSE_TEXTS if hasattr(kind, "pre_spike") else _NEURON_TEXTS
    texts = {part: _text(getattr(kind, part, None)) for part in parts}
    return TypeInfo(
        name=str(kind.name or type(kind).__name__),
        description=str(getattr(kind, "short_description", None) or ""),
        texts={part: text for part, text in texts.items() if text},
        attributes={
            a.name: AttributeInfo(ctype=a.ctype, minimum=a.minimum, maximum=a.maximum) for a in attributes
        },
    )


@lru_cache(maxsize=512)
def _unindented(text: str) -> str:
    """Return a text without its indentation; a thousand populations share a few of them."""
    return inspect.cleandoc(text)


def _number(bound: object) -> float | None:
    """Return a bound that is a constant; one that names another attribute is in the equations."""
    try:
        number = float(bound)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) else None


def _text(value: Any) -> str:
    """Return a part of a definition as lines of text: a string, a dict of values or a list of equations."""
    if value is None:
        return ""
    if isinstance(value, str):
        return _unindented(value)
    if isinstance(value, Mapping):
        return "\n".join(f"{name} = {_value(entry)}" for name, entry in value.items())
    if isinstance(value, (list, tuple)):
        return "\n".join(_value(entry) for entry in value)
    return _value(value)


def _value(entry: Any) -> str:
    """Return one value without what changes from run to run, such as addresses."""
    if isinstance(entry, str):
        return _unindented(entry)
    if isinstance(entry, (bool, int, float, np.generic)):
        return str(entry)
    if isinstance(entry, type):
        return entry.__name__
    if is_dataclass(entry):  # Parameter and Variable of ANNarchy 5
        value, *flags = ((f.name, getattr(entry, f.name)) for f in fields(entry))
        said = ", ".join(f"{name}={_value(flag)}" for name, flag in flags if flag is not None)
        return f"{_value(value[1])} : {said}"
    # A random distribution: its numbers, without the generator behind it.
    numbers = {k: v for k, v in vars(entry).items() if isinstance(v, (int, float)) and k[0] != "_"}
    return f"{type(entry).__name__}({', '.join(f'{k}={v}' for k, v in numbers.items())})"
