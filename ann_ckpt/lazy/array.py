"""An array in a checkpoint file."""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ann_ckpt.errors import ClosedCheckpointError, printable
from ann_ckpt.format import layout
from ann_ckpt.format.checked import CheckedArray, SharedReader
from ann_ckpt.format.dataset import Storage
from ann_ckpt.format.reader import FileReader
from ann_ckpt.report import human_bytes

__all__ = [
    "LazyArray",
]


class LazyArray:
    """An array in a checkpoint: slices read their bytes, ``numpy.asarray`` reads it whole.

    Whatever is read was compared with a digest first: the blocks that a slice touches are
    read and checked whole. Only slices of large arrays in files of format 1.0 and 1.1 are not.
    """

    def __init__(self, reader: FileReader, path: str) -> None:
        self._reader = reader
        self._path = path

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
        self._check_open()
        if self._reader.index[self._path].encoding != layout.E_SHARED:
            return None
        array = self._reader.layout_of(self._path)
        return array.block_starts, array.blocks

    def __len__(self) -> int:
        if not self.shape:
            raise TypeError("a scalar has no length")
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

    def _read(self, start: int, stop: int) -> NDArray[Any]:
        self._check_open()
        with self._reader.reporting_corruption(self._path):
            return self._stored.read(start, stop)

    def _check_open(self) -> None:
        if self._reader.closed:
            raise ClosedCheckpointError("the checkpoint is closed", where=self._reader.where(self._path))
