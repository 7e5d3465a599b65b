"""What a live network carries from one step to the next and does not show to Python.

Delay queues, spikes on their way and random generators live in the generated C++.
Attributes are restored exactly; where one of these exists too, the steps after loading
may differ from the ones that the saved network went on to make.
"""

from __future__ import annotations

from typing import Any

from ann_ckpt.model import Exactness, Resume

__all__ = [
    "GENERATOR",
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

_OWN_STATE = {
    "HomogeneousCorrelatedSpikeTrains": "its schedule and its own clock",
    "ImagePopulation": "its image",
    "InputArray": "",
    "PoissonPopulation": "",
    "Population": "",
    "SpikeSourceArray": "its spike times and its own clock",
    "TimedArray": "its rates, its schedule and its own clock",
    "TimedPoissonPopulation": "its rates, its schedule and its own clock",
}
"""Class of a population -> what it keeps beside its attributes."""


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
    kind = type(population).__name__
    neuron = population.neuron_type.description
    found = [_OWN_STATE.get(kind, f"whatever a {kind} keeps beside its attributes")]
    if population.max_delay > 1:
        found.append(f"the delay queue of {population.max_delay} steps")
    if neuron["type"] == "spike":
        found.append("the spikes of the last step")
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
    synapse = projection.synapse_type.description
    found = []
    if synapse["type"] == "spike" and projection.max_delay > 1 and projection.uniform_delay == -1:
        found.append(f"the spikes on their way, up to {projection.max_delay} steps")
    if is_event_driven(projection):
        found.append("when each synapse last met a spike (event-driven variables)")
    if synapse["random_distributions"]:
        found.append(GENERATOR)
    off = [f for f in ("transmission", "update", "plasticity") if not getattr(projection, f)]
    if off or update_period != 1:
        found.append("its learning flags (see enable_learning)")
    if "pruning" in synapse or "creating" in synapse:
        found.append("its schedule of pruning and creating")
    if threads > 1 and projection._storage_format == "coo":
        found.append(RACE)
    return tuple(found)


def is_event_driven(projection: Any) -> bool:
    """Whether variables of its synapses are brought up to date only when a spike comes by."""
    variables = projection.synapse_type.description["variables"]
    return any(variable.get("method") == "event-driven" for variable in variables)
