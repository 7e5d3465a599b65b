"""JSON Schemas of parameter files, generated from a network or of the general form.

What all populations of one neuron type have in common stands once, under ``$defs``; a
population refers to it and adds only what it has for itself (a value, an array's
length). Written out for each, ten thousand populations would make ten megabytes.

A schema is a function of the network alone: names are sorted, nothing tells the day or
the machine. So it can be committed and checked for staleness, byte for byte. It holds
no ``pattern`` and no ``multipleOf``, whose evaluation can take seconds on one value or
overflow.
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ann_ckpt.errors import OptionError
from ann_ckpt.model import Locality
from ann_ckpt.params.description import NetworkDescription, ObjectDescription, ParameterDescription

__all__ = [
    "DRAFTS",
    "GENERAL_ID",
    "GENERAL_SCHEMA",
    "IGNORE",
    "QUANTITY",
    "dump_json",
    "general_schema",
    "network_schema",
]

DRAFTS = {
    "2020-12": "https://json-schema.org/draft/2020-12/schema",
    "7": "http://json-schema.org/draft-07/schema#",
}
"""Metaschema of each draft that can be written and read."""

GENERAL_ID = "urn:ann-ckpt:params-1"
"""Identifier of the general schema; a parameter file may name it under ``$schema``."""

IGNORE = "$ignore"
"""Name in a parameter file under which rules are switched off."""

QUANTITY: Mapping[str, Any] = {"type": "string", "minLength": 3}
"""Schema of a number with a unit. What the text says is decided before a schema sees it."""

_RULE_IDS: Mapping[str, Any] = {"type": "array", "items": {"type": "string"}}

_WIDTH = 120
_MANY = 1000
"""In a network of more populations and projections, values that differ stand together with
their owner instead of each with its parameter: a fifth of the bytes."""
_LONGEST_TEXT = 500

_MEMBERS = {
    Locality.GLOBAL: "one {} for all",
    Locality.SEMIGLOBAL: "one {} for each dendrite",
    Locality.UNKNOWN: "{} values",
}

Json = dict[str, Any]


def _object(properties: Mapping[str, Any], *, others: Any = False) -> Json:
    return {"type": "object", "properties": dict(properties), "additionalProperties": others}


def _root(draft: str, title: str, sections: Json) -> Json:
    return {
        "$schema": DRAFTS[draft],
        "title": title,
        **_object(
            {
                "$schema": {"type": "string", "description": "The schema that editors complete from."},
                "format_version": {"const": 1, "description": "Version of the form of this file."},
                IGNORE: {
                    "description": "Rules whose findings are left out: ids, or ids by JSON pointer.",
                    "anyOf": [
                        _RULE_IDS,
                        {"type": "object", "additionalProperties": _RULE_IDS},
                    ],
                },
                "populations": sections["populations"],
                "projections": sections["projections"],
                "network": {
                    "description": "Free values for the script; they are handed back unchanged.",
                    "type": "object",
                    "additionalProperties": _any_type("null", "boolean", "number", "string"),
                },
                "constants": sections["constants"],
            }
        ),
    }


def _any_type(*names: str) -> Json:
    """Return what accepts some types; a list under ``type`` is not a schema to strict readers."""
    return {"anyOf": [{"type": name} for name in names]}


def _value() -> Json:
    """Return the schema of a value of which nothing is known: a number, bool or array of them."""
    value = _any_type("boolean", "number")
    for _ in range(8):  # more axes than populations have
        value = {"anyOf": [{"type": "array", "items": value}, *_any_type("boolean", "number")["anyOf"]]}
    return value


def general_schema(draft: str) -> Json:
    """Return the schema of the general form of a parameter file, whatever the network."""
    value = _value()
    members = {"type": "object", "additionalProperties": {"type": "object", "additionalProperties": value}}
    schema = _root(
        draft,
        "Parameters of a network",
        {
            "populations": {"description": "Parameters by population.", **members},
            "projections": {"description": "Parameters by projection.", **members},
            "constants": {
                "description": "Constants by name.",
                "type": "object",
                "additionalProperties": value,
            },
        },
    )
    return {"$schema": schema.pop("$schema"), "$id": GENERAL_ID, **schema}


GENERAL_SCHEMA: Mapping[str, Any] = general_schema("2020-12")
"""The general form of a parameter file, whatever the network; ``schemas/params-1.schema.json``."""


def network_schema(network: NetworkDescription, *, draft: str | int = "2020-12") -> Json:
    """Return the schema of the parameter files of one network.

    Reads the current value of every global parameter, for its ``default``.

    Parameters
    ----------
    network : NetworkDescription
        The network, see :func:`~ann_ckpt.params.description.describe`.
    draft : {"2020-12", "7"}
        Draft of JSON Schema; 7 is for editors that know nothing newer.
    """
    if str(draft) not in DRAFTS:
        raise OptionError(f"draft is {draft!r}", details={"expected": " or ".join(DRAFTS)})
    builder = _Builder(str(draft), many=len(network.populations) + len(network.projections) > _MANY)
    sections = {
        "populations": _object(builder.members("neuron", network.populations.values())),
        "projections": _object(builder.members("synapse", network.projections.values())),
        "constants": _object({n: _whole(c) for n, c in sorted(network.constants.items())}),
    }
    if not network.constants_known:
        sections["constants"] = _object({}, others=_value()) | {"x-ann": {"names": "unknown"}}
    sizes = {n: p.size for n, p in sorted(network.populations.items()) if p.size is not None}
    if sizes:
        usual, _ = Counter(sizes.values()).most_common(1)[0]
        others = {name: size for name, size in sizes.items() if size != usual}
        sections["populations"]["x-ann"] = {"sizes": {"*": usual, **others}}
    schema = _root(str(draft), "Parameters of this network", sections)
    if network.dt is not None:
        schema["x-ann"] = {"dt": network.dt}
    schema[builder.definitions_key] = dict(sorted(builder.definitions.items()))
    return schema


@dataclass(slots=True)
class _Builder:
    """Collects one definition for each neuron and synapse type."""

    draft: str
    many: bool
    definitions: Json = field(default_factory=dict)

    @property
    def definitions_key(self) -> str:
        return "definitions" if self.draft == "7" else "$defs"

    def members(self, kind: str, objects: Iterable[ObjectDescription]) -> Json:
        """Return a reference to its type for each object, and what it has for itself."""
        by_type: dict[object, list[ObjectDescription]] = {}
        for member in sorted(objects, key=lambda o: o.name):
            by_type.setdefault(_signature(member), []).append(member)
        found: Json = {}
        for same in by_type.values():
            parts = {name: _split([o.parameters[name] for o in same]) for name in sorted(same[0].parameters)}
            names = {name: shared for name, (shared, _) in parts.items()}
            names |= {name: _variable(v) for name, v in sorted(same[0].variables.items())}
            definition = _object(names)
            key = self._define(kind, same[0], definition)
            for i, member in enumerate(same):
                own = {name: each[i] for name, (_, each) in parts.items() if each[i]}
                found[member.name] = self._reference(key, own)
        return dict(sorted(found.items()))

    def _define(self, kind: str, example: ObjectDescription, definition: Json) -> str:
        """Put a definition under a free name that needs no escaping in a reference."""
        base = re.sub(r"[^A-Za-z0-9_.-]+", "_", example.type_name)[:60] or kind
        key, number = base, 1
        while key in self.definitions:
            number += 1
            key = f"{base}-{number}"
        texts = {"title": example.type_name, "description": example.type_description}
        marks = {"x-ann": {"variables": [*example.other_variables]}} if example.other_variables else {}
        self.definitions[key] = {
            **{k: t[:_LONGEST_TEXT] for k, t in texts.items() if t},
            **definition,
            **marks,
        }
        return key

    def _reference(self, key: str, own: Json) -> Json:
        reference = {"$ref": f"#/{self.definitions_key}/{key}"}
        if not own:
            return reference
        values = {name: extra["default"] for name, extra in own.items() if "default" in extra}
        if self.many and values:
            rest = {name: extra for name, extra in own.items() if "default" not in extra}
            shared = self._reference(key, rest)
            beside = {"allOf": [shared]} if self.draft == "7" else shared
            return {**beside, "default": values}
        # Editors complete a name with the first default that they meet.
        if self.draft == "7":  # where whatever stands beside $ref is ignored
            return {"allOf": [{"type": "object", "properties": own}, reference]}
        return {**reference, "allOf": [{"type": "object", "properties": own}]}


def _signature(member: ObjectDescription) -> object:
    """Return what objects of one definition agree on; values and flat lengths may differ."""
    return (
        member.type_name,
        member.type_description,
        tuple(
            (p.name, p.ctype.name, p.locality, p.shape if len(p.shape) > 1 else len(p.shape), p.info, p.sized)
            for _, p in sorted(member.parameters.items())
        ),
        tuple((v.name, v.ctype.name) for _, v in sorted(member.variables.items())),
        member.other_variables,
    )


def _split(same: Sequence[ParameterDescription]) -> tuple[Json, list[Json]]:
    """Split what one parameter of several objects has in common from what each has."""
    first = same[0]
    own: list[Json] = [{} for _ in same]
    if first.is_global:
        values = [p.current() for p in same]
        # 1 and 1.0 and true are equal to Python and not to a reader.
        common = len({(type(v), repr(v)) for v in values}) == 1
        if not common:
            own = [{} if v is None else {"default": v} for v in values]
        return _parameter(first, default=values[0] if common else None), own
    if not all(p.sized for p in same):
        return _parameter(first), own
    common = len({p.shape for p in same}) == 1
    if not common:
        own = [_own_length(p) for p in same]
    return _parameter(first, shape=first.shape if common else None), own


def _own_length(parameter: ParameterDescription) -> Json:
    """Return what one object adds to a parameter whose length is another in each."""
    exact = {"type": "array", "minItems": parameter.size, "maxItems": parameter.size}
    others: list[Any] = [{"type": parameter.ctype.json}, *([QUANTITY] if parameter.takes_units else [])]
    return {"anyOf": [exact, *others], "x-ann": {"size": parameter.size}}


def _whole(parameter: ParameterDescription) -> Json:
    """Return the schema of a parameter that shares nothing."""
    (schema, _) = _split([parameter])
    return schema


def _variable(variable: ParameterDescription) -> Json:
    """Return the schema of a name that is allowed because ANNarchy's own files have it."""
    return {
        "type": variable.ctype.json,
        "description": "A variable; no parameter file sets it.",
        "deprecated": True,
        "doNotSuggest": True,
        "x-ann": {"ctype": variable.ctype.name, "locality": "global", "size": 1, "role": "variable"},
    }


