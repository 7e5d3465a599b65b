"""What stands beside arrays in a file: attributes of one object, small numbers, types."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ann_ckpt.format import layout
from ann_ckpt.format.reader import FileReader
from ann_ckpt.lazy.array import LazyArray
from ann_ckpt.model import Attribute, AttributeInfo, Locality, TypeInfo

__all__ = ["attributes_of", "in_memory", "optional_int", "type_info"]


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
