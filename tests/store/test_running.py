"""Saving at a period, on a signal, and going on after a kill."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ann_ckpt import CheckpointStore, NetworkState, differences
from ann_ckpt.demo import DemoNetwork
from ann_ckpt.errors import CorruptFileError, MismatchError, OptionError, SimulatorError
from ann_ckpt.store.timing.pacing import Pace

ROOT = Path(__file__).parents[2]


@pytest.fixture
def net() -> DemoNetwork:
    return DemoNetwork(side=4)


def steps(store: CheckpointStore) -> list[int | None]:
    return [info.time_step for info in store.checkpoints]


def idle(net: DemoNetwork) -> bool:
    """Whether nothing is called between its steps any more."""
    return net._calls == []


def run_to(step: int, side: int = 4) -> NetworkState:
    net = DemoNetwork(side=side)
    net.simulate(step)
    return net.read().state


def test_it_saves_at_every_multiple_of_the_period_however_the_run_is_cut(store, net):
    with store.every(10.0, network=net):
        for length in (3, 25, 7):
            net.simulate(length)
    assert steps(store) == [10, 20, 30]
    assert not list(differences(store.at(step=20).state(), run_to(20)))


def test_the_end_of_a_period_at_the_end_of_the_block_is_saved_too(store, net):
    with store.every(10.0, network=net):
        net.simulate(20)
    assert steps(store) == [10, 20]


def test_an_exception_ends_it_without_another_save(store, net):
    with pytest.raises(ZeroDivisionError), store.every(10.0, network=net):
        net.simulate(20)
        raise ZeroDivisionError
    assert steps(store) == [10]
    assert idle(net)


def test_an_exception_is_let_through_where_the_network_is_gone(store, net, monkeypatch):
    def gone(_self):
        raise SimulatorError("the network is gone")

    with pytest.raises(ZeroDivisionError) as caught, store.every(10.0, network=net):
        monkeypatch.setattr(DemoNetwork, "clock", gone, raising=False)
        monkeypatch.setattr(DemoNetwork, "read", gone)
        raise ZeroDivisionError
    assert caught.value.__context__ is None
    assert idle(net)


def test_it_can_be_stopped_and_the_run_goes_on(store, net):
    saving = store.every(10.0, network=net)
    net.simulate(15)
    saving.stop()
    saving.stop()
    net.simulate(15)
    assert steps(store) == [10]


def test_two_periods_at_once_save_each_step_once(store, net):
    with store.every(10.0, network=net), store.every(15.0, network=net):
        net.simulate(31)
    assert steps(store) == [10, 15, 20, 30]


def test_a_simulator_without_callbacks_and_a_period_without_steps_are_refused(store, net):
    class Silent(DemoNetwork):
        call_every = None

    with pytest.raises(SimulatorError, match="not support calls between steps"):
        store.every(10.0, network=Silent(side=4))
    with pytest.raises(OptionError, match=r"0.1 ms is shorter than a step of 1.0 ms"):
        store.every(0.1, network=net)


def test_only_a_writer_can_save_at_a_period(store, path, net):
    with pytest.raises(OptionError, match="cannot be saved to"):
        CheckpointStore(path).every(10.0, network=net)


# --- By the clock -----------------------------------------------------------------


class Turned:
    """What the monotonic clock says: half a minute later each time it is asked."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        self.now += 30.0
        return self.now


@pytest.fixture
def _turned(monkeypatch) -> None:
    init = Pace.__init__
    monkeypatch.setattr(
        Pace, "__init__", lambda self, **rules: init(self, **rules, clock=Turned(), left=lambda: None)
    )


@pytest.mark.usefixtures("_turned")
def test_it_saves_by_the_clock_and_at_a_period_and_says_why(store, path, net, caplog):
    with caplog.at_level(logging.INFO, "ann_ckpt"), store.every(20.0, minutes=1.5, network=net, within=5.0):
        net.simulate(43)
    # Asked every 5 ms, and once by each save: 3 questions make a minute and a half.
    assert steps(store) == [15, 20, 30, 40]
    whys = [checkpoint.provenance["saved"] for checkpoint in store]
    assert whys == [
        "1.5 minutes since the last save",
        "every 20 ms",
        "1.5 minutes since the last save",
        "every 20 ms",
    ]
    assert [record.message.rpartition(": ")[2] for record in caplog.records] == whys
    assert not list(differences(store.at(step=30).state(), run_to(30)))