def _parameter(
    parameter: ParameterDescription, *, default: object = None, shape: tuple[int, ...] | None = None
) -> Json:
    single = _single(parameter)
    marks: Json = {"ctype": parameter.ctype.name, "locality": str(parameter.locality)}
    if parameter.is_global:
        size: int | None = 1
        schema: Json = {"anyOf": [single, QUANTITY]} if parameter.takes_units else single
        if default is not None:
            schema["default"] = default
    else:
        size = None if shape is None else math.prod(shape)
        quantity = [QUANTITY] if parameter.takes_units else []
        schema = {"oneOf": [single, *_arrays(single, shape), *quantity]}
    if size is not None:
        marks["size"] = size
    if parameter.info.unit:
        marks["unit"] = parameter.info.unit[:_LONGEST_TEXT]
    schema["description"] = _description(parameter)
    schema["x-ann"] = marks
    return schema


def _single(parameter: ParameterDescription) -> Json:
    schema: Json = {"type": parameter.ctype.json}
    if parameter.ctype.json == "boolean":
        return schema
    for bound in ("minimum", "maximum"):
        limit = getattr(parameter.info, bound)
        if limit is not None and math.isfinite(limit):
            schema[bound] = int(limit) if limit == int(limit) else limit
    return schema


def _arrays(single: Json, shape: tuple[int, ...] | None) -> list[Json]:
    """Return the arrays that may stand for all values: flat, and in the geometry's axes."""
    if shape is None:
        return [{"type": "array", "items": single}]
    size = math.prod(shape)
    accepted = [_array(single, size)]
    if len(shape) > 1 and size:
        nested = single
        for length in reversed(shape):
            nested = _array(nested, length)
        accepted.append(nested)
    return accepted


