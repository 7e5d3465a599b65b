"""Compresses and decompresses chunks outside HDF5 and its global lock.

The streams are HDF5's own: the shuffle filter, then the deflate filter in zlib
format. ISA-L writes that format ten times faster than zlib at level 1. Blosc's filter is there
on request. Whatever takes long here releases the interpreter's lock, so a few threads use every core.
"""

from __future__ import annotations

import os
import struct
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import numpy as np
from isal import isal_zlib
from numpy.typing import NDArray

from ann_ckpt.errors import CorruptFileError

__all__ = [
    "ALL_SKIPPED",
    "BLOSC",
    "DEFLATE",
    "SHUFFLE",
    "WORKERS",
    "Encoded",
    "Unpacked",
    "decodes",
    "encode",
    "encode_fast",
    "patterned",
    "unpack",
    "unpack_into",
    "zlib_stream",
]

_LEVEL = 1
_RAW_DEFLATE = -15
_HEADER = b"\x78\x01"
_LAST_BLOCK = b"\x01\x00\x00\xff\xff"
"""A final stored block of no bytes."""
_STORED_BYTES = 0xFFFF
"""More does not fit into one stored block."""
_SHORT = 2048
"""Lanes of fewer bytes are deflated without a look."""
_SAMPLE = 256
"""So many bytes of a lane are looked at, or a few more."""
_DISTINCT = 138
"""Of 256 random bytes about 162 are distinct, hardly ever fewer than 140; of 171 about 124."""
_REPEAT = 8
"""So many bytes stand twice in a lane of noise about once in 10 billion lanes."""


def zlib_stream(lanes: NDArray[np.uint8], worthwhile: Sequence[bool]) -> bytes:
    """Return a zlib stream that inflates to ``lanes``, lane after lane.

    Parameters
    ----------
    lanes : array, shape (itemsize, n), C-contiguous
        First bytes of all elements, then all second bytes, ...
    worthwhile : sequence of itemsize bool
        Which lanes to deflate; the others are stored.
    """
    whole = lanes.reshape(-1).data
    parts: list[bytes | memoryview] = [_HEADER]
    start = 0
    for deflated, run in groupby(worthwhile):
        stop = start + len(list(run)) * lanes.shape[1]
        if deflated:
            stream: Any = isal_zlib.compressobj(_LEVEL, isal_zlib.DEFLATED, _RAW_DEFLATE)
            parts += [stream.compress(whole[start:stop]), stream.flush(isal_zlib.Z_SYNC_FLUSH)]
        else:
            parts += _stored(whole[start:stop])
        start = stop
    parts += [_LAST_BLOCK, isal_zlib.adler32(whole).to_bytes(4, "big")]
    return b"".join(parts)


