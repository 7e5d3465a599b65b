"""Published models, small: each function makes a network of ANNarchy 5.0 that is not compiled.

    ann-ckpt verify-resume examples/models/published.py:coba --at 20ms --for 30ms

Written anew after the papers that are named, with fewer neurons. Everything that is drawn has a seed.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import ANNarchy as ann  # noqa: N813  (as its manual does)
import numpy as np
from ANNarchy.extensions.convolution import Convolution, Pooling

MODELS: dict[str, tuple[float, Callable[[Any, np.random.Generator], None]]] = {}
"""By name: the length of a step in ms, and what fills a network. Those of one step can share a network."""


def _model(dt: float) -> Callable[[Callable[..., None]], Callable[..., ann.Network]]:
    """Turn what fills a network into what makes one; options are those of ``Network.config``."""

    def made(fill: Callable[..., None]) -> Callable[..., ann.Network]:
        MODELS[fill.__name__] = dt, fill

        @functools.wraps(fill)
        def make(seed: int = 1, **options: Any) -> ann.Network:
            network = ann.Network(dt=dt, seed=seed)
            network.config(**options)
            fill(network, np.random.default_rng(seed))
            return network

        return make

    return made


def _uniform(rng: np.random.Generator, low: float, high: float) -> Any:
    return ann.Uniform(low, high, rng=rng)


def _balanced(
    network: ann.Network, rng: np.random.Generator, name: str, neuron: ann.Neuron, exc: float, inh: float
) -> None:
    """Add four excitatory neurons for each inhibitory one, connected at random."""
    cells = network.create(geometry=100, neuron=neuron, name=f"{name} cells")
    cells.v = _uniform(rng, -60.0, -50.0)
    network.connect(cells[:80], cells, "exc", name=f"{name} exc").fixed_probability(0.2, weights=exc)
    network.connect(cells[80:], cells, "inh", name=f"{name} inh").fixed_probability(0.2, weights=inh)


@_model(dt=0.1)
def coba(network: ann.Network, rng: np.random.Generator) -> None:
    """Fill in a network of conductance-based synapses (Vogels and Abbott 2005)."""
    neuron = ann.Neuron(
        parameters="""
            El = -60.0
            Vr = -60.0
            Erev_exc = 0.0
            Erev_inh = -80.0
            Vt = -50.0
            tau = 20.0
            I = 20.0
        """,
        equations="""
            tau * dv/dt = (El - v) + g_exc * (Erev_exc - v) + g_inh * (Erev_inh - v) + I
            5.0 * dg_exc/dt = -g_exc
            10.0 * dg_inh/dt = -g_inh
        """,
        spike="v > Vt",
        reset="v = Vr",
        refractory=5.0,
    )
    _balanced(network, rng, "coba", neuron, 0.6, 6.7)


@_model(dt=0.1)
def cuba(network: ann.Network, rng: np.random.Generator) -> None:
    """Fill in a network of current-based synapses (Vogels and Abbott 2005)."""
    neuron = ann.Neuron(
        parameters="El = -49.0\nVr = -60.0\nVt = -50.0\ntau = 20.0",
        equations="""
            tau * dv/dt = El - v + g_exc - g_inh
            5.0 * dg_exc/dt = -g_exc
            10.0 * dg_inh/dt = -g_inh
        """,
        spike="v > Vt",
        reset="v = Vr",
        refractory=5.0,
    )
    _balanced(network, rng, "cuba", neuron, 1.62, 9.0)


@_model(dt=0.1)
def gap_junctions(network: ann.Network, rng: np.random.Generator) -> None:
    """Fill in spiking neurons whose membranes are coupled (Chow and Kopell 2000)."""
    neuron = ann.Neuron(
        parameters="I = 1.2\nVt = 1.0",
        equations="dv/dt = -0.1 * v + 0.1 * I + g_gap",
        spike="v > Vt",
        reset="v = 0.0",
    )
    coupled = ann.Synapse(psp="w * (pre.v - post.v)")
    cells = network.create(geometry=10, neuron=neuron, name="gap_junctions cells")
    cells.v = _uniform(rng, 0.0, 0.9)
    network.connect(cells, cells, "gap", coupled, name="gap_junctions gap").all_to_all(weights=0.01)


@_model(dt=1.0)
def hybrid(network: ann.Network, rng: np.random.Generator) -> None:
    """Fill in rates coded as spikes, and spikes decoded: correlated trains, a schedule, windows."""
    rate = ann.Neuron(equations="10.0 * dr/dt = -r + sum(exc)")
    steps = network.create(
        ann.TimedArray(np.array([[0.1], [0.6], [0.3]]), schedule=10.0, name="hybrid steps")
    )
    drive = network.create(geometry=1, neuron=rate, name="hybrid drive")
    drive.r = _uniform(rng, 0.0, 0.2)
    poisson = network.create(ann.PoissonPopulation(20, target="exc", name="hybrid poisson"))
    trains = network.create(
        ann.HomogeneousCorrelatedSpikeTrains(20, rates=50.0, corr=0.4, tau=5.0, name="hybrid trains")
    )
    decoded = network.create(geometry=1, neuron=rate, name="hybrid decoded")
    network.connect(steps, drive, "exc", name="hybrid shown").all_to_all(1.0)
    network.connect(drive, poisson, "exc", name="hybrid coded").all_to_all(100.0)
    for name, source in (("hybrid poisson window", poisson), ("hybrid trains window", trains)):
        window = network.connect(ann.DecodingProjection(source, decoded, "exc", window=10.0, name=name))
        window.all_to_all(1.0)


@_model(dt=1.0)
def bcm(network: ann.Network, rng: np.random.Generator) -> None:
    """Fill in a rate-coded neuron with a sliding threshold (Intrator and Cooper 1992)."""
    neuron = ann.Neuron(parameters="base = 0.0", equations="5.0 * dr/dt = -r + base + sum(exc) : min = 0.0")
    rule = ann.Synapse(
        parameters="eta = 0.01 : projection\ntau = 100.0 : projection",
        equations="""
            tau * dtheta/dt + theta = post.r^2 : postsynaptic, exponential
            dw/dt = eta * post.r * (post.r - theta) * pre.r : min = 0.0, explicit
        """,
    )
    inputs = network.create(geometry=10, neuron=neuron, name="bcm inputs")
    output = network.create(geometry=2, neuron=neuron, name="bcm output")
    inputs.base = _uniform(rng, 0.0, 1.0)
    network.connect(inputs, output, "exc", rule, name="bcm bcm").all_to_all(weights=_uniform(rng, 0.0, 0.5))


@_model(dt=0.1)
def short_term_plasticity(network: ann.Network, rng: np.random.Generator) -> None:
    """Fill in synapses that tire and recover, with delays (Tsodyks, Uziel and Markram 2000)."""
    neuron = ann.Neuron(
        parameters="tau = 30.0\nI = 14.0\nVt = 15.0",
        equations="tau * dv/dt = -v + g_exc + I + 4.0 * Normal(0.0, 1.0)\n3.0 * dg_exc/dt = -g_exc",
        spike="v > Vt",
        reset="v = 13.5",
        refractory=3.0,
    )
    cells = network.create(geometry=50, neuron=neuron, name="short_term_plasticity cells")
    cells.I = _uniform(rng, 14.0, 16.0)
    cells.v = _uniform(rng, 13.0, 15.0)
    stp = network.connect(cells, cells, "exc", ann.STP(), name="short_term_plasticity stp")
    stp.fixed_probability(0.2, weights=_uniform(rng, 0.0, 4.0), delays=_uniform(rng, 0.5, 3.0))


@_model(dt=0.02)
def hodgkin_huxley(network: ann.Network, rng: np.random.Generator) -> None:
    """Fill in neurons of four equations (Hodgkin and Huxley 1952)."""
    neuron = ann.Neuron(
        parameters="I = 10.0",
        equations="""
            an = 0.01 * (v + 55.0) / (1.0 - exp(-0.1 * (v + 55.0)))
            am = 0.1 * (v + 40.0) / (1.0 - exp(-0.1 * (v + 40.0)))
            ah = 0.07 * exp(-0.05 * (v + 65.0))
            bn = 0.125 * exp(-0.0125 * (v + 65.0))
            bm = 4.0 * exp(-0.0556 * (v + 65.0))
            bh = 1.0 / (1.0 + exp(-0.1 * (v + 35.0)))
            dn/dt = an * (1.0 - n) - bn * n : init = 0.32, midpoint
            dm/dt = am * (1.0 - m) - bm * m : init = 0.05, midpoint
            dh/dt = ah * (1.0 - h) - bh * h : init = 0.6, midpoint
            ina = 120.0 * m^3 * h * (v - 50.0)
            v_before = v
            dv/dt = I - ina - 36.0 * n^4 * (v + 77.0) - 0.3 * (v + 54.4) : init = -65.0
        """,
        spike="(v > 0.0) and (v_before < 0.0)",
        reset="",
    )
    cells = network.create(geometry=5, neuron=neuron, name="hodgkin_huxley cells")
    cells.I = _uniform(rng, 5.0, 15.0)


@_model(dt=1.0)
def neural_field(network: ann.Network, rng: np.random.Generator) -> None:
    """Fill in a field that chooses among stimuli (Amari 1977), with delays and the field's maximum."""
    neuron = ann.Neuron(
        parameters="tau = 10.0 : population\nbase = 0.0\nnoise = 0.1 : population",
        equations="""
            tau * dmu/dt + mu = base + sum(exc) + noise * Uniform(-1.0, 1.0)
            r = clip(mu, 0.0, 1.0) / (1.0 + max(r))
        """,
    )
    field = network.create(geometry=(8, 8), neuron=neuron, name="neural_field field")
    field.base = _uniform(rng, 0.0, 1.0)
    lateral = network.connect(field, field, "exc", name="neural_field lateral")
    lateral.dog(amp_pos=0.2, sigma_pos=0.1, amp_neg=0.1, sigma_neg=0.7, delays=_uniform(rng, 1.0, 5.0))


