"""Which of ANNarchy's classes are understood, and what each keeps beside its attributes.

Found by reading ANNarchy 5.0.4.1 and 4.8.2.7. A class that is not listed, one derived from
a listed one included, may keep anything: resuming it is called approximate.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = ["NEURON_KEYS", "SYNAPSE_KEYS", "Known", "known_population", "known_projection", "unknown_class"]

_F = "(double|float)"


@dataclass(frozen=True, slots=True)
class Known:
    """One class of populations or projections."""

    members: Mapping[str, str] = field(default_factory=dict)
    """C++ members of this class alone that carry something: name -> pattern of the type."""
    hidden: str = ""
    """What cannot be reached in a network that was compiled as usual."""
    python: tuple[str, ...] = ()
    """Numbers that only the Python object has; they matter to whoever sets one of them later."""
    filters: bool = False
    """Whether it has no synapses of its own, but filters or nothing."""


_SCHEDULE = {"_schedule": "std::vector<int>", "_period": "int", "_t": "long int", "_block": "int"}
_RATES = _SCHEDULE | {"_buffer": f"std::vector<std::vector<{_F}>>"}

_POPULATIONS = {
    "core.Population.Population": Known(),
    "inputs.InputArray.InputArray": Known(),
    "inputs.PoissonPopulation.PoissonPopulation": Known(),
    "inputs.SpikeSourceArray.SpikeSourceArray": Known(
        {
            "spike_times": "std::vector<std::vector<long int>>",
            "next_spike": "std::vector<long int>",
            "idx_next_spike": "std::vector<int>",
            "_t": "long int",
        },
        hidden="its spike times and its own clock",
    ),
    "inputs.TimedArray.TimedArray": Known(_RATES, hidden="its rates, its schedule and its own clock"),
    "inputs.SpikeTrains.HomogeneousCorrelatedSpikeTrains": Known(
        _SCHEDULE | {"_mu": f"std::vector<{_F}>", "_sigma": f"std::vector<{_F}>"},
        hidden="its rates and corr, its schedule and its own clock",
        python=("rates", "corr", "tau"),
    ),
    "extensions.image.ImagePopulation.ImagePopulation": Known(),
}
for _module in ("TimedPoissonPopulation", "TimedArray"):  # the first in 5.0, the second in 4.8
    _POPULATIONS[f"inputs.{_module}.TimedPoissonPopulation"] = Known(
        _RATES, hidden="its rates, its schedule and its own clock"
    )

_PROJECTIONS = {
    "core.Projection.Projection": Known(),
    "inputs.CurrentInjection.CurrentInjection": Known(),
    "inputs.DecodingProjection.DecodingProjection": Known(
        {"window": "int", "rates_history": f"std::deque<std::vector<{_F}>>"},
        hidden="the rates inside its window",
    ),
    "extensions.bold.NormProjection.NormProjection": Known(),
    "extensions.bold.AccProjection.AccProjection": Known(
        {
            "baseline": f"std::vector<std::vector<{_F}>>",
            "baseline_mean": f"std::vector<{_F}>",
            "baseline_std": f"std::vector<{_F}>",
            "time_for_init_baseline": "long",
            "init_baseline_period": "int",
        },
        hidden="the baseline of a BOLD monitor",
    ),
    "extensions.convolution.Convolve.Convolution": Known(filters=True),
    "extensions.convolution.Pooling.Pooling": Known(filters=True),
}

NEURON_KEYS = frozenset({
    "attributes", "axon_spike", "functions", "global", "global_operations", "local", "object", "parameters",
    "random_distributions", "raw_axon_reset", "raw_axon_spike", "raw_equations", "raw_functions",
    "raw_parameters", "raw_reset", "raw_spike", "refractory", "semiglobal", "spike", "stop_condition",
    "targets", "type", "variables",
})  # fmt: skip
"""What the description of a neuron type consists of."""
SYNAPSE_KEYS = frozenset({
    "attributes", "creating", "dependencies", "functions", "global", "global_operations", "local", "object",
    "parameters", "plasticity", "post_global_operations", "post_spike", "pre_axon_spike",
    "pre_global_operations", "pre_spike", "pruning", "psp", "random_distributions", "raw_axon_spike",
    "raw_equations", "raw_functions", "raw_parameters", "raw_post_spike", "raw_pre_spike", "raw_psp",
    "semiglobal", "type", "variables",
})  # fmt: skip
"""What the description of a synapse type consists of."""


def known_population(population: Any) -> Known | None:
    """Return what is known about a population's class; None if nothing is."""
    return _POPULATIONS.get(_qualified(population))


def known_projection(projection: Any) -> Known | None:
    """Return what is known about a projection's class; None if nothing is."""
    return _PROJECTIONS.get(_qualified(projection))


def unknown_class(thing: Any) -> str:
    """Say why an object of a class that is not listed cannot be resumed exactly."""
    return f"whatever a {type(thing).__name__} keeps beside its attributes"


def _qualified(thing: Any) -> str:
    """Name of the class, from ANNarchy's own package on."""
    cls = type(thing)
    package, _, rest = f"{cls.__module__}.{cls.__qualname__}".partition(".")
    return rest if package == "ANNarchy" else ""
