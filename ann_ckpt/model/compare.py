"""Compares two states bit for bit."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from ann_ckpt.model import Array, NetworkState, PopulationState, ProjectionState, identical_values

__all__ = ["differences"]


def differences(a: NetworkState, b: NetworkState) -> Iterator[str]:
    """Yield the path of everything that differs: ``projections/ff/variables/w``, ...

    Metadata, types and the order of populations and projections count too, the order
    of attributes does not. Nothing is yielded exactly when the two states say the same.
    """
    for scalar in ("time_step", "dt", "seed", "metadata", "resume", "reseeded"):
        if getattr(a, scalar) != getattr(b, scalar):
            yield scalar
    for ordered in ("populations", "projections"):
        if list(getattr(a, ordered)) != list(getattr(b, ordered)):
            yield ordered
    yield from _mappings("constants", a.constants, b.constants, _values)
    yield from _mappings("dynamics", a.dynamics, b.dynamics, _values)
    yield from _mappings("populations", a.populations, b.populations, _populations)
    yield from _mappings("projections", a.projections, b.projections, _projections)


def _mappings(path: str, a: Mapping[str, Any], b: Mapping[str, Any], inside: Any) -> Iterator[str]:
    if a.keys() != b.keys():
        yield path
    for name in (n for n in a if n in b):
        yield from inside(f"{path}/{name}", a[name], b[name])


def _values(path: str, a: Array, b: Array) -> Iterator[str]:
    if not identical_values(a, b):
        yield path


def _attributes(path: str, a: Any, b: Any) -> Iterator[str]:
    for group in ("parameters", "variables"):
        yield from _mappings(f"{path}/{group}", getattr(a, group), getattr(b, group), _attribute)
    yield from _mappings(f"{path}/dynamics", a.dynamics, b.dynamics, _values)
    if a.resume != b.resume:
        yield f"{path}/resume"


def _attribute(path: str, a: Any, b: Any) -> Iterator[str]:
    if a.locality != b.locality:
        yield f"{path}/locality"
    yield from _values(path, a.values, b.values)


def _populations(path: str, a: PopulationState, b: PopulationState) -> Iterator[str]:
    if a.geometry != b.geometry:
        yield f"{path}/geometry"
    if a.neuron_type != b.neuron_type:
        yield f"{path}/neuron_type"
    yield from _attributes(path, a, b)


def _projections(path: str, a: ProjectionState, b: ProjectionState) -> Iterator[str]:
    for scalar in ("pre", "post", "target", "pre_size", "post_size", "synapse_type"):
        if getattr(a, scalar) != getattr(b, scalar):
            yield f"{path}/{scalar}"
    for array in ("post_ranks", "row_ptr", "pre_ranks"):
        yield from _values(f"{path}/{array}", getattr(a.connectivity, array), getattr(b.connectivity, array))
    for optional in ("delays", "pre_view", "post_view"):
        yield from _optional(f"{path}/{optional}", getattr(a, optional), getattr(b, optional))
    yield from _attributes(path, a, b)


def _optional(path: str, a: Any, b: Any) -> Iterator[str]:
    if (a is None) != (b is None):
        yield path
    elif a is not None:
        yield from _values(
            path, np.asarray(a) if isinstance(a, int) else a, np.asarray(b) if isinstance(b, int) else b
        )
