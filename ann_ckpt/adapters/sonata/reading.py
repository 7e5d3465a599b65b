"""Reads SONATA: a ``circuit_config.json`` with all its files, or one file of nodes or edges."""

from __future__ import annotations

import csv
import io
import json
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ann_ckpt.adapters.protocol import ForeignFile, Reading
from ann_ckpt.adapters.sonata import names
from ann_ckpt.adapters.sonata.group import Group, open_root
from ann_ckpt.errors import (
    CheckpointError,
    CorruptFileError,
    UnrecognisedFileError,
    printable,
)
from ann_ckpt.format.guard import begins_like_hdf5, first_bytes, reporting_corruption
from ann_ckpt.model import (
    Attribute,
    AttributeInfo,
    Connectivity,
    Locality,
    NetworkState,
    PopulationState,
    ProjectionState,
    TypeInfo,
)
from ann_ckpt.report import Loss, Note

__all__ = ["detect", "examine", "members"]

_TEXT_BYTES = 16 << 20
"""More has no configuration, and no table of types."""
_PATH = 1 << 16
"""Most characters of a path, and of what stands for a part of it."""
_VARIABLES = 100
"""Most entries of a manifest: each may use all others."""
_BLANK = 64
"""Most characters before a configuration begins."""
_TOLERANCE = 1e-3
"""By how much of a step a delay in ms may miss a whole number of steps: they are written as float32, too."""

_MOST_AXES = 32
_LENGTH = re.compile("[0-9]{1,19}")

_Types = Mapping[int, Mapping[str, str]]
"""Rows of a table of types by ``node_type_id`` or ``edge_type_id``."""


def detect(path: str | os.PathLike[str]) -> str | None:
    """Return ``config``, ``nodes`` or ``edges`` for a file of SONATA, None for any other.

    Raises
    ------
    FileMissingError, NotReadableError
        If the system does not give the file.
    """
    if not begins_like_hdf5(path):
        return None if _circuit(path) is None else "config"
    try:
        return next(iter(_kinds(path)), None)
    except CheckpointError:
        return None  # whoever reads it says what is wrong with it


def examine(
    path: str | os.PathLike[str],
    *,
    dt: float | None = None,
    encoding: str | None = None,  # noqa: ARG001
) -> ForeignFile:
    """Read a circuit, or the nodes or edges of one file.

    ``syn_weight`` becomes ``w``. With the length of a step, ``delay`` becomes delays in steps; without,
    it is an attribute in ms. Numbers of the tables of types become attributes, their texts a type.

    Parameters
    ----------
    path : path-like
        ``circuit_config.json``, or an HDF5 file.
    dt : float, optional
        Length of a step in ms.
    encoding : str, optional
        Not needed: SONATA is UTF-8.

    Raises
    ------
    CorruptFileError, UnsafeFileError
        If a file is damaged, or asks for what numbers and names do not need.
    """
    config = _circuit(path)
    kind = detect(path) if config is None else "config"
    if kind is None:
        raise UnrecognisedFileError("not a SONATA file", where=path)
    with reporting_corruption(os.fspath(path)):
        if config is None:
            found, files = _Found(dt), [_File(each, Path(path)) for each in _kinds(path)]
        else:
            clock = _clock(config)
            found = _Found(dt or clock.dt, clock.time_step)
            files = list(_files_of(config, Path(path)))
        for file in files:
            found.add(file)  # nodes come first: edges refer to them
        return ForeignFile(
            path=os.fspath(path),
            container="hdf5" if config is None else "json",
            kind="network" if kind == "config" or len(files) > 1 else kind,
            file_bytes=sum(file.path.stat().st_size for file in files),
            program="SONATA",
            versions=found.version,
            python="",
            reading=Reading(found.state(), tuple(found.notes)),
        )


@dataclass(frozen=True, slots=True)
class _File:
    """A file of nodes or of edges."""

    kind: str
    path: Path
    table: Path | None = None
    """Of its types."""

    def types(self) -> _Types:
        """Return the rows of the table."""
        return {} if self.table is None else _types(self.table, f"{self.kind[:-1]}_type_id")


