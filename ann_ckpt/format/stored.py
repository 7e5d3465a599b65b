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
from ann_ckpt.format.guard import PLUGIN_FILTERS, Layout
from ann_ckpt.format.stretches import ChunkPlaces, Stretch, batches

__all__ = ["Storage", "StoredArray"]

_SCAN_BYTES = 8 << 20


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
        Opened and not read yet.
    layout : Layout
        What :func:`ann_ckpt.format.guard.check_dataset` said about it.
    descriptor : int
        Of the same file, for ``pread``.
    count : callable
        Told the number of bytes of each read.
    """

    def __init__(
        self,
        dataset: Any,
        layout: Layout,
        *,
        descriptor: int,
        count: Callable[[int], None],
        where: str,
    ) -> None:
        self.shape = layout.shape
        self.dtype = layout.dtype
        self._dataset = dataset
        self._filters = layout.filters
        self._kind = layout.kind
        self._chunk = layout.chunk
        self._entry_bytes = math.prod(layout.shape[1:]) * layout.dtype.itemsize
        if layout.kind == h5d.CHUNKED:
            self._places = ChunkPlaces(
                dataset,
                length=layout.shape[0],
                chunk=layout.chunk[0],
                entry_bytes=self._entry_bytes,
                filters=len(layout.filters),
                where=where,
            )
        self._descriptor = descriptor
        self._count = count
        self._where = where

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

    def scan(self) -> Iterator[NDArray[Any]]:
        """Yield the whole array in order, in parts; each is overwritten after the next was asked for."""
        if not self.shape:
            yield self.read_scalar()
            return
        step = max(1, _SCAN_BYTES // max(1, self._entry_bytes))
        buffer = np.empty((min(step, self.shape[0]), *self.shape[1:]), self.dtype)
        for start in range(0, self.shape[0], step):
            yield from self.fill(buffer[: self.shape[0] - start], start)

    def read_scalar(self) -> NDArray[Any]:
        """Return the only value of an array of shape ``()``."""
        value = h5.read_whole(self._dataset, self.dtype)
        self._count(value.nbytes)
        return value

    def read_into(self, out: NDArray[Any], start: int, *, threads: bool = True) -> None:
        """Fill ``out`` from entry ``start`` on; see :meth:`fill`."""
        for _ in self.fill(out, start, threads=threads):
            pass

    def fill(self, out: NDArray[Any], start: int, *, threads: bool = True) -> Iterator[NDArray[Any]]:
        """Fill ``out`` from entry ``start`` of the first axis on; yield its parts in order.

        Parameters
        ----------
        out : array
            C-contiguous and of this type.
        threads : bool
            Read and decode on several threads, while the caller looks at earlier parts; False
            for callers that are on one of them already.

        Raises
        ------
        CorruptFileError
            If a chunk is missing, short, or does not decode.
        """
        if not out.size:
            return
        if self._kind == h5d.CONTIGUOUS and self.shape:
            self._count(self._pread_into(out, self._dataset.get_offset() + start * self._entry_bytes))
        elif self._kind != h5d.CHUNKED:
            whole = self.read_scalar()
            out[...] = whole[start : start + len(out)] if self.shape else whole
        elif self._chunk[1:] == self.shape[1:] and not set(self._filters) & set(PLUGIN_FILTERS):
            yield from self._fill_from_chunks(out, start, threads=threads)
            return
        else:
            self._read_through_hdf5(out, start)
        yield out

    def _fill_from_chunks(self, out: NDArray[Any], start: int, *, threads: bool) -> Iterator[NDArray[Any]]:
        found = self._places.stretches(start, start + len(out))
        jobs = list(batches(found, self._entry_bytes))

        def fetch(job: list[Stretch]) -> int:
            return sum(self._read_stretch(out[s.start - start : s.stop - start], s) for s in job)

        done = map(fetch, jobs) if len(jobs) == 1 or not threads else _pool().map(fetch, jobs)
        for job, count in zip(jobs, done, strict=True):
            self._count(count)
            yield out[job[0].start - start : job[-1].stop - start]

    def _read_stretch(self, out: NDArray[Any], stretch: Stretch) -> int:
        """Fill ``out`` with one stretch; return how many bytes of the file that took."""
        if stretch.raw:
            return self._pread_into(out, stretch.offset)
        data = np.empty(stretch.size, np.uint8)
        self._pread_into(data, stretch.offset)
        entry = math.prod(self._chunk[1:])
        try:
            codec.decode(
                data.data,
                self._filters,
                stretch.mask,
                out.reshape(-1),
                count=math.prod(self._chunk),
                start=(stretch.start - stretch.chunk) * entry,
            )
        except CorruptFileError as error:
            error.where = self._where
            raise
        return stretch.size

    def _pread_into(self, out: NDArray[Any], offset: int) -> int:
        view = out.reshape(-1).view(np.uint8).data
        done = 0
        while done < len(view):
            got = os.preadv(self._descriptor, [view[done:]], offset + done)
            if got == 0:
                raise CorruptFileError(
                    "the file ends inside an array", details={"offset": str(offset + done)}, where=self._where
                )
            done += got
        return done

    def _read_through_hdf5(self, out: NDArray[Any], start: int) -> None:
        if set(self._filters) & set(PLUGIN_FILTERS):
            _load_plugins(self._where)
        try:
            h5py.Dataset(self._dataset).read_direct(out, np.s_[start : start + len(out)])
        except (OSError, RuntimeError, ValueError) as error:
            raise CorruptFileError(f"HDF5 cannot read it: {error}", where=self._where) from error
        self._count(out.nbytes)


@cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(codec.WORKERS, "ann_ckpt-read")


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
