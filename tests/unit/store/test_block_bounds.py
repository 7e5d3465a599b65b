"""Blocks of rows: cut where a row says so, never where another row does."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ann_ckpt import Connectivity
from ann_ckpt.store.saving import blocks
from ann_ckpt.store.saving.blocks import LONGEST, ROW_BLOCK, even_bounds, row_bounds


def rows(sizes, post=None) -> Connectivity:
    pointers = np.concatenate(([0], np.cumsum(sizes))).astype(np.int64)
    post = np.arange(len(sizes)) if post is None else np.asarray(post)
    return Connectivity(post, pointers, np.zeros(pointers[-1], np.int32))


def blocks_of(connectivity: Connectivity, values: np.ndarray) -> set[bytes]:
    return {b.tobytes() for b in np.split(values, row_bounds(connectivity)[1:-1])}


SIZES = st.lists(st.integers(0, 3 * ROW_BLOCK), min_size=1, max_size=60).filter(lambda s: sum(s) > 0)


@given(SIZES, st.randoms())
def test_blocks_add_up_are_not_empty_and_not_too_long(sizes, random):
    post = list(range(len(sizes)))
    random.shuffle(post)
    bounds = row_bounds(rows(sizes, post))
    assert bounds[0] == 0
    assert bounds[-1] == sum(sizes)
    assert np.all(np.diff(bounds) > 0)
    assert np.diff(bounds).max() <= 2 * LONGEST


@given(SIZES)
def test_a_block_ends_inside_a_row_only_if_the_row_is_longer_than_a_block_may_be(sizes):
    connectivity = rows(sizes)
    for cut in np.setdiff1d(row_bounds(connectivity), connectivity.row_ptr):
        row = np.searchsorted(connectivity.row_ptr, cut) - 1
        assert sizes[row] > LONGEST
        assert (cut - connectivity.row_ptr[row]) % LONGEST == 0


@pytest.mark.parametrize("size", [1, 100, 1000, 10_000, 50_000, 200_000])
def test_blocks_have_the_intended_size_on_average(size):
    n = max(50, 3_000_000 // size)
    mean = np.diff(row_bounds(rows([size] * n))).mean()
    assert ROW_BLOCK / 2 < mean < 2.5 * ROW_BLOCK


@pytest.mark.parametrize("order", ["rising", "falling", "random", "sparse"])
def test_the_order_of_rows_and_the_gaps_between_them_do_not_matter_for_the_size(order):
    n = 5000
    post = {
        "rising": np.arange(n),
        "falling": np.arange(n)[::-1],
        "random": np.random.default_rng(0).permutation(n),
        "sparse": np.arange(n) * 64,
    }[order]
    mean = np.diff(row_bounds(rows([1000] * n, post))).mean()
    assert ROW_BLOCK / 2 < mean < 2 * ROW_BLOCK


def test_one_row_that_grows_leaves_all_other_blocks_as_they_are():
    rng = np.random.default_rng(0)
    sizes = rng.integers(200, 1500, 1000)
    values = rng.random(sizes.sum())
    before = rows(sizes)
    for row in (0, 17, 500, 999):
        grown = sizes.copy()
        grown[row] += 1
        after = rows(grown)
        changed = blocks_of(after, np.insert(values, before.row_ptr[row], 0.5)) - blocks_of(before, values)
        # Usually one; a row that begins to start a block, or shifts a cut inside a long stretch, adds some.
        assert 1 <= len(changed) <= 4


def test_a_new_row_in_the_middle_leaves_all_other_blocks_as_they_are():
    rng = np.random.default_rng(0)
    sizes, post = rng.integers(200, 1500, 1000), np.arange(1000) * 2
    values = rng.random(sizes.sum())
    before = rows(sizes, post)
    after = rows(np.insert(sizes, 500, 700), np.insert(post, 500, 999))
    moved = np.insert(values, np.full(700, before.row_ptr[500]), rng.random(700))
    assert len(blocks_of(after, moved) - blocks_of(before, values)) <= 4


def test_one_endless_row_is_cut_from_its_start():
    bounds = row_bounds(rows([0, 10 * ROW_BLOCK + 5, 0]))
    assert bounds.tolist() == [*range(0, 10 * ROW_BLOCK, LONGEST), 10 * ROW_BLOCK + 5]


@pytest.mark.parametrize("shape", [(1,), (100_000,), (3, 70_000), (500, 20, 30), (2, 1, 1)])
@pytest.mark.parametrize("dtype", ["f8", "i4", "?"])
def test_other_arrays_are_cut_evenly_along_their_first_axis(shape, dtype):
    array = np.zeros(shape, dtype)
    bounds = even_bounds(array)
    sizes = np.diff(bounds)
    assert bounds[0] == 0
    assert bounds[-1] == shape[0]
    assert np.all(sizes[:-1] == sizes[0])
    assert sizes[-1] <= sizes[0]
    entry = array.nbytes // shape[0]
    assert (
        sizes[0] == shape[0]
        or sizes[0] == 1
        or blocks._EVEN_BYTES - entry <= sizes[0] * entry <= blocks._EVEN_BYTES
    )
