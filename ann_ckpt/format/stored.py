"""One dataset of a file, read in ranges of its first axis.

HDF5 says where the bytes lie; the bytes themselves come through ``pread`` on a
descriptor of our own and are decoded on threads, outside HDF5's global lock. A chunk
that is stored raw is read only as far as it is needed.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from typing import Any

import h5py
import numpy as np
from h5py import h5d
from numpy.typing import NDArray

from ann_ckpt.errors import CorruptFileError, MissingExtraError
from ann_ckpt.format import codec, h5
from ann_ckpt.format.guard import PLUGIN_FILTERS

__all__ = ["Storage", "StoredArray"]

_WORKERS = min(8, os.cpu_count() or 1)
_BLOCK_BYTES = 8 << 20
_PARALLEL_FROM = 4
"""Ranges of at least this many chunks are decoded on threads."""


@dataclass(frozen=True, slots=True)
class Storage:
    """How an array lies in its file, for people who want to know."""

    kind: str
    """``compact``, ``contiguous`` or ``chunked``."""
    filters: tuple[str, ...]
    chunk: int
    """Elements of one chunk along the first axis; 0 if not chunked."""
    stored_bytes: int
    """Bytes in the file, after compression."""


class StoredArray:
    """An opened and checked dataset.

    Parameters
    ----------
    dataset : h5py.h5d.DatasetID
        Checked by :func:`ann_ckpt.format.guard.check_dataset`, which gave ``dtype`` and ``filters``.
    descriptor : int
        Of the same file, for ``pread``.
    count : callable
        Told the number of bytes of each read.
    """

    def __init__(
        self,
        dataset: Any,
        dtype: np.dtype[Any],
        filters: tuple[int, ...],
        *,
        descriptor: int,
        count: Callable[[int], None],
        where: str,
    ) -> None:
        self.shape: tuple[int, ...] = dataset.shape
        self.dtype = dtype
        self._dataset = dataset
        self._filters = filters
        self._descriptor = descriptor
        self._count = count
        self._where = where
        creation = dataset.get_create_plist()
        self._kind = creation.get_layout()
        self._chunk: tuple[int, ...] = creation.get_chunk() if self._kind == h5d.CHUNKED else ()

    def storage(self) -> Storage:
        """Return how the array lies in the file; looks at every chunk's size."""
        names = {codec.DEFLATE: "gzip", codec.SHUFFLE: "shuffle", **PLUGIN_FILTERS}
        kind = {h5d.COMPACT: "compact", h5d.CONTIGUOUS: "contiguous", h5d.CHUNKED: "chunked"}[self._kind]
        return Storage(
            kind,
            tuple(names[f] for f in self._filters),
            self._chunk[0] if self._chunk else 0,
            self._dataset.get_storage_size(),
        )

    def read(self, start: int, stop: int) -> NDArray[Any]:
        """Return elements ``[start, stop)`` of the first axis, shape ``(stop - start, ...)``."""
        out = np.empty((max(0, stop - start), *self.shape[1:]), self.dtype)
        self.read_into(out, start)
        return out

    def blocks(self) -> Iterator[NDArray[Any]]:
        """Yield the whole array in pieces of a few MiB along the first axis."""
        if not self.shape:
            yield self.read_scalar()
            return
        entry = max(1, math.prod(self.shape[1:]) * self.dtype.itemsize)
        step = max(1, _BLOCK_BYTES // entry)
        for start in range(0, self.shape[0], step):
            yield self.read(start, min(start + step, self.shape[0]))

    def read_scalar(self) -> NDArray[Any]:
        """Return the only value of an array of shape ``()``."""
        value = h5.read_whole(self._dataset, self.dtype)
        self._count(value.nbytes)
        return value

    def read_into(self, out: NDArray[Any], start: int, *, threads: bool = True) -> None:
        """Fill ``out``, C-contiguous and of this type, from entry ``start`` of the first axis on.

        Parameters
        ----------
        threads : bool
            Decode on several threads; False for callers that are on one of them already.

        Raises
        ------
        CorruptFileError
            If a chunk is missing, short, or does not decode.
        """
        if not self.shape:
            out[...] = self.read_scalar()
        elif not out.size:
            return
        elif self._kind == h5d.CONTIGUOUS:
            entry = math.prod(self.shape[1:]) * self.dtype.itemsize
            self._pread_into(out, self._dataset.get_offset() + start * entry)
        elif self._kind == h5d.COMPACT:
            out[...] = h5.read_whole(self._dataset, self.dtype)[start : start + len(out)]
            self._count(out.nbytes)
        elif self._chunk[1:] == self.shape[1:] and not set(self._filters) & set(PLUGIN_FILTERS):
            self._read_chunks(out, start, threads=threads)
        else:
            self._read_through_hdf5(out, start)

    def _read_chunks(self, out: NDArray[Any], start: int, *, threads: bool) -> None:
        pieces = list(_spans(start, start + len(out), self._chunk[0]))

        def fetch(piece: tuple[int, int, int]) -> None:
            first, low, high = piece
            self._read_chunk(out[first + low - start : first + high - start], first, low, high)

        if len(pieces) < _PARALLEL_FROM or not threads:
            for piece in pieces:
                fetch(piece)
        else:
            for _ in _pool().map(fetch, pieces):
                pass

    def _read_chunk(self, out: NDArray[Any], first: int, low: int, high: int) -> None:
        """Fill ``out`` with entries ``[low, high)`` of the chunk that starts at entry ``first``."""
        try:
            info = self._dataset.get_chunk_info_by_coord((first, *(0 for _ in self._chunk[1:])))
        except (OSError, RuntimeError, ValueError) as error:
            raise CorruptFileError(f"the chunk at {first} cannot be found", where=self._where) from error
        if info.byte_offset is None:
            raise CorruptFileError(f"the chunk at {first} is missing", where=self._where)
        applied = [f for i, f in enumerate(self._filters) if not info.filter_mask >> i & 1]
        if not applied:
            entry = math.prod(self._chunk[1:]) * self.dtype.itemsize
            self._pread_into(out, info.byte_offset + low * entry)
            return
        data = np.empty(info.size, np.uint8)
        self._pread_into(data, info.byte_offset)
        try:
            chunk = codec.decode(
                data.data, self._filters, info.filter_mask, self.dtype, math.prod(self._chunk)
            )
        except CorruptFileError as error:
            error.where = self._where
            raise
        out[...] = chunk.reshape(self._chunk)[low:high]

    def _pread_into(self, out: NDArray[Any], offset: int) -> None:
        view = out.reshape(-1).view(np.uint8).data
        done = 0
        while done < len(view):
            got = os.preadv(self._descriptor, [view[done:]], offset + done)
            if got == 0:
                raise CorruptFileError(
                    "the file ends inside an array", details={"offset": str(offset + done)}, where=self._where
                )
            done += got
        self._count(done)

    def _read_through_hdf5(self, out: NDArray[Any], start: int) -> None:
        if set(self._filters) & set(PLUGIN_FILTERS):
            _load_plugins(self._where)
        try:
            h5py.Dataset(self._dataset).read_direct(out, np.s_[start : start + len(out)])
        except (OSError, RuntimeError, ValueError) as error:
            raise CorruptFileError(f"HDF5 cannot read it: {error}", where=self._where) from error
        self._count(out.nbytes)


def _spans(start: int, stop: int, chunk: int) -> Iterator[tuple[int, int, int]]:
    """Cut ``[start, stop)`` at chunk borders: start of the chunk, and the part of it that is asked for."""
    for first in range(start // chunk * chunk, stop, chunk):
        yield first, max(start - first, 0), min(stop - first, chunk)


@cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(_WORKERS, "ann_ckpt-read")


os.register_at_fork(after_in_child=_pool.cache_clear)  # threads do not follow into a child


def _load_plugins(where: str) -> None:
    try:
        import hdf5plugin  # noqa: F401  (registers its filters with HDF5)
    except ImportError as error:
        raise MissingExtraError(
            "the data are compressed with a filter of the package hdf5plugin",
            details={"install": "pip install 'ann_ckpt[plugins]'"},
            where=where,
        ) from error
