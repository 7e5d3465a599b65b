"""Rows in and out of a network's memory: any slice, cut anywhere."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from ann_ckpt.adapters.annarchy import rows
from ann_ckpt.adapters.annarchy.rows import BulkSynapses, write_rows


class Memory:
    """What C++ does: whole rows, and it counts them."""

    def __init__(self, sizes: list[int]) -> None:
        self.row_ptr = np.concatenate(([0], np.cumsum(sizes, dtype=np.int64))).astype(np.int64)
        self.values = np.arange(self.row_ptr[-1], dtype=np.float64)
        self.copied = 0

    def read(self, low: int, high: int, out: NDArray[Any]) -> None:
        part = self.values[self.row_ptr[low] : self.row_ptr[high]]
        assert out.flags.c_contiguous
        assert out.shape == part.shape
        out[...] = part
        self.copied += part.size

    def write(self, low: int, high: int, given: NDArray[Any]) -> None:
        assert given.flags.c_contiguous
        assert given.size == self.row_ptr[high] - self.row_ptr[low]
        self.values[self.row_ptr[low] : self.row_ptr[high]] = given


SIZES = st.lists(st.integers(0, 4), max_size=6)


@given(SIZES, st.data())
def test_every_slice_is_that_of_the_whole(sizes: list[int], data: st.DataObject) -> None:
    memory = Memory(sizes)
    array = BulkSynapses(memory.row_ptr, np.dtype(np.float64), memory.read)
    for _ in range(3):
        start = data.draw(st.integers(0, memory.values.size))
        stop = data.draw(st.integers(start, memory.values.size))
        np.testing.assert_array_equal(array[start:stop], memory.values[start:stop])
    np.testing.assert_array_equal(np.asarray(array), memory.values)


def test_reading_onwards_copies_a_long_row_once() -> None:
    memory = Memory([0, 1000, 0])
    array = BulkSynapses(memory.row_ptr, np.dtype(np.float64), memory.read)
    parts = [array[at : at + 7] for at in range(0, 1000, 7)]
    np.testing.assert_array_equal(np.concatenate(parts), memory.values)
    assert memory.copied == 1000


@given(SIZES, st.integers(1, 9))
def test_writing_hands_over_whole_rows(sizes: list[int], at_most: int) -> None:
    memory = Memory(sizes)
    wanted = np.random.default_rng(1).random(memory.values.size)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rows, "BLOCK_BYTES", at_most * 8)
        write_rows(wanted, memory.row_ptr, np.dtype(np.float64), memory.write)
    np.testing.assert_array_equal(memory.values, wanted)
