"""Runs networks in a process of its own: ``python -m tests.brian2.runs KIND TARGET FOLDER NAME...``.

``through`` simulates each network for 40 ms, saves on the way and at the end, and once more in a child
that saves every 7 ms and is killed at 33 ms. ``resumed`` builds each with another seed, loads what
``through`` saved, and what the child had saved last, and goes on to the end.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import brian2
from brian2 import ms

import ann_ckpt
from ann_ckpt.adapters.simulators import simulator_for
from tests.brian2.networks import NETWORKS


def through(folder, name):
    child = os.fork()
    if child == 0:
        network = NETWORKS[name](1)
        simulator_for(network).call_every(
            33, lambda: network.t > 0 * ms and os.kill(os.getpid(), signal.SIGKILL)
        )
        with (
            ann_ckpt.CheckpointStore(folder / f"{name}.ckpt", mode="w") as store,
            store.every(7, network=network),
        ):
            network.run(40 * ms)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status), f"{name}: the child was not killed"
    network = NETWORKS[name](1)
    network.run(20 * ms)
    ann_ckpt.save(folder / f"{name}.at.h5", network=network)
    network.run(20 * ms)
    ann_ckpt.save(folder / f"{name}.end.h5", network=network)


def resumed(folder, name):
    network = NETWORKS[name](2)
    ann_ckpt.load(folder / f"{name}.at.h5", network=network)
    network.run(20 * ms)
    ann_ckpt.save(folder / f"{name}.resumed.h5", network=network)
    network = NETWORKS[name](2)
    ann_ckpt.load(folder / f"{name}.ckpt", network=network)
    network.run(40 * ms - network.t)
    ann_ckpt.save(folder / f"{name}.killed.h5", network=network)


if __name__ == "__main__":
    kind, target, where, *names = sys.argv[1:]
    brian2.prefs.codegen.target = target
    # What is compiled is in the same state with and without optimisation, which takes most of the time.
    brian2.prefs["codegen.cpp.extra_compile_args_gcc"] = ["-w", "-O0", "-std=c++17"]
    brian2.BrianLogger.log_level_error()
    for each in names:
        {"through": through, "resumed": resumed}[kind](Path(where), each)
