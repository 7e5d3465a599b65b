"""A run whose state at any step can be told without simulating: what stores are tested with."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from ann_ckpt import (
    Attribute,
    Connectivity,
    Locality,
    NetworkState,
    PopulationState,
    ProjectionState,
    differences,
)

ROWS = 80
"""Dendrites of the projection ``ff``."""


@lru_cache(maxsize=64)
def state(step: int, *, seed: int = 0, scale: int = 4) -> NetworkState:
    """The network at a step.

    From each step to the next every rate changes and two or three dendrites learn; every
    tenth step one grows; thresholds stay. ``ff`` has about 30,000 ``scale`` synapses, by
    default enough for a few blocks.
    """
    sizes = [300 * scale + (37 * i * scale) % (150 * scale) + grown(i, step) for i in range(ROWS)]
    pre = [np.arange(size, dtype=np.int32) * 3 % 4999 + i % 7 for i, size in enumerate(sizes)]
    w = [_values((seed, 1, i, learnt(i, step)), size) for i, size in enumerate(sizes)]
    tau = [_values((seed, 2, i), size) for i, size in enumerate(sizes)]
    pointers = np.concatenate(([0], np.cumsum(sizes)))
    connectivity = Connectivity(np.arange(ROWS) * 2, pointers, np.concatenate(pre))
    return NetworkState(
        populations=[
            PopulationState(
                "in",
                (90, 60),
                parameters={"tau": 10.0, "threshold": _values((seed, 3), (90, 60))},
                variables={"r": _values((seed, 4, step), (90, 60))},
            ),
            PopulationState("out", (2 * ROWS,), variables={"v": _values((seed, 5, step), 2 * ROWS)}),
        ],
        projections=[
            ProjectionState(
                "ff",
                "in",
                "out",
                "exc",
                connectivity,
                delays=(np.arange(pointers[-1]) % 5 + 1).astype(np.int32),
                parameters={"tau": Attribute(np.concatenate(tau), Locality.LOCAL), "eta": 0.01},
                variables={
                    "w": Attribute(np.concatenate(w), Locality.LOCAL),
                    "trace": Attribute(_values((seed, 6, step), ROWS), Locality.SEMIGLOBAL),
                },
            )
        ],
        constants={"period": np.array(float(step))},
        time_step=step,
        dt=0.5,
        seed=seed,
        metadata={"note": f"step {step}"},
    )


def learnt(row: int, step: int) -> int:
    """How often a dendrite has learnt: every 30 steps, each at its own time."""
    return (step + 11 * row) // 30


def grown(row: int, step: int) -> int:
    """How many synapses a dendrite has grown."""
    return (step + 170 * row) // 2000


def _values(key: tuple[int, ...], shape: int | tuple[int, ...]) -> np.ndarray:
    return np.random.default_rng(key).random(shape)


def check_any_number_of_parts(whole: NetworkState, expected: NetworkState) -> None:
    """What 1, 2 and 3 processes load of a network is, put together, the network."""
    for ranks in (1, 2, 3):
        parts = [whole.part(rank, ranks) for rank in range(ranks)]
        assert not list(differences(NetworkState.joined(parts), expected))