@_model(dt=0.1)
def adaptive_eif(network: ann.Network, rng: np.random.Generator) -> None:
    """Fill in neurons with an exponential upstroke that adapt (Brette and Gerstner 2005)."""
    neuron = ann.Neuron(
        parameters="""
            C = 281.0 : population
            gL = 30.0 : population
            EL = -70.6 : population
            VT = -50.4 : population
            slope = 2.0 : population
            a = 4.0 : population
            b = 80.5 : population
            I = 900.0
        """,
        equations="""
            C * dv/dt = gL * (EL - v + slope * exp((v - VT) / slope)) - w + I + g_exc : init = -70.6
            144.0 * dw/dt = a * (v - EL) - w
            5.0 * dg_exc/dt = -g_exc
        """,
        spike="v > -40.0",
        reset="v = EL\nw += b",
        refractory=2.0,
    )
    cells = network.create(geometry=20, neuron=neuron, name="adaptive_eif cells")
    cells.I = _uniform(rng, 800.0, 1200.0)
    ring = network.connect(cells, cells, "exc", name="adaptive_eif ring")
    ring.fixed_probability(0.2, weights=20.0, delays=1.5)


@_model(dt=1.0)
def izhikevich(network: ann.Network, rng: np.random.Generator) -> None:
    """Fill in cortical neurons under thalamic noise (Izhikevich 2003)."""
    neuron = ann.Neuron(
        parameters="a = 0.02\nb = 0.2\nc = -65.0\nd = 8.0\nnoise = 5.0",
        equations="""
            I = 10.0 * g_exc - 10.0 * g_inh + noise * Normal(0.0, 1.0)
            dv/dt = 0.04 * v^2 + 5.0 * v + 140.0 - u + I : init = -65.0
            du/dt = a * (b * v - u) : init = -13.0
        """,
        spike="v >= 30.0",
        reset="v = c\nu += d",
    )
    cells = network.create(geometry=50, neuron=neuron, name="izhikevich cells")
    exc, inh = cells[:40], cells[40:]
    inh.a, inh.noise = 0.1, 2.0
    network.connect(exc, cells, "exc", name="izhikevich exc").all_to_all(weights=_uniform(rng, 0.0, 0.5))
    network.connect(inh, cells, "inh", name="izhikevich inh").all_to_all(weights=_uniform(rng, 0.0, 1.0))


