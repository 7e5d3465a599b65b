"""An open checkpoint file."""

from __future__ import annotations

import operator
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from ann_ckpt.arguments import check_flags
from ann_ckpt.errors import CorruptFileError, ObjectNotFoundError, printable
from ann_ckpt.format import h5, layout
from ann_ckpt.format.bytes import Bytes
from ann_ckpt.format.reader import FileReader
from ann_ckpt.format.shared.array import BlockLocation, SharedArray
from ann_ckpt.lazy import notebook
from ann_ckpt.lazy.array import LazyArray
from ann_ckpt.lazy.attributes import (
    arrays_in_memory,
    arrays_of,
    dynamics_of,
    resume_from,
    resume_of,
    type_info,
)
from ann_ckpt.lazy.bounds import Bounds
from ann_ckpt.lazy.population import LazyPopulation
from ann_ckpt.lazy.projection import LazyProjection
from ann_ckpt.model import Array, NetworkState, Part, Recording, Resume, Series, TypeInfo, metadata_from_json
from ann_ckpt.model.exchange import optional
from ann_ckpt.model.plain import strict_json
from ann_ckpt.model.state import recordings_of
from ann_ckpt.report import human_bytes
from ann_ckpt.selection import EVERYTHING, Selection

if TYPE_CHECKING:
    import xarray

__all__ = [
    "Checkpoint",
    "LazyObjects",
]

T = TypeVar("T")

# Which characters are printable, versions of Python disagree about; those that matter, they do not.
_TAG = re.compile(r"[^@\x00-\x1f\x7f-\x9f\u2028\u2029]{1,100}")
_NUMBER = re.compile(r"\d+(-\d+)?")


class LazyObjects(Mapping[str, T], Generic[T]):
    """Populations or projections by name; each is opened on first access."""

    def __init__(self, noun: str, names: Iterable[str], make: Callable[[str], T], owner: Checkpoint) -> None:
        self._noun = noun
        self._owner = owner
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

    def __reduce__(self) -> tuple[Any, ...]:
        return getattr, (self._owner, f"{self._noun}s")

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
        return notebook.of_objects(self._noun, self)


