"""Nested containers as arrays, and back."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ann_ckpt.adapters.annarchy.containers import (
    array_names,
    arrays_of,
    flattened,
    in_parts,
    without_parts,
)
from ann_ckpt.adapters.annarchy.cpp_members import CppMember
from ann_ckpt.errors import StateError


def flat(value: object, depth: int) -> tuple[list[float], list[list[int]]]:
    """What the C++ side makes of nested lists."""
    if depth == 0:
        return [value], []
    values, sizes = [], [[len(value)], *([] for _ in range(depth - 1))]
    for inner in value:
        more, below = flat(inner, depth - 1)
        values += more
        for level, lengths in zip(sizes[1:], below, strict=True):
            level.extend(lengths)
    return values, sizes


def as_bytes(member: CppMember, value: object) -> tuple[bytes, list[bytes]]:
    values, sizes = flat(value, member.depth)
    return np.array(values, member.dtype).tobytes(), [np.array(s, np.int64).tobytes() for s in sizes]


RANKS = st.lists(st.integers(0, 9), max_size=3)


@given(st.lists(RANKS, max_size=4))
def test_lists_of_uneven_length(queue: list[list[int]]) -> None:
    member = CppMember("_delayed_spike", "std::deque<std::vector<int>>")
    arrays = arrays_of(member, *as_bytes(member, queue))
    assert tuple(arrays) == array_names(member) == ("_delayed_spike", "_delayed_spike.sizes")
    assert arrays["_delayed_spike.sizes"].tolist() == [len(spikes) for spikes in queue]
    assert flattened(member, arrays) == as_bytes(member, queue)


@given(st.integers(0, 3), st.integers(0, 3), st.data())
def test_a_ring_of_rows_of_lists(steps: int, rows: int, data: st.DataObject) -> None:
    member = CppMember("_delayed_spikes", "std::vector<std::vector<std::vector<int>>>")
    ring = [[data.draw(RANKS) for _ in range(rows)] for _ in range(steps)]
    arrays = arrays_of(member, *as_bytes(member, ring))
    assert arrays["_delayed_spikes.sizes"].shape == (steps, rows if steps else 0)
    assert flattened(member, arrays) == as_bytes(member, ring)


@given(st.lists(st.integers(0, 3), min_size=1, max_size=3), st.integers(1, 3), st.data())
def test_a_ring_in_parts_is_the_ring_of_all_rows(rows: list[int], steps: int, data: st.DataObject) -> None:
    parted = CppMember("_delayed_spikes", "std::vector<std::vector<std::vector<std::vector<int>>>>")
    whole = CppMember("_delayed_spikes", "std::vector<std::vector<std::vector<int>>>")
    ring = [[[data.draw(RANKS) for _ in range(size)] for _ in range(steps)] for size in rows]
    together = [[lists for part in ring for lists in part[step]] for step in range(steps)]
    cut = as_bytes(parted, ring)
    assert without_parts(*cut, item=4) == as_bytes(whole, together)
    assert in_parts(*as_bytes(whole, together), np.array(rows), item=4) == cut


@given(st.integers(0, 3), st.integers(0, 3))
def test_floats_keep_their_axes(steps: int, size: int) -> None:
    member = CppMember("_delayed_r", "std::deque<std::vector<float>>")
    queue = np.arange(steps * size, dtype=np.float32).reshape(steps, size)
    arrays = arrays_of(member, *as_bytes(member, queue.tolist()))
    assert arrays["_delayed_r"].dtype == np.float32
    assert arrays["_delayed_r"].shape == (steps, size if steps else 0)
    assert flattened(member, arrays) == as_bytes(member, queue.tolist())


@pytest.mark.parametrize(("ctype", "value"), [("bool", True), ("long int", -10000), ("double", 0.1)])
def test_single_numbers(ctype: str, value: float) -> None:
    member = CppMember("m", ctype)
    arrays = arrays_of(member, *as_bytes(member, value))
    assert arrays["m"].shape == ()
    assert arrays["m"] == value
    assert flattened(member, arrays) == as_bytes(member, value)


def test_a_distribution_is_its_text() -> None:
    member = CppMember("dist_rand_0", "std::normal_distribution<double>")
    arrays = arrays_of(member, b"0 1 1 0.25 ", [])
    assert arrays["dist_rand_0"].tobytes() == b"0 1 1 0.25 "
    assert flattened(member, arrays) == (b"0 1 1 0.25 ", [])


QUEUE = CppMember("q", "std::deque<std::vector<int>>")


@pytest.mark.parametrize(
    ("arrays", "fact"),
    [
        ({}, "q is missing"),
        ({"q": np.zeros(2, np.int32)}, "q.sizes is missing"),
        ({"q": np.zeros(2), "q.sizes": np.array([2])}, "float64"),
        ({"q": np.zeros((2, 1), np.int32), "q.sizes": np.array([2])}, "2 axes"),
        ({"q": np.zeros(2, np.int32), "q.sizes": np.array([[2]])}, "2 axes"),
        ({"q": np.zeros(2, np.int32), "q.sizes": np.array([1])}, "2 values for lists of 1"),
        ({"q": np.zeros(2, np.int32), "q.sizes": np.array([3, -1])}, "2 values"),
    ],
)
def test_arrays_of_another_form_are_refused(arrays: dict[str, np.ndarray], fact: str) -> None:
    with pytest.raises(StateError, match=fact):
        flattened(QUEUE, arrays)


def test_uneven_lists_of_floats_are_refused() -> None:
    member = CppMember("_buffer", "std::vector<std::vector<double>>")
    with pytest.raises(StateError, match="uneven"):
        arrays_of(member, *as_bytes(member, [[1.0], []]))
