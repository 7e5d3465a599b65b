"""Networks whose next step depends on much that no attribute shows. ANNarchy 5.0 only.

Each is a function from a seed to a lab; where the connector allows it, another seed
connects other synapses, so that a load has to rebuild them.
"""

from __future__ import annotations

from collections.abc import Callable

import ANNarchy as ann
import numpy as np

from tests.live.lab import Lab, connect

NOISY = {
    "parameters": "tau = 10.0 : population\nbase = 0.5",
    "equations": """
        noise = Normal(0.0, 0.1)
        common = Uniform(0.0, 0.2) : population
        tau * dv/dt = -v + base + sum(exc) + noise + common + 0.01 * mean(r)
        r = pos(v) : max = 5.0
    """,
}
TIRED = {
    "parameters": "tau = 10.0\nI = 5.0",
    "equations": "tau * dv/dt = -v + I + g_exc\ntau * dg_exc/dt = -g_exc",
    "spike": "v > 3.0",
    "reset": "v = 0.0",
    "refractory": 3.0,
}
DRIFT = {
    "parameters": "eta = 0.01 : projection\nalpha = 8.0 : postsynaptic",
    "equations": """
        jitter = Uniform(-0.1, 0.1)
        dw/dt = eta * (pre.r * post.r - alpha * post.r^2 * w + jitter) : min = 0.0, init = 0.2
    """,
}


def stdp() -> ann.Synapse:
    """Event-driven: each synapse remembers when it last met a spike."""
    return ann.STDP(tau_plus=20.0, tau_minus=20.0, A_plus=0.01, A_minus=0.01, w_max=1.0)


def rate(seed: int) -> Lab:
    """Rate-coded: noise, queues of delayed rates, means of the last step, every storage format."""
    lab = Lab(dt=0.5, seed=seed)
    neuron = ann.Neuron(**NOISY)
    source = lab.population("source", (3, 4), neuron)
    sink = lab.population("sink", 6, neuron)
    idle = lab.population("idle", 3, neuron)
    source.base = lab.uniform(0.0, 1.0)
    weights = {"weights": lab.uniform(0.0, 0.5)}
    each = {**weights, "delays": lab.uniform(1.0, 4.0)}
    learning = lab.projection("learning", source, sink, "exc", ann.Synapse(**DRIFT))
    connect(learning, "fixed_probability", 0.5, **each)
    connect(lab.projection("late", source, sink, "exc"), "all_to_all", **weights, delays=3.0)
    connect(lab.projection("oja", sink, source, "exc", ann.Oja), "fixed_probability", 0.6, **weights)
    connect(lab.projection("one", sink, idle, "exc"), "all_to_all", weights=0.1)
    # The same synapses for every seed: not every format can be rebuilt with others.
    fixed = np.random.default_rng(5)
    for form in ("csr", "ell", "ellr", "sell", "coo", "dense", "bsr"):
        drawn = {"weights": ann.Uniform(0.0, 0.2, rng=fixed)}
        connect(lab.projection(form, source, sink, "exc"), "all_to_all", **drawn, storage_format=form)
    later = {"weights": ann.Uniform(0.0, 0.2, rng=fixed), "delays": ann.Uniform(1.0, 4.0, rng=fixed)}
    connect(lab.projection("csr late", source, sink, "exc"), "all_to_all", **later, storage_format="csr")
    return lab


