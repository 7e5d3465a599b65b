"""Writes pickles row by row, so that a projection needs one block of rows in memory.

Python's own pickler would want every weight as an object first. The opcodes are those
of protocol 4, which every Python that ANNarchy runs on today reads.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from itertools import pairwise
from typing import Any, BinaryIO, Final

import numpy as np
from numpy.typing import NDArray

from ann_ckpt.adapters.legacy.tables import SynapseRows
from ann_ckpt.model import Array, blocks

__all__ = [
    "write_pickle",
]

_BATCH = 1000
_NDARRAY: Final = b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85C\x01b\x87R"
_NO_FIELDS: Final = b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00t"
_DTYPE: Final = b"cnumpy\ndtype\n"
_OBJECTS: Final = _DTYPE + b"\x8c\x02O8\x89\x88\x87R(K\x03\x8c\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK?tb"
_INT32: Final = np.iinfo(np.int32)


def write_pickle(table: dict[str, Any], file: BinaryIO, *, as_object_array: bool = False) -> None:
    """Write a table as one pickle.

    Parameters
    ----------
    table : dict
        As :func:`~ann_ckpt.adapters.legacy.tables.network_table` makes it.
    file : binary file
        Open for writing.
    as_object_array : bool
        Whether to wrap the table into an array without axes, as members of archives are.
    """
    file.write(b"\x80\x04")
    if as_object_array:
        file.write(_NDARRAY + b"(K\x01)" + _OBJECTS + b"\x89](")
    _write(table, file)
    file.write(b"etb." if as_object_array else b".")


def _write(value: Any, file: BinaryIO) -> None:
    if isinstance(value, dict):
        file.write(b"}(")
        for key, entry in value.items():
            file.write(_text(key))
            _write(entry, file)
        file.write(b"u")
    elif isinstance(value, SynapseRows):
        _write_rows(value, file)
    elif isinstance(value, str):
        file.write(_text(value))
    elif isinstance(value, (bool, int, float)):
        file.write(_number(value))
    elif isinstance(value, tuple):
        file.write(b"(" + b"".join(map(_number, value)) + b"t")
    elif isinstance(value, list):
        _write_list(value, file)
    else:
        _write_array(value, file)


def _text(value: str) -> bytes:
    data = value.encode("utf-8")
    return b"X" + struct.pack("<I", len(data)) + data


def _number(value: float) -> bytes:
    if isinstance(value, bool):
        return b"\x88" if value else b"\x89"
    if isinstance(value, float):
        return b"G" + struct.pack(">d", value)
    if _INT32.min <= value <= _INT32.max:
        return b"J" + struct.pack("<i", value)
    return b"\x8a\x09" + value.to_bytes(9, "little", signed=True)


def _write_list(values: list[Any], file: BinaryIO) -> None:
    file.write(b"]")
    encode = _text if values and isinstance(values[0], str) else _number
    file.writelines(b"(" + b"".join(map(encode, batch)) + b"e" for batch in _batches(values))


def _batches(items: list[Any]) -> Iterator[list[Any]]:
    """Yield a thousand items at a time, as picklers do."""
    for start in range(0, len(items), _BATCH):
        yield items[start : start + _BATCH]


def _write_array(array: Array, file: BinaryIO) -> None:
    """Write an array of numbers, a block at a time."""
    dtype = array.dtype.newbyteorder("<")
    _begin_array(array.shape, dtype, file)
    file.writelines(_raw(values, dtype) for _, values in blocks(array))
    file.write(b"tb")


def _raw(values: NDArray[Any], dtype: np.dtype[Any]) -> memoryview:
    return np.ascontiguousarray(values, dtype).reshape(-1).view(np.uint8).data


def _begin_array(shape: tuple[int, ...], dtype: np.dtype[Any], file: BinaryIO) -> None:
    order = dtype.byteorder if dtype.itemsize > 1 else "|"
    state = b"(K\x01(" + b"".join(map(_number, shape)) + b"t"
    element = _DTYPE + _text(dtype.str[1:]) + b"\x89\x88\x87R(K\x03" + _text(order) + _NO_FIELDS + b"b"
    size = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
    file.write(_NDARRAY + state + element + b"\x89\x8e" + struct.pack("<Q", size))


def _write_rows(rows: SynapseRows, file: BinaryIO) -> None:
    width, n_rows = rows.width, rows.row_ptr.size - 1
    if rows.as_array and width is not None:
        dtype = rows.dtype.newbyteorder("<")
        _begin_array((n_rows, width), dtype, file)
        file.writelines(_raw(values, dtype) for _, values in rows.blocks())
        file.write(b"tb")
        return
    if rows.as_array:
        file.write(_NDARRAY + b"(K\x01(" + _number(n_rows) + b"t" + _OBJECTS + b"\x89")
    file.write(b"]")
    for bounds, values in rows.blocks():
        _write_lists(bounds.tolist(), values, file)
    if rows.as_array:
        file.write(b"tb")


def _write_lists(bounds: list[int], values: NDArray[Any], file: BinaryIO) -> None:
    """Append rows to the list on top of the stack."""
    coded, width = _coded(values)
    lists = [_coded_list(coded, start, stop, width) for start, stop in pairwise(bounds)]
    file.writelines(b"(" + b"".join(batch) + b"e" for batch in _batches(lists))


def _coded_list(coded: bytes, start: int, stop: int, width: int) -> bytes:
    batches = (coded[at * width : min(at + _BATCH, stop) * width] for at in range(start, stop, _BATCH))
    return b"]" + b"".join(b"(" + batch + b"e" for batch in batches)


def _coded(values: NDArray[Any]) -> tuple[bytes, int]:
    """Return the opcodes of numbers, one behind the other, and how many bytes each has."""
    if values.dtype.kind == "b":
        return np.where(values, 0x88, 0x89).astype(np.uint8).tobytes(), 1
    if values.dtype.kind == "f":
        return _with_opcode(b"G", values.astype(">f8")), 9
    if not values.size or (values.min() >= _INT32.min and values.max() <= _INT32.max):
        return _with_opcode(b"J", values.astype("<i4")), 5
    if values.dtype.kind == "i":
        return _with_opcode(b"\x8a\x08", values.astype("<i8")), 10
    # Nine bytes, the last one zero, so that the highest bit is not a sign.
    padded = np.zeros((values.size, 9), np.uint8)
    padded[:, :8] = values.astype("<u8").reshape(-1, 1).view(np.uint8)
    return _with_opcode(b"\x8a\x09", padded), 11


def _with_opcode(code: bytes, operands: NDArray[Any]) -> bytes:
    """Return an opcode before each operand; ``operands`` has one for each entry of its first axis."""
    width = operands.dtype.itemsize * (operands.shape[1] if operands.ndim > 1 else 1)
    coded = np.empty((operands.shape[0], len(code) + width), np.uint8)
    coded[:, : len(code)] = np.frombuffer(code, np.uint8)
    coded[:, len(code) :] = operands.reshape(-1).view(np.uint8).reshape(-1, width)
    return coded.tobytes()
