"""Runs that are interrupted: by a signal that asks, by a kill while a checkpoint is written, by stop()."""

from __future__ import annotations

import os
import signal

import brian2
import numpy as np
import pytest
from brian2 import ms

import ann_ckpt
from ann_ckpt import CheckpointStore, differences
from ann_ckpt.adapters.simulators import simulator_for
from tests.brian2.networks import NETWORKS, plastic


def live(network):
    return simulator_for(network).read().state


def at_the_end(name, duration=30 * ms):
    network = NETWORKS[name](1)
    network.run(duration)
    return live(network).in_memory()


def in_a_child(job):
    """Run a function in a child process, and return how that ended."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            job()
            status = 0
        except SystemExit as left:
            status = left.code
        finally:
            os._exit(status)
    return os.waitpid(child, 0)[1]


@pytest.mark.parametrize("name", ["noisy", "plastic", "driven"])
def test_a_job_that_is_asked_to_leave_saves_and_goes_on_later(tmp_path, name):
    def job(network):
        with CheckpointStore(tmp_path / "run.ckpt", "a") as store:
            store.on_signal(network=network, within=1.0)
            found = store.resume(network=network)
            if found is None:
                asked = simulator_for(network).call_every(
                    11, lambda: network.t > 0 * ms and os.kill(os.getpid(), signal.SIGTERM)
                )
            network.run(30 * ms - network.t)
            if found is None:
                asked()
            store.save(network)

    assert os.waitstatus_to_exitcode(in_a_child(lambda: job(NETWORKS[name](1)))) == 75
    with CheckpointStore(tmp_path / "run.ckpt") as store:
        assert [checkpoint.time_step for checkpoint in store] in ([110], [120])
    assert os.waitstatus_to_exitcode(in_a_child(lambda: job(NETWORKS[name](2)))) == 0
    with CheckpointStore(tmp_path / "run.ckpt") as store:
        assert not list(differences(store.latest.state(), at_the_end(name)))


def killed_while_saving(path, monkeypatch, moment):
    """Save three checkpoints, and be killed at the call of this number while the third is written."""
    network = plastic(1)
    with CheckpointStore(path, "w") as store:
        for _ in range(2):
            network.run(5 * ms)
            store.save(network)
        network.run(5 * ms)
        calls = 0

        def counted(call):
            def instead(*given, **named):
                nonlocal calls
                calls += 1
                if calls == moment:
                    os.kill(os.getpid(), signal.SIGKILL)
                return call(*given, **named)

            return instead

        for name in ("open", "fsync", "replace", "link", "unlink"):
            monkeypatch.setattr(os, name, counted(getattr(os, name)))
        store.save(network, progress=counted(lambda *_: None))


def test_a_kill_while_a_checkpoint_is_written_leaves_the_ones_before(tmp_path, monkeypatch):
    ended, kept = at_the_end("plastic"), set()
    for moment in range(1, 400, 14):
        path = tmp_path / f"{moment}.ckpt"
        status = in_a_child(lambda: killed_while_saving(path, monkeypatch, moment))  # noqa: B023
        with CheckpointStore(path, "a") as store:
            assert store.verify().ok
            steps = [checkpoint.time_step for checkpoint in store]
            assert steps in ([50, 100], [50, 100, 150])
            kept.add(len(steps))
            if not os.WIFSIGNALED(status):
                assert os.waitstatus_to_exitcode(status) == 0
                break
            network = plastic(2)
            store.resume(network)
        if moment % 28 == 1:
            network.run(30 * ms - network.t)
            assert not list(differences(ended, live(network)))
    else:
        pytest.fail("the save makes more calls than were tried")
    assert kept == {2, 3}


@pytest.mark.parametrize("name", ["noisy", "plastic", "clocks"])
def test_a_network_that_was_stopped_goes_on_where_it_was(tmp_path, name):
    network = NETWORKS[name](1)
    leave = simulator_for(network).call_every(13, lambda: network.t > 0 * ms and network.stop())
    network.run(30 * ms)
    leave()
    assert 13 * ms <= network.t < 14 * ms
    ann_ckpt.save(tmp_path / "net.h5", network=network)
    network.run(10 * ms)
    other = NETWORKS[name](2)
    ann_ckpt.load(tmp_path / "net.h5", network=other)
    other.run(10 * ms)
    assert not list(differences(live(network), live(other)))


def test_two_networks_in_one_process_go_on_in_the_same_turns(tmp_path):
    """They draw from one generator of random numbers, so that both are saved at one moment."""

    def turns(networks, duration):
        for network in networks:
            network.run(duration)

    networks = [NETWORKS["noisy"](1), plastic(1)]
    turns(networks, 7 * ms)
    for network, name in zip(networks, ("one.h5", "other.h5"), strict=True):
        report = ann_ckpt.save(tmp_path / name, network=network)
        assert any("another network in it draws from them too" in str(note) for note in report.skipped)
    turns(networks, 7 * ms)
    others = [NETWORKS["noisy"](2), plastic(2)]
    for network, name in zip(others, ("one.h5", "other.h5"), strict=True):
        ann_ckpt.load(tmp_path / name, network=network)
    turns(others, 7 * ms)
    for network, other in zip(networks, others, strict=True):
        assert not list(differences(live(network), live(other)))
    again = [NETWORKS["noisy"](2), plastic(2)]
    for network, name in zip(again, ("one.h5", "other.h5"), strict=True):
        ann_ckpt.load(tmp_path / name, network=network)
    turns(reversed(again), 7 * ms)
    assert list(differences(live(networks[0]), live(again[0]))), "the turns make a difference"
    assert np.array_equal(networks[0]["neurons"].v_[:], others[0]["neurons"].v_[:])
    assert brian2.defaultclock.dt == 0.1 * ms
