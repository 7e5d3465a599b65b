"""What is known of single models of NEST: how a neuron is made to spike, and what resumes exactly.

A model is in a list of exact ones because ``tests/nest`` show it, and for no other reason.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ann_ckpt.adapters.nest.kernel import kernel

__all__ = [
    "DEVICES",
    "EXACT",
    "FADING",
    "PAIRING",
    "RELATIVE",
    "SYNAPSES",
    "Forcing",
    "adaptive",
    "base_model",
    "forcing",
]

EXACT = {"iaf_cond_alpha", "iaf_cond_exp", "iaf_cond_exp_sfa_rr", "izhikevich"}
"""Neurons of which all that lasts longer than a window of spikes can be set."""
RELATIVE = {"iaf_psc_delta"}
"""The same, but for the last bits of V_m, which NEST keeps relative to E_L."""
FADING = {"hh_psc_alpha", "iaf_psc_alpha", "iaf_psc_exp"}
"""Neurons that keep something of older input to themselves, less and less of it."""
_ADAPTIVE = {
    "hh_psc_alpha": ("Act_m", "Act_n", "Inact_h", "V_m"),
    "iaf_cond_alpha": ("V_m", "g_ex", "g_in", "dg_ex", "dg_in"),
    "iaf_cond_exp": ("V_m", "g_ex", "g_in"),
    "iaf_cond_exp_sfa_rr": ("V_m", "g_ex", "g_in", "g_rr", "g_sfa"),
}
"""Neurons whose solver remembers the length of its last step, with what can be set of their state."""
DEVICES = {
    "dc_generator",
    "multimeter",
    "poisson_generator",
    "spike_generator",
    "spike_recorder",
    "voltmeter",
}
SYNAPSES = {"static_synapse"}
PAIRING = {"stdp_synapse"}
"""Synapses that compare each spike with earlier ones of the other neuron, however long ago they were."""

_HIGH = 1e10
"""A threshold in mV that nobody reaches."""


def base_model(model: str) -> str:
    """Return the model of NEST that a node model was copied from."""
    return str(kernel().GetDefaults(model)["type_id"])


@dataclass(frozen=True, slots=True)
class Forcing:
    """How neurons are kept from spiking, and made to."""

    needs: tuple[str, ...]
    hold: Mapping[str, float]
    """What keeps a neuron silent, whatever reaches it."""
    spike: Callable[[Mapping[str, float]], dict[str, float]]
    """What makes a neuron with these values spike in the next step."""


def _above(by: float) -> Forcing:
    """Return how neurons are forced that spike above V_th: to be set there, by so many mV."""
    return Forcing(("V_th",), {"V_th": _HIGH}, lambda own: {"V_th": own["V_th"], "V_m": own["V_th"] + by})


# Conductances pull a potential back by a part of it; from currents and jumps it has to be far away.
_CONDUCTANCE, _CURRENT = _above(100.0), _above(1e6)
# Pulled down below its lowest value; without that, the quadratic term takes it up.
_IZHIKEVICH = Forcing(
    ("V_th",), {"V_min": -70.0, "I_e": -1e7}, lambda own: {"I_e": 0.0, "V_m": own["V_th"] + 1e3}
)
# Nothing takes it up without sodium; a potential that falls from above is a spike.
_HODGKIN_HUXLEY = Forcing((), {"g_Na": 0.0}, lambda _: {"V_m": 40.0})
_FORCING = {
    "hh_psc_alpha": _HODGKIN_HUXLEY,
    "iaf_cond_alpha": _CONDUCTANCE,
    "iaf_cond_exp": _CONDUCTANCE,
    "iaf_cond_exp_sfa_rr": _CONDUCTANCE,
    "iaf_psc_alpha": _CURRENT,
    "iaf_psc_delta": _CURRENT,
    "iaf_psc_exp": _CURRENT,
    "izhikevich": _IZHIKEVICH,
}


def forcing(nodes: Any) -> Forcing | None:
    """Return how neurons of one model are made to spike; None if that is not known."""
    return _FORCING.get(base_model(nodes[0].get("model")))


def adaptive(nodes: Any) -> tuple[str, ...]:
    """Return what the state of neurons consists of whose solver chooses its own steps; nothing for others."""
    return _ADAPTIVE.get(base_model(nodes[0].get("model")), ())
