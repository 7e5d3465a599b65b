"""The conformance suite on PyNN, on each backend, with values that come through its units as they are."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import ann_ckpt.pynn
from ann_ckpt.adapters.simulators import simulator_for
from ann_ckpt.model import Attribute
from ann_ckpt.testing import SimulatorSuite
from tests.pynn.conftest import BACKENDS, SIMULATORS, prepare


@pytest.fixture(scope="module", params=BACKENDS)
def simulator(request):
    sim = SIMULATORS[request.param]
    prepare(sim)
    e = sim.Population(8, sim.IF_cond_exp(v_thresh=np.linspace(-52.0, -50.25, 8)))
    i = sim.Population(3, sim.IF_cond_exp(tau_m=16.0))
    table = [(k, (3 * k) % 8, 0.25 * (1 + k), 1.0 + 0.5 * (k % 3)) for k in range(8)]
    columns = ("weight", "delay")
    projections = {
        "EE": sim.Projection(e, e, sim.FromListConnector(table, column_names=columns)),
        "EI": sim.Projection(e, i, sim.AllToAllConnector(), sim.StaticSynapse(weight=0.5, delay=1.0)),
    }
    network = ann_ckpt.pynn.network(sim, {"E": e, "I": i}, projections)
    network.simulate(1.0)
    return simulator_for(network)


class TestPynn(SimulatorSuite):
    """All that a simulator has to do."""

    rewirable = False

    def simulate(self, simulator, duration):
        simulator.network.simulate(duration)

    def other_values(self, state):
        """Other thresholds, time constants and weights, at the same time: PyNN's clock is not set."""

        def another(attributes):
            return {
                n: Attribute(np.asarray(a.values) + 0.5, a.locality)
                if n in ("v_thresh", "tau_m", "w", "initial.v")
                else a
                for n, a in attributes.items()
            }

        def changed(one):
            return replace(one, parameters=another(one.parameters), variables=another(one.variables))

        return replace(
            state,
            populations={n: changed(p) for n, p in state.populations.items()},
            projections={n: changed(p) for n, p in state.projections.items()},
        )
