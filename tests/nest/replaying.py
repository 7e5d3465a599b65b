"""Runs in a process of its own: ``python -m tests.nest.replaying KIND FOLDER CASE...``.

``saved`` simulates each network, saves it and goes on; ``resumed`` makes each from its file in an empty
kernel and goes on. Both write down what spiked afterwards and all potentials in all steps.
"""

from __future__ import annotations

import sys
from functools import reduce
from operator import add
from pathlib import Path
from typing import NamedTuple

import nest
import numpy as np

import ann_ckpt
import ann_ckpt.nest
from tests.nest.networks import NETWORKS, reset

AFTER = 40.0


class Model(NamedTuple):
    """Weights and currents with which a network of it spikes."""

    excitatory: float
    inhibitory: float
    current: float
    noise: float


MODELS = {
    "iaf_cond_alpha": Model(2.0, -8.0, 420.0, 2.0),
    "iaf_cond_exp": Model(2.0, -8.0, 420.0, 2.0),
    "iaf_cond_exp_sfa_rr": Model(2.0, -8.0, 520.0, 2.0),
    "iaf_psc_delta": Model(0.3, -1.2, 400.0, 0.5),
    "iaf_psc_exp": Model(40.0, -160.0, 400.0, 30.0),
    "izhikevich": Model(1.0, -3.0, 6.0, 2.0),
}


class Case(NamedTuple):
    """One run."""

    model: str
    threads: int
    noise: bool
    at: float
    keep: float = 11.0
    barrier: bool = False
    strong: bool = False


CASES = {
    "cond": Case("iaf_cond_exp", 1, False, 30.0),
    "cond_noise": Case("iaf_cond_exp", 1, True, 20.3),
    "cond_later": Case("iaf_cond_exp", 1, True, 47.1),
    "cond_threads": Case("iaf_cond_exp", 2, True, 26.5),
    "cond_two": Case("iaf_cond_exp", 2, False, 33.2),
    "cond_barrier": Case("iaf_cond_exp", 1, True, 24.4, barrier=True),
    "adapting": Case("iaf_cond_exp_sfa_rr", 1, True, 30.7),
    "adapting_two": Case("iaf_cond_exp_sfa_rr", 2, False, 21.2),
    "izhikevich": Case("izhikevich", 1, False, 41.3),
    "izhikevich_noise": Case("izhikevich", 2, True, 20.3),
    "delta": Case("iaf_psc_delta", 1, False, 35.9, barrier=True),
    "delta_noise": Case("iaf_psc_delta", 2, True, 27.3, barrier=True),
    "delta_none": Case("iaf_psc_delta", 1, True, 27.3),
    "alpha": Case("iaf_cond_alpha", 1, True, 41.3, keep=35.0),
    "alpha_threads": Case("iaf_cond_alpha", 2, True, 72.0, keep=50.0),
    "alpha_two": Case("iaf_cond_alpha", 2, False, 26.7),
    "alpha_one": Case("iaf_cond_alpha", 1, False, 33.0),
    "alpha_short": Case("iaf_cond_alpha", 1, True, 20.3, keep=12.0),
    "currents": Case("iaf_psc_exp", 1, True, 20.3, keep=12.0, barrier=True),
    "strong": Case("iaf_cond_exp", 1, True, 31.0, strong=True),
    "short": Case("iaf_cond_exp", 1, True, 30.3, keep=3.0),
    "none": Case("iaf_cond_exp", 1, True, 30.0, keep=0.0),
    "brunel": Case("brunel", 2, True, 40.7, keep=6.0, barrier=True),
    "microcircuit": Case("microcircuit", 1, True, 60.2, keep=50.0, barrier=True),
}


def make(model, threads=1, noise=True, seed=5):
    """A network that spikes, with weights and delays of any size, and two generators; or a named one."""
    if model in NETWORKS:
        return NETWORKS[model](threads)
    reset(threads, seed)
    with_ = MODELS[model]
    e, i = nest.Create(model, 40), nest.Create(model, 10)
    (e + i).set(I_e=nest.random.uniform(0.8 * with_.current, 1.2 * with_.current))
    for pre, weight in ((e, with_.excitatory), (i, with_.inhibitory)):
        low, high = sorted((0.8 * weight, 1.2 * weight))
        spec = {"weight": nest.random.uniform(low, high), "delay": nest.random.uniform(1.0, 4.0)}
        nest.Connect(pre, e + i, {"rule": "fixed_indegree", "indegree": 8}, spec)
    devices = {}
    if noise:
        devices["noise"] = nest.Create(
            "poisson_generator", 2, [{"rate": 1000.0}, {"rate": 2000.0, "start": 5.0, "stop": 60.0}]
        )
        nest.Connect(devices["noise"], e + i, "all_to_all", {"weight": with_.noise, "delay": 1.5})
        devices["given"] = nest.Create("spike_generator", params={"spike_times": [19.5, 29.0, 41.0, 50.0]})
        devices["constant"] = nest.Create("dc_generator", params={"amplitude": 0.05 * with_.current})
        devices["spikes"] = nest.Create("spike_recorder")
        nest.Connect(devices["constant"], e, syn_spec={"weight": 1.0, "delay": 2.0})
        nest.Connect(e, devices["spikes"], syn_spec={"delay": 1.5})
        nest.Connect(devices["given"], e, "all_to_all", {"weight": with_.noise, "delay": 3.0})
    return ann_ckpt.nest.network({"E": e, "I": i}, devices=devices)


def watched(network, duration=AFTER):
    """Go on; return steps and neurons of spikes, and potentials of all neurons in all steps."""
    cells = reduce(add, network.populations.values())
    recorder, meter = (
        nest.Create("spike_recorder"),
        nest.Create("multimeter", params={"record_from": ["V_m"], "interval": nest.resolution}),
    )
    nest.Connect(cells, recorder, syn_spec={"delay": nest.min_delay})
    nest.Connect(meter, cells, syn_spec={"delay": nest.min_delay})
    before = network.kernel_step
    network.simulate(duration)
    spikes, potentials = recorder.get("events"), meter.get("events")
    at, when = (
        np.rint(events["times"] / nest.resolution).astype(int) - before for events in (spikes, potentials)
    )
    by_step = np.lexsort((potentials["senders"], when))
    found = np.stack([at, spikes["senders"]])
    return found[:, np.lexsort(found[::-1])], potentials["V_m"][by_step][np.sort(when) > 0]


def saved(folder, name):
    case = CASES[name]
    network = make(case.model, case.threads, case.noise)
    if case.strong:
        network.devices["noise"].rate = 9000.0
    if case.keep:
        network.keep(case.keep)
    network.simulate(case.at)
    ann_ckpt.save(folder / f"{name}.h5", network=network, barrier=case.barrier)
    write(folder, name, "saved", network)


def resumed(folder, name):
    reset()
    network = ann_ckpt.nest.build(folder / f"{name}.h5")
    assert abs(network.time - CASES[name].at) < 1e-9
    assert all(network.devices[device].n_events == 0 for device in network.devices if device == "spikes")
    write(folder, name, "resumed", network)


def write(folder, name, kind, network):
    spikes, potentials = watched(network)
    np.savez(folder / f"{name}.{kind}.npz", spikes=spikes, potentials=potentials)


if __name__ == "__main__":
    kind, where, *names = sys.argv[1:]
    for each in names:
        {"saved": saved, "resumed": resumed}[kind](Path(where), each)
