"""What Brian2's objects declare, as text: equations, code, units, and constants from outside."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import xxhash

from ann_ckpt.model import AttributeInfo, TypeInfo

__all__ = [
    "functions_from_outside",
    "own_arrays",
    "population_type",
    "says_it_keeps_a_state",
    "synapse_type",
    "target_of",
]

_CTYPES = {"float64": "double", "float32": "float", "int32": "int", "int64": "long", "bool": "bool"}
_IDENTIFIER = re.compile(r"\b[A-Za-z_]\w*\b")
_CALLED = re.compile(r"\b([A-Za-z_]\w*)\s*\(")
_ASSIGNED = re.compile(r"\b(\w+)_post\s*[-+*/]?=(?!=)")


def own_arrays(group: Any) -> dict[str, Any]:
    """Return the array variables of a group that are its own, by their names there.

    Delays belong to pathways, though synapses list them too.
    """
    from brian2.core.variables import ArrayVariable

    delays = {id(pathway.variables["delay"]) for pathway in getattr(group, "_pathways", ())}
    found: dict[str, Any] = {}
    for variable in group.variables.values():
        if not isinstance(variable, ArrayVariable) or id(variable) in delays:
            continue
        if variable.owner is not None and variable.owner.name == group.name:
            found.setdefault(variable.name, variable)
    return found


def population_type(group: Any, attributes: Mapping[str, Any], outside: Mapping[str, Any]) -> TypeInfo:
    """Describe a group.

    Parameters
    ----------
    group : brian2.Group
    attributes : mapping
        Variables of Brian that are attributes of the state.
    outside : mapping
        What equations find where the user stands.
    """
    texts = {"equations": _equations(group)}
    for event, condition in getattr(group, "events", {}).items():
        texts[f"on {event}" if event != "spike" else "threshold"] = str(condition or "")
    for event, code in getattr(group, "event_codes", {}).items():
        texts["reset" if event == "spike" else f"code on {event}"] = str(code)
    if getattr(group, "_refractory", False) is not False:
        texts["refractory"] = str(group._refractory)
    if isinstance(getattr(group, "_rates", None), str):
        texts["rates"] = group._rates
    texts |= _code_of_parts(group)
    return _type(group, texts, attributes, outside)


def synapse_type(synapses: Any, attributes: Mapping[str, Any], outside: Mapping[str, Any]) -> TypeInfo:
    """Describe synapses; the rest is as for :func:`population_type`."""
    texts = {"equations": _equations(synapses)}
    if getattr(synapses, "event_driven", None) is not None:
        texts["event-driven equations"] = str(synapses.event_driven)
    for pathway in synapses._pathways:
        event = "" if pathway.event == "spike" else f" of {pathway.event}"
        texts[f"{pathway.objname}, on {pathway.prepost}{event}"] = str(pathway.code)
    texts |= _code_of_parts(synapses)
    return _type(synapses, texts, attributes, outside)


def target_of(synapses: Any) -> str:
    """Return which variables of the target a spike changes, such as ``ge``; empty if it is not said so."""
    found = {name for p in synapses._pathways for name in _ASSIGNED.findall(str(p.code))}
    return ", ".join(sorted(found))


def functions_from_outside(thing: Any, kind: TypeInfo | None) -> dict[str, Any]:
    """Return what a group, synapses or an input calls, and neither it nor Brian itself has.

    Parameters
    ----------
    thing : brian2.Group or brian2.PoissonInput
    kind : TypeInfo or None
        How it is described; None for an input.

    Returns
    -------
    dict
        What its namespace has for each name, or None.
    """
    texts = [str(thing.weight)] if kind is None else kind.texts.values()
    called = _from_outside(thing, {name for text in texts for name in _CALLED.findall(text)})
    given = getattr(getattr(thing, "group", thing), "namespace", None) or {}
    return {name: given.get(name) for name in called}


def says_it_keeps_a_state(function: Any) -> bool:
    """Whether a function is declared so. Brian supposes it of each one that does not say."""
    from brian2 import BinomialFunction

    # That one draws random numbers of the process, and keeps nothing itself.
    return getattr(function, "stateless", None) is False and not isinstance(function, BinomialFunction)


def _type(
    group: Any, texts: dict[str, str], attributes: Mapping[str, Any], outside: Mapping[str, Any]
) -> TypeInfo:
    texts = {name: text for name, text in texts.items() if text}
    for name, text in sorted(_constants(group, texts, outside)):
        texts[f"constant {name}"] = text
    infos = {name: _info(variable) for name, variable in attributes.items()}
    return TypeInfo(type(group).__name__, texts=texts, attributes=infos)


def _code_of_parts(group: Any) -> dict[str, str]:
    """Return what else is computed: the method of integration, summed variables, code that runs regularly."""
    from brian2 import CodeRunner
    from brian2.groups.neurongroup import SubexpressionUpdater
    from brian2.synapses.synapses import SummedVariableUpdater

    method: Any = getattr(getattr(group, "state_updater", None), "method_choice", None)
    names = [method] if isinstance(method, str) else method  # of several, the first that can
    named = isinstance(names, list | tuple) and all(isinstance(name, str) for name in names)
    texts = {"method": ", ".join(names)} if named else {}
    for part in sorted(group.contained_objects, key=lambda part: str(part.name)):
        if isinstance(part, SummedVariableUpdater):
            texts[f"summed {part.target_varname}"] = str(part.expression)
        elif isinstance(part, SubexpressionUpdater):
            texts["constant over dt"] = str(part.abstract_code)
        elif type(part) is CodeRunner:
            texts[f"regularly {part.name}"] = str(part.abstract_code)
    return texts


def _equations(group: Any) -> str:
    return str(getattr(group, "user_equations", None) or getattr(group, "equations", "") or "")


def _info(variable: Any) -> AttributeInfo:
    from brian2 import get_unit

    dtype = np.dtype(variable.dtype)
    if variable.dim.is_dimensionless:
        unit = "1" if dtype.kind == "f" else ""
    else:
        unit = str(get_unit(variable.dim))
    return AttributeInfo(ctype=_CTYPES.get(dtype.name, dtype.name), unit=unit)


def _from_outside(group: Any, named: set[str]) -> set[str]:
    """Return what neither the group nor Brian itself has."""
    from brian2.core.namespace import DEFAULT_FUNCTIONS, DEFAULT_UNITS

    return {n for n in named if not any(n in o for o in (group.variables, DEFAULT_UNITS, DEFAULT_FUNCTIONS))}


def _constants(group: Any, texts: Mapping[str, str], outside: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    named = {name for text in texts.values() for name in _IDENTIFIER.findall(text)}
    given = getattr(group, "namespace", None) or {}
    for name in _from_outside(group, named):
        value = given.get(name, outside.get(name))
        text = None if value is None else _as_text(value)
        if text is not None:
            yield name, text


def _as_text(value: Any) -> str | None:
    """Return a number with its unit, or the digest of an array; None for what is neither."""
    from brian2 import Quantity, TimedArray, get_dimensions, get_unit

    if isinstance(value, TimedArray):
        return f"TimedArray, dt {value.dt!r} s, {_digest(value.values, value.dim)}"
    if isinstance(value, bool | int | float | np.number | np.ndarray | Quantity):
        dimensions = get_dimensions(value)
        if np.ndim(value):
            return _digest(np.asarray(value), dimensions)
        unit = "" if dimensions.is_dimensionless else f" {get_unit(dimensions)}"
        return f"{np.asarray(value).item()!r}{unit}"
    return None


def _digest(values: Any, dimensions: Any) -> str:
    from brian2 import get_unit

    array = np.ascontiguousarray(values)
    unit = "" if dimensions.is_dimensionless else f" in {get_unit(dimensions)}"
    return f"{array.dtype} {array.shape}{unit}, xxh3 {xxhash.xxh3_64_hexdigest(array.tobytes())}"
