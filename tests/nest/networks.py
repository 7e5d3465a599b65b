"""Networks of NEST, small, each with something that gets lost easily. Each returns one with names."""

from __future__ import annotations

import nest
import numpy as np

import ann_ckpt.nest

DELAYS = {"delay": nest.random.uniform(1.0, 4.0)}


def reset(threads: int = 1, seed: int = 5) -> None:
    nest.ResetKernel()
    nest.verbosity = nest.VerbosityLevel.ERROR
    nest.local_num_threads = threads
    nest.rng_seed = seed


def cond_exp(threads: int = 1):
    """Excitation and inhibition, delays of 1 to 4 ms, two generators, and one that is on for a while."""
    reset(threads)
    e, i = nest.Create("iaf_cond_exp", 160), nest.Create("iaf_cond_exp", 40)
    noise = nest.Create(
        "poisson_generator", 2, [{"rate": 8000.0}, {"rate": 4000.0, "start": 5.0, "stop": 90.0}]
    )
    given = nest.Create("spike_generator", 2, [{"spike_times": [1.0, 40.0]}, {"spike_times": [30.0]}])
    spikes, meter = (
        nest.Create("spike_recorder"),
        nest.Create("multimeter", params={"record_from": ["V_m", "g_ex"]}),
    )
    for pre, weight in ((e, 2.0), (i, -8.0)):
        for post in (e, i):
            rule = {"rule": "fixed_indegree", "indegree": 16, "allow_multapses": False}
            nest.Connect(pre, post, rule, {"weight": weight, **DELAYS})
    nest.Connect(noise, e + i, "all_to_all", {"weight": 4.0, "delay": 1.5})
    nest.Connect(given, e, "all_to_all", {"weight": 9.0})
    nest.Connect(e + i, spikes)
    nest.Connect(meter, e[:3])
    devices = {"noise": noise, "given": given, "spikes": spikes, "meter": meter}
    return ann_ckpt.nest.network({"E": e, "I": i}, devices=devices)


def relative(threads: int = 1):
    """Potentials kept relative to E_L; silent."""
    reset(threads)
    cells = nest.Create("iaf_psc_delta", 50, {"E_L": -70.0, "V_m": nest.random.uniform(-69.0, -60.0)})
    nest.Connect(cells, cells, {"rule": "fixed_indegree", "indegree": 5}, {"weight": 0.1})
    return ann_ckpt.nest.network({"cells": cells})


def several(threads: int = 1):
    """Several synapses between two neurons, two receptors, three time constants, a shared weight."""
    reset(threads)
    cells = nest.Create("iaf_cond_exp", 20)
    many = nest.Create("aeif_cond_alpha_multisynapse", 10)
    many.set([{"tau_syn": [1.0 + k, 2.0], "E_rev": [0.0, -85.0]} for k in range(10)])
    pre = np.repeat(cells.tolist(), 30)
    post = np.tile(np.repeat(many.tolist(), 3), 20)
    count = pre.size
    spec = {
        "synapse_model": "static_synapse",
        "weight": np.arange(count) * 0.001,
        "delay": 1.0 + 0.1 * (np.arange(count) % 20),
        "receptor_type": 1 + np.arange(count) % 2,
    }
    nest.Connect(pre, post, "one_to_one", spec)
    nest.Connect(cells, cells, "all_to_all", {"synapse_model": "static_synapse_hom_w"})
    return ann_ckpt.nest.network({"cells": cells, "many": many})


def moved(threads: int = 1):
    """Threshold and reset far from where a model begins, of either of which alone it would be refused."""
    reset(threads)
    cells = nest.Create("iaf_cond_exp", 12, {"V_th": 20.0, "V_reset": 10.0, "E_L": 5.0, "V_m": 6.0})
    nest.Connect(cells, cells, "all_to_all", {"weight": nest.random.uniform(1.0, 2.0)})
    return ann_ckpt.nest.network({"cells": cells})


def plastic(threads: int = 1):
    """STDP, a copied neuron model, positions in space."""
    reset(threads)
    nest.CopyModel("iaf_psc_exp", "pyramidal", {"tau_m": 12.0})
    places = nest.spatial.free(np.random.default_rng(1).uniform(size=(40, 2)).tolist())
    cells = nest.Create("pyramidal", positions=places)
    noise = nest.Create("poisson_generator", params={"rate": 12000.0})
    spec = {"synapse_model": "stdp_synapse", "weight": nest.random.uniform(10.0, 20.0), **DELAYS}
    nest.Connect(cells, cells, {"rule": "fixed_indegree", "indegree": 8, "allow_multapses": False}, spec)
    nest.Connect(noise, cells, syn_spec={"weight": 20.0})
    return ann_ckpt.nest.network({"cells": cells}, devices={"noise": noise})