@dataclass(slots=True)
class _Found:
    """What was read so far."""

    dt: float | None
    time_step: int | None = None
    version: str = ""
    populations: dict[str, PopulationState] = field(default_factory=dict)
    projections: dict[str, ProjectionState] = field(default_factory=dict)
    ids: dict[str, NDArray[np.int64]] = field(default_factory=dict)
    """Ids of nodes by population, where they are not 0, 1, 2, ...; shape ``(n,)``."""
    notes: list[Note] = field(default_factory=list)

    def state(self) -> NetworkState:
        return NetworkState(
            populations=self.populations, projections=self.projections, dt=self.dt, time_step=self.time_step
        )

    def add(self, file: _File) -> None:
        types = file.types()
        with open_root(file.path) as root:
            self.version = self.version or ".".join(map(str, root.version()))
            for name, group in root.groups(file.kind):
                made = names.from_file(name)
                into = self.populations if file.kind == "nodes" else self.projections
                if made in into:
                    raise CorruptFileError(
                        f"two populations of {file.kind} are called {printable(made)!r}", where=group.where
                    )
                state = (
                    self._nodes(made, group, types)
                    if file.kind == "nodes"
                    else self._edges(made, group, types)
                )
                if state is not None:
                    into[made] = state  # type: ignore[assignment]

    def _nodes(self, name: str, group: Group, types: _Types) -> PopulationState | None:
        path = f"populations/{name}"
        kinds, ids = group.integers("node_type_id"), group.integers("node_id")
        if kinds is None and ids is None:
            self.notes.append(Loss(path, "the file does not say how many nodes there are"))
            return None
        size = len(ids if ids is not None else kinds)  # type: ignore[arg-type]
        if ids is not None and not np.array_equal(ids, np.arange(size)):
            if np.unique(ids).size != size:
                raise CorruptFileError("two nodes have the same id", where=group.where)
            self.ids[name] = ids
            self.notes.append(Note(path, "ids of nodes became ranks: their places in the file"))
        values = self._values(path, group, "node", size)
        geometry = _geometry(self._from_types(path, values, kinds, types, size), size)
        kind = self._type(name, values, kinds, types)
        shaped = {
            n: Attribute(
                v.reshape(geometry) if v.shape else v, Locality.LOCAL if v.shape else Locality.GLOBAL
            )
            for n, v in values.items()
        }
        return PopulationState(name, geometry, parameters=shaped, neuron_type=kind)

    def _edges(self, name: str, group: Group, types: _Types) -> ProjectionState | None:
        path = f"projections/{name}"
        sides = {side: group.node_ids(side) for side in ("source", "target")}
        if None in sides.values():
            self.notes.append(Loss(path, "the file holds no source_node_id or target_node_id"))
            return None
        (source, pre), (target, post) = sides["source"], sides["target"]  # type: ignore[misc]
        if len(pre) != len(post):
            raise CorruptFileError(f"{len(pre)} sources and {len(post)} targets", where=group.where)
        source, target = names.from_file(source), names.from_file(target)
        pre, post = self._ranks(source, pre, group), self._ranks(target, post, group)
        values = self._values(path, group, "edge", len(pre))
        kinds = group.integers("edge_type_id")
        row = self._from_types(path, values, kinds, types, len(pre))
        order, rows = _rows(pre, post)
        if order is not None:
            self.notes.append(Note(path, "edges were put in the order of their targets"))
            values = {n: v[order] if v.shape else v for n, v in values.items()}
        if names.WEIGHT in values and "w" not in values:
            values["w"] = values.pop(names.WEIGHT)
        delays = self._delays(path, values)
        kind = self._type(name, values, kinds, types)
        local = {n: Attribute(v, Locality.LOCAL if v.shape else Locality.GLOBAL) for n, v in values.items()}
        weight = {"w": local.pop("w")} if "w" in local else {}
        return ProjectionState(
            name,
            source,
            target,
            row.get(names.TARGET, ""),
            rows,
            delays=delays,
            pre_size=self._size(source, group, "source"),
            post_size=self._size(target, group, "target"),
            parameters=local,
            variables=weight,
            synapse_type=kind,
        )

    def _size(self, population: str, group: Group, side: str) -> int | None:
        known = self.populations.get(population)
        return group.indexed_nodes(side) if known is None else known.size

    def _ranks(self, population: str, ids: NDArray[np.int64], group: Group) -> NDArray[np.int64]:
        """Return the ranks of nodes with these ids."""
        if population not in self.ids:
            return ids
        known = self.ids[population]
        order = np.argsort(known)
        places = np.minimum(np.searchsorted(known, ids, sorter=order), len(known) - 1)
        ranks = order[places] if len(known) else places
        if len(ids) and (not len(known) or not np.array_equal(known[ranks], ids)):
            raise CorruptFileError(
                f"an edge has a node that is not in population {printable(population)!r}", where=group.where
            )
        return ranks

    def _delays(self, path: str, values: dict[str, NDArray[Any]]) -> Any:
        """Return delays in steps, if they are known; take them out of the attributes then."""
        name, scale = (names.DELAY, self.dt) if names.DELAY in values else ("delay_steps", 1.0)
        given = values.get(name)
        if given is None:
            return None
        unit = "ms" if name == names.DELAY else "steps"
        if scale is None:
            self.notes.append(
                Note(path, "delays are an attribute in ms: --dt, the length of a step, makes them steps")
            )
            return None
        steps = np.rint(given / scale)
        if not (np.abs(steps - given / scale) <= _TOLERANCE).all() or (steps < 0).any():
            why = f"not whole steps of {scale} ms" if unit == "ms" else "not whole numbers"
            self.notes.append(Note(path, f"delays are an attribute in {unit}: they are {why}"))
            return None
        del values[name]
        whole = steps.astype(np.int64)
        if not whole.shape:
            return int(whole)
        return int(whole[0]) if whole.size and (whole == whole[0]).all() else whole

    def _values(self, path: str, group: Group, noun: str, size: int) -> dict[str, NDArray[Any]]:
        """Numbers of all nodes or edges by attribute, shape ``(size,)``."""
        values, left = group.attributes(noun, size)
        self.notes += [
            Note(f"{path}/{names.from_file(name)}", f"left out: {why}") for name, why in left.items()
        ]
        return {names.from_file(name): array for name, array in values.items()}

    def _from_types(
        self,
        path: str,
        values: dict[str, NDArray[Any]],
        kinds: NDArray[np.int64] | None,
        types: _Types,
        size: int,
    ) -> Mapping[str, str]:
        """Add numbers that the table of types has; return its row if all are of one type."""
        used = _used(path, kinds, types)
        rows = [types[kind] for kind in used if kind in types]
        if not rows or len(rows) < len(used):
            return {}
        for column in dict.fromkeys(column for row in rows for column in row):
            name = names.from_file(column)
            numbers = [_number(row.get(column, "")) for row in rows]
            if name in values or column in _NO_ATTRIBUTES:
                continue
            if None in numbers:
                if any(number is not None for number in numbers):
                    self.notes.append(Note(f"{path}/{name}", "left out: some of the types have no number"))
                continue
            array = _numbers(numbers)
            values[name] = array[0] if len(used) == 1 else array[np.searchsorted(used, kinds)]  # type: ignore[arg-type]
        return rows[0] if len(rows) == 1 else {}

    def _type(
        self,
        name: str,
        values: Mapping[str, Any],
        kinds: NDArray[np.int64] | None,
        types: _Types,
    ) -> TypeInfo | None:
        """Return what the table of types says in words, and units that are known."""
        used = [] if kinds is None else np.unique(kinds).tolist()
        texts = {}
        for kind in used:
            for column, text in types.get(kind, {}).items():
                if column not in _NO_TEXTS and _number(text) is None:
                    texts[column if len(used) == 1 else f"{kind} {column}"] = text
        units = {names.DELAY: AttributeInfo(unit="ms")} if names.DELAY in values else {}
        return TypeInfo(name, texts=texts, attributes=units) if texts or units else None


