"""Values of synapses go from Brian2's order into rows and back, whatever the order."""

from __future__ import annotations

from functools import partial
from unittest import mock

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ann_ckpt.adapters.brian2 import order as module
from ann_ckpt.adapters.brian2.mapping import rows_of
from ann_ckpt.adapters.brian2.order import InRows, KnownIntegers, Places, Steps
from ann_ckpt.format.digest import ArrayDigest
from ann_ckpt.model.arrays import blocks, identical_values, known_identical


def all_to_all(sources, targets):
    return np.repeat(np.arange(sources), targets), np.tile(np.arange(targets), sources)


@st.composite
def ends(draw):
    """Both ends of synapses in some order: a table, a table with one pair changed, or anything."""
    kind = draw(st.sampled_from(["table", "broken", "any"]))
    sources, targets = draw(st.integers(1, 9)), draw(st.integers(2, 9))
    pre, post = all_to_all(sources, targets)
    if kind == "broken":
        a, b = (draw(st.integers(0, pre.size - 1)) for _ in range(2))
        post[[a, b]] = post[[b, a]]
    elif kind == "any":
        chosen = draw(st.lists(st.integers(0, pre.size - 1), min_size=1, max_size=40))
        pre, post = pre[chosen], post[chosen]
    return pre.astype(np.int32), post.astype(np.int32)


@given(ends=ends(), dtype=st.sampled_from([np.float64, np.float32, np.int32, np.bool_]), data=st.data())
def test_values_go_into_rows_and_back(ends, dtype, data):
    connectivity, order, own = rows_of(*ends)
    n = order.size
    places = Places.of(order, np.argsort(order).astype(np.int32) if own is None else own, connectivity.n_rows)
    values = np.random.default_rng(n).integers(0, 2**20, n).astype(dtype)
    start, stop = data.draw(st.integers(0, n)), data.draw(st.integers(0, n))
    lazy = InRows(values, places)
    np.testing.assert_array_equal(lazy[start:stop], values[places.own][start:stop], strict=True)
    np.testing.assert_array_equal(np.asarray(lazy), values[places.own], strict=True)
    back = np.empty_like(values)
    at_most, whole = data.draw(st.integers(1, 200)), data.draw(st.sampled_from([0, 2**20]))
    with (
        mock.patch.object(module, "blocks", partial(blocks, at_most=at_most)),
        mock.patch.object(module, "_WHOLE_BYTES", whole),
    ):
        places.from_rows(lazy, back)
    np.testing.assert_array_equal(back, values, strict=True)


@pytest.mark.parametrize(("sources", "targets"), [(3, 5), (300, 700), (1, 4)])
def test_all_to_all_connections_are_a_table(sources, targets):
    connectivity, order, own = rows_of(*(e.astype(np.int32) for e in all_to_all(sources, targets)))
    own = np.argsort(order).astype(np.int32) if own is None else own
    assert Places.of(order, own, connectivity.n_rows).width == sources
    values = np.random.default_rng(1).random(order.size)
    places = Places.of(order, own, connectivity.n_rows)
    np.testing.assert_array_equal(InRows(values, places)[7 : order.size - 2], values[own][7:-2])
    back = np.empty_like(values)
    places.from_rows(values[own], back)
    np.testing.assert_array_equal(back, values)


@pytest.mark.parametrize("whole", [0, 1 << 30])
def test_long_orders_are_followed_in_parts(monkeypatch, whole):
    monkeypatch.setattr(module, "_WHOLE_BYTES", whole)
    rng = np.random.default_rng(2)
    own = rng.permutation(200_000).astype(np.int32)
    order = np.empty_like(own)
    order[own] = np.arange(own.size, dtype=np.int32)
    places, values = Places.of(order, own, 7), rng.random(own.size)
    assert not places.width
    np.testing.assert_array_equal(np.asarray(InRows(values, places)), values[own])
    back = np.empty_like(values)
    places.from_rows(values[own], back)
    np.testing.assert_array_equal(back, values)


@given(n=st.integers(0, 20_000))
def test_what_is_remembered_has_the_digest_of_files(n):
    values = np.arange(n, dtype=np.int32)
    digest = ArrayDigest(values.dtype, values.shape)
    digest.update(values)
    remembered = KnownIntegers(values)
    assert remembered.digest == digest.hex()
    assert known_identical(remembered, KnownIntegers(values.copy()))
    assert identical_values(remembered, values)
    if n:
        assert not known_identical(remembered, KnownIntegers(values[::-1].copy()))
        assert not identical_values(remembered, KnownIntegers(values + 1))


def test_steps_are_counted_when_they_are_asked_for():
    seconds = np.array([0.0, 1e-4, 1.6e-4])
    steps = Steps(seconds, 1e-4)
    assert (steps.dtype, steps.shape) == (np.dtype(np.int32), (3,))
    assert steps[1:].tolist() == [1, 2]
    seconds[0] = 3e-4
    assert np.asarray(steps).tolist() == [3, 1, 2]
