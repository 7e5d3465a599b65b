"""``ann-ckpt runs``: one line for each run below a folder."""

from __future__ import annotations

import json
from pathlib import Path

import click

from ann_ckpt.cli.command import Command, json_option
from ann_ckpt.cli.output import emit, number, print_json, progress_bar, safe, table
from ann_ckpt.report import count, human_bytes
from ann_ckpt.runs import Run
from ann_ckpt.runs import runs as list_runs
from ann_ckpt.texts import check_text_target, text_file

__all__ = ["runs"]


@click.command(
    cls=Command,
    examples=[
        ("ann-ckpt runs sweep --columns constants/g,metadata/loss", "a table of a sweep"),
        ("ann-ckpt runs sweep --columns populations/E/tau --json", "the same for a script"),
        ("ann-ckpt runs sweep --parquet sweep.parquet", "for pandas, polars or duckdb"),
    ],
)
@click.argument("folder", metavar="FOLDER")
@click.option(
    "--columns",
    metavar="PATH,...",
    default="",
    help="Single values to show: constants/NAME, metadata/KEY, populations/NAME/ATTRIBUTE, ...",
)
@click.option("--parquet", metavar="FILE", help="Write the table as a Parquet file.")
@click.option(
    "--ro-crate", is_flag=True, help="Write FOLDER/ro-crate-metadata.json: where the runs come from."
)
@click.option(
    "--cache/--no-cache",
    default=True,
    help="Read again only what changed since the last listing.  [default: cache]",
)
@json_option
def runs(
    folder: str, *, columns: str, parquet: str | None, ro_crate: bool, cache: bool, as_json: bool
) -> None:
    """List every store and checkpoint file below a folder.

    A store stands by its newest checkpoint. Only headers are read, and the columns asked for.
    """
    crate = Path(folder, "ro-crate-metadata.json")
    if parquet is not None:
        check_text_target(parquet, what="a table")
    if ro_crate:
        check_text_target(crate)
    wanted = [column.strip() for column in columns.split(",") if column.strip()]
    with progress_bar("listing", of_bytes=False) as progress:
        found = list_runs(folder, columns=wanted, cache=cache, progress=progress)
    if parquet is not None:
        found.to_parquet(parquet)
    if ro_crate:
        with text_file(crate) as temporary:
            temporary.write_text(json.dumps(found.to_ro_crate(), indent=2), encoding="utf-8")
    if as_json:
        print_json(found.to_dict())
        return
    right = ("step", "ms", "checkpoints", "size", *wanted)
    listing = table(
        "run", "step", "ms", "checkpoints", "size", "written", *map(safe, wanted), "tags", right=right
    )
    for run in found:
        listing.add_row(*_cells(run, wanted))
    total = human_bytes(sum(run.nbytes for run in found))
    emit(
        listing,
        f"[dim]{count(len(found), 'run')}, {total}[/]",
        *(f"[dim]{safe(note, 400)}[/]" for note in found.notes),
    )


def _cells(run: Run, columns: list[str]) -> list[str]:
    if run.problem:
        return [safe(run.name, 400), *[""] * (5 + len(columns)), f"[bold red]{safe(run.problem, 200)}[/]"]
    return [
        safe(run.name, 400),
        "" if run.time_step is None else f"{run.time_step:,}",
        "" if run.time_ms is None else number(run.time_ms, 10),
        f"{run.checkpoints:,}",
        human_bytes(run.nbytes),
        safe(run.created[:19].replace("T", " ")),
        *("" if run.columns[column] is None else safe(number(run.columns[column])) for column in columns),
        safe(", ".join(run.tags)),
    ]
