"""The array protocol of this package, and attributes (array, locality, bounds).

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
    "MOST_AXES",
    "MOST_ENTRIES",
    "Array",
    "Attribute",
    "Cast",
    "Locality",
    "as_array",
    "bits",
    "blocks",
    "distances",
    "equal_numbers",
    "identical_values",
    "in_memory",
    "is_lazy",
    "known_identical",
    "nbytes",
    "permutation_fault",
    "piece",
    "plain_array",
    "plain_bools",
]

MOST_AXES = 32
"""Of an array, as HDF5 has it."""
MOST_ENTRIES = np.iinfo(np.intp).max // 8
"""Of an array of numbers of 8 bytes in memory, as numpy has it."""
BLOCK_BYTES = 4 << 20
"""How many bytes :func:`blocks` hands out at a time unless told otherwise."""


@runtime_checkable
class Array(Protocol):
    """Array protocol: shape, dtype and slices of the first axis."""

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
_CLASSES = (np.ndarray, np.memmap, np.matrix, np.ma.MaskedArray)
"""Classes whose values say everything, provided that none is masked."""


class Locality(StrEnum):
    """How many values an attribute has."""

    GLOBAL = "global"
    """One value for the whole population or projection; shape ``()``."""
    SEMIGLOBAL = "semiglobal"
    """One value per dendrite; shape ``(n_rows,)``."""
    LOCAL = "local"
    """One value per neuron, in the population's geometry, or per synapse, shape ``(n_synapses,)``."""
    # A value may itself be an array: its axes follow, in all three.
    UNKNOWN = "unknown"
    """An old file did not say and the shape does not tell."""


@dataclass(frozen=True, slots=True, eq=False)
class Attribute:
    """The values of one parameter or variable, with their locality."""

    values: Array
    """Float, integer or bool; the shape that ``locality`` asks for, and after it, where each value
    is an array, the axes of one: ``(n, 3)`` for three time constants of each neuron."""
    locality: Locality

    def __post_init__(self) -> None:
        object.__setattr__(self, "values", as_array(self.values))
        object.__setattr__(self, "locality", Locality(self.locality))
        if self.locality is not Locality.GLOBAL and self.values.shape == ():
            raise StateError(
                f"a {self.locality} attribute cannot have the shape ()",
                details={"expected": "shape () for global attributes only"},
            )


class Cast:
    """A lazily converted array.

    Parameters
    ----------
    values : Array
        May be lazy.
    dtype : numpy.dtype
        Type to hand out. Values that it cannot hold come out as numpy converts them.
    """

    __slots__ = ("dtype", "shape", "source")

    def __init__(self, values: Array, dtype: np.dtype[Any]) -> None:
        self.source = values
        self.dtype = dtype
        self.shape = values.shape

    def __getitem__(self, key: Any) -> NDArray[Any]:
        return _as_declared(self.source, plain_array(self.source[key])).astype(self.dtype)

    def __array__(self, dtype: Any = None, *, copy: bool | None = None) -> NDArray[Any]:
        if copy is False:
            raise ValueError("a converted array cannot be returned without a copy")
        whole = np.asarray(self.source).astype(self.dtype)
        return whole if dtype is None else whole.astype(dtype, copy=False)


def as_array(values: object) -> Array:
    """Return ``values`` as an :class:`Array` of a type that can be stored exactly.

    What is an array already is kept as it is, without a copy, unless its byte order
    is foreign. Anything else goes through :func:`plain_array`.

    Raises
    ------
    StateError
        If the element type is not a float of 4 or 8 bytes, an integer or a bool, there are
        more axes than HDF5 has, or entries are masked.
    """
    array = values if is_lazy(values) else plain_bools(plain_array(values))
    kind, size = array.dtype.kind, array.dtype.itemsize
    if not (kind in "iub" or (kind == "f" and size in (4, 8))):
        raise StateError(
            f"values of type {printable(array.dtype)} cannot be stored",
            details={"expected": "float32, float64, an integer type or bool"},
        )
    if len(array.shape) > MOST_AXES:
        raise StateError(
            f"values with {len(array.shape)} axes cannot be stored",
            details={"expected": f"at most {MOST_AXES} axes"},
        )
    if array.dtype.isnative:
        return array
    # Blocks are written, and digests taken, as the bytes that they are in memory.
    native = array.dtype.newbyteorder("=")
    return array.astype(native) if isinstance(array, np.ndarray) else Cast(array, native)


