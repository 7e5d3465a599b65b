"""What a forked child saves while a network runs on is what was at the call, bit for bit."""

from __future__ import annotations

import copy

import brian2
import pytest
from brian2 import ms

from ann_ckpt import CheckpointStore, differences
from ann_ckpt.adapters.simulators import simulator_for
from tests.brian2.networks import plastic


@pytest.fixture
def compiled():
    """Compile as the other tests do."""
    key = "codegen.cpp.extra_compile_args_gcc"
    before = brian2.prefs[key]
    brian2.prefs[key] = ["-w", "-O0", "-std=c++17"]
    brian2.prefs.codegen.target = "cython"
    yield
    brian2.prefs[key] = before


def check_saves(path, number):
    """Save at each ms while a network runs, and compare with what the network was."""
    network = plastic(1)
    states, ways = [], []

    class Noting(CheckpointStore):
        def save(self, *given, **named):
            states.append(copy.deepcopy(simulator_for(network).read().state.in_memory()))
            pending = super().save(*given, **named)
            ways.append(pending.because or pending.way)
            return pending

    with Noting(path, "w") as store:
        with store.every(1, network=network, background=True):
            network.run(number * ms)
        assert ways == ["fork"] * number
        for checkpoint, expected in zip(store, states, strict=True):
            assert not list(differences(expected, checkpoint.state()))


def test_a_network_runs_on_while_a_forked_child_saves_it(tmp_path):
    check_saves(tmp_path / "run.ckpt", 8)


@pytest.mark.brian2_all
def test_a_hundred_saves_of_numpy(tmp_path):
    check_saves(tmp_path / "run.ckpt", 100)


@pytest.mark.brian2_all
@pytest.mark.usefixtures("compiled")
def test_a_hundred_saves_of_cython(tmp_path):
    check_saves(tmp_path / "run.ckpt", 100)
