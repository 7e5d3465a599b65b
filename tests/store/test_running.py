"""Saving at a period, on a signal, and going on after a kill."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from ann_ckpt import CheckpointStore, NetworkState, differences
from ann_ckpt.demo import DemoNetwork
from ann_ckpt.errors import CorruptFileError, MismatchError, OptionError, SimulatorError

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
