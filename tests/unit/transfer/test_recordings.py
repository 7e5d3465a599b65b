"""Monitors go on from a file: cut back to it, or refused before anything changes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
from click.testing import CliRunner

import ann_ckpt
from ann_ckpt import CheckpointStore, NetworkState, Recording, Series
from ann_ckpt.cli.main import cli
from ann_ckpt.demo import DemoNetwork
from ann_ckpt.errors import CorruptFileError, MismatchError, OptionError
from ann_ckpt.testing import captured


class Unmonitored:
    """A network as a simulator has it that does not read monitors."""

    def __init__(self, net: DemoNetwork) -> None:
        self._net = net

    def __getattr__(self, name: str) -> object:
        if "recording" in name:
            raise AttributeError(name)
        return getattr(self._net, name)


def network(**monitor) -> DemoNetwork:
    made = DemoNetwork(seed=3, side=4)
    made.monitor("layer", **{"variables": ["r", "onset"], "period": 2.0, "level": 0.02, **monitor})
    return made


def recorded(net: DemoNetwork) -> dict[str, Recording]:
    return dict(net.recordings()[0])


def alike(a: dict[str, Recording], b: dict[str, Recording]) -> bool:
    return not list(ann_ckpt.differences(NetworkState(recordings=a), NetworkState(recordings=b)))


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    net = network()
    net.simulate(30)
    ann_ckpt.save(tmp_path / "net.h5", network=net, monitors=True)
    return tmp_path / "net.h5"


@pytest.mark.parametrize("ran", [0, 7, 50])
def test_a_resumed_run_has_recorded_what_the_uninterrupted_one_has(saved, ran):
    whole, resumed = network(), network()
    whole.simulate(70)
    resumed.simulate(ran)  # what a process recorded before it loads is not of the run
    report = ann_ckpt.load(saved, network=resumed, monitors=True)
    assert "recordings/Monitor_layer" in report.loaded
    resumed.simulate(40)
    assert alike(recorded(whole), recorded(resumed))
    assert len(recorded(whole)["Monitor_layer"]["onset"]) > 10


def test_a_save_empties_nothing_and_what_was_taken_out_before_is_not_in_it(saved, tmp_path):
    net = network()
    net.simulate(30)
    before = recorded(net)
    ann_ckpt.save(tmp_path / "a.h5", network=net, monitors=True)
    assert alike(recorded(net), before)
    net._monitors["Monitor_layer"].get()
    net.simulate(5)
    ann_ckpt.save(tmp_path / "b.h5", network=net, monitors=True)
    with ann_ckpt.open(tmp_path / "b.h5") as ckpt:
        assert np.asarray(ckpt.recordings["Monitor_layer"]["r"].times).tolist() == [30, 32, 34]


def test_a_paused_monitor_stays_paused(tmp_path):
    net, other = network(), network()
    net.simulate(10)
    net._monitors["Monitor_layer"].paused = True
    ann_ckpt.save(tmp_path / "net.h5", network=net, monitors=True)
    ann_ckpt.load(tmp_path / "net.h5", network=other, monitors=True)
    other.simulate(10)
    assert alike(recorded(other), recorded(net))


@pytest.mark.parametrize(
    ("monitor", "problem"),
    [
        ({"period": 3.0}, "period 2 in the file, 3 in the network"),
        ({"level": 0.5}, "level 0.02 in the file, 0.5 in the network"),
        ({"variables": ["r"]}, "records r, onset in the file, r in the network"),
        ({"name": "m"}, "the network has no monitor 'Monitor_layer'"),
    ],
)
def test_a_monitor_that_differs_is_a_problem_and_nothing_changes(saved, monitor, problem):
    other = network(**monitor)
    other.simulate(3)
    before, held = captured(other.read().state), recorded(other)
    with pytest.raises(MismatchError, match=problem):
        ann_ckpt.load(saved, network=other, monitors=True)
    assert not list(ann_ckpt.differences(other.read().state, before))
    assert alike(recorded(other), held)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"of": "populations/image"}, "of populations/image in the file, of populations/layer in the net"),
        ({"ranks": [1, 2]}, "2 neurons in the file, all neurons in the network"),
        ({"settings": {"period": 2}}, "level None in the file"),
        ({"series": {"r": Series(times=[0], values=[[1.0]]), "onset": Series(values=[1])}}, "for 16 neurons"),
    ],
)
def test_what_a_file_says_of_a_monitor_is_compared(saved, tmp_path, change, problem):
    state = ann_ckpt.read(saved)
    changed = {n: replace(r, **change) for n, r in state.recordings.items()}
    ann_ckpt.write(replace(state, recordings=changed), tmp_path / "changed.h5")
    with pytest.raises(MismatchError, match=problem):
        ann_ckpt.load(tmp_path / "changed.h5", network=network(), monitors=True)


def test_a_monitor_that_the_file_lacks_is_a_problem_and_stays_with_strict_off(saved):
    other = network()
    other.monitor("image", ["r"])
    with pytest.raises(MismatchError, match="the file has no monitor 'Monitor_image'"):
        ann_ckpt.load(saved, network=other, monitors=True)
    other.simulate(2)
    report = ann_ckpt.load(saved, network=other, monitors=True, strict=False)
    assert [note.path for note in report.problems] == ["recordings/Monitor_image"]
    assert len(recorded(other)["Monitor_image"]["r"]) == 2
    assert len(recorded(other)["Monitor_layer"]["r"]) == 15


def test_without_the_argument_monitors_record_on_and_the_report_says_what_there_is(saved):
    other = network()
    other.simulate(4)
    held = recorded(other)
    report = ann_ckpt.load(saved, network=other)
    assert any("monitors=True" in note.text for note in report.notes)
    assert alike(recorded(other), held)


def test_where_recordings_cannot_be_kept_it_is_said_before_anything_happens(saved, tmp_path):
    net = network()
    for name in ("net.npz", "net.data", "net", "net.mat"):
        with pytest.raises(OptionError, match="hold no recordings"):
            ann_ckpt.save(tmp_path / name, network=net, monitors=True)
    assert [path.name for path in tmp_path.iterdir()] == ["net.h5"]
    with pytest.raises(OptionError, match="a whole network"):
        ann_ckpt.load(saved, "layer", False, network=net, monitors=True)
    fake = Unmonitored(net)
    with pytest.raises(OptionError, match="are not supported"):
        ann_ckpt.save(tmp_path / "x.h5", network=fake, monitors=True)
    with pytest.raises(OptionError, match="are not supported"):
        ann_ckpt.load(saved, network=fake, monitors=True)


def test_a_file_of_one_object_sets_no_monitors_and_says_so(tmp_path):
    net = network()
    net.simulate(5)
    ann_ckpt.save(tmp_path / "part.h5", "layer", False, network=net, monitors=True)
    with pytest.raises(MismatchError, match="monitors stay as they are"):
        ann_ckpt.load(tmp_path / "part.h5", network=network(), monitors=True)


def test_names_of_objects_are_mapped_for_what_is_recorded_too(saved, tmp_path):
    state = ann_ckpt.read(saved)
    population = replace(state.populations["layer"], name="old")
    renamed = NetworkState(
        populations=[population, state.populations["image"]],
        projections=[
            replace(p, **{e: "old" for e in ("pre", "post") if getattr(p, e) == "layer"})
            for p in state.projections.values()
        ],
        recordings=[replace(r, of="populations/old") for r in state.recordings.values()],
        **{n: getattr(state, n) for n in ("constants", "time_step", "dt", "seed", "dynamics", "resume")},
    )
    ann_ckpt.write(renamed, tmp_path / "old.h5")
    other = network()
    ann_ckpt.load(tmp_path / "old.h5", network=other, names={"old": "layer"}, monitors=True)
    assert alike(recorded(other), dict(state.recordings))


def test_damaged_recordings_change_nothing(saved):
    with h5py.File(saved, "r+") as file:
        file["recordings/Monitor_layer/series/r/values"][3, 2] += 1
    other = network()
    other.simulate(3)
    before, held = captured(other.read().state), recorded(other)
    with pytest.raises(CorruptFileError):
        ann_ckpt.load(saved, network=other, monitors=True)
    assert not list(ann_ckpt.differences(other.read().state, before))
    assert alike(recorded(other), held)


def test_a_store_keeps_to_what_it_was_opened_with(tmp_path):
    net = network()
    with CheckpointStore(tmp_path / "run.ckpt", "a", monitors=True) as store:
        with store.every(10.0, network=net):
            net.simulate(25)
        store.save(net, monitors=False)
        store.save_in_background(net, monitors=True).wait()
        assert [len(ckpt.recordings) for ckpt in store] == [1, 1, 0, 1]
        assert any(array.path.startswith("recordings/") for array in store.plan(net).arrays)
    resumed = network()
    with CheckpointStore(tmp_path / "run.ckpt", "a", monitors=True) as store:
        store.resume(resumed)
    assert alike(recorded(resumed), recorded(net))
    with CheckpointStore(tmp_path / "other.ckpt", "a") as store:
        store.save(net)
        store.save(net, monitors=True)
        assert [len(ckpt.recordings) for ckpt in store] == [0, 1]


def test_files_with_recordings_are_compared_and_listed(saved, tmp_path):
    net = network()
    net.simulate(31)
    ann_ckpt.save(tmp_path / "later.h5", network=net, monitors=True)
    changed = {change.path: change.text for change in ann_ckpt.diff(saved, tmp_path / "later.h5").changed}
    assert "shape (15, 16) became (16, 16)" in str(changed["recordings/Monitor_layer/r/values"])
    assert ann_ckpt.diff(saved, saved).changed == ()
    shown = CliRunner().invoke(cli, ["info", str(saved)])
    assert "Monitor_layer (r, onset)" in shown.output


def test_that_only_one_side_has_recordings_is_said(saved, tmp_path):
    without = tmp_path / "without.h5"
    ann_ckpt.write(replace(ann_ckpt.read(saved), recordings={}), without)
    for pair in ((saved, without), (without, saved)):
        report = ann_ckpt.diff(*pair)
        assert report.same
        said = [str(note) for note in report.notes]
        assert said == [f"recordings: only {saved} has what monitors recorded, and it is not compared"]
