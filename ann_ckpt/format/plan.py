"""Decides everything that a file will contain, from a network state; no I/O.

The plan is a list in file order. Global values are looked at here, because they are
packed together; larger values are only named and stream through the writer later.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ann_ckpt.errors import ConnectivityError, StateError, printable
from ann_ckpt.format import layout
from ann_ckpt.format.chunking import Compression, StorageChoice, choose
from ann_ckpt.format.shared.array import SharedArray
from ann_ckpt.model import (
    Array,
    Locality,
    NetworkState,
    PopulationState,
    ProjectionState,
    Recording,
    Resume,
    TypeInfo,
    in_memory,
    metadata_to_json,
    nbytes,
)
from ann_ckpt.model.arrays import is_lazy

__all__ = [
    "ArrayEntry",
    "FilePlan",
    "GroupEntry",
    "SharedEntry",
    "TextEntry",
    "plan_file",
]


_COMPOUND_BYTES = 48 << 10
"""HDF5 has room for 64 KiB of an object's description."""
_MEMBER_BYTES = 96
"""What it takes at most to describe one member of a compound, the name not counted."""


@dataclass(frozen=True, slots=True, eq=False)
class GroupEntry:
    """A group and its attributes."""

    path: str
    attributes: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    locality: ClassVar[str] = ""
    axes: ClassVar[bool] = False
    encoding: ClassVar[str] = layout.E_GROUP


@dataclass(frozen=True, slots=True)
class TextEntry:
    """A text stored as one fixed-length string."""

    path: str
    text: str
    locality: ClassVar[str] = ""
    axes: ClassVar[bool] = False
    encoding: ClassVar[str] = layout.E_TEXT


@dataclass(frozen=True, slots=True, eq=False)
class ArrayEntry:
    """A dataset of values."""

    path: str
    array: Array
    storage: StorageChoice
    locality: str = ""
    encoding: str = layout.E_ARRAY
    axes: bool = False
    """Whether each value of an attribute is an array, whose axes are the last ones."""
    last: float | None = None
    """What the values of a lazy array may be at most, and 0 at least; None if there are no such bounds."""

    def check(self, values: NDArray[Any]) -> None:
        """Raise if values that were read are out of bounds: nobody could read the file.

        Raises
        ------
        ConnectivityError
            If ranks are outside the population, or a delay is below 0.
        """
        if self.last is not None and values.size and not (values.min() >= 0 and values.max() <= self.last):
            raise ConnectivityError(
                f"{printable(self.path)} go from {values.min()} to {values.max()}",
                details={"expected": f"0 to {self.last}"},
            )


@dataclass(frozen=True, slots=True, eq=False)
class SharedEntry:
    """An array whose values are already in objects."""

    path: str
    array: SharedArray
    locality: str = ""
    axes: bool = False
    """As :attr:`ArrayEntry.axes`."""
    encoding: ClassVar[str] = layout.E_SHARED


FileEntry = GroupEntry | TextEntry | ArrayEntry | SharedEntry


@dataclass(frozen=True, slots=True)
class FilePlan:
    """Everything that a file will contain, in order; the root group is first."""

    entries: tuple[FileEntry, ...]

    @property
    def arrays(self) -> list[ArrayEntry]:
        """The datasets of values."""
        return [e for e in self.entries if isinstance(e, ArrayEntry)]

    @property
    def shared(self) -> list[SharedEntry]:
        """The arrays whose values are in objects."""
        return [e for e in self.entries if isinstance(e, SharedEntry)]

    @property
    def nbytes(self) -> int:
        """Bytes of all values before compression."""
        return sum(nbytes(e.array) for e in self.arrays)

    def __str__(self) -> str:
        return "\n".join(
            f"{e.path}  {e.array.dtype} {e.array.shape} {e.storage.kind} {e.storage.compression}"
            for e in self.arrays
        )


