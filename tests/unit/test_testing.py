"""The conformance suite, on the simulator that needs no simulator."""

from __future__ import annotations

import numpy as np
import pytest

from ann_ckpt.adapters.protocol import Simulator
from ann_ckpt.demo import DemoNetwork
from ann_ckpt.testing import SimulatorSuite, captured, disturbed, rewired


@pytest.fixture(scope="module")
def simulator() -> Simulator:
    network = DemoNetwork(side=6)
    network.simulate(20)
    return network


class TestDemoNetwork(SimulatorSuite):
    """All that a simulator has to do."""


def test_disturbing_changes_every_value() -> None:
    state = DemoNetwork(side=6).read().state
    other = disturbed(captured(state))
    for name, population in state.populations.items():
        for attribute in population:
            assert np.all(np.asarray(population[attribute]) != np.asarray(other.populations[name][attribute]))
    assert other.time_step != state.time_step


def test_rewiring_keeps_a_synapse_of_each_dendrite() -> None:
    for projection in DemoNetwork(side=6).read().state.projections.values():
        fewer = rewired(projection)
        assert 0 < fewer.connectivity.n_synapses < projection.connectivity.n_synapses
        had, has = projection.connectivity.row_sizes, fewer.connectivity.row_sizes
        assert np.array_equal(had > 0, has > 0)
