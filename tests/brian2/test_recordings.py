"""What monitors recorded is saved with the network, and goes on after a load as if nothing had happened."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from brian2 import SpikeMonitor, ms

import ann_ckpt
from ann_ckpt import CheckpointStore, differences
from ann_ckpt.adapters.brian2 import simulator as adapter
from ann_ckpt.errors import MismatchError, OptionError, SimulatorError
from tests.brian2.recording_runs import MONITORS, held, recorded

REPOSITORY = Path(__file__).parents[2]


def of_process(kind, target, folder):
    """Run a job of `recording_runs` in a process of its own."""
    command = [sys.executable, "-m", "tests.brian2.recording_runs", kind, target, str(folder)]
    return subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("target", ["numpy", pytest.param("cython", marks=pytest.mark.brian2_all)])
def test_after_any_kills_the_recordings_are_those_of_a_run_that_was_not(target, tmp_path):
    ended = of_process("whole", target, tmp_path)
    assert ended.returncode == 0, ended.stderr
    kills = 0
    while (run := of_process("killed", target, tmp_path)).returncode == -9:
        kills += 1
        assert kills < 10
    assert run.returncode == 0, run.stderr
    assert kills >= 2
    whole, killed = (np.load(tmp_path / f"{name}.npz") for name in ("whole", "killed"))
    assert whole.files == killed.files
    for name in whole.files:
        np.testing.assert_array_equal(killed[name], whole[name], strict=True)
        assert name.endswith("count") or len(whole[name]), name
    states = [ann_ckpt.read(tmp_path / f"{name}.h5") for name in ("whole", "killed")]
    assert not list(differences(*states))
    assert set(states[0].recordings) == set(MONITORS)


def test_a_load_cuts_back_what_was_recorded_meanwhile(tmp_path):
    network = recorded(1)
    network.run(10 * ms)
    ann_ckpt.save(tmp_path / "net.h5", network=network, monitors=True)
    before = held(network)
    network.run(10 * ms)
    after = held(network)
    report = ann_ckpt.load(tmp_path / "net.h5", network=network, monitors=True)
    assert not [note for note in report.notes if "monitor" in note.text]
    same(held(network), before)
    network.run(10 * ms)
    same(held(network), after)
    shorter = recorded(2)
    shorter.run(3 * ms)
    ann_ckpt.load(tmp_path / "net.h5", network=shorter, monitors=True)
    same(held(shorter), before)


def same(found, expected):
    assert list(found) == list(expected)
    for name, values in found.items():
        np.testing.assert_array_equal(values, expected[name], strict=True)


def test_files_say_when_where_and_what(tmp_path):
    network = recorded(1)
    network.run(10 * ms)
    ann_ckpt.save(tmp_path / "net.h5", network=network, monitors=True)
    spikes, traces = network["spikes"], network["traces"]
    with ann_ckpt.open(tmp_path / "net.h5") as ckpt:
        part = ckpt.recordings["spikes"]
        assert part.of == "populations/cells"
        np.testing.assert_array_equal(part.ranks, np.arange(5, 12))
        assert set(part) == {"spike", "v", "tau"}
        np.testing.assert_array_equal(part["spike"].ranks, np.asarray(spikes.i) + 5)
        np.testing.assert_array_equal(part["spike"].times, spikes.t_)
        np.testing.assert_array_equal(part["v"].values, spikes.v_)
        np.testing.assert_array_equal(ckpt.recordings["traces"]["v"].values, traces.v_.T)
        np.testing.assert_array_equal(ckpt.recordings["traces"].ranks, [2, 3, 7])
        assert ckpt.recordings["weights"].of == "projections/plastic"
        assert ckpt.recordings["traces"].settings["dt"] == "0.3 ms"
        some = ckpt.recordings["rate"]["rate"].between(0.002, 0.004)
        assert len(some) == 20


def test_it_appends_in_a_store(tmp_path):
    network = recorded(1)
    with CheckpointStore(tmp_path / "run.ckpt", "w", monitors=True) as store:
        for _ in range(4):
            network.run(5 * ms)
            store.save(network=network)
    for number, ckpt in enumerate(CheckpointStore(tmp_path / "run.ckpt"), start=1):
        assert len(ckpt.recordings["rate"]["rate"]) == 50 * number


@pytest.mark.parametrize(
    ("other", "words"),
    [
        ({"variables": ["tau"]}, "records spike, tau, v in the file, spike, tau in the network"),
        ({"record": [2, 3, 8]}, "3 neurons in the file, others in the network"),
        ({"record": True}, "3 neurons in the file, all neurons in the network"),
        ({"dt": 0.5 * ms}, "dt 0.3 ms in the file, 0.5 ms in the network"),
        ({"when": "end"}, "when start in the file, end in the network"),
        ({"part": slice(4, 11)}, "7 neurons in the file, others in the network"),
        ({"synapses": 0.9}, "weights"),
        ({"missing": True}, "the network has no monitor 'traces'"),
    ],
)
def test_settings_that_differ_are_refused_and_nothing_changes(tmp_path, other, words):
    network = recorded(1)
    network.run(5 * ms)
    ann_ckpt.save(tmp_path / "net.h5", network=network, monitors=True)
    there = recorded(2, **other)
    there.run(5 * ms)
    before = held(there)
    v = np.array(there["cells"].v_)
    with pytest.raises(MismatchError) as caught:
        ann_ckpt.load(tmp_path / "net.h5", network=there, monitors=True)
    assert words in str(caught.value)
    same(held(there), before)
    np.testing.assert_array_equal(there["cells"].v_, v)


def test_times_that_fall_are_left_out_and_named(tmp_path):
    network = recorded(1)
    network.run(5 * ms)
    ann_ckpt.save(tmp_path / "net.h5", network=network)
    network.run(5 * ms)
    ann_ckpt.load(tmp_path / "net.h5", network=network)
    network.run(1 * ms)
    report = ann_ckpt.save(tmp_path / "fell.h5", network=network, monitors=True)
    assert {note.path for note in report.skipped if "set back" in note.text} == {
        f"recordings/{name}" for name in MONITORS if name != "counter"
    }


def test_a_file_without_recordings_says_so_and_one_with_them_too(tmp_path):
    network = recorded(1)
    network.run(1 * ms)
    report = ann_ckpt.save(tmp_path / "without.h5", network=network)
    assert {f"monitors/{name}" for name in MONITORS} <= {note.path for note in report.skipped}
    with pytest.raises(MismatchError, match="spikes"):
        ann_ckpt.load(tmp_path / "without.h5", network=network, monitors=True)
    report = ann_ckpt.save(tmp_path / "with.h5", network=network, monitors=True)
    assert not [note for note in report.skipped if "recorded" in note.text]
    report = ann_ckpt.load(tmp_path / "with.h5", network=network)
    assert any("monitors=True loads it" in note.text for note in report.notes)
    assert not [note for note in report.notes if "recorded is not saved" in note.text]


def test_an_event_count_of_its_own_and_a_pause_are_kept(tmp_path):
    network = recorded(1)
    network.run(5 * ms)
    network["spikes"].active = False
    network["counter"].variables["count"].get_value()[0] += 7
    before = held(network)
    ann_ckpt.save(tmp_path / "net.h5", network=network, monitors=True)
    other = recorded(2)
    ann_ckpt.load(tmp_path / "net.h5", network=other, monitors=True)
    same(held(other), before)
    assert not other["spikes"].active
    assert other["high"].active


def test_versions_that_nobody_tested_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(adapter, "TESTED", ((1, 0), (1, 1)))
    with pytest.raises(SimulatorError, match="not a tested version"):
        ann_ckpt.save(tmp_path / "net.h5", network=recorded(1), monitors=True)
    assert not (tmp_path / "net.h5").exists()


def test_a_part_of_a_network_is_refused(tmp_path):
    network = recorded(1)
    ann_ckpt.save(tmp_path / "net.h5", network=network, monitors=True)
    with pytest.raises(OptionError, match="only a part"):
        ann_ckpt.load(tmp_path / "net.h5", populations="cells", network=network, monitors=True)


def test_monitors_of_an_unknown_kind_are_named(tmp_path):
    class LoudMonitor(SpikeMonitor):
        """One of a known kind, which may have more."""

    network = recorded(1)
    loud = LoudMonitor(network["cells"], name="loud")
    network.add(loud)
    network.run(1 * ms)
    ann_ckpt.save(tmp_path / "net.h5", network=network, monitors=True)
    with ann_ckpt.open(tmp_path / "net.h5") as ckpt:
        assert ckpt.recordings["loud"].settings["kind"] == "LoudMonitor"
