"""Lists and resolves the paths that the command line accepts inside a checkpoint.

``populations/out/r``, ``projections/ff/w``, ``projections/ff/pre_ranks``,
``constants/period``: names as they stand in the file, so a name that holds a slash is
written ``a%2Fb`` here too. The level ``parameters`` or ``variables``, which the file
has in between, may be left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ann_ckpt.errors import AttributeNotFoundError, ObjectNotFoundError, printable
from ann_ckpt.format.dataset import Storage
from ann_ckpt.format.layout import escape, unescape
from ann_ckpt.lazy import Checkpoint, LazyArray, LazyProjection
from ann_ckpt.model import Array, AttributeInfo, PopulationState, TypeInfo, nbytes

__all__ = [
    "Entry",
    "entries",
    "find",
    "inside",
]

_SYNAPSES = ("post_ranks", "row_ptr", "pre_ranks")
# What the optional level of a path narrows the search to.
_LEVELS = {(): "", ("parameters",): "parameter", ("variables",): "variable", ("dynamics",): "dynamics"}


@dataclass(frozen=True, slots=True)
class Entry:
    """One array or single value of a checkpoint."""

    path: str
    kind: str
    """``parameter``, ``variable``, ``synapses``, ``delays``, ``dynamics`` or ``constant``."""
    values: Array
    locality: str = ""
    """``global``, ``semiglobal``, ``local``, ``unknown``; empty for what is no attribute."""
    owner: PopulationState | LazyProjection | None = None
    """The object that it belongs to; None for constants."""
    info: AttributeInfo | None = None
    """What the neuron or synapse type declares about it."""

    @property
    def name(self) -> str:
        """Last part of the path."""
        return self.path.rpartition("/")[2]

    @property
    def nbytes(self) -> int:
        """Bytes of the values in memory, once read."""
        return nbytes(self.values)

    @property
    def storage(self) -> Storage | None:
        """How it lies in the file, or None where single values are packed together."""
        return self.values.storage if isinstance(self.values, LazyArray) else None

    def to_dict(self) -> dict[str, Any]:
        """Return everything but the values, ready for JSON."""
        storage = self.storage
        return {
            "path": self.path,
            "kind": self.kind,
            "locality": self.locality or None,
            "dtype": str(self.values.dtype),
            "shape": list(self.values.shape),
            "bytes": self.nbytes,
            "stored_bytes": storage and storage.stored_bytes,
            "filters": list(storage.filters) if storage else [],
        }


def entries(checkpoint: Checkpoint) -> Iterator[Entry]:
    """Yield everything that has values, in file order."""
    for population in checkpoint.populations.values():
        yield from inside(population)
    for projection in checkpoint.projections.values():
        yield from inside(projection)
    yield from _constants(checkpoint)
    yield from _dynamics("", checkpoint.dynamics)


def inside(owner: PopulationState | LazyProjection) -> Iterator[Entry]:
    """Yield what one object holds: synapses and delays of a projection, then attributes."""
    if isinstance(owner, PopulationState):
        yield from _attributes(f"populations/{escape(owner.name)}", owner, owner.neuron_type)
        return
    base = f"projections/{escape(owner.name)}"
    for name in _SYNAPSES:
        yield Entry(f"{base}/{name}", "synapses", getattr(owner, name), owner=owner)
    if owner.delays is not None:
        delays = np.asarray(owner.delays) if isinstance(owner.delays, int) else owner.delays
        yield Entry(f"{base}/delays", "delays", delays, owner=owner)
    yield from _attributes(base, owner, owner.synapse_type)


def find(checkpoint: Checkpoint, path: str) -> Entry | PopulationState | LazyProjection | Mapping[str, Any]:
    """Return what stands at ``path``: one entry, a population, a projection, or a JSON object.

    Raises
    ------
    ObjectNotFoundError, AttributeNotFoundError
        If nothing does; the message offers the nearest name.
    """
    match path.strip("/").split("/"):
        case ["metadata"]:
            return checkpoint.metadata
        case ["provenance"]:
            return checkpoint.provenance
        case ["populations", owner]:
            return checkpoint.populations[_true_name(owner)]
        case ["projections", owner]:
            return checkpoint.projections[_true_name(owner)]
        case ["constants", *level, name] if not level:
            candidates = _constants(checkpoint)
        case ["dynamics", *level, name] if not level:
            candidates = _dynamics("", checkpoint.dynamics)
        case ["populations", owner, *level, name] if tuple(level) in _LEVELS:
            candidates = inside(checkpoint.populations[_true_name(owner)])
        case ["projections", owner, *level, name] if tuple(level) in _LEVELS:
            candidates = inside(checkpoint.projections[_true_name(owner)])
        case _:
            forms = (
                "populations/NAME/ATTRIBUTE, projections/NAME/ATTRIBUTE, constants/NAME, metadata, provenance"
            )
            raise ObjectNotFoundError(
                f"there is nothing at {printable(path)!r}", details={"forms": forms}, where=checkpoint.path
            )
    kind = _LEVELS[tuple(level)]
    wanted = (e for e in candidates if kind in ("", e.kind))
    return _named(name, wanted, f"{checkpoint.path}:/{path.rpartition('/')[0]}")


def _named(name: str, candidates: Iterator[Entry], where: str) -> Entry:
    present = {entry.name: entry for entry in reversed(list(candidates))}
    if name not in present:
        raise AttributeNotFoundError.among("the checkpoint", "array", name, reversed(present), where=where)
    return present[name]


def _attributes(base: str, owner: PopulationState | LazyProjection, kind: TypeInfo | None) -> Iterator[Entry]:
    declared = {} if kind is None else kind.attributes
    for noun, group in (("parameter", owner.parameters), ("variable", owner.variables)):
        for name, attribute in group.items():
            # An attribute may be called like what every projection has; then its level tells them apart.
            level = f"{noun}s/" if name in (*_SYNAPSES, "delays") else ""
            path = f"{base}/{level}{escape(name)}"
            locality = str(attribute.locality)
            yield Entry(path, noun, attribute.values, locality, owner=owner, info=declared.get(name))
    yield from _dynamics(f"{base}/", owner.dynamics, owner)


def _dynamics(
    base: str, carried: Mapping[str, Array], owner: PopulationState | LazyProjection | None = None
) -> Iterator[Entry]:
    for name, values in carried.items():
        yield Entry(f"{base}dynamics/{escape(name)}", "dynamics", values, owner=owner)


def _constants(checkpoint: Checkpoint) -> Iterator[Entry]:
    for name, value in checkpoint.constants.items():
        yield Entry(f"constants/{escape(name)}", "constant", value, "global")


def _true_name(link: str) -> str:
    """Return the true name, or the text as it is where nothing escaped looks like that."""
    try:
        return unescape(link)
    except ValueError:
        return link
