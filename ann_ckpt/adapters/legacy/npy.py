"""One ``.npy`` member of an archive, without ``numpy.load``."""

from __future__ import annotations

import math
import re
from typing import Any, Final

import numpy as np

from ann_ckpt.adapters.legacy.limits import Budget
from ann_ckpt.adapters.legacy.pickles import read_pickle
from ann_ckpt.adapters.legacy.streams import Stream, read_exactly
from ann_ckpt.adapters.legacy.tokens import element_type
from ann_ckpt.adapters.legacy.values import Value, array_value
from ann_ckpt.errors import CorruptFileError, UnsafeFileError

__all__ = ["read_npy"]

_MAGIC = b"\x93NUMPY"
_LENGTH_BYTES: Final = {1: 2, 2: 4, 3: 4}
_MAX_HEADER = 1 << 16
_MAX_AXES = 8
# What numpy.lib.format writes; Python 2 put an L behind long integers.
_HEADER: Final = re.compile(
    r"\{'descr': '([^']{1,16})', 'fortran_order': (True|False), 'shape': \(((?:\d{1,15}L?,? ?)*)\),? ?\} *\n?"
)


def read_npy(stream: Stream, budget: Budget, *, encoding: str | None) -> tuple[Value, frozenset[str]]:
    """Return the array in a member, to its last byte; objects go through the closed reader.

    Parameters
    ----------
    stream : Stream
        The member.
    budget : Budget
        What this file may use.
    encoding : str, optional
        Of texts from Python 2, in arrays of objects.
    """
    dtype, fortran, shape = _header(stream)
    if dtype.hasobject:
        return read_pickle(stream, budget, encoding=encoding)
    size = math.prod(shape) * dtype.itemsize
    if size != stream.left:
        raise CorruptFileError(
            f"an array of shape {shape} and type {dtype} needs {size} bytes; the member has {stream.left}"
        )
    data = read_exactly(stream, size)
    values = np.frombuffer(data, dtype) if data else np.empty(0, dtype)
    value = array_value(values.reshape(shape, order="F" if fortran else "C"), budget)
    if stream.read(1):  # also checks the member's checksum
        raise CorruptFileError("data follows the array")
    return value, frozenset()


def _header(stream: Stream) -> tuple[np.dtype[Any], bool, tuple[int, ...]]:
    start = read_exactly(stream, 8)
    if start[:6] != _MAGIC or start[6] not in _LENGTH_BYTES:
        raise CorruptFileError("the member is no .npy array")
    length = int.from_bytes(read_exactly(stream, _LENGTH_BYTES[start[6]]), "little")
    if length > _MAX_HEADER:
        raise UnsafeFileError(f"the header of an array has {length} bytes")
    match = _HEADER.fullmatch(read_exactly(stream, length).decode("latin1"))
    if match is None:
        raise CorruptFileError("the header of an array is not as numpy writes it")
    descr, fortran, axes = match.groups()
    shape = tuple(int(n) for n in re.findall(r"\d+", axes))
    if len(shape) > _MAX_AXES:
        raise UnsafeFileError(f"an array has {len(shape)} axes")
    return element_type(descr), fortran == "True", shape
