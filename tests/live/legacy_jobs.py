"""Jobs about ANNarchy's own formats: what is written for it, it loads; what it wrote, loads."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import ANNarchy as ann

import ann_ckpt
import ann_ckpt.testing
from ann_ckpt.adapters import legacy
from ann_ckpt.adapters.simulators import simulator_for
from tests.live.lab import FIVE, Lab
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