def plain_array(values: object) -> NDArray[Any]:
    """Return values in memory as an array of numpy's own class, without a copy where they are one.

    Raises
    ------
    StateError
        If they do not form an array, or are of a class that says more than its values
        do: which entries are masked, in which unit they are.
    """
    if type(values) is np.ndarray:
        return values
    for array in _arrays_within(values):
        _check_class(array)
    try:
        return np.asarray(values)
    except (TypeError, ValueError, OverflowError) as error:
        raise StateError(f"not an array: {printable(error)}") from error


def _arrays_within(values: object) -> Iterator[NDArray[Any]]:
    if isinstance(values, np.ndarray):
        yield values
    elif isinstance(values, list | tuple):
        for entry in values:
            if isinstance(entry, np.ndarray | list | tuple):  # rows may have millions of numbers
                yield from _arrays_within(entry)


def _check_class(array: NDArray[Any]) -> None:
    if np.ma.is_masked(array):
        raise StateError(
            f"{np.count_nonzero(np.ma.getmaskarray(array)):,} of {array.size:,} entries are masked, "
            "and a mask cannot be stored",
            details={"hint": "give values.filled(...), or values.data"},
        )
    if type(array) not in _CLASSES:
        raise StateError(
            f"arrays of class {type(array).__name__} may carry information besides their values",
            details={"expected": "a numpy.ndarray; numpy.asarray(...) gives the values alone"},
        )


def is_lazy(values: object) -> TypeGuard[Array]:
    """Whether an array is lazy: slices are read from a file or a live network on demand."""
    # What isinstance(values, Array) says, without its search for what the protocol asks for.
    # Tables of pandas and the like would take slices as labels, and hold what numpy does not.
    return (
        not isinstance(values, np.generic | np.ndarray)
        and all(hasattr(values, name) for name in _MEMBERS)
        and isinstance(values.dtype, np.dtype)  # type: ignore[attr-defined]
        and not hasattr(values, "to_numpy")
    )


def in_memory(array: Array) -> NDArray[Any]:
    """Return the whole array as one of numpy's own class, checked like :func:`plain_array`."""
    if is_lazy(array) and array.shape:
        return piece(array, 0, array.shape[0])
    values = plain_bools(plain_array(array))
    return _as_declared(array, values) if is_lazy(array) else values


def piece(array: Array, start: int, stop: int) -> NDArray[Any]:
    """Return entries of the first axis, at least one axis, in memory.

    Raises
    ------
    StateError
        If they are not of the type, or not as many, as the array says: they would be stored as what
        they are not.
    """
    values = plain_bools(_as_declared(array, plain_array(array[start:stop])))
    if values.shape != (max(0, stop - start), *array.shape[1:]):
        raise StateError(
            f"entries {start} to {stop} of an array have the shape {values.shape}",
            details={"expected": f"{(stop - start, *array.shape[1:])}, for the array has {array.shape}"},
        )
    return values


def plain_bools(values: NDArray[Any]) -> NDArray[Any]:
    """Return values with the bytes 0 and 1 where they are bools; those of other programs may be any."""
    if values.dtype.kind != "b" or values.view(np.uint8).max(initial=0) <= 1:
        return values
    return np.asarray(values.view(np.uint8) != 0)


def _as_declared(array: Array, values: NDArray[Any]) -> NDArray[Any]:
    if values.dtype != array.dtype:
        raise StateError(
            f"an array of {printable(array.dtype)} gives values of {printable(values.dtype)}",
            details={"expected": "slices of the type that the array says"},
        )
    return values


def nbytes(array: Array) -> int:
    """Size of ``array`` in bytes, without reading it."""
    return math.prod(array.shape) * array.dtype.itemsize


