"""``ann-ckpt ls`` and ``ann-ckpt tree``: list what a checkpoint contains; paths inside a checkpoint.

``populations/out/r``, ``projections/ff/w``, ``projections/ff/pre_ranks``,
``constants/period``: names as they stand in the file, so a name that holds a slash is
written ``a%2Fb`` here too. The level ``parameters`` or ``variables``, which the file
has in between, may be left out.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import click
import numpy as np
from rich.tree import Tree

from ann_ckpt.api import open as open_checkpoint
from ann_ckpt.cli.command import Command, file_argument, json_option
from ann_ckpt.cli.output import emit, print_json, safe, shape, table
from ann_ckpt.errors import AttributeNotFoundError, ObjectNotFoundError, printable
from ann_ckpt.format.dataset import Storage
from ann_ckpt.format.layout import escape, unescape
from ann_ckpt.lazy import Checkpoint, LazyArray, LazyProjection
from ann_ckpt.model import Array, AttributeInfo, PopulationState, Recording, Series, TypeInfo, nbytes
from ann_ckpt.model.units import quantity
from ann_ckpt.report import human_bytes

__all__ = [
    "CheckpointEntry",
    "entries",
    "find",
    "inside",
    "ls",
    "tree",
]

_SYNAPSES = ("post_ranks", "row_ptr", "pre_ranks")
_GROUPS = ("populations", "projections", "constants", "recordings", "dynamics")
# What the optional level of a path narrows the search to.
_LEVELS = {
    (): "",
    ("parameters",): "parameter",
    ("variables",): "variable",
    ("dynamics",): "dynamics",
    ("pathway_delays",): "pathway delays",
}


@dataclass(frozen=True, slots=True)
class CheckpointEntry:
    """One array or single value of a checkpoint."""

    path: str
    kind: str
    """``parameter``, ``variable``, ``synapses``, ``delays``, ``pathway delays``, ``dynamics``, ``constant``
    or ``recording``."""
    values: Array
    locality: str = ""
    """``global``, ``semiglobal``, ``local``, ``unknown``; empty for anything but an attribute."""
    owner: PopulationState | LazyProjection | None = None
    """The object that it belongs to; None for constants."""
    info: AttributeInfo | None = None
    """What the neuron or synapse type declares about it."""

    @property
    def name(self) -> str:
        """Last part of the path."""
        return self.path.rpartition("/")[2]

    @property
    def unit(self) -> str:
        """Unit of the values in the file; delays of pathways are steps or seconds."""
        if self.kind == "pathway delays":
            return "s" if self.values.dtype.kind == "f" else "steps"
        return "" if self.info is None else self.info.unit

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
            "unit": self.unit or None,
            "bytes": self.nbytes,
            "stored_bytes": storage and storage.stored_bytes,
            "filters": list(storage.filters) if storage else [],
        }


def entries(checkpoint: Checkpoint) -> Iterator[CheckpointEntry]:
    """Yield everything that has values, in file order."""
    for population in checkpoint.populations.values():
        yield from inside(population)
    for projection in checkpoint.projections.values():
        yield from inside(projection)
    yield from _constants(checkpoint)
    yield from _dynamics("", checkpoint.dynamics)
    for name, recording in checkpoint.recordings.items():
        yield from _recorded(escape(name), recording)


def inside(owner: PopulationState | LazyProjection) -> Iterator[CheckpointEntry]:
    """Yield what one object holds: synapses and delays of a projection, then attributes."""
    if isinstance(owner, PopulationState):
        yield from _attributes(f"populations/{escape(owner.name)}", owner, owner.neuron_type)
        return
    base = f"projections/{escape(owner.name)}"
    for name in _SYNAPSES:
        yield CheckpointEntry(f"{base}/{name}", "synapses", getattr(owner, name), owner=owner)
    if owner.delays is not None:
        delays = np.asarray(owner.delays) if isinstance(owner.delays, int) else owner.delays
        yield CheckpointEntry(f"{base}/delays", "delays", delays, owner=owner)
    if owner.order is not None:
        yield CheckpointEntry(f"{base}/order", "synapses", owner.order, owner=owner)
    yield from _attributes(base, owner, owner.synapse_type)
    for name, values in owner.pathway_delays.items():
        yield CheckpointEntry(f"{base}/pathway_delays/{escape(name)}", "pathway delays", values, owner=owner)


def find(
    checkpoint: Checkpoint, path: str
) -> CheckpointEntry | PopulationState | LazyProjection | Mapping[str, Any]:
    """Return the object at ``path``: one entry, a population, a projection, or a JSON object.

    Raises
    ------
    ObjectNotFoundError, AttributeNotFoundError
        If nothing does; the message offers the nearest name.
    """
    match path.strip("/").split("/"):
        case ["recordings", recording, *rest] if len(rest) < 3:
            return _in_recording(checkpoint, recording, *rest)
        case _:
            return _in_network(checkpoint, path)


def _in_network(
    checkpoint: Checkpoint, path: str
) -> CheckpointEntry | PopulationState | LazyProjection | Mapping[str, Any]:
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
                "populations/NAME/ATTRIBUTE, projections/NAME/ATTRIBUTE, constants/NAME, "
                "recordings/NAME/VARIABLE, metadata, provenance"
            )
            raise ObjectNotFoundError(
                f"there is nothing at {printable(path)!r}",
                details=_hint(checkpoint, path) | {"forms": forms},
                where=checkpoint.path,
            )
    kind = _LEVELS[tuple(level)]
    wanted = (e for e in candidates if kind in ("", e.kind))
    return _named(name, wanted, f"{checkpoint.path}:/{path.rpartition('/')[0]}")


def _in_recording(
    checkpoint: Checkpoint, link: str, variable: str | None = None, name: str | None = None
) -> CheckpointEntry | Mapping[str, Any]:
    """Return one array of a recording, or what each array of it, or of one variable, is."""
    recording = checkpoint.recordings[_true_name(link)]
    base = f"recordings/{link}"
    if variable is None:
        return {entry.path.removeprefix(f"{base}/"): entry.to_dict() for entry in _recorded(link, recording)}
    base = f"{base}/{variable}"
    held = _series(base, recording[_true_name(variable)])
    return {entry.name: entry.to_dict() for entry in held} if name is None else _named(name, held, base)


def _hint(checkpoint: Checkpoint, path: str) -> dict[str, str]:
    """Return where the object is whose name was given without its kind, if there is one."""
    owner = path.strip("/").partition("/")[0]
    for kind, names in (("projections", checkpoint.projections), ("populations", checkpoint.populations)):
        if owner and owner in names:
            return {"hint": f"did you mean {printable(f'{kind}/' + path.strip('/'), 200)!r}?"}
    return {}


def _named(name: str, candidates: Iterator[CheckpointEntry], where: str) -> CheckpointEntry:
    present = {entry.name: entry for entry in reversed(list(candidates))}
    if name not in present:
        raise AttributeNotFoundError.among("the checkpoint", "array", name, reversed(present), where=where)
    return present[name]


def _attributes(
    base: str, owner: PopulationState | LazyProjection, kind: TypeInfo | None
) -> Iterator[CheckpointEntry]:
    declared = {} if kind is None else kind.attributes
    for noun, group in (("parameter", owner.parameters), ("variable", owner.variables)):
        for name, attribute in group.items():
            # An attribute may be called like what every projection has; then its level tells them apart.
            level = f"{noun}s/" if name in (*_SYNAPSES, "delays", "order") else ""
            path = f"{base}/{level}{escape(name)}"
            locality = str(attribute.locality)
            yield CheckpointEntry(
                path, noun, attribute.values, locality, owner=owner, info=declared.get(name)
            )
    yield from _dynamics(f"{base}/", owner.dynamics, owner)


def _dynamics(
    base: str, carried: Mapping[str, Array], owner: PopulationState | LazyProjection | None = None
) -> Iterator[CheckpointEntry]:
    for name, values in carried.items():
        yield CheckpointEntry(f"{base}dynamics/{escape(name)}", "dynamics", values, owner=owner)


def _constants(checkpoint: Checkpoint) -> Iterator[CheckpointEntry]:
    for name, value in checkpoint.constants.items():
        yield CheckpointEntry(f"constants/{escape(name)}", "constant", value, "global")


def _recorded(link: str, recording: Recording) -> Iterator[CheckpointEntry]:
    for variable, series in recording.items():
        yield from _series(f"recordings/{link}/{escape(variable)}", series)


def _series(base: str, series: Series) -> Iterator[CheckpointEntry]:
    held = {"times": series.times, "ranks": series.ranks, "values": series.values}
    for name, values in held.items():
        if values is not None:
            yield CheckpointEntry(f"{base}/{name}", "recording", values)


def _true_name(link: str) -> str:
    """Return the unescaped name, or the text itself if it is not a valid escaped name."""
    try:
        return unescape(link)
    except ValueError:
        return link


@click.command(
    cls=Command,
    examples=[
        ("ann-ckpt ls demo.h5", "everything that has values"),
        ("ann-ckpt ls demo.h5 'projections/*/w'", "all weights"),
        ("ann-ckpt ls demo.h5 populations --json", "one part, for a script"),
    ],
)
@file_argument
@click.argument("pattern", required=False)
@json_option
def ls(file: str, pattern: str | None, *, as_json: bool) -> None:
    """List every array with its type, shape and size.

    PATTERN is a path, of which everything below is listed, or a glob; a path that
    leads to nothing is an error. The column
    "stored" is the size in the file after compression; it is empty where several
    single values are packed together.
    """
    with open_checkpoint(file) as checkpoint:
        found = [e for e in entries(checkpoint) if pattern is None or _matches(e, pattern)]
        path = "" if pattern is None or set(pattern) & set("*?[") else pattern.strip("/")
        if path and not found and path not in _GROUPS:
            owner, _, last = path.rpartition("/")
            # It says what there is instead; an object need not have both levels.
            find(checkpoint, owner if owner.count("/") == 1 and last in ("parameters", "variables") else path)
        if as_json:
            print_json([entry.to_dict() for entry in found])
            return
        columns = ("path", "kind", "type", "shape", "size", "stored")
        listing = table(*columns, right=("size", "stored"))
        for entry in found:
            storage = entry.storage
            listing.add_row(
                safe(entry.path, 400),
                f"{entry.locality} {entry.kind}".strip(),
                str(entry.values.dtype),
                shape(entry.values.shape),
                human_bytes(entry.nbytes),
                human_bytes(storage.stored_bytes) if storage else "",
            )
        emit(listing)


def _matches(entry: CheckpointEntry, pattern: str) -> bool:
    wanted = pattern.strip("/")
    if _below(entry.path, wanted):
        return True
    group, _, rest = wanted.partition("/")
    owner, _, rest = rest.partition("/")
    level, _, name = rest.partition("/")
    return level == f"{entry.kind}s" and _below(entry.path, f"{group}/{owner}/{name}".rstrip("/"))


def _below(path: str, wanted: str) -> bool:
    return path == wanted or path.startswith(f"{wanted}/") or fnmatch.fnmatchcase(path, wanted)


@click.command(
    cls=Command,
    examples=[
        ("ann-ckpt tree demo.h5", "the whole network at one look"),
        ("ann-ckpt tree demo.h5 --json", "nested objects, for a script"),
    ],
)
@file_argument
@json_option
def tree(file: str, *, as_json: bool) -> None:
    """Show what ls lists as a tree, single values included."""
    with open_checkpoint(file) as checkpoint:
        found = list(entries(checkpoint))
        if as_json:
            print_json(_nested(found))
            return
        emit(_drawn(safe(checkpoint.path, 400), found))


def _nested(found: Iterable[CheckpointEntry]) -> dict[str, object]:
    root: dict[str, object] = {}
    for entry in found:
        *parents, name = entry.path.split("/")
        place = root
        for parent in parents:
            below = place.setdefault(parent, {})
            assert isinstance(below, dict)  # noqa: S101  only entries, added below, are leaves
            place = below
        place[name] = entry.to_dict()
    return root


def _drawn(title: str, found: Iterable[CheckpointEntry]) -> Tree:
    root = Tree(f"[bold]{title}[/]", guide_style="dim")
    branches = {"": root}
    for entry in found:
        parts = entry.path.split("/")
        for depth in range(1, len(parts)):
            path = "/".join(parts[:depth])
            if path not in branches:
                above = branches["/".join(parts[: depth - 1])]
                branches[path] = above.add(f"[bold]{safe(parts[depth - 1])}[/]")
        branches["/".join(parts[:-1])].add(_leaf(entry))
    return root


def _leaf(entry: CheckpointEntry) -> str:
    if not entry.values.shape:
        return f"{safe(entry.name)} = [cyan]{safe(quantity(np.asarray(entry.values), entry.unit))}[/]"
    kind = f"{entry.values.dtype} {shape(entry.values.shape)}"
    return f"{safe(entry.name)} [dim]{kind}, {human_bytes(entry.nbytes)}[/]"
