"""Output of the command line: tables, JSON, progress bars."""

from __future__ import annotations

import json
import math
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray
from rich.console import Console, RenderableType
from rich.markup import escape
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Table

from ann_ckpt.errors import printable
from ann_ckpt.model.units import reworded
from ann_ckpt.report import Progress as Callback

__all__ = [
    "FEW",
    "emit",
    "facts",
    "few",
    "json_ready",
    "number",
    "print_json",
    "progress_bar",
    "row_range",
    "safe",
    "shape",
    "somebody_answers",
    "table",
    "type_block",
]

FEW = 6
"""Values of a row that are shown."""


def number(value: Any, digits: int = 6) -> str:
    """Return one value, a float in so many significant digits.

    Examples
    --------
    >>> number(np.float64(0.1234567)), number(np.int32(12)), number(np.True_)
    ('0.123457', '12', 'true')
    """
    if isinstance(value, bool | np.bool_):
        return "true" if value else "false"
    if isinstance(value, float | np.floating):
        return f"{value:.{digits}g}"
    return str(value)


def few(values: NDArray[Any]) -> list[str]:
    """Return the first values of an array, and how many more there are.

    Examples
    --------
    >>> few(np.arange(10))
    ['0', '1', '2', '3', '4', '5', '+ 4']
    """
    flat = values.reshape(-1)
    shown = [number(v, 4) for v in flat[:FEW]]
    return shown if flat.size <= FEW else [*shown, f"+ {flat.size - FEW:,}"]


def shape(lengths: tuple[int, ...]) -> str:
    """Return a shape or geometry as text.

    Examples
    --------
    >>> shape((20, 20)), shape((400,)), shape(())
    ('20 x 20', '400', '1 value')
    """
    return " x ".join(f"{n:,}" for n in lengths) if lengths else "1 value"


def row_range(text: str) -> slice:
    """Return the slice that ``a:b`` means, as Python has it, or that of a single row.

    Raises
    ------
    click.BadParameter
        If the text is neither.
    """
    low, colon, high = text.partition(":")
    try:
        start, stop = (int(end) if end else None for end in (low, high))
    except ValueError:
        start, stop, colon = None, None, ""
    if colon:
        return slice(start, stop)
    if start is None:
        raise click.BadParameter(f"{printable(text)!r} is not a range of rows; write 10:20, :5, -3: or 7")
    return slice(start, start + 1 or None)


_WIDTH = 10_000
"""Columns that a line may take: nothing is cut or folded, a terminal wraps by itself."""


def emit(*parts: RenderableType, paged: bool = False, width: int = _WIDTH) -> None:
    """Print to standard output: coloured on a terminal, plain elsewhere.

    Parameters
    ----------
    paged : bool
        On a terminal, hand what is longer than it to the pager: ``$PAGER``, else less or more.
    width : int
        Columns that a line may take.
    """
    out = Console(highlight=False, width=width)
    with out.capture() as captured:
        out.print(*parts, sep="\n")
    lines = [line.rstrip() for line in captured.get().splitlines()]
    if paged and out.is_terminal and somebody_answers() and _is_longer(lines):
        # Colours are for click to decide: it tells less to let them through, and spares other pagers.
        click.echo_via_pager("".join(f"{line}\n" for line in lines))
        return
    for line in lines:
        out.file.write(f"{line}\n")


def somebody_answers() -> bool:
    """Whether standard input is a terminal; it may be closed."""
    return bool(sys.stdin) and sys.stdin.isatty()


def _is_longer(lines: Sequence[str]) -> bool:
    """Whether lines, where the terminal has folded them, and the prompt after them do not fit on it."""
    columns, rows = shutil.get_terminal_size()
    return sum(max(1, -(-len(click.unstyle(line)) // columns)) for line in lines) >= rows


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


def type_block(texts: Mapping[str, str], name: str, said: str) -> list[RenderableType]:
    """Return the texts of a type under its name and what is said of it, both safe; a blank line first."""
    lines = facts()
    for label, text in texts.items():
        for n, line in enumerate(reworded(text.strip()).splitlines()):
            lines.add_row(safe(label, 40) if n == 0 else "", safe(line.rstrip(), 400))
    return ["", f"[bold]{name}[/]  {said}", lines]


def print_json(document: Any, *, one_line: bool = False) -> None:
    """Print one JSON document: indented on a terminal, in one line elsewhere, or wherever it is asked for."""
    indent = 2 if sys.stdout.isatty() and not one_line else None
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
def progress_bar(title: str, *, of_bytes: bool = True) -> Iterator[Callback | None]:
    """Yield a progress callback that moves a bar on a terminal; None where there is none."""
    err = Console(stderr=True)
    if not err.is_terminal:
        yield None
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(binary_units=True) if of_bytes else MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=err, transient=True) as bar:
        task = bar.add_task(title, total=None)

        def advance(what: str, done: int, total: int) -> None:
            bar.update(task, description=f"{title} {safe(what, 40)}", completed=done, total=total)

        yield advance
