"""Populations and projections as tables, from documents that ``--json`` prints too."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from rich.console import RenderableType

from ann_ckpt.cli.output import safe, table
from ann_ckpt.cli.values import count, number, shape
from ann_ckpt.report import human_bytes

__all__ = ["population_table", "projection_table", "time_line"]

_ROWS = 24
"""Objects in one table before the rest is only counted."""

_Document = dict[str, Any]
_Column = tuple[str, str, Callable[[_Document], str]]
"""The key that a document has to have, the title, and the cell."""


def population_table(rows: Sequence[_Document]) -> list[RenderableType]:
    """Return a table of populations with a blank line before it; nothing if there are none."""
    return _listing("population", rows, _OF_POPULATIONS)


def projection_table(rows: Sequence[_Document]) -> list[RenderableType]:
    """Return a table of projections with a blank line before it; nothing if there are none."""
    return _listing("projection", rows, _OF_PROJECTIONS)


def time_line(time_step: int | None, dt: float | None) -> str:
    """Return where in time a network stands, as far as that is known; ``dt`` is in ms."""
    if time_step is None:
        return "not known"
    line = count(time_step, "step")
    return line if dt is None else f"{line} of {number(dt)} ms = {number(time_step * dt)} ms"


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
    parameters = " ".join(safe(n, 30) for n in owner["parameters"])
    variables = " ".join(safe(n, 30) for n in owner["variables"])
    return f"[dim]{parameters}[/] {variables}" if parameters else variables


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
