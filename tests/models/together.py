"""Published models of one step in one network."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import ANNarchy as ann  # noqa: N813
import numpy as np

sys.path.insert(0, str(Path(__file__).parents[2] / "examples" / "models"))
import published


def build(dt: float, names: list[str], seed: int = 1) -> Any:
    """Return a network that is not compiled."""
    network = ann.Network(dt=dt, seed=seed)
    for name in names:
        # Each has a generator of its own, so that it draws the same whichever others are there.
        published.MODELS[name][1](network, np.random.default_rng(seed))
    return network
