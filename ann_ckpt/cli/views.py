"""Views for ``ann-ckpt show``: one class per kind of entry, as text and as JSON.

Text shortens long rows, since it is for eyes; a document holds every value.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Protocol

import click
import numpy as np
from click.shell_completion import CompletionItem
from numpy.typing import NDArray
from rich.console import Group, RenderableType
from rich.table import Table

from ann_ckpt.api import open as open_checkpoint
from ann_ckpt.cli.command import Command, file_argument, json_option
from ann_ckpt.cli.contents import CheckpointEntry, entries, find, inside
from ann_ckpt.cli.output import (
    FEW,
    emit,
    facts,
    few,
    json_ready,
    print_json,
    row_range,
    safe,
    shape,
    table,
    type_block,
)
from ann_ckpt.errors import OptionError
from ann_ckpt.format.layout import escape
from ann_ckpt.lazy import Checkpoint, LazyProjection
from ann_ckpt.model import AttributeInfo, Dendrite, PopulationState, TypeInfo
from ann_ckpt.model.units import labelled_unit, quantity, scaled
from ann_ckpt.report import count, human_bytes

__all__ = [
    "View",
    "complete_names",
    "complete_paths",
    "show",
    "view_of",
]


_ROWS = slice(0, 10)
"""Rows that are shown unless told otherwise."""


class View(Protocol):
    """Something to show."""

    def document(self) -> Any:
        """Return it as plain lists, numbers and strings."""

    def page(self) -> RenderableType:
        """Return it for a terminal."""


def view_of(checkpoint: Checkpoint, path: str, rows: slice | None) -> View:
    """Return the view of the object at ``path``.

    Raises
    ------
    OptionError
        If ``rows`` are asked of something that has none, or none lies in the range.
    """
    found = find(checkpoint, path)
    if isinstance(found, LazyProjection) and rows is not None:
        return _Dendrites(found, _within(rows, found.n_rows, path))
    if isinstance(found, CheckpointEntry) and found.values.shape:
        if _per_synapse(found) and isinstance(found.owner, LazyProjection):
            return _SynapseValues(found, found.owner, _within(rows or _ROWS, found.owner.n_rows, path))
        return _Values(found, _within(rows or _ROWS, found.values.shape[0], path))
    if rows is not None:
        raise OptionError(f"{path} has no rows", details={"hint": "leave out --rows"}, where=checkpoint.path)
    if isinstance(found, Mapping):
        return _Object(found)
    return _Single(found) if isinstance(found, CheckpointEntry) else _Description(found)


def _per_synapse(entry: CheckpointEntry) -> bool:
    delays = entry.kind in ("delays", "pathway delays")
    pre_ranks = entry.kind == "synapses" and entry.name == "pre_ranks"
    return delays or entry.locality == "local" or pre_ranks


def _within(rows: slice, length: int, path: str) -> range:
    picked = range(length)[rows]
    if length and not picked:
        raise OptionError(f"{path} has no rows in that range", details={"stored": count(length, "row")})
    return picked


@dataclass(frozen=True)
class _Object:
    """Metadata or provenance."""

    found: Mapping[str, Any]

    def document(self) -> Any:
        return dict(self.found)

    def page(self) -> RenderableType:
        lines = facts()
        for key, value in self.found.items():
            text = value if isinstance(value, str) else json.dumps(json_ready(value), ensure_ascii=False)
            lines.add_row(safe(key, 60), safe(text, 2000))
        return lines if self.found else "[dim]empty[/]"


@dataclass(frozen=True)
class _Single:
    """One value."""

    entry: CheckpointEntry

    def document(self) -> Any:
        return {**self.entry.to_dict(), "value": np.asarray(self.entry.values).item()}

    def page(self) -> RenderableType:
        value = np.asarray(self.entry.values)
        return f"{_heading(self.entry, '')}\n{safe(quantity(value, self.entry.unit))}"


@dataclass(frozen=True)
class _Values:
    """Some entries of the first axis of an array."""

    entry: CheckpointEntry
    rows: range

    def document(self) -> Any:
        values = np.asarray(self.entry.values[self.rows.start : self.rows.stop])
        return {**self.entry.to_dict(), "rows": [self.rows.start, self.rows.stop], "values": values.tolist()}

    def page(self) -> RenderableType:
        values, unit = scaled(self.entry.values[self.rows.start : self.rows.stop], self.entry.unit)
        listing = _values_table("row")
        for row, value in zip(self.rows, values, strict=True):
            listing.add_row(f"{row:,}", *few(np.asarray(value)))
        return Group(
            _heading(self.entry, unit), listing, *_rest(self.rows, self.entry.values.shape[0], "row")
        )


@dataclass(frozen=True)
class _SynapseValues:
    """One value per synapse, dendrite by dendrite."""

    entry: CheckpointEntry
    projection: LazyProjection
    rows: range

    def document(self) -> Any:
        dendrites = self._dendrites(self._values())
        return {
            **self.entry.to_dict(),
            "rows": [self.rows.start, self.rows.stop],
            "post_ranks": [rank for rank, _ in dendrites],
            "values": [values.tolist() for _, values in dendrites],
        }

    def page(self) -> RenderableType:
        listing = _values_table("row", "neuron", "synapses")
        shown, unit = scaled(self._values(), self.entry.unit)
        for row, (rank, values) in zip(self.rows, self._dendrites(shown), strict=True):
            listing.add_row(f"{row:,}", f"{rank:,}", f"{len(values):,}", *few(values))
        return Group(
            _heading(self.entry, unit), listing, *_rest(self.rows, self.projection.n_rows, "dendrite")
        )

    def _pointers(self) -> NDArray[np.int64]:
        return np.asarray(self.projection.row_ptr[self.rows.start : self.rows.stop + 1])

    def _values(self) -> NDArray[Any]:
        pointers = self._pointers()
        return np.asarray(self.entry.values[int(pointers[0]) : int(pointers[-1])])

    def _dendrites(self, values: NDArray[Any]) -> list[tuple[int, Any]]:
        ranks = np.asarray(self.projection.post_ranks[self.rows.start : self.rows.stop])
        pointers = self._pointers()
        rows = [values[start:stop] for start, stop in pairwise(pointers - pointers[0])]
        return list(zip(ranks.tolist(), rows, strict=True))


@dataclass(frozen=True)
class _Dendrites:
    """Some dendrites of a projection with all values of their synapses."""

    projection: LazyProjection
    rows: range

    def document(self) -> Any:
        found = []
        for row, dendrite in self._dendrites():
            delays = None if dendrite.delays is None else np.asarray(dendrite.delays).tolist()
            values = {name: np.asarray(value).tolist() for name, value in dendrite.values.items()}
            ranks = {"post_rank": dendrite.post_rank, "pre_ranks": dendrite.pre_ranks.tolist()}
            found.append({"row": row, **ranks, "delays": delays, "values": values})
        rows = [self.rows.start, self.rows.stop]
        return {"projection": self.projection.name, "rows": rows, "dendrites": found}

    def page(self) -> RenderableType:
        parts: list[RenderableType] = []
        kind = self.projection.synapse_type
        units = {} if kind is None else {name: info.unit for name, info in kind.attributes.items()}
        for row, dendrite in self._dendrites():
            lines = _values_table("", header=False)
            lines.add_row("[dim]pre_ranks[/]", *few(dendrite.pre_ranks))
            if dendrite.delays is not None:
                lines.add_row("[dim]delays[/]", *few(np.asarray(dendrite.delays)))
            for name, value in dendrite.values.items():
                shown, unit = scaled(value, units.get(name, ""))
                lines.add_row(safe(f"{name} {labelled_unit(unit)}".strip(), 60), *few(shown))
            title = f"[bold]neuron {dendrite.post_rank:,}[/] [dim](row {row:,})[/]"
            parts += [f"{title}  {count(len(dendrite), 'synapse')}", lines]
        return Group(*parts, *_rest(self.rows, self.projection.n_rows, "dendrite"))

    def _dendrites(self) -> Iterator[tuple[int, Dendrite]]:
        ranks = np.asarray(self.projection.post_ranks[self.rows.start : self.rows.stop])
        for row, rank in zip(self.rows, ranks.tolist(), strict=True):
            yield row, self.projection.dendrite(rank)


@dataclass(frozen=True)
class _Description:
    """A population or projection: its attributes and its type."""

    owner: PopulationState | LazyProjection

    def document(self) -> Any:
        kind = self._type
        return {
            **self._ends(),
            "arrays": [entry.to_dict() for entry in inside(self.owner)],
            "type": None
            if kind is None
            else {"name": kind.name, "description": kind.description, "texts": dict(kind.texts)},
        }

    def page(self) -> RenderableType:
        lines = facts()
        for label, value in self._ends().items():
            if isinstance(value, list):
                lines.add_row(label, shape(tuple(value)))
            else:
                lines.add_row(label, f"{value:,}" if isinstance(value, int) else safe(value))
        listing = table("name", "kind", "type", "shape", "size", "value", right=("size",))
        for entry in inside(self.owner):
            single = "" if entry.values.shape else safe(quantity(np.asarray(entry.values), entry.unit))
            listing.add_row(
                safe(entry.name, 60),
                f"{entry.locality} {entry.kind}".strip(),
                str(entry.values.dtype),
                shape(entry.values.shape),
                human_bytes(entry.nbytes),
                f"{single} {_declared(entry.info, '' if single else entry.unit)}".strip(),
            )
        return Group(lines, "", listing, *_texts(self._type))

    @property
    def _type(self) -> TypeInfo | None:
        return self.owner.neuron_type if isinstance(self.owner, PopulationState) else self.owner.synapse_type

    def _ends(self) -> dict[str, Any]:
        owner = self.owner
        if isinstance(owner, PopulationState):
            return {"population": owner.name, "geometry": list(owner.geometry), "neurons": owner.size}
        return {
            "projection": owner.name,
            "pre": owner.pre,
            "post": owner.post,
            "target": owner.target,
            "dendrites": owner.n_rows,
            "synapses": owner.n_synapses,
        }


def _values_table(*columns: str, header: bool = True) -> Table:
    """Return a table with a column for each of the few values that a row shows."""
    first, *others = ("values", *[""] * FEW)
    listing = table(*columns, first, *others, right=(*columns, first, ""))
    listing.show_header = header
    return listing


def _heading(entry: CheckpointEntry, unit: str) -> str:
    """Return what an entry is; ``unit`` is that of the values below, empty where each has its own."""
    kind = f"{entry.locality} {entry.kind}".strip()
    facts_ = f"{entry.values.dtype}, {shape(entry.values.shape)}, {kind}"
    declared = _declared(entry.info, unit)
    return f"[bold]{safe(entry.path, 400)}[/]  [dim]{facts_}{f'; {declared}' if declared else ''}[/]"


def _declared(info: AttributeInfo | None, unit: str) -> str:
    """Return what a type says of an attribute, and the unit of values that stand beside it."""
    description = "" if info is None else info.description
    return safe(f"{description} {labelled_unit(unit)}".strip())


def _texts(kind: TypeInfo | None) -> list[RenderableType]:
    return [] if kind is None else type_block(kind.texts, safe(kind.name), safe(kind.description, 400))


def _rest(rows: range, length: int, noun: str) -> list[RenderableType]:
    if len(rows) == length:
        return []
    return [f"[dim]{len(rows):,} of {count(length, noun)}; --rows a:b shows others[/]"]


def complete_paths(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Complete paths inside the file that was already given on the command line."""
    try:
        with open_checkpoint(str(ctx.params.get("file"))) as checkpoint:
            groups: dict[str, Iterable[str]] = {
                "populations": checkpoint.populations,
                "projections": checkpoint.projections,
            }
            paths = [f"{group}/{escape(name)}" for group, members in groups.items() for name in members]
            paths += [entry.path for entry in entries(checkpoint)] + ["metadata", "provenance"]
            return [CompletionItem(path) for path in paths if path.startswith(incomplete)]
    except Exception:  # noqa: BLE001 - nothing is said in the middle of a line that somebody types
        return []