class Checkpoint:
    """One instant of a network in a file, read-only and lazy. Made by :func:`ann_ckpt.open`.

    Use it as a context manager, or call :meth:`close`.

    Parameters
    ----------
    path : path-like
        The file.
    file : Bytes, optional
        Its bytes, if they do not lie on a disk; closed with the checkpoint.
    """

    def __init__(self, path: str | os.PathLike[str], file: Bytes | None = None) -> None:
        self._reader = FileReader(path, file)
        self.path = self._reader.path
        self._types: dict[int, TypeInfo] = {}
        try:
            with self._reader.reporting_corruption(""):
                self._take_header(self._reader.header)
        except BaseException:
            self._reader.close()
            raise

    def _take_header(self, header: Mapping[str, Any]) -> None:
        major, minor = h5.integers(header, layout.A_VERSION)
        self.format_version = (major, minor)
        self.created = h5.text_of(header[layout.A_CREATED]) if layout.A_CREATED in header else ""
        self.time_step = h5.optional_int(header, layout.A_TIME_STEP)
        self.dt = _step_length(header)
        self.seed = h5.optional_int(header, layout.A_SEED)
        self.reseeded = h5.optional_int(header, layout.A_RESEEDED)
        self.tag = _tag(header)

    def __reduce__(self) -> tuple[Any, ...]:
        return _reopened, self._reader.identity

    def __dask_tokenize__(self) -> tuple[str, ...]:
        return self._reader.identity

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; arrays in memory stay valid, lazy ones raise."""
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
    def file_bytes(self) -> int:
        """Size of the file in bytes."""
        return self._reader.file_bytes

    @property
    def parts_checked(self) -> bool:
        """Whether partial reads of large arrays are verified, as from format 1.2 on."""
        return self.format_version >= (1, 2)

    @property
    def time_ms(self) -> float | None:
        """Simulated time in ms, where the file knows both step and dt."""
        return None if self.time_step is None or self.dt is None else self.time_step * self.dt

    @property
    def objects(self) -> dict[str, int]:
        """Files outside this one that hold its values, by name, with their sizes in bytes.

        There are none unless the checkpoint lies in a store.
        """
        return {item.name: item.size for item in self._reader.objects}

    def check_place(self) -> None:
        """Raise if the file has shared arrays and is not in a store.

        Raises
        ------
        OutsideStoreError
            If the file was taken out of its store.
        """
        self._reader.check_place()

    def _layout(self, path: str) -> SharedArray:
        """Return the blocks and pieces of an array whose values lie in other files of a store.

        Parameters
        ----------
        path : str
            As :attr:`arrays` has it.
        """
        return self._reader.layout_of(path)

    @cached_property
    def metadata(self) -> dict[str, Any]:
        """Metadata given by the user at saving."""
        with self._reader.reporting_corruption(layout.METADATA):
            return metadata_from_json(self._json(layout.METADATA))

    @cached_property
    def provenance(self) -> dict[str, Any]:
        """Who wrote the file, with which versions, where and when."""
        return self._json(layout.PROVENANCE)

    @cached_property
    def populations(self) -> LazyObjects[LazyPopulation]:
        """Populations by name."""
        return LazyObjects("population", self._names(layout.POPULATIONS), self._population, self)

    @cached_property
    def projections(self) -> LazyObjects[LazyProjection]:
        """Projections by name."""
        return LazyObjects(
            "projection",
            self._names(layout.PROJECTIONS),
            lambda name: LazyProjection(
                self._reader,
                name,
                self._type,
                lambda: self._resume_of(layout.PROJECTIONS, name),
                pickled=lambda: (operator.getitem, (self.projections, name)),
            ),
            self,
        )

    @cached_property
    def dynamics(self) -> Mapping[str, Array]:
        """Dynamics of the whole network, by name."""
        with self._reader.reporting_corruption(layout.DYNAMICS):
            return dynamics_of(self._reader, "")

    @cached_property
    def resume(self) -> Resume | None:
        """Exactness of the network's own dynamics; None if the file does not record it."""
        with self._reader.reporting_corruption(layout.RESUME):
            entry = self._resume.get(layout.RESUME_NETWORK)
            return None if entry is None else resume_from(entry)

    @cached_property
    def constants(self) -> Mapping[str, NDArray[Any]]:
        """Network constants by name."""
        names = dict(
            zip(self._names(layout.CONSTANTS), self._reader.index.children(layout.CONSTANTS), strict=True)
        )
        return {n: np.asarray(LazyArray(self._reader, f"{layout.CONSTANTS}/{k}")) for n, k in names.items()}

    @cached_property
    def recordings(self) -> LazyObjects[Recording]:
        """What monitors recorded, by their names; the arrays of each series are read when they are used."""
        return LazyObjects("recording", self._names(layout.RECORDINGS), self._recording, self)

    @property
    def arrays(self) -> dict[str, LazyArray]:
        """Every stored dataset of values by its path in the file."""
        return {
            p: LazyArray(self._reader, p)
            for p, row in self._reader.index.items()
            if row.encoding in layout.E_VALUES
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
        check_flags(lazy=lazy)
        with self._reader.reporting_corruption(""):
            populations = selection.pick("populations", self.populations)
            projections = selection.pick("projections", self.projections)
            return NetworkState(
                populations={n: self.populations[n].state(lazy=lazy) for n in populations},
                projections={n: self.projections[n].state(lazy=lazy) for n in projections},
                recordings={
                    n: r if lazy else r.in_memory()
                    for n, r in recordings_of(self.recordings, populations, projections).items()
                },
                constants=self.constants,
                time_step=self.time_step,
                dt=self.dt,
                seed=self.seed,
                metadata=self.metadata,
                dynamics=self.dynamics if lazy else arrays_in_memory(self.dynamics),
                resume=self.resume,
                reseeded=self.reseeded,
            )

    def to_xarray(self) -> xarray.DataTree:
        """Return the checkpoint as a tree: constants at the root, a node for each population and projection.

        Names of nodes are ``populations/NAME`` and ``projections/NAME``, a ``/`` in a name as ``%2F``.
        Values are read when they are computed with; the tree works until the checkpoint is closed.

        Raises
        ------
        MissingExtraError
            Without xarray, which the extra ``xarray`` brings.
        """
        optional("xarray", "xarray")
        from ann_ckpt.lazy.xarray import network_tree

        with self._reader.reporting_corruption(""):
            return network_tree(self)

    def verify(self) -> Iterator[tuple[str, int, CorruptFileError | None]]:
        """Read every stored object against its digest.

        Yields
        ------
        path, nbytes, error
            After each block, and once with the error for each damaged object.
        """
        return self._verify(None)

    def _verify(self, seen: set[BlockLocation] | None) -> Iterator[tuple[str, int, CorruptFileError | None]]:
        """Verify, and pass over the blocks that were found intact in other checkpoints of the store."""
        intact, bounds = True, Bounds()
        for path in self._reader.index:
            try:
                for count in self._reader.verify(path, seen, bounds.look):
                    yield path, count, None
                yield path, 0, None
            except CorruptFileError as error:
                intact = False
                yield path, 0, error
        if intact:
            yield from self._misfits(bounds)

    def _misfits(self, bounds: Bounds) -> Iterator[tuple[str, int, CorruptFileError]]:
        """Yield objects of which every value is what was written, but not what makes a network."""
        looks: dict[str, Callable[[Any], object]] = {
            layout.POPULATIONS: lambda population: population.state(lazy=True),
            layout.PROJECTIONS: lambda projection: projection._check(bounds),
            layout.RECORDINGS: lambda recording: self._check_times(recording, bounds),
        }
        parts: list[tuple[str, Callable[[], object]]] = [
            ("", lambda: self._reader.attributes("")),
            (layout.METADATA, lambda: self.metadata),
            (layout.PROVENANCE, lambda: layout.PROVENANCE in self._reader and self.provenance),
            (layout.RESUME, lambda: self.resume),
        ]
        misfits = False
        for group, look in looks.items():
            try:
                names = self._names(group)
            except CorruptFileError as error:
                misfits = True
                yield group, 0, error
                continue
            parts += [
                (f"{group}/{layout.escape(name)}", partial(self._look_at, group, name, look))
                for name in names
            ]
        for path, look_at in parts:
            try:
                look_at()
            except CorruptFileError as error:
                misfits = True
                yield path, 0, error
        if misfits:
            return
        try:  # what no part has by itself: constants, dynamics, and whether the parts fit together
            self.state(lazy=True)
        except CorruptFileError as error:
            yield "", 0, error

    def _look_at(self, group: str, name: str, look: Callable[[Any], object]) -> None:
        look(getattr(self, group)[name])

    def _check_times(self, recording: Recording, bounds: Bounds) -> None:
        """Raise if the times of a series fall."""
        path = f"{layout.RECORDINGS}/{layout.escape(recording.name)}"
        for variable in recording:
            if bounds.falls(f"{path}/{layout.SERIES}/{layout.escape(variable)}/{layout.TIMES}"):
                raise CorruptFileError(
                    f"the times of {printable(variable)!r} decrease", where=self._reader.where(path)
                )

    def __repr__(self) -> str:
        if self.closed:
            return f"<closed checkpoint {printable(self.path)}>"
        return (
            f"<checkpoint {printable(self.path)} at step {self.time_step}: "
            f"{len(self.populations)} populations, {len(self.projections)} projections, "
            f"{human_bytes(self.file_bytes + sum(self.objects.values()))}>"
        )

    def _repr_html_(self) -> str:
        return notebook.of_checkpoint(self)

    def _names(self, group: str) -> list[str]:
        with self._reader.reporting_corruption(group):
            return [layout.unescape(link) for link in self._reader.index.children(group)]

    def _population(self, name: str) -> LazyPopulation:
        path = f"{layout.POPULATIONS}/{layout.escape(name)}"
        header = self._reader.attributes(path)
        with self._reader.reporting_corruption(path):
            return LazyPopulation.opened(
                self._reader,
                name,
                tuple(h5.integers(header, layout.A_GEOMETRY)),
                resume=self._resume_of(layout.POPULATIONS, name),
                neuron_type=self._type(header),
                part=_part(header),
                pickled=lambda: (operator.getitem, (self.populations, name)),
            )

    def _recording(self, name: str) -> Recording:
        path = f"{layout.RECORDINGS}/{layout.escape(name)}"
        self._reader.attributes(path)
        about = metadata_from_json(self._json(f"{path}/{layout.ABOUT}"))
        with self._reader.reporting_corruption(path):
            ranks = f"{path}/{layout.RANKS}"
            group = f"{path}/{layout.SERIES}"
            links = self._reader.index.children(group)
            return Recording(
                name,
                of=about["of"],
                settings=about["settings"],
                carried=about["carried"],
                ranks=np.asarray(LazyArray(self._reader, ranks)) if ranks in self._reader else None,
                series={layout.unescape(link): self._series(f"{group}/{link}") for link in links},
            )

    def _series(self, path: str) -> Series:
        arrays = arrays_of(self._reader, path)
        return Series(**{n: arrays[n] for n in (layout.TIMES, layout.RANKS, layout.VALUES) if n in arrays})

    @cached_property
    def _resume(self) -> dict[str, Any]:
        return self._json(layout.RESUME) if layout.RESUME in self._reader else {}

    def _resume_of(self, group: str, name: str) -> Resume | None:
        with self._reader.reporting_corruption(layout.RESUME):
            return resume_of(self._resume, group, name)

    def _type(self, header: Mapping[str, Any]) -> TypeInfo | None:
        number = h5.optional_int(header, layout.A_TYPE)
        if number is None:
            return None
        if number not in self._types:
            path = f"{layout.TYPES}/{number}"
            with self._reader.reporting_corruption(path):
                self._types[number] = type_info(self._json(path))
        return self._types[number]

    def _json(self, path: str) -> dict[str, Any]:
        with self._reader.reporting_corruption(path):
            value = strict_json(self._reader.text(path))
            if not isinstance(value, dict):
                raise TypeError("expected a JSON object")
            return value


def _part(header: Mapping[str, Any]) -> Part | None:
    """Which neurons of a population are in the file; None for all of them."""
    if layout.A_PART not in header:
        return None
    first, whole = h5.integers(header, layout.A_PART)
    return Part(first, whole)


def _step_length(header: Mapping[str, Any]) -> float | None:
    """Length of a step in ms, which is a float; None where it is not known."""
    if layout.A_DT not in header:
        return None
    value = header[layout.A_DT]
    if value.dtype.kind != "f" or value.shape != ():
        raise ValueError(f"{layout.A_DT}: expected one float")
    return float(value)


def _tag(header: Mapping[str, Any]) -> str | None:
    """What the checkpoint is called in a store; None where it is not called anything."""
    if layout.A_TAG not in header:
        return None
    tag = h5.text_of(header[layout.A_TAG])
    if not _TAG.fullmatch(tag) or _NUMBER.fullmatch(tag):
        raise ValueError(f"{printable(tag)!r} cannot be a tag")
    return tag


def _reopened(path: str, digest: str) -> Checkpoint:
    """Open a checkpoint that was pickled; it has a file of its own, for whoever gets it closes it."""
    checkpoint = Checkpoint(path)
    checkpoint._reader.expecting(digest)
    return checkpoint
