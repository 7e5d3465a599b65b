"""The power of growth is that of the points, and small ones do not count."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.growth import exponent, growth
from benchmarks.harness import Role
from benchmarks.results import Result, Row


@given(st.floats(-2, 3), st.floats(1e-6, 1e6), st.lists(st.integers(1, 40), min_size=2, unique=True))
def test_the_power_of_a_power_is_found(power, factor, places):
    points = [(1.5**place, factor * (1.5**place) ** power) for place in places]
    assert exponent(points) == pytest.approx(power, abs=1e-6)


def test_what_is_small_does_not_count():
    assert exponent([(1, 5.0), (10, 5.0), (100, 1.0), (1000, 10.0), (10000, 100.0)]) == pytest.approx(1)
    assert exponent([(0, 1.0), (5, 2.0)]) is None


def test_the_table_says_what_more_would_take():
    results = [
        Result(
            f"size/{x}",
            "",
            0,
            "By size",
            axis,
            x,
            {
                "ours": Row("ours", Role.OURS, [None, x / 1e9]),
                "theirs": Row("theirs", Role.PEER, [None, x / 1e9]),
            },
        )
        for axis in ("bytes of values", "synapses")
        for x in (1e7, 1e8, 1e9)
    ]
    table = growth(results)
    assert "| By size | ours | 1.00 | 1,000 s at 1 TB |" in table
    assert "at 10,000,000,000 synapses" in table
    assert "theirs" not in table
    assert growth([]) == ""