def plan_file(
    state: NetworkState,
    *,
    compression: Compression,
    created: str,
    provenance: Mapping[str, Any],
    tag: str | None = None,
) -> FilePlan:
    """Plan the content of a checkpoint file of ``state``.

    Parameters
    ----------
    state : NetworkState
        Eager or lazy; only global values are read.
    compression : Compression
        For large flat arrays.
    created : str
        UTC time, ISO 8601.
    provenance : mapping
        Who wrote this with what; kept as JSON.
    tag : str, optional
        What a checkpoint in a store is called.
    """
    entries = tuple(_Planner(compression).network(state, provenance))
    major, plain = layout.PLAIN_VERSION
    version = (major, max((plain, *map(_since, entries))))
    return FilePlan((GroupEntry("", _root_attributes(state, version, created, tag)), *entries))


def _since(entry: FileEntry) -> int:
    """Return the minor version that something came with; 0 for what was there from the first."""
    group, *rest = entry.path.split("/")
    if isinstance(entry, GroupEntry) and layout.A_PART in entry.attributes:
        return 6
    if isinstance(entry, GroupEntry) and (
        layout.A_PARTIAL in entry.attributes
        or np.size(entry.attributes.get(layout.A_GEOMETRY, 0)) > _AXES_TO_4
    ):
        return 5
    if group == layout.RECORDINGS:
        return 4
    return 3 if entry.axes or (group == layout.PROJECTIONS and rest[1:2] in _SINCE_3) else 0


_AXES_TO_4 = 3
"""Axes of a geometry that readers of version 1.4 take at most."""
_SINCE_3 = ([layout.ORDER], [layout.PATHWAY_DELAYS])


