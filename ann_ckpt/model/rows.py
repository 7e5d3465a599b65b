"""Row access to a projection: dendrites, row ranges, sparse matrices.

Written once against :class:`~ann_ckpt.model.arrays.Array`, so that a projection in
memory and one in a file answer alike, and the one in the file reads only the rows
that are asked for.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterable, Iterator, KeysView, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ann_ckpt.errors import (
    AttributeNotFoundError,
    ConnectivityError,
    ObjectNotFoundError,
    OptionError,
    StateError,
    printable,
)
from ann_ckpt.model import exchange
from ann_ckpt.model.arrays import MOST_ENTRIES, Array, Attribute, Locality, blocks, equal_numbers
from ann_ckpt.model.connectivity import Connectivity
from ann_ckpt.report import count

if TYPE_CHECKING:
    from scipy.sparse import coo_array, csr_array

__all__ = ["Dendrite", "RowAccess", "Synapses", "has_column"]


@dataclass(frozen=True, slots=True, eq=False)
class Synapses:
    """Some synapses of one projection, with every attribute.

    A mapping of attributes, as ``dict(...)`` and ``in`` take it; its length is the number of synapses.
    """

    pre_ranks: NDArray[np.int32]
    """Shape ``(n,)``."""
    post_ranks: NDArray[np.int32]
    """Shape ``(n,)``."""
    delays: NDArray[Any] | int | None
    """In steps: shape ``(n,)``, one for all, or None if not known."""
    pathway_delays: Mapping[str, NDArray[Any]] = field(default_factory=dict, kw_only=True)
    """By the name of a pathway, integers in steps, floats in seconds: shape ``(n,)``, or one for all."""
    values: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    """Attributes by name, shape ``(n,)`` and the axes of one value, or one value where all synapses
    here share it."""

    def __getitem__(self, attribute: str) -> NDArray[Any]:
        """Values of one attribute.

        Raises
        ------
        AttributeNotFoundError
            If there is none of that name.
        """
        if attribute not in self.values:
            raise AttributeNotFoundError.among(self._called, "attribute", attribute, self.values)
        return self.values[attribute]

    def __contains__(self, attribute: object) -> bool:
        return attribute in self.values

    def __iter__(self) -> Iterator[str]:
        return iter(self.values)

    def keys(self) -> KeysView[str]:
        """Names of the attributes."""
        return self.values.keys()

    def __len__(self) -> int:
        return int(self.pre_ranks.size)

    def __repr__(self) -> str:
        return f"<{self._contents()}>"

    @property
    def _called(self) -> str:
        return "the table of synapses"

    def _contents(self) -> str:
        """Say how many synapses there are, and which attributes."""
        return ", ".join([count(len(self), "synapse"), *(printable(name, 40) for name in self.values)])


@dataclass(frozen=True, slots=True, eq=False)
class Dendrite(Synapses):
    """All synapses onto one post-synaptic neuron."""

    post_rank: int = field(kw_only=True)

    @property
    def _called(self) -> str:
        return f"the dendrite of neuron {self.post_rank}"

    def __repr__(self) -> str:
        return f"<Dendrite of neuron {self.post_rank}: {self._contents()}>"


class RowAccess(exchange.Tabular):
    """Views of one projection by rows; the owner supplies the arrays.

    It also has ``name``, ``pre``, ``post``, ``delays``, ``pre_size``, ``post_size`` and ``synapse_type``.
    """

    __slots__ = ()

    name: str
    delays: int | Array | None
    pre_size: int | None
    post_size: int | None
    pre: str
    post: str
    synapse_type: Any

    @property
    def attributes(self) -> Mapping[str, Attribute]:
        """Parameters and variables together, parameters first."""
        raise NotImplementedError

    @property
    def pathway_delays(self) -> Mapping[str, Array]:
        """Delays by the name of a pathway: one, or one per synapse."""
        raise NotImplementedError

    def _all_rows(self) -> Connectivity:
        """All rows, checked; ``pre_ranks`` may be lazy."""
        raise NotImplementedError

    @property
    def post_ranks(self) -> Array:
        """Post-synaptic neuron of each row, shape ``(n_rows,)``."""
        raise NotImplementedError

    @property
    def row_ptr(self) -> Array:
        """Start of each row and the end of the last, shape ``(n_rows + 1,)``."""
        raise NotImplementedError

    @property
    def pre_ranks(self) -> Array:
        """Pre-synaptic neuron of each synapse, shape ``(n_synapses,)``."""
        raise NotImplementedError

    @property
    def n_rows(self) -> int:
        """Number of dendrites."""
        return self.post_ranks.shape[0]

    @property
    def n_synapses(self) -> int:
        """Number of synapses."""
        return self.pre_ranks.shape[0]

    def dendrite(self, post_rank: int) -> Dendrite:
        """Return all synapses onto one neuron, with every attribute.

        Parameters
        ----------
        post_rank : int
            Rank of the post-synaptic neuron (not a row number).

        Raises
        ------
        ObjectNotFoundError
            If the projection has no dendrite there; also a :class:`KeyError`.
        OptionError
            If the rank is no integer.
        """
        post_rank = _integer("post_rank", post_rank)
        row = self.find_row(post_rank)
        if row is None:
            raise ObjectNotFoundError(
                f"projection {self.name!r} has no dendrite for neuron {post_rank}",
                details={"stored": f"{self.n_rows} dendrites"},
            )
        slab = self._slab(row, row + 1)
        values = {name: value[0] if name in slab.per_row else value for name, value in slab.values.items()}
        post = np.full(slab.pre_ranks.size, post_rank, np.int32)
        return Dendrite(
            slab.pre_ranks,
            post,
            slab.delays,
            values,
            pathway_delays=slab.pathway_delays,
            post_rank=int(post_rank),
        )

    def rows(self, low: int, high: int) -> Synapses:
        """Return all synapses of rows ``[low, high)``, rows in order.

        Parameters
        ----------
        low, high : int
            Row numbers as in a slice, not post ranks; semiglobal values are repeated
            for each synapse of their row.

        Raises
        ------
        OptionError
            If one is no integer.
        """
        low, high = _integer("low", low), _integer("high", high)
        low, high, _ = slice(low, high).indices(self.n_rows)
        slab = self._slab(low, max(low, high))
        sizes = np.diff(slab.pointers)
        values = {
            name: np.repeat(value, sizes, axis=0) if name in slab.per_row else value
            for name, value in slab.values.items()
        }
        post = np.repeat(np.asarray(self.post_ranks[low : max(low, high)]), sizes)
        return Synapses(slab.pre_ranks, post, slab.delays, values, pathway_delays=slab.pathway_delays)

    def find_row(self, post_rank: int) -> int | None:
        """Return the number of the row that belongs to a neuron, or None."""
        found = np.flatnonzero(np.asarray(self.post_ranks) == post_rank)
        return int(found[0]) if found.size else None

    def incoming(self, post_rank: int) -> Synapses:
        """Synapses onto one neuron; none where it has no dendrite.

        Raises
        ------
        ObjectNotFoundError
            If the post-synaptic population has no such neuron; also a :class:`KeyError`.
        OptionError
            If the rank is no integer.
        """
        post_rank = _neuron("post_rank", post_rank, self.post, self.post_size)
        row = self.find_row(post_rank)
        return self.rows(0, 0) if row is None else self.rows(row, row + 1)

    def outgoing(self, pre_rank: int) -> Synapses:
        """Synapses from one neuron, in row order.

        The rows are ordered by post-synaptic neuron, so this looks at every pre rank
        once, block by block; of the other arrays it reads only the blocks in which the
        neuron stands.

        Raises
        ------
        ObjectNotFoundError
            If the pre-synaptic population has no such neuron; also a :class:`KeyError`.
        OptionError
            If the rank is no integer.
        """
        pre_rank = _neuron("pre_rank", pre_rank, self.pre, self.pre_size)
        hits = [start + np.flatnonzero(block == pre_rank) for start, block in blocks(self.pre_ranks)]
        where = np.concatenate(hits) if hits else np.empty(0, np.int64)
        rows = np.searchsorted(self._all_rows().row_ptr, where, side="right") - 1
        values = {}
        for name, attribute in self.attributes.items():
            if attribute.locality is Locality.GLOBAL:
                values[name] = np.asarray(attribute.values)
            elif attribute.locality is not Locality.UNKNOWN:
                values[name] = take(
                    attribute.values, rows if attribute.locality is Locality.SEMIGLOBAL else where
                )
        pre = np.full(where.size, pre_rank, np.int32)
        delays, pathways = self._delays_of(lambda delays: take(delays, where))
        return Synapses(pre, take(self.post_ranks, rows), delays, values, pathway_delays=pathways)

    def _delays_of(
        self, pick: Callable[[Array], NDArray[Any]]
    ) -> tuple[NDArray[Any] | int | None, dict[str, NDArray[Any]]]:
        """Return the delays and those of pathways, picked from the arrays that have one per synapse."""
        delays = self.delays
        return (
            delays if delays is None or isinstance(delays, int) else pick(delays),
            {n: pick(d) if d.shape else np.asarray(d) for n, d in self.pathway_delays.items()},
        )

    def tocsr(self, attribute: str = "w") -> csr_array:
        """Return one attribute as a sparse matrix, shape ``(n_post, n_pre)``.

        A synapse of value 0 stays an explicit entry. Two synapses between the same
        neurons are two entries, which scipy adds up where it has to.
        """
        from scipy.sparse import csr_array

        rows = self._all_rows()
        post, pointers = rows.post_ranks, rows.row_ptr
        columns = np.asarray(self.pre_ranks)
        data = self._per_synapse(attribute, rows)
        if np.any(np.diff(post) < 0):
            order = np.argsort(post, kind="stable")
            sizes = np.diff(pointers)[order]
            starts = np.concatenate(([0], np.cumsum(sizes)))
            pick = np.arange(columns.size) + np.repeat(pointers[:-1][order] - starts[:-1], sizes)
            post, columns, data, pointers = post[order], columns[pick], data[pick], starts
        # scipy's own code reads and writes wherever an index leads.
        shape = (self._size(self.post_size, post), self._size(self.pre_size, columns))
        indptr = np.zeros(shape[0] + 1, np.int64)
        indptr[post + 1] = np.diff(pointers)
        return csr_array((data, columns, np.cumsum(indptr)), shape=shape)

    def dense(self, attribute: str = "w", *, fill: float = 0.0) -> NDArray[Any]:
        """Return one attribute as a full matrix, shape ``(n_post, n_pre)``.

        Parameters
        ----------
        attribute : str
            Parameter or variable.
        fill : float
            Where there is no synapse. Of several synapses between the same neurons the
            last one counts. Integers and bools keep their type where it has this number; else the
            matrix is of float64.

        Raises
        ------
        OptionError
            If ``fill`` is no number, or values are integers that float64 does not have.
        MemoryError
            If there is not enough memory; :class:`UnsafeFileError` for a projection in a file.
        """
        given = _single_number("fill", fill)
        sparse = self.tocsr(attribute)
        dtype = _type_for(sparse.data, given)
        if math.prod(sparse.shape) > MOST_ENTRIES:
            raise MemoryError  # numpy says that it is no shape
        full = np.full(sparse.shape, given, dtype)
        full[np.repeat(np.arange(sparse.shape[0]), np.diff(sparse.indptr)), sparse.indices] = sparse.data
        return full

    def tocoo(self, attribute: str = "w") -> coo_array:
        """Return one attribute as a sparse matrix of coordinates, shape ``(n_post, n_pre)``; see `tocsr`."""
        return self.tocsr(attribute).tocoo()

    def to_frame(self, attributes: Iterable[str] | None = None) -> Any:
        """Return the synapses as a :class:`pandas.DataFrame`, one row each, in their order.

        Its columns are ``pre`` and ``post`` (ranks), ``delay`` (steps, where known) and the attributes,
        repeated where synapses share a value; ``frame.attrs["units"]`` has their units.

        Parameters
        ----------
        attributes : iterable of str, optional
            Which ones; nothing else is read. By default all that have a value per synapse.

        Raises
        ------
        MissingExtraError
            Without pandas, which the extra ``frames`` brings.
        OptionError
            If an attribute is called like one of the other columns.
        """
        return exchange.frame(self._columns(attributes), self._units)

    def to_networkx(self, attributes: Iterable[str] | None = None) -> Any:
        """Return a :class:`networkx.MultiDiGraph` with an edge from pre to post for each synapse.

        Nodes are ``(population, rank)``, so that graphs of several projections can be composed. Edges have
        the attributes, and ``delay`` in steps where it is known; the extra ``graphs`` brings networkx.
        """
        return exchange.networkx_graph(*self._sides_and_columns(attributes))

    def to_igraph(self, attributes: Iterable[str] | None = None) -> Any:
        """Return a directed :class:`igraph.Graph` with an edge from pre to post for each synapse.

        Vertices are the neurons of the pre-synaptic population, followed by those of the post-synaptic
        one if that is another; they have ``population`` and ``rank``. The extra ``graphs`` brings igraph.
        """
        return exchange.igraph_graph(*self._sides_and_columns(attributes))

    def _sides_and_columns(
        self, attributes: Iterable[str] | None
    ) -> tuple[exchange.EdgeEnd, exchange.EdgeEnd, dict[str, NDArray[Any]]]:
        columns = self._columns(attributes)
        pre, post = self._size(self.pre_size, columns["pre"]), self._size(self.post_size, columns["post"])
        if self.pre == self.post:
            pre = post = max(pre, post)
        return exchange.EdgeEnd(self.pre, pre), exchange.EdgeEnd(self.post, post), columns

    def column_blocks(
        self, attributes: Iterable[str] | None = None, *, synapses: int = 1 << 18
    ) -> Iterator[dict[str, NDArray[Any]]]:
        """Yield the columns of :meth:`to_frame` for some synapses at a time, rows in order.

        Parameters
        ----------
        attributes : iterable of str, optional
            Which ones; nothing else is read. By default all that have a value per synapse.
        synapses : int
            In one block, which is all that is in memory; without any synapse there is one empty block.
        """
        rows, total = self._all_rows(), self.n_synapses
        names = self._column_names(attributes)
        columns = {name: self._checked(name, rows) for name in names}
        for start in range(0, max(total, 1), synapses):
            stop = min(start + synapses, total)
            low, high = np.searchsorted(rows.row_ptr, start, "right") - 1, np.searchsorted(rows.row_ptr, stop)
            sizes = np.diff(rows.row_ptr[low : high + 1].clip(start, stop))
            pre = np.asarray(self.pre_ranks[start:stop])
            self._size(self.pre_size, pre)
            block = {
                "pre": pre,
                "post": np.repeat(rows.post_ranks[low:high], sizes),
            }
            if self.delays is not None:
                lone = isinstance(self.delays, int)
                delays = np.asarray(self.delays if lone else self.delays[start:stop])  # type: ignore[index]
                block["delay"] = np.broadcast_to(delays, block["pre"].shape)
            for name, attribute in columns.items():
                if attribute.locality is Locality.SEMIGLOBAL:
                    block[name] = np.repeat(np.asarray(attribute.values[low:high]), sizes)
                else:
                    lone = attribute.locality is Locality.GLOBAL
                    values = np.asarray(attribute.values if lone else attribute.values[start:stop])
                    block[name] = np.broadcast_to(values, block["pre"].shape)
            yield block

    def _columns(self, attributes: Iterable[str] | None) -> dict[str, NDArray[Any]]:
        """One array per column, shape ``(n_synapses,)``."""
        rows = self._all_rows()
        columns = {"pre": np.asarray(self.pre_ranks), "post": np.repeat(rows.post_ranks, rows.row_sizes)}
        if self.delays is not None:
            columns["delay"] = np.broadcast_to(np.asarray(self.delays), columns["pre"].shape)
        for name in self._column_names(attributes):
            columns[name] = self._per_synapse(name, rows)
        return columns

    def _column_names(self, attributes: Iterable[str] | None) -> list[str]:
        """Attributes that are columns, checked against the names of the other columns."""
        if attributes is None:
            known = self.attributes.items()
            attributes = [n for n, a in known if a.locality is not Locality.UNKNOWN and not _axes(a)]
        names = list(attributes)
        for name in names:
            if name in ("pre", "post") or (name == "delay" and self.delays is not None):
                raise OptionError(
                    f"projection {printable(self.name)!r} has an attribute called {printable(name)!r}, "
                    "as another column is",
                    details={"hint": "attributes=[...] leaves it out"},
                )
        return names

    @property
    def units(self) -> dict[str, str]:
        """Units of the columns of :meth:`to_frame`, as far as they are known."""
        return self._units

    @property
    def _units(self) -> dict[str, str]:
        declared = {} if self.synapse_type is None else self.synapse_type.attributes
        there = self.attributes
        units = {name: info.unit for name, info in declared.items() if info.unit and name in there}
        return units if self.delays is None else {"delay": "steps", **units}

    def _size(self, known: int | None, ranks: NDArray[Any]) -> int:
        """Neurons of a population, in which all ranks lie."""
        size = known if known is not None else int(ranks.max(initial=-1)) + 1
        if ranks.size and not 0 <= int(ranks.min()) <= int(ranks.max()) < size:
            raise ConnectivityError(
                f"projection {self.name!r}: a rank is outside its population",
                details={"expected": f"0 to {size - 1}", "found": f"{ranks.min()} to {ranks.max()}"},
            )
        return size

    def _per_synapse(self, name: str, rows: Connectivity) -> NDArray[Any]:
        attribute = self._checked(name, rows)
        values = np.asarray(attribute.values)
        if attribute.locality is Locality.SEMIGLOBAL:
            return np.repeat(values, rows.row_sizes)
        return np.broadcast_to(values, (rows.n_synapses,))

    def _checked(self, name: str, rows: Connectivity) -> Attribute:
        """Return an attribute that has one number for each synapse, shared or not."""
        attributes = self.attributes
        if name not in attributes:
            raise AttributeNotFoundError.among(f"projection {self.name!r}", "attribute", name, attributes)
        attribute = attributes[name]
        if _axes(attribute):
            raise StateError(
                f"projection {self.name!r}: {name!r} has the shape {attribute.values.shape}",
                details={"expected": "one number per synapse"},
            )
        if not has_column(attribute, rows):
            raise StateError(f"projection {self.name!r}: {name!r} has no value per synapse")
        return attribute

    def _slab(self, low: int, high: int) -> Slab:
        pointers = np.asarray(self.row_ptr[low : high + 1])
        if np.any(pointers[1:] < pointers[:-1]) or not 0 <= pointers[0] <= pointers[-1] <= self.n_synapses:
            raise ConnectivityError(f"projection {self.name!r}: row_ptr falls between rows {low} and {high}")
        span = slice(int(pointers[0]), int(pointers[-1]))
        extent = {Locality.SEMIGLOBAL: slice(low, high), Locality.LOCAL: span}
        values, per_row = {}, set()
        for name, attribute in self.attributes.items():
            if attribute.locality is Locality.SEMIGLOBAL:
                per_row.add(name)
            if attribute.locality is Locality.GLOBAL:
                values[name] = np.asarray(attribute.values)
            elif attribute.locality in extent:
                values[name] = np.asarray(attribute.values[extent[attribute.locality]])
        delays, pathways = self._delays_of(lambda delays: np.asarray(delays[span]))
        return Slab(pointers, np.asarray(self.pre_ranks[span]), delays, pathways, values, per_row)


@dataclass(frozen=True, slots=True, eq=False)
class Slab:
    """Consecutive rows as they are stored: local values per synapse, semiglobal ones per row."""

    pointers: NDArray[np.int64]
    pre_ranks: NDArray[np.int32]
    delays: NDArray[Any] | int | None
    pathway_delays: dict[str, NDArray[Any]]
    values: dict[str, NDArray[Any]]
    per_row: set[str]
    """Attributes that are semiglobal."""


def has_column(attribute: Attribute, rows: Connectivity) -> bool:
    """Whether an attribute has one number for each synapse, shared or not."""
    if attribute.locality is Locality.UNKNOWN:
        return attribute.values.shape == (rows.n_synapses,)
    return not _axes(attribute)


def _axes(attribute: Attribute) -> int:
    """How many axes a single value has; 0 where it is a number, or nobody knows."""
    if attribute.locality is Locality.UNKNOWN:
        return 0
    return len(attribute.values.shape) - (attribute.locality is not Locality.GLOBAL)


def take(array: Array, indices: NDArray[np.int64]) -> NDArray[Any]:
    """Return ``array[indices]`` for ascending indices, reading only the blocks they lie in."""
    out = np.empty((indices.size, *array.shape[1:]), array.dtype)
    step = 1 << 16
    cuts = np.flatnonzero(np.diff(indices // step)) + 1
    for part in np.split(np.arange(indices.size), cuts):
        if part.size:
            first, last = int(indices[part[0]]), int(indices[part[-1]])
            out[part] = np.asarray(array[first : last + 1])[indices[part] - first]
    return out


def _single_number(argument: str, given: Any) -> NDArray[Any]:
    """Return a number, or NaN, as an array of shape ``()``."""
    try:
        found = np.asarray(given)
    except ValueError:  # lists in lists of different lengths
        found = np.empty(0)
    if found.shape or found.dtype.kind not in "biuf":
        raise OptionError(f"{argument} is {printable(repr(given), 40)}", details={"expected": "a number"})
    return found


def _type_for(data: NDArray[Any], fill: NDArray[Any]) -> np.dtype[Any]:
    """Return the type of a matrix that holds values as they are, and between them another number."""
    if data.dtype.kind == "f":
        return np.result_type(data.dtype, np.min_scalar_type(fill))
    with np.errstate(invalid="ignore"):
        if equal_numbers(fill.astype(data.dtype), fill):
            return data.dtype
        if not equal_numbers(data.astype(np.float64), data).all():
            raise OptionError(
                f"fill is {fill}, and values of {data.dtype} are not all numbers of float64",
                details={"expected": f"a fill that {data.dtype} has"},
            )
    return np.dtype(np.float64)


def _integer(argument: str, given: Any) -> int:
    """Return a rank or row number as Python's integer; 1.5 must not find what 1 does."""
    try:
        return operator.index(given)
    except TypeError as error:
        raise OptionError(
            f"{argument} is {printable(repr(given), 40)}", details={"expected": "an integer"}
        ) from error


def _neuron(argument: str, given: Any, population: str, size: int | None) -> int:
    """Return a rank that the population can have: where it has none, no synapses would be a wrong answer."""
    rank = _integer(argument, given)
    last = 2**31 - 1 if size is None else size - 1
    if not 0 <= rank <= last:
        raise ObjectNotFoundError(
            f"population {printable(population)!r} has no neuron {printable(rank, 40)}",
            details={"expected": f"ranks from 0 to {last}" if last >= 0 else "nothing: it has no neurons"},
        )
    return rank
