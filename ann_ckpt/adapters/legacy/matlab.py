"""Reads and writes MATLAB 5 files.

Read: every tag is checked before scipy parses the file. Written: files that MATLAB,
Octave and scipy can read with every name. scipy's own writer counts characters where
Octave counts bytes, so that names beyond ASCII lose their ends there. Texts are written
as UTF-16 here, which all three read. The format is that of "MAT-File Format", The
MathWorks, chapter 1.
"""

from __future__ import annotations

import io
import math
import re
import struct
import warnings
import zlib
from collections.abc import Sequence
from itertools import pairwise
from typing import Any, BinaryIO, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ann_ckpt.adapters.legacy.streams import Budget, PlainStream, read_exactly
from ann_ckpt.adapters.legacy.tables import SynapseRows
from ann_ckpt.adapters.legacy.values import NumberRows, Table, Value, array_value, assemble
from ann_ckpt.errors import CorruptFileError, StateError, UnsafeFileError, printable

__all__ = [
    "checked_bytes",
    "read_matlab",
    "write_matlab",
]

_HEADER: Final = b"MATLAB 5.0 MAT-file, written by ann_ckpt".ljust(116) + bytes(8) + b"\x00\x01IM"
_INT8, _INT32, _UINT32, _MATRIX, _UTF16 = 1, 5, 6, 14, 17
_CELL, _STRUCT, _CHAR = 1, 2, 4
_LOGICAL = 0x0200
# numpy's kind and size -> class of the array, type of its elements
_NUMBER_TYPES: Final = {
    "f8": (6, 9), "f4": (7, 7), "i1": (8, 1), "u1": (9, 2), "i2": (10, 3), "u2": (11, 4),
    "i4": (12, 5), "u4": (13, 6), "i8": (14, 12), "u8": (15, 13), "b1": (9, 2),
}  # fmt: skip
_FIELD = 64
_NAME: Final = re.compile(r"[A-Za-z]\w{0,62}", re.ASCII)
_SMALL = 4
_LARGEST = (1 << 32) - 1

_Pieces: TypeAlias = "list[bytes | memoryview]"
"""Consecutive parts of a file, in order."""


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
        If an attribute's name is not a valid MATLAB name, or an object exceeds 4 GiB.
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


def _matrix(value: Any, name: str = "") -> _Pieces:
    """Return one array of any class as pieces of bytes, tag included."""
    if isinstance(value, dict):
        return _struct(value, name)
    if isinstance(value, str):
        return _text(value, name)
    if isinstance(value, SynapseRows):
        return _rows(value, name)
    if isinstance(value, list) and (not value or isinstance(value[0], str)):
        return _cells(value, name)
    large = isinstance(value, list) and any(type(n) is int and n >= 2**63 for n in value)
    array = np.asarray(value, np.uint64 if large else None)  # or numpy had floats for them
    return _numbers(array.reshape(1, -1) if array.ndim < 2 else array, name)


def _struct(table: dict[str, Any], name: str) -> _Pieces:
    for key in table:
        if not _NAME.fullmatch(key):
            raise StateError(f"{printable(key)!r} is not a valid MATLAB name; use another format")
    width = _element(_INT32, struct.pack("<i", _FIELD))
    fields = _element(_INT8, b"".join(key.encode().ljust(_FIELD, b"\0") for key in table))
    children = [piece for entry in table.values() for piece in _matrix(entry)]
    return _wrapped(_STRUCT, (1, 1), name, [width, fields, *children])


def _cells(values: Sequence[Any], name: str) -> _Pieces:
    children = [piece for value in values for piece in _matrix(value)]
    return _wrapped(_CELL, (1, len(values)), name, children)