@_model(dt=1.0)
def bar_learning(network: ann.Network, rng: np.random.Generator) -> None:
    """Fill in features that compete for bars (Foeldiak 1990)."""
    hebb = ann.Synapse(
        parameters="eta = 0.02 : projection",
        equations="dw/dt = eta * post.r * (pre.r - post.r * w) : min = 0.0",
    )
    rival = ann.Synapse(
        parameters="eta = 0.02 : projection", equations="dw/dt = eta * (pre.r * post.r - 0.01) : min = 0.0"
    )
    neuron = ann.Neuron(equations="5.0 * dr/dt = -r + sum(exc) - sum(inh) : min = 0.0")
    bars = np.zeros((8, 4, 4))
    for i in range(4):
        bars[i, i, :] = bars[i + 4, :, i] = 1.0
    shown = network.create(ann.TimedArray(bars, schedule=7.0, period=56.0, name="bar_learning bars"))
    features = network.create(geometry=8, neuron=neuron, name="bar_learning features")
    forward = network.connect(shown, features, "exc", hebb, name="bar_learning forward")
    forward.all_to_all(weights=_uniform(rng, 0.0, 0.5))
    network.connect(features, features, "inh", rival, name="bar_learning rivals").all_to_all(weights=0.1)


@_model(dt=1.0)
def stdp(network: ann.Network, rng: np.random.Generator) -> None:
    """Fill in inputs that compete by the timing of their spikes (Song, Miller and Abbott 2000)."""
    neuron = ann.Neuron(
        equations="20.0 * dv/dt = -74.0 - v - g_exc * v : init = -74.0\n5.0 * dg_exc/dt = -g_exc",
        spike="v > -54.0",
        reset="v = -60.0",
    )
    timing = ann.Synapse(
        parameters="gmax = 0.1 : projection",
        equations="20.0 * dx/dt = -x : event-driven\n20.0 * dy/dt = -y : event-driven",
        pre_spike="g_target += w\nx += 0.01 * gmax\nw = clip(w - y, 0.0, gmax)",
        post_spike="y += 0.0105 * gmax\nw = clip(w + x, 0.0, gmax)",
    )
    inputs = network.create(ann.PoissonPopulation(60, rates=30.0, name="stdp inputs"))
    output = network.create(geometry=2, neuron=neuron, name="stdp output")
    network.connect(inputs, output, "exc", timing, name="stdp").all_to_all(weights=_uniform(rng, 0.0, 0.1))


