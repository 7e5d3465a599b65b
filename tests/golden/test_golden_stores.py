"""Stores of every released format version read, and go on, as they did when they were written."""

from __future__ import annotations

import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest

import ann_ckpt
from ann_ckpt import CheckpointStore, NetworkState
from ann_ckpt.demo import DemoNetwork
from ann_ckpt.store.saving.placement import INLINE_BYTES
from ann_ckpt.testing import captured
from tests.golden.networks import KEPT, SIDE, TAGS, run

STORES = sorted(Path(__file__).parent.glob("run-*.ckpt"))


@pytest.fixture(params=STORES, ids=lambda p: p.name)
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A copy of one golden store."""
    return Path(shutil.copytree(request.param, tmp_path / "run.ckpt"))


def contents(path: Path) -> dict[str, bytes]:
    return {str(p.relative_to(path)): p.read_bytes() for p in path.rglob("*") if p.is_file()}


def assert_equal(expected: NetworkState, found: NetworkState, *, but: frozenset[str] = frozenset()) -> None:
    assert set(ann_ckpt.differences(expected, found)) <= but


def test_every_value_is_what_was_saved_and_reading_changes_no_file(path):
    before = contents(path)
    with CheckpointStore(path) as store:
        assert [checkpoint.time_step for checkpoint in store] == list(KEPT.values())
        assert store[TAGS[200]].time_step == 200
        for checkpoint, step in zip(store, KEPT.values(), strict=True):
            assert_equal(run(step), checkpoint.state())
            for index in (0, 60, 143):
                expected = run(step).projections["forward"].dendrite(index)
                found = checkpoint.projections["forward"].dendrite(index)
                assert np.array_equal(found["w"], expected["w"])
                assert np.array_equal(found.pre_ranks, expected.pre_ranks)
    for name, step in KEPT.items():
        assert_equal(run(step), ann_ckpt.read(f"{path}@{name}"))
    assert ann_ckpt.verify(path).ok
    assert contents(path) == before


def test_it_has_every_way_of_keeping_an_array(path):
    """Inside the file, linked whole, and composed of pieces; else the other tests show little."""
    with h5py.File(path / "checkpoints" / "000000000200.h5") as first:
        first_w = first["projections/forward/variables/w"]
        assert first_w.shape == (82_801,)
    with h5py.File(path / "checkpoints" / "000000000150-1.h5") as last:
        assert last["projections/forward/variables/w"].is_virtual
        assert isinstance(last.get("projections/lateral/variables/w", getlink=True), h5py.ExternalLink)
        assert isinstance(last.get("populations/layer/variables/r", getlink=True), h5py.HardLink)
        for name in ("forward", "lateral"):
            found = last[f"projections/{name}/variables/w"][()]
            assert np.array_equal(found, run(150).projections[name]["w"])


@pytest.mark.parametrize("name", KEPT)
def test_it_loads_into_a_network_and_exports_into_one_file(path, name, tmp_path):
    network = DemoNetwork(side=SIDE)
    ann_ckpt.load(f"{path}@{name}", network=network)
    loaded = captured(network.read().state)
    assert loaded.time_step == KEPT[name]
    for kind in ("populations", "projections"):
        for key, stored in getattr(run(KEPT[name]), kind).items():
            for attribute, values in (stored.parameters | stored.variables).items():
                found = np.asarray(getattr(loaded, kind)[key][attribute])
                assert np.array_equal(found, values.values), (key, attribute)
    with CheckpointStore(path) as store:
        store.export(name, tmp_path / "net.h5")
    assert_equal(run(KEPT[name]), ann_ckpt.read(tmp_path / "net.h5"))
    assert ann_ckpt.verify(tmp_path / "net.h5").ok


def test_it_goes_on_with_what_is_there(path):
    with CheckpointStore(path, "a") as store:
        report = store.save(run(500), tag="more")
        actions = {plan.path: str(plan.action) for plan in report.arrays}
        assert actions["projections/lateral/variables/w"] == "linked"
        assert actions["projections/forward/pre_ranks"] == "linked"
        assert actions["projections/forward/variables/w"] != "linked"
    with CheckpointStore(path) as store:
        assert [c.time_step for c in store] == [*KEPT.values(), 500]
        for checkpoint in store:
            assert_equal(run(checkpoint.time_step), checkpoint.state())
    assert ann_ckpt.verify(path).ok


def test_pruning_leaves_the_others_whole(path):
    with CheckpointStore(path, "a") as store:
        store.save(run(500))
        store.prune(keep_tags=False, keep=lambda checkpoint: checkpoint.time_step == 150)
    with CheckpointStore(path) as store:
        assert [c.time_step for c in store] == [150, 500]
        for checkpoint in store:
            assert_equal(run(checkpoint.time_step), checkpoint.state())
        shared = [(c, key) for c in store for key, array in c.arrays.items() if array.nbytes > INLINE_BYTES]
        needed = {name for c, key in shared for name in c._layout(key).objects}
    assert {p.stem for p in (path / "objects").glob("*/*.h5")} == needed
    assert ann_ckpt.verify(path).ok
