"""Published models, small: each function returns a network of ANNarchy 5.0 that is not compiled.

    ann-ckpt verify-resume examples/models/published.py:coba --at 20ms --for 30ms

Written anew after the papers that are named, with fewer neurons. Everything that is drawn has a seed.
"""

from __future__ import annotations

from typing import Any

import ANNarchy as ann  # noqa: N813  (as its manual does)
import numpy as np


def _network(dt: float, seed: int) -> tuple[ann.Network, np.random.Generator]:
    return ann.Network(dt=dt, seed=seed), np.random.default_rng(seed)


def _uniform(rng: np.random.Generator, low: float, high: float) -> Any:
    return ann.Uniform(low, high, rng=rng)


def _balanced(neuron: ann.Neuron, exc: float, inh: float, seed: int) -> ann.Network:
    """Return four excitatory neurons for each inhibitory one, connected at random."""
    network, rng = _network(0.1, seed)
    cells = network.create(geometry=100, neuron=neuron, name="cells")
    cells.v = _uniform(rng, -60.0, -50.0)
    network.connect(cells[:80], cells, "exc", name="exc").fixed_probability(0.2, weights=exc)
    network.connect(cells[80:], cells, "inh", name="inh").fixed_probability(0.2, weights=inh)
    return network


def coba(seed: int = 1) -> ann.Network:
    """Return a network of conductance-based synapses (Vogels and Abbott 2005)."""
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
    return _balanced(neuron, 0.6, 6.7, seed)


def cuba(seed: int = 1) -> ann.Network:
    """Return a network of current-based synapses (Vogels and Abbott 2005)."""
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
    return _balanced(neuron, 1.62, 9.0, seed)


def gap_junctions(seed: int = 1) -> ann.Network:
    """Return spiking neurons whose membranes are coupled (Chow and Kopell 2000)."""
    network, rng = _network(0.1, seed)
    neuron = ann.Neuron(
        parameters="I = 1.2\nVt = 1.0",
        equations="dv/dt = -0.1 * v + 0.1 * I + g_gap",
        spike="v > Vt",
        reset="v = 0.0",
    )
    coupled = ann.Synapse(psp="w * (pre.v - post.v)")
    cells = network.create(geometry=10, neuron=neuron, name="cells")
    cells.v = _uniform(rng, 0.0, 0.9)
    network.connect(cells, cells, "gap", coupled, name="gap").all_to_all(weights=0.01)
    return network


def hybrid(seed: int = 1) -> ann.Network:
    """Return rates coded as spikes, and spikes decoded: correlated trains, a schedule, windows."""
    network, _ = _network(1.0, seed)
    rate = ann.Neuron(equations="10.0 * dr/dt = -r + sum(exc)")
    steps = network.create(ann.TimedArray(np.array([[0.1], [0.6], [0.3]]), schedule=10.0, name="steps"))
    drive = network.create(geometry=1, neuron=rate, name="drive")
    poisson = network.create(ann.PoissonPopulation(20, target="exc", name="poisson"))
    trains = network.create(
        ann.HomogeneousCorrelatedSpikeTrains(20, rates=50.0, corr=0.4, tau=5.0, name="trains")
    )
    decoded = network.create(geometry=1, neuron=rate, name="decoded")
    network.connect(steps, drive, "exc", name="shown").all_to_all(1.0)
    network.connect(drive, poisson, "exc", name="coded").all_to_all(100.0)
    for name, source in (("poisson window", poisson), ("trains window", trains)):
        window = network.connect(ann.DecodingProjection(source, decoded, "exc", window=10.0, name=name))
        window.all_to_all(1.0)
    return network


def bcm(seed: int = 1) -> ann.Network:
    """Return a rate-coded neuron with a sliding threshold (Intrator and Cooper 1992)."""
    network, rng = _network(1.0, seed)
    neuron = ann.Neuron(parameters="base = 0.0", equations="5.0 * dr/dt = -r + base + sum(exc) : min = 0.0")
    rule = ann.Synapse(
        parameters="eta = 0.01 : projection\ntau = 100.0 : projection",
        equations="""
            tau * dtheta/dt + theta = post.r^2 : postsynaptic, exponential
            dw/dt = eta * post.r * (post.r - theta) * pre.r : min = 0.0, explicit
        """,
    )
    inputs = network.create(geometry=10, neuron=neuron, name="inputs")
    output = network.create(geometry=2, neuron=neuron, name="output")
    inputs.base = _uniform(rng, 0.0, 1.0)
    network.connect(inputs, output, "exc", rule, name="bcm").all_to_all(weights=_uniform(rng, 0.0, 0.5))
    return network


def short_term_plasticity(seed: int = 1) -> ann.Network:
    """Return synapses that tire and recover, with delays (Tsodyks, Uziel and Markram 2000)."""
    network, rng = _network(0.25, seed)
    neuron = ann.Neuron(
        parameters="tau = 30.0\nI = 14.0\nVt = 15.0",
        equations="tau * dv/dt = -v + g_exc + I + 4.0 * Normal(0.0, 1.0)\n3.0 * dg_exc/dt = -g_exc",
        spike="v > Vt",
        reset="v = 13.5",
        refractory=3.0,
    )
    cells = network.create(geometry=50, neuron=neuron, name="cells")
    cells.I = _uniform(rng, 14.0, 16.0)
    cells.v = _uniform(rng, 13.0, 15.0)
    stp = network.connect(cells, cells, "exc", ann.STP(), name="stp")
    stp.fixed_probability(0.2, weights=_uniform(rng, 0.0, 4.0), delays=_uniform(rng, 0.5, 3.0))
    return network


def hodgkin_huxley(seed: int = 1) -> ann.Network:
    """Return neurons of four equations (Hodgkin and Huxley 1952)."""
    network, rng = _network(0.02, seed)
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
    cells = network.create(geometry=5, neuron=neuron, name="cells")
    cells.I = _uniform(rng, 5.0, 15.0)
    return network


def neural_field(seed: int = 1) -> ann.Network:
    """Return a field that chooses among stimuli (Amari 1977), with delays and the field's maximum."""
    network, rng = _network(1.0, seed)
    neuron = ann.Neuron(
        parameters="tau = 10.0 : population\nbase = 0.0\nnoise = 0.1 : population",
        equations="""
            tau * dmu/dt + mu = base + sum(exc) + noise * Uniform(-1.0, 1.0)
            r = clip(mu, 0.0, 1.0) / (1.0 + max(r))
        """,
    )
    field = network.create(geometry=(8, 8), neuron=neuron, name="field")
    field.base = _uniform(rng, 0.0, 1.0)
    lateral = network.connect(field, field, "exc", name="lateral")
    lateral.dog(amp_pos=0.2, sigma_pos=0.1, amp_neg=0.1, sigma_neg=0.7, delays=_uniform(rng, 1.0, 5.0))
    return network
