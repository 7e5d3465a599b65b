from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ann_ckpt.adapters.annarchy import rows as module
from ann_ckpt.adapters.annarchy.rows import Neurons, RowSynapses, rows_of
from ann_ckpt.errors import SimulatorError
from ann_ckpt.model import Array

SIZES = st.lists(st.integers(0, 7), max_size=12)
DTYPES = st.sampled_from([np.float64, np.float32, np.int32, np.bool_])


class Live:
    """Rows of a projection, counting how often each is fetched."""

    def __init__(self, sizes: list[int], dtype: type) -> None:
        self.row_ptr = np.concatenate(([0], np.cumsum(sizes))).astype(np.int64)
        self.values = (np.arange(self.row_ptr[-1]) % 5 / 4).astype(dtype)
        self.fetched = [0] * len(sizes)
        self.array = RowSynapses(self.row_ptr, self.values.dtype, self.fetch)

    def fetch(self, row: int) -> list[object]:
        self.fetched[row] += 1
        return self.values[self.row_ptr[row] : self.row_ptr[row + 1]].tolist()


@given(SIZES, DTYPES, st.data())
def test_any_slice_is_the_values_there(sizes: list[int], dtype: type, data: st.DataObject) -> None:
    live = Live(sizes, dtype)
    n = live.values.size
    for _ in range(3):
        start, stop = (data.draw(st.none() | st.integers(-n - 2, n + 2)) for _ in range(2))
        part = live.array[start:stop]
        assert part.dtype == live.values.dtype
        assert part.tolist() == live.values[start:stop].tolist()
    assert np.asarray(live.array).tolist() == live.values.tolist()
    assert live.array[::-1].tolist() == live.values[::-1].tolist()


@given(SIZES, st.integers(1, 9))
def test_reading_on_in_blocks_fetches_each_row_once(sizes: list[int], step: int) -> None:
    live = Live(sizes, np.float64)
    for start in range(0, live.values.size, step):
        live.array[start : start + step]
    assert live.fetched == [int(size > 0) for size in sizes]


def test_it_is_an_array_to_this_package() -> None:
    live = Live([2, 0, 3], np.float64)
    assert isinstance(live.array, Array)
    assert live.array.shape == (5,)
    assert np.asarray(live.array, np.float32).dtype == np.float32
    assert live.fetched == [1, 0, 1]


@pytest.mark.parametrize("cut", [slice(0, 5), slice(1, 5)])
def test_a_row_that_changed_under_the_reader_is_an_error(cut: slice) -> None:
    live = Live([2, 3], np.float64)
    array = RowSynapses(live.row_ptr, live.values.dtype, lambda row: [1.0] * 4)
    with pytest.raises(SimulatorError, match=r"row 0 has 4 synapses now and had 2"):
        array[cut]


def test_no_view_of_a_live_network_is_free() -> None:
    with pytest.raises(ValueError, match="without a copy"):
        Live([1], np.float64).array.__array__(copy=False)


def test_neurons_come_in_their_geometry_and_are_fetched_once_a_pass() -> None:
    calls = []

    def fetch() -> list[float]:
        calls.append(1)
        return [float(i) for i in range(12)]

    array = Neurons((4, 3), np.dtype(np.float64), fetch)
    assert array.shape == (4, 3)
    assert array[1:3].tolist() == [[3.0, 4.0, 5.0], [6.0, 7.0, 8.0]]
    calls.clear()
    assert (
        np.concatenate([array[i : i + 1] for i in range(4)]).tolist()
        == np.arange(12.0).reshape(4, 3).tolist()
    )
    assert len(calls) == 1
    array[0:4]
    assert len(calls) == 2, "the next pass sees what the network has by then"


@given(SIZES, st.integers(1, 12))
def test_rows_go_out_as_lists_a_block_at_a_time(sizes: list[int], elements: int) -> None:
    live = Live(sizes, np.float64)
    asked = []

    class Asked:
        shape, dtype = live.values.shape, live.values.dtype

        def __getitem__(self, key: slice) -> object:
            asked.append(key.stop - key.start)
            return live.values[key]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "BLOCK_BYTES", 8 * elements)
        out = list(rows_of(Asked(), live.row_ptr, live.values.dtype))
    assert [row for row, _ in out] == list(range(len(sizes)))
    assert [len(values) for _, values in out] == sizes
    assert [v for _, values in out for v in values] == live.values.tolist()
    assert all(count <= max(elements, *sizes) for count in asked)


def test_rows_go_out_in_the_type_that_is_taken() -> None:
    (_, values), *_ = rows_of(np.array([1, 2]), np.array([0, 2]), np.dtype(np.float64))
    assert [type(v) for v in values] == [float, float]
