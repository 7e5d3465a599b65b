"""Networks whose next step depends on much that no attribute shows. ANNarchy 5.0 only.

Each is a function from a seed to a lab; where the connector allows it, another seed
connects other synapses, so that a load has to rebuild them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

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
WATCHFUL = NOISY | {
    "equations": NOISY["equations"].replace("mean(r)", "(max(r) + min(r) + norm1(r) + norm2(r))")
}
"""Looks at all of its population in the other ways that there are."""
HUSHED = {
    "parameters": "tau = 10.0 : population\nbase = 0.5",
    "equations": """
        noise = Normal(0.0, 0.1)
        tau * dv/dt = -v + base + sum(exc) + noise + 0.01 * mean(r)
        r = pos(v) : max = 5.0
    """,
}
"""Without a random number for all neurons: with a generator for each thread, that is drawn in a race."""
TIRED = {
    "parameters": "tau = 10.0\nI = 5.0",
    "equations": "tau * dv/dt = -v + I + g_exc\ntau * dg_exc/dt = -g_exc",
    "spike": "v > 3.0",
    "reset": "v = 0.0",
    "refractory": 3.0,
}
AXONS = TIRED | {"axon_spike": "v > 2.0"}
"""Spikes of the axon besides those of the soma."""
DRIFT = {
    "parameters": "eta = 0.01 : projection\nalpha = 8.0 : postsynaptic",
    "equations": """
        jitter = Uniform(-0.1, 0.1)
        dw/dt = eta * (pre.r * post.r - alpha * post.r^2 * w + jitter) : min = 0.0, init = 0.2
    """,
}


CROWD = 101
"""Neurons; with fewer than a hundred ANNarchy leaves them to one thread. Odd, so that parts differ."""


def stdp() -> ann.Synapse:
    """Event-driven: each synapse has a last-event time stamp."""
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
    some = {"weights": lab.uniform(0.0, 0.2)}
    for form in ("csr", "ell", "ellr", "sell", "hyb", "coo", "dense", "bsr"):
        connect(lab.projection(form, source, sink, "exc"), "all_to_all", **some, storage_format=form)
    for form in ("csr", "ell", "ellr", "sell", "hyb", "dense"):
        late = lab.projection(f"{form} late", source, sink, "exc")
        connect(late, "all_to_all", **some, delays=2.0, storage_format=form)
    for form in ("csr", "ell"):
        varied = lab.projection(f"{form} varied", source, sink, "exc")
        connect(varied, "all_to_all", **some, delays=lab.uniform(1.0, 4.0), storage_format=form)
    for form in ("csr", "ell", "ellr", "dense"):
        learns = lab.projection(f"{form} learns", source, sink, "exc", ann.Oja)
        connect(learns, "all_to_all", **some, storage_format=form)
    for name, delay in (("dia", 0.0), ("dia late", 2.0)):
        diagonal = lab.projection(name, sink, sink, "exc")
        connect(diagonal, "one_to_one", **some, delays=delay, storage_format="dia")
    return lab


def spike(seed: int) -> Lab:
    """Spiking: refractory, delayed, plastic, noisy, with inputs that have a clock of their own."""
    lab = Lab(dt=1.0, seed=seed)
    excitatory = lab.population("excitatory", 24, ann.Izhikevich)
    tired = lab.population("tired", 10, ann.Neuron(**TIRED))
    lab.population("axons", 5, ann.Neuron(**AXONS)).I = lab.uniform(3.5, 8.0)
    excitatory.i_offset = lab.uniform(5.0, 12.0)
    tired.I = lab.uniform(3.5, 8.0)
    tired.compute_firing_rate(20.0)
    weights = {"weights": lab.uniform(0.0, 0.5)}
    each = {**weights, "delays": lab.uniform(1.0, 6.0)}
    connect(lab.projection("ring", excitatory, tired, "exc", stdp()), "fixed_probability", 0.5, **each)
    connect(lab.projection("late", excitatory, tired, "exc", stdp()), "all_to_all", **weights, delays=4.0)
    connect(lab.projection("short", tired, excitatory, "exc", ann.STP), "fixed_probability", 0.5, **weights)
    # The same synapses for every seed: not every format can be rebuilt with others.
    for form in ("csr", "dense"):
        for order in ("post_to_pre", "pre_to_post"):
            drawn = {"weights": lab.uniform(0.0, 0.2), "storage_format": form, "storage_order": order}
            for name, synapse, delay in (
                ("learns", stdp(), 0.0),
                ("late", stdp(), 3.0),
                ("tires", ann.STP, 0.0),
            ):
                projection = lab.projection(f"{form} {order} {name}", excitatory, tired, "exc", synapse)
                connect(projection, "all_to_all", **drawn, delays=delay)
    # No equation has a conductance for this target: it is summed up all the same.
    connect(lab.projection("unheard", tired, excitatory, "unheard"), "all_to_all", weights=0.25)
    blocks = lab.projection("bsr", excitatory, tired, "exc")
    connect(blocks, "all_to_all", weights=lab.uniform(0.0, 0.1), storage_format="bsr")
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
    lab.constant("level", 1.0)
    neuron = ann.Neuron(**NOISY | {"equations": NOISY["equations"].replace("+ base", "+ level * base")})
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


def _crowd(seed: int, rate: dict[str, str], *, single: bool) -> tuple[Lab, dict[str, Any]]:
    """Return a lab for two threads with populations that are large enough for ANNarchy to share among them.

    Another seed draws other values for the same synapses.
    """
    lab = Lab(dt=1.0, seed=4, single=single)
    lab.network.config(num_threads=2)
    drawn = np.random.default_rng(seed)
    cells = {name: lab.population(name, CROWD, ann.Neuron(**rate)) for name in ("source", "sink", "loose")}
    cells |= {n: lab.population(n, CROWD, ann.Neuron(**TIRED)) for n in ("one", "two", "loose two")}
    cells["source"].base = ann.Uniform(0.0, 1.0, rng=drawn)
    cells["one"].I = ann.Uniform(3.2, 8.0, rng=drawn)
    return lab, {"weights": ann.Uniform(0.0, 0.02, rng=drawn), **cells}


def _join(
    lab: Lab, made: dict[str, Any], name: str, ends: tuple[str, str], synapse: Any, **options: Any
) -> None:
    """Connect a tenth of the neurons of a crowd, or each to one where the format asks for that."""
    pre, post = (made[end] for end in ends)
    projection = lab.projection(name, pre, post, "exc", synapse)
    if options.get("storage_format") == "dia":
        connect(projection, "one_to_one", weights=made["weights"], **options)
    else:
        connect(projection, "fixed_probability", 0.1, weights=made["weights"], **options)


def parallel(seed: int) -> Lab:
    """Two threads and single precision: every format that ANNarchy has for them.

    What threads add up in the order in which they come ends in populations of its own.
    """
    lab, made = _crowd(seed, NOISY, single=True)
    rate, spikes = ("source", "sink"), ("one", "two")
    for form in ("lil", "csr", "ell", "ellr", "dense"):
        _join(lab, made, form, rate, ann.Oja, storage_format=form)
    for form in ("lil", "csr", "ell", "dense"):
        _join(lab, made, f"{form} late", rate, ann.Oja, delays=3.0, storage_format=form)
    for form in ("lil", "csr", "ell"):
        varied = ann.Uniform(1.0, 4.0, rng=np.random.default_rng(5))
        _join(lab, made, f"{form} varied", rate, None, delays=varied, storage_format=form)
    for form in ("sell", "bsr", "dia"):
        _join(lab, made, form, rate, None, storage_format=form)
    for form in ("lil", "csr"):
        _join(lab, made, f"{form} spikes", spikes, stdp(), storage_format=form)
        _join(lab, made, f"{form} spikes late", spikes, stdp(), delays=3.0, storage_format=form)
    turned = {"storage_format": "csr", "storage_order": "pre_to_post"}
    _join(lab, made, "csr transposed", spikes, stdp(), **turned)
    _join(lab, made, "dense spikes", spikes, stdp(), storage_format="dense")
    _join(lab, made, "loose coo", ("source", "loose"), None, storage_format="coo")
    turned = {"storage_format": "dense", "storage_order": "pre_to_post"}
    _join(lab, made, "loose dense", ("one", "loose two"), stdp(), **turned)
    varied = ann.Uniform(1.0, 4.0, rng=np.random.default_rng(5))
    _join(lab, made, "loose ring", ("one", "loose two"), stdp(), delays=varied)
    return lab


def parts(seed: int) -> Lab:
    """Two threads, a part of each matrix and a random generator for either."""
    lab, made = _crowd(seed, HUSHED, single=False)
    lab.network.config(disable_split_matrix=False, disable_parallel_rng=False)
    spikes = ("one", "two")
    varied = ann.Uniform(1.0, 4.0, rng=np.random.default_rng(5))
    _join(lab, made, "lil", spikes, None)
    _join(lab, made, "lil varied", spikes, ann.STP, delays=varied)
    _join(lab, made, "csr", spikes, stdp(), storage_format="csr")
    _join(lab, made, "csr late", spikes, stdp(), delays=3.0, storage_format="csr")
    turned = {"storage_format": "csr", "storage_order": "pre_to_post"}
    _join(lab, made, "transposed", spikes, stdp(), **turned)
    _join(lab, made, "rate", ("source", "sink"), ann.Oja, storage_format="csr")
    _join(lab, made, "loose dense", ("one", "loose two"), stdp(), storage_format="dense")
    few = lab.population("few", 8, ann.Neuron(**HUSHED))
    drift = lab.projection("drift", made["source"], few, "exc", ann.Synapse(**DRIFT))
    connect(drift, "all_to_all", weights=made["weights"])
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


def inputs(seed: int) -> Lab:
    """What keeps something beside attributes and synapses: filters, windows, baselines, Python objects."""
    from ANNarchy.extensions.convolution import Convolution, Pooling

    lab = Lab(dt=1.0, seed=seed)
    drawn = np.random.default_rng(seed)
    net = lab.network
    neuron = ann.Neuron(**NOISY)
    image, feature = (lab.population(name, (4, 4), neuron) for name in ("image", "feature"))
    bank, pooled = lab.population("bank", (4, 4, 2), neuron), lab.population("pooled", (2, 2), neuron)
    image.base = lab.uniform(0.0, 1.0)
    filtered = net.connect(Convolution(image, feature, "exc", name="filter"))
    filtered.connect_filter(drawn.random((3, 3)), delays=2.0)
    net.connect(Convolution(image, bank, "exc", name="filters")).connect_filters(drawn.random((2, 3, 3)))
    net.connect(Pooling(feature, pooled, "exc", name="pooling")).pooling()

    tired = lab.population("tired", 5, ann.Neuron(**TIRED | {"spike": "(v > 3.0) and (t - t_last > 2.0)"}))
    decoded = lab.population("decoded", 2, ann.Neuron(**WATCHFUL))
    lab.special(
        lambda: ann.HomogeneousCorrelatedSpikeTrains(5, rates=300.0, corr=0.3, tau=10.0, name="correlated")
    )
    lab.special(lambda: ann.SpikeSourceArray([[3.0, 70.0], [55.0, 90.0]], name="times"))
    lab.special(lambda: ann.TimedArray(np.eye(3), schedule=[0.0, 62.0, 75.0], period=90.0, name="steps"))
    weights = {"weights": lab.uniform(0.5, 1.5)}
    connect(lab.projection("drive", lab.find("correlated"), tired, "exc", stdp()), "all_to_all", **weights)
    window = net.connect(ann.DecodingProjection(tired, decoded, "exc", window=15.0, name="window"))
    window.all_to_all(0.01)
    jitter = ann.Synapse(equations="jitter = Normal(0.0, 1.0)\nw += 0.001 * jitter : init = 0.2")
    connect(lab.projection("jitter", pooled[:3], decoded[:1], "exc", jitter), "all_to_all", **weights)
    net.boldmonitor(populations=[image], normalize_input=[30])
    return lab


NETWORKS: dict[str, Callable[[int], Lab]] = {
    "rate": rate,
    "spike": spike,
    "growing": growing,
    "threads": threads,
    "parallel": parallel,
    "parts": parts,
    "noisy": noisy,
    "inputs": inputs,
}
