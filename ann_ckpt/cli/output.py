"""How results reach the terminal: tables, JSON, and a progress bar on a terminal only."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from rich.console import Console, RenderableType
from rich.markup import escape
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from ann_ckpt.errors import printable
from ann_ckpt.report import Progress as Callback

__all__ = ["emit", "facts", "json_ready", "print_json", "progress_bar", "safe", "table"]

_WIDTH = 10_000
"""Columns that a line may take: nothing is cut or folded, a terminal wraps by itself."""


def emit(*parts: RenderableType) -> None:
    """Print to standard output: coloured on a terminal, plain elsewhere."""
    out = Console(highlight=False, width=_WIDTH)
    with out.capture() as captured:
        out.print(*parts, sep="\n")
    for line in captured.get().splitlines():
        out.file.write(f"{line.rstrip()}\n")


def safe(text: object, limit: int = 120) -> str:
    """Return text from a file, made safe for the terminal and for rich's markup."""
    return escape(printable(text, limit))


def table(*columns: str, right: Sequence[str] = ()) -> Table:
    """Return an empty table without rules; the columns named in ``right`` align to the right."""
    made = Table(box=None, header_style="dim", pad_edge=False, padding=(0, 2, 0, 0))
    for column in columns:
        made.add_column(column, justify="right" if column in right else "left", overflow="fold")
    return made


def facts() -> Table:
    """Return a table of labelled lines: dim label, then what it is."""
    made = Table.grid(padding=(0, 2, 0, 0))
    made.add_column(style="dim")
    made.add_column(overflow="fold")
    return made


def print_json(document: Any) -> None:
    """Print one JSON document: indented on a terminal, in one line elsewhere."""
    indent = 2 if sys.stdout.isatty() else None
    sys.stdout.write(f"{json.dumps(json_ready(document), indent=indent, allow_nan=False)}\n")


def json_ready(value: Any) -> Any:
    """Return ``value`` in a form that JSON has: NaN and infinities become strings.

    Examples
    --------
    >>> json_ready({"w": (1.5, float("nan"))})
    {'w': [1.5, 'NaN']}
    """
    if isinstance(value, dict):
        return {str(key): json_ready(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [json_ready(entry) for entry in value]
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else f"{'-' if value < 0 else ''}Infinity"
    return value


@contextmanager
def progress_bar(title: str) -> Iterator[Callback | None]:
    """Yield a progress callback that moves a bar on a terminal; None where there is none."""
    err = Console(stderr=True)
    if not err.is_terminal:
        yield None
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(binary_units=True),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=err, transient=True) as bar:
        task = bar.add_task(title, total=None)

        def advance(what: str, done: int, total: int) -> None:
            bar.update(task, description=f"{title} {safe(what, 40)}", completed=done, total=total)

        yield advance