def _text(value: str, name: str) -> _Pieces:
    data = value.encode("utf-16-le")
    return _wrapped(_CHAR, (1 if value else 0, len(data) // 2), name, [_element(_UTF16, data)])


def _rows(rows: SynapseRows, name: str) -> _Pieces:
    """Return a matrix if all rows are equally long, else a cell for each row."""
    blocks = list(rows.blocks())
    if rows.width is not None:
        values = np.concatenate([values for _, values in blocks])
        return _numbers(values.reshape(rows.row_ptr.size - 1, rows.width), name)
    parts = [
        values[start:stop].reshape(1, -1)
        for bounds, values in blocks
        for start, stop in pairwise(bounds.tolist())
    ]
    return _cells(parts, name)


def _numbers(array: NDArray[Any], name: str) -> _Pieces:
    form, kind = _NUMBER_TYPES[array.dtype.str[1:]]
    flags = form | _LOGICAL if array.dtype.kind == "b" else form
    little = np.asfortranarray(array, array.dtype.newbyteorder("<"))
    data = little.reshape(-1, order="F").view(np.uint8).data
    padding = bytes(-len(data) % 8)
    return _wrapped(flags, array.shape, name, [_tag(kind, len(data)), data, padding])


def _wrapped(flags: int, dims: Sequence[int], name: str, content: _Pieces) -> _Pieces:
    head = _element(_UINT32, struct.pack("<II", flags, 0))
    size = _element(_INT32, struct.pack(f"<{len(dims)}i", *dims))
    pieces: _Pieces = [head, size, _element(_INT8, name.encode()), *content]
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


_HEADER_BYTES = 128
_COMPRESSED = 15
_BYTES_OF: Final = {1: 1, 2: 1, 3: 2, 4: 2, 5: 4, 6: 4, 7: 4, 9: 8, 12: 8, 13: 8, 16: 1, 17: 2, 18: 4}
_NUMBERS: Final = range(6, 16)
_COMPLEX = 0x08
_MAX_AXES = 32
_PIECE = 1 << 20
_WIDEST = 8
"""Bytes that one number takes once it is read, however few it has in the file."""


def checked_bytes(data: bytes, budget: Budget) -> bytes:
    """Return the file with its compressed elements inflated, every tag checked.

    Raises
    ------
    UnsafeFileError
        If it holds what numbers and texts do not need, or grows beyond its cap.
    CorruptFileError
        If lengths and dimensions do not agree.
    """
    if data[116:124].strip(b" \0"):
        raise UnsafeFileError("the MATLAB file has a section for MATLAB's own objects")
    order = "<" if data[126:128] == b"IM" else ">"
    plain = _inflated(data, order, budget)
    _Walk(plain, order, budget).file()
    return plain


def _inflated(data: bytes, order: str, budget: Budget) -> bytes:
    pieces = [data[:_HEADER_BYTES]]
    size, at = _HEADER_BYTES, _HEADER_BYTES
    cap = budget.limits.inflated_from(len(data))
    compressed = False
    while at < len(data):
        if at + 8 > len(data):
            raise CorruptFileError("the MATLAB file is truncated")
        kind, length = struct.unpack_from(f"{order}II", data, at)
        end = at + 8 + length
        if end > len(data):
            raise CorruptFileError(f"an element declares {length} bytes, found {len(data) - at - 8}")
        compressed |= kind == _COMPRESSED
        piece = _inflate(data[at + 8 : end], cap - size) if kind == _COMPRESSED else data[at:end]
        pieces.append(piece)
        size += len(piece)
        at = end
    if not compressed:
        return data
    budget.read(size)
    return b"".join(pieces)


def _inflate(stored: bytes, cap: int) -> bytes:
    inflater = zlib.decompressobj()
    pieces: list[bytes] = []
    size = 0
    try:
        while not inflater.eof:
            piece = inflater.decompress(stored, _PIECE)
            stored = inflater.unconsumed_tail
            size += len(piece)
            if size > cap:
                raise UnsafeFileError(f"compressed data grows beyond {cap} bytes")
            if not piece and not stored and not inflater.eof:
                raise CorruptFileError("a compressed element is truncated")
            pieces.append(piece)
    except zlib.error as error:
        raise CorruptFileError(f"a compressed element is damaged: {error}") from error
    if inflater.unused_data:
        raise CorruptFileError("data follows a compressed element")
    return b"".join(pieces)


class _Walk:
    """Checks all tags of a file, in order."""

    def __init__(self, data: bytes, order: str, budget: Budget) -> None:
        self._data = data
        self._tag = struct.Struct(f"{order}II")
        self._order = order
        self._limits = budget.limits
        self._values = 0
        self._most_values = budget.limits.inflated_from(budget.stored) // _WIDEST

    def file(self) -> None:
        """Check all variables."""
        at, count = _HEADER_BYTES, 0
        while at < len(self._data):
            kind, start, end, after = self._element(at, len(self._data))
            count += 1
            if kind != _MATRIX or count > self._limits.members:
                raise UnsafeFileError(
                    f"element {count} of the MATLAB file is of type {kind}; expected variables"
                )
            self._array(start, end, depth=1)
            at = after

    def _element(self, at: int, stop: int) -> tuple[int, int, int, int]:
        """Return type, start and end of the data of the element at ``at``, and where the next begins."""
        if at + 8 > stop:
            raise CorruptFileError("the MATLAB file is truncated")
        kind, length = self._tag.unpack_from(self._data, at)
        small = kind >> 16
        if small:
            if small > 4:
                raise CorruptFileError(f"a small element declares {small} bytes")
            return kind & 0xFFFF, at + 4, at + 4 + small, at + 8
        start, end = at + 8, at + 8 + length
        if end > stop:
            raise CorruptFileError(f"an element declares {length} bytes, found {stop - start}")
        # Only the last element of a file may lack the padding behind it.
        return kind, start, end, min(stop, end + -length % 8)

    def _array(self, at: int, stop: int, depth: int) -> None:
        if depth > self._limits.depth:
            raise UnsafeFileError(f"cells and structs are nested over {self._limits.depth} deep")
        if at == stop:
            return  # an empty array, which scipy and MATLAB write without any content
        form, at = self._flags(at, stop)
        count, at = self._dimensions(at, stop)
        at = self._name(at, stop)
        if form == _CELL:
            at = self._cells(count, at, stop, depth)
        elif form == _STRUCT:
            fields, at = self._fields(at, stop)
            if not fields and count > 1:
                raise UnsafeFileError(f"{count} structs have no fields")
            at = self._cells(count * fields, at, stop, depth)
        else:
            at = self._numbers(form, count, at, stop)
        if at != stop:
            raise CorruptFileError(f"an array has {stop - at} bytes too many")

    def _flags(self, at: int, stop: int) -> tuple[int, int]:
        kind, start, end, after = self._element(at, stop)
        if kind != _UINT32 or end - start != 8:
            raise CorruptFileError("an array does not begin with its flags")
        flags = self._tag.unpack_from(self._data, start)[0]
        form = flags & 0xFF
        if form not in (_CELL, _STRUCT, _CHAR, *_NUMBERS) or flags >> 8 & _COMPLEX:
            raise UnsafeFileError(f"an array is of MATLAB's class {form}, or complex; networks need numbers")
        return form, after

    def _dimensions(self, at: int, stop: int) -> tuple[int, int]:
        kind, start, end, after = self._element(at, stop)
        axes, rest = divmod(end - start, 4)
        if kind != _INT32 or rest or not 2 <= axes <= _MAX_AXES:
            raise CorruptFileError("invalid array dimensions")
        dims = struct.unpack_from(f"{self._order}{axes}i", self._data, start)
        if min(dims) < 0:
            raise CorruptFileError(f"an array has the dimensions {dims}")
        return math.prod(dims), after

    def _name(self, at: int, stop: int) -> int:
        kind, start, end, after = self._element(at, stop)
        if kind not in (_INT8, 16) or end - start > self._limits.text_bytes:
            raise CorruptFileError("invalid array name")
        return after

    def _fields(self, at: int, stop: int) -> tuple[int, int]:
        kind, start, end, at = self._element(at, stop)
        if kind != _INT32 or end - start != 4:
            raise CorruptFileError("a struct has no field name length")
        length = struct.unpack_from(f"{self._order}i", self._data, start)[0]
        kind, start, end, after = self._element(at, stop)
        if kind != _INT8 or length <= 0 or (end - start) % length:
            raise CorruptFileError("invalid field names in a struct")
        fields = (end - start) // length
        if fields > self._limits.fields:
            raise UnsafeFileError(f"a struct has {fields} fields")
        return fields, after

    def _cells(self, count: int, at: int, stop: int, depth: int) -> int:
        if count > (stop - at) // 8:
            raise CorruptFileError(f"an array has {count} cells in {stop - at} bytes")
        for _ in range(count):
            kind, start, end, at = self._element(at, stop)
            if kind != _MATRIX:
                raise CorruptFileError(f"a cell is of type {kind}; expected an array")
            self._array(start, end, depth + 1)
        return at

    def _numbers(self, form: int, count: int, at: int, stop: int) -> int:
        kind, start, end, after = self._element(at, stop)
        width = _BYTES_OF.get(kind)
        if width is None or (end - start) % width:
            raise CorruptFileError(f"the values of an array are of type {kind}")
        stored = (end - start) // width
        # A character may take several bytes of UTF-8, hence several units.
        if stored < count if form == _CHAR else stored != count:
            raise CorruptFileError(f"an array has {stored} values; its dimensions require {count}")
        self._values += stored
        if self._values > self._most_values:
            raise UnsafeFileError(f"the MATLAB file expands to over {self._values} numbers from few bytes")
        return after


def read_matlab(file: BinaryIO, name: str, budget: Budget) -> Table:
    """Return the variables of a MATLAB 5 file by name.

    Numbers stay arrays of two axes at least, which is all that such a file knows;
    the layouts tell what they were.

    Raises
    ------
    UnsafeFileError
        If it holds anything but numbers, texts, cells and structs, or grows too much.
    CorruptFileError
        If sizes do not agree, or scipy finds it damaged.
    """
    try:
        data = checked_bytes(
            read_exactly(PlainStream(file, budget.stored, name, budget), budget.stored), budget
        )
        return {key: _value(value, budget) for key, value in _load(data).items()}
    except (UnsafeFileError, CorruptFileError) as error:
        error.where = error.where or name
        raise


def _load(data: bytes) -> dict[str, Any]:
    from scipy.io import loadmat  # takes longer to import than most files to read

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # of names that stand twice, and numbers that do not fit
            found = loadmat(io.BytesIO(data), chars_as_strings=True, struct_as_record=True, mat_dtype=True)
    except Exception as error:
        raise CorruptFileError(f"the MATLAB file is damaged: {type(error).__name__}") from error
    return {
        key: value for key, value in found.items() if key not in ("__header__", "__version__", "__globals__")
    }


def _value(array: Any, budget: Budget) -> Value:
    if not isinstance(array, np.ndarray):
        raise CorruptFileError(f"the MATLAB file holds {type(array).__name__}")
    if array.dtype.names is not None:
        structs = [{key: _value(one[key], budget) for key in array.dtype.names} for one in array.reshape(-1)]
        return structs[0] if len(structs) == 1 else tuple(structs)
    if array.dtype == object:
        return _cell(array, [_value(one, budget) for one in array.reshape(-1)], budget)
    if array.dtype.kind == "U":
        return _texts(array)
    return array_value(array, budget)


def _texts(array: NDArray[Any]) -> Value:
    """Return one text unchanged, several without the padding to equal length."""
    texts = [str(one) for one in array.reshape(-1)]
    if len(texts) <= 1:
        return texts[0] if texts else ""
    return tuple(one.rstrip(" ") for one in texts)


def _cell(array: NDArray[Any], items: list[Value], budget: Budget) -> Value:
    """Return a cell array: numbers if each cell holds one, rows if each holds a list."""
    if not all(isinstance(item, np.ndarray) for item in items):
        return tuple(items)
    flat = [item.reshape(-1) for item in items if isinstance(item, np.ndarray)]
    if flat and all(item.size == 1 for item in flat):
        budget.expand(len(flat))
        return np.concatenate(flat).reshape(array.shape)
    rows = assemble(flat, budget)
    return rows if isinstance(rows, NumberRows) else tuple(items)
