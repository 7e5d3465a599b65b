"""The C types that parameters have in a simulator: what JSON may say, and the range."""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["SMALLEST", "CType", "Scalar", "c_type"]

Scalar = bool | int | float
"""One value of a parameter, as JSON has it."""

SMALLEST = float(np.finfo(np.float32).smallest_subnormal)
"""The smallest number above 0 that every floating-point type holds."""
_FLOAT_MAX = float(np.finfo(np.float32).max)


@dataclass(frozen=True, slots=True)
class CType:
    """One C type."""

    name: str
    """As the simulator writes it: ``double``, ``int``, ``bool``, ``uint8_t``, ..."""
    json: str
    """The JSON Schema type of one value: ``number``, ``integer`` or ``boolean``."""
    minimum: float
    maximum: float
    """Bounds of the type's range; integers for integer types."""
    exact: int
    """Every integer up to this magnitude is held exactly."""

    @classmethod
    def of(cls, declared: str, dtype: np.dtype[Any]) -> CType:
        """Return the type that a model declares, or where it does not, that of the array."""
        return c_type(declared) or _TYPES[_NAMES[dtype.name]]

    def holds(self, value: Scalar) -> bool:
        """Whether a number is within the type's range.

        Examples
        --------
        >>> c_int = CType.of("int", np.dtype(float))
        >>> c_int.holds(2**31 - 1), c_int.holds(2**31)
        (True, False)
        """
        if self.name == "float" and abs(value) > _FLOAT_MAX:
            try:
                struct.pack("<f", value)  # what rounds down to the largest float is within
            except OverflowError:
                return False
            return True
        return self.minimum <= value <= self.maximum

    def covers(self, other: CType) -> bool:
        """Whether this type holds every value that ``other`` does."""
        if other.json == "number" and self.json != "number":
            return False
        return self.minimum <= other.minimum and other.maximum <= self.maximum

    def changes(self, value: Scalar) -> bool:
        """Whether storing an integer in this type changes it."""
        if type(value) is not int or abs(value) <= self.exact:
            return False
        return int(np.float32(value) if self.name == "float" else float(value)) != value

    def vanishes(self, value: Scalar) -> bool:
        """Whether storing a number in this type makes it 0."""
        return self.name == "float" and value != 0 and abs(value) < SMALLEST and not np.float32(value)

    def from_numpy(self, value: NDArray[Any]) -> Scalar | None:
        """Return one stored value, shape ``()``, as JSON writes it; None if JSON or the type cannot.

        A float32 gets the shortest digits that read back to the same float32, since
        that is what its author once wrote.
        """
        number = value.item()
        if isinstance(number, float) and not math.isfinite(number):
            return None
        if self.json == "boolean":
            return bool(number) if number in (0, 1) else None
        if self.json == "integer":
            return int(number) if number == int(number) and self.holds(int(number)) else None
        number = float(str(value[()])) if value.dtype == np.float32 else float(number)
        return number if self.holds(number) else None


def _integer(name: str, bits: int, *, signed: bool = True) -> CType:
    low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)
    return CType(name, "integer", low, high, high)


_TYPES = {
    t.name: t
    for t in (
        CType("double", "number", -math.inf, math.inf, 2**53),
        CType("float", "number", -_FLOAT_MAX, _FLOAT_MAX, 2**24),
        CType("bool", "boolean", 0, 1, 1),
        _integer("int", 32),
        _integer("unsigned int", 32, signed=False),
        _integer("short", 16),
        _integer("unsigned short", 16, signed=False),
        _integer("long", 64),
        _integer("unsigned long", 64, signed=False),
        *(_integer(f"int{bits}_t", bits) for bits in (8, 16, 32, 64)),
        *(_integer(f"uint{bits}_t", bits, signed=False) for bits in (8, 16, 32, 64)),
    )
}

_NAMES = {
    "float64": "double",
    "float32": "float",
    "bool": "bool",
    "int32": "int",
    **{f"int{bits}": f"int{bits}_t" for bits in (8, 16, 64)},
    **{f"uint{bits}": f"uint{bits}_t" for bits in (8, 16, 32, 64)},
}
"""C type of an array by the name of its dtype, where no model declares one."""


def c_type(name: str) -> CType | None:
    """Return the type of that name; None for one that is not known."""
    return _TYPES.get(name.strip())
