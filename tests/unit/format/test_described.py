"""Types and shapes as texts: what was described comes back, and nothing else is taken for one."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ann_ckpt.format.digest import describe, described

LENGTHS = st.lists(st.integers(0, 2**12), min_size=1, max_size=4)


@given(st.sampled_from(["b", "i1", "u2", "i4", "i8", "f4", "f8"]), LENGTHS)
def test_what_was_described_comes_back(kind, lengths):
    dtype = np.dtype("?" if kind == "b" else kind)
    assert described(*describe(dtype, tuple(lengths))) == (dtype, tuple(lengths))


@pytest.mark.parametrize(
    "shape",
    [
        b"",
        b"x",
        b"3x",
        b"x3",
        b"-3",
        b"-3x-4",
        b"+3",
        b" 3",
        b"3\n",
        b"3_000",
        "٣".encode(),
        b"\xff",
        b"99999999999999999999x3",
        b"4611686018427387905",
        b"4294967296x4294967296",
        b"0x4611686018427387905",
        b"x".join([b"1"] * 33),
    ],
)
def test_what_is_no_shape_is_refused(shape):
    with pytest.raises(ValueError, match=r"not the shape|ascii"):
        described(b"|i1", shape)


@pytest.mark.parametrize("dtype", [b"", b"O", b"|O8", b"<c8", b">f8", b"V8", b"|V8", b"<i16", b"\xff"])
def test_what_is_no_type_is_refused(dtype):
    with pytest.raises(ValueError, match=r"not the type|utf-8"):
        described(dtype, b"3")
