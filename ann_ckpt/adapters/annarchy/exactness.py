"""What a live network carries from one step to the next and does not show to Python.

Delay queues, spikes on their way and random generators live in the generated C++.
Attributes are restored exactly; where one of these exists too, the steps after loading
may differ from the ones that the saved network went on to make.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any

from ann_ckpt.adapters.annarchy.classes import (
    NEURON_KEYS,
    SYNAPSE_KEYS,
    known_population,
    known_projection,
    unknown_class,
)
from ann_ckpt.model import Exactness, Resume

__all__ = [
    "GENERATOR",
    "KEPT_NUMBER",
    "NOT_INSTRUMENTED",
    "RACE",
    "hidden_in_population",
    "hidden_in_projection",
    "is_event_driven",
    "resuming",
]

NOT_INSTRUMENTED = "it was compiled without the instrumentation, which alone can put it back"
GENERATOR = "the state of the random generator"
"""What a reseed barrier makes up for."""

RACE = "which thread comes first, by which two uninterrupted runs differ too"
"""Threads add to one sum, or draw from one generator, in the order in which they come."""

KEPT_NUMBER = "the second number that its normal distributions keep for the next draw"
"""C++ draws normal numbers in pairs; a distribution that stays alive keeps the second one."""

_KEEPS_NONE = ("Uniform", "DiscreteUniform", "Exponential")
"""Distributions of which each number is drawn by itself; what the others keep is not looked at."""


def resuming(hidden: tuple[str, ...], *, reseeded: bool = False) -> Resume:
    """Return what a resumed run will be, where this much is hidden.

    Parameters
    ----------
    hidden : tuple of str
        What is not kept.
    reseeded : bool
        Whether the random generators got a new seed when the state was taken, so that
        their state is known after all.
    """
    if not hidden:
        return Resume(Exactness.EXACT)
    if reseeded and set(hidden) == {GENERATOR}:
        return Resume(Exactness.RESEEDED, hidden)
    return Resume(Exactness.APPROXIMATE, hidden)


def hidden_in_population(population: Any) -> tuple[str, ...]:
    """Name what a population keeps and its attributes do not show."""
    known = known_population(population)
    neuron = population.neuron_type.description
    found = [unknown_class(population) if known is None else known.hidden]
    found += _unknown_parts(neuron, NEURON_KEYS)
    if population.max_delay > 1:
        found.append(f"the delay queue of {population.max_delay} steps")
    if neuron["type"] == "spike":
        found.append("the spikes of the last step")
        if _uses(neuron, "t_last"):
            found.append("when each neuron spiked last (t_last)")
        if neuron.get("refractory"):
            found.append("refractory countdowns")
        if population._compute_mean_fr > 0:  # nothing public says it
            found.append("the window of the mean firing rate")
    if neuron["global_operations"] or population.global_operations:
        found.append("the means and extrema of the last step")
    if neuron["random_distributions"]:
        found.append(GENERATOR)
    if not population.enabled:
        found.append("that it is disabled")
    return tuple(what for what in found if what)


def hidden_in_projection(projection: Any, update_period: int, threads: int) -> tuple[str, ...]:
    """Name what a projection keeps and its attributes do not show.

    Parameters
    ----------
    projection : object
        An ANNarchy projection.
    update_period : int
        Steps between two updates of its synapses.
    threads : int
        How many the simulation runs in.
    """
    known = known_projection(projection)
    synapse = projection.synapse_type.description
    found = [unknown_class(projection) if known is None else known.hidden]
    found += _unknown_parts(synapse, SYNAPSE_KEYS)
    if synapse["type"] == "spike" and projection.max_delay > 1 and projection.uniform_delay == -1:
        found.append(f"the spikes on their way, up to {projection.max_delay} steps")
    if is_event_driven(projection):
        found.append("each synapse's last-event time stamp (event-driven variables)")
    if times := [name for name in ("t_pre", "t_post") if _uses(synapse, name)]:
        found.append(f"when its neurons spiked last ({', '.join(times)})")
    if synapse["random_distributions"] or _grows_by_chance(synapse):
        found.append(GENERATOR)
    if any(drawn.get("dist") not in _KEEPS_NONE for drawn in synapse["random_distributions"]):
        found.append(KEPT_NUMBER)
    off = [
        f for f in ("transmission", "axon_transmission", "update", "plasticity") if not getattr(projection, f)
    ]
    if off or update_period != 1:
        found.append("its learning flags (see enable_learning)")
    if "pruning" in synapse or "creating" in synapse:
        found.append("its schedule of pruning and creating")
    if threads > 1 and projection._storage_format == "coo":
        found.append(RACE)
    return tuple(what for what in found if what)


def is_event_driven(projection: Any) -> bool:
    """Whether variables of its synapses are brought up to date only when a spike comes by."""
    variables = projection.synapse_type.description["variables"]
    return any(variable.get("method") == "event-driven" for variable in variables)


def _unknown_parts(description: Mapping[str, Any], known: Collection[str]) -> list[str]:
    """Name the parts of a neuron or synapse type that nothing is known about."""
    return [f"what {part} in its type makes of it" for part in sorted(set(description) - set(known))]


def _uses(description: Mapping[str, Any], word: str) -> bool:
    """Whether the text of a neuron or synapse type has a word."""
    texts = (str(text) for part, text in description.items() if part.startswith("raw_"))
    return any(re.search(rf"\b{word}\b", text) for text in (*texts, *_conditions(description)))


def _conditions(description: Mapping[str, Any]) -> list[str]:
    """Return texts that have no raw form: conditions of structural plasticity, the refractory period."""
    growth = [str(description[part].get("eq", "")) for part in ("pruning", "creating") if part in description]
    return [*growth, str(description.get("refractory", ""))]


def _grows_by_chance(synapse: Mapping[str, Any]) -> bool:
    """Whether synapses come or go with a probability, or with a random weight."""
    plans = [synapse[part] for part in ("pruning", "creating") if part in synapse]
    return any(plan.get("rd") or "proba" in plan.get("bounds", ()) for plan in plans)
