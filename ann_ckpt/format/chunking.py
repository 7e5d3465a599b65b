"""Chooses storage (compact, contiguous, chunked) from shape and type, and writes chunks.

Sizes were measured on two cores. A compressed chunk is read whole, so it is small:
ten rows of a large projection lie in a few of 128 KiB, and smaller ones spend more time
on bookkeeping than on bytes. A raw chunk can be read in part, so it is large. What is
smaller than 16 KiB costs more as a chunk than it can save. Chunks are compressed on
threads and written in order.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor, Future
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from typing import Any, Protocol

import h5py
import numpy as np
from h5py import h5d, h5p, h5s
from numpy.typing import NDArray

from ann_ckpt.errors import MissingExtraError, OptionError
from ann_ckpt.format import h5
from ann_ckpt.format.codec import WORKERS, Encoded, encode, encode_fast
from ann_ckpt.format.digest import WHOLE_BYTES, block_entries

__all__ = [
    "CHUNKED_BYTES",
    "TASK_BYTES",
    "ChunkStream",
    "Compression",
    "StorageChoice",
    "choose",
    "chunk_bytes",
    "chunk_stream",
    "compression",
]

COMPACT_BYTES = 8 << 10
"""Arrays up to this size lie in their object header, where they cost no block of their own."""
CHUNKED_BYTES = WHOLE_BYTES
"""Arrays from this size on are chunked."""
_PACKED_BYTES = 128 << 10
_RAW_BYTES = 1 << 20
"""Not more: the chunk cache of stock HDF5 holds no larger ones."""


class Compression(StrEnum):
    """How chunks are compressed."""

    AUTO = "auto"
    """Shuffle and deflate, chunk by chunk where it pays; every HDF5 tool reads it."""
    NONE = "none"
    GZIP = "gzip"
    """Shuffle and deflate for every chunk."""
    FAST = "fast"
    """LZ4 in Blosc, on all cores; through the ``plugins`` extra, which readers need too."""
    ZSTD = "zstd"
    """Through the ``plugins`` extra; readers need it too."""
    BLOSC = "blosc"
    """Through the ``plugins`` extra; readers need it too."""


_PLUGINS = {Compression.FAST: "Blosc", Compression.ZSTD: "Zstd", Compression.BLOSC: "Blosc"}
"""Classes of hdf5plugin; the numbers of their filters stand in ``format/guard.py``."""


class StorageKind(StrEnum):
    """HDF5's storage layouts, as far as this format uses them."""

    COMPACT = "compact"
    CONTIGUOUS = "contiguous"
    CHUNKED = "chunked"


@dataclass(frozen=True, slots=True)
class StorageChoice:
    """How the values of one array are stored."""

    kind: StorageKind
    chunk: int = 0
    """Elements in one chunk, for chunked storage."""
    compression: Compression = Compression.NONE


def compression(name: str) -> Compression:
    """Return the compression called ``name``; raises with the known names."""
    try:
        return Compression(name)
    except ValueError:
        known = ", ".join(repr(str(c)) for c in Compression)
        raise OptionError(f"compression={name!r} is unknown", details={"known": known}) from None


def chunk_bytes(wanted: Compression) -> int:
    """Return the chunk size in bytes, for arrays that are large enough."""
    return _RAW_BYTES if wanted is Compression.NONE else _PACKED_BYTES


