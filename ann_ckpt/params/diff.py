"""What differs between two parameter files, two networks, or one of each."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from ann_ckpt.arguments import check_flags
from ann_ckpt.errors import ParameterFileError, printable
from ann_ckpt.model.arrays import identical_values
from ann_ckpt.params.checking.units import in_model_units
from ann_ckpt.params.description import SECTIONS, NetworkDescription, ParameterDescription, describe, state_of
from ann_ckpt.params.file import ParameterFile, from_object, load
from ann_ckpt.params.findings import pointer
from ann_ckpt.params.plan import filled
from ann_ckpt.params.rules import Severity
from ann_ckpt.params.schema.generate import network_schema
from ann_ckpt.params.schema.schema import Schema
from ann_ckpt.params.text.document import Path, Problems

__all__ = [
    "Difference",
    "Entry",
    "diff",
]

Leaves = Mapping[Path, Any]
"""Values by path: plain ones, or a :class:`ParameterDescription` that no file could hold."""


_SHOWN = 3
_MOST_ENTRIES = 100


class Entry(NamedTuple):
    """One entry of an array that differs."""

    at: int
    """Of the flat array, in C order."""
    before: Any
    after: Any


@dataclass(frozen=True, slots=True)
class Difference:
    """One parameter, constant or free value that is not the same on both sides."""

    path: Path
    """Names from the section to the value."""
    kind: str
    """``added``, ``removed`` or ``changed``, seen from the first side."""
    before: Any
    """The value on the first side: a plain value, or how many there are; None if it is not there."""
    after: Any
    """The value on the second side; None if it is not there."""
    entries: tuple[Entry, ...] = ()
    """The first entries that differ, of arrays with equally many."""
    count: int = 0
    """How many entries differ, of arrays with equally many."""

    @property
    def pointer(self) -> str:
        """JSON pointer of the value."""
        return pointer(self.path)

    def to_dict(self) -> dict[str, Any]:
        """Return plain strings, ready for JSON."""
        found = {"pointer": self.pointer, "kind": self.kind, "before": self.before, "after": self.after}
        if self.count:
            found["count"] = self.count
            found["entries"] = [entry._asdict() for entry in self.entries]
        return found

    def __str__(self) -> str:
        name = printable("/".join(map(str, self.path)), 200)
        if self.kind == "added":
            return f"+ {name}: {_told(self.after)}"
        if self.kind == "removed":
            return f"- {name}: {_told(self.before)}"
        if not self.count:
            return f"~ {name}: {_told(self.before)} -> {_told(self.after)}"
        shown = ", ".join(f"[{e.at}] {_told(e.before)} -> {_told(e.after)}" for e in self.entries[:_SHOWN])
        more = ", ..." if self.count > _SHOWN else ""
        return f"~ {name}: {self.count} of {_told(self.before)} differ: {shown}{more}"


def diff(a: Any, b: Any, *, overlay: bool = False) -> list[Difference]:
    """Return what differs between two sides, in their order.

    A network counts with what a parameter file of it would hold: its global parameters
    and constants. A parameter with many values counts where the other side has it too.
    ``1`` and ``1.0`` are the same number; ``1`` and ``true`` are not. Beside a network, a
    number with a unit is that number in the unit of the model.

    Parameters
    ----------
    a, b : ParameterFile, path or mapping, NetworkState, Checkpoint or live network
        The two sides.
    overlay : bool
        Whether ``b`` is an overlay over ``a``: what it leaves out is not a difference.

    Raises
    ------
    ParameterFileError
        If a file is not well formed.
    """
    check_flags(overlay=overlay)
    first, second = _side(a), _side(b)
    left, right = first.leaves(second), second.leaves(first)
    found = _differences(left, right)
    return [d for d in found if not (overlay and d.kind == "removed")]


def _differences(left: Leaves, right: Leaves) -> Iterator[Difference]:
    for path in dict.fromkeys((*left, *right)):
        if path not in right:
            yield Difference(path, "removed", _plain(left[path]), None)
        elif path not in left:
            yield Difference(path, "added", None, _plain(right[path]))
        elif not _same(left[path], right[path]):
            entries = _entries(left[path], right[path])
            yield Difference(
                path,
                "changed",
                _plain(left[path]),
                _plain(right[path]),
                tuple(entries[:_MOST_ENTRIES]),
                len(entries),
            )


def _entries(a: Any, b: Any) -> list[Entry]:
    """Return the entries of two arrays that differ; none where one is not an array or has another size."""
    left, right = _flat(a), _flat(b)
    if left is None or right is None or len(left) != len(right):
        return []
    pairs = zip(left, right, strict=True)
    return [Entry(i, x, y) for i, (x, y) in enumerate(pairs) if not (_equal(x, y) or _both_nan(x, y))]


def _both_nan(a: Any, b: Any) -> bool:
    return isinstance(a, float) and isinstance(b, float) and math.isnan(a) and math.isnan(b)


def _flat(value: Any) -> list[Any] | None:
    """Return the entries of an array in C order; None for a single value."""
    if isinstance(value, ParameterDescription):
        flat = np.asarray(value.values).reshape(-1)
        # A file has the shortest digits that are the float32, not those of the float64 that it becomes.
        found: list[Any] = [float(str(v)) for v in flat] if flat.dtype == np.float32 else flat.tolist()
        return found if value.shape else None
    return _flattened(value) if isinstance(value, list) else None


def _flattened(value: list[Any]) -> list[Any]:
    return [v for item in value for v in (_flattened(item) if isinstance(item, list) else [item])]


class _FileSide:
    def __init__(self, file: ParameterFile) -> None:
        errors = [f for f in file.findings if f.severity is Severity.ERROR]
        if errors:  # a value that is refused reads as null
            error = ParameterFileError("the parameter file is not well formed", where=f"{errors[0]}")
            error.findings = file.findings
            raise error
        self._file = file
        self.paths = dict(_paths(file.data))

    def leaves(self, other: _FileSide | _NetworkSide) -> Leaves:
        if isinstance(other, _FileSide):
            return self.paths
        # What a file may say and a network has no place for is not a difference.
        mine = {p: v for p, v in self.paths.items() if p[0] != "network" and p not in other.variables}
        if self._file.document is not None and any(isinstance(v, str) for v in mine.values()):
            schema = Schema.trusted(network_schema(other.network))
            converted = dict(_paths(in_model_units(self._file.document, schema, Problems()).value))
            mine = {path: converted[path] for path in mine}
        return mine


class _NetworkSide:
    def __init__(self, network: NetworkDescription) -> None:
        self.network = network
        self._parameters = dict(_parameters(network))
        self.paths = self._parameters
        self.variables = {(o.section, o.name, v) for o in network.objects() for v in o.variables}

    def leaves(self, other: _FileSide | _NetworkSide) -> Leaves:
        return {
            path: _leaf(parameter)
            for path, parameter in self._parameters.items()
            if parameter.is_global or path in other.paths
        }


def _side(given: Any) -> _FileSide | _NetworkSide:
    if isinstance(given, str | os.PathLike):
        given = load(given)
    elif isinstance(given, Mapping):
        given = from_object(given)
    if isinstance(given, ParameterFile):
        return _FileSide(given)
    return _NetworkSide(describe(state_of(given)))


def _paths(data: Mapping[str, Any]) -> Iterator[tuple[Path, Any]]:
    for section, members in data.items():
        if not isinstance(members, dict):
            continue
        for name, value in members.items():
            if section in SECTIONS and isinstance(value, dict):
                yield from (((section, name, parameter), v) for parameter, v in value.items())
            else:
                yield (section, name), value


def _parameters(network: NetworkDescription) -> Iterator[tuple[Path, ParameterDescription]]:
    for owner in network.objects():
        yield from (((owner.section, owner.name, n), p) for n, p in owner.parameters.items())
    yield from ((("constants", n), c) for n, c in network.constants.items())


def _leaf(parameter: ParameterDescription) -> Any:
    """Return the plain value of a global parameter; what JSON cannot hold stays what it is."""
    current = parameter.current() if parameter.is_global else None
    return parameter if current is None else current


def _same(a: Any, b: Any) -> bool:
    if isinstance(a, ParameterDescription) and isinstance(b, ParameterDescription):
        return identical_values(a.values, b.values)
    if isinstance(a, ParameterDescription):
        return _holds(a, b)
    if isinstance(b, ParameterDescription):
        return _holds(b, a)
    return _equal(a, b)


def _holds(parameter: ParameterDescription, given: Any) -> bool:
    """Whether a parameter has the values that a file gives it."""
    values = np.asarray(parameter.values)
    if values.dtype.kind != "f":  # which filled() rounds, as the network does
        one_each = given if isinstance(given, list) else [given] * values.size
        return _equal(_flattened(one_each), values.reshape(-1).tolist())
    try:
        return bool(np.array_equal(filled(given, parameter), values))
    except (TypeError, ValueError, OverflowError):
        return False  # another length, or no number at all


def _equal(a: Any, b: Any) -> bool:
    if isinstance(a, list) and isinstance(b, list):
        if len(a) != len(b):  # flat on one side, in the axes of the population on the other
            a, b = _flattened(a), _flattened(b)
        return len(a) == len(b) and all(map(_equal, a, b))
    return bool(a == b) and isinstance(a, bool) == isinstance(b, bool)


def _plain(value: Any) -> Any:
    """Return a value as a report has it: plain, or in words for an array or what JSON cannot write."""
    if isinstance(value, ParameterDescription):
        return f"{value.size} values" if value.shape else str(np.asarray(value.values)[()])
    if isinstance(value, list):
        return f"{len(_flattened(value))} values"
    return value


def _told(value: Any) -> str:
    """Return a value as a line shows it."""
    words = isinstance(value, str) and (value.endswith(" values") or value in {"nan", "inf", "-inf"})
    return printable(value if words else json.dumps(value, ensure_ascii=False), 80)
