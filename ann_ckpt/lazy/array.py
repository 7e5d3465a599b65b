"""An array in a checkpoint file."""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin
from numpy.typing import NDArray

from ann_ckpt.errors import ClosedCheckpointError, OptionError, printable
from ann_ckpt.format import layout
from ann_ckpt.format.checked import PARALLEL_BYTES, CheckedArray, SharedReader, reading_threads
from ann_ckpt.format.dataset import Storage
from ann_ckpt.format.reader import FileReader
from ann_ckpt.format.shared.array import SharedArray
from ann_ckpt.lazy.indexing import groups_of, pick
from ann_ckpt.model import exchange
from ann_ckpt.report import human_bytes

__all__ = [
    "LazyArray",
]


_GROUP_BYTES = 2 << 20
"""Blocks that are neighbours are read together up to this size."""
_ITERATED_BYTES = 4 << 20


# No __array_function__: xarray and dask would take the array for one that computes by itself. Without
# it they, like numpy's functions, ask for slices or for all of it.
class LazyArray(NDArrayOperatorsMixin):
    """An array in a checkpoint: an index reads the blocks it touches, ``numpy.asarray`` reads it whole.

    Takes every key that numpy takes, and stands where numpy's functions, operators and other libraries
    expect an array; all of them read it whole, and none can change it.

    Whatever is read was compared with a digest first: the blocks that a slice touches are
    read and checked whole. Only parts of large arrays in files of format 1.0 and 1.1 are not.
    """

    def __init__(self, reader: FileReader, path: str) -> None:
        self._reader = reader
        self._path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return LazyArray, (self._reader, self._path)

    @cached_property
    def _stored(self) -> CheckedArray | SharedReader:
        """The array, opened: a projection may have many attributes, and few of them be looked at."""
        return self._reader.array(self._path)

    @property
    def path(self) -> str:
        """Path of the array in the file."""
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
        """How the array is stored in the file."""
        with self._reader.reporting_corruption(self._path):
            return self._stored.storage()

    @property
    def quick(self) -> bool:
        """Whether to read it twice, not keep it: it is large, uncompressed and not behind an address."""
        return self._stored.quick

    @property
    def digest(self) -> str:
        """XXH3-128 of the values as they were written, 32 hex digits; of its blocks, in a store."""
        return self._reader.index[self._path].digest

    def _blocks(self) -> tuple[NDArray[np.int64], NDArray[np.void]] | None:
        """Return the blocks of an array in a store; None for any other array.

        Returns
        -------
        starts : int64 array, shape (n_blocks + 1,)
            First entry of each block, and the end of the last.
        records : structured array, shape (n_blocks,)
            Entries and digest of each; where these are equal, values are.
        """
        array = self._layout()
        return None if array is None else (array.block_starts, array.blocks)

    def _layout(self) -> SharedArray | None:
        """Return the blocks and pieces of an array in a store; None for any other array."""
        self._check_open()
        if self._reader.index[self._path].encoding != layout.E_SHARED:
            return None
        return self._reader.layout_of(self._path)

    def __len__(self) -> int:
        if not self.shape:
            raise TypeError("a scalar has no length")
        return self.shape[0]

    def __bool__(self) -> bool:
        if self.size > 1:
            raise ValueError("the truth value of an array with more than one element is ambiguous")
        return bool(np.asarray(self))

    def __contains__(self, value: Any) -> bool:
        if np.ndim(value):
            return value in np.asarray(self)
        return any(value in part for part in self._parts(_ITERATED_BYTES))

    def __iter__(self) -> Iterator[Any]:
        """Yield the entries of the first axis; they are read some MiB at a time."""
        if not self.shape:
            raise TypeError("iteration over a 0-d array")
        for part in self._parts(_ITERATED_BYTES):
            yield from part

    @property
    def chunks(self) -> tuple[int, ...]:
        """Shape of what is read and checked together; of the longest block, in a store, where they differ."""
        if not self.shape:
            return ()
        longest = int(np.diff(self._block_starts).max(initial=1))
        return (longest, *self.shape[1:])

    def iter_chunks(self) -> Iterator[tuple[slice, ...]]:
        """Yield the key of each block in turn, as ``h5py.Dataset.iter_chunks`` does."""
        if not self.shape:
            yield ()
            return
        rest = tuple(slice(0, length) for length in self.shape[1:])
        for start, stop in pairwise(self._block_starts.tolist()):
            yield (slice(start, stop), *rest)

    def __getitem__(self, key: Any) -> Any:
        """Read a part, with numpy's rules; only the blocks that it touches are read.

        Blocks are ranges of the first axis.

        Raises
        ------
        IndexError
            As numpy does, before anything is read.
        """
        self._check_open()
        if not self.shape or self.dtype.names is not None:
            return np.asarray(self)[key]
        try:
            picked = pick(key, self.shape)
        except IndexError as error:
            raise IndexError(f"{error}: {printable(self._path, 400)}") from None
        rows = picked.rows
        if 0 in picked.shape and (self.size or not isinstance(rows, range)):
            return np.empty(picked.shape, self.dtype)
        if isinstance(rows, range) and (rows.step == 1 or len(rows) < 2):
            part = self._read(rows.start, rows.start + len(rows))
        else:
            part = self._gather(np.asarray(rows, np.intp))
        found = part[picked.key]
        # A view of a few values must not keep alive all that was read for them.
        return found.copy() if isinstance(found, np.ndarray) and 2 * found.nbytes < part.nbytes else found

    def __arrow_c_array__(self, requested_schema: object = None) -> object:
        """Give the whole array to polars, Arrow and others, through the extra ``frames``."""
        return exchange.arrow_array(np.asarray(self)).__arrow_c_array__(requested_schema)

    def __dask_tokenize__(self) -> tuple[str, ...]:
        return (*self._reader.identity, self._path)

    def to_dask(self, chunks: Any = "auto") -> Any:
        """Return a :class:`dask.array.Array` whose tasks read their parts, in any thread or process.

        Parameters
        ----------
        chunks : optional
            As for :func:`dask.array.from_array`; by default of dask's own size, in whole blocks.

        Raises
        ------
        MissingExtraError
            Without dask, which the extra ``dask`` brings.
        OptionError
            If no array of this shape has such chunks.
        """
        dask_array = exchange.optional("dask.array", "dask")
        self._check_open()
        try:
            dask_array.core.normalize_chunks(chunks, self.shape, dtype=self.dtype)
        except (ArithmeticError, LookupError, TypeError, ValueError) as error:
            raise OptionError(
                f"chunks={printable(repr(chunks))} does not suit an array of shape {self.shape}",
                details={"found": printable(error)},
                where=self._reader.where(self._path),
            ) from error
        return dask_array.from_array(self, chunks, asarray=True, meta=np.empty((0,) * self.ndim, self.dtype))

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **options: Any) -> Any:
        """Compute with the whole array."""
        changed = (*options.get("out", ()), *(inputs[:1] if method == "at" else ()))
        if any(isinstance(array, LazyArray) for array in changed):
            raise TypeError("an array in a file cannot be changed")
        values = [np.asarray(given) if isinstance(given, LazyArray) else given for given in inputs]
        return getattr(ufunc, method)(*values, **options)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        """Read the whole array and check its digest."""
        if copy is False:
            raise ValueError("an array in a file cannot be returned without a copy")
        with self._reader.reporting_corruption(self._path):
            out = np.empty(self.shape, self.dtype)
        self.read_into(out)
        return out if dtype is None else out.astype(dtype, copy=False)

    def read_into(self, out: NDArray[Any]) -> None:
        """Read the whole array into an existing buffer, and verify its digest.

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
        with self._reader.reporting_corruption(self._path):
            self._stored.read_into(out, 0)

    def verify(self) -> Iterator[int]:
        """Check the values against their digest, a few MiB at a time; yield bytes as they are read.

        Raises
        ------
        CorruptFileError
            After the last block, if the values are not the ones that were written.
        """
        self._check_open()
        return self._reader.verify(self._path)

    def __repr__(self) -> str:
        if self._reader.closed:
            return f"<lazy array in a closed checkpoint: {printable(self._path)}>"
        return f"<lazy {self.dtype} {self.shape}, {human_bytes(self.nbytes)}: {printable(self._path)}>"

    def _repr_html_(self) -> str:
        from ann_ckpt.lazy.notebook import of_array

        return of_array(self)

    def _read(self, start: int, stop: int) -> NDArray[Any]:
        self._check_open()
        with self._reader.reporting_corruption(self._path):
            return self._stored.read(start, stop)

    def _gather(self, rows: NDArray[np.intp]) -> NDArray[Any]:
        """Read some entries of the first axis, which rise; shape ``(rows.size, ...)``."""
        out = np.empty((rows.size, *self.shape[1:]), self.dtype)
        entry = max(1, self.nbytes // self.shape[0])
        groups = list(groups_of(rows, self._block_starts, at_most=_GROUP_BYTES // entry))

        def fetch(group: tuple[int, int]) -> None:
            first, last = group
            wanted = rows[first:last]
            out[first:last] = self._stored.read(int(wanted[0]), int(wanted[-1]) + 1)[wanted - wanted[0]]

        with self._reader.reporting_corruption(self._path):
            self._stored.expect((int(rows[first]), int(rows[last - 1]) + 1) for first, last in groups)
        run = map if len(groups) * min(_GROUP_BYTES, self.nbytes) < PARALLEL_BYTES else reading_threads().map
        with self._reader.reporting_corruption(self._path):
            for _ in run(fetch, groups):
                pass
        return out

    def _parts(self, at_most: int) -> Iterator[NDArray[Any]]:
        """Yield the array in parts of whole blocks, of so many bytes together if a block is not larger."""
        if not self.shape:
            yield np.asarray(self)
            return
        entry = max(1, self.nbytes // max(1, self.shape[0]))
        starts = self._block_starts
        number = starts // max(1, at_most // entry)
        for start, stop in pairwise(
            [*starts[:-1][np.diff(number, prepend=-1)[:-1] > 0].tolist(), self.shape[0]]
        ):
            yield self._read(start, stop)

    @property
    def _block_starts(self) -> NDArray[np.int64]:
        """First entry of each block and the end of the last, shape ``(n_blocks + 1,)``."""
        self._check_open()
        with self._reader.reporting_corruption(self._path):
            return self._stored.block_starts

    def _check_open(self) -> None:
        if self._reader.closed:
            raise ClosedCheckpointError("the checkpoint is closed", where=self._reader.where(self._path))
