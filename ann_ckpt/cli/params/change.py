"""``ann-ckpt params apply``, ``extract`` and ``init``: between checkpoints and parameter files."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote

import click

from ann_ckpt.api import write
from ann_ckpt.cli.command import Command
from ann_ckpt.cli.params.common import (
    FINDINGS,
    STDIN,
    check_output,
    checkpoint_option,
    global_only_option,
    load_any,
    open_checkpoint,
    output_option,
    print_human,
    write_text,
)
from ann_ckpt.cli.targets import check_checkpoint_target
from ann_ckpt.errors import NotWritableError, printable
from ann_ckpt.params.api import schema_of
from ann_ckpt.params.calls import Extract, text_for
from ann_ckpt.params.calls import extract as extracted
from ann_ckpt.params.checking.checker import Checker
from ann_ckpt.params.description import FREE, NetworkDescription, describe
from ann_ckpt.params.plan import changed_state, plan_changes
from ann_ckpt.params.run import SCHEMA_SUFFIX
from ann_ckpt.params.schema.generate import dump_json, network_schema
from ann_ckpt.paths import exists

__all__ = [
    "apply",
    "extract",
    "init",
]

_SHOWN = 10
_arrays_option = click.option(
    "--arrays", is_flag=True, help="Take in parameters with one value per neuron, dendrite or synapse."
)


@click.command(
    cls=Command,
    examples=[
        (
            "ann-ckpt params extract demo.h5 | ann-ckpt params apply - --checkpoint demo.h5 -o new.h5",
            "write a checkpoint with the parameters of a file",
        ),
        (
            "ann-ckpt params extract demo.h5 | ann-ckpt params apply - --checkpoint demo.h5 --dry-run",
            "say what would change",
        ),
    ],
)
@click.argument("file", metavar="FILE")
@checkpoint_option(required=True)
@output_option("The new checkpoint.")
@click.option("--dry-run", is_flag=True, help="Say what would change and write nothing.")
@click.option(
    "--in-place",
    is_flag=True,
    help="Replace the checkpoint file; a store gets one more checkpoint, with the same tag.",
)
@global_only_option()
def apply(
    file: str, *, checkpoint: str, output: str | None, dry_run: bool, in_place: bool, global_only: bool
) -> int:
    """Write a checkpoint that has the parameters of FILE: all of them, or nothing.

    The file is checked first; if anything is wrong, nothing is written and the exit
    status is 1. The old checkpoint stays as it is, unless --in-place is given; nothing but
    a checkpoint is replaced. The section network of FILE is kept in the metadata of the new one.
    """
    if output is None and not (dry_run or in_place):
        raise click.UsageError("pass -o OUT, --in-place or --dry-run")
    if output is not None and in_place:
        raise click.UsageError("-o OUT and --in-place exclude each other")
    if output is not None:
        check_checkpoint_target(output, source=checkpoint)
    output = checkpoint if in_place else output
    read = load_any(file)
    with open_checkpoint(checkpoint) as opened:
        checked = Checker(schema_of(opened)).check(read, global_only=global_only)
        if checked.findings:
            print_human([checked])
        if checked.errors or checked.dropped:
            return checked.exit_status or FINDINGS
        state = opened.state(lazy=True)
        content = {} if checked.document is None else checked.document.value
        changes = [c for c in plan_changes(content, describe(state)) if c.differs]
        for change in changes:
            click.echo(printable(change, 400))
        click.echo(f"{len(changes):,} values change" if len(changes) != 1 else "1 value changes")
        if output is not None and not dry_run:
            write(changed_state(state, changes, read.section(FREE)), output)
    return 0


@click.command(
    cls=Command,
    examples=[
        ("ann-ckpt params extract demo.h5", "print the parameters of a checkpoint"),
        ("ann-ckpt params extract demo.h5 -o params.json", "write them to a file"),
    ],
)
@click.argument("checkpoint", metavar="C")
@output_option("Write to this file instead of standard output.")
@click.option("--schema", metavar="S", help='Name this schema under "$schema", for editors.')
@_arrays_option
def extract(checkpoint: str, *, output: str | None, schema: str | None, arrays: bool) -> int:
    """Write the global parameters and constants of a checkpoint as a parameter file.

    JSON, or YAML if F ends in .yaml. A parameter file that stands there keeps the schema
    that it names, its version and its section network.
    """
    check_output(output)
    path = None if output == STDIN else output
    with open_checkpoint(checkpoint) as opened:
        content = _extracted(describe(opened.state(lazy=True)), arrays=arrays)
        write_text(text_for(path, content.data, schema=schema), output)
    return 0


@click.command(
    cls=Command,
    examples=[
        ("ann-ckpt params init demo.h5", "begin with the parameters of a checkpoint"),
        ("ann-ckpt params init demo.h5 --folder config --name baseline", "somewhere else"),
    ],
)
@click.argument("checkpoint", metavar="C")
@click.option("--folder", metavar="D", default=".", help="Where to write; it is made if it is missing.")
@click.option("--name", metavar="NAME", default="params", help="Name of the files without their suffix.")
@click.option("--yaml", "as_yaml", is_flag=True, help="Write the parameters as YAML instead of JSON.")
@_arrays_option
def init(checkpoint: str, *, folder: str, name: str, as_yaml: bool, arrays: bool) -> int:
    """Put the parameters of a network under version control.

    Writes NAME.json with the parameters of the checkpoint and NAME.schema.json, which
    it names; files that exist are left alone and are an error. What has one value per
    neuron, dendrite or synapse is left out and named, unless --arrays is given.
    """
    suffixes = (".yaml" if as_yaml else ".json", SCHEMA_SUFFIX)
    parameters, schema = (Path(folder) / f"{name}{suffix}" for suffix in suffixes)
    for path in (parameters, schema):
        if exists(path):
            raise NotWritableError("the file exists already", where=str(path))
        check_output(str(path))
    with open_checkpoint(checkpoint) as opened:
        network = describe(opened.state(lazy=True))
        content = _extracted(network, arrays=arrays)
        texts = {
            schema: dump_json(network_schema(network)),
            parameters: text_for(parameters, content.data, schema=f"./{quote(schema.name)}"),
        }
    for path, text in texts.items():
        write_text(text, str(path))
        click.echo(f"wrote {printable(path, 400)}")
    if content.arrays:
        shown = ", ".join(printable(n, 80) for n in content.arrays[:_SHOWN])
        more = f" and {len(content.arrays) - _SHOWN} more" if len(content.arrays) > _SHOWN else ""
        click.echo(f"left out, as they have one value per neuron, dendrite or synapse: {shown}{more}")
        click.echo("--arrays takes them in")
    click.echo(f"check with: ann-ckpt params validate {printable(parameters, 400)}")
    return 0


def _extracted(network: NetworkDescription, *, arrays: bool) -> Extract:
    """Return the content of a parameter file; what it cannot say goes to standard error."""
    content = extracted(network, arrays=arrays)
    for name in content.left_out:
        click.echo(f"warning: {printable(name, 200)} is not finite and is left out", err=True)
    return content
