"""What differs between two parameter files, two networks, or one of each."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ann_ckpt.compare import identical_values
from ann_ckpt.errors import ParameterFileError, printable
from ann_ckpt.params.description import SECTIONS, NetworkDescription, ParameterDescription, describe
from ann_ckpt.params.file import ParameterFile, load
from ann_ckpt.params.findings import pointer
from ann_ckpt.params.network import state_of
from ann_ckpt.params.plan import filled
from ann_ckpt.params.text.document import Path

__all__ = ["Difference", "diff"]

Leaves = Mapping[Path, Any]
"""Values by path: plain ones, or a :class:`ParameterDescription` that no file could hold."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One parameter, constant or free value that is not the same on both sides."""

    path: Path
    """Names from the section to the value."""
    kind: str
    """``added``, ``removed`` or ``changed``, seen from the first side."""
    before: str | None
    """The value on the first side as text; None if it is not there."""
    after: str | None
    """The value on the second side as text; None if it is not there."""

    @property
    def pointer(self) -> str:
        """JSON pointer of the value."""
        return pointer(self.path)

    def to_dict(self) -> dict[str, Any]:
        """Return plain strings, ready for JSON."""
        return {"pointer": self.pointer, "kind": self.kind, "before": self.before, "after": self.after}

    def __str__(self) -> str:
        name = printable("/".join(map(str, self.path)), 200)
        if self.kind == "added":
            return f"+ {name}: {self.after}"
        if self.kind == "removed":
            return f"- {name}: {self.before}"
        return f"~ {name}: {self.before} -> {self.after}"


def diff(a: Any, b: Any) -> list[Difference]:
    """Return what differs between two sides, in their order.

    A network counts with what a parameter file of it would hold: its global parameters
    and constants. A parameter with many values counts where the other side has it too.
    ``1`` and ``1.0`` are the same number; ``1`` and ``true`` are not.

    Parameters
    ----------
    a, b : ParameterFile, path of one, NetworkState, Checkpoint or live network
        The two sides.

    Raises
    ------
    ParameterFileError
        If a file is not well formed.
    """
    first, second = _side(a), _side(b)
    left, right = first.leaves(second), second.leaves(first)
    return list(_differences(left, right))


def _differences(left: Leaves, right: Leaves) -> Iterator[Difference]:
    for path in dict.fromkeys((*left, *right)):
        if path not in right:
            yield Difference(path, "removed", _shown(left[path]), None)
        elif path not in left:
            yield Difference(path, "added", None, _shown(right[path]))
        elif not _same(left[path], right[path]):
            yield Difference(path, "changed", _shown(left[path]), _shown(right[path]))


class _FileSide:
    def __init__(self, file: ParameterFile) -> None:
        if file.document is None:
            error = ParameterFileError("the parameter file is not well formed", where=f"{file.findings[0]}")
            error.findings = file.findings
            raise error
        self._file = file
        self.paths = dict(_paths(file.data))

    def leaves(self, other: _FileSide | _NetworkSide) -> Leaves:
        if isinstance(other, _FileSide):
            return self.paths
        # What a file may say and a network has no place for is no difference.
        return {p: v for p, v in self.paths.items() if p[0] != "network" and p not in other.variables}


class _NetworkSide:
    def __init__(self, network: NetworkDescription) -> None:
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
    try:
        return bool(np.array_equal(filled(given, parameter), np.asarray(parameter.values)))
    except (TypeError, ValueError, OverflowError):
        return False  # another length, or no number at all


def _equal(a: Any, b: Any) -> bool:
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(_equal, a, b))
    return bool(a == b) and isinstance(a, bool) == isinstance(b, bool)


def _shown(value: Any) -> str:
    if isinstance(value, ParameterDescription):
        if value.shape:
            return f"{value.size} values"
        return str(np.asarray(value.values)[()])
    if isinstance(value, list):
        return f"{len(value)} values"
    return printable(json.dumps(value, ensure_ascii=False), 80)
