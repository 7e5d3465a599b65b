"""``ann-ckpt export``: writes a checkpoint as one file, or for other programs."""

from __future__ import annotations

import click

from ann_ckpt.cli.command import Command, complete_files, json_option
from ann_ckpt.cli.output import emit, print_json, progress_bar, safe
from ann_ckpt.cli.targets import check_checkpoint_target
from ann_ckpt.cli.views import complete_names
from ann_ckpt.errors import OptionError
from ann_ckpt.export import ExportFormat
from ann_ckpt.export import export as export_network
from ann_ckpt.format.chunking import Compression
from ann_ckpt.paths import address_of

__all__ = ["export"]


@click.command(
    cls=Command,
    examples=[
        ("ann-ckpt export run.ckpt net.h5", "the newest checkpoint of a store as one file"),
        ("ann-ckpt export run.ckpt@trained net.h5 --compression gzip", "a certain one, by its tag"),
        ("ann-ckpt export demo.h5 sonata --format sonata", "a folder for libsonata, bluepysnap and bmtk"),
        (
            "ann-ckpt export demo.h5 lateral.csv --projections lateral",
            "synapses of one projection as a table",
        ),
        ("ann-ckpt export demo.h5 tables --format parquet", "a table for each projection"),
        ("ann-ckpt export demo.h5 demo.graphml", "all neurons and synapses as one graph"),
    ],
)
@click.argument("source", metavar="SOURCE", shell_complete=complete_files)
@click.argument("target", metavar="TARGET")
@click.option(
    "--format",
    type=click.Choice([choice.value for choice in ExportFormat]),
    help="By default what the extension of TARGET says.",
)
@click.option(
    "--populations",
    metavar="GLOB",
    multiple=True,
    shell_complete=complete_names("populations", "source"),
    help="Only these; may be given several times.",
)
@click.option(
    "--projections",
    metavar="GLOB",
    multiple=True,
    shell_complete=complete_names("projections", "source"),
    help="Only these; may be given several times.",
)
@click.option(
    "--compression",
    type=click.Choice([choice.value for choice in Compression]),
    default="auto",
    show_default=True,
    help="Of the large arrays of a checkpoint.",
)
@json_option
def export(
    source: str,
    target: str,
    *,
    format: str | None,  # noqa: A002
    populations: tuple[str, ...],
    projections: tuple[str, ...],
    compression: str,
    as_json: bool,
) -> None:
    """Write a checkpoint as one file, or for other programs.

    SOURCE is a checkpoint file, a store, or STORE@WHICH, where WHICH is a step, a tag or
    a name, as `ann-ckpt log` lists them; or the address of one, such as
    s3://bucket/run.ckpt. TARGET is a file, or for SONATA and for tables of
    several projections a folder, which has to be empty or absent. Synapses are written
    block by block. What has no place in the format is said.
    """
    if target == "-":
        raise OptionError(
            "cannot write to standard output",
            details={"expected": "a file or folder", "hint": "a file called - is ./-"},
        )
    if format in (None, "checkpoint") and target.endswith((".h5", ".hdf5")):
        check_checkpoint_target(target, source=None if address_of(source) else source)
    with progress_bar("writing") as progress:
        report = export_network(
            source,
            target,
            format=format,
            populations=list(populations) or True,
            projections=list(projections) or True,
            compression=compression,
            progress=progress,
        )
    if as_json:
        print_json(report.to_dict())
        return
    emit(f"[green]{safe(report.headline(), 1000)}[/]")
    if report.unmapped:
        emit("  not in this format:", *(f"    {safe(note, 400)}" for note in report.unmapped))
