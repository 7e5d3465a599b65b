"""What stands beside arrays in a file: attributes of one object, small numbers, types."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ann_ckpt.format import layout
from ann_ckpt.format.reader import FileReader
from ann_ckpt.lazy.array import LazyArray
from ann_ckpt.model import Array, Attribute, AttributeInfo, Locality, Resume, TypeInfo

__all__ = [
    "attributes_of",
    "dynamics_of",
    "in_memory",
    "loaded",
    "optional_int",
    "resume_from",
    "resume_of",
    "type_info",
]


def attributes_of(reader: FileReader, path: str, group: str) -> dict[str, Attribute]:
    """One group of attributes, single values read and the rest lazy."""
    found: dict[str, Attribute] = {}
    packed = f"{path}/{layout.GLOBALS[group]}"
    if packed in reader:
        found |= {n: Attribute(v, Locality.GLOBAL) for n, v in reader.globals(packed).items()}
    for link in reader.index.children(f"{path}/{group}"):
        place = f"{path}/{group}/{link}"
        found[layout.unescape(link)] = Attribute(
            LazyArray(reader, place), Locality(reader.index[place].locality)
        )
    return found


def dynamics_of(reader: FileReader, prefix: str) -> dict[str, Array]:
    """What a simulator carries from step to step for one object, single values read and the rest lazy.

    Parameters
    ----------
    prefix : str
        Path of the object with a slash behind it; empty for the whole network.
    """
    found: dict[str, Array] = {}
    packed = f"{prefix}{layout.GLOBALS[layout.DYNAMICS]}"
    if packed in reader:
        found |= reader.globals(packed)
    group = f"{prefix}{layout.DYNAMICS}"
    for link in reader.index.children(group):
        found[layout.unescape(link)] = LazyArray(reader, f"{group}/{link}")
    return found


def loaded(dynamics: Mapping[str, Array]) -> dict[str, Array]:
    """Return the same arrays, read."""
    return {name: np.asarray(values) for name, values in dynamics.items()}


def resume_of(document: Mapping[str, Any], group: str, name: str) -> Resume | None:
    """What the file says about resuming one object; None if nothing."""
    entry = document.get(group, {}).get(name)
    return None if entry is None else resume_from(entry)


def resume_from(entry: Mapping[str, Any]) -> Resume:
    """Return what is said about resuming from its JSON object."""
    return Resume(entry["exactness"], tuple(entry["reasons"]))


def in_memory(attributes: Mapping[str, Attribute]) -> dict[str, Attribute]:
    """Return the same attributes with their arrays read."""
    return {n: Attribute(np.asarray(a.values), a.locality) for n, a in attributes.items()}


def optional_int(header: Mapping[str, Any], name: str) -> int | None:
    """Return a number that may be absent."""
    return int(header[name]) if name in header else None


def type_info(text: Mapping[str, Any]) -> TypeInfo:
    """Return a neuron or synapse type from its JSON object."""
    attributes = {name: AttributeInfo(**declared) for name, declared in text.get("attributes", {}).items()}
    return TypeInfo(text["name"], text.get("description", ""), text.get("texts", {}), attributes)
