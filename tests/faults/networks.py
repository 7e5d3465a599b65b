"""Small networks, whose state at any step can be told, with every way in which arrays are stored.

Blocks are made small here, so that a hundred kilobytes already have arrays of several blocks and objects.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from ann_ckpt import Attribute, Connectivity, Locality, NetworkState, PopulationState, ProjectionState
from ann_ckpt.store.saving import blocks

__all__ = ["ROWS", "net", "small_blocks"]

ROWS = 60


def small_blocks() -> None:
    """Cut arrays into blocks of about 1,000 synapses, in this process."""
    blocks.ROW_BLOCK = 1 << 10
    blocks.LONGEST = 3 << 9


@lru_cache(maxsize=64)
def net(step: int) -> NetworkState:
    """The network at a step: from each to the next all rates and the weights of a few dendrites change."""
    sizes = [60 + 37 * i % 60 for i in range(ROWS)]
    pointers = np.concatenate(([0], np.cumsum(sizes)))
    pre = np.concatenate([np.arange(size, dtype=np.int32) * 3 % 1199 + i % 7 for i, size in enumerate(sizes)])
    # Row i learns at every step that is i modulo 20.
    w = np.concatenate([_values(1, i, (step + i) // 20, size=size) for i, size in enumerate(sizes)])
    return NetworkState(
        populations=[
            PopulationState(
                "in",
                (40, 30),
                parameters={"tau": 10.0, "threshold": _values(2, size=1200).reshape(40, 30)},
                variables={"r": _values(3, step, size=1200).reshape(40, 30)},
            ),
            PopulationState("out", (ROWS,), variables={"v": _values(4, step, size=ROWS)}),
        ],
        projections=[
            ProjectionState(
                "ff",
                "in",
                "out",
                "exc",
                Connectivity(np.arange(ROWS), pointers, pre),
                delays=3,
                parameters={"tau": Attribute(_values(5, size=len(pre)), Locality.LOCAL), "eta": 0.01},
                variables={
                    "w": Attribute(w, Locality.LOCAL),
                    "trace": Attribute(_values(6, step, size=ROWS), Locality.SEMIGLOBAL),
                },
            )
        ],
        constants={"period": np.array(float(step))},
        time_step=step,
        dt=0.5,
        seed=7,
        metadata={"note": f"step {step}"},
    )


def _values(*key: int, size: int) -> np.ndarray:
    return np.random.default_rng(key).random(size)