@pytest.mark.usefixtures("_turned")
def test_rules_by_the_clock_work_alone(path, net):
    for rule in ({"minutes": 2}, {"overhead": 0.5}, {"walltime": "5min"}, {"walltime": 400}):
        with CheckpointStore(path, "w") as store, store.every(network=net, **rule):
            net.simulate(200)
            assert 1 <= len(store) <= 20
        assert idle(net)


def test_a_save_that_outlasts_the_lead_is_said(store, net, monkeypatch, caplog):
    monkeypatch.setenv("ANN_CKPT_LEAD", "0")
    with store.every(10.0, network=net):
        net.simulate(12)
    assert ["longer than the 0 s" in record.message for record in caplog.records] == [True]


def test_rules_that_say_nothing_are_refused(store, net):
    with pytest.raises(OptionError, match="no time to save is given"):
        store.every(network=net)
    with pytest.raises(OptionError, match="'10:00' is not a duration"):
        store.every(walltime="10:00", network=net)
    with pytest.raises(OptionError, match="minutes=0"):
        store.every(minutes=0, network=net)
    assert idle(net)


@pytest.mark.parametrize(
    "wrong",
    [
        {"background": "frok"},
        {"period": float("nan")},
        {"period": float("inf")},
        {"minutes": "30"},
        {"walltime": [1]},
        {"within": "x"},
        {"within": float("nan")},
    ],
)
def test_rules_that_are_wrong_are_refused_before_anything_is_called(store, net, wrong):
    with pytest.raises(OptionError):
        store.every(**{"period": 1000.0, "network": net} | wrong)
    assert idle(net)


def test_a_watch_that_is_wrong_listens_to_nothing(store, net):
    before = signal.getsignal(signal.SIGUSR1)
    with pytest.raises(OptionError, match="within="):
        store.on_signal(network=net, within="x")
    assert signal.getsignal(signal.SIGUSR1) == before
    assert idle(net)


# --- Going on ---------------------------------------------------------------------


def test_an_empty_store_begins_the_run_and_one_that_is_not_goes_on(store, path, net):
    assert store.resume(net) is None
    with store.every(10.0, network=net):
        net.simulate(25)
    again = DemoNetwork(side=4)
    report = store.resume(again)
    assert report is not None
    assert again.time_step == 20
    with store.every(10.0, network=again):
        again.simulate(25)
    assert steps(store) == [10, 20, 30, 40]
    assert not list(differences(again.read().state, run_to(45)))


def test_damaged_checkpoints_are_passed_over_and_named(store, path):
    net = DemoNetwork(side=8)
    with store.every(10.0, network=net):
        net.simulate(35)
    newest = path / "checkpoints" / "000000000030.h5"
    newest.write_bytes(newest.read_bytes()[:5000])
    first, second = CheckpointStore(path).checkpoints[:2]
    for name in set(second.objects) - set(first.objects):
        (path / "objects" / name[:2] / f"{name}.h5").unlink()
    again = DemoNetwork(side=8)
    report = store.resume(again)
    assert report is not None
    assert again.time_step == 10
    assert [note.path for note in report.notes[:2]] == ["000000000030", "000000000020"]
    with store.every(10.0, network=again):
        again.simulate(15)
    assert not list(differences(store.latest.state(), run_to(20, side=8)))
    assert store.latest.time_step == 20


def test_a_store_of_damaged_checkpoints_only_is_an_error_and_no_new_run(store, path, net):
    net.simulate(5)
    store.save(net)
    for file in (path / "checkpoints").iterdir():
        file.write_bytes(b"")
    with pytest.raises(CorruptFileError, match=r"(?s)no checkpoint of the store can be loaded.*000000000005"):
        store.resume(net)


def test_a_network_of_another_kind_is_not_resumed(store, net):
    store.save(net)
    other = DemoNetwork(side=5)
    with pytest.raises(MismatchError):
        store.resume(other)


def task(monkeypatch, index: str) -> None:
    """Be a task of an array."""
    for name, value in {
        "SLURM_JOB_ID": f"7{index}",
        "SLURM_ARRAY_JOB_ID": "7",
        "SLURM_ARRAY_TASK_ID": index,
    }.items():
        monkeypatch.setenv(name, value)


def refusal(store, net) -> str:
    """What is said of a network that another run is resumed in; it is not changed."""
    before = [
        array.copy() for array in (net._populations["layer"].rates, net._projections["forward"].synapses.w)
    ]
    with pytest.raises(MismatchError, match="of another run") as caught:
        store.resume(net)
    after = (net._populations["layer"].rates, net._projections["forward"].synapses.w)
    assert all(np.array_equal(a, b) for a, b in zip(before, after, strict=True))
    assert "another_run=True" in str(caught.value)
    return str(caught.value)


