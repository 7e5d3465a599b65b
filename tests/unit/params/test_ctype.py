"""C types: which numbers they hold, and how a stored value is written."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ann_ckpt import NetworkState, PopulationState
from ann_ckpt.params import validate
from ann_ckpt.params.ctype import CType, c_type

DOUBLE = np.dtype(float)


def of(name: str) -> CType:
    found = c_type(name)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("name", "inside", "outside"),
    [
        ("int", 2**31 - 1, 2**31),
        ("int", -(2**31), -(2**31) - 1),
        ("int", 3.0, 1e300),
        ("unsigned int", 2**32 - 1, -1),
        ("long", 2**63 - 1, 2**63),
        ("uint8_t", 255, 256),
        ("int8_t", -128, -129),
        ("float", 3.4028235e38, 3.5e38),
        ("float", -3.4028235e38, -1e300),
    ],
)
def test_ranges(name: str, inside: float, outside: float) -> None:
    assert of(name).holds(inside)
    assert not of(name).holds(outside)


@pytest.mark.parametrize("bits", [8, 16, 32, 64])
@pytest.mark.parametrize("prefix", ["", "u"])
def test_an_integer_type_holds_what_numpy_says(prefix: str, bits: int) -> None:
    limits = np.iinfo(f"{prefix}int{bits}")
    own = of(f"{prefix}int{bits}_t")
    assert own.holds(int(limits.min))
    assert own.holds(int(limits.max))
    assert not own.holds(int(limits.min) - 1)
    assert not own.holds(int(limits.max) + 1)


def test_a_double_holds_everything_that_the_reader_lets_through() -> None:
    assert of("double").holds(10**308)
    assert of("double").holds(-1.7e308)


@given(st.floats(width=32, allow_nan=False, allow_infinity=False))
def test_a_float_holds_every_float(value: float) -> None:
    assert of("float").holds(value)


@pytest.mark.parametrize(
    ("name", "value", "changes"),
    [
        ("double", 2**53, False),
        ("double", 2**53 + 1, True),
        ("double", 2**60, False),
        ("double", 0.1, False),
        ("float", 2**24 + 1, True),
        ("float", 2**30, False),
        ("long", 2**62 + 1, False),
    ],
)
def test_integers_that_a_type_rounds(name: str, value: float, changes: bool) -> None:
    assert of(name).changes(value) is changes


@pytest.mark.parametrize(
    ("declared", "dtype", "name"),
    [
        ("int", "float64", "int"),
        (" double ", "float64", "double"),
        ("", "float64", "double"),
        ("", "float32", "float"),
        ("", "int32", "int"),
        ("", "int64", "int64_t"),
        ("", "uint8", "uint8_t"),
        ("", "bool", "bool"),
        ("std::vector<int>", "int16", "int16_t"),
    ],
)
def test_a_type_is_declared_or_that_of_the_array(declared: str, dtype: str, name: str) -> None:
    assert CType.of(declared, np.dtype(dtype)).name == name


@pytest.mark.parametrize(
    ("name", "stored", "written"),
    [
        ("double", np.float64(0.1), 0.1),
        ("float", np.float32(0.1), 0.1),
        ("double", np.float64(-0.0), -0.0),
        ("double", np.float64(math.nan), None),
        ("double", np.float64(math.inf), None),
        ("int", np.float64(3.0), 3),
        ("int", np.float64(2.5), None),
        ("int", np.int64(2**40), None),
        ("bool", np.float64(1.0), True),
        ("bool", np.int32(0), False),
        ("bool", np.int32(2), None),
        ("double", np.bool_(True), 1.0),
    ],
)
def test_how_a_stored_value_is_written(name: str, stored: Any, written: Any) -> None:
    assert repr(of(name).from_numpy(np.asarray(stored))) == repr(written)


@given(st.floats(width=32, allow_nan=False, allow_infinity=False))
def test_a_float32_reads_back_to_the_same_bits(value: float) -> None:
    stored = np.float32(value)
    written = of("float").from_numpy(np.asarray(stored))
    assert np.float32(written).tobytes() == stored.tobytes()
    assert len(repr(written)) <= len(repr(float(stored)))


@pytest.mark.parametrize(
    ("wide", "narrow", "covers"),
    [
        ("double", "int", True),
        ("double", "float", True),
        ("float", "double", False),
        ("int64_t", "int", True),
        ("int", "double", False),
        ("bool", "int", False),
        ("int", "bool", True),
    ],
)
def test_which_type_holds_all_of_another(wide: str, narrow: str, covers: bool) -> None:
    assert of(wide).covers(of(narrow)) is covers


@given(st.floats(allow_nan=False, allow_infinity=False, width=64) | st.integers(-(2**60), 2**60))
def test_what_vanishes_is_what_is_stored_as_0(value: float) -> None:
    assert c_type("float").vanishes(value) == (value != 0 and abs(value) < 1 and not np.float32(value))
    assert not c_type("double").vanishes(value)


@pytest.mark.parametrize("values", [[1.0, 1e-50, 0.0], [-1e-60, 0.5, 2]])
def test_one_value_of_an_array_that_vanishes_is_found(values: list[float]) -> None:
    population = PopulationState("p", (3,), parameters={"a": np.zeros(3, np.float32)})
    (finding,) = validate({"populations": {"p": {"a": values}}}, NetworkState(populations=[population]))
    assert finding.rule == "P401"
    assert finding.pointer == f"/populations/p/a/{int(abs(values[0]) > abs(values[1]))}"
