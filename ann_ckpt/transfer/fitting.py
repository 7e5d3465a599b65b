"""Whether stored values fit a live attribute, and in which shape and type they are handed over."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from ann_ckpt.model import Array, Attribute, Locality, PopulationState, ProjectionState
from ann_ckpt.report import Note
from ann_ckpt.transfer.casting import Cast, cast_refusal
from ann_ckpt.transfer.findings import Findings

__all__ = ["fitting_attributes", "fitting_values"]

Shapes = Mapping[Locality, tuple[int, ...]]
"""The shape that an attribute of each locality has to have."""


def fitting_attributes(
    findings: Findings,
    path: str,
    stored: PopulationState | ProjectionState,
    live: PopulationState | ProjectionState,
    shapes: Shapes,
) -> dict[str, Attribute]:
    """Return the stored attributes that fit the live ones, and report all others.

    Parameters
    ----------
    findings : Findings
        Takes the reports.
    path : str
        The object: ``projections/ff``.
    stored, live : PopulationState or ProjectionState
        The object on both sides.
    shapes : mapping of Locality to tuple of int
        What is expected; for a projection that is rebuilt, the stored sizes.
    """
    for name in live:
        if name not in stored:
            findings.not_in_file(f"{path}/{name}", "the file has no such attribute")
    found = {}
    for name, attribute in stored.attributes.items():
        if name not in live:
            findings.not_in_network(f"{path}/{name}", "the network has no such attribute")
            continue
        fit = _fitting(findings, f"{path}/{name}", attribute, live.attribute(name), shapes)
        if fit is not None:
            found[name] = fit
    return found


def fitting_values(findings: Findings, path: str, values: Array, dtype: np.dtype[Any]) -> Array | None:
    """Return ``values`` as ``dtype``, or None after reporting why not."""
    if values.dtype == dtype:
        return values
    reason = cast_refusal(values, dtype)
    if reason is not None:
        findings.mismatch(path, f"{values.dtype} in the file, {dtype} in the network: {reason}")
        return None
    findings.cast.append(_converted(path, values.dtype, dtype))
    return Cast(values, dtype)


def _fitting(
    findings: Findings, path: str, stored: Attribute, live: Attribute, shapes: Shapes
) -> Attribute | None:
    stored = _one_for_all(findings, path, stored, live)
    if stored.locality not in (live.locality, Locality.UNKNOWN):
        findings.mismatch(path, f"{stored.locality} in the file, {live.locality} in the network")
        return None
    shape = shapes[live.locality]
    values = stored.values
    # Old files keep a population's values flat, and not every one says whose they are.
    if stored.locality is Locality.UNKNOWN and values.shape == (math.prod(shape),) and shape:
        values = np.asarray(values).reshape(shape)
    if values.shape != shape:
        findings.mismatch(path, f"shape {values.shape} in the file, {shape} in the network")
        return None
    fit = fitting_values(findings, path, values, live.values.dtype)
    return None if fit is None else Attribute(fit, live.locality)


def _one_for_all(findings: Findings, path: str, stored: Attribute, live: Attribute) -> Attribute:
    """Return one value where the network has one and each dendrite in the file the same.

    ANNarchy before 4.5.5 knew no values of a whole projection and kept one per dendrite.
    """
    if stored.locality is not Locality.SEMIGLOBAL or live.locality is not Locality.GLOBAL:
        return stored
    values = np.asarray(stored.values)
    bits = values.view(f"V{values.dtype.itemsize}")
    if not values.size or not (bits == bits[0]).all():
        return stored
    findings.cast.append(Note(path, "the same value for each dendrite in the file, one in the network"))
    return Attribute(values[0], Locality.GLOBAL)


def _converted(path: str, stored: np.dtype[Any], live: np.dtype[Any]) -> Note:
    loss = ", rounded" if stored.kind == live.kind == "f" and live.itemsize < stored.itemsize else ""
    return Note(path, f"{stored} in the file, {live} in the network{loss}")
