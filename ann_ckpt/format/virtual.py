"""Looks at the metadata of a dataset before HDF5 opens it, and refuses what HDF5 would read for ever.

HDF5 keeps the sources of a virtual dataset in a global heap, which has no checksum, and walks the heap
when it opens the dataset. A length of 0 in that list makes it stay where it is.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any

from ann_ckpt.errors import CorruptFileError
from ann_ckpt.format.bytes import Bytes

__all__ = ["check_heap", "heap_of"]

_LAYOUT, _CONTINUATION = 8, 16
"""Kinds of messages in an object header."""
_VIRTUAL = 3
"""A class of layouts."""
_MOST_BLOCKS = 64
"""Of one header; HDF5 starts another where a message no longer fits."""
_HEAD = 16
"""Bytes before the objects of a heap, and before each object."""


def heap_of(file: Bytes, parent: Any, link: bytes) -> int | None:
    """Return where the sources of a virtual dataset lie; None for other datasets, which have none.

    Parameters
    ----------
    file : Bytes
        What HDF5 reads.
    parent : h5py.h5g.GroupID
    link : bytes
        A hard link to the dataset.

    Raises
    ------
    CorruptFileError
        If its header cannot be read.
    """
    try:
        for kind, message in _messages(file, parent.links.get_info(link).u):
            if kind == _LAYOUT and message[0] >= 3 and message[1] == _VIRTUAL:
                return int(struct.unpack_from("<Q", message, 2)[0])
    except (struct.error, IndexError):
        raise CorruptFileError("the header of an object is damaged") from None
    return None


def check_heap(file: Bytes, address: int) -> None:
    """Raise if the objects of a global heap do not follow one another to its end.

    Raises
    ------
    CorruptFileError
        If they do not, or there is none.
    """
    head = file.read(address, _HEAD)
    size = struct.unpack_from("<Q", head, 8)[0] if len(head) == _HEAD and head[:5] == b"GCOL\x01" else 0
    if not _HEAD <= size <= file.size - address:
        raise CorruptFileError("the sources of a virtual dataset are missing")
    heap, at = file.read(address, size), _HEAD
    while size - at >= _HEAD:
        number, length = struct.unpack_from("<H6xQ", heap, at)
        # Number 0 is what is free, with its own head.
        step = length if number == 0 else _HEAD + -(-length // 8) * 8
        if not _HEAD <= step <= size - at:
            raise CorruptFileError("the sources of a virtual dataset are damaged")
        at += step


def _messages(file: Bytes, address: int) -> Iterator[tuple[int, bytes]]:
    """Yield kind and content of each message in an object header, of either version."""
    head = file.read(address, 64)
    tracked = 0
    if head[:4] == b"OHDR":
        flags, begin = head[5], 6
        begin += 16 * bool(flags & 0x20) + 4 * bool(flags & 0x10)
        width = 1 << (flags & 3)
        size = int.from_bytes(head[begin : begin + width], "little")
        blocks = [(address + begin + width, size)]
        tracked, prefix = 2 * bool(flags & 4), 4
    else:
        blocks, prefix = [(address + 16, struct.unpack_from("<I", head, 8)[0])], 8
    for number, (start, size) in enumerate(blocks):
        if number == _MOST_BLOCKS or not 0 <= size <= file.size - start:
            raise CorruptFileError("the header of an object is damaged")
        block, at = file.read(start, size), 0
        while size - at >= prefix + tracked:
            kind, length = struct.unpack_from("<BH" if prefix == 4 else "<HH", block, at)
            at += prefix + tracked
            message = block[at : at + length]
            if kind == _CONTINUATION:
                place, extent = struct.unpack_from("<QQ", message)
                # Of version 2 they begin with a signature, and end with a checksum.
                blocks.append((place, extent) if prefix == 8 else (place + 4, extent - 8))
            yield kind, message
            at += length
