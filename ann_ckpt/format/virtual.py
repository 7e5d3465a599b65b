"""Checks the sources of a virtual dataset before HDF5 opens it, for HDF5 may not come back from that.

HDF5 keeps the sources of a virtual dataset in a global heap, and walks the heap when it opens the dataset.
The heap has no checksum, and a length of 0 in it makes HDF5 stay where it is. The sources have one, but some
of what is wrong with them makes HDF5 crash before it looks at that.
"""

from __future__ import annotations

import struct

from ann_ckpt.errors import CorruptFileError
from ann_ckpt.format.bytes import Bytes
from ann_ckpt.format.guard import Sources

__all__ = ["check_sources", "heap_object", "lookup3"]

_MASK = 0xFFFFFFFF
_HEAD = 16
"""Bytes before the objects of a heap, and before each object."""


def check_sources(file: Bytes, place: Sources) -> None:
    """Raise if the sources of a virtual dataset are not what was written.

    Raises
    ------
    CorruptFileError
        If they are not there, do not have their checksum, or something else is wrong in their heap.
    """
    found = heap_object(file, place, "the sources of a virtual dataset")
    if len(found) < 4 or lookup3(found[:-4]) != int.from_bytes(found[-4:], "little"):
        raise CorruptFileError("checksum mismatch in the sources of a virtual dataset")


def heap_object(file: Bytes, place: Sources, noun: str) -> bytes:
    """Return an object of a global heap; empty if the heap has none of this number.

    Parameters
    ----------
    noun : str
        What it is, for messages.

    Raises
    ------
    CorruptFileError
        If the heap is not there, or something is wrong with any object in it.
    """
    head = file.read(place.heap, _HEAD)
    size = struct.unpack_from("<Q", head, 8)[0] if len(head) == _HEAD and head[:5] == b"GCOL\x01" else 0
    if not _HEAD <= size <= file.size - place.heap:
        raise CorruptFileError(f"{noun} are missing")
    heap, at, found = file.read(place.heap, size), _HEAD, b""
    while size - at >= _HEAD:
        number, length = struct.unpack_from("<H6xQ", heap, at)
        # Number 0 is what is free, with its own head.
        step = length if number == 0 else _HEAD + -(-length // 8) * 8
        if not _HEAD <= step <= size - at:
            raise CorruptFileError(f"the heap with {noun} is damaged")
        if number == place.number:
            found = heap[at + _HEAD : at + _HEAD + length]
        at += step
    return found


def lookup3(data: bytes) -> int:
    """Return the checksum that HDF5 has for its metadata: ``hashlittle`` of Bob Jenkins' lookup3."""
    a = b = c = (0xDEADBEEF + len(data)) & _MASK
    words = struct.unpack(f"<{-(-len(data) // 12) * 3}I", data + bytes(-len(data) % 12))
    for at in range(0, len(words), 3):
        a, b, c = (a + words[at]) & _MASK, (b + words[at + 1]) & _MASK, (c + words[at + 2]) & _MASK
        if at + 3 < len(words):
            for bits in (4, 6, 8, 16, 19, 4):
                a, c = (a - c & _MASK) ^ _rotated(c, bits), c + b & _MASK
                a, b, c = b, c, a
    if data:
        for bits in (14, 11, 25, 16, 4, 14, 24):
            a, b, c = b, (c ^ b) - _rotated(b, bits) & _MASK, a
        return b
    return c


def _rotated(value: int, bits: int) -> int:
    return (value << bits | value >> 32 - bits) & _MASK
