"""Values are shown in the unit that fits them, without losing what they are."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ann_ckpt.model.units import quantity, reworded, scaled

UNITS = ("V", "s", "ohm", "kg", "mM", "m^2", "V^3")


@pytest.mark.parametrize(
    ("value", "unit", "shown"),
    [
        (-0.07, "V", "-70. mV"),
        (0.0005, "V", "0.5 mV"),
        (0.0, "V", "0. V"),
        (1.0, "V", "1. V"),
        (2e-5, "V", "20. uV"),
        (5000.0, "Hz", "5. kHz"),
        (2e-10, "F", "200. pF"),
        (6e-8, "m^2", "0.06 mm^2"),
        (0.0123, "kg", "12.3 g"),
        (0.0123, "mM", "12.3 uM"),
        (0.0123, "V^2", "0.0123 V^2"),
        (1.0, "S/(m^2)", "1. S/(m^2)"),
        (math.nan, "V", "nan V"),
        (10.0, "ms", "10. ms"),
        (0.25, "1", "0.25"),
        (0.25, "", "0.25"),
        (3, "steps", "3 steps"),
        (np.float32(-0.07), "V", "-70. mV"),
        (True, "", "true"),
    ],
)
def test_values_as_brian_shows_them(value: float, unit: str, shown: str) -> None:
    assert quantity(value, unit) == shown


@given(st.lists(st.floats(-1e9, 1e9), min_size=1), st.sampled_from(UNITS))
def test_a_unit_changes_by_one_power_of_ten_for_all_values(values: list[float], unit: str) -> None:
    shown, _ = scaled(values, unit)
    factors = {round(math.log10(abs(b / a))) for a, b in zip(values, shown, strict=True) if abs(a) > 1e-200}
    assert len(factors) <= 1
    for exponent in factors:
        assert np.allclose(np.array(values) * 10.0**exponent, shown, rtol=1e-12, atol=0)


@given(st.floats(allow_nan=False, allow_infinity=False), st.sampled_from(UNITS))
def test_a_reworded_text_loses_no_digit(value: float, unit: str) -> None:
    number, _, own = reworded(f"{value!r} {unit}").partition(" ")
    assert float(number) == scaled(value, unit)[0]
    assert scaled(value, unit)[1] == own


def test_a_long_text_of_digits_is_no_number_at_once() -> None:
    text = "1" * 1_000_000 + "x"
    assert reworded(text) == text


@given(st.text())
def test_other_texts_stay(text: str) -> None:
    assert reworded(f"{text} > 20*mV") == f"{text} > 20*mV"
