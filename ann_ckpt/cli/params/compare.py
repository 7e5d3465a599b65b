"""``ann-ckpt params diff``."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any

import click

from ann_ckpt.cli.command import Command, json_option
from ann_ckpt.cli.output import print_json
from ann_ckpt.cli.params.common import FINDINGS, coloured, is_checkpoint, load_any, open_checkpoint
from ann_ckpt.params.diff import diff as differences

__all__ = ["diff"]

_COLOURS = {"added": "green", "removed": "red", "changed": "yellow"}


@click.command(
    cls=Command,
    examples=[
        (
            "ann-ckpt params extract demo.h5 -o old.json && ann-ckpt params diff old.json demo.h5",
            "what has changed in a network since a file was written",
        ),
        (
            "ann-ckpt params diff demo.h5 demo.h5 --exit-code --json",
            "compare two checkpoints, for a script",
        ),
    ],
)
@click.argument("first", metavar="A")
@click.argument("second", metavar="B")
@click.option("--overlay", is_flag=True, help="B is an overlay over A: what it leaves out is no difference.")
@click.option("--exit-code", is_flag=True, help="Exit with 1 if there is a difference.")
@json_option
def diff(first: str, second: str, *, overlay: bool, exit_code: bool, as_json: bool) -> int:
    """Say which parameters differ between A and B, parameter files or checkpoints.

    A checkpoint counts with its global parameters and constants, and with those
    parameters per neuron, dendrite or synapse that the other side has too.
    """
    with ExitStack() as stack:

        def side(path: str) -> Any:
            return stack.enter_context(open_checkpoint(path)) if is_checkpoint(path) else load_any(path)

        found = differences(side(first), side(second), overlay=overlay)
    if as_json:
        print_json([difference.to_dict() for difference in found])
    else:
        for difference in found:
            click.echo(click.style(str(difference), fg=_COLOURS[difference.kind]), color=coloured())
    return FINDINGS if exit_code and found else 0
