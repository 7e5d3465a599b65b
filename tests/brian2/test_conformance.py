"""The conformance suite on a network with a bit of everything."""

from __future__ import annotations

from dataclasses import replace

import brian2
import numpy as np
import pytest
from brian2 import Hz, ms

from ann_ckpt.adapters.simulators import simulator_for
from ann_ckpt.testing import SimulatorSuite, disturbed


@pytest.fixture(scope="module")
def network():
    brian2.prefs.codegen.target = "numpy"
    brian2.seed(1)
    neurons = brian2.NeuronGroup(
        12,
        """dv/dt = (20*mV - v)/tau + 3*mV*xi/tau**0.5 : volt (unless refractory)
        tau : second (constant)
        gain : 1 (shared)
        count : integer
        odd : boolean""",
        threshold="v > 10*mV",
        reset="v = 0*mV; count += 1; odd = not odd",
        refractory=2 * ms,
        method="euler",
        name="neurons",
    )
    neurons.tau = 10 * ms
    neurons.v = "rand()*10*mV"
    neurons.run_regularly("gain += rand()", dt=1 * ms, name="neurons_gain")
    noise = brian2.PoissonGroup(6, rates=300 * Hz, name="noise")
    given = brian2.SpikeGeneratorGroup(4, [0, 1, 2, 3], np.arange(4) * 3 * ms, period=20 * ms, name="given")
    plastic = brian2.Synapses(
        neurons,
        neurons,
        """w : volt
        dpre/dt = -pre/(5*ms) : 1 (clock-driven)
        dpost/dt = -post/(5*ms) : 1 (event-driven)""",
        on_pre="v_post += w*rand(); pre += 1; w += 0.01*mV*post",
        on_post="post += 1; w -= 0.005*mV*pre",
        multisynaptic_index="nth",
        method="exact",
        name="plastic",
    )
    plastic.connect(p=0.4, n=2)
    plastic.w = "rand()*mV"
    plastic.pre.delay = "rand()*3*ms"
    plastic.post.delay = "rand()*2*ms"
    part = brian2.Synapses(noise, neurons[3:9], on_pre="v += 1*mV", delay=1.5 * ms, name="part")
    part.connect(p=0.5)
    single = brian2.Synapses(given, neurons, on_pre="v += 2*mV", name="single")
    single.connect(j="i")
    network = brian2.Network(neurons, noise, given, plastic, part, single)
    network.run(20 * ms)
    return network


@pytest.fixture(scope="module")
def simulator(network):
    return simulator_for(network)


class TestBrian2(SimulatorSuite):
    """All that a simulator has to do."""

    def simulate(self, simulator, duration):
        simulator._network.run(duration * ms)

    def other_values(self, state):
        """Lengths of steps are compared, and not set."""
        return replace(disturbed(state), constants=state.constants)