def complete_names(group: str, argument: str) -> Callable[..., list[CompletionItem]]:
    """Return what completes names of populations or projections of the file given as an argument."""

    def complete(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[CompletionItem]:
        try:
            # Behind an option that has no value yet, click has not told arguments apart.
            with open_checkpoint(str(ctx.params.get(argument) or ctx.args[0])) as checkpoint:
                return [CompletionItem(n) for n in getattr(checkpoint, group) if n.startswith(incomplete)]
        except Exception:  # noqa: BLE001 - as in complete_paths
            return []

    return complete


@click.command(
    cls=Command,
    examples=[
        ("ann-ckpt show demo.h5 populations/layer/r", "rates of the first rows of neurons"),
        ("ann-ckpt show demo.h5 projections/forward/w --rows 0:3", "weights of three dendrites"),
        ("ann-ckpt show demo.h5 projections/forward --rows 210", "one dendrite with all it carries"),
        ("ann-ckpt show demo.h5 projections/lateral/w --rows : --json", "every weight, for a script"),
        ("ann-ckpt show demo.h5 provenance", "who wrote the file, with what"),
    ],
)
@file_argument
@click.argument("path", shell_complete=complete_paths)
@click.option(
    "--rows", type=row_range, metavar="A:B", help="Dendrites of a projection, else entries of the first axis."
)
@json_option
def show(file: str, path: str, *, rows: slice | None, as_json: bool) -> None:
    """Print values of one array, or the dendrites of a projection.

    PATH is populations/NAME, projections/NAME, either with an attribute behind it,
    constants/NAME, recordings/NAME/VARIABLE/times, metadata or provenance; `ann-ckpt ls`
    lists them. Only the rows that are shown are read. Text shortens long rows, JSON never does; JSON writes
    NaN and infinities as strings. On a terminal, what is longer than it goes to $PAGER.
    """
    with open_checkpoint(file) as checkpoint:
        view = view_of(checkpoint, path, rows)
        if as_json:
            print_json(view.document())
        else:
            emit(view.page(), paged=True)