@_model(dt=1.0)
def clopath(network: ann.Network, rng: np.random.Generator) -> None:
    """Fill in synapses that learn from the voltage (Clopath, Buesing, Vasilaki and Gerstner 2010)."""
    neuron = ann.Neuron(
        equations="""
            20.0 * dv/dt = -70.6 - v + g_exc : init = -70.6
            10.0 * dslow/dt = v - slow : init = -70.6
            7.0 * dfast/dt = v - fast : init = -70.6
            15.0 * dtrace/dt = -trace
            100.0 * dlevel/dt = (slow + 70.6)^2 - level
        """,
        spike="v > -55.0",
        reset="v = -70.6\ntrace += 1.0",
        refractory=2.0,
    )
    rule = ann.Synapse(
        parameters="down = 0.0014 : projection\nup = 0.0008 : projection",
        equations="""
            dw/dt = up * pre.trace * pos(post.v + 65.3) * pos(post.fast + 70.6) : min = 0.0, max = 30.0
        """,
        pre_spike="g_target += w\nw = clip(w - down * post.level / 60.0 * pos(post.slow + 70.6), 0.0, 30.0)",
    )
    inputs = network.create(ann.PoissonPopulation(20, rates=40.0, name="clopath inputs"))
    relay = network.create(geometry=20, neuron=neuron, name="clopath relay")
    output = network.create(geometry=3, neuron=neuron, name="clopath output")
    network.connect(inputs, relay, "exc", name="clopath shown").one_to_one(weights=400.0)
    learned = network.connect(relay, output, "exc", rule, name="clopath learned")
    learned.all_to_all(weights=_uniform(rng, 5.0, 25.0))


