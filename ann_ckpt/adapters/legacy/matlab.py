"""MATLAB files: walked tag by tag first, then read by scipy, then as plain values."""

from __future__ import annotations

import io
import warnings
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from ann_ckpt.adapters.legacy.limits import Budget
from ann_ckpt.adapters.legacy.mat_guard import checked_bytes
from ann_ckpt.adapters.legacy.streams import PlainStream, read_exactly
from ann_ckpt.adapters.legacy.values import Rows, Table, Value, array_value, assemble
from ann_ckpt.errors import CorruptFileError, UnsafeFileError

__all__ = ["read_matlab"]


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
    """Return one text as it is, several without the blanks that made them equally long."""
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
    return rows if isinstance(rows, Rows) else tuple(items)