def unlisted(threads: int = 1):
    """A model of which nobody proved anything."""
    reset(threads)
    cells = nest.Create("ht_neuron", 5)
    ampa = nest.GetDefaults("ht_neuron")["receptor_types"]["AMPA"]
    nest.Connect(cells, cells, syn_spec={"receptor_type": ampa})
    return ann_ckpt.nest.network({"cells": cells})


def brunel(threads: int = 1, plastic: bool = False):
    """Random balanced network, scaled down."""
    reset(threads)
    e, i = nest.Create("iaf_psc_delta", 400), nest.Create("iaf_psc_delta", 100)
    (e + i).set(
        {"C_m": 1.0, "tau_m": 20.0, "t_ref": 2.0, "E_L": 0.0, "V_reset": 0.0, "V_m": 0.0, "V_th": 20.0}
    )
    noise = nest.Create("poisson_generator", params={"rate": 20000.0})
    model = "stdp_synapse" if plastic else "static_synapse"
    for pre, degree, weight in ((e, 40, 0.5), (i, 10, -2.5)):
        for post in (e, i):
            spec = {"weight": weight, "delay": 1.5}
            if plastic and pre is e and post is e:
                spec |= {"synapse_model": model, "Wmax": 1.0}
            nest.Connect(pre, post, {"rule": "fixed_indegree", "indegree": degree}, spec)
    nest.Connect(noise, e + i, syn_spec={"weight": 0.5, "delay": 1.5})
    return ann_ckpt.nest.network({"E": e, "I": i}, devices={"noise": noise})


def microcircuit(threads: int = 1, plastic: bool = False):
    """Cortical layers after Potjans and Diesmann (2014), at 1 to 1.5 %, with the published probabilities."""
    reset(threads)
    layers = ["L23E", "L23I", "L4E", "L4I", "L5E", "L5I", "L6E", "L6I"]
    full = [20683, 5834, 21915, 5479, 4850, 1065, 14395, 2948]
    probability = np.array(
        [
            [0.1009, 0.1689, 0.0437, 0.0818, 0.0323, 0.0, 0.0076, 0.0],
            [0.1346, 0.1371, 0.0316, 0.0515, 0.0755, 0.0, 0.0042, 0.0],
            [0.0077, 0.0059, 0.0497, 0.135, 0.0067, 0.0003, 0.0453, 0.0],
            [0.0691, 0.0029, 0.0794, 0.1597, 0.0033, 0.0, 0.1057, 0.0],
            [0.1004, 0.0622, 0.0505, 0.0057, 0.0831, 0.3726, 0.0204, 0.0],
            [0.0548, 0.0269, 0.0257, 0.0022, 0.06, 0.3158, 0.0086, 0.0],
            [0.0156, 0.0066, 0.0211, 0.0166, 0.0572, 0.0197, 0.0396, 0.2252],
            [0.0364, 0.001, 0.0034, 0.0005, 0.0277, 0.008, 0.0658, 0.1443],
        ]
    )
    cells = {
        name: nest.Create("iaf_psc_exp", max(1, round(n * (0.01 if plastic else 0.015))))
        for name, n in zip(layers, full, strict=True)
    }
    noise = nest.Create("poisson_generator", 8, {"rate": 12000.0})
    for row, (to, post) in zip(probability, cells.items(), strict=True):
        for p, (name, pre) in zip(row.tolist(), cells.items(), strict=True):
            inhibitory = name.endswith("I")
            spec = {
                "weight": nest.random.normal(-351.2 if inhibitory else 87.8, 8.8),
                "delay": nest.random.uniform(0.5, 1.0) if inhibitory else nest.random.uniform(1.0, 2.0),
            }
            if plastic and name.endswith("E") and to.endswith("E"):
                spec |= {"synapse_model": "stdp_synapse", "Wmax": 200.0}
            if p:
                nest.Connect(pre, post, {"rule": "pairwise_bernoulli", "p": p}, spec)
    for k, post in enumerate(cells.values()):
        nest.Connect(noise[k], post, syn_spec={"weight": 87.8, "delay": 1.5})
    return ann_ckpt.nest.network(cells, devices={"noise": noise})


NETWORKS = {
    "cond_exp": cond_exp,
    "relative": relative,
    "several": several,
    "moved": moved,
    "plastic": plastic,
    "unlisted": unlisted,
    "brunel": brunel,
    "brunel_plastic": lambda threads=1: brunel(threads, plastic=True),
    "microcircuit": microcircuit,
}
