"""Jobs about ANNarchy's own formats: what is written for it, it loads; what it wrote, loads."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import ANNarchy as ann

import ann_ckpt
import ann_ckpt.annarchy
import ann_ckpt.testing
from ann_ckpt.adapters import legacy
from ann_ckpt.adapters.simulators import simulator_for
from tests.live.lab import FIVE, Lab, connect
from tests.live.networks import NETWORKS


def opened(network: str) -> Lab:
    lab = NETWORKS[network](1)
    lab.compile(Path(os.environ["LIVE_COMPILED"]) / network)
    return lab


def write(network: str, steps: int, truth: str, paths: list[str]) -> list[list[str]]:
    """Run, then write one state as a checkpoint and in each old format; return what was left out."""
    lab = opened(network)
    lab.simulate(steps)
    ann_ckpt.save(truth, network=lab.network)
    reading = simulator_for(lab.network).read()
    return [[str(note) for note in legacy.write(reading, path).skipped] for path in paths]


def load_by_itself(network: str, path: str, truth: str) -> list[str]:
    """Let ANNarchy load a file into a network that has not run; return where it differs then."""
    lab = opened(network)
    (lab.network if FIVE else ann).load(path)
    state = ann_ckpt.testing.captured(simulator_for(lab.network).read().state)
    return sorted(ann_ckpt.differences(ann_ckpt.read(truth), state))


def unlike_before(network: str, path: str, truth: str) -> dict[str, Any]:
    """Whether the network differed from the truth before anything was loaded."""
    lab = opened(network)
    state = simulator_for(lab.network).read().state
    return {"differs": bool(list(ann_ckpt.differences(ann_ckpt.read(truth), state)))}


def bare(dt: float = 0.5) -> tuple[Lab, dict[str, Any]]:
    """Two populations, and projections between them that have no synapses yet."""
    lab = Lab(dt=dt, seed=3)
    source = lab.population("source", (2, 5), "plain")
    sink = lab.population("sink", 6, "plain")
    return lab, {
        "ragged": lab.projection("ragged", source, sink, "exc"),
        "late": lab.projection("late", source, sink, "exc"),
        "single": lab.projection("single", sink, sink, "exc"),
        "view": lab.projection("view", source[0, :], sink[2:5], "exc"),
    }


def save_connectivity(folder: str, truth: str) -> None:
    """Let ANNarchy save each projection's synapses in each of its formats."""
    lab, made = bare()
    weights = {"weights": lab.uniform(0.0, 1.0)}
    connect(made["ragged"], "fixed_probability", 0.5, **weights, delays=lab.uniform(1.0, 4.0))
    connect(made["late"], "fixed_number_pre", 3, **weights, delays=1.5)
    connect(made["single"], "one_to_one", weights=0.25)
    connect(made["view"], "all_to_all", **weights)
    lab.compile(Path(os.environ["LIVE_COMPILED"]) / "connectivity")
    ann_ckpt.save(truth, network=lab.network)
    for name, projection in made.items():
        for suffix in ("data", "txt.gz", "npz", "mat"):
            projection.save_connectivity(str(Path(folder) / f"{name}.{suffix}"))


def from_file(folder: str, truth: str, suffix: str) -> list[str]:
    """Build the same network out of those files; return where its synapses differ."""
    lab, made = bare()
    for name, projection in made.items():
        ann_ckpt.annarchy.from_file(projection, Path(folder) / f"{name}.{suffix}")
    lab.compile(Path(os.environ["LIVE_COMPILED"]) / f"from-{suffix}")
    state = ann_ckpt.testing.captured(simulator_for(lab.network).read().state)
    lab.simulate(20)
    found = ann_ckpt.differences(ann_ckpt.read(truth), state)
    return sorted(path for path in found if path.startswith("projections/"))