class _Planner:
    """Walks one state; remembers the neuron and synapse types met, which are stored once."""

    def __init__(self, compression: Compression) -> None:
        self._compression = compression
        self._types: dict[str, int] = {}

    def network(self, state: NetworkState, provenance: Mapping[str, Any]) -> Iterator[FileEntry]:
        yield TextEntry(layout.METADATA, metadata_to_json(state.metadata))
        yield TextEntry(layout.PROVENANCE, _json(provenance))
        if resume := resume_document(state):
            yield TextEntry(layout.RESUME, _json(resume))
        yield from self._dynamics("", state.dynamics)
        yield GroupEntry(layout.CONSTANTS)
        for name, value in state.constants.items():
            yield self._array(layout.CONSTANTS, layout.escape(name), value)
        yield GroupEntry(layout.POPULATIONS)
        for population in state.populations.values():
            yield from self._population(f"{layout.POPULATIONS}/{layout.escape(population.name)}", population)
        yield GroupEntry(layout.PROJECTIONS)
        for projection in state.projections.values():
            yield from self._projection(f"{layout.PROJECTIONS}/{layout.escape(projection.name)}", projection)
        if state.recordings:
            yield GroupEntry(layout.RECORDINGS)
        for recording in state.recordings.values():
            yield from self._recording(f"{layout.RECORDINGS}/{layout.escape(recording.name)}", recording)
        yield GroupEntry(layout.TYPES)
        for text, number in self._types.items():
            yield TextEntry(f"{layout.TYPES}/{number}", text)

    def _population(self, path: str, population: PopulationState) -> Iterator[FileEntry]:
        attributes = {layout.A_GEOMETRY: np.array(population.geometry, np.int64)}
        if population.part is not None:
            attributes[layout.A_PART] = np.array((population.part.first, population.part.whole), np.int64)
        yield GroupEntry(path, attributes | self._type(population.neuron_type))
        yield from self._attributes(path, population, len(population.geometry))

    def _projection(self, path: str, projection: ProjectionState) -> Iterator[FileEntry]:
        connectivity = projection.connectivity
        attributes = {
            layout.A_PRE: _text(projection.pre),
            layout.A_POST: _text(projection.post),
            layout.A_TARGET: _text(projection.target),
            layout.A_ROWS: _text(_row_order(connectivity.post_ranks)),
        }
        for name, count in (
            (layout.A_PRE_SIZE, projection.pre_size),
            (layout.A_POST_SIZE, projection.post_size),
            (layout.A_DELAY, projection.delays if isinstance(projection.delays, int) else None),
        ):
            if count is not None:
                attributes[name] = np.array(count, np.int64)
        if projection.partial:
            attributes[layout.A_PARTIAL] = np.array(1, np.int64)
        yield GroupEntry(path, attributes | self._type(projection.synapse_type))
        yield self._array(path, layout.POST_RANKS, connectivity.post_ranks)
        yield self._array(path, layout.ROW_PTR, connectivity.row_ptr)
        last = 2**31 - 1 if projection.pre_size is None else projection.pre_size - 1
        yield self._bounded(path, layout.PRE_RANKS, connectivity.pre_ranks, last)
        if projection.delays is not None and not isinstance(projection.delays, int):
            yield self._bounded(path, layout.DELAYS, projection.delays, 2**63 - 1)
        if projection.pathway_delays:
            pathways = f"{path}/{layout.PATHWAY_DELAYS}"
            yield GroupEntry(pathways)
            for name, delays in projection.pathway_delays.items():
                yield self._bounded(pathways, layout.escape(name), delays, math.inf)
        if projection.order is not None:
            yield self._array(path, layout.ORDER, projection.order)
        for name, view in ((layout.PRE_VIEW, projection.pre_view), (layout.POST_VIEW, projection.post_view)):
            if view is not None:
                yield self._array(path, name, view)
        yield from self._attributes(path, projection, 1)

    def _attributes(
        self, path: str, owner: PopulationState | ProjectionState, axes: int
    ) -> Iterator[FileEntry]:
        """Plan parameters and variables; values per neuron or synapse have so many ``axes`` at least."""
        for group, attributes in ((layout.PARAMETERS, owner.parameters), (layout.VARIABLES, owner.variables)):
            single = packable({n: a.values for n, a in attributes.items() if a.values.shape == ()})
            others = {n: a for n, a in attributes.items() if n not in single}
            if single:
                yield self._packed(f"{path}/{layout.GLOBALS[group]}", single)
            if others:
                yield GroupEntry(f"{path}/{group}")
            for name, attribute in others.items():
                entry = self._array(
                    f"{path}/{group}", layout.escape(name), attribute.values, attribute.locality
                )
                own = _AXES.get(attribute.locality, axes)
                yield replace(entry, axes=True) if len(attribute.values.shape) > own else entry
        yield from self._dynamics(f"{path}/", owner.dynamics)

    def _dynamics(self, prefix: str, dynamics: Mapping[str, Array]) -> Iterator[FileEntry]:
        single = packable({n: values for n, values in dynamics.items() if values.shape == ()})
        if single:
            yield self._packed(f"{prefix}{layout.GLOBALS[layout.DYNAMICS]}", single)
        if len(single) < len(dynamics):
            yield GroupEntry(f"{prefix}{layout.DYNAMICS}")
        for name, values in dynamics.items():
            if name not in single:
                yield self._array(f"{prefix}{layout.DYNAMICS}", layout.escape(name), values)

    def _recording(self, path: str, recording: Recording) -> Iterator[FileEntry]:
        yield GroupEntry(path)
        about = {name: getattr(recording, name) for name in ("of", "settings", "carried")}
        yield TextEntry(f"{path}/{layout.ABOUT}", metadata_to_json(about))
        if recording.ranks is not None:
            yield self._array(path, layout.RANKS, recording.ranks)
        yield GroupEntry(f"{path}/{layout.SERIES}")
        for variable, series in recording.series.items():
            place = f"{path}/{layout.SERIES}/{layout.escape(variable)}"
            yield GroupEntry(place)
            for name, values in series.arrays:  # TIMES, RANKS, VALUES are called as the fields are
                yield self._array(place, name, values)

    def _packed(self, path: str, single: Mapping[str, Array]) -> ArrayEntry:
        packed = pack(single)
        storage = choose((), packed.dtype.itemsize, self._compression)
        return ArrayEntry(path, packed, storage, Locality.GLOBAL, layout.E_GLOBALS)

    def _array(self, path: str, link: str, values: Array, locality: str = "") -> ArrayEntry:
        storage = choose(values.shape, values.dtype.itemsize, self._compression)
        return ArrayEntry(f"{path}/{link}", values, storage, locality)

    def _bounded(self, path: str, link: str, values: Array, last: float) -> ArrayEntry:
        """Plan an array whose values have bounds; in memory, they were looked at when the state was made."""
        entry = self._array(path, link, values)
        return replace(entry, last=last) if is_lazy(values) else entry

    def _type(self, info: TypeInfo | None) -> dict[str, NDArray[Any]]:
        if info is None:
            return {}
        number = self._types.setdefault(type_text(info), len(self._types))
        return {layout.A_TYPE: np.array(number, np.int64)}