def _array(items: Json, length: int) -> Json:
    return {"type": "array", "items": items, "minItems": length, "maxItems": length}


def _description(parameter: ParameterDescription) -> str:
    unit = f" [{parameter.info.unit}]" if parameter.info.unit else ""
    if parameter.info.description:
        return f"{parameter.info.description[:_LONGEST_TEXT]}{unit[:_LONGEST_TEXT]}"
    words = _MEMBERS.get(parameter.locality, "one {} for each neuron or synapse")
    return f"{words.format(parameter.ctype.name).capitalize()}{unit[:_LONGEST_TEXT]}"


def dump_json(value: object) -> str:
    """Return JSON text: in lines where it is long, on one line where it fits.

    ASCII throughout, so that no tool needs to guess an encoding.

    Examples
    --------
    >>> print(dump_json({"a": {"type": "number"}, "b": []}), end="")
    {"a":{"type":"number"},"b":[]}
    """
    return _lines(value, "", 0) + "\n"


def _lines(value: object, indent: str, used: int) -> str:
    short = json.dumps(value, allow_nan=False, separators=(",", ":"))
    if not isinstance(value, dict | list) or not value or len(indent) + used + len(short) < _WIDTH:
        return short
    inner = indent + " "  # two would push ten thousand populations over a megabyte
    if isinstance(value, dict):
        names = [json.dumps(str(k)) + ": " for k in value]
        parts = [n + _lines(v, inner, len(n)) for n, v in zip(names, value.values(), strict=True)]
        return "{\n" + ",\n".join(inner + p for p in parts) + f"\n{indent}}}"
    parts = [_lines(v, inner, 0) for v in value]
    return "[\n" + ",\n".join(inner + p for p in parts) + f"\n{indent}]"
