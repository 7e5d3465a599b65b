"""A small network with a parameter of every kind, for tests that look at single messages."""

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

LIF = TypeInfo(
    "LIF",
    "Leaky integrate and fire",
    attributes={
        "tau": AttributeInfo("double", "Time constant", "ms", minimum=0.0),
        "nb": AttributeInfo("int"),
        "on": AttributeInfo("bool"),
        "noise": AttributeInfo("double", maximum=1.0),
    },
)
GRID = TypeInfo("Grid", attributes={"noise": AttributeInfo("double")})
STDP = TypeInfo("STDP", attributes={"eta": AttributeInfo("float"), "cnt": AttributeInfo("int")})


def population(name: str, tau: float) -> PopulationState:
    parameters = {"tau": tau, "nb": np.int32(3), "on": True, "noise": np.zeros(4)}
    return PopulationState(name, (4,), parameters=parameters, neuron_type=LIF)


def network() -> NetworkState:
    """Populations ``inp`` and ``out`` (4 neurons) and ``grid`` (2 x 3), projection ``ff``, constant ``K``."""
    rows = Connectivity.from_rows([0, 1], [[0, 1, 2], [1]])
    return NetworkState(
        populations=[
            population("inp", 10.0),
            population("out", 20.0),
            PopulationState("grid", (2, 3), parameters={"noise": np.zeros((2, 3))}, neuron_type=GRID),
        ],
        projections=[
            ProjectionState(
                "ff",
                "inp",
                "out",
                "exc",
                rows,
                parameters={
                    "eta": np.float32(0.1),
                    "cnt": np.int32(4),
                    "w": Attribute(np.ones(4), Locality.LOCAL),
                    "theta": Attribute(np.ones(2), Locality.SEMIGLOBAL),
                },
                synapse_type=STDP,
            )
        ],
        constants={"K": 0.25},
    )
