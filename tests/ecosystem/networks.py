"""A small network of which every form of another library can be checked value by value."""

from __future__ import annotations

import numpy as np

from ann_ckpt import (
    Attribute,
    AttributeInfo,
    Connectivity,
    Locality,
    NetworkState,
    PopulationState,
    ProjectionState,
    TypeInfo,
)

RNG = np.random.default_rng(3)


def network() -> NetworkState:
    """Two populations; a projection between them, uneven and unsorted, and one within."""
    sizes = RNG.integers(0, 40, 60)
    rows = Connectivity(
        RNG.permutation(90)[:60].astype(np.int32),
        np.concatenate(([0], np.cumsum(sizes))),
        RNG.integers(0, 50, sizes.sum()).astype(np.int32),
    )
    loop = Connectivity.from_rows([2, 0], [[1, 0], [2]])
    neuron = TypeInfo("LIF", attributes={"tau": AttributeInfo(unit="ms"), "r": AttributeInfo(unit="Hz")})
    synapse = TypeInfo("STDP", attributes={"w": AttributeInfo(unit="nS", description="the weight")})
    n = rows.n_synapses
    ff = ProjectionState(
        "ff",
        "in",
        "grid",
        "exc",
        rows,
        delays=RNG.integers(1, 9, n).astype(np.int32),
        parameters={"eta": 0.5, "limit": Attribute(RNG.random(60), Locality.SEMIGLOBAL)},
        variables={"w": RNG.random(n), "on": RNG.random(n) < 0.5},
        pre_size=50,
        post_size=90,
        synapse_type=synapse,
    )
    loops = ProjectionState(
        "a/b", "in", "in", "inh", loop, delays=1, variables={"w": [1.0, 2.0, 3.0]}, pre_size=50
    )
    return NetworkState(
        populations=[
            PopulationState(
                "in", (50,), parameters={"tau": 10.0}, variables={"r": RNG.random(50)}, neuron_type=neuron
            ),
            PopulationState("grid", (9, 10), variables={"v": RNG.random((9, 10))}),
            PopulationState("cube", (3, 4, 5), variables={"v": RNG.random((3, 4, 5))}),
        ],
        projections=[ff, loops],
        constants={"g": 9.81, "period": [1.0, 2.0]},
        time_step=1234,
        dt=0.1,
        metadata={"who": "me"},
    )
