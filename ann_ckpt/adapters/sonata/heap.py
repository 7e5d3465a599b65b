"""Reads attributes that hold a text of variable length, without HDF5.

Such a text lies in a global heap, which HDF5 walks without looking where that ends: a length of 0 makes it
stay where it is.
"""

from __future__ import annotations

import struct
from typing import Any

from h5py import h5o

from ann_ckpt.errors import CorruptFileError, printable
from ann_ckpt.format.bytes import Bytes
from ann_ckpt.format.guard import Sources, messages
from ann_ckpt.format.virtual import heap_object

__all__ = ["read_text"]

_ATTRIBUTE = 12
"""A kind of messages in an object header."""


def read_text(file: Bytes, owner: Any, name: str) -> str:
    """Return the one text of variable length that an attribute holds.

    Parameters
    ----------
    file : Bytes
        What HDF5 reads.
    owner : h5py.h5g.GroupID or h5py.h5d.DatasetID
        An open object.
    name : str
        Of an attribute with a type of that kind.

    Raises
    ------
    CorruptFileError
        If the text is not where HDF5 keeps those of an object with few attributes.
    """
    noun = f"the values of attribute {printable(name)!r}"
    try:
        for kind, message in messages(file, h5o.get_info(owner).addr):
            value = _value(message, name.encode()) if kind == _ATTRIBUTE else None
            if value is not None:
                length, heap, number = struct.unpack_from("<IQI", value)
                found = heap_object(file, Sources(heap, number), noun) if length else b""
                if len(found) < length:
                    raise CorruptFileError(f"{noun} are missing")
                return found[:length].partition(b"\0")[0].decode()
    except (struct.error, IndexError):
        raise CorruptFileError("the header of an object is damaged") from None
    raise CorruptFileError(f"{noun} are not in the header of their object")


def _value(message: bytes, name: bytes) -> bytes | None:
    """Return what an attribute holds; None for an attribute of another name."""
    version, *sizes = struct.unpack_from("<BxHHH", message)
    at, places = 8 + (version == 3), []
    for size in sizes:  # of the name, of the type, of the shape
        places.append(message[at : at + size])
        at += -(-size // 8) * 8 if version == 1 else size
    return message[at:] if places[0].partition(b"\0")[0] == name else None