def patterned(chunks: NDArray[np.uint8]) -> list[bool]:
    """Return for each byte lane whether deflate may compress it.

    Looking at every lane of every chunk takes as long as deflating, and neighbours are
    alike: so bytes are taken from all over, and a repetition is looked for in one chunk.

    Parameters
    ----------
    chunks : array, shape (n_chunks, itemsize, n)
        The lanes of neighbouring chunks.
    """
    count, lanes, length = chunks.shape
    if length < _SHORT:
        return [True] * lanes
    sample = chunks[:, :, :: max(1, count * length // _SAMPLE)]
    return [
        len(set(sample[:, lane].tobytes())) < _DISTINCT or _repeats(chunks[count // 2, lane].tobytes())
        for lane in range(lanes)
    ]


def _repeats(lane: bytes) -> bool:
    """Whether some bytes from the middle of a lane come again."""
    place = len(lane) // 3
    return lane.find(lane[place : place + _REPEAT], place + 1) >= 0


def _stored(data: memoryview) -> Iterator[bytes | memoryview]:
    for start in range(0, len(data), _STORED_BYTES):
        block = data[start : start + _STORED_BYTES]
        yield struct.pack("<BHH", 0, len(block), len(block) ^ _STORED_BYTES)
        yield block


SHUFFLE = 2
"""HDF5's number of the shuffle filter."""
DEFLATE = 1
"""HDF5's number of the deflate filter."""
BLOSC = 32001
"""The number of Blosc's filter, of the ``plugins`` extra."""
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
    worthwhile = patterned(lanes)
    if not (always or any(worthwhile)):
        return [Encoded(values, ALL_SKIPPED) for values in raw]
    # As in `copy_to`: a ufunc goes along the lanes, which takes three fifths of the time of a copy.
    shuffled = np.positive(lanes, out=np.empty(lanes.shape, np.uint8))
    encoded = []
    for values, chunk in zip(raw, shuffled, strict=True):
        packed = zlib_stream(chunk, worthwhile)
        pays = always or len(packed) <= _PAYS * values.nbytes
        encoded.append(Encoded(packed, 0) if pays else Encoded(values, ALL_SKIPPED))
    return encoded


_FAST_LEVEL = 5
_BIT_BYTES = 4
"""Of elements up to this size, bits of equal weight are put side by side: smaller by 3 % and as fast. Of
larger ones bytes, which takes half the time."""
_BLOSC_HEAD = struct.Struct("<4B3I")


def encode_fast(chunks: NDArray[Any]) -> list[Encoded]:
    """Shuffle and compress neighbouring chunks with LZ4 in Blosc's frame.

    Parameters
    ----------
    chunks : array, shape (n_chunks, ...)
        All elements of each chunk, C order.
    """
    blosc = _blosc()
    raw = np.ascontiguousarray(chunks).reshape(len(chunks), -1)
    elements = raw.view(f"u{raw.itemsize}" if raw.itemsize in (1, 2, 4, 8) else "u1")
    by_bits = raw.itemsize <= _BIT_BYTES and raw.shape[1] % 8 == 0  # else it would leave them as they are
    shuffle = blosc.BITSHUFFLE if by_bits else blosc.SHUFFLE
    encoded = []
    with _on_this_thread(blosc):
        for values, chunk in zip(raw, elements, strict=True):
            packed = blosc.compress(chunk, b"lz4", _FAST_LEVEL, shuffle)
            smaller = len(packed) < values.nbytes
            encoded.append(Encoded(packed, 0) if smaller else Encoded(values, 1))
    return encoded


def _blosc() -> Any:
    """Return the module; raises as Python does where the ``plugins`` extra is missing."""
    from numcodecs import blosc

    return blosc


@contextmanager
def _on_this_thread(blosc: Any) -> Iterator[None]:
    """Keep Blosc from starting threads, which it does for the main thread: they would hinder a fork."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before, blosc.use_threads = blosc.use_threads, False
    try:
        yield
    finally:
        blosc.use_threads = before


def decodes(filters: tuple[int, ...]) -> bool:
    """Whether :func:`unpack` takes chunks with these filters; for Blosc's it needs the ``plugins`` extra."""
    if filters != (BLOSC,):
        return set(filters) <= {SHUFFLE, DEFLATE}
    try:
        _blosc()
    except ImportError:
        return False
    return True


@dataclass(frozen=True, slots=True)
class Unpacked:
    """One decompressed chunk; its bytes may still be shuffled."""

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
    """Decompress one whole chunk.

    Parameters
    ----------
    data : bytes-like
        The chunk as stored.
    filters : tuple of int
        HDF5 filter numbers in the order of writing: shuffle, deflate or both, in this order; or Blosc.
    filter_mask : int
        Bit ``i`` set: filter ``i`` was skipped for this chunk.
    count, itemsize : int
        How many elements the chunk has, and bytes of each.

    Raises
    ------
    CorruptFileError
        If the bytes do not decompress to exactly that much.
    """
    expected = count * itemsize
    applied = [f for i, f in enumerate(filters) if not filter_mask >> i & 1]
    if DEFLATE in applied:
        data = _inflate(data, expected)
    if BLOSC in applied:
        packed, data = data, bytearray(expected)
        _from_blosc([(packed, np.frombuffer(data, np.uint8))])
    if len(data) != expected:
        raise CorruptFileError(f"a chunk holds {len(data)} bytes instead of {expected}")
    return Unpacked(data, itemsize, SHUFFLE in applied)


def unpack_into(
    chunks: Sequence[tuple[memoryview, int, NDArray[Any]]],
    filters: tuple[int, ...],
) -> None:
    """Decompress whole chunks to where their elements belong.

    Parameters
    ----------
    chunks : sequence of (bytes-like, int, array)
        Each as stored, its filter mask, and an array of shape ``(n,)`` that it fills; see :func:`unpack`.
    filters : tuple of int
        As for :func:`unpack`.
    """
    if filters != (BLOSC,):
        for data, mask, out in chunks:
            unpack(data, filters, mask, count=len(out), itemsize=out.itemsize).copy_to(out)
        return
    _from_blosc([(data, out.view(np.uint8)) for data, _, out in chunks])


def _inflate(data: bytes | bytearray | memoryview, expected: int) -> bytes:
    stream: Any = isal_zlib.decompressobj()
    try:
        # Bounded: a stream that claims more than the chunk holds must not be believed.
        out: bytes = stream.decompress(data, expected + 1)
        whole = len(out) == expected and (stream.eof or not stream.decompress(stream.unconsumed_tail, 1))
    except _INFLATE_ERROR as error:
        raise CorruptFileError(f"a chunk cannot be decompressed: {error}") from error
    if not (whole and stream.eof):
        raise CorruptFileError(f"a chunk does not decompress to {expected} bytes")
    return out


def _from_blosc(chunks: Sequence[tuple[bytes | bytearray | memoryview, NDArray[np.uint8]]]) -> None:
    """Decompress chunks, one call directly after the other: others wait for Python in between."""
    for data, out in chunks:
        sizes = _BLOSC_HEAD.unpack_from(data)[4:] if len(data) >= _BLOSC_HEAD.size else (0, 0, 0)
        if (sizes[0], sizes[2]) != (out.size, len(data)):
            raise CorruptFileError(f"a chunk does not decompress to {out.size} bytes")
    blosc = _blosc()
    decompress = blosc.decompress
    try:
        with _on_this_thread(blosc):
            for data, out in chunks:
                decompress(data, out)
    except (RuntimeError, ValueError) as error:
        raise CorruptFileError(f"a chunk cannot be decompressed: {error}") from error
