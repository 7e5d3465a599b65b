"""Checks whether stored values fit a live attribute, and converts shape and type."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ann_ckpt.adapters.protocol import Owner, RefusesValues
from ann_ckpt.errors import printable
from ann_ckpt.model import (
    Array,
    Attribute,
    AttributeInfo,
    Locality,
    PopulationState,
    ProjectionState,
    TypeInfo,
    blocks,
)
from ann_ckpt.model.arrays import Cast, equal_numbers
from ann_ckpt.report import Note
from ann_ckpt.transfer.actions import Action

__all__ = [
    "LoadFindings",
    "cast_refusal",
    "fitting_attributes",
    "fitting_values",
    "refused_values",
]


def cast_refusal(values: Array, dtype: np.dtype[Any]) -> str | None:
    """Return why ``values`` cannot be represented as ``dtype``; None if they can.

    A float64 may be rounded to a float32. Everything else has to come out equal: a float
    becomes an integer only if it is one, an integer only if it is in range, and a bool
    only from 0 and 1. The values are read only where the types alone do not decide.

    Examples
    --------
    >>> cast_refusal(np.array([1.0, 2.0]), np.dtype(np.int32))
    >>> cast_refusal(np.array([1.0, 2.5]), np.dtype(np.int32))
    '2.5 cannot be represented as int32'
    """
    if _always_fits(values.dtype, dtype):
        return None
    rounding = values.dtype.kind == dtype.kind == "f"
    for _, block in blocks(values):
        lost = _overflows(block, dtype) if rounding else _differs(block, dtype)
        if np.any(lost):
            return f"{block[lost].ravel()[0] if block.shape else block[()]} cannot be represented as {dtype}"
    return None


def _always_fits(stored: np.dtype[Any], live: np.dtype[Any]) -> bool:
    """Whether every value of one type is one of the other; numpy says so of int64 and float64 too."""
    wide = stored.kind in "iu" and stored.itemsize >= live.itemsize and live.kind == "f"
    return np.can_cast(stored, live, "safe") and not wide


def _overflows(block: NDArray[Any], dtype: np.dtype[Any]) -> NDArray[np.bool_]:
    with np.errstate(over="ignore", invalid="ignore"):
        lost: NDArray[np.bool_] = np.isinf(block.astype(dtype)) & np.isfinite(block)
    return lost


def _differs(block: NDArray[Any], dtype: np.dtype[Any]) -> NDArray[np.bool_]:
    """Where converting changes a value."""
    with np.errstate(invalid="ignore", over="ignore"):
        cast = block.astype(dtype)
    return ~equal_numbers(block, cast)


@dataclass(slots=True)
class LoadFindings:
    """Collects actions and problems while a plan is made."""

    actions: list[Action] = field(default_factory=list)
    cast: list[Note] = field(default_factory=list)
    rebuilt: list[Note] = field(default_factory=list)
    missing_in_file: list[Note] = field(default_factory=list)
    missing_in_network: list[Note] = field(default_factory=list)
    mismatched: list[Note] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)

    def do(self, action: Action) -> None:
        """Append an action to the plan."""
        self.actions.append(action)

    def mismatch(self, path: str, text: str) -> None:
        """Report something that both sides have and that does not match."""
        self.mismatched.append(Note(path, text))

    def not_in_file(self, path: str, text: str) -> None:
        """Report what only the network has."""
        self.missing_in_file.append(Note(path, text))

    def not_in_network(self, path: str, text: str) -> None:
        """Report what only the file has."""
        self.missing_in_network.append(Note(path, text))

    def note(self, path: str, text: str) -> None:
        """Add a note that is not a problem."""
        self.notes.append(Note(path, text))


Shapes = Mapping[Locality, tuple[int, ...]]
"""The shape that an attribute of each locality has to have."""


def fitting_attributes(
    findings: LoadFindings,
    path: str,
    stored: PopulationState | ProjectionState,
    live: PopulationState | ProjectionState,
    shapes: Shapes,
) -> dict[str, Attribute]:
    """Return the stored attributes that fit the live ones, and report all others.

    Parameters
    ----------
    findings : LoadFindings
        Takes the reports.
    path : str
        The object: ``projections/ff``.
    stored, live : PopulationState or ProjectionState
        The object on both sides.
    shapes : mapping of Locality to tuple of int
        What is expected; for a projection that is rebuilt, the stored sizes. The axes of values that
        are arrays are those of the live ones.
    """
    for name in live:
        if name not in stored:
            findings.not_in_file(f"{path}/{name}", "the file has no such attribute")
    here, there = _type(stored), _type(live)
    _note_other_equations(findings, path, here, there)
    found = {}
    for name, attribute in stored.attributes.items():
        if name not in live:
            findings.not_in_network(f"{path}/{name}", "the network has no such attribute")
            continue
        if _units_differ(findings, f"{path}/{name}", _declared(here, name), _declared(there, name)):
            continue
        fit = _fitting(findings, f"{path}/{name}", attribute, live.attribute(name), shapes)
        if fit is not None:
            found[name] = fit
    return found


def refused_values(
    findings: LoadFindings, path: str, stored: Owner, values: Mapping[str, Array], offers: object
) -> bool:
    """Whether a simulator refuses values that fit by shape and type; if so it is reported.

    Parameters
    ----------
    offers : object
        The simulator, for what it may offer beyond the protocol.
    """
    if not values or not isinstance(offers, RefusesValues):
        return False
    reason = offers.refuse_values(stored, values)
    if reason is not None:
        findings.mismatch(path, f"the values cannot be set: {reason}")
    return reason is not None


def _type(owner: PopulationState | ProjectionState) -> TypeInfo | None:
    return owner.neuron_type if isinstance(owner, PopulationState) else owner.synapse_type


def _declared(kind: TypeInfo | None, name: str) -> AttributeInfo:
    return kind.attributes.get(name, AttributeInfo()) if kind is not None else AttributeInfo()


def _units_differ(findings: LoadFindings, path: str, stored: AttributeInfo, live: AttributeInfo) -> bool:
    """Report values of one unit for an attribute of another; a side that names none is believed."""
    here, there = ("".join(declared.unit.split()) for declared in (stored, live))
    differ = bool(here and there) and here != there
    if differ:
        findings.mismatch(
            path, f"unit {printable(stored.unit)!r} in the file, {printable(live.unit)!r} in the network"
        )
    return differ


def _note_other_equations(
    findings: LoadFindings, path: str, stored: TypeInfo | None, live: TypeInfo | None
) -> None:
    """Note what both sides define and define differently; initial values of parameters are not equations."""
    if stored is None or live is None:
        return
    for part in sorted((stored.texts.keys() & live.texts.keys()) - {"parameters"}):
        if stored.texts[part].split() != live.texts[part].split():
            findings.note(path, f"the file has another text for {printable(part)!r} than the network")


def fitting_values(findings: LoadFindings, path: str, values: Array, dtype: np.dtype[Any]) -> Array | None:
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
    findings: LoadFindings, path: str, stored: Attribute, live: Attribute, shapes: Shapes
) -> Attribute | None:
    stored = _one_for_all(findings, path, stored, live)
    if stored.locality not in (live.locality, Locality.UNKNOWN):
        findings.mismatch(path, f"{stored.locality} in the file, {live.locality} in the network")
        return None
    shape = shapes[live.locality]
    shape += live.values.shape[len(shape) :]  # the axes of one value
    values = stored.values
    # Files of others keep values flat, and not every one says whose they are.
    if stored.locality is Locality.UNKNOWN and values.shape == (math.prod(shape),):
        values = np.asarray(values).reshape(shape)
    if values.shape != shape:
        findings.mismatch(path, f"shape {values.shape} in the file, {shape} in the network")
        return None
    fit = fitting_values(findings, path, values, live.values.dtype)
    return None if fit is None else Attribute(fit, live.locality)


def _one_for_all(findings: LoadFindings, path: str, stored: Attribute, live: Attribute) -> Attribute:
    """Return one value where the network has one and each dendrite in the file the same.

    ANNarchy before 4.5.5 knew no values of a whole projection and kept one per dendrite.
    """
    if stored.locality is not Locality.SEMIGLOBAL or live.values.shape or len(stored.values.shape) > 1:
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
