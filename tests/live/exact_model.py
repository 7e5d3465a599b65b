"""A script as its users write one: spikes on their way, synapses that remember, and a seed.

ANNarchy is imported where a network is built, so that tests can name these functions.
"""

from __future__ import annotations

from typing import Any


def build() -> Any:
    """Return a network that is not compiled: whoever asked for it does so with the instrumentation."""
    import ANNarchy as ann
    import numpy as np

    rng = np.random.default_rng(3)
    network = ann.Network(dt=1.0, seed=7)
    one = network.create(geometry=12, neuron=ann.Izhikevich, name="one")
    two = network.create(geometry=6, neuron=ann.Izhikevich, name="two")
    one.i_offset = ann.Uniform(5.0, 12.0, rng=rng)
    stdp = ann.STDP(tau_plus=20.0, tau_minus=20.0, A_plus=0.01, A_minus=0.01, w_max=1.0)
    ring = network.connect(one, two, "exc", stdp, name="ring")
    ring.fixed_probability(0.5, weights=ann.Uniform(0.0, 0.5, rng=rng), delays=ann.Uniform(1.0, 6.0, rng=rng))
    network.monitor(one, ["spike", "v"], name="cells")
    return network


def trial(network: Any) -> None:
    """Show something for a while, and rest."""
    network.get_population("one").i_offset = 9.0
    network.simulate(25.0)
    network.get_population("one").i_offset = 0.0
    network.simulate(10.0)


def plain() -> Any:
    """Return the same, compiled without the instrumentation: what is on its way cannot be kept."""
    network = build()
    network.compile(silent=True, compiler_flags="-O0")
    return network
