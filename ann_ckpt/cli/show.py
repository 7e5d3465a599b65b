"""``ann-ckpt show``."""

from __future__ import annotations

import click
from click.shell_completion import CompletionItem

from ann_ckpt.api import open as open_checkpoint
from ann_ckpt.cli.command import Command, file_argument, json_option
from ann_ckpt.cli.entries import entries
from ann_ckpt.cli.output import emit, print_json
from ann_ckpt.cli.values import row_range
from ann_ckpt.cli.views import view_of

__all__ = ["show"]


def _paths(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Complete the paths inside the file that stands on the command line already."""
    try:
        with open_checkpoint(str(ctx.params.get("file"))) as checkpoint:
            return [CompletionItem(e.path) for e in entries(checkpoint) if e.path.startswith(incomplete)]
    except Exception:  # noqa: BLE001 - nothing is said in the middle of a line that somebody types
        return []


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
@click.argument("path", shell_complete=_paths)
@click.option(
    "--rows", type=row_range, metavar="A:B", help="Dendrites of a projection, else entries of the first axis."
)
@json_option
def show(file: str, path: str, *, rows: slice | None, as_json: bool) -> None:
    """Print values of one array, or the dendrites of a projection.

    PATH is populations/NAME, projections/NAME, either with an attribute behind it,
    constants/NAME, metadata or provenance; `ann-ckpt ls` lists them. Only the rows
    that are shown are read. Text shortens long rows, JSON never does; JSON writes
    NaN and infinities as strings.
    """
    with open_checkpoint(file) as checkpoint:
        view = view_of(checkpoint, path, rows)
        if as_json:
            print_json(view.document())
        else:
            emit(view.page())
