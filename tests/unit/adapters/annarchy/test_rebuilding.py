"""Synapses for ``init_from_lil``: flat arrays say what the lists say."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from ann_ckpt import Connectivity
from ann_ckpt.adapters.annarchy.storage import as_arrays, as_lists

SIZES = st.lists(st.integers(0, 4), max_size=5)


def cut(flat: tuple[np.ndarray, np.ndarray]) -> list[list[Any]]:
    """What the binding makes of flat rows."""
    values, borders = flat
    assert borders.dtype == np.int64
    assert borders[-1] == values.size
    return [values[a:b].tolist() for a, b in pairwise(borders)]


def synapses(sizes: list[int]) -> Connectivity:
    pres = [rank for size in sizes for rank in range(size)]
    return Connectivity(np.arange(len(sizes)), np.cumsum([0, *sizes]), np.array(pres, np.int32))


@given(SIZES, st.sampled_from([np.float32, np.float64]), st.booleans(), st.sampled_from([None, 3, "each"]))
def test_both_say_the_same(sizes: list[int], dtype: type, single: bool, delays: Any) -> None:
    made = synapses(sizes)
    rng = np.random.default_rng(1)
    weights = np.array(0.1, dtype) if single else rng.random(sum(sizes)).astype(dtype)
    if delays == "each":
        delays = rng.integers(1, 9, sum(sizes), dtype=np.int32)
    posts, *rows = as_arrays(made, weights, delays)
    listed_posts, *listed = as_lists(made, weights, delays)
    assert posts.tolist() == listed_posts
    assert [cut(flat) for flat in rows] == listed


def test_types_are_those_that_the_binding_reads() -> None:
    posts, pres, weights, delays = as_arrays(synapses([1, 2]), np.zeros(3, np.float32), 2)
    assert (posts.dtype, pres[0].dtype, weights[0].dtype) == (np.int32, np.int32, np.float64)
    assert (delays[0].dtype, delays[0].tolist()) == (np.int32, [2])
    assert as_lists(synapses([1]), np.zeros(1), None)[3] == []
