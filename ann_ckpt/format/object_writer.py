"""Writing an object: one dataset of a length that is not known beforehand, in a file of its own."""

from __future__ import annotations

import contextlib
import math
from concurrent.futures import Executor
from typing import Any

import numpy as np
from h5py import h5d, h5g
from numpy.typing import NDArray

from ann_ckpt.format import h5, layout
from ann_ckpt.format.bytes import NewFile
from ann_ckpt.format.chunking import CHUNKED_BYTES, Compression, chunk_bytes
from ann_ckpt.format.chunks import TASK_BYTES, ChunkStream, chunk_stream
from ann_ckpt.format.trailer import note, trailer_bytes

__all__ = ["ObjectWriter"]


class ObjectWriter:
    """Writes one object whose length is not known beforehand.

    Parameters
    ----------
    path : str
        A temporary file; making it durable and giving it its name is the caller's.
    dtype, entry : dtype, tuple of int
        Type of the values, and shape of one entry of the first axis.
    compression : Compression
        For its chunks.
    pool : Executor
        Where to compress.
    """

    def __init__(
        self,
        path: str,
        dtype: np.dtype[Any],
        entry: tuple[int, ...],
        *,
        compression: Compression,
        pool: Executor,
    ) -> None:
        self.path = path
        self._dtype = dtype
        self._entry = entry
        self._entry_bytes = max(1, math.prod(entry) * dtype.itemsize)
        self._chunk = max(1, chunk_bytes(compression) // self._entry_bytes)
        # Blocks that changed come in small pieces; they are gathered until they are worth a task.
        self._batch = self._chunk * max(1, TASK_BYTES // (self._chunk * self._entry_bytes))
        self._compression = compression
        self._pool = pool
        self._file: NewFile | None = None
        self._hdf5: Any = None
        self._stream: ChunkStream | None = None
        self._put = 0
        self._waiting: list[NDArray[Any]] = []

    def finish(self) -> None:
        """Complete the file and close it."""
        with contextlib.closing(self):
            file = self._begin()
            self._write_rest()
            noted = note(h5d.open(self._hdf5, layout.OBJECT_VALUES.encode()), layout.OBJECT_ROW, self.path)
            self._hdf5.close()
            if noted is not None:
                file.append(trailer_bytes([noted]))
        file.check()

    def close(self) -> None:
        """Close the file as it is."""
        if self._hdf5 is not None and self._hdf5.valid:
            self._hdf5.close()
        if self._file is not None:
            self._file.close()

    @property
    def entries(self) -> int:
        """Entries taken so far."""
        return self._put + self._n_waiting

    def append(self, values: NDArray[Any]) -> None:
        """Add entries at the end; ``values`` must not change until the object is finished."""
        file = self._begin()
        while len(values):
            room = self._batch - self._n_waiting
            self._waiting.append(values[:room])
            values = values[room:]
            if self._n_waiting == self._batch:
                self._stream = self._stream or self._create(0, growing=True)
                self._put_waiting(self._stream)
                file.check()

    def _begin(self) -> NewFile:
        """Return the file, made when the first entries come: who creates a writer must not touch the disk."""
        if self._file is None:
            self._file = NewFile(self.path)
            self._hdf5 = h5.create_file(self._file)
        return self._file

    @property
    def _n_waiting(self) -> int:
        return sum(map(len, self._waiting))

    def _put_waiting(self, stream: ChunkStream) -> None:
        values = self._waiting[0] if len(self._waiting) == 1 else np.concatenate(self._waiting)
        self._waiting = []
        stream.grow(self._put + len(values))
        stream.put(self._put, values)
        self._put += len(values)

    def _write_rest(self) -> None:
        """Write what fills no batch; an object smaller than a chunk is exactly as long as its values."""
        left = self._n_waiting
        if self._stream is None and left * self._entry_bytes < CHUNKED_BYTES:
            values = np.concatenate([np.empty((0, *self._entry), self._dtype), *self._waiting])
            h5.write_whole(self._root(), layout.OBJECT_VALUES, values, compact=False)
            return
        stream = self._stream or self._create(left, growing=False)
        if left:
            self._put_waiting(stream)
        stream.finish()

    def _create(self, length: int, *, growing: bool) -> ChunkStream:
        return chunk_stream(
            self._root(),
            layout.OBJECT_VALUES,
            self._dtype,
            (length, *self._entry),
            chunk=self._chunk if growing else min(length, self._chunk),
            compression=self._compression,
            pool=self._pool,
            growing=growing,
        )

    def _root(self) -> Any:
        root = h5g.open(self._hdf5, b"/")
        h5.write_attribute(root, layout.A_FORMAT, np.array(layout.OBJECT_FORMAT.encode()))
        return root