@_model(dt=1.0)
def reservoir(network: ann.Network, rng: np.random.Generator) -> None:
    """Fill in a random recurrent network whose synapses keep traces (Jaeger 2001, Miconi 2017)."""
    neuron = ann.Neuron(
        parameters="tau = 30.0 : population\nchaos = 1.5 : population",
        equations="""
            noise = if Uniform(0.0, 1.0) > 0.9: Uniform(-1.0, 1.0) else: 0.0
            before = r
            tau * dx/dt = -x + sum(in) + chaos * sum(rec) + noise
            calm = 0.95 * calm + 0.05 * x
            r = tanh(x)
        """,
    )
    rule = ann.Synapse(
        parameters="eta = 0.1 : projection\nreward = 0.1 : projection",
        equations="""
            trace = 0.99 * trace + (pre.before * (post.x - post.calm))^3
            dw/dt = eta * reward * trace
        """,
    )
    pulses = np.zeros((3, 2))
    pulses[0, 0] = pulses[1, 1] = 1.0
    given = network.create(ann.TimedArray(pulses, schedule=[0.0, 9.0, 31.0], name="reservoir input"))
    cells = network.create(geometry=40, neuron=neuron, name="reservoir cells")
    cells.x = _uniform(rng, -0.1, 0.1)
    network.connect(given, cells, "in", name="reservoir in").all_to_all(weights=_uniform(rng, -1.0, 1.0))
    recurrent = network.connect(cells, cells, "rec", rule, name="reservoir recurrent")
    recurrent.all_to_all(weights=_uniform(rng, -0.3, 0.3))


@_model(dt=0.5)  # spiking projections do not compile in networks of this kind
def structural_plasticity(network: ann.Network, rng: np.random.Generator) -> None:
    """Fill in synapses that come and go with activity (Butz and van Ooyen 2013)."""
    network.config(structural_plasticity=True)
    neuron = ann.Neuron(
        parameters="base = 0.5",
        equations="10.0 * dr/dt = -r + base + sum(exc) + 0.3 * Uniform(-1.0, 1.0) : min = 0.0, max = 1.0",
    )
    growth = ann.Synapse(
        parameters="together = 0.2 : projection",
        equations="age = if pre.r * post.r > together: 0.0 else: age + 1.0",
        pruning="age > 5.0 : proba = 0.3",
        creating="pre.r * post.r > together : proba = 0.1, w = 0.02",
    )
    cells = network.create(geometry=15, neuron=neuron, name="structural_plasticity cells")
    cells.base = _uniform(rng, 0.2, 0.8)
    grown = network.connect(cells, cells, "exc", growth, name="structural_plasticity grown")
    grown.fixed_probability(0.2, weights=_uniform(rng, 0.0, 0.05))


