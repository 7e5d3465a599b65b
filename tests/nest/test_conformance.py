"""The conformance suite, on a network whose slices are one step long."""

from __future__ import annotations

from dataclasses import replace

import nest
import numpy as np
import pytest

import ann_ckpt.nest
from ann_ckpt.adapters.simulators import simulator_for
from ann_ckpt.model import Attribute
from ann_ckpt.testing import SimulatorSuite
from tests.nest.networks import reset


@pytest.fixture(scope="module")
def simulator():
    reset()
    cells = nest.Create("iaf_cond_exp", 12)
    cells.set(V_m=nest.random.uniform(-70.0, -60.0), V_th=nest.random.uniform(-56.0, -54.0))
    many = nest.Create("aeif_cond_alpha_multisynapse", 5, {"tau_syn": [1.0, 2.0], "E_rev": [0.0, -85.0]})
    noise = nest.Create("poisson_generator", params={"rate": 9000.0, "start": 1.0})
    given = nest.Create("spike_generator", 2, [{"spike_times": [1.0, 40.0]}, {"spike_times": [3.0]}])
    spec = {"weight": nest.random.uniform(1.0, 2.0), "delay": nest.random.uniform(0.1, 2.0)}
    nest.Connect(cells, cells, {"rule": "fixed_indegree", "indegree": 4}, spec)
    nest.Connect(
        cells, cells[3:9], "all_to_all", {"synapse_model": "stdp_synapse", "delay": 0.1, "weight": 1.5}
    )
    nest.Connect(cells, many, "all_to_all", {"receptor_type": 2, "weight": nest.random.uniform(1.0, 2.0)})
    nest.Connect(cells, cells, "one_to_one", {"synapse_model": "stdp_pl_synapse_hom"})
    nest.Connect(noise, cells, syn_spec={"weight": 3.0})
    nest.Connect(given, cells, syn_spec={"weight": 3.0})
    network = ann_ckpt.nest.network({"cells": cells, "many": many}, devices={"noise": noise, "given": given})
    network.simulate(20.0)
    made = simulator_for(network)
    yield made
    nest.ResetKernel()


class TestNest(SimulatorSuite):
    """All that a simulator has to do."""

    rewirable = False
    builds_beside = False

    def simulate(self, simulator, duration):
        simulator.network.simulate(duration)

    def other_values(self, state):
        """Other potentials, conductances, rates and weights: NEST takes none that make no sense."""

        def another(attributes):
            return {
                n: Attribute(np.asarray(a.values) + 0.5, a.locality)
                if n in ("V_m", "V_th", "rate", "w", "Kplus", "g_ex", "lambda", "tau_syn")
                else a
                for n, a in attributes.items()
            }

        def changed(one):
            return replace(one, parameters=another(one.parameters), variables=another(one.variables))

        return replace(
            state,
            populations={n: changed(p) for n, p in state.populations.items()},
            projections={n: changed(p) for n, p in state.projections.items()},
            time_step=state.time_step + 17,
        )