def test_another_seed_is_another_run_unless_told(store, net):
    net.simulate(5)
    store.save(net)
    other = DemoNetwork(seed=3, side=4)
    assert "0 in the checkpoint, 3 in this network" in refusal(store, other)
    assert other.time_step == 0
    assert store.resume(other, another_run=True) is not None
    assert other.time_step == 5


def test_another_task_of_an_array_is_another_run(store, net, monkeypatch):
    task(monkeypatch, "1")
    net.simulate(5)
    store.save(net)
    task(monkeypatch, "2")
    assert "1 saved the checkpoint, this is 2" in refusal(store, DemoNetwork(side=4))
    task(monkeypatch, "1")
    assert store.resume(DemoNetwork(side=4)) is not None
    monkeypatch.delenv("SLURM_JOB_ID")
    assert store.resume(DemoNetwork(side=4)) is not None


def test_other_equations_are_another_run_but_not_other_spaces(store, net):
    net.simulate(5)
    store.save(net)
    texts = {"equations": "  dw/dt = eta *  post.r * (pre.r - post.r * w)\n\n"}
    other = DemoNetwork(side=4)
    other._projections["forward"].kind = replace(other._projections["forward"].kind, texts=texts)
    assert store.resume(other) is not None
    texts = {"equations": "dw/dt = eta * post.r * pre.r"}
    other = DemoNetwork(side=4)
    other._projections["forward"].kind = replace(other._projections["forward"].kind, texts=texts)
    said = refusal(store, other)
    assert "forward, equations" in said
    assert "(pre.r - post.r * w)' in the checkpoint, 'dw/dt = eta * post.r * pre.r' in this network" in said


def test_what_does_not_fit_is_said_with_options_that_there_are(store, net):
    store.save(net)
    with pytest.raises(MismatchError, match=r"ann_ckpt.load can do more: strict=False"):
        store.resume(DemoNetwork(side=5))


# --- Signals ----------------------------------------------------------------------


def test_a_signal_is_noted_and_the_save_happens_between_steps(store, net):
    with pytest.raises(SystemExit) as left, store.on_signal(network=net, within=5.0):
        net.simulate(7)
        os.kill(os.getpid(), signal.SIGTERM)
        assert len(store) == 0
        net.simulate(100)
    assert left.value.code == 75
    assert steps(store) == [10]
    assert not list(differences(store.latest.state(), run_to(10)))


def test_a_signal_after_the_last_look_is_heard_at_the_end_of_the_block(store, net):
    with pytest.raises(SystemExit) as left, store.on_signal(signal.SIGUSR1, network=net, exit_status=3):
        net.simulate(12)
        os.kill(os.getpid(), signal.SIGUSR1)
    assert left.value.code == 3
    assert steps(store) == [12]


def test_it_may_save_and_go_on(store, net):
    with store.on_signal(signal.SIGUSR1, network=net, within=1.0, exit_status=None):
        for _ in range(3):
            net.simulate(5)
            os.kill(os.getpid(), signal.SIGUSR1)
            net.simulate(5)
    assert steps(store) == [5, 15, 25]


def test_signals_are_given_back(store, net):
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGUSR1)}
    with store.on_signal(network=net):
        assert signal.getsignal(signal.SIGTERM) != before[signal.SIGTERM]
    watch = store.on_signal(network=net)
    watch.stop()
    assert {number: signal.getsignal(number) for number in before} == before
    assert idle(net)


JOB = """
import sys
from ann_ckpt import CheckpointStore
from ann_ckpt.demo import DemoNetwork
net = DemoNetwork(side=4)
with CheckpointStore(sys.argv[1], "a") as store:
    store.resume(net)
    with store.on_signal(network=net, within=1.0):
        print("running", flush=True)
        net.simulate(2000 - net.time_step)
    store.save(net)
"""


def test_a_job_script_starts_and_goes_on_with_the_same_line_until_it_is_done(path):
    statuses = []
    for attempt in range(20):
        with subprocess.Popen(
            [sys.executable, "-c", JOB, path], cwd=ROOT, stdout=subprocess.PIPE, text=True
        ) as job:
            assert job.stdout is not None
            job.stdout.readline()
            if attempt < 2:
                job.send_signal(signal.SIGTERM)
        statuses.append(job.returncode)
        if job.returncode != 75:
            break
    assert statuses == [75, 75, 0]
    store = CheckpointStore(path)
    # A signal that comes before the first step leaves nothing to save that is not there.
    assert steps(store) == sorted(set(steps(store)))
    assert len(store) in (2, 3)
    assert not list(differences(store.latest.state(), run_to(2000)))
