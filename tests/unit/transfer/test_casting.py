from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from ann_ckpt.model import Array
from ann_ckpt.model.arrays import Cast
from ann_ckpt.transfer.fitting import cast_refusal

TYPES = [np.dtype(t) for t in ("f8", "f4", "i4", "i8", "u8", "u1", "i1", "i2", "?")]


@given(st.sampled_from(TYPES), st.sampled_from(TYPES), st.data())
def test_what_is_accepted_comes_out_equal_or_rounded(
    stored: np.dtype, live: np.dtype, data: st.DataObject
) -> None:
    values = data.draw(hnp.arrays(stored, st.integers(0, 6)))
    if cast_refusal(values, live) is not None:
        return
    with np.errstate(over="ignore"):
        cast = np.asarray(Cast(values, live))
    assert cast.dtype == live
    if stored.kind == live.kind == "f":
        assert np.array_equal(cast, values.astype(live), equal_nan=True)
        assert np.array_equal(np.isinf(cast), np.isinf(values))
    else:
        assert [int(v) if float(v).is_integer() else float(v) for v in cast.tolist()] == values.tolist()


@pytest.mark.parametrize(
    ("values", "live", "reason"),
    [
        ([1.0, 2.5], "i4", "2.5 cannot be represented as int32"),
        ([np.nan], "i4", "nan cannot be represented as int32"),
        ([np.inf], "i8", "inf cannot be represented as int64"),
        ([2.0**63], "i8", "9.223372036854775808e+18 cannot be represented as int64"),
        ([2**31], "i4", "2147483648 cannot be represented as int32"),
        ([-1], "u1", "-1 cannot be represented as uint8"),
        ([200], "i1", "200 cannot be represented as int8"),
        ([200.0], "i1", "200.0 cannot be represented as int8"),
        ([-129], "i1", "-129 cannot be represented as int8"),
        ([2], "?", "2 cannot be represented as bool"),
        ([0.5], "?", "0.5 cannot be represented as bool"),
        ([1e300], "f4", "1e+300 cannot be represented as float32"),
        ([2**24 + 1], "f4", "16777217 cannot be represented as float32"),
        ([2**53 + 1], "f8", "9007199254740993 cannot be represented as float64"),
        ([2**63 - 1], "f8", "9223372036854775807 cannot be represented as float64"),
        ([2**64 - 1], "f8", "18446744073709551615 cannot be represented as float64"),
        ([2**64 - 1], "i8", "18446744073709551615 cannot be represented as int64"),
        ([-1], "u8", "-1 cannot be represented as uint64"),
        ([2.0**64], "u8", "1.8446744073709552e+19 cannot be represented as uint64"),
    ],
)
def test_what_would_change_is_refused(values: list[float], live: str, reason: str) -> None:
    said = cast_refusal(np.array(values), np.dtype(live))
    assert said is not None
    assert said.split(" cannot be represented as ")[1] == reason.split(" cannot be represented as ")[1]
    assert float(said.split()[0]) == pytest.approx(float(reason.split(maxsplit=1)[0]), nan_ok=True)


@pytest.mark.parametrize(
    ("values", "live"),
    [
        ([1.0, -3.0], "i4"),
        ([0, 1], "?"),
        ([0.0, 1.0], "?"),
        ([0.1, np.nan, np.inf], "f4"),
        ([2.0**62], "i8"),
        (5.0, "i4"),
    ],
)
def test_what_stays_the_same_is_taken(values: float | list[float], live: str) -> None:
    assert cast_refusal(np.array(values), np.dtype(live)) is None


def test_types_that_always_fit_are_not_read() -> None:
    class Unread:
        shape, dtype = (3,), np.dtype(np.float32)

        def __getitem__(self, key: object) -> object:
            raise AssertionError("read")

    assert cast_refusal(Unread(), np.dtype(np.float64)) is None


def test_a_cast_array_is_an_array() -> None:
    cast = Cast(np.arange(4.0), np.dtype(np.int32))
    assert isinstance(cast, Array)
    assert cast[1:3].tolist() == [1, 2]
    assert np.asarray(cast, np.int64).dtype == np.int64
    with pytest.raises(ValueError, match="without a copy"):
        cast.__array__(copy=False)
