"""A projection in a checkpoint file, read by rows."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, KeysView, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ann_ckpt.arguments import check_flags
from ann_ckpt.errors import AttributeNotFoundError, CorruptFileError, printable
from ann_ckpt.format import h5, layout
from ann_ckpt.format.reader import FileReader
from ann_ckpt.lazy import notebook
from ann_ckpt.lazy.array import LazyArray
from ann_ckpt.lazy.attributes import (
    arrays_in_memory,
    arrays_of,
    attributes_in_memory,
    attributes_of,
    dynamics_of,
)
from ann_ckpt.lazy.bounds import Bounds
from ann_ckpt.model import (
    Array,
    Attribute,
    Connectivity,
    Locality,
    ProjectionState,
    Resume,
    RowAccess,
    TypeInfo,
    nbytes,
)
from ann_ckpt.model.arrays import permutation_fault
from ann_ckpt.model.connectivity import POINTER, RANK
from ann_ckpt.model.exchange import optional
from ann_ckpt.model.rows import Slab, Synapses

if TYPE_CHECKING:
    import xarray
    from scipy.sparse import csr_array

__all__ = ["LazyProjection"]

_BISECT_STOP = 4096


class LazyProjection(RowAccess):
    """One projection in a checkpoint.

    Looking at dendrites and rows reads them only; :attr:`connectivity` reads
    ``post_ranks`` and ``row_ptr``.
    """

    _lengths_checked = False
    _order_checked = False

    def __init__(
        self,
        reader: FileReader,
        name: str,
        types: Callable[[Mapping[str, Any]], TypeInfo | None],
        resume: Callable[[], Resume | None],
        *,
        pickled: Callable[[], tuple[Any, ...]],
    ) -> None:
        self.name = name
        self._pickled = pickled
        self._find_type = types
        self._find_resume = resume
        self._reader = reader
        self._path = f"{layout.PROJECTIONS}/{layout.escape(name)}"
        with reader.reporting_corruption(self._path):
            self._open(reader.attributes(self._path))

    def _open(self, header: Mapping[str, Any]) -> None:
        self._header = header
        self.pre = h5.text_of(header[layout.A_PRE])
        self.post = h5.text_of(header[layout.A_POST])
        self.target = h5.text_of(header[layout.A_TARGET])
        self.pre_size = h5.optional_int(header, layout.A_PRE_SIZE)
        self.post_size = h5.optional_int(header, layout.A_POST_SIZE)
        per_synapse = self._array(layout.DELAYS)
        if per_synapse is not None and layout.A_DELAY in header:
            raise ValueError(f"both {layout.DELAYS} and {layout.A_DELAY} are there")
        self.delays = h5.optional_int(header, layout.A_DELAY) if per_synapse is None else per_synapse
        partial = h5.optional_int(header, layout.A_PARTIAL) or 0
        if partial not in (0, 1):
            raise ValueError(f"{layout.A_PARTIAL} is {partial}, not 1")
        self.partial = bool(partial)
        self._row_order = h5.text_of(header[layout.A_ROWS])
        if self._row_order not in (layout.ROWS_ALL, layout.ROWS_ASCENDING, layout.ROWS_ANY):
            raise ValueError(f"{layout.A_ROWS} is {printable(self._row_order, 40)!r}")

    def __reduce__(self) -> tuple[Any, ...]:
        return self._pickled()

    def __dask_tokenize__(self) -> tuple[str, ...]:
        return (*self._reader.identity, self._path)

    @cached_property
    def parameters(self) -> Mapping[str, Attribute]:
        """What the model keeps constant while it runs, each looked at when it is asked for."""
        return attributes_of(self._reader, self._path, layout.PARAMETERS)

    @cached_property
    def variables(self) -> Mapping[str, Attribute]:
        """What the model changes while it runs, each looked at when it is asked for."""
        return attributes_of(self._reader, self._path, layout.VARIABLES)

    @cached_property
    def dynamics(self) -> Mapping[str, Array]:
        """What the simulator carries from step to step besides, under its own names."""
        return dynamics_of(self._reader, f"{self._path}/")

    @cached_property
    def synapse_type(self) -> TypeInfo | None:
        """The type of its synapses, where the file knows it."""
        with self._reader.reporting_corruption(self._path):
            return self._find_type(self._header)

    @cached_property
    def resume(self) -> Resume | None:
        """Whether a run resumed from here goes on exactly; None if the file does not say."""
        return self._find_resume()

    @property
    def attributes(self) -> Mapping[str, Attribute]:
        """Parameters and variables together, parameters first."""
        return {**self.parameters, **self.variables}

    @cached_property
    def post_ranks(self) -> LazyArray:
        """Post-synaptic neuron of each row, int32, shape ``(n_rows,)``."""
        return self._structure(layout.POST_RANKS, RANK)

    @cached_property
    def row_ptr(self) -> LazyArray:
        """Start of each row and the end of the last, int64, shape ``(n_rows + 1,)``."""
        return self._structure(layout.ROW_PTR, POINTER)

    @cached_property
    def pre_ranks(self) -> LazyArray:
        """Pre-synaptic neuron of each synapse, int32, shape ``(n_synapses,)``."""
        return self._structure(layout.PRE_RANKS, RANK)

    @cached_property
    def pathway_delays(self) -> Mapping[str, LazyArray]:
        """Delays by the name of a pathway: integers are steps, floats seconds; one, or one per synapse."""
        return arrays_of(self._reader, f"{self._path}/{layout.PATHWAY_DELAYS}")

    @cached_property
    def order(self) -> LazyArray | None:
        """The place in the rows of each synapse in the simulator's own order, shape ``(n_synapses,)``."""
        return self._array(layout.ORDER)

    @cached_property
    def connectivity(self) -> Connectivity:
        """The rows, with ``pre_ranks`` still lazy."""
        with self._reader.reporting_corruption(self._path):
            return Connectivity(np.asarray(self.post_ranks), np.asarray(self.row_ptr), self.pre_ranks)

    @property
    def nbytes(self) -> int:
        """Bytes of all its values in memory, once read."""
        arrays: list[Array] = [
            self.post_ranks,
            self.row_ptr,
            self.pre_ranks,
            *(a.values for a in self.attributes.values()),
            *self.dynamics.values(),
            *self.pathway_delays.values(),
            *(() if self.order is None else (self.order,)),
        ]
        if isinstance(self.delays, LazyArray):
            arrays.append(self.delays)
        return sum(nbytes(array) for array in arrays)

    @property
    def single_weight(self) -> bool:
        """Whether one weight serves all synapses."""
        return "w" in self and self._attribute("w").locality is Locality.GLOBAL

    def __getitem__(self, attribute: str) -> Array:
        """Values of one parameter or variable, lazy unless it is a single one."""
        return self._attribute(attribute).values

    def _attribute(self, name: str) -> Attribute:
        for group in (self.variables, self.parameters):
            if name in group:
                return group[name]
        raise AttributeNotFoundError.among(
            f"projection {printable(self.name)!r}",
            "attribute",
            name,
            self,
            where=self._reader.where(self._path),
        )

    def __contains__(self, attribute: object) -> bool:
        return attribute in self.parameters or attribute in self.variables

    def __iter__(self) -> Iterator[str]:
        return iter(dict.fromkeys([*self.parameters, *self.variables]))

    def keys(self) -> KeysView[str]:
        """Names of parameters and variables."""
        return dict.fromkeys(self).keys()

    def find_row(self, post_rank: int) -> int | None:
        """Return the number of the row that belongs to a neuron, or None."""
        if self._row_order not in (layout.ROWS_ALL, layout.ROWS_ASCENDING):
            return super().find_row(post_rank)
        with self._reader.reporting_corruption(self._path):
            if self._row_order == layout.ROWS_ASCENDING:
                row = _bisect(self.post_ranks, post_rank)
            else:
                row = int(post_rank) if 0 <= post_rank < self.n_rows else None
                # Whoever wrote the file may be wrong about it, and this be the dendrite of another neuron,
                if row is not None and self.post_ranks[row] != post_rank:
                    raise self._disordered()
            if row is None and not self._order_checked:  # or one that is looked for stand elsewhere.
                self._check_order(np.asarray(self.post_ranks))
            return row

    def state(self, *, lazy: bool = False) -> ProjectionState:
        """Return the projection as a state, its arrays read or still lazy."""
        check_flags(lazy=lazy)
        with self._reader.reporting_corruption(self._path):
            attributes, arrays = (dict, dict) if lazy else (attributes_in_memory, arrays_in_memory)
            delays, order = self.delays, self.order
            return ProjectionState(
                self.name,
                self.pre,
                self.post,
                self.target,
                self.connectivity if lazy else self._connectivity_in_memory(),
                delays=delays if lazy or not isinstance(delays, LazyArray) else np.asarray(delays),
                pathway_delays=arrays(self.pathway_delays),
                order=order if lazy else _loaded(order),
                parameters=attributes(self.parameters),
                variables=attributes(self.variables),
                dynamics=arrays(self.dynamics),
                resume=self.resume,
                pre_size=self.pre_size,
                post_size=self.post_size,
                pre_view=_loaded(self._array(layout.PRE_VIEW)),
                post_view=_loaded(self._array(layout.POST_VIEW)),
                synapse_type=self.synapse_type,
                partial=self.partial,
            )

    def _check(self, bounds: Bounds) -> None:
        """Raise if what is stored makes no projection; of the values only ``order`` is read.

        Parameters
        ----------
        bounds : Bounds
            Has seen the values.

        Raises
        ------
        CorruptFileError
            If shapes, types or ranks do not fit, rows are not in the order that is said of them, a delay is
            below 0, or the order is not a permutation of the synapses.
        """
        state = self.state(lazy=True)
        self._check_order(state.connectivity.post_ranks)
        last = 2**31 - 1 if self.pre_size is None else self.pre_size - 1
        within = {layout.PRE_RANKS: last, layout.DELAYS: 2**63 - 1, layout.PATHWAY_DELAYS: math.inf}
        for name, highest in within.items():
            outside = bounds.outside(f"{self._path}/{name}", highest)
            if outside is not None:
                raise CorruptFileError(
                    f"{name!r} go from {outside[0]} to {outside[1]}",
                    details={"expected": f"0 to {highest}"},
                    where=self._reader.where(self._path),
                )
        fault = None if state.order is None else permutation_fault(state.order, state.n_synapses)
        if fault is not None:
            raise CorruptFileError(
                f"{layout.ORDER!r} is not a permutation: {fault}", where=self._reader.where(self._path)
            )

    def _check_order(self, posts: NDArray[np.int32]) -> None:
        every = np.array_equal(posts, np.arange(posts.size))
        rising = bool((np.diff(posts) > 0).all())
        if not {layout.ROWS_ALL: every, layout.ROWS_ASCENDING: rising}.get(self._row_order, True):
            raise self._disordered()
        self._order_checked = True

    def _disordered(self) -> CorruptFileError:
        return CorruptFileError(
            f"{layout.POST_RANKS!r} are not in the order that {layout.A_ROWS!r} says",
            details={"expected": printable(self._row_order, 40)},
            where=self._reader.where(self._path),
        )

    def _connectivity_in_memory(self) -> Connectivity:
        return Connectivity(*(np.asarray(a) for a in (self.post_ranks, self.row_ptr, self.pre_ranks)))

    def to_xarray(self) -> xarray.Dataset:
        """Return the attributes as a dataset over ``synapse`` and ``dendrite``, unread.

        Its coordinates are ``pre_rank`` and ``post_rank`` of each synapse, ``dendrite_rank``, and
        ``delay`` in steps where it is known.

        Raises
        ------
        MissingExtraError
            Without xarray, which the extra ``xarray`` brings.
        """
        optional("xarray", "xarray")
        from ann_ckpt.lazy.xarray import projection_dataset

        self._check_lengths()
        return projection_dataset(self)

    def tocsr(self, attribute: str = "w") -> csr_array:
        """Return one attribute as a sparse matrix, shape ``(n_post, n_pre)``; see :class:`RowAccess`."""
        with self._reader.reporting_corruption(self._path):
            return super().tocsr(attribute)

    def dense(self, attribute: str = "w", *, fill: float = 0.0) -> NDArray[Any]:
        """Return one attribute as a full matrix, shape ``(n_post, n_pre)``; see :class:`RowAccess`."""
        with self._reader.reporting_corruption(self._path):
            return super().dense(attribute, fill=fill)

    def _columns(self, attributes: Iterable[str] | None) -> dict[str, NDArray[Any]]:
        self._check_lengths()
        with self._reader.reporting_corruption(self._path):
            return super()._columns(attributes)

    def _all_rows(self) -> Connectivity:
        return self.connectivity

    def outgoing(self, pre_rank: int) -> Synapses:
        """Synapses from one neuron, in row order; see :class:`RowAccess`."""
        self._check_lengths()
        return super().outgoing(pre_rank)

    def _slab(self, low: int, high: int) -> Slab:
        self._check_lengths()
        with self._reader.reporting_corruption(self._path):
            return super()._slab(low, high)

    def _structure(self, name: str, dtype: np.dtype[Any]) -> LazyArray:
        """Open an array that says which synapses there are.

        Raises
        ------
        CorruptFileError
            If it is not flat, or of another type.
        """
        array = LazyArray(self._reader, f"{self._path}/{name}")
        if array.ndim != 1 or array.dtype != dtype:
            raise self._senseless(name, array, f"{dtype} (n,)")
        return array

    def _check_lengths(self) -> None:
        """Refuse rows and values that are not as many as there are dendrites or synapses; looked at once."""
        if self._lengths_checked:
            return
        rows, synapses = (self.n_rows,), (self.n_synapses,)
        if self.row_ptr.shape != (rows[0] + 1,):
            raise self._senseless(layout.ROW_PTR, self.row_ptr, f"{rows[0] + 1} entries")
        expected = {Locality.SEMIGLOBAL: rows, Locality.LOCAL: synapses}
        for name, attribute in self.attributes.items():
            shape = expected.get(attribute.locality, ())
            if attribute.values.shape[: len(shape)] != shape:
                raise self._senseless(name, attribute.values, f"shape {shape}")
        if isinstance(self.delays, LazyArray) and self.delays.shape != synapses:
            raise self._senseless(layout.DELAYS, self.delays, f"shape {synapses}")
        for name, delays in self.pathway_delays.items():
            if delays.shape not in ((), synapses):
                raise self._senseless(name, delays, f"shape {synapses}")
        self._lengths_checked = True

    def _senseless(self, name: str, found: Array, expected: str) -> CorruptFileError:
        return CorruptFileError(
            f"{printable(name)!r} does not fit the projection",
            details={"expected": expected, "found": f"{found.dtype} {tuple(found.shape)}"},
            where=self._reader.where(self._path),
        )

    def __repr__(self) -> str:
        return (
            f"<projection {printable(self.name)!r} {printable(self.pre)} -> {printable(self.post)} "
            f"({printable(self.target)}): {self.n_rows} dendrites, {self.n_synapses} synapses, "
            f"{', '.join(printable(n, 40) for n in self)}>"
        )

    def _repr_html_(self) -> str:
        return notebook.of_projection(self)

    def _array(self, name: str) -> LazyArray | None:
        path = f"{self._path}/{name}"
        return LazyArray(self._reader, path) if path in self._reader else None


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
