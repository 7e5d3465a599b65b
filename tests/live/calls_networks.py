"""One network with a bit of every kind that daily calls are made on, for both generations and precisions."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import ANNarchy as ann

from tests.live.lab import Lab, connect
from tests.live.networks import oja

SENSING = {
    "parameters": "tau = 10.0 : population\nbaseline = 1.0\non = True : bool",
    "equations": """
        noise = Uniform(-0.1, 0.1)
        tau * dmp/dt + mp = halved(sum(exc)) + neg(-bent(sum(inh))) + mu * baseline + noise : implicit
        r = pos(mp)
    """,
    "functions": "bent(x) = if x > 0: x else: x / 2",
}
IZHIKEVICH = {
    "parameters": "a = 0.02 : population\nc = -65.0\nd = 8.0\nv_thresh = 30.0\ni_offset = 4.0",
    "equations": """
        I = g_exc - g_inh + 0.5 * Normal(0.0, 1.0) + i_offset
        dv/dt = 0.04 * v^2 + halved(10.0 * v) + 140.0 - u + I : init = -65.0
        du/dt = a * (mu * v - u) : init = -13.0
    """,
    "spike": "v > v_thresh",
    "reset": "v = c\nu += d",
    "refractory": 0.0,
}
SHORT_TERM = {
    "parameters": "tau_rec = 100.0 : projection\ntau_facil = 0.01 : projection\nU = 0.5",
    "equations": """
        dx/dt = (1 - x) / tau_rec : init = 1.0, event-driven
        du/dt = (U - u) / tau_facil : init = 0.5, event-driven
    """,
    "pre_spike": "g_target += w * u * x\nx *= (1 - u)\nu += U * (1 - u)\ny = pre.u + post.I",
    "post_spike": "y += post.I",
}
GEOMETRY = (2, 1, 3, 2)


def calls(seed: int, *, single: bool = False) -> Lab:
    """Rates and spikes, functions and a constant, four axes, synapses of every locality."""
    ann.add_function("halved(x) = x / 2")
    lab = Lab(dt=1.0, seed=seed, single=single)
    lab.constant("mu", 0.2)
    still = ann.Neuron(parameters="r = 0.5")
    sensing = ann.Neuron(**SENSING)
    izhikevich = ann.Neuron(**IZHIKEVICH)
    origin = lab.population("origin", 1, still)
    middle = lab.population("middle", 1, sensing)
    sheet = lab.population("sheet", (2, 2), still)
    lab.population("other", (2, 2), still)
    deep = lab.population("deep", GEOMETRY, sensing)
    current = lab.population("current", 1, ann.IF_curr_exp)
    one, four = lab.population("one", 1, izhikevich), lab.population("four", (2, 2), izhikevich)
    random = {"weights": lab.uniform(0.0, 0.5)}
    connect(lab.projection("first", origin, middle, "exc"), "one_to_one", **random)
    connect(lab.projection("hebb", origin, sheet, "exc", ann.Hebb), "all_to_all", weights=1.0)
    connect(lab.projection("oja", middle, sheet, "exc", oja()), "all_to_all", weights=1.0)
    connect(lab.projection("ff", deep, deep, "exc", oja()), "fixed_number_pre", 5, **random)
    connect(lab.projection("back", deep, deep, "inh"), "all_to_all", weights=0.1)
    connect(lab.projection("stdp", current, one, "exc", ann.STDP), "one_to_one", **random)
    connect(lab.projection("stp", one, four, "exc", ann.Synapse(**SHORT_TERM)), "all_to_all", weights=1.0)
    return lab


def opened(seed: int = 1, *, single: bool = False, around: Any = None) -> Lab:
    """Return it compiled; the library is built by the first who asks."""
    lab = calls(seed, single=single)
    name = "calls" + "-single" * single + "-plain" * (around is None)
    place = Path(os.environ["LIVE_COMPILED"]) / name
    if around is None:
        lab.compile(place)
    else:
        with around:
            lab.compile(place)
    return lab
