"""Networks with a bit of everything, small enough to compile in seconds.

Each is a function from a seed to a :class:`~tests.live.lab.Lab` that is built but not
compiled. Two seeds give the same structure with other random synapses and values, so
that one compiled library serves both.
"""

from __future__ import annotations

from collections.abc import Callable

import ANNarchy as ann

from tests.live.lab import FIVE, Lab, connect

OJA = """
    eta = 0.01 : projection
    alpha = 8.0 : postsynaptic
    limit = 2 : int
    awake = True : bool
"""
OJA_EQUATIONS = """
    trace = 0.9 * trace + 0.1 * post.r : postsynaptic
    dw/dt = eta * (pre.r * post.r - alpha * post.r^2 * w) : min = 0.0, max = 10.0, init = 0.2
"""
DECAY = "tau = 20.0 : projection"
DECAY_EQUATIONS = """
    tau * dx/dt = -x
    tau * dy/dt = -y
"""


def oja() -> ann.Synapse:
    return ann.Synapse(parameters=OJA, equations=OJA_EQUATIONS)


def stdp() -> ann.Synapse:
    """STDP with traces that are integrated in every step, so that they show all there is to know."""
    return ann.Synapse(
        parameters=DECAY,
        equations=DECAY_EQUATIONS,
        pre_spike="g_target += w\nx += 0.1\nw = clip(w - y, 0.0, 1.0)",
        post_spike="y += 0.1\nw = clip(w + x, 0.0, 1.0)",
    )


def rate(seed: int) -> Lab:
    """Rate-coded, plastic, without anything hidden: it resumes exactly."""
    lab = Lab(dt=1.0, seed=seed)
    lab.constant("gain", 1.5)
    source = lab.population("source", (3, 4), "leaky")
    sink = lab.population("sink", 6, "leaky")
    source.base = lab.uniform(0.0, 1.0)
    random = {"weights": lab.uniform(0.0, 1.0)}
    connect(lab.projection("ragged", source, sink, "exc", oja()), "fixed_probability", 0.5, **random)
    connect(lab.projection("full", source, sink, "exc"), "all_to_all", **random)
    connect(lab.projection("single", sink, sink, "inh"), "all_to_all", weights=0.1)
    view = lab.projection("view", source[1:3, :], sink[1:4], "inh", oja())
    connect(view, "all_to_all", **random)
    connect(
        lab.projection("rows", source, sink, "exc"),
        "fixed_probability", 0.4, **random, storage_format="csr",
    )  # fmt: skip
    connect(
        lab.projection("matrix", source, sink, "exc"),
        "fixed_probability", 0.6, **random, storage_format="dense",
    )  # fmt: skip
    return lab


def spike(seed: int) -> Lab:
    """Spiking, with STDP and without delays: exact if nobody spiked in the last step."""
    lab = Lab(dt=1.0, seed=seed)
    excitatory = lab.population("excitatory", 30, ann.Izhikevich)
    inhibitory = lab.population("inhibitory", 8, ann.Izhikevich(a=0.1, d=2.0))
    excitatory.noise, inhibitory.noise = 0.0, 0.0
    excitatory.i_offset, inhibitory.i_offset = lab.uniform(5.0, 12.0), 4.0
    random = {"weights": lab.uniform(0.0, 0.5)}
    learning = lab.projection("learning", excitatory, inhibitory, "exc", stdp())
    connect(learning, "fixed_probability", 0.5, **random)
    connect(lab.projection("one", inhibitory, excitatory, "inh"), "all_to_all", weights=0.3)
    connect(
        lab.projection("transposed", excitatory, inhibitory, "exc"),
        "fixed_number_pre", 5, **random, storage_format="csr", storage_order="pre_to_post",
    )  # fmt: skip
    connect(
        lab.projection("block", excitatory, excitatory, "exc"),
        "all_to_all", weights=lab.uniform(0.0, 0.1), storage_format="dense",
    )  # fmt: skip
    return lab


def delays(seed: int) -> Lab:
    """Rate-coded and spiking with delays, in steps of half a millisecond."""
    lab = Lab(dt=0.5, seed=seed)
    source = lab.population("source", 10, "plain")
    sink = lab.population("sink", 6, "plain")
    random = {"weights": lab.uniform(0.0, 1.0)}
    connect(lab.projection("uniform", source, sink, "exc"), "all_to_all", **random, delays=2.0)
    each = {**random, "delays": lab.uniform(1.0, 5.0)}
    connect(lab.projection("each", source, sink, "exc"), "fixed_probability", 0.5, **each)
    one = lab.population("one", 12, ann.Izhikevich)
    two = lab.population("two", 7, ann.Izhikevich)
    one.i_offset = 10.0
    connect(lab.projection("spikes", one, two, "exc", ann.STDP), "fixed_probability", 0.6, **each)
    connect(lab.projection("together", one, two, "exc"), "all_to_all", **random, delays=1.5)
    connect(lab.projection("at once", two, two, "exc"), "all_to_all", **random)
    return lab


def single(seed: int) -> Lab:
    """Single precision, filters, and what cannot be saved: inputs with a clock of their own."""
    import numpy as np
    from ANNarchy.extensions.convolution import Convolution

    lab = Lab(dt=1.0, seed=seed, single=True)
    lab.constant("gain", 1.5)
    image = lab.population("image", (6, 5), "leaky")
    feature = lab.population("feature", (6, 5), "plain")
    cells = lab.population("cells", 9, "leaky")
    connect(lab.projection("ff", image, cells, "exc", oja()), "fixed_probability", 0.5, lab.uniform(0.0, 1.0))
    filtered = Convolution(
        image, feature, "exc", name="filter", **({"net_id": lab.network.id} if lab.network else {})
    )
    filtered.connect_filter(np.random.default_rng(seed).random((3, 3)).astype(np.float32))
    lab.special(lambda: ann.PoissonPopulation(4, name="noise", rates=30.0))
    lab.special(lambda: ann.SpikeSourceArray([[1.0, 5.0], [2.0]], name="times"))
    lab.special(lambda: ann.TimedArray(np.eye(3), name="steps"))
    return lab


def shared(seed: int) -> Lab:
    """A few neurons that use a constant from outside the network."""
    lab = Lab(dt=1.0, seed=seed)
    if not FIVE:
        lab.constant("gain", 1.5)
    source, sink = (lab.population(name, 3, "leaky") for name in ("source", "sink"))
    connect(lab.projection("ff", source, sink, "exc"), "one_to_one", 1.0)
    return lab


NETWORKS: dict[str, Callable[[int], Lab]] = {
    "rate": rate,
    "spike": spike,
    "delays": delays,
    "single": single,
    "shared": shared,
}