def spike(seed: int) -> Lab:
    """Spiking: refractory, delayed, plastic, noisy, with inputs that have a clock of their own."""
    lab = Lab(dt=1.0, seed=seed)
    excitatory = lab.population("excitatory", 24, ann.Izhikevich)
    tired = lab.population("tired", 10, ann.Neuron(**TIRED))
    excitatory.i_offset = lab.uniform(5.0, 12.0)
    tired.I = lab.uniform(3.5, 8.0)
    tired.compute_firing_rate(20.0)
    weights = {"weights": lab.uniform(0.0, 0.5)}
    each = {**weights, "delays": lab.uniform(1.0, 6.0)}
    connect(lab.projection("ring", excitatory, tired, "exc", stdp()), "fixed_probability", 0.5, **each)
    connect(lab.projection("late", excitatory, tired, "exc", stdp()), "all_to_all", **weights, delays=4.0)
    connect(lab.projection("short", tired, excitatory, "exc", ann.STP), "fixed_probability", 0.5, **weights)
    fixed = np.random.default_rng(5)
    for name, form, order in (
        ("csr", "csr", "post_to_pre"),
        ("transposed", "csr", "pre_to_post"),
        ("dense", "dense", "post_to_pre"),
    ):
        drawn = {"weights": ann.Uniform(0.0, 0.2, rng=fixed), "storage_format": form, "storage_order": order}
        connect(lab.projection(name, excitatory, tired, "exc", stdp()), "all_to_all", **drawn)
    inputs = [
        lab.special(lambda: ann.PoissonPopulation(6, name="poisson", rates=80.0)),
        lab.special(lambda: ann.SpikeSourceArray([[3.0, 40.0, 70.0], [55.0, 90.0]], name="times")),
        lab.special(
            lambda: ann.HomogeneousCorrelatedSpikeTrains(
                5, rates=[40.0, 80.0], corr=0.3, tau=10.0, schedule=[0.0, 70.0], name="correlated"
            )
        ),
        lab.special(
            lambda: ann.TimedPoissonPopulation(
                4, rates=[20.0, 200.0], schedule=[0.0, 65.0], period=100.0, name="timed"
            )
        ),
    ]
    for population in inputs:
        name = f"from {population.name}"
        connect(lab.projection(name, population, tired, "exc"), "all_to_all", weights=0.4, delays=2.0)
    lab.special(lambda: ann.TimedArray(np.eye(3), schedule=[0.0, 62.0, 75.0], period=90.0, name="steps"))
    return lab


def growing(seed: int) -> Lab:
    """Structural plasticity: synapses come and go by chance."""
    lab = Lab(dt=1.0, seed=seed)
    lab.network.config(structural_plasticity=True)
    neuron = ann.Neuron(**NOISY)
    source, sink = lab.population("source", 10, neuron), lab.population("sink", 8, neuron)
    synapse = ann.Synapse(
        parameters="T = 0.4 : projection",
        equations="age = if pre.r * post.r > T: 0.0 else: age + 1.0",
        pruning="age > 8.0 : proba = 0.4",
        creating="pre.r * post.r > T : proba = 0.2, w = 0.1",
    )
    projection = lab.projection("growing", source, sink, "exc", synapse)
    connect(projection, "fixed_probability", 0.4, weights=lab.uniform(0.0, 0.3))
    return lab


def threads(seed: int) -> Lab:
    """Two threads and single precision, rate-coded and spiking."""
    lab = Lab(dt=1.0, seed=seed, single=True)
    lab.network.config(num_threads=2)
    neuron = ann.Neuron(**NOISY)
    source, sink = lab.population("source", 10, neuron), lab.population("sink", 8, neuron)
    one, two = lab.population("one", 24, ann.Izhikevich), lab.population("two", 10, ann.Neuron(**TIRED))
    one.i_offset = lab.uniform(5.0, 12.0)
    weights = {"weights": lab.uniform(0.0, 0.5)}
    each = {**weights, "delays": lab.uniform(1.0, 4.0)}
    connect(lab.projection("each", source, sink, "exc", ann.Oja), "fixed_probability", 0.5, **each)
    connect(lab.projection("late", source, sink, "exc"), "all_to_all", **weights, delays=3.0)
    connect(
        lab.projection("spikes", one, two, "exc", stdp()), "fixed_probability", 0.5, **weights, delays=2.0
    )
    connect(
        lab.projection("rows", one, two, "exc", stdp()),
        "fixed_probability", 0.5, **weights, storage_format="csr",
    )  # fmt: skip
    return lab


def noisy(seed: int) -> Lab:
    """Rate-coded with noise, and nothing else that is hidden."""
    lab = Lab(dt=1.0, seed=seed)
    neuron = ann.Neuron(
        parameters="tau = 10.0 : population",
        equations="noise = Normal(0.0, 0.1)\ntau * dr/dt = -r + sum(exc) + noise",
    )
    source, sink = lab.population("source", 10, neuron), lab.population("sink", 8, neuron)
    learning = lab.projection("learning", source, sink, "exc", ann.Oja)
    connect(learning, "fixed_probability", 0.5, weights=lab.uniform(0.0, 0.5))
    return lab


NETWORKS: dict[str, Callable[[int], Lab]] = {
    "rate": rate,
    "spike": spike,
    "growing": growing,
    "threads": threads,
    "noisy": noisy,
}
