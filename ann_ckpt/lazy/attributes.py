"""What stands beside arrays in a file: attributes of one object, small numbers, types."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields
from functools import cached_property
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from ann_ckpt.errors import printable
from ann_ckpt.format import layout
from ann_ckpt.format.reader import FileReader
from ann_ckpt.lazy.array import LazyArray
from ann_ckpt.model import Array, Attribute, AttributeInfo, Locality, Resume, TypeInfo

__all__ = [
    "LazyGroup",
    "arrays_in_memory",
    "arrays_of",
    "attributes_in_memory",
    "attributes_of",
    "dynamics_of",
    "resume_from",
    "resume_of",
    "type_info",
]

T = TypeVar("T")

_DECLARED = tuple(field.name for field in fields(AttributeInfo))


class LazyGroup(Mapping[str, T]):
    """Members of one group of a file by name, each made when it is first asked for.

    Their names are read when one is first needed. Behaves like the dictionary of all of them, which ``|``
    makes, and which has to be changed in its place.

    Parameters
    ----------
    path : str
        The group with the arrays.
    packed : str
        The dataset with the single values; there may be none.
    single, stored : callable
        Return the member for a single value, and for the path and name of an array.
    """

    def __init__(
        self,
        reader: FileReader,
        path: str,
        packed: str,
        single: Callable[[str, NDArray[Any]], T],
        stored: Callable[[str, str], T],
    ) -> None:
        self._reader = reader
        self._path = path
        self._packed = packed
        self._single = single
        self._stored = stored
        self._made: dict[str, T] = {}

    @cached_property
    def _values(self) -> dict[str, NDArray[Any]]:
        return self._reader.globals(self._packed) if self._packed in self._reader else {}

    @cached_property
    def _places(self) -> dict[str, str | None]:
        """The path of each array by its name; None for a single value."""
        with self._reader.reporting_corruption(self._path):
            places: dict[str, str | None] = dict.fromkeys(self._values)
            for link in self._reader.index.children(self._path):
                name = layout.unescape(link)
                if name in places:
                    raise ValueError(f"{printable(name)!r} stands both in it and in {self._packed}")
                places[name] = f"{self._path}/{link}"
            return places

    def __getitem__(self, name: str) -> T:
        if name not in self._made:
            place = self._places[name]
            with self._reader.reporting_corruption(self._path):
                made = self._single(name, self._values[name]) if place is None else self._stored(name, place)
            self._made[name] = made
        return self._made[name]

    def __reduce__(self) -> tuple[Any, ...]:
        return dict, (dict(self),)

    def __contains__(self, name: object) -> bool:
        return name in self._places

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)

    def __or__(self, other: Mapping[str, T]) -> dict[str, T]:
        return {**self, **other} if isinstance(other, Mapping) else NotImplemented

    def __ror__(self, other: Mapping[str, T]) -> dict[str, T]:
        return {**other, **self} if isinstance(other, Mapping) else NotImplemented

    def __repr__(self) -> str:
        return repr(dict(self))


def attributes_of(
    reader: FileReader,
    path: str,
    group: str,
    check: Callable[[str, Attribute], Attribute] = lambda _, attribute: attribute,
) -> LazyGroup[Attribute]:
    """One group of attributes; ``check`` is asked about each when it is made."""

    def stored(name: str, place: str) -> Attribute:
        return check(name, Attribute(LazyArray(reader, place), Locality(reader.index[place].locality)))

    def single(name: str, value: NDArray[Any]) -> Attribute:
        return check(name, Attribute(value, Locality.GLOBAL))

    return LazyGroup(reader, f"{path}/{group}", f"{path}/{layout.GLOBALS[group]}", single, stored)


def dynamics_of(reader: FileReader, prefix: str) -> LazyGroup[Array]:
    """What a simulator carries from step to step for one object.

    Parameters
    ----------
    prefix : str
        Path of the object with a slash behind it; empty for the whole network.
    """
    return LazyGroup(
        reader,
        f"{prefix}{layout.DYNAMICS}",
        f"{prefix}{layout.GLOBALS[layout.DYNAMICS]}",
        lambda _, value: value,
        lambda _, place: LazyArray(reader, place),
    )


def arrays_of(reader: FileReader, path: str) -> dict[str, LazyArray]:
    """Return the arrays of a group by their true names; none where there is no such group."""
    with reader.reporting_corruption(path):
        links = reader.index.children(path)
        return {layout.unescape(link): LazyArray(reader, f"{path}/{link}") for link in links}


def attributes_in_memory(attributes: Mapping[str, Attribute]) -> dict[str, Attribute]:
    """Read attributes; those that are single values have been."""
    return {
        name: Attribute(np.asarray(a.values), a.locality) if isinstance(a.values, LazyArray) else a
        for name, a in attributes.items()
    }


def arrays_in_memory(arrays: Mapping[str, Array]) -> dict[str, Array]:
    """Read arrays by name."""
    return {name: np.asarray(array) for name, array in arrays.items()}


def resume_of(document: Mapping[str, Any], group: str, name: str) -> Resume | None:
    """The exactness of one object; None if the file does not record it."""
    entry = document.get(group, {}).get(name)
    return None if entry is None else resume_from(entry)


def resume_from(entry: Mapping[str, Any]) -> Resume:
    """Parse exactness from its JSON object."""
    return Resume(entry["exactness"], tuple(entry["reasons"]))


def type_info(text: Mapping[str, Any]) -> TypeInfo:
    """Return a neuron or synapse type from its JSON object."""
    attributes = {
        # A later minor version may say more.
        name: AttributeInfo(**{key: declared[key] for key in _DECLARED if key in declared})
        for name, declared in text.get("attributes", {}).items()
    }
    return TypeInfo(text["name"], text.get("description", ""), text.get("texts", {}), attributes)