@_model(dt=1.0)
def basal_ganglia(network: ann.Network, rng: np.random.Generator) -> None:
    """Fill in pathways that select an action (Gurney, Prescott and Redgrave 2001)."""
    network.constant("dopamine", 0.2)
    neuron = ann.Neuron(
        parameters="rest = 0.0",
        functions="output(x, threshold) = clip(x - threshold, 0.0, 1.0)",
        equations="40.0 * da/dt = -a + sum(exc) - sum(inh)\nr = output(a, rest)",
    )
    go = ann.Neuron(
        parameters="sign = 1.0 : population",
        functions="output(x, threshold) = clip(x - threshold, 0.0, 1.0)",
        equations="40.0 * da/dt = -a + (1.0 + sign * dopamine) * sum(exc)\nr = output(a, 0.2)",
    )
    salience = np.array([[0.2, 0.3, 0.4], [0.6, 0.3, 0.4], [0.6, 0.8, 0.1]])
    cortex = network.create(ann.TimedArray(salience, schedule=15.0, name="basal_ganglia cortex"))
    made = {
        n: network.create(geometry=3, neuron=go if n in ("d1", "d2") else neuron, name=f"basal_ganglia {n}")
        for n in ("d1", "d2", "stn", "gpe", "gpi")
    }
    made["d2"].sign = -1.0
    for name, rest in (("stn", -0.25), ("gpe", -0.2), ("gpi", -0.2)):
        made[name].rest = rest
        made[name].a = _uniform(rng, 0.0, 0.1)
    for pre, post, target, weight in (
        ("cortex", "d1", "exc", 1.0),
        ("cortex", "d2", "exc", 1.0),
        ("cortex", "stn", "exc", 1.0),
        ("d1", "gpi", "inh", 1.0),
        ("d2", "gpe", "inh", 1.0),
        ("gpe", "stn", "inh", 1.0),
        ("gpe", "gpi", "inh", 0.3),
    ):
        path = network.connect(made.get(pre, cortex), made[post], target, name=f"basal_ganglia {pre} {post}")
        path.one_to_one(weights=weight)
    for post in ("gpe", "gpi"):
        network.connect(made["stn"], made[post], "exc", name=f"basal_ganglia stn {post}").all_to_all(0.8)


@_model(dt=1.0)
def convolution(network: ann.Network, rng: np.random.Generator) -> None:
    """Fill in random filters, and pooling after them (Jarrett, Kavukcuoglu, Ranzato and LeCun 2009)."""
    neuron = ann.Neuron(equations="5.0 * dr/dt = -r + sum(exc) : min = 0.0")
    images = np.random.default_rng(5).random((3, 6, 6))
    shown = network.create(ann.TimedArray(images, schedule=13.0, period=39.0, name="convolution images"))
    maps = network.create(geometry=(6, 6, 3), neuron=neuron, name="convolution maps")
    pooled = network.create(geometry=(3, 3, 3), neuron=neuron, name="convolution pooled")
    filters = network.connect(Convolution(shown, maps, "exc", name="convolution filters"))
    filters.connect_filters(weights=rng.uniform(-1.0, 1.0, (3, 3, 3)))
    pooling = network.connect(Pooling(maps, pooled, "exc", operation="max", name="convolution pooling"))
    pooling.connect_pooling(extent=(2, 2, 1))


@_model(dt=1.0)
def bold(network: ann.Network, rng: np.random.Generator) -> None:
    """Fill in a population under a scanner: the balloon model (Friston and others 2000)."""
    neuron = ann.Neuron(
        parameters="base = 0.5", equations="20.0 * dr/dt = -r + base + 0.2 * Normal(0.0, 1.0) : min = 0.0"
    )
    cells = network.create(geometry=20, neuron=neuron, name="bold cells")
    cells.base = _uniform(rng, 0.2, 0.8)
    network.boldmonitor(populations=[cells], normalize_input=[15], recorded_variables=["BOLD"], start=True)
