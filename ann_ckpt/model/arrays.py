"""Values: what an array is to this package, and an attribute around it.

An *array* is anything with a ``shape``, a ``dtype`` and slices along its first axis:
a :class:`numpy.ndarray`, a lazy view of a file, or the rows of a live network. Code
that moves values takes them in blocks through :func:`blocks`, so that a projection
larger than memory needs a few blocks of memory only.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol, TypeGuard, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from ann_ckpt.errors import StateError, printable

__all__ = [
    "BLOCK_BYTES",
    "Array",
    "Attribute",
    "Locality",
    "as_array",
    "blocks",
    "nbytes",
]

BLOCK_BYTES = 4 << 20
"""How many bytes :func:`blocks` hands out at a time unless told otherwise."""


@runtime_checkable
class Array(Protocol):
    """Something that stands for an array and hands out any slice of its first axis."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Length of each axis; ``()`` for a single value."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the elements: float, integer or bool."""

    def __getitem__(self, key: Any, /) -> Any:
        """Elements ``[start:stop]`` of the first axis, as a :class:`numpy.ndarray`."""

    def __array__(self, dtype: Any = None, /, *, copy: bool | None = None) -> NDArray[Any]:
        """The whole array in memory."""


_MEMBERS = ("shape", "dtype", "__getitem__", "__array__")


class Locality(StrEnum):
    """How many values an attribute has."""

    GLOBAL = "global"
    """One value for the whole population or projection; shape ``()``."""
    SEMIGLOBAL = "semiglobal"
    """One value per dendrite; shape ``(n_rows,)``."""
    LOCAL = "local"
    """One value per neuron, in the population's geometry, or per synapse, shape ``(n_synapses,)``."""
    UNKNOWN = "unknown"
    """An old file did not say and the shape does not tell."""


@dataclass(frozen=True, slots=True, eq=False)
class Attribute:
    """The values of one parameter or variable, with their locality."""

    values: Array
    """Float, integer or bool; the shape that ``locality`` asks for."""
    locality: Locality

    def __post_init__(self) -> None:
        object.__setattr__(self, "values", as_array(self.values))
        object.__setattr__(self, "locality", Locality(self.locality))
        if (self.locality is Locality.GLOBAL) != (self.values.shape == ()):
            raise StateError(
                f"a {self.locality} attribute cannot have the shape {self.values.shape}",
                details={"expected": "shape () exactly for global attributes"},
            )


def as_array(values: object) -> Array:
    """Return ``values`` as an :class:`Array` of a type that can be stored exactly.

    What is an array already is kept as it is, without a copy, unless its byte order
    is foreign. Anything else goes through :func:`numpy.asarray`.

    Raises
    ------
    StateError
        If the element type is not a float of 4 or 8 bytes, an integer or a bool.
    """
    array = values if isinstance(values, np.ndarray) or _is_array(values) else _from_objects(values)
    kind, size = array.dtype.kind, array.dtype.itemsize
    if not (kind in "iub" or (kind == "f" and size in (4, 8))):
        raise StateError(
            f"values of type {printable(array.dtype)} cannot be stored",
            details={"expected": "float32, float64, an integer type or bool"},
        )
    if isinstance(array, np.ndarray) and not array.dtype.isnative:
        array = array.astype(array.dtype.newbyteorder("="))
    return array


def _is_array(values: object) -> TypeGuard[Array]:
    # What isinstance(values, Array) says, without its search for what the protocol asks for.
    return not isinstance(values, np.generic) and all(hasattr(values, name) for name in _MEMBERS)


def _from_objects(values: object) -> NDArray[Any]:
    try:
        return np.asarray(values)
    except ValueError as error:
        raise StateError("values of uneven lengths do not form an array") from error


def nbytes(array: Array) -> int:
    """Size of ``array`` in bytes, without reading it."""
    return math.prod(array.shape) * array.dtype.itemsize


def blocks(array: Array, *, at_most: int = BLOCK_BYTES) -> Iterator[tuple[int, NDArray[Any]]]:
    """Yield ``(start, values)`` pieces along the first axis that together are ``array``.

    Parameters
    ----------
    array : Array
        Any shape; a single value comes as one piece of shape ``()``.
    at_most : int
        Bytes in one piece; a single entry of the first axis may exceed it.
    """
    if not array.shape:
        yield 0, np.asarray(array)
        return
    length = array.shape[0]
    entry = max(1, nbytes(array) // length) if length else 1
    step = max(1, at_most // entry)
    for start in range(0, length, step):
        yield start, np.asarray(array[start : min(start + step, length)])
