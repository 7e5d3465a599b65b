"""Small networks after PyNN's examples, each for any backend."""

from __future__ import annotations

import numpy as np

import ann_ckpt.pynn


def random(seed=4):
    return np.random.default_rng(seed)


def listed(sim, pre, post, probability, weight, seed, synapse=None, receptor=None):
    """Random synapses that are the same on every backend, with weights and delays of any size."""
    numbers = random(seed)
    i, j = np.nonzero(numbers.random((pre.size, post.size)) < probability)
    w, d = numbers.uniform(0.5, 1.5, i.size) * weight, numbers.integers(3, 50, i.size) * 0.1
    connector = sim.FromListConnector(np.stack([i, j, w, d], axis=1), column_names=("weight", "delay"))
    return sim.Projection(pre, post, connector, synapse, receptor_type=receptor)


def small(sim, seed=4):
    """A source for some neurons with currents, after ``small_network``."""
    source = sim.Population(3, sim.SpikeSourceArray(spike_times=[[5.0, 15.0], [], [7.5]]), label="in")
    cells = sim.Population(8, sim.IF_curr_alpha(tau_m=15.0, cm=0.9))
    cells.set(v_thresh=random(seed).uniform(-52.0, -50.0, 8), tau_refrac=2.0)
    cells.initialize(v=random(seed).uniform(-65.0, -60.0, 8))
    made = sim.Projection(
        source,
        cells,
        sim.AllToAllConnector(),
        sim.StaticSynapse(weight=0.1 * seed, delay=1.2),
        receptor_type="excitatory",
    )
    return ann_ckpt.pynn.network(sim, {"in": source, "cells": cells}, {"given": made})


def balanced(sim, seed=4):
    """Excitation and inhibition with conductances, after ``VAbenchmarks``."""
    cells = sim.IF_cond_exp(tau_m=20.0, cm=0.2, v_reset=-60.0, v_rest=-60.0, tau_refrac=5.0, e_rev_I=-80.0)
    e, i = sim.Population(24, cells, label="E"), sim.Population(6, cells, label="I")
    noise = sim.Population(4, sim.SpikeSourcePoisson(rate=100.0, duration=50.0))
    projections = {
        f"{a}{b}": listed(sim, pre, post, 0.2, w, 10 * seed + k, receptor=receptor)
        for k, (a, pre, w, receptor) in enumerate(
            (("E", e, 0.004, "excitatory"), ("I", i, 0.05, "inhibitory"))
        )
        for b, post in (("E", e), ("I", i))
    }
    projections["noise"] = listed(sim, noise, e, 0.5, 0.1, 3, receptor="excitatory")
    return ann_ckpt.pynn.network(sim, {"E": e, "I": i, "noise": noise}, projections)


def plastic(sim, seed=4):
    """A synapse that learns, after ``simple_STDP``."""
    before = sim.Population(4, sim.SpikeSourcePoisson(rate=50.0))
    after = sim.Population(2, sim.IF_curr_exp())
    stdp = sim.STDPMechanism(
        timing_dependence=sim.SpikePairRule(tau_plus=18.0, tau_minus=22.0, A_plus=0.01, A_minus=0.012),
        weight_dependence=sim.AdditiveWeightDependence(w_min=0.0, w_max=0.04 * seed),
        # Brian2's synapses learn by when a spike arrives, those of NEST by when it left.
        dendritic_delay_fraction=0.0 if sim.__name__ == "pyNN.brian2" else 1.0,
    )
    made = listed(sim, before, after, 0.9, 0.02, 4, stdp, "excitatory")
    return ann_ckpt.pynn.network(sim, {"before": before, "after": after}, {"learns": made})


def tired(sim, seed=4):
    """Short-term depression, after ``tsodyksmarkram``; one synapse only, of a negative weight."""
    source = sim.Population(2, sim.SpikeSourceArray(spike_times=[10.0, 20.0, 30.0]))
    # PyNN's Brian2 needs time constants that differ.
    cell = sim.Population(2, sim.IF_curr_exp(v_rest=-70.0, tau_syn_I=[4.0, 6.0]))
    synapse = sim.TsodyksMarkramSynapse(U=0.5, tau_rec=80.0, tau_facil=0.0, weight=-0.1 * seed, delay=0.5)
    made = sim.Projection(
        source, cell, sim.FromListConnector([(1, 0)], column_names=()), synapse, receptor_type="inhibitory"
    )
    return ann_ckpt.pynn.network(sim, {"source": source, "cell": cell}, {"depressing": made})


NETWORKS = {"small": small, "balanced": balanced, "plastic": plastic, "tired": tired}
