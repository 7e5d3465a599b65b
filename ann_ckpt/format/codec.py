"""Chunks to bytes and back, outside HDF5 and its lock.

The streams are HDF5's own: the shuffle filter, then the deflate filter in zlib
format. ISA-L writes that format ten times faster than zlib at level 1. Whatever takes
long here releases the interpreter's lock, so a few threads use every core.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

import numpy as np
from isal import isal_zlib
from numpy.typing import NDArray

from ann_ckpt.errors import CorruptFileError
from ann_ckpt.format.deflate import patterned, zlib_stream

__all__ = ["ALL_SKIPPED", "DEFLATE", "SHUFFLE", "WORKERS", "Encoded", "Unpacked", "encode", "unpack"]

SHUFFLE = 2
"""HDF5's number of the shuffle filter."""
DEFLATE = 1
"""HDF5's number of the deflate filter."""
ALL_SKIPPED = 0b11
"""Filter mask of a chunk stored raw although shuffle and deflate are declared."""

WORKERS = min(8, os.cpu_count() or 1)
"""Threads that are worth having for the work of one file."""

_PAYS = 0.9
"""A chunk is kept compressed if that leaves at most this share of its bytes."""
_INFLATE_ERROR: Any = isal_zlib.error


@dataclass(frozen=True, slots=True)
class Encoded:
    """One chunk as HDF5 will store it."""

    data: bytes | NDArray[Any]
    filter_mask: int
    """Bit ``i`` set: filter ``i`` of the pipeline was not applied."""


def encode(chunks: NDArray[Any], *, always: bool) -> list[Encoded]:
    """Shuffle and deflate neighbouring chunks.

    Parameters
    ----------
    chunks : array, shape (n_chunks, ...)
        All elements of each chunk, C order.
    always : bool
        Compress even where it does not pay.
    """
    raw = np.ascontiguousarray(chunks).reshape(len(chunks), -1)
    lanes = raw.view(np.uint8).reshape(*raw.shape, raw.itemsize).transpose(0, 2, 1)
    shuffled = np.ascontiguousarray(lanes)
    worthwhile = patterned(shuffled)
    encoded = []
    for values, chunk in zip(raw, shuffled, strict=True):
        packed = zlib_stream(chunk, worthwhile)
        pays = always or len(packed) <= _PAYS * values.nbytes
        encoded.append(Encoded(packed, 0) if pays else Encoded(values, ALL_SKIPPED))
    return encoded


@dataclass(frozen=True, slots=True)
class Unpacked:
    """One chunk that was inflated; its bytes may still be shuffled."""

    data: bytes | bytearray | memoryview
    itemsize: int
    shuffled: bool

    def copy_to(self, out: NDArray[Any], *, start: int = 0) -> None:
        """Fill ``out``, shape ``(n,)``, with the elements from number ``start`` on; it has their type."""
        if self.shuffled:
            lanes = np.frombuffer(self.data, np.uint8).reshape(self.itemsize, -1)
            elements = out.view(np.uint8).reshape(-1, self.itemsize)
            # A ufunc goes along the lanes, where an assignment would jump between them at every byte;
            # and it is one call, during which other threads have Python for themselves.
            np.positive(lanes[:, start : start + len(out)], out=elements.T)
        else:
            out[...] = np.frombuffer(self.data, out.dtype)[start : start + len(out)]


def unpack(
    data: bytes | bytearray | memoryview,
    filters: tuple[int, ...],
    filter_mask: int,
    *,
    count: int,
    itemsize: int,
) -> Unpacked:
    """Inflate one chunk, whole.

    Parameters
    ----------
    data : bytes-like
        The chunk as stored.
    filters : tuple of int
        HDF5 filter numbers in the order of writing: shuffle, deflate or both, in this order.
    filter_mask : int
        Bit ``i`` set: filter ``i`` was skipped for this chunk.
    count, itemsize : int
        How many elements the chunk has, and bytes of each.

    Raises
    ------
    CorruptFileError
        If the bytes do not inflate to exactly that much.
    """
    expected = count * itemsize
    applied = [f for i, f in enumerate(filters) if not filter_mask >> i & 1]
    if DEFLATE in applied:
        data = _inflate(data, expected)
    if len(data) != expected:
        raise CorruptFileError(f"a chunk holds {len(data)} bytes instead of {expected}")
    return Unpacked(data, itemsize, SHUFFLE in applied)


def _inflate(data: bytes | bytearray | memoryview, expected: int) -> bytes:
    stream: Any = isal_zlib.decompressobj()
    try:
        # Bounded: a stream that claims more than the chunk holds must not be believed.
        out: bytes = stream.decompress(data, expected + 1)
        whole = len(out) == expected and (stream.eof or not stream.decompress(stream.unconsumed_tail, 1))
    except _INFLATE_ERROR as error:
        raise CorruptFileError(f"a chunk does not inflate: {error}") from error
    if not (whole and stream.eof):
        raise CorruptFileError(f"a chunk does not inflate to {expected} bytes")
    return out
