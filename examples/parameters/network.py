"""The network that the files in this folder are for; writes its checkpoint and schema.

python network.py
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

import ann_ckpt
from ann_ckpt import AttributeInfo, Connectivity, NetworkState, PopulationState, ProjectionState, TypeInfo
from ann_ckpt.params import schema_for
from ann_ckpt.params.schema.generate import dump_json

NEURON = TypeInfo(
    "Izhikevich",
    "Spiking neuron of Izhikevich (2003)",
    attributes={
        "tau": AttributeInfo("double", "Time constant of the synaptic current", "ms", minimum=0.1),
        "refractory": AttributeInfo("int", "Steps without a spike after one", "steps", minimum=0),
        "adaptive": AttributeInfo("bool", "Whether the threshold adapts"),
        "noise": AttributeInfo("double", "Amplitude of the background noise of each neuron", "pA"),
    },
)
SYNAPSE = TypeInfo(
    "STDP",
    "Spike-timing dependent plasticity",
    attributes={
        "eta": AttributeInfo("float", "Learning rate", minimum=0.0, maximum=1.0),
        "w_max": AttributeInfo("double", "Largest weight of each dendrite"),
    },
)


def population(name: str, size: int, tau: float) -> PopulationState:
    """Return a population of the one neuron type."""
    parameters = {"tau": tau, "refractory": np.int32(5), "adaptive": True, "noise": np.full(size, 0.1)}
    variables = {"phase": 0.0, "v": np.full(size, -65.0)}
    return PopulationState(name, (size,), parameters=parameters, variables=variables, neuron_type=NEURON)


def network() -> NetworkState:
    """Return four input neurons that excite two output neurons."""
    rows = Connectivity.from_rows([0, 1], [[0, 1, 2, 3], [1, 2]])
    return NetworkState(
        populations=[population("input", 4, 10.0), population("output", 2, 20.0)],
        projections=[
            ProjectionState(
                "forward",
                "input",
                "output",
                "exc",
                rows,
                parameters={"eta": np.float32(0.01), "w_max": np.array([1.0, 1.0])},
                synapse_type=SYNAPSE,
            )
        ],
        constants={"baseline": 0.25},
    )


if __name__ == "__main__":
    here = Path(__file__).parent
    ann_ckpt.write(network(), here / "network.h5")
    (here / "network.schema.json").write_text(dump_json(schema_for(network())))
