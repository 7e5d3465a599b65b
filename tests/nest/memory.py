"""How much memory a save takes, in a process of its own: ``python -m tests.nest.memory SYNAPSES FILE``."""

from __future__ import annotations

import sys
from pathlib import Path

import nest

import ann_ckpt
import ann_ckpt.nest
from tests.nest.networks import moved, reset


def resident(field):
    """Bytes of this process, now (VmRSS) or at most so far (VmHWM)."""
    lines = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(lines[field].split()[0]) * 1024


if __name__ == "__main__":
    count, path = int(sys.argv[1]), Path(sys.argv[2])
    ann_ckpt.save(path, network=moved())  # what is imported is there
    reset()
    cells = nest.Create("iaf_cond_exp", 1000)
    spec = {"weight": nest.random.uniform(1.0, 2.0), "delay": nest.random.uniform(1.0, 4.0)}
    nest.Connect(cells, cells, {"rule": "fixed_indegree", "indegree": count // 1000}, spec)
    network = ann_ckpt.nest.network({"cells": cells})
    network.simulate(0.1)
    built = resident("VmRSS")
    ann_ckpt.save(path, network=network)
    sys.stdout.write(f"{built} {resident('VmHWM')}\n")
