"""Runs networks in a process of its own: ``python -m tests.nest.runs KIND THREADS FOLDER NAME...``.

``saved`` simulates each network for 20.3 ms, off the grid of slices, and saves it. ``built`` makes each from
its file in an empty kernel, saves it anew and goes on. ``loaded`` makes each with the script and another
seed, loads the file where the synapses are the same ones, and saves it anew.
"""

from __future__ import annotations

import sys
from pathlib import Path

import ann_ckpt
import ann_ckpt.nest
from tests.nest.networks import NETWORKS, reset


def saved(folder, name, threads):
    network = NETWORKS[name](threads)
    network.simulate(20.3)
    ann_ckpt.save(folder / f"{name}.h5", network=network)


def built(folder, name, threads):
    reset()
    network = ann_ckpt.nest.build(folder / f"{name}.h5")
    ann_ckpt.save(folder / f"{name}.built.h5", network=network)
    network.simulate(5.0)
    assert abs(network.time - 25.3) < 1e-9


def loaded(folder, name, threads):
    network = NETWORKS[name](threads)
    ann_ckpt.load(folder / f"{name}.h5", network=network)
    ann_ckpt.save(folder / f"{name}.loaded.h5", network=network)


if __name__ == "__main__":
    kind, threads, where, *names = sys.argv[1:]
    for each in names:
        {"saved": saved, "built": built, "loaded": loaded}[kind](Path(where), each, int(threads))
