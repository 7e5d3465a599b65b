"""A checkpoint opened for reading: everything is there, nothing is read until asked for."""

from __future__ import annotations

import html
import json
import math
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cached_property
from typing import Any, Generic, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from ann_ckpt.errors import (
    AttributeNotFoundError,
    ClosedCheckpointError,
    CorruptFileError,
    ObjectNotFoundError,
    printable,
)
from ann_ckpt.format import h5, layout
from ann_ckpt.format.digest import digest_of
from ann_ckpt.format.reader import FileReader
from ann_ckpt.format.stored import Storage
from ann_ckpt.model import (
    Array,
    Attribute,
    AttributeInfo,
    Connectivity,
    Locality,
    NetworkState,
    PopulationState,
    ProjectionState,
    RowAccess,
    TypeInfo,
    nbytes,
)
from ann_ckpt.report import human_bytes
from ann_ckpt.selection import EVERYTHING, Selection

__all__ = ["Checkpoint", "LazyArray", "LazyProjection", "Members"]

T = TypeVar("T")


class LazyArray:
    """An array in a checkpoint: slices read their bytes, ``numpy.asarray`` reads it whole.

    A whole read is held against the stored digest. A slice of a compressed array is
    protected by the checksum of each deflate stream, a slice of raw chunks is not.
    """

    def __init__(self, reader: FileReader, path: str) -> None:
        self._reader = reader
        self._path = path
        self._stored = reader.array(path)

    @property
    def path(self) -> str:
        """Where the array lies in the file."""
        return self._path

    @property
    def shape(self) -> tuple[int, ...]:
        """Length of each axis."""
        return self._stored.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the elements."""
        return self._stored.dtype

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)

    @property
    def nbytes(self) -> int:
        """Bytes of the values in memory, once read."""
        return self.size * self.dtype.itemsize

    @property
    def storage(self) -> Storage:
        """How the array lies in the file."""
        self._check_open()
        return self._stored.storage()

    @property
    def digest(self) -> str:
        """XXH3-128 of the values as they were written, 32 hex digits."""
        return self._reader.index[self._path].digest

    def __len__(self) -> int:
        if not self.shape:
            raise TypeError("a single value has no length")
        return self.shape[0]

    def __getitem__(self, key: Any) -> NDArray[Any]:
        """Read a part, with numpy's rules.

        Only the entries of the first axis between the lowest and the highest that
        ``key`` asks for are read, if it starts with an integer or a slice; anything
        else reads the whole array.
        """
        keys = key if isinstance(key, tuple) else (key,)
        first, rest = (keys[0], keys[1:]) if keys else (..., ())
        if self.shape and isinstance(first, slice):
            start, stop, step = first.indices(self.shape[0])
            wanted = range(start, stop, step)
            low, high = (min(wanted[0], wanted[-1]), max(wanted[0], wanted[-1]) + 1) if wanted else (0, 0)
            part = self._read(low, high)
            chosen: NDArray[Any] = part[(slice(None, None, step), *rest)]
            return chosen
        if self.shape and isinstance(first, (int, np.integer)) and not isinstance(first, (bool, np.bool_)):
            if not -self.shape[0] <= first < self.shape[0]:
                raise IndexError(
                    f"index {first} is out of bounds for {self.shape[0]} entries of {self._path}"
                )
            row = int(first) % self.shape[0]
            entry: NDArray[Any] = self._read(row, row + 1)[(0, *rest)]
            return entry
        anything: NDArray[Any] = np.asarray(self)[key]
        return anything

    def __array__(self, dtype: Any = None, *, copy: bool | None = None) -> NDArray[Any]:
        """Read the whole array and check its digest."""
        if copy is False:
            raise ValueError("an array in a file cannot be had without a copy")
        out = np.empty(self.shape, self.dtype)
        self.read_into(out)
        return out if dtype is None else out.astype(dtype, copy=False)

    def read_into(self, out: NDArray[Any]) -> None:
        """Read the whole array into memory that exists, and check its digest.

        Parameters
        ----------
        out : array
            C-contiguous, of this shape and type.

        Raises
        ------
        CorruptFileError
            If the values are not the ones that were written.
        """
        self._check_open()
        if out.shape != self.shape or out.dtype != self.dtype or not out.flags.c_contiguous:
            raise ValueError(
                f"out must be C-contiguous {self.dtype} {self.shape}, not {out.dtype} {out.shape}"
            )
        if self.shape:
            self._stored.read_into(out, 0)
        else:
            out[...] = self._stored.read_scalar()
        if digest_of(out) != self.digest:
            raise CorruptFileError(
                "the values differ from their digest", where=self._reader.where(self._path)
            )

    def __repr__(self) -> str:
        return f"<lazy {self.dtype} {self.shape}, {human_bytes(self.nbytes)}: {printable(self._path)}>"

    def _read(self, start: int, stop: int) -> NDArray[Any]:
        self._check_open()
        if (start, stop) == (0, self.shape[0]):
            return np.asarray(self)
        return self._stored.read(start, stop)

    def _check_open(self) -> None:
        if self._reader.closed:
            raise ClosedCheckpointError("the checkpoint is closed", where=self._reader.where(self._path))


class Members(Mapping[str, T], Generic[T]):
    """Populations or projections by name; each is opened when it is first asked for."""

    def __init__(self, noun: str, names: Iterable[str], make: Callable[[str], T]) -> None:
        self._noun = noun
        self._names = dict.fromkeys(names)
        self._make = make
        self._made: dict[str, T] = {}

    def __getitem__(self, name: str) -> T:
        """Open one.

        Raises
        ------
        ObjectNotFoundError
            If there is none of that name; also a :class:`KeyError`.
        """
        if name not in self._names:
            raise ObjectNotFoundError.among("the checkpoint", self._noun, name, self._names)
        if name not in self._made:
            self._made[name] = self._make(name)
        return self._made[name]

    def __contains__(self, name: object) -> bool:
        return name in self._names

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)

    def __repr__(self) -> str:
        shown = ", ".join(printable(n, 40) for n in list(self)[:12]) + (", ..." if len(self) > 12 else "")
        return f"<{len(self)} {self._noun}s: {shown}>"

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr><td>{html.escape(printable(repr(self[n]), 400))}</td></tr>" for n in list(self)[:50]
        )
        return f"<b>{len(self)} {self._noun}s</b><table>{rows}</table>"


class LazyProjection(RowAccess):
    """One projection in a checkpoint.

    Looking at dendrites and rows reads them only; :attr:`connectivity` reads
    ``post_ranks`` and ``row_ptr``.
    """

    def __init__(
        self, reader: FileReader, name: str, types: Callable[[Mapping[str, Any]], TypeInfo | None]
    ) -> None:
        self.name = name
        self._reader = reader
        self._path = f"{layout.PROJECTIONS}/{layout.escape(name)}"
        header = reader.attributes(self._path)
        self.pre = h5.text_of(header[layout.A_PRE])
        self.post = h5.text_of(header[layout.A_POST])
        self.target = h5.text_of(header[layout.A_TARGET])
        self.pre_size = _optional_int(header, layout.A_PRE_SIZE)
        self.post_size = _optional_int(header, layout.A_POST_SIZE)
        self.synapse_type = types(header)
        self.parameters = _attributes(reader, self._path, layout.PARAMETERS)
        self.variables = _attributes(reader, self._path, layout.VARIABLES)
        per_synapse = self._array(layout.DELAYS)
        self.delays = _optional_int(header, layout.A_DELAY) if per_synapse is None else per_synapse
        self._row_order = h5.text_of(header[layout.A_ROWS])

    @property
    def attributes(self) -> Mapping[str, Attribute]:
        """Parameters and variables together, parameters first."""
        return {**self.parameters, **self.variables}

    @cached_property
    def post_ranks(self) -> LazyArray:
        """Post-synaptic neuron of each row, int32, shape ``(n_rows,)``."""
        return LazyArray(self._reader, f"{self._path}/{layout.POST_RANKS}")

    @cached_property
    def row_ptr(self) -> LazyArray:
        """Start of each row and the end of the last, int64, shape ``(n_rows + 1,)``."""
        return LazyArray(self._reader, f"{self._path}/{layout.ROW_PTR}")

    @cached_property
    def pre_ranks(self) -> LazyArray:
        """Pre-synaptic neuron of each synapse, int32, shape ``(n_synapses,)``."""
        return LazyArray(self._reader, f"{self._path}/{layout.PRE_RANKS}")

    @cached_property
    def connectivity(self) -> Connectivity:
        """The rows, with ``pre_ranks`` still lazy."""
        return Connectivity(np.asarray(self.post_ranks), np.asarray(self.row_ptr), self.pre_ranks)

    @property
    def nbytes(self) -> int:
        """Bytes of all its values in memory, once read."""
        arrays: list[Array] = [
            self.post_ranks,
            self.row_ptr,
            self.pre_ranks,
            *(a.values for a in self.attributes.values()),
        ]
        if isinstance(self.delays, LazyArray):
            arrays.append(self.delays)
        return sum(nbytes(array) for array in arrays)

    @property
    def single_weight(self) -> bool:
        """Whether one weight serves all synapses."""
        return "w" in self and self.attributes["w"].locality is Locality.GLOBAL

    def __getitem__(self, attribute: str) -> Array:
        """Values of one parameter or variable, lazy unless it is a single one."""
        found = self.attributes
        if attribute not in found:
            raise AttributeNotFoundError.among(
                f"projection {printable(self.name)!r}",
                "attribute",
                attribute,
                found,
                where=self._reader.where(self._path),
            )
        return found[attribute].values

    def __contains__(self, attribute: object) -> bool:
        return attribute in self.parameters or attribute in self.variables

    def __iter__(self) -> Iterator[str]:
        return iter(self.attributes)

    def find_row(self, post_rank: int) -> int | None:
        """Return the number of the row that belongs to a neuron, or None."""
        if self._row_order == layout.ROWS_ALL:
            return int(post_rank) if 0 <= post_rank < self.n_rows else None
        if self._row_order == layout.ROWS_ASCENDING:
            return _bisect(self.post_ranks, post_rank)
        return super().find_row(post_rank)

    def state(self, *, lazy: bool = False) -> ProjectionState:
        """Return the projection as a state, its arrays read or still lazy."""
        connectivity = self.connectivity
        if not lazy:
            connectivity = Connectivity(
                connectivity.post_ranks, connectivity.row_ptr, np.asarray(self.pre_ranks)
            )
        delays = self.delays
        return ProjectionState(
            self.name,
            self.pre,
            self.post,
            self.target,
            connectivity,
            delays=delays if lazy or not isinstance(delays, LazyArray) else np.asarray(delays),
            parameters=_settled(self.parameters, lazy),
            variables=_settled(self.variables, lazy),
            pre_size=self.pre_size,
            post_size=self.post_size,
            pre_view=_loaded(self._array(layout.PRE_VIEW)),
            post_view=_loaded(self._array(layout.POST_VIEW)),
            synapse_type=self.synapse_type,
        )

    def __repr__(self) -> str:
        return (
            f"<projection {printable(self.name)!r} {printable(self.pre)} -> {printable(self.post)} "
            f"({printable(self.target)}): {self.n_rows} dendrites, {self.n_synapses} synapses, "
            f"{', '.join(printable(n, 40) for n in self)}>"
        )

    def _array(self, name: str) -> LazyArray | None:
        path = f"{self._path}/{name}"
        return LazyArray(self._reader, path) if path in self._reader else None


class Checkpoint:
    """One instant of a network in a file, read-only and lazy. Made by :func:`ann_ckpt.open`.

    Use it as a context manager, or call :meth:`close`.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._reader = FileReader(path)
        header = self._reader.header
        self.path = self._reader.path
        self.created: str = h5.text_of(header[layout.A_CREATED]) if layout.A_CREATED in header else ""
        major, minor = header[layout.A_VERSION]
        self.format_version = (int(major), int(minor))
        self.time_step = _optional_int(header, layout.A_TIME_STEP)
        self.dt = float(header[layout.A_DT]) if layout.A_DT in header else None
        self.seed = _optional_int(header, layout.A_SEED)
        self._types: dict[int, TypeInfo] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; arrays that were read stay, lazy ones say that they are closed."""
        self._reader.close()

    @property
    def closed(self) -> bool:
        """Whether it was closed."""
        return self._reader.closed

    @property
    def bytes_read(self) -> int:
        """Bytes of values read from the file so far."""
        return self._reader.bytes_read

    @property
    def file_size(self) -> int:
        """Size of the file in bytes."""
        return self._reader.file_size

    @property
    def time_ms(self) -> float | None:
        """Simulated time in ms, where the file knows both step and dt."""
        return None if self.time_step is None or self.dt is None else self.time_step * self.dt

    @cached_property
    def metadata(self) -> dict[str, Any]:
        """What the user kept beside the network."""
        return self._json(layout.METADATA)

    @cached_property
    def provenance(self) -> dict[str, Any]:
        """Who wrote the file, with which versions, where and when."""
        return self._json(layout.PROVENANCE)

    @cached_property
    def populations(self) -> Members[PopulationState]:
        """Populations by name; their arrays are lazy."""
        return Members("population", self._names(layout.POPULATIONS), self._population)

    @cached_property
    def projections(self) -> Members[LazyProjection]:
        """Projections by name."""
        return Members(
            "projection",
            self._names(layout.PROJECTIONS),
            lambda name: LazyProjection(self._reader, name, self._type),
        )

    @cached_property
    def constants(self) -> Mapping[str, NDArray[Any]]:
        """Network constants by name."""
        links = self._reader.index.children(layout.CONSTANTS)
        return {
            layout.unescape(k): np.asarray(LazyArray(self._reader, f"{layout.CONSTANTS}/{k}")) for k in links
        }

    @property
    def arrays(self) -> dict[str, LazyArray]:
        """Every stored dataset of values by its path in the file."""
        encodings = (layout.E_ARRAY, layout.E_GLOBALS)
        return {
            p: LazyArray(self._reader, p)
            for p, row in self._reader.index.items()
            if row.encoding in encodings
        }

    def state(self, selection: Selection = EVERYTHING, *, lazy: bool = False) -> NetworkState:
        """Return the network, or the selected part, as a :class:`~ann_ckpt.NetworkState`.

        Parameters
        ----------
        selection : Selection
            Which populations and projections; nothing else is read.
        lazy : bool
            Keep the large arrays in the file; they work until the checkpoint is closed.
        """
        populations = [self.populations[n] for n in selection.pick("populations", self.populations)]
        if not lazy:
            populations = [_read_population(p) for p in populations]
        projections = selection.pick("projections", self.projections)
        return NetworkState(
            populations={p.name: p for p in populations},
            projections={n: self.projections[n].state(lazy=lazy) for n in projections},
            constants=self.constants,
            time_step=self.time_step,
            dt=self.dt,
            seed=self.seed,
            metadata=self.metadata,
        )

    def verify(self) -> Iterator[tuple[str, int, CorruptFileError | None]]:
        """Read every stored object against its digest.

        Yields
        ------
        path, nbytes, error
            After each block, and once with the error for each damaged object.
        """
        for path in self._reader.index:
            try:
                for count in self._reader.verify(path):
                    yield path, count, None
            except CorruptFileError as error:
                yield path, 0, error

    def __repr__(self) -> str:
        if self.closed:
            return f"<closed checkpoint {printable(self.path)}>"
        return (
            f"<checkpoint {printable(self.path)} at step {self.time_step}: "
            f"{len(self.populations)} populations, {len(self.projections)} projections, "
            f"{human_bytes(self.file_size)}>"
        )

    def _names(self, group: str) -> list[str]:
        return [layout.unescape(link) for link in self._reader.index.children(group)]

    def _population(self, name: str) -> PopulationState:
        path = f"{layout.POPULATIONS}/{layout.escape(name)}"
        header = self._reader.attributes(path)
        return PopulationState(
            name,
            tuple(int(n) for n in header[layout.A_GEOMETRY]),
            parameters=_attributes(self._reader, path, layout.PARAMETERS),
            variables=_attributes(self._reader, path, layout.VARIABLES),
            neuron_type=self._type(header),
        )

    def _type(self, header: Mapping[str, Any]) -> TypeInfo | None:
        number = _optional_int(header, layout.A_TYPE)
        if number is None:
            return None
        if number not in self._types:
            self._types[number] = _type_info(self._json(f"{layout.TYPES}/{number}"))
        return self._types[number]

    def _json(self, path: str) -> dict[str, Any]:
        try:
            value = json.loads(self._reader.text(path))
        except (ValueError, RecursionError) as error:
            raise CorruptFileError("a text is not JSON", where=self._reader.where(path)) from error
        if not isinstance(value, dict):
            raise CorruptFileError("a JSON object was expected", where=self._reader.where(path))
        return value


def _attributes(reader: FileReader, path: str, group: str) -> dict[str, Attribute]:
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


def _settled(attributes: Mapping[str, Attribute], lazy: bool) -> Mapping[str, Attribute]:
    if lazy:
        return attributes
    return {n: Attribute(np.asarray(a.values), a.locality) for n, a in attributes.items()}


def _read_population(p: PopulationState) -> PopulationState:
    return PopulationState(
        p.name,
        p.geometry,
        parameters=_settled(p.parameters, False),
        variables=_settled(p.variables, False),
        neuron_type=p.neuron_type,
    )


def _loaded(array: LazyArray | None) -> NDArray[Any] | None:
    return None if array is None else np.asarray(array)


def _bisect(ascending: LazyArray, value: int) -> int | None:
    """Position of ``value``, reading one chunk's worth of entries at the end and single ones before."""
    low, high = 0, len(ascending)
    while high - low > _BISECT_STOP:
        middle = (low + high) // 2
        low, high = (middle, high) if ascending[middle] <= value else (low, middle)
    part = ascending[low:high]
    place = int(np.searchsorted(part, value))
    return low + place if place < part.size and part[place] == value else None


_BISECT_STOP = 4096


def _optional_int(header: Mapping[str, Any], name: str) -> int | None:
    return int(header[name]) if name in header else None


def _type_info(text: Mapping[str, Any]) -> TypeInfo:
    attributes = {name: AttributeInfo(**declared) for name, declared in text.get("attributes", {}).items()}
    return TypeInfo(text["name"], text.get("description", ""), text.get("texts", {}), attributes)