def _used(path: str, kinds: NDArray[np.int64] | None, types: _Types) -> list[int]:
    """Return the types of nodes or edges; where there are none, those that are said to be theirs."""
    if kinds is not None and kinds.size:
        return [int(kind) for kind in np.unique(kinds)]
    name = path.partition("/")[2]
    return [kind for kind, row in types.items() if row.get("pop_name") == name][:1]


_NO_ATTRIBUTES = ("node_type_id", "edge_type_id", "pop_name", names.GEOMETRY, names.TARGET)
_NO_TEXTS = (*_NO_ATTRIBUTES, "NULL")


_INTEGER = re.compile(r"[+-]?[0-9]{1,20}")
_FLOAT = re.compile(r"[+-]?(?:(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?|(?i:inf|nan))")


def _number(text: str) -> float | int | bool | None:
    if text in ("true", "false"):
        return text == "true"
    if _INTEGER.fullmatch(text) and -(2**63) <= int(text) < 2**64:
        return int(text)
    number = float(text) if _FLOAT.fullmatch(text) else None
    return None if number is not None and np.isinf(number) and "inf" not in text.lower() else number


def _numbers(given: list[Any]) -> NDArray[Any]:
    array = np.asarray(given)
    if array.dtype.kind == "f" and not any(isinstance(number, float) for number in given) and min(given) >= 0:
        return np.asarray(given, np.uint64)  # numpy has floats for large integers beside small ones
    return array


def _geometry(row: Mapping[str, str], size: int) -> tuple[int, ...]:
    lengths = row.get(names.GEOMETRY, "").split("x")
    if len(lengths) <= _MOST_AXES and all(_LENGTH.fullmatch(length) for length in lengths):
        geometry = tuple(int(length) for length in lengths)
        if int(np.prod(geometry, dtype=object)) == size:
            return geometry
    return (size,)


