"""Nested C++ containers as arrays, and back.

A number is an array of shape ``()``, a vector of numbers a flat one. A container of
containers of floats is rectangular and keeps its axes, as a queue of delayed values does.
One of integers holds lists of uneven length, ranks of neurons that spiked for instance:
it becomes the flat array of all numbers, and a second one with the lengths, called
``<name>.sizes``. A random distribution is the text that C++ writes of it, byte by byte.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ann_ckpt.adapters.annarchy.cpp_members import CppMember
from ann_ckpt.errors import StateError, printable
from ann_ckpt.model import Array

__all__ = [
    "array_names",
    "arrays_of",
    "flattened",
    "in_parts",
    "without_parts",
]

_SIZES = ".sizes"
_SIZE = np.dtype(np.int64)


def array_names(member: CppMember) -> tuple[str, ...]:
    """Return what the arrays of a member are called."""
    return (member.name, member.name + _SIZES) if _is_uneven(member) else (member.name,)


def arrays_of(member: CppMember, values: bytes, sizes: Sequence[bytes]) -> dict[str, NDArray[Any]]:
    """Return a member as arrays.

    Parameters
    ----------
    member : CppMember
        Numbers, in containers or not, or a random distribution.
    values : bytes
        All numbers one behind the other.
    sizes : sequence of bytes
        For each level of containers, from outside, how many entries each container there has: int64.

    Raises
    ------
    StateError
        If containers that should be rectangular are not.
    """
    if member.is_distribution:
        return {member.name: np.frombuffer(values, np.uint8)}
    flat = np.frombuffer(values, member.dtype)
    levels = [np.frombuffer(level, _SIZE) for level in sizes]
    uneven = levels[-1] if _is_uneven(member) else None
    axes = [_common(member, level) for level in (levels if uneven is None else levels[:-1])]
    if uneven is None:
        return {member.name: flat.reshape(axes)}
    return {member.name: flat, member.name + _SIZES: uneven.reshape(axes)}


def flattened(member: CppMember, arrays: Mapping[str, Array]) -> tuple[bytes, list[bytes]]:
    """Return what :func:`arrays_of` was made from.

    Raises
    ------
    StateError
        If an array is missing, or of another type or number of axes than the member asks for.
    """
    values = _taken(arrays, member.name, np.dtype(np.uint8) if member.dtype is None else member.dtype)
    if member.is_distribution:
        return values.tobytes(), []
    if not _is_uneven(member):
        _check_axes(member.name, values, member.depth)
        return values.tobytes(), _levels(values.shape)
    sizes = _taken(arrays, member.name + _SIZES, _SIZE)
    _check_axes(member.name, values, 1)
    _check_axes(member.name + _SIZES, sizes, member.depth - 1)
    if (sizes.size and sizes.min() < 0) or sizes.sum() != values.size:
        raise StateError(f"{printable(member.name)} has {values.size} values for lists of {sizes.sum()}")
    return values.tobytes(), [*_levels(sizes.shape), sizes.tobytes()]


def without_parts(values: bytes, sizes: Sequence[bytes], item: int) -> tuple[bytes, list[bytes]]:
    """Join what is cut into a part for each thread: ``[part][step][row]`` becomes ``[step][row]``.

    Parameters
    ----------
    values : bytes
        All numbers one behind the other.
    sizes : sequence of four bytes
        For each level, how many entries each container there has.
    item : int
        Bytes of a number.
    """
    parts, steps, rows, lengths = (np.frombuffer(level, _SIZE) for level in sizes)
    n_parts, n_steps = int(parts[0]), int(steps[0]) if steps.size else 0
    order = np.arange(n_parts * n_steps).reshape(n_parts, n_steps).T.ravel()
    moved, lengths = _moved(values, lengths, rows, order, item)
    together = rows.reshape(n_parts, n_steps).sum(axis=0)
    return moved, [np.array([n_steps], _SIZE).tobytes(), together.tobytes(), lengths.tobytes()]


def in_parts(
    values: bytes, sizes: Sequence[bytes], rows: NDArray[np.int64], item: int
) -> tuple[bytes, list[bytes]]:
    """Undo :func:`without_parts`.

    Parameters
    ----------
    values, sizes
        As it returned them.
    rows : int64 array, shape (n_parts,)
        Rows of each part.
    item : int
        Bytes of a number.
    """
    n_steps = int(np.frombuffer(sizes[0], _SIZE)[0])
    lengths = np.frombuffer(sizes[2], _SIZE)
    order = np.arange(n_steps * rows.size).reshape(n_steps, rows.size).T.ravel()
    moved, lengths = _moved(values, lengths, np.tile(rows, n_steps), order, item)
    parts = np.array([rows.size], _SIZE), np.full(rows.size, n_steps), np.repeat(rows, n_steps), lengths
    return moved, [level.astype(_SIZE).tobytes() for level in parts]


def _moved(
    values: bytes, lengths: NDArray[np.int64], rows: NDArray[np.int64], order: NDArray[np.intp], item: int
) -> tuple[bytes, NDArray[np.int64]]:
    """Put groups of lists into another order; ``rows[i]`` is the number of lists in group ``i``."""
    first = np.concatenate(([0], np.cumsum(rows)))
    at = np.concatenate(([0], np.cumsum(lengths)))[first] * item
    groups = [(first[i], first[i + 1], at[i], at[i + 1]) for i in order]
    moved = b"".join(values[start:stop] for _, _, start, stop in groups)
    return moved, np.concatenate([lengths[low:high] for low, high, _, _ in groups] or [lengths])


def _is_uneven(member: CppMember) -> bool:
    return member.depth > 1 and member.dtype is not None and member.dtype.kind in "iu"


def _common(member: CppMember, sizes: NDArray[np.int64]) -> int:
    """Return the length that all containers of a level share; 0 if there are none."""
    if np.any(sizes != sizes[:1]):
        raise StateError(f"{printable(member.name)} holds lists of uneven length")
    return int(sizes[0]) if sizes.size else 0


def _levels(shape: tuple[int, ...]) -> list[bytes]:
    levels, above = [], 1
    for length in shape:
        levels.append(np.full(above, length, _SIZE).tobytes())
        above *= length
    return levels


def _taken(arrays: Mapping[str, Array], name: str, dtype: np.dtype[Any]) -> NDArray[Any]:
    if name not in arrays:
        raise StateError(f"{printable(name)} is missing")
    values = np.asarray(arrays[name])
    if values.dtype != dtype:
        raise StateError(f"{printable(name)} is of type {values.dtype}, not {dtype}")
    return values


def _check_axes(name: str, values: NDArray[Any], axes: int) -> None:
    if values.ndim != axes:
        raise StateError(f"{printable(name)} has {values.ndim} axes, not {axes}")