def blocks(array: Array, *, at_most: int = BLOCK_BYTES, unit: int = 1) -> Iterator[tuple[int, NDArray[Any]]]:
    """Yield ``(start, values)`` pieces along the first axis that together are ``array``.

    Parameters
    ----------
    array : Array
        Any shape; a single value comes as one piece of shape ``()``.
    at_most : int
        Bytes in one piece; a single entry of the first axis may exceed it.
    unit : int
        Entries that stay together: all pieces but the last have a multiple of it.

    Raises
    ------
    StateError
        If a lazy array hands out another type, or another number of entries, than it says.
    """
    if not array.shape:
        yield 0, in_memory(array)
        return
    length = array.shape[0]
    entry = max(1, nbytes(array) // length) if length else 1
    step = unit * max(1, at_most // (entry * unit))
    for start in range(0, length, step):
        yield start, piece(array, start, min(start + step, length))


def permutation_fault(order: Array, length: int) -> str | None:
    """Return why integers are not a permutation of ``length`` places; None if they are.

    Examples
    --------
    >>> permutation_fault(np.array([2, 0, 1]), 3)
    >>> permutation_fault(np.array([2, 0, 2]), 3)
    'it leaves out place 1'
    """
    seen = np.zeros(length, np.bool_)
    for _, block in blocks(order):
        if block.size and not 0 <= block.min() <= block.max() < length:
            return f"it goes from {block.min()} to {block.max()}, for {length} places"
        seen[block] = True
    return None if seen.all() else f"it leaves out place {int(np.argmin(seen))}"


def identical_values(a: Array, b: Array) -> bool:
    """Whether shape, type and every bit agree, NaN payloads and -0.0 included.

    Lazy arrays are read block by block, both in step.
    """
    if a.shape != b.shape or a.dtype != b.dtype:
        return False
    return known_identical(a, b) or all(
        np.array_equal(bits(x), bits(y)) for (_, x), (_, y) in zip(blocks(a), blocks(b), strict=True)
    )


def equal_numbers(a: NDArray[Any], b: NDArray[Any]) -> NDArray[np.bool_]:
    """Whether two arrays of one shape have the same numbers, whatever their types; NaN is NaN.

    Examples
    --------
    >>> equal_numbers(np.array([2**53 + 1, 3]), np.array([2.0**53, 3.0]))
    array([False,  True])
    """
    (whole, negative, sizes), (other_whole, other_negative, other_sizes) = _integers(a), _integers(b)
    same = np.where(
        whole & other_whole,
        (negative == other_negative) & (sizes == other_sizes),
        # Both have a fraction, or are too large for 64 bits, or not finite; or only one of them is.
        (whole == other_whole) & ((a == b) | (np.isnan(a) & np.isnan(b))),
    )
    return np.asarray(same, np.bool_)


def distances(a: NDArray[Any], b: NDArray[Any]) -> NDArray[np.float64]:
    """How far the numbers of two arrays of one shape are apart; not finite where they are not.

    Of integers it is exact before it is rounded to what is returned.

    Examples
    --------
    >>> distances(np.array([2**53, 0]), np.array([2**53 + 1, 7]))
    array([1., 7.])
    """
    with np.errstate(all="ignore"):
        if a.dtype.kind == b.dtype.kind == "f":
            return np.abs(b.astype(np.float64) - a.astype(np.float64))
        (high, low), (other_high, other_low) = _halves(a), _halves(b)
        return np.abs((other_high - high) + (other_low - low))


def _halves(values: NDArray[Any]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Numbers as multiples of 2**32 and what is left, which floats hold where they do not hold the sum."""
    wide = values.astype({"f": np.float64, "u": np.uint64}.get(values.dtype.kind, np.int64))
    low = np.where(np.isfinite(wide), np.fmod(wide, wide.dtype.type(2**32)), 0)
    return (wide - low).astype(np.float64), low.astype(np.float64)


def _integers(values: NDArray[Any]) -> tuple[NDArray[np.bool_], NDArray[np.bool_], NDArray[np.uint64]]:
    """Which numbers are integers of at most 64 bits, which are negative, and their sizes."""
    negative = values < 0
    if values.dtype.kind != "f":
        wide = values.astype(np.uint64)  # a negative one comes out as 2**64 less its size
        with np.errstate(over="ignore"):
            return np.ones(values.shape, np.bool_), negative, np.where(negative, ~wide + np.uint64(1), wide)
    whole = (np.trunc(values) == values) & (np.abs(values) < 2.0**64)
    return whole, negative, np.abs(np.where(whole, values, 0)).astype(np.uint64)


def known_identical(a: Array, b: Array) -> bool:
    """Whether digests, which arrays in files have, say without a look that the values are identical."""
    digest = getattr(a, "digest", None)
    return digest is not None and digest == getattr(b, "digest", None)


def bits(values: Any) -> NDArray[Any]:
    """The same memory as unsigned integers, which compare NaN and -0.0 by their bits."""
    array = np.ascontiguousarray(values)
    return array.view(f"u{array.itemsize}")
