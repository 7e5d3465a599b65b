"""Two whole networks side by side."""

from __future__ import annotations

from ann_ckpt.diffing.findings import Findings
from ann_ckpt.diffing.projections import compare_projections
from ann_ckpt.diffing.report import StateDiff
from ann_ckpt.diffing.values import compare_values
from ann_ckpt.model import NetworkState, PopulationState
from ann_ckpt.report import Note

__all__ = ["compare_networks"]


def compare_networks(
    a: NetworkState, b: NetworkState, *, names: tuple[str, str] = ("a", "b"), notes: tuple[Note, ...] = ()
) -> StateDiff:
    """Say how ``b`` differs from ``a``.

    Values are compared bit for bit; those of synapses are matched by (pre, post) where
    the synapses differ. Lazy arrays are read in blocks, and not at all where digests
    show that they are equal.

    Parameters
    ----------
    a, b : NetworkState
        Eager or lazy.
    names : tuple of two str
        What to call them.
    notes : tuple of Note
        What is not known about one of them.
    """
    found = Findings()
    found.fields("", a, b, ("time_step", "dt", "seed", "metadata", "resume", "reseeded"))
    for group in ("populations", "projections"):
        one, other = getattr(a, group), getattr(b, group)
        if [name for name in one if name in other] != [name for name in other if name in one]:
            found.note(group, "stand in another order")
    found.arrays("constants", a.constants, b.constants)
    found.arrays("dynamics", a.dynamics, b.dynamics)
    for path, population, its_like in found.common("populations", a.populations, b.populations):
        _populations(found, path, population, its_like)
    for path, projection, another in found.common("projections", a.projections, b.projections):
        compare_projections(found, path, projection, another)
    return found.result(names, notes)


def _populations(found: Findings, path: str, a: PopulationState, b: PopulationState) -> None:
    found.fields(path, a, b, ("geometry", "neuron_type", "resume"))
    found.arrays(f"{path}/dynamics", a.dynamics, b.dynamics)
    for place, one, other in found.attributes(path, a, b):
        found.change(compare_values(place, one.values, other.values))