def _rows(pre: NDArray[Any], post: NDArray[Any]) -> tuple[NDArray[np.int64] | None, Connectivity]:
    """Return the order that puts edges with one target together, None if they are; and the rows."""
    order = None
    starts = _starts(post)
    if np.unique(post[starts]).size < starts.size:
        order = np.argsort(post, kind="stable")
        pre, post = pre[order], post[order]
        starts = _starts(post)
    return order, Connectivity(post[starts], np.append(starts, len(post)), pre)


def _starts(post: NDArray[Any]) -> NDArray[np.int64]:
    """Places at which another target begins."""
    if not len(post):
        return np.empty(0, np.int64)
    return np.concatenate(([0], np.flatnonzero(np.diff(post)) + 1))


def _kinds(path: str | os.PathLike[str]) -> list[str]:
    with open_root(path) as root:
        return [kind for kind in ("nodes", "edges") if root.has_group(kind)]


# --- the configuration -------------------------------------------------------------


def _circuit(path: str | os.PathLike[str]) -> Mapping[str, Any] | None:
    """Return a configuration that names networks; None for any other file."""
    if first_bytes(path, _BLANK + 1).lstrip()[:1] != b"{":
        return None
    try:
        config = json.loads(_text(path))
    except (CorruptFileError, ValueError, RecursionError):
        return None
    networks = config.get("networks")
    return config if isinstance(networks, dict) and ("nodes" in networks or "edges" in networks) else None


def _text(path: str | os.PathLike[str]) -> str:
    data = first_bytes(path, _TEXT_BYTES + 1)
    if len(data) > _TEXT_BYTES:
        raise CorruptFileError(f"a text of more than {_TEXT_BYTES} bytes", where=path)
    return data.decode()


def _clock(config: Mapping[str, Any]) -> NetworkState:
    """Return an empty network with the length of a step and their number, as far as they are known."""
    ours = config.get(names.OURS, {})
    if not isinstance(ours, dict):
        raise CorruptFileError(f"{names.OURS!r} is not an object")
    return NetworkState(dt=ours.get("dt"), time_step=ours.get("time_step"))


def _files_of(config: Mapping[str, Any], path: Path) -> Iterator[_File]:
    """Yield the files that a configuration names, those of nodes first."""
    for kind in ("nodes", "edges"):
        entries, file, table = config["networks"].get(kind, []), f"{kind}_file", f"{kind[:-1]}_types_file"
        if not isinstance(entries, list) or not all(
            isinstance(entry, dict)
            and isinstance(entry.get(file), str)
            and isinstance(entry.get(table), str | None)
            for entry in entries
        ):
            raise CorruptFileError(
                f"networks.{kind} is not a list of files",
                details={"expected": f"objects with a path {file!r}, and perhaps a path {table!r}"},
            )
        for entry in entries:
            types = _place(entry[table], config, path) if entry.get(table) else None
            yield _File(kind, _place(entry[file], config, path), types)


def members(path: str | os.PathLike[str]) -> frozenset[Path]:
    """Return the files of nodes and edges that are read with a configuration; none for another file."""
    config = _circuit(path)
    try:
        return frozenset(file.path for file in _files_of(config or {"networks": {}}, Path(path)))
    except CheckpointError:
        return frozenset()  # whoever reads it says what is wrong with it


def _place(text: str, config: Mapping[str, Any], path: Path) -> Path:
    """Return a path with the variables of the manifest put in, which may use each other."""
    given = config.get("manifest", {})
    if not isinstance(given, dict) or not all(isinstance(value, str) for value in given.values()):
        raise CorruptFileError("the manifest is not an object of texts")
    if len(given) > _VARIABLES:
        raise CorruptFileError(f"the manifest has {len(given)} entries, more than {_VARIABLES}")
    manifest = {"${configdir}": ".", "$configdir": ".", **given}
    for _ in range(len(manifest) + 1):
        for name in sorted(manifest, key=len, reverse=True):
            if len(text) + text.count(name) * len(manifest[name]) > _PATH:
                raise CorruptFileError(f"a path has more than {_PATH} characters")
            text = text.replace(name, manifest[name])
    if "$" in text:
        raise CorruptFileError(
            "a variable of a path is not in the manifest", details={"found": printable(text)}
        )
    return path.parent / text


def _types(path: Path, key: str) -> dict[int, dict[str, str]]:
    """Return the rows of a table of types by their id, without fields that are empty."""
    rows = {}
    with reporting_corruption(str(path)):
        lines = csv.DictReader(io.StringIO(_text(path), newline=""), delimiter=" ", skipinitialspace=True)
        try:
            for line in lines:
                if key not in line:
                    raise CorruptFileError(f"a table of types has no column {key}")
                rows[int(line[key])] = {
                    c: text
                    for c, text in line.items()
                    if isinstance(c, str) and text not in ("", "NULL", None)
                }
        except csv.Error as error:
            raise CorruptFileError(f"a table of types is invalid: {error}") from error
    return rows
