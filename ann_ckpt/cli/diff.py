"""``ann-ckpt diff``: compares two networks."""

from __future__ import annotations

import click

from ann_ckpt.cli.command import Command, complete_files, json_option
from ann_ckpt.cli.output import emit, print_json, safe
from ann_ckpt.cli.views import complete_names
from ann_ckpt.diffing import diff as compare

__all__ = ["diff"]

_LINES = 24
"""Differences of one kind before the rest is only counted."""


@click.command(
    cls=Command,
    examples=[
        ("ann-ckpt diff run.ckpt@0 run.ckpt", "what a run has changed since its beginning"),
        ("ann-ckpt diff run.ckpt@trained demo.h5 --projections 'f*'", "only some projections"),
        ("ann-ckpt diff demo.h5 demo.h5 --exit-code --json", "whether two are the same, for a script"),
    ],
)
@click.argument("first", metavar="A", shell_complete=complete_files)
@click.argument("second", metavar="B", shell_complete=complete_files)
@click.option(
    "--populations",
    multiple=True,
    metavar="NAME",
    shell_complete=complete_names("populations", "first"),
    help="Only these, names or globs.  [default: all]",
)
@click.option(
    "--projections",
    multiple=True,
    metavar="NAME",
    shell_complete=complete_names("projections", "first"),
    help="Only these, names or globs.  [default: all]",
)
@click.option("--exit-code", is_flag=True, help="Exit with 1 if there is a difference.")
@json_option
def diff(
    first: str,
    second: str,
    *,
    populations: tuple[str, ...],
    projections: tuple[str, ...],
    exit_code: bool,
    as_json: bool,
) -> int:
    """Say how the network in B differs from the one in A.

    A and B are checkpoint files, checkpoints of stores, or old files of ANNarchy's.
    Values are compared to the last bit: how many changed, and by how much. Synapses
    are matched by the neurons that they join.
    """
    report = compare(
        first, second, populations=list(populations) or True, projections=list(projections) or True
    )
    if as_json:
        print_json(report.to_dict())
    else:
        emit(*(safe(line, 2000) for line in report.lines(_LINES)))
    return 1 if exit_code and not report.same else 0
