"""What ``ann-ckpt info`` shows of a file that ANNarchy wrote itself."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rich.console import Group, RenderableType

from ann_ckpt.cli.listings import population_table, projection_table, time_line
from ann_ckpt.cli.output import facts, safe
from ann_ckpt.report import human_bytes

__all__ = ["old_file_page"]

_NOTES = 24
"""Notes of one kind before the rest is only counted."""
_CONTAINERS = {"gzip": "gzipped pickle", "npz": ".npz archive", "mat": "MATLAB file"}


def old_file_page(found: dict[str, Any]) -> RenderableType:
    """Return a page from what :meth:`~ann_ckpt.adapters.legacy.OldFile.describe` says."""
    container = _CONTAINERS.get(found["container"], found["container"])
    heading = f"[bold]{safe(found['path'], 400)}[/]  {safe(found['kind'])} in a {safe(container)}"
    listings = (*population_table(found["populations"]), *projection_table(found["projections"]))
    return Group(
        heading,
        "",
        _summary(found),
        *listings,
        *_notes("lost: this file should have it", found["lost"], "yellow"),
        *_notes("no such file has it, or it was assumed", found["notes"], "dim"),
    )


def _summary(found: dict[str, Any]) -> RenderableType:
    lines = facts()
    lines.add_row("written by", f"ANNarchy {safe(found['annarchy'])}")
    if found["python"]:
        lines.add_row("with", f"Python {safe(found['python'])}")
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
