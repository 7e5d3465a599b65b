"""A network with all monitors, in a process of its own: ``python -m tests.brian2.recording_runs KIND ...``.

``whole`` runs it to the end. ``killed`` resumes it from a store, saves as it goes, and is killed by SIGKILL
once it has come some way, until a process gets to the end.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import brian2
import numpy as np
from brian2 import (
    EventMonitor,
    Network,
    NeuronGroup,
    PopulationRateMonitor,
    SpikeMonitor,
    StateMonitor,
    Synapses,
    ms,
)

import ann_ckpt
from ann_ckpt.adapters.simulators import simulator_for

ENDED = 40
"""Milliseconds of the whole run."""
MONITORS = ("spikes", "high", "counter", "traces", "weights", "rate")


def recorded(
    seed,
    *,
    variables=("v", "tau"),
    record=(2, 3, 7),
    dt=0.3 * ms,
    when="start",
    part=slice(5, 12),
    synapses=0.4,
    missing=False,
):
    """Return a network of noisy cells with a monitor of each kind; the options change one of them."""
    brian2.defaultclock.dt = 0.1 * ms
    brian2.seed(seed)
    cells = NeuronGroup(
        14,
        "dv/dt = (24*mV - v)/tau + 4*mV*xi/tau**0.5 : volt\ntau : second",
        threshold="v > 20*mV",
        reset="v = 0*mV",
        events={"high": "v > 18*mV"},
        method="euler",
        name="cells",
    )
    cells.v, cells.tau = "rand()*20*mV", "(4 + rand())*ms"
    plastic = Synapses(cells, cells, "w : volt", on_pre="v_post += w; w *= 0.99", name="plastic")
    brian2.seed(1 if synapses == 0.4 else 5)
    plastic.connect(p=synapses)
    plastic.w = "rand()*mV"
    record = record if record is True else list(record)
    monitors = [
        SpikeMonitor(cells[part], variables=list(variables), name="spikes"),
        EventMonitor(cells, "high", variables="v", name="high"),
        SpikeMonitor(cells, record=False, name="counter"),
        StateMonitor(plastic, "w", record=True, dt=1 * ms, name="weights"),
        PopulationRateMonitor(cells, name="rate"),
    ]
    if not missing:
        monitors.append(StateMonitor(cells, ["v", "tau"], record=record, dt=dt, when=when, name="traces"))
    return Network(cells, plastic, monitors)


def held(network):
    """Return copies of what the monitors say themselves."""
    found = {}
    for name in MONITORS:
        if name not in network:
            continue
        monitor = network[name]
        columns = {"rate": ["t", "rate"], "traces": ["t", "v", "tau"], "weights": ["t", "w"]}.get(
            name, ["t", "i", "count", "v", "tau"]
        )
        found |= {
            f"{name}.{column}": np.array(monitor.variables[column].get_value())
            for column in columns
            if column in monitor.variables
        }
        found[f"{name}.N count"] = np.array(monitor.variables["N"].get_value())
    return found


def whole(folder):
    network = recorded(1)
    network.run(ENDED * ms)
    finish(folder, "whole", network)


def killed(folder):
    network = recorded(1 + os.getpid())
    with ann_ckpt.CheckpointStore(folder / "run.ckpt", "a", monitors=True) as store:
        if not len(store):
            network = recorded(1)
        store.resume(network=network)
        came = float(network.t / ms)
        leave = simulator_for(network).call_every(
            1, lambda: float(network.t / ms) > came + 16.5 and os.kill(os.getpid(), signal.SIGKILL)
        )
        with store.every(3, network=network):
            network.run(ENDED * ms - network.t)
        leave()
    finish(folder, "killed", network)


def finish(folder, name, network):
    np.savez(folder / f"{name}.npz", **held(network))
    ann_ckpt.save(folder / f"{name}.h5", network=network, monitors=True)


if __name__ == "__main__":
    kind, target, where = sys.argv[1:]
    brian2.prefs.codegen.target = target
    brian2.BrianLogger.log_level_error()
    {"whole": whole, "killed": killed}[kind](Path(where))
