"""The networks in the golden files and stores, made again from nothing random."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ann_ckpt import (
    Attribute,
    AttributeInfo,
    Connectivity,
    Exactness,
    Locality,
    NetworkState,
    PopulationState,
    ProjectionState,
    Recording,
    Resume,
    Series,
    TypeInfo,
)


def ramp(n: int, dtype: type = np.float64) -> np.ndarray:
    """Values without a pattern, the same on every machine: a linear congruential sequence."""
    values = (
        np.arange(n, dtype=np.uint64) * np.uint64(6364136223846793005) + np.uint64(1442695040888963407)
    ) >> np.uint64(11)
    return (values / np.float64(2**53)).astype(dtype)


def complete() -> NetworkState:
    """Everything that version 1.0 can hold, small except for one projection of 40,000 synapses."""
    izhikevich = TypeInfo(
        "Izhikevich",
        "Quadratic integrate-and-fire",
        {"equations": "dv/dt = 0.04 * v^2 + 5 * v + 140 - u + I", "spike": "v > 30"},
        {"tau": AttributeInfo("double", "time constant", "ms", 0.1, None)},
    )
    specials = np.array([0.0, -0.0, np.inf, -np.inf, np.nan, 5e-324])
    specials = np.concatenate((specials, np.array([0x7FF8_0000_0000_1234], np.uint64).view(np.float64)))
    ragged = Connectivity.from_rows([5, 0, 3], [[6, 1], [], [2, 0, 4]])
    dense = Connectivity(np.arange(200), np.arange(201) * 200, np.tile(np.arange(200, dtype=np.int32), 200))
    return NetworkState(
        populations=[
            PopulationState(
                "spécial 雪/..",
                (7,),
                parameters={"tau": 10.0, "n": np.int32(-3), "on": True, "f": np.float32(0.1)},
                variables={"v": specials},
                neuron_type=izhikevich,
            ),
            PopulationState("grid", (2, 3), variables={"r": ramp(6).reshape(2, 3), "on": np.eye(2, 3) > 0}),
            PopulationState(
                "cube",
                (2, 2, 2),
                neuron_type=izhikevich,
                dynamics={
                    "_active": np.array(True),
                    "_t": np.array(12, np.int64),
                    "_delayed_r": ramp(24).reshape(3, 8),
                    "_delayed_spike": np.array([1, 7, 2], np.int32),
                    "_delayed_spike.sizes": np.array([2, 0, 1]),
                },
                resume=Resume(Exactness.EXACT),
            ),
            PopulationState("", (0,), variables={"a/b": np.empty(0)}),
            PopulationState("layer", (200,), variables={"r": ramp(200, np.float32)}),
        ],
        projections=[
            ProjectionState(
                "ragged",
                "spécial 雪/..",
                "grid",
                "exc",
                ragged,
                delays=np.array([1, 5, 2, 2, 9], np.int32),
                parameters={"theta": np.array([0.1, 0.2, 0.3]), "w": np.array([1.0, -2.0, 3.0, 4.0, 5.0])},
                variables={"odd": Attribute(np.arange(4), Locality.UNKNOWN)},
                pre_size=7,
                post_size=6,
                pre_view=np.array([0, 1, 2, 4, 6]),
                post_view=np.array([0, 3, 5]),
                synapse_type=TypeInfo("STDP"),
                dynamics={"_last_event": np.array([-10000, 3, 9, 9, 4])},
                resume=Resume(Exactness.APPROXIMATE, ("the spikes on their way",)),
            ),
            ProjectionState(
                "one weight",
                "grid",
                "grid",
                "inh",
                Connectivity.from_rows([0], [[1]]),
                parameters={"w": 2.0},
                delays=3,
            ),
            ProjectionState(".", "cube", "", "exc", Connectivity([], [0], [])),
            ProjectionState(
                "dense",
                "layer",
                "layer",
                "exc",
                dense,
                variables={"w": ramp(40_000), "c": np.zeros(40_000, np.float32)},
                delays=1,
            ),
        ],
        constants={"g": 9.81, "table": np.arange(3)},
        time_step=123_456_789_012,
        dt=0.1,
        seed=-7,
        dynamics={"rng": np.arange(625, dtype=np.uint32).reshape(1, 625)},
        resume=Resume(Exactness.RESEEDED, ("the random generators",)),
        reseeded=2_000_000_000,
        metadata={"who": "golden", "nested": [1, {"ü": None}]},
    )


def bare() -> NetworkState:
    """A network that knows nothing."""
    return NetworkState()


def further() -> NetworkState:
    """What came with version 1.3: an order of synapses, delays of pathways, values that are arrays."""
    neurons, fan_in = 50, 100
    n = neurons * fan_in
    synapses = Connectivity(
        np.arange(neurons), np.arange(neurons + 1) * fan_in, np.arange(n, dtype=np.int32) * 7 % neurons
    )
    return NetworkState(
        populations=[
            PopulationState(
                "cells",
                (neurons,),
                parameters={
                    "tau_syn": ramp(3 * neurons).reshape(neurons, 3),
                    "E_rev": Attribute(np.array([0.0, -85.0, -70.0]), Locality.GLOBAL),
                },
                variables={"v": ramp(neurons)},
            ),
            PopulationState("sheet", (2, 3), variables={"trace": ramp(12, np.float32).reshape(2, 3, 2)}),
        ],
        projections=[
            ProjectionState(
                "stdp",
                "cells",
                "cells",
                "exc",
                synapses,
                delays=np.arange(n, dtype=np.int32) % 9 + 1,
                pathway_delays={
                    "pre": ramp(n) / 100,
                    "post": np.float64(0.0005),
                    "queue/2": np.arange(n, dtype=np.int32) % 5,
                },
                order=np.argsort(synapses.pre_ranks, kind="stable"),
                parameters={"row": Attribute(ramp(2 * neurons).reshape(neurons, 2), Locality.SEMIGLOBAL)},
                variables={"w": ramp(n), "trace": ramp(2 * n, np.float32).reshape(n, 2)},
                pre_size=neurons,
                post_size=neurons,
            )
        ],
        time_step=10,
        dt=0.1,
    )


def recorded(step: int = 400) -> NetworkState:
    """What came with version 1.4: recordings. At a later step they are longer, and begin alike."""
    n = 50
    spikes = np.arange(5 * step, dtype=np.int64)
    return NetworkState(
        populations=[PopulationState("cells", (n,), variables={"v": ramp(n)})],
        recordings=[
            Recording(
                "Monitor_cells",
                of="populations/cells",
                series={
                    "spike": Series(times=spikes // 5, ranks=(spikes * 7 % n).astype(np.int32)),
                    "v": Series(times=np.arange(step), values=ramp(step * n).reshape(step, n)),
                    "sum(exc)": Series(values=ramp(step // 10, np.float32)),
                },
                settings={"variables": ["spike", "v", "sum(exc)"], "period": 1},
                carried={"paused": False, "offset": 0, "since": 1.5},
            ),
            Recording(
                "some/of them",
                of="populations/cells",
                ranks=np.array([3, 1, 49]),
                series={
                    "crossing": Series(
                        times=np.arange(4) / 64, ranks=np.array([1, 3, 1, 49], np.uint8), values=ramp(4)
                    ),
                    "": Series(values=np.empty((0, 2, 3), np.int16)),
                },
            ),
            Recording("empty", of=""),
        ],
        time_step=step,
        dt=0.1,
    )


def parted(step: int = 10) -> NetworkState:
    """What came with version 1.5: geometries of four axes and more, and parts of projections."""
    return NetworkState(
        populations=[
            PopulationState(
                "hypercolumn", (2, 3, 1, 4), variables={"r": ramp(24).reshape(2, 3, 1, 4) + step}
            ),
            PopulationState(
                "deep", (1,) * 7, parameters={"tau": 10.0}, variables={"on": np.ones((1,) * 7) > 0}
            ),
        ],
        projections=[
            ProjectionState(
                "two of many",
                "hypercolumn",
                "hypercolumn",
                "exc",
                Connectivity.from_rows([3, 17], [[0, 5], [2]]),
                variables={"w": ramp(3) + step},
                delays=2,
                pre_size=24,
                post_size=24,
                partial=True,
                resume=Resume(Exactness.APPROXIMATE, ("dendrites that were not selected",)),
            )
        ],
        time_step=step,
        dt=0.1,
    )


def divided(step: int = 400) -> NetworkState:
    """What came with version 1.6: the second of three parts of a network."""
    return replace(run(step), time_step=step).part(1, 3)


NETWORKS = {
    "complete": complete,
    "bare": bare,
    "further": further,
    "recorded": recorded,
    "parted": parted,
    "divided": divided,
}
SINCE = {"further": (1, 3), "recorded": (1, 4), "parted": (1, 5), "divided": (1, 6)}
"""Networks that an older version than this cannot hold."""

SIDE = 12
"""Neurons along one side of the layer of :func:`run`, which any ``DemoNetwork`` of this size can load."""


def run(step: int) -> NetworkState:
    """A network at a step of its run, with values that compress well.

    From one step to the next all rates change, five dendrites in a row of ``forward``
    learn, and from step 150 on one has a synapse more. All of ``lateral`` stays.
    """
    neurons, pixels = SIDE * SIDE, 4 * SIDE * SIDE
    sizes = np.full(neurons, 4 * SIDE * SIDE - 1)
    sizes[100] += step >= 150
    forward = Connectivity(
        np.arange(neurons),
        np.concatenate(([0], np.cumsum(sizes))),
        np.concatenate([np.arange(size, dtype=np.int32) for size in sizes]),
    )
    w = _saw(forward.n_synapses)
    first = step // 50 * 20 % neurons
    w[forward.row_ptr[first] : forward.row_ptr[first + 5]] += step
    lateral = Connectivity(
        np.arange(neurons), np.arange(neurons + 1) * 70, np.tile(np.arange(70, dtype=np.int32), neurons)
    )
    exact = Resume(Exactness.EXACT)
    return NetworkState(
        populations=[
            PopulationState(
                "image",
                (2 * SIDE, 2 * SIDE),
                parameters={"sigma": 3.0},
                variables={"r": _saw(pixels).reshape(2 * SIDE, 2 * SIDE) + step},
                neuron_type=TypeInfo("Image"),
                dynamics={"past": _saw(4 * pixels).reshape(4, pixels)},
                resume=exact,
            ),
            PopulationState(
                "layer",
                (SIDE, SIDE),
                parameters={"tau": 10.0, "noise": 0.05, "threshold": _saw(neurons).reshape(SIDE, SIDE)},
                variables={"r": _saw(neurons).reshape(SIDE, SIDE) - step},
                neuron_type=TypeInfo("LeakyRate", "", {"equations": "tau * dr/dt + r = sum(exc)"}),
                dynamics={"past": _saw(4 * neurons).reshape(4, neurons)},
                resume=exact,
            ),
        ],
        projections=[
            ProjectionState(
                "forward",
                "image",
                "layer",
                "exc",
                forward,
                parameters={"eta": Attribute(_saw(neurons), Locality.SEMIGLOBAL)},
                variables={"w": Attribute(w, Locality.LOCAL)},
                delays=1,
                pre_size=pixels,
                post_size=neurons,
                synapse_type=TypeInfo("Oja"),
                resume=exact,
            ),
            ProjectionState(
                "lateral",
                "layer",
                "layer",
                "inh",
                lateral,
                parameters={"eta": 0.001, "rho": 0.1},
                variables={"w": Attribute(_saw(lateral.n_synapses), Locality.LOCAL)},
                delays=(np.arange(lateral.n_synapses) % 5 + 1).astype(np.int32),
                pre_size=neurons,
                post_size=neurons,
                synapse_type=TypeInfo("AntiHebb"),
                resume=exact,
            ),
        ],
        constants={"period": 200.0 + step},
        time_step=step,
        dt=1.0,
        seed=3,
        dynamics={"noise": np.arange(625, dtype=np.uint32)},
        resume=exact,
        metadata={"step": step},
    )


def _saw(n: int) -> np.ndarray:
    return np.arange(n, dtype=np.uint64) * 7 % 251 / 8


STEPS = (0, 100, 200, 150)
"""When the golden stores were saved. The second checkpoint was pruned."""
TAGS = {0: "start", 200: "trained"}
KEPT = {"000000000000": 0, "000000000200": 200, "000000000150-1": 150}
"""Names of the checkpoints that are left, and their steps."""