def choose(shape: tuple[int, ...], itemsize: int, wanted: Compression) -> StorageChoice:
    """Choose the storage of an array.

    Large arrays are chunked along their first axis, because synapses are read by ranges of
    rows, in whole blocks, because a block is what is checked. An array whose entries are
    larger than a chunk lies in one piece.

    Parameters
    ----------
    shape : tuple of int
        Shape of the array; ``()`` for one value.
    itemsize : int
        Bytes of one element.
    wanted : Compression
        What the caller asked for.
    """
    size = math.prod(shape) * itemsize
    if size <= COMPACT_BYTES:
        return StorageChoice(StorageKind.COMPACT if size else StorageKind.CONTIGUOUS)
    block, entry = block_entries(itemsize, shape), size // shape[0]
    if not block or entry > _RAW_BYTES:
        return StorageChoice(StorageKind.CONTIGUOUS)
    chunk = block * max(1, chunk_bytes(wanted) // (block * entry))
    return StorageChoice(StorageKind.CHUNKED, min(shape[0], chunk), wanted)


_IN_FLIGHT = WORKERS + 1
Pack = Callable[[NDArray[Any]], list[Encoded]]
"""Compresses neighbouring chunks."""
TASK_BYTES = 2 << 20
"""Values that one task compresses: the longer it is, the less often threads wait for each other."""


class ChunkStream(Protocol):
    """A chunked dataset written from the first chunk to the last."""

    def grow(self, entries: int) -> None:
        """Extend the first axis; only for a dataset created ``growing``."""

    def put(self, start: int, values: NDArray[Any]) -> None:
        """Write the chunks from entry ``start`` on; only the last one may be shorter."""

    def finish(self) -> None:
        """Write the chunks that are still being compressed."""


def chunk_stream(
    parent: Any,
    link: str,
    dtype: np.dtype[Any],
    shape: tuple[int, ...],
    *,
    chunk: int,
    compression: Compression,
    pool: Executor,
    growing: bool = False,
) -> ChunkStream:
    """Create a chunked dataset and return its stream.

    Parameters
    ----------
    parent : h5py.h5g.GroupID
        Where it stands, under the name ``link``.
    chunk : int
        Entries of the first axis in one chunk.
    pool : Executor
        Where to compress.
    growing : bool
        Whether the first axis is made longer later.
    """
    longest = (None if growing else shape[0], *shape[1:])
    chunks = (chunk, *shape[1:])
    if compression in _PLUGINS:
        made = h5py.Group(parent).create_dataset(
            link, shape, dtype, chunks=chunks, maxshape=longest, **_plugin(compression)
        )
        if compression is Compression.FAST:
            return _PackedStream(made.id, chunks, pool, encode_fast)
        return _PluginStream(made)
    creation = h5p.create(h5p.DATASET_CREATE)
    creation.set_obj_track_times(False)
    creation.set_chunk(chunks)
    creation.set_fill_time(h5d.FILL_TIME_NEVER)
    if compression is not Compression.NONE:
        creation.set_shuffle()
        creation.set_deflate(1)
    space = h5s.create_simple(shape, (h5s.UNLIMITED if growing else shape[0], *shape[1:]))
    dataset = h5d.create(parent, link.encode(), h5.file_type(dtype), space, creation)
    if compression is Compression.NONE:
        return _RawStream(dataset, chunks)
    return _PackedStream(dataset, chunks, pool, partial(encode, always=compression is Compression.GZIP))


class _RawStream:
    """Chunks stored as they are, each handed to HDF5 at once: threads do not help writing."""

    def __init__(self, dataset: Any, chunks: tuple[int, ...]) -> None:
        self._dataset = dataset
        self._chunks = chunks

    def grow(self, entries: int) -> None:
        self._dataset.set_extent((entries, *self._chunks[1:]))

    def put(self, start: int, values: NDArray[Any]) -> None:
        step = self._chunks[0]
        for i in range(0, len(values), step):
            self._write(start + i, Encoded(_padded(values[i : i + step], self._chunks), 0))

    def finish(self) -> None:
        pass

    def _write(self, start: int, encoded: Encoded) -> None:
        place = (start, *(0 for _ in self._chunks[1:]))
        self._dataset.write_direct_chunk(place, encoded.data, encoded.filter_mask)


class _PackedStream(_RawStream):
    """Chunks compressed outside HDF5, some at a time, and a bounded number of them in flight."""

    def __init__(self, dataset: Any, chunks: tuple[int, ...], pool: Executor, pack: Pack) -> None:
        super().__init__(dataset, chunks)
        self._pool = pool
        self._at_once = max(1, TASK_BYTES // max(1, math.prod(chunks) * dataset.dtype.itemsize))
        self._pack = pack
        self._waiting: deque[tuple[int, Future[list[Encoded]]]] = deque()

    def put(self, start: int, values: NDArray[Any]) -> None:
        step = self._chunks[0]
        whole = len(values) // step * step
        for i in range(0, whole, self._at_once * step):
            some = values[i : min(whole, i + self._at_once * step)]
            self._submit(start + i, some.reshape(-1, math.prod(self._chunks)))
        if whole < len(values):
            self._submit(start + whole, _padded(values[whole:], self._chunks).reshape(1, -1))

    def finish(self) -> None:
        while self._waiting:
            self._write_first()

    def _submit(self, start: int, chunks: NDArray[Any]) -> None:
        self._waiting.append((start, self._pool.submit(self._pack, chunks)))
        if len(self._waiting) > _IN_FLIGHT:
            self._write_first()

    def _write_first(self) -> None:
        start, task = self._waiting.popleft()
        for number, chunk in enumerate(task.result()):
            self._write(start + number * self._chunks[0], chunk)


class _PluginStream:
    """Chunks that HDF5 compresses with a filter of the ``plugins`` extra."""

    def __init__(self, dataset: h5py.Dataset) -> None:
        self._dataset = dataset

    def grow(self, entries: int) -> None:
        self._dataset.resize(entries, axis=0)

    def put(self, start: int, values: NDArray[Any]) -> None:
        self._dataset[start : start + len(values)] = values

    def finish(self) -> None:
        pass


def _padded(values: NDArray[Any], shape: tuple[int, ...]) -> NDArray[Any]:
    """HDF5 stores whole chunks: the last one is filled up with zeros."""
    if len(values) == shape[0]:
        return np.ascontiguousarray(values)
    full = np.zeros(shape, values.dtype)
    full[: len(values)] = values
    return full


def _plugin(compression: Compression) -> Any:
    wanted = "hdf5plugin"
    try:
        import hdf5plugin

        if compression is Compression.FAST:
            wanted = "numcodecs"
            import numcodecs.blosc  # noqa: F401  (what packs the chunks)
    except ImportError as error:
        raise MissingExtraError(
            f"compression={str(compression)!r} needs the package {wanted}",
            details={"install": "pip install 'ann_ckpt[plugins]'"},
        ) from error
    return getattr(hdf5plugin, _PLUGINS[compression])()
