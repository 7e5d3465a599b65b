from __future__ import annotations

import click
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ann_ckpt.cli.output import FEW, few, number, row_range

ENDS = st.none() | st.integers(-50, 50)


@given(ENDS, ENDS, st.integers(0, 30))
def test_a_range_of_rows_picks_what_a_slice_picks(low: int | None, high: int | None, length: int) -> None:
    text = f"{'' if low is None else low}:{'' if high is None else high}"
    picked = row_range(text)
    assert list(range(length)[picked]) == list(range(length)[low:high])


@given(st.integers(-10, 9))
def test_a_single_row_picks_itself(row: int) -> None:
    picked = row_range(str(row))
    assert list(range(10)[picked]) == [range(10)[row]]


@given(st.text(max_size=5).filter(lambda t: not set(t) <= set(" 0123456789:+-_")))
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(click.BadParameter):
        row_range(text)


@given(st.floats(allow_nan=False), st.integers(1, 17))
def test_a_number_is_right_to_its_digits(value: float, digits: int) -> None:
    shown = float(number(value, digits))
    assert shown == pytest.approx(value, rel=10.0 ** (1 - digits)) or abs(shown) == float("inf")


@given(st.integers(0, 100))
def test_few_shows_or_counts_every_value(length: int) -> None:
    shown = few(np.arange(length))
    more = int(shown.pop().removeprefix("+ ")) if shown and shown[-1].startswith("+") else 0
    assert shown == [str(n) for n in range(min(length, FEW))]
    assert len(shown) + more == length
