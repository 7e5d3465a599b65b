"""What workers do with networks whose certificate must not say more than is true. ANNarchy 5.0 only."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import ANNarchy as ann
import numpy as np

import ann_ckpt
import ann_ckpt.annarchy
from ann_ckpt.errors import SimulatorError
from tests.live.lab import without_arguments

RATE = "tau * dr/dt = -r + sum(exc) + 0.3"


class Unseen(ann.Network):
    """Keeps much that Python cannot see, in as little C++ as possible."""

    def __init__(self) -> None:
        rate = ann.Neuron(parameters="tau = 10.0", equations=RATE)
        spiking = ann.Neuron(equations="v += 1.0", spike="(v > 3.0) and (t - t_last > 1.0)", reset="v = 0.0")
        a, b = self.create(3, rate, name="a"), self.create(1, rate, name="b")
        cells = self.create(2, spiking, name="cells")
        self.create(Own(2, rate, name="own"))
        jitter = ann.Synapse(equations="jitter = Normal(0.0, 1.0)\nw += jitter")
        self.connect(a, b, "exc", jitter, name="jitter").all_to_all(0.1)
        late = ann.Synapse(pre_spike="w += t_pre - t_post")
        self.connect(cells, cells, "exc", late, name="late").all_to_all(0.1)


class Own(ann.Population):
    """A class that the package cannot know."""

    def _copy(self, net_id: int | None = None) -> Own:
        return Own(self.geometry, self.neuron_type, name=self.name, copied=True, net_id=net_id)


def unseen(instrumented: bool) -> Unseen:
    """Return the network, compiled."""
    network = Unseen(seed=3)
    folder = Path(os.environ["LIVE_COMPILED"]) / f"unseen-{instrumented}"
    with without_arguments():
        compile_ = ann_ckpt.annarchy.compile if instrumented else type(network).compile
        compile_(network, directory=str(folder), compiler_flags="-O0", silent=True)
    return network


def certificates(saved: str) -> dict[str, Any]:
    """Save with a barrier what cannot be seen, then go on under a copy of the network."""
    network = unseen(instrumented=False)
    network.simulate(5)
    report = ann_ckpt.save(saved, network=network, barrier=True)
    return report.to_dict() | {"copied": copied(network, saved)}


def instrumented_certificates(saved: str) -> dict[str, Any]:
    """Save what can be seen, then go on under a copy of the network."""
    network = unseen(instrumented=True)
    network.simulate(5)
    report = ann_ckpt.save(saved, network=network)
    return report.to_dict() | {"copied": copied(network, saved)}


def copied(network: Unseen, saved: str) -> dict[str, Any]:
    """Copy a network, simulate, and try to save and load the original and the copy."""
    folder = Path(saved).parent
    refused = []
    copy = network.copy()
    network.simulate(30)
    for call in (
        lambda: ann_ckpt.save(folder / "original.h5", network=network),
        lambda: ann_ckpt.load(saved, network=network),
    ):
        try:
            call()
        except SimulatorError as error:
            refused.append(str(error))
    ann_ckpt.save(folder / "copy.h5", network=copy)
    state = ann_ckpt.read(folder / "copy.h5")
    shown = np.asarray(copy.get_population("a").r).tolist()
    return {
        "refused": refused,
        "written": (folder / "original.h5").exists(),
        "same": np.asarray(state.populations["a"]["r"]).tolist() == shown,
    }
