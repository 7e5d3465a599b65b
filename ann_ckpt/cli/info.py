"""``ann-ckpt info``: summarises a checkpoint, a store or a file of another program."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import click
import numpy as np
from rich.console import Group, RenderableType

from ann_ckpt.adapters.formats import examine, format_of
from ann_ckpt.adapters.protocol import ForeignFile
from ann_ckpt.api import open as open_checkpoint
from ann_ckpt.cli.command import Command, file_argument, isolate_option, json_option
from ann_ckpt.cli.contents import entries
from ann_ckpt.cli.output import FEW, emit, facts, number, print_json, safe, shape, table, type_block
from ann_ckpt.errors import OutsideStoreError, UnknownFormatError
from ann_ckpt.lazy import Checkpoint, LazyProjection
from ann_ckpt.model import PopulationState, ProjectionState, TypeInfo
from ann_ckpt.model.units import labelled_unit, one_line, quantity
from ann_ckpt.report import count, human_bytes

__all__ = [
    "describe_foreign",
    "foreign_page",
    "info",
    "population_table",
    "projection_table",
    "time_line",
]


_ROWS = 24
"""Objects in one table before the rest is only counted."""

_Document = dict[str, Any]
_Column = tuple[str, str, Callable[[_Document], str]]
"""Required key of the document, title of the column, and a function that returns the cell."""


def population_table(rows: Sequence[_Document]) -> list[RenderableType]:
    """Return a table of populations with a blank line before it; nothing if there are none."""
    return _listing("population", rows, _OF_POPULATIONS)


def projection_table(
    rows: Sequence[_Document], populations: Sequence[_Document] = ()
) -> list[RenderableType]:
    """Return a table of projections with a blank line before it; nothing if there are none."""
    if any(
        not population["name"] for population in populations
    ):  # else an empty name says that none is known
        rows = [row | {end: row[end] or "''" for end in ("pre", "post")} for row in rows]
    return _listing("projection", rows, _OF_PROJECTIONS)


def _tables(found: _Document) -> list[RenderableType]:
    populations, projections = found["populations"], found["projections"]
    return [*population_table(populations), *projection_table(projections, populations)]


def time_line(time_step: int | None, dt: float | None) -> str:
    """Return the simulated time as text, as far as it is known; ``dt`` is in ms."""
    if time_step is None:
        return "not known"
    line = count(time_step, "step")
    return line if dt is None else f"{line} of {number(dt)} ms = {number(time_step * dt, 10)} ms"


def _listing(noun: str, rows: Sequence[_Document], columns: Sequence[_Column]) -> list[RenderableType]:
    if not rows:
        return []
    present = [column for column in columns if column[0] in rows[0]]
    titles = [count(len(rows), noun) if key == "name" else title for key, title, _ in present]
    listing = table(*titles, right=_NUMBERS)
    for row in rows[:_ROWS]:
        listing.add_row(*(cell(row) for _, _, cell in present))
    rest = [f"[dim]and {len(rows) - _ROWS:,} more; --json lists all[/]"] if len(rows) > _ROWS else []
    return ["", listing, *rest]


def _held(owner: _Document) -> str:
    """Return parameters dim, variables plain."""
    parameters = " ".join(_with_unit(owner, n) for n in owner["parameters"])
    variables = " ".join(_with_unit(owner, n) for n in owner["variables"])
    return f"[dim]{parameters}[/] {variables}" if parameters else variables


def _with_unit(owner: _Document, name: str) -> str:
    """Return a name with its unit, and with its value if that is a single one."""
    unit, values = owner.get("units", {}).get(name, ""), owner.get("values", {})
    if name in values:
        return safe(f"{name} = {quantity(values[name], unit)};", 80)
    return safe(f"{name} {labelled_unit(unit)}".strip(), 60)


def _ends(projection: _Document) -> str:
    if not (projection["pre"] or projection["post"]):
        return "not known"
    return f"{safe(projection['pre'], 30)} -> {safe(projection['post'], 30)}"


def _delay(projection: _Document) -> str:
    steps = projection["delay_steps"]
    return count(steps, "step") if isinstance(steps, int) else steps or ""


_NUMBERS = ("neurons", "synapses", "size")
_OF_POPULATIONS: tuple[_Column, ...] = (
    ("name", "", lambda p: safe(p["name"], 40)),
    ("geometry", "geometry", lambda p: shape(tuple(p["geometry"]))),
    ("neurons", "neurons", lambda p: f"{p['neurons']:,}"),
    ("type", "type", lambda p: safe(p["type"] or "", 30)),
    ("parameters", "holds", _held),
)
_OF_PROJECTIONS: tuple[_Column, ...] = (
    ("name", "", lambda p: safe(p["name"], 40)),
    ("pre", "from -> to", _ends),
    ("target", "target", lambda p: safe(p["target"], 20)),
    ("synapses", "synapses", lambda p: f"{p['synapses']:,}"),
    ("delay_steps", "delay", _delay),
    ("type", "type", lambda p: safe(p["type"] or "", 30)),
    ("bytes", "size", lambda p: human_bytes(p["bytes"])),
    ("parameters", "holds", _held),
)


@click.command(
    cls=Command,
    examples=[
        ("ann-ckpt info demo.h5", "size, time, origin, populations and projections"),
        ("ann-ckpt info demo.h5 --json", "the same, every object, for a script"),
        ("ann-ckpt info 2016.data", "a file of ANNarchy's or Brian2's own: who wrote it, what it lacks"),
    ],
)
@file_argument
@isolate_option
@json_option
def info(file: str, *, isolate: bool, as_json: bool) -> None:
    """Say what is inside a checkpoint or an old file, at a glance.

    Of a checkpoint only the description of the network is read, never its large
    arrays. Files that ANNarchy or Brian2 wrote have no such description: they are read
    whole, without running anything in them.
    """
    page: RenderableType
    try:
        with open_checkpoint(file) as checkpoint:
            found = _document(checkpoint)
            page = _page(found)
    except UnknownFormatError:
        if format_of(file) is None:
            raise
        found = describe_foreign(examine(file, isolate=isolate, several=True))
        page = foreign_page(found)
    if as_json:
        print_json(found)
    else:
        emit(page)


def _document(checkpoint: Checkpoint) -> dict[str, Any]:
    held = list(entries(checkpoint))
    largest = max(held, key=lambda entry: entry.nbytes, default=None)
    return {
        "path": checkpoint.path,
        "format_version": list(checkpoint.format_version),
        "parts_checked": checkpoint.parts_checked,
        "objects": _objects(checkpoint),
        "file_bytes": checkpoint.file_bytes,
        "object_bytes": sum(checkpoint.objects.values()),
        "value_bytes": sum(entry.nbytes for entry in held),
        "filters": list(largest.storage.filters) if largest and largest.storage else [],
        "created": checkpoint.created,
        "time_step": checkpoint.time_step,
        "dt_ms": checkpoint.dt,
        "time_ms": checkpoint.time_ms,
        "seed": checkpoint.seed,
        "resume": _resume(checkpoint),
        "provenance": checkpoint.provenance,
        "metadata": checkpoint.metadata,
        "recordings": {name: list(recording) for name, recording in checkpoint.recordings.items()},
        "constants": {name: np.asarray(value).tolist() for name, value in checkpoint.constants.items()},
        "populations": [_typed(_population(p), p, p.neuron_type) for p in checkpoint.populations.values()],
        "projections": [
            _typed(_projection(p), p, p.synapse_type) | {"bytes": p.nbytes}
            for p in checkpoint.projections.values()
        ],
        "types": _types(checkpoint),
    }


def _objects(checkpoint: Checkpoint) -> str | None:
    """Return where the values are that are not in the file; None if all are."""
    try:
        checkpoint.check_place()
    except OutsideStoreError:
        return "not here"
    return "in the store" if checkpoint.objects else None


def _resume(checkpoint: Checkpoint) -> dict[str, str]:
    """Return how exact resuming is, by object; the network itself is called ``network``."""
    said = {"network": checkpoint.resume}
    said |= {f"populations/{name}": p.resume for name, p in checkpoint.populations.items()}
    said |= {f"projections/{name}": p.resume for name, p in checkpoint.projections.items()}
    return {path: str(resume) for path, resume in said.items() if resume is not None}


def _population(population: PopulationState) -> dict[str, Any]:
    return {
        "name": population.name,
        "geometry": list(population.geometry),
        "neurons": population.size,
        "parameters": list(population.parameters),
        "variables": list(population.variables),
    }


def _projection(projection: ProjectionState | LazyProjection) -> dict[str, Any]:
    delays = projection.delays
    return {
        "name": projection.name,
        "pre": projection.pre,
        "post": projection.post,
        "target": projection.target,
        "dendrites": projection.n_rows,
        "synapses": projection.n_synapses,
        "delay_steps": delays if delays is None or isinstance(delays, int) else "per synapse",
        "parameters": list(projection.parameters),
        "variables": list(projection.variables),
    }


def _typed(
    described: _Document, owner: PopulationState | ProjectionState | LazyProjection, kind: TypeInfo | None
) -> _Document:
    """Add what the type says: its name, units, and the single values that have one."""
    declared = {} if kind is None else kind.attributes
    held = {**owner.parameters, **owner.variables}
    units = {name: declared[name].unit for name in held if name in declared and declared[name].unit}
    single = {
        name: np.asarray(held[name].values).item()
        for name, unit in units.items()
        if unit != "1" and not held[name].values.shape
    }
    return described | {"type": kind.name if kind else None, "units": units, "values": single}


def _types(checkpoint: Checkpoint) -> list[_Document]:
    """Return each type once, with the objects that have it."""
    owners = [(name, p.neuron_type) for name, p in checkpoint.populations.items()]
    owners += [(name, p.synapse_type) for name, p in checkpoint.projections.items()]
    found: list[_Document] = []
    for name, kind in owners:
        if kind is None:
            continue
        described = {"name": kind.name, "description": kind.description, "texts": dict(kind.texts)}
        same = next((known for known in found if known["type"] == described), None)
        if same is None:
            found.append({"type": described, "of": [name]})
        else:
            same["of"].append(name)
    return found


def _page(found: dict[str, Any]) -> RenderableType:
    version = ".".join(str(v) for v in found["format_version"])
    heading = f"[bold]{safe(found['path'], 400)}[/]  checkpoint, format {version}"
    listings = _tables(found)
    return Group(heading, "", _summary(found), *listings, *_type_blocks(found["types"]))


def _type_blocks(types: list[_Document]) -> Iterator[RenderableType]:
    """Yield the equations and other texts of types, each under the objects that have it."""
    told = [kind for kind in types if kind["type"]["texts"]]
    for kind in told[:_ROWS]:
        yield from type_block(
            kind["type"]["texts"], safe(kind["type"]["name"]), safe(", ".join(kind["of"]), 200)
        )
    if len(told) > _ROWS:
        yield f"[dim]and {count(len(told) - _ROWS, 'more type')}; --json lists all[/]"


def _summary(found: dict[str, Any]) -> RenderableType:
    lines = facts()
    line = time_line(found["time_step"], found["dt_ms"])
    lines.add_row("time", line if found["seed"] is None else f"{line}, seed {found['seed']}")
    lines.add_row("size", _size(found))
    if found["objects"] == "not here":
        lines.add_row("values", "[bold red]most of them are in the store that this file was taken from[/]")
    elif found["objects"]:
        lines.add_row("values", "some are elsewhere in the store: before sharing, ann-ckpt export")
    if not found["parts_checked"]:
        lines.add_row("checksums", "of whole arrays only: parts of large ones are read unchecked")
    origin = found["provenance"]
    if "simulator" in origin:
        lines.add_row("simulator", safe(origin["simulator"]))
    versions = (
        f"{name} {origin[name]}" for name in ("ann_ckpt", "numpy", "hdf5", "python") if name in origin
    )
    written = found["created"].replace("T", " ").replace("+00:00", " UTC")
    lines.add_row("written", safe(f"{written} on {origin.get('host', '?')}", 300))
    lines.add_row("with", safe(", ".join(versions), 300))
    if "command" in origin:
        command = origin["command"]
        said = shlex.join(map(str, command)) if isinstance(command, list) else _plain(command)
        lines.add_row("command", safe(said, 300))
    if "git" in origin:
        lines.add_row("commit", safe(origin["git"]))
    for exactness, paths in _by_exactness(found["resume"]).items():
        lines.add_row("resuming", f"{safe(exactness, 300)} ({paths})")
    for label, named in _named(found).items():
        lines.add_row(label, ", ".join(named))
    for key, value in found["metadata"].items():
        lines.add_row("metadata", f"{safe(key, 40)}: {safe(json.dumps(value, ensure_ascii=False), 200)}")
    return lines


def _named(found: dict[str, Any]) -> dict[str, list[str]]:
    """Return what is listed in one line: recordings and constants, where there are some."""
    listed = {
        "recordings": [
            f"{safe(n, 40)} ({safe(', '.join(held), 80)})" for n, held in found["recordings"].items()
        ],
        "constants": [f"{safe(name, 40)} = {_constant(value)}" for name, value in found["constants"].items()],
    }
    return {label: named for label, named in listed.items() if named}


def _plain(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _constant(value: Any) -> str:
    """Return a constant in a few characters; of many values, how many there are."""
    return safe(number(value) if np.size(value) <= FEW else one_line(value), 200)


def _size(found: dict[str, Any]) -> str:
    """Return what the checkpoint takes on the disk; in a store, with the objects that it shares."""
    file, objects = found["file_bytes"], found["object_bytes"]
    size = f"{human_bytes(file + objects)} for {human_bytes(found['value_bytes'])} of values"
    if objects:
        return f"{size}: {human_bytes(file)} in this file, {human_bytes(objects)} in shared objects"
    return f"{size}, {'+'.join(found['filters']) or 'not compressed'}"


def _by_exactness(resume: dict[str, str]) -> dict[str, str]:
    """Return each statement about resuming, with the objects that it applies to."""
    said: dict[str, list[str]] = {}
    for path, exactness in resume.items():
        said.setdefault(exactness, []).append(path)
    return {
        exactness: safe(paths[0]) if len(paths) == 1 else count(len(paths), "object")
        for exactness, paths in said.items()
    }


_NOTES = 24
"""Notes of one kind before the rest is only counted."""
_CONTAINERS = {"gzip": "gzipped pickle", "npz": ".npz archive", "mat": "MATLAB file"}


def describe_foreign(file: ForeignFile) -> dict[str, Any]:
    """Return what a file of another program holds as plain data, ready for JSON.

    Returns
    -------
    dict
        ``path``, ``container``, ``kind``, ``file_bytes``, ``program``, ``versions`` and ``python`` as
        there; ``snapshots``, with the time step of each by its name, and of the last one ``time_step``,
        ``dt_ms``; ``populations`` and ``projections``, each a list of dicts;
        ``lost`` and ``notes``, lists of dicts with ``path`` and ``text``.
    """
    state = file.reading.state
    return {
        "path": file.path,
        "container": file.container,
        "kind": file.kind,
        "file_bytes": file.file_bytes,
        "program": file.program,
        "versions": file.versions,
        "python": file.python,
        "snapshots": {name: reading.state.time_step for name, reading in file.snapshots.items()},
        "time_step": state.time_step,
        "dt_ms": state.dt,
        "populations": [_population(p) for p in state.populations.values()],
        "projections": [_projection(p) for p in state.projections.values()],
        "lost": [{"path": note.path, "text": note.text} for note in file.lost],
        "notes": [{"path": note.path, "text": note.text} for note in file.notes],
    }


def foreign_page(found: dict[str, Any]) -> RenderableType:
    """Return a page from what :func:`describe_foreign` says."""
    container = _CONTAINERS.get(found["container"], found["container"])
    heading = f"[bold]{safe(found['path'], 400)}[/]  {safe(found['kind'])} in a {safe(container)}"
    listings = _tables(found)
    return Group(
        heading,
        "",
        _foreign_summary(found),
        *listings,
        *_notes("lost: this file should have it", found["lost"], "yellow"),
        *_notes("no such file has it, or it was assumed", found["notes"], "dim"),
    )


def _foreign_summary(found: dict[str, Any]) -> RenderableType:
    lines = facts()
    lines.add_row("written by", f"{safe(found['program'])} {safe(found['versions'])}")
    if found["python"]:
        lines.add_row("with", f"Python {safe(found['python'])}")
    for name, step in found["snapshots"].items():
        lines.add_row("snapshot", f"{safe(name, 60)}, {time_line(step, found['dt_ms'])}")
    if not found["snapshots"]:
        lines.add_row("time", time_line(found["time_step"], found["dt_ms"]))
    lines.add_row("size", human_bytes(found["file_bytes"]))
    return lines


def _notes(title: str, notes: list[dict[str, str]], colour: str) -> Iterator[RenderableType]:
    if not notes:
        return
    yield ""
    yield f"[{colour}]{title}[/]"
    for note in notes[:_NOTES]:
        place = f"{safe(note['path'], 200)}: " if note["path"] else ""
        yield f"  {place}{safe(note['text'], 400)}"
    if len(notes) > _NOTES:
        yield f"  and {len(notes) - _NOTES:,} more; --json lists all"
