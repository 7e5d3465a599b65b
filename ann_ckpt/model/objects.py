"""The state of one population and of one projection.

Nothing here knows HDF5 or a simulator. The values may be arrays in memory or lazy
ones (:class:`~ann_ckpt.model.arrays.Array`), so that the same state describes a
network of a hundred synapses and one that fills a disk.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, KeysView, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from ann_ckpt.errors import AttributeNotFoundError, ObjectNotFoundError, StateError, printable
from ann_ckpt.model import exchange
from ann_ckpt.model.arrays import (
    MOST_AXES,
    MOST_ENTRIES,
    Array,
    Attribute,
    Locality,
    as_array,
    is_lazy,
    permutation_fault,
)
from ann_ckpt.model.connectivity import Connectivity, checked_ranks
from ann_ckpt.model.plain import (
    check_kind,
    check_text,
    mapping,
    optional_whole,
    stored_text,
    whole,
)
from ann_ckpt.model.rows import RowAccess, take
from ann_ckpt.model.types import Exactness, Part, Resume, TypeInfo

__all__ = ["PopulationState", "ProjectionState"]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class _WithAttributes:
    """Shared by populations and projections: named parameters and variables."""

    name: str
    """Any text that UTF-8 can hold, the empty one included."""
    parameters: Mapping[str, Attribute] = field(default_factory=dict, kw_only=True)
    """What the model keeps constant while it runs. Plain values are accepted and wrapped."""
    variables: Mapping[str, Attribute] = field(default_factory=dict, kw_only=True)
    """What the model changes while it runs. Plain values are accepted and wrapped."""
    dynamics: Mapping[str, Array] = field(default_factory=dict, kw_only=True)
    """What the simulator carries from step to step besides, under its own names: queues of
    delayed values, spikes on their way, counters. Arrays of any shape; no part of the model."""
    resume: Resume | None = field(default=None, kw_only=True)
    """Whether a run resumed from here goes on exactly; None where the source does not say."""

    def __getitem__(self, attribute: str) -> Array:
        """Values of one parameter or variable.

        Raises
        ------
        AttributeNotFoundError
            If there is none of that name; also a :class:`KeyError`.
        """
        return self.attribute(attribute).values

    def __contains__(self, attribute: object) -> bool:
        return attribute in self.parameters or attribute in self.variables

    def __iter__(self) -> Iterator[str]:
        yield from self.parameters
        yield from self.variables

    def keys(self) -> KeysView[str]:
        """Names of parameters and variables."""
        return self.attributes.keys()

    def __repr__(self) -> str:
        return (
            f"<{self._title}: parameters {names_of(self.parameters)}; variables {names_of(self.variables)}>"
        )

    def attribute(self, name: str) -> Attribute:
        """Return one parameter or variable with its locality."""
        for group in (self.parameters, self.variables):
            if name in group:
                return group[name]
        raise AttributeNotFoundError.among(self._title, "attribute", name, self)

    @property
    def attributes(self) -> dict[str, Attribute]:
        """Parameters and variables together, parameters first."""
        return {**self.parameters, **self.variables}

    def in_memory(self) -> Self:
        """Return the same object with every lazy array read; itself if there is none."""
        read = self._read_arrays()
        return replace(self, **read) if read else self

    def _read_arrays(self) -> dict[str, Any]:
        """Fields of which a part was lazy, in memory."""
        read: dict[str, Any] = {}
        for group in ("parameters", "variables"):
            attributes = getattr(self, group)
            if any(is_lazy(a.values) for a in attributes.values()):
                read[group] = {n: Attribute(np.asarray(a.values), a.locality) for n, a in attributes.items()}
        return read | read_mappings(self, "dynamics")

    @property
    def _title(self) -> str:
        raise NotImplementedError

    def _locality_of(self, shape: tuple[int, ...]) -> Locality:
        """Locality of plain values of this shape."""
        raise NotImplementedError

    def _shape_of(self, locality: Locality) -> tuple[int, ...] | None:
        """First axes that ``locality`` asks for; None where any shape will do."""
        raise NotImplementedError

    def _settle_attributes(self) -> None:
        for group in ("parameters", "variables"):
            mapping(f"{self._title}: {group}", getattr(self, group))
        check_kind(f"{self._title}: resume", self.resume, Resume | None)
        twice = self.parameters.keys() & self.variables.keys()
        if twice:
            raise StateError(f"{self._title}: {sorted(twice)} are both parameters and variables")
        for group in ("parameters", "variables"):
            settled = {str(k): self._settle(k, v) for k, v in getattr(self, group).items()}
            object.__setattr__(self, group, settled)
        object.__setattr__(self, "dynamics", settled_arrays(f"{self._title}, dynamics", self.dynamics))

    def _settle(self, name: str, given: object) -> Attribute:
        check_text(f"{self._title}: the name of an attribute", name)
        try:
            if not isinstance(given, Attribute):
                values = as_array(given)
                given = Attribute(values, self._locality_of(values.shape))
        except StateError as error:
            raise StateError(
                f"{self._title}, attribute {printable(name)!r}: {error.fact}", details=error.details
            ) from error
        expected = self._shape_of(given.locality)
        if expected is not None and given.values.shape[: len(expected)] != expected:
            raise StateError(
                f"{self._title}: {given.locality} {printable(name)!r} has the shape {given.values.shape}",
                details={"expected": f"{expected}"},
            )
        return given


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class PopulationState(_WithAttributes, exchange.Tabular):
    """One population at one instant."""

    geometry: tuple[int, ...]
    """Neurons along each axis, of which there are 1 to 32; of a part, those that are here."""
    neuron_type: TypeInfo | None = field(default=None, kw_only=True)
    part: Part | None = field(default=None, kw_only=True)
    """Which neurons are here, where other processes have the others; None if all are."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", check_text("the name of a population", self.name))
        check_kind(f"{self._title}: neuron_type", self.neuron_type, TypeInfo | None)
        geometry = self.geometry if isinstance(self.geometry, Iterable) else (self.geometry,)
        object.__setattr__(
            self, "geometry", tuple(whole(f"{self._title}: a length of the geometry", n) for n in geometry)
        )
        if not 1 <= len(self.geometry) <= MOST_AXES or min(self.geometry) < 0:
            raise StateError(
                f"{self._title}: geometry {printable(self.geometry, 200)} is not 1 to {MOST_AXES} lengths of "
                "at least 0"
            )
        check_kind(f"{self._title}: part", self.part, Part | None)
        if self.part is not None and self.part.first + self.geometry[0] > self.part.whole:
            raise StateError(f"{self._title}: {self.part} cannot have {self.geometry[0]} entries")
        self._settle_attributes()

    @property
    def size(self) -> int:
        """Number of neurons; of a part, of those that are here."""
        return math.prod(self.geometry)

    @property
    def whole_size(self) -> int:
        """Number of neurons of the whole population, of which this may be a part."""
        return self.size if self.part is None else self.part.whole * math.prod(self.geometry[1:])

    def to_frame(self, attributes: Iterable[str] | None = None) -> Any:
        """Return a :class:`pandas.DataFrame` with one row per neuron; the index is its rank.

        Attributes have a column each, repeated where all neurons share a value;
        ``frame.attrs["units"]`` has their units.

        Parameters
        ----------
        attributes : iterable of str, optional
            Which ones; nothing else is read. By default all that have a value per neuron.

        Raises
        ------
        MissingExtraError
            Without pandas, which the extra ``frames`` brings.
        """
        return exchange.frame(self._columns(attributes), self._units).set_index("rank")

    def _columns(self, attributes: Iterable[str] | None) -> dict[str, NDArray[Any]]:
        """One array per column, shape ``(size,)``; refuses what does not have one value per neuron."""
        if attributes is None:
            known = {n: a for n, a in self.attributes.items() if a.locality is not Locality.UNKNOWN}
            attributes = [n for n, a in known.items() if a.values.shape in ((), self.geometry)]
        first = 0 if self.part is None else self.part.first * math.prod(self.geometry[1:])
        if self.size > MOST_ENTRIES:
            raise MemoryError  # numpy says that it is no length
        columns = {"rank": np.arange(first, first + self.size)}
        for name in attributes:
            values = np.asarray(self[name])
            if name == "rank" or values.shape not in ((), self.geometry):
                raise StateError(
                    f"{self._title}: {printable(name)!r} cannot be a column",
                    details={"found": f"shape {values.shape}", "hint": "attributes=[...] leaves it out"},
                )
            columns[name] = np.broadcast_to(values, self.geometry).reshape(-1)
        return columns

    @property
    def _units(self) -> dict[str, str]:
        declared = {} if self.neuron_type is None else self.neuron_type.attributes
        return {name: info.unit for name, info in declared.items() if info.unit and name in self}

    @property
    def _title(self) -> str:
        return f"population {printable(self.name)!r}"

    def _locality_of(self, shape: tuple[int, ...]) -> Locality:
        return Locality.LOCAL if shape else Locality.GLOBAL

    def _shape_of(self, locality: Locality) -> tuple[int, ...] | None:
        if locality is Locality.SEMIGLOBAL:
            raise StateError(f"{self._title}: populations have no semiglobal attributes")
        return {Locality.LOCAL: self.geometry, Locality.GLOBAL: ()}.get(locality)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class ProjectionState(_WithAttributes, RowAccess):
    """One projection at one instant."""

    pre: str
    """Name of the pre-synaptic population, a view's parent included."""
    post: str
    """Name of the post-synaptic population, a view's parent included."""
    target: str
    """What the synapses act on: ``exc``, ``inh``, ..."""
    connectivity: Connectivity
    delays: int | Array | None = field(default=None, kw_only=True)
    """Delay in steps: one for all synapses, or an integer per synapse, shape
    ``(n_synapses,)``, rows in order. None where the source does not know."""
    pathway_delays: Mapping[str, Array] = field(default_factory=dict, kw_only=True)
    """Delays by the name of a pathway, where synapses have several or steps are not exact: integers
    are steps, floats seconds; shape ``()`` for all synapses or ``(n_synapses,)``, rows in order."""
    order: Array | None = field(default=None, kw_only=True)
    """The simulator's own order of synapses: for each in that order its place in the rows, integers,
    shape ``(n_synapses,)``. ``values[order]`` are values as the simulator has them. None where the
    source does not say, or has no order of its own."""
    pre_size: int | None = field(default=None, kw_only=True)
    """Neurons in the pre-synaptic population, if known."""
    post_size: int | None = field(default=None, kw_only=True)
    """Neurons in the post-synaptic population, if known."""
    pre_view: NDArray[np.int32] | None = field(default=None, kw_only=True)
    """Ranks that a pre-synaptic view selects, shape ``(n,)``; None for a whole population."""
    post_view: NDArray[np.int32] | None = field(default=None, kw_only=True)
    """Ranks that a post-synaptic view selects, shape ``(n,)``; None for a whole population."""
    synapse_type: TypeInfo | None = field(default=None, kw_only=True)
    partial: bool = field(default=False, kw_only=True)
    """Whether this is a part of its dendrites: whoever loads it leaves the others as they are."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", check_text("the name of a projection", self.name))
        check_kind(f"{self._title}: partial", self.partial, bool)
        for what in ("pre", "post", "target"):
            object.__setattr__(self, what, stored_text(f"{self._title}: {what}", getattr(self, what)))
        check_kind(f"{self._title}: connectivity", self.connectivity, Connectivity)
        check_kind(f"{self._title}: synapse_type", self.synapse_type, TypeInfo | None)
        for what in ("pre_size", "post_size"):
            object.__setattr__(self, what, optional_whole(f"{self._title}: {what}", getattr(self, what)))
        self._settle_attributes()
        self._settle_delays()
        self._settle_pathways()
        self._settle_order()
        for side in ("pre", "post"):
            self._settle_view(side)
        self._check_ranks("post_ranks", self.connectivity.post_ranks, self.post_size)
        if isinstance(self.connectivity.pre_ranks, np.ndarray):
            self._check_ranks("pre_ranks", self.connectivity.pre_ranks, self.pre_size)

    def only_rows(self, post_ranks: Iterable[int]) -> ProjectionState:
        """Return some of its dendrites, in memory and in its own order; itself if those are all.

        What the simulator carries besides is left out.

        Parameters
        ----------
        post_ranks : iterable of int
            Ranks of their neurons.

        Raises
        ------
        ObjectNotFoundError
            If one of these neurons has no dendrite here.
        """
        ranks, wanted = self.connectivity.post_ranks, set(post_ranks)
        if lacking := sorted(wanted - set(ranks.tolist())):
            raise ObjectNotFoundError(
                f"{self._title} has no dendrite for neuron {printable(lacking[0], 40)}",
                details={"present": f"{self.n_rows} dendrites"},
            )
        if len(wanted) == self.n_rows:
            return self
        rows = np.flatnonzero(np.isin(ranks, list(wanted)))
        row_ptr = self.connectivity.row_ptr
        pieces = [np.arange(*row_ptr[row : row + 2]) for row in rows.tolist()]
        which = {Locality.SEMIGLOBAL: rows, Locality.LOCAL: np.concatenate([np.empty(0, np.int64), *pieces])}

        def cut(attribute: Attribute) -> Attribute:
            where = which.get(attribute.locality)
            return (
                attribute if where is None else Attribute(take(attribute.values, where), attribute.locality)
            )

        delays, pathways = self._delays_of(lambda values: take(values, which[Locality.LOCAL]))
        sizes = [piece.size for piece in pieces]
        return replace(
            self,
            connectivity=Connectivity(
                ranks[rows], np.cumsum([0, *sizes]), take(self.pre_ranks, which[Locality.LOCAL])
            ),
            parameters={name: cut(a) for name, a in self.parameters.items()},
            variables={name: cut(a) for name, a in self.variables.items()},
            delays=delays,
            pathway_delays=pathways,
            order=None,
            dynamics={},
            resume=without_rows(self.resume),
            partial=True,
        )

    def _all_rows(self) -> Connectivity:
        return self.connectivity

    def _read_arrays(self) -> dict[str, Any]:
        read = _WithAttributes._read_arrays(self)  # super() does not know the class that slots made
        if is_lazy(self.connectivity.pre_ranks):
            read["connectivity"] = replace(self.connectivity, pre_ranks=np.asarray(self.pre_ranks))
        for name in ("delays", "order"):
            if is_lazy(getattr(self, name)):
                read[name] = np.asarray(getattr(self, name))
        return read | read_mappings(self, "pathway_delays")

    @property
    def post_ranks(self) -> Array:
        """Post-synaptic neuron of each row, shape ``(n_rows,)``."""
        return self.connectivity.post_ranks

    @property
    def row_ptr(self) -> Array:
        """Start of each row and the end of the last, shape ``(n_rows + 1,)``."""
        return self.connectivity.row_ptr

    @property
    def pre_ranks(self) -> Array:
        """Pre-synaptic neuron of each synapse, shape ``(n_synapses,)``."""
        return self.connectivity.pre_ranks

    @property
    def has_only_dynamics(self) -> bool:
        """Whether it has neither synapses nor attributes: the filters of a convolution are dynamics."""
        return bool(self.dynamics) and not self.connectivity.n_rows and not self.attributes

    @property
    def single_weight(self) -> bool:
        """Whether one weight serves all synapses."""
        return "w" in self and self.attribute("w").locality is Locality.GLOBAL

    @property
    def _title(self) -> str:
        return f"projection {printable(self.name)!r}"

    def _locality_of(self, shape: tuple[int, ...]) -> Locality:
        if not shape:
            return Locality.GLOBAL
        if shape[0] == self.connectivity.n_rows != self.connectivity.n_synapses:
            return Locality.SEMIGLOBAL
        return Locality.LOCAL

    def _shape_of(self, locality: Locality) -> tuple[int, ...] | None:
        return {
            Locality.GLOBAL: (),
            Locality.SEMIGLOBAL: (self.connectivity.n_rows,),
            Locality.LOCAL: (self.connectivity.n_synapses,),
        }.get(locality)

    def _settle_delays(self) -> None:
        if self.delays is None:
            return
        try:
            delays = as_array(self.delays)
        except StateError as error:
            raise StateError(f"{self._title}, delays: {error.fact}", details=error.details) from error
        if delays.dtype.kind not in "iu" or delays.shape not in ((), (self.connectivity.n_synapses,)):
            raise StateError(
                f"{self._title}: delays are {delays.dtype} {delays.shape}",
                details={"expected": f"whole steps, one or {self.connectivity.n_synapses}"},
            )
        if isinstance(delays, np.ndarray) and delays.size and not 0 <= delays.min() <= delays.max() < 2**63:
            raise StateError(f"{self._title}: delays of {delays.min()} to {delays.max()} steps")
        object.__setattr__(self, "delays", delays if delays.shape else int(np.asarray(delays)))

    def _settle_pathways(self) -> None:
        title = f"{self._title}, pathway_delays"
        settled = settled_arrays(title, self.pathway_delays)
        for name, delays in settled.items():
            what = f"{title}: {printable(name)!r}"
            if delays.dtype.kind == "b" or delays.shape not in ((), (self.connectivity.n_synapses,)):
                raise StateError(
                    f"{what} are {delays.dtype} {delays.shape}",
                    details={"expected": f"steps or seconds, one or {self.connectivity.n_synapses} of them"},
                )
            if isinstance(delays, np.ndarray) and delays.size and not (delays >= 0).all():
                raise StateError(f"{what} go from {delays.min()} to {delays.max()}; expected none below 0")
        object.__setattr__(self, "pathway_delays", settled)

    def _settle_order(self) -> None:
        if self.order is None:
            return
        try:
            order = as_array(self.order)
        except StateError as error:
            raise StateError(f"{self._title}, order: {error.fact}", details=error.details) from error
        n = self.connectivity.n_synapses
        if order.dtype.kind not in "iu" or order.shape != (n,):
            raise StateError(
                f"{self._title}: order is {order.dtype} {order.shape}",
                details={"expected": f"a permutation of {n} synapses"},
            )
        fault = permutation_fault(order, n) if isinstance(order, np.ndarray) else None
        if fault is not None:
            raise StateError(f"{self._title}: order is not a permutation: {fault}")
        object.__setattr__(self, "order", order)

    def _settle_view(self, side: str) -> None:
        view = getattr(self, f"{side}_view")
        if view is None:
            return
        ranks = checked_ranks(view, f"{self._title}: {side}_view")
        self._check_ranks(f"{side}_view", ranks, getattr(self, f"{side}_size"))
        object.__setattr__(self, f"{side}_view", ranks.copy())

    def _check_ranks(self, what: str, ranks: NDArray[Any], size: int | None) -> None:
        if size is not None and ranks.size and not 0 <= ranks.min() <= ranks.max() < size:
            raise StateError(
                f"{self._title}: {what} go from {ranks.min()} to {ranks.max()}",
                details={"expected": f"ranks below {size}, the size of the population"},
            )


def without_rows(resume: Resume | None) -> Resume:
    """Return what is to be said of an object, or a network, that lost dendrites."""
    known = () if resume is None else resume.reasons
    return Resume(Exactness.APPROXIMATE, (*known, "dendrites that were not selected"))


def read_mappings(owner: object, *names: str) -> dict[str, Any]:
    """Mappings of arrays by name in which one was lazy, read."""
    mappings = {name: getattr(owner, name) for name in names}
    return {
        name: {key: np.asarray(array) for key, array in arrays.items()}
        for name, arrays in mappings.items()
        if any(map(is_lazy, arrays.values()))
    }


def settled_arrays(what: str, given: Mapping[str, object]) -> dict[str, Array]:
    settled = {}
    for name, values in mapping(what, given).items():
        check_text(f"{what}: a name", name)
        try:
            settled[str(name)] = as_array(values)
        except StateError as error:
            raise StateError(f"{what}: {printable(name)!r}: {error.fact}", details=error.details) from error
    return settled


def names_of(mapping: Mapping[str, Any]) -> str:
    shown = ", ".join(printable(n, 40) for n in list(mapping)[:8]) or "none"
    return shown if len(mapping) <= 8 else f"{shown}, and {len(mapping) - 8} more"
