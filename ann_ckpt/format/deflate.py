"""Byte lanes to one zlib stream: deflated where that finds something, stored where it does not.

After the shuffle filter, floating-point values are a few lanes full of pattern (signs,
exponents, zeros) and several of noise. Deflate gains nothing on noise and spends most of
its time there, on the way out and again on the way back. A stream may mix compressed and
stored blocks as it likes (RFC 1951, section 3.2), so each lane gets the kind that suits
it, and everything that reads zlib streams reads the result.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any

import numpy as np
from isal import isal_zlib
from numpy.typing import NDArray

__all__ = ["patterned", "zlib_stream"]

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
    """Say of each byte lane whether deflate may find something in it.

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