_AXES: Mapping[Locality, float] = {Locality.GLOBAL: 0, Locality.UNKNOWN: math.inf}
"""Axes of attributes that do not have those of their object."""


def packable(values: Mapping[str, Array]) -> dict[str, Array]:
    """Return as many of some single values, from the first on, as one compound type can describe."""
    chosen = {}
    room = _COMPOUND_BYTES
    for name, value in values.items():
        room -= len(layout.escape(name).encode()) + _MEMBER_BYTES
        if room < 0:
            break
        chosen[name] = value
    return chosen


def pack(values: Mapping[str, Array]) -> NDArray[np.void]:
    """Return single values side by side as one structured value of shape ``()``."""
    single = {layout.escape(name): in_memory(value) for name, value in values.items()}
    packed = np.zeros((), [(name, value.dtype.newbyteorder("<")) for name, value in single.items()])
    for name, value in single.items():
        packed[name] = value
    return packed


def type_text(info: TypeInfo) -> str:
    """Return a neuron or synapse type as JSON."""
    attributes = {
        name: {
            key: value
            for key in ("ctype", "description", "unit", "minimum", "maximum")
            if (value := getattr(a, key)) not in ("", None)
        }
        for name, a in info.attributes.items()
    }
    return _json(
        {
            "name": info.name,
            "description": info.description,
            "texts": dict(info.texts),
            "attributes": attributes,
        }
    )


def resume_document(state: NetworkState) -> dict[str, Any]:
    """Return the exactness of a state as JSON; empty if nothing is known."""

    def entry(resume: Resume) -> dict[str, Any]:
        return {"exactness": str(resume.exactness), "reasons": list(resume.reasons)}

    document: dict[str, Any] = {} if state.resume is None else {layout.RESUME_NETWORK: entry(state.resume)}
    for group in (layout.POPULATIONS, layout.PROJECTIONS):
        known = {n: entry(o.resume) for n, o in getattr(state, group).items() if o.resume is not None}
        if known:
            document[group] = known
    return document


def _root_attributes(
    state: NetworkState, version: tuple[int, int], created: str, tag: str | None
) -> dict[str, NDArray[Any]]:
    attributes: dict[str, NDArray[Any]] = {
        layout.A_FORMAT: _text(layout.FORMAT),
        layout.A_VERSION: np.array(version, np.int32),
        layout.A_CREATED: _text(created),
    }
    if state.time_step is not None:
        attributes[layout.A_TIME_STEP] = np.array(state.time_step, np.int64)
    if state.dt is not None:
        attributes[layout.A_DT] = np.array(state.dt, np.float64)
    for name, seed in ((layout.A_SEED, state.seed), (layout.A_RESEEDED, state.reseeded)):
        if seed is not None:
            attributes[name] = np.array(seed, np.int64)
    if tag is not None:
        attributes[layout.A_TAG] = _text(tag)
    return attributes


def _row_order(post_ranks: NDArray[np.int32]) -> str:
    """How a reader finds the row of a post rank: at once, by bisection, or by looking at all."""
    if np.array_equal(post_ranks, np.arange(post_ranks.size)):
        return layout.ROWS_ALL
    return layout.ROWS_ASCENDING if np.all(np.diff(post_ranks) > 0) else layout.ROWS_ANY


def _text(text: str) -> NDArray[np.bytes_]:
    if text.endswith("\0") or len(text.encode()) > layout.NAME_BYTES:
        raise StateError(
            f"the text {printable(text, 40)!r} cannot be stored",
            details={"expected": f"at most {layout.NAME_BYTES} bytes of UTF-8, without a trailing NUL"},
        )
    return np.array(text.encode() or b"\0")


def _json(value: Any) -> str:
    return json.dumps(value if isinstance(value, dict) else dict(value), ensure_ascii=False, allow_nan=False)
