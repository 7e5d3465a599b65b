"""What is counted without a disk is what a disk would have taken, and what it foretells comes true."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ann_ckpt import CheckpointStore, NetworkState, PopulationState, differences
from benchmarks.counted import Curve, Plan, Sparse, curves, holes, page, spent


def state(arrays, step):
    sheets = [PopulationState(f"p{i}", a.shape, variables={"r": a}) for i, a in enumerate(arrays)]
    return NetworkState(populations=sheets, time_step=step)


def test_files_with_holes_are_those_that_would_have_been_written(tmp_path):
    sparse = [Sparse(number, 260 << 15) for number in range(2)]
    stores = {name: CheckpointStore(tmp_path / name, "a", compression="none") for name in ("holes", "whole")}
    taken = []
    for step in range(3):
        if step == 2:
            sparse[1].change()
        whole = [np.array(array) for array in sparse]
        assert sum(int(np.count_nonzero(array)) for array in whole) == (1 if step < 2 else 4)
        with holes():
            one = spent(lambda step=step: stores["holes"].save(state(sparse, step)))
        other = spent(lambda step=step, whole=whole: stores["whole"].save(state(whole, step)))
        taken.append((one, other))
    for one, other in taken:
        assert one.written == pytest.approx(other.written, abs=100)
        assert one.calls == pytest.approx(other.calls, abs=30)
    assert taken[0][0].written > 130 << 20 > taken[2][0].written > 3 << 18 > taken[1][0].written
    here, there = (
        {p.relative_to(s.path): p for p in (tmp_path / name / "objects").rglob("*.h5")}
        for name, s in stores.items()
    )
    assert len(here) == 3
    assert (
        sum(p.stat().st_blocks for p in here.values()) < sum(p.stat().st_blocks for p in there.values()) / 50
    )
    for name, path in here.items():
        assert path.read_bytes() == there[name].read_bytes()
    for saved, expected in zip(stores["holes"], stores["whole"], strict=True):
        assert not list(differences(saved.state(), expected.state()))
    for store in stores.values():
        assert store.verify().ok
        store.close()


@given(st.floats(-1e6, 1e6), st.floats(0, 1e3), st.integers(1, 10**6))
def test_a_straight_line_is_foretold(a, b, x):
    points = tuple((n, a + b * n) for n in (1, 10, 100))
    assert Curve("n", "calls", "calls", points).foretold(x) == pytest.approx(a + b * x, rel=1e-6, abs=1e-3)


def test_the_page_has_every_curve_and_what_was_foretold_is_found(tmp_path):
    plan = Plan(
        sizes=(1 << 24, 1 << 25, 1 << 26, 1 << 28),
        shared=1 << 24,
        shares=(1.0, 100.0),
        lengths=(5, 10, 40),
        objects=(100, 200, 400),
        in_buckets=(3, 6, 12),
    )
    found = curves(plan, tmp_path)
    assert not list(tmp_path.iterdir())
    assert len({(curve.axis, curve.what, curve.unit) for curve in found}) == len(found)
    for curve in found:
        if curve.far and curve.what != "memory of these saves":
            x, y = curve.far
            assert curve.foretold(x) == pytest.approx(y, rel=0.1, abs=5), curve
    text = page(found)
    for curve in found:
        assert f"| {curve.what}" in text
