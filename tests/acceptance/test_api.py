"""save and load on a simulator, whatever the file is."""

from __future__ import annotations

import os

import numpy as np
import pytest

import ann_ckpt
from ann_ckpt.demo import DemoNetwork
from ann_ckpt.errors import (
    CorruptFileError,
    FileMissingError,
    MismatchError,
    NotReadableError,
    ObjectNotFoundError,
    OptionError,
    SimulatorError,
)


@pytest.fixture
def saved(tmp_path):
    net = DemoNetwork(seed=1)
    net.simulate(50)
    path = tmp_path / "net.h5"
    ann_ckpt.save(path, network=net, metadata={"run": 7})
    return path, net


def same(a, b):
    """Whether two networks say the same, but for the seed that they were built with."""
    return set(ann_ckpt.differences(a.read().state, b.read().state)) <= {"seed"}


def test_saved_loaded_and_continued_is_the_uninterrupted_run(saved):
    path, net = saved
    other = DemoNetwork(seed=2)
    report = ann_ckpt.load(path, network=other)
    assert not report.problems
    assert same(net, other)
    net.simulate(100)
    other.simulate(100)
    assert same(net, other)


def test_selection_loads_only_what_it_names(saved):
    path, net = saved
    other = DemoNetwork(seed=2)
    untouched = DemoNetwork(seed=2).read().state
    ann_ckpt.load(path, populations=False, projections=["forward"], network=other)
    found = other.read().state
    assert np.array_equal(found.projections["forward"]["w"], net.read().state.projections["forward"]["w"])
    for name in found.populations:
        for attribute in found.populations[name]:
            assert np.array_equal(found.populations[name][attribute], untouched.populations[name][attribute])


def test_a_damaged_file_changes_nothing(saved):
    path, _ = saved
    import h5py

    with h5py.File(path, "r+") as file:
        weights = file["projections/forward/variables/w"]
        weights[3] = weights[3] + 1
    other = DemoNetwork(seed=2)
    with pytest.raises(CorruptFileError, match="checksum mismatch"):
        ann_ckpt.load(path, network=other)
    assert same(other, DemoNetwork(seed=2))


def test_a_strict_load_lists_every_problem_and_changes_nothing(saved, tmp_path):
    path, _ = saved
    state = ann_ckpt.read(path)
    layer = next(iter(state.populations.values()))
    strange = ann_ckpt.NetworkState(
        populations=[
            ann_ckpt.PopulationState(layer.name, (3,)),
            ann_ckpt.PopulationState("unheard of", (1,)),
        ],
        time_step=3,
        dt=0.25,
    )
    other_path = tmp_path / "strange.h5"
    ann_ckpt.write(strange, other_path)
    other = DemoNetwork(seed=2)
    with pytest.raises(MismatchError) as caught:
        ann_ckpt.load(other_path, network=other)
    text = str(caught.value)
    assert all(word in text for word in ("unheard of", "geometry", "0.25"))
    assert len(caught.value.report.problems) >= 4
    assert same(other, DemoNetwork(seed=2))
    lenient = ann_ckpt.load(other_path, network=other, strict=False)
    assert len(lenient.problems) == len(caught.value.report.problems)


def test_metadata_and_selection_on_saving(saved, tmp_path):
    path, net = saved
    with ann_ckpt.open(path) as ckpt:
        assert ckpt.metadata == {"run": 7}
        assert "simulator" in ckpt.provenance
    part = tmp_path / "part.h5"
    report = ann_ckpt.save(part, populations=False, projections="for*", network=net)
    assert report.saved == ("projections/forward",)
    with pytest.raises(ObjectNotFoundError, match="did you mean 'forward'"):
        ann_ckpt.save(part, projections="forwrad", network=net)
    assert list(ann_ckpt.read(part).projections) == ["forward"]


def test_wrong_arguments_say_what_was_expected(saved, tmp_path):
    path, net = saved
    with pytest.raises(OptionError, match=r"\.h55"):
        ann_ckpt.save(tmp_path / "net.h55", network=net)
    with pytest.raises(OptionError, match="compression"):
        ann_ckpt.save(path, network=net, compression="rar")
    with pytest.raises(SimulatorError):
        ann_ckpt.save(path, network=object())
    with pytest.raises(FileMissingError):
        ann_ckpt.load(tmp_path / "none.h5", network=net)
    with pytest.raises(NotReadableError, match="folder"):
        ann_ckpt.load(tmp_path, network=net)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(NotReadableError, match="pipe"):
        ann_ckpt.open(tmp_path / "pipe")
    (tmp_path / "text.h5").write_text("hello")
    with pytest.raises(CorruptFileError):
        ann_ckpt.load(tmp_path / "text.h5", network=net)
    assert ann_ckpt.verify(path).ok


@pytest.mark.parametrize("tag", [5, b"trained", 1.5, ["trained"]])
def test_a_tag_that_is_no_text_is_refused_in_words(tag, tmp_path):
    with (
        ann_ckpt.CheckpointStore(tmp_path / "run.ckpt", "a") as store,
        pytest.raises(OptionError, match="a tag is of type"),
    ):
        store.save(ann_ckpt.NetworkState(), tag=tag)
