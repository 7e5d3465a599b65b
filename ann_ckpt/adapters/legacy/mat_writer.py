"""Writes MATLAB 5 files that MATLAB, Octave and scipy can read with every name.

scipy's own writer counts characters where Octave counts bytes, so that names beyond
ASCII lose their ends there. Texts are written as UTF-16 here, which all three read.
The format is that of "MAT-File Format", The MathWorks, chapter 1.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Sequence
from itertools import pairwise
from typing import Any, BinaryIO, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ann_ckpt.adapters.legacy.tables import SynapseRows
from ann_ckpt.errors import StateError, printable

__all__ = ["write_matlab"]

_HEADER: Final = b"MATLAB 5.0 MAT-file, written by ann_ckpt".ljust(116) + bytes(8) + b"\x00\x01IM"
_INT8, _INT32, _UINT32, _MATRIX, _UTF16 = 1, 5, 6, 14, 17
_CELL, _STRUCT, _CHAR = 1, 2, 4
_LOGICAL = 0x0200
# numpy's kind and size -> class of the array, type of its elements
_NUMBERS: Final = {
    "f8": (6, 9), "f4": (7, 7), "i1": (8, 1), "u1": (9, 2), "i2": (10, 3), "u2": (11, 4),
    "i4": (12, 5), "u4": (13, 6), "i8": (14, 12), "u8": (15, 13), "b1": (9, 2),
}  # fmt: skip
_FIELD = 64
_NAME: Final = re.compile(r"[A-Za-z]\w{0,62}", re.ASCII)
_SMALL = 4
_LARGEST = (1 << 32) - 1

Pieces: TypeAlias = "list[bytes | memoryview]"
"""Consecutive bytes, not joined."""


def write_matlab(table: dict[str, Any], file: BinaryIO) -> None:
    """Write a table as the variables of a MATLAB 5 file.

    A variable is called like the object as far as MATLAB's rules for names allow; its
    field ``name`` holds the true name.

    Parameters
    ----------
    table : dict
        As :func:`~ann_ckpt.adapters.legacy.tables.network_table` makes it.
    file : binary file
        Open for writing.

    Raises
    ------
    StateError
        If an attribute's name is none in MATLAB, or an object exceeds 4 GiB.
    """
    file.write(_HEADER)
    taken: set[str] = set()
    for key, entry in table.items():
        name = _identifier(key, taken)
        taken.add(name)
        file.writelines(_matrix(entry, name))


def _identifier(name: str, taken: set[str]) -> str:
    """Return a name that MATLAB accepts and no other object has yet."""
    plain = re.sub(r"\W", "_", name, flags=re.ASCII)
    stem = (plain if _NAME.match(plain) else f"x{plain}")[:50]
    found, count = stem, 1
    while found in taken:
        count += 1
        found = f"{stem}_{count}"
    return found


def _matrix(value: Any, name: str = "") -> Pieces:
    """Return one array of any class as pieces of bytes, tag included."""
    if isinstance(value, dict):
        return _struct(value, name)
    if isinstance(value, str):
        return _text(value, name)
    if isinstance(value, SynapseRows):
        return _rows(value, name)
    if isinstance(value, list) and (not value or isinstance(value[0], str)):
        return _cells(value, name)
    array = np.asarray(value)
    return _numbers(array.reshape(1, -1) if array.ndim < 2 else array, name)


def _struct(table: dict[str, Any], name: str) -> Pieces:
    for key in table:
        if not _NAME.fullmatch(key):
            raise StateError(f"{printable(key)!r} is not a valid MATLAB name; use another format")
    width = _element(_INT32, struct.pack("<i", _FIELD))
    fields = _element(_INT8, b"".join(key.encode().ljust(_FIELD, b"\0") for key in table))
    children = [piece for entry in table.values() for piece in _matrix(entry)]
    return _wrapped(_STRUCT, (1, 1), name, [width, fields, *children])


def _cells(values: Sequence[Any], name: str) -> Pieces:
    children = [piece for value in values for piece in _matrix(value)]
    return _wrapped(_CELL, (1, len(values)), name, children)


def _text(value: str, name: str) -> Pieces:
    data = value.encode("utf-16-le")
    return _wrapped(_CHAR, (1 if value else 0, len(data) // 2), name, [_element(_UTF16, data)])


def _rows(rows: SynapseRows, name: str) -> Pieces:
    """Return a matrix if all rows are equally long, else a cell for each row."""
    blocks = list(rows.blocks())
    if rows.width is not None:
        values = np.concatenate([values for _, values in blocks])
        return _numbers(values.reshape(-1, rows.width), name)
    parts = [
        values[start:stop].reshape(1, -1)
        for bounds, values in blocks
        for start, stop in pairwise(bounds.tolist())
    ]
    return _cells(parts, name)


def _numbers(array: NDArray[Any], name: str) -> Pieces:
    form, kind = _NUMBERS[array.dtype.str[1:]]
    flags = form | _LOGICAL if array.dtype.kind == "b" else form
    little = np.asfortranarray(array, array.dtype.newbyteorder("<"))
    data = little.reshape(-1, order="F").view(np.uint8).data
    padding = bytes(-len(data) % 8)
    return _wrapped(flags, array.shape, name, [_tag(kind, len(data)), data, padding])


def _wrapped(flags: int, dims: Sequence[int], name: str, content: Pieces) -> Pieces:
    head = _element(_UINT32, struct.pack("<II", flags, 0))
    size = _element(_INT32, struct.pack(f"<{len(dims)}i", *dims))
    pieces: Pieces = [head, size, _element(_INT8, name.encode()), *content]
    return [_tag(_MATRIX, sum(map(len, pieces))), *pieces]


def _element(kind: int, data: bytes) -> bytes:
    if 0 < len(data) <= _SMALL:
        # Not a matter of taste: Octave expects short data inside the tag.
        return struct.pack("<HH", kind, len(data)) + data.ljust(_SMALL, b"\0")
    return _tag(kind, len(data)) + data + bytes(-len(data) % 8)


def _tag(kind: int, size: int) -> bytes:
    if size > _LARGEST:
        raise StateError("a MATLAB 5 file holds at most 4 GiB for each object; .h5 has no such limit")
    return struct.pack("<II", kind, size)
