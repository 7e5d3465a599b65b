"""``ann-ckpt params apply``, ``extract`` and ``init``: between checkpoints and parameter files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ann_ckpt.api import write
from ann_ckpt.cli.command import Command
from ann_ckpt.cli.params.common import (
    STDIN,
    checkpoint_option,
    global_only_option,
    load_any,
    open_checkpoint,
    output_option,
    print_human,
    write_text,
)
from ann_ckpt.cli.targets import check_checkpoint_target, check_text_target
from ann_ckpt.errors import NotWritableError, printable
from ann_ckpt.params.api import schema_of
from ann_ckpt.params.apply import changed_state
from ann_ckpt.params.checking.checker import Checker
from ann_ckpt.params.description import NetworkDescription, describe
from ann_ckpt.params.extract import dump_parameters
from ann_ckpt.params.extract import extract as extracted
from ann_ckpt.params.plan import plan_changes
from ann_ckpt.params.schema.generate import dump_json, network_schema

__all__ = ["apply", "extract", "init"]


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
@global_only_option()
def apply(file: str, *, checkpoint: str, output: str | None, dry_run: bool, global_only: bool) -> int:
    """Write a checkpoint that has the parameters of FILE: all of them, or nothing.

    The file is checked first; if anything is wrong, nothing is written and the exit
    status is 1. The old checkpoint stays as it is; nothing but a checkpoint is replaced.
    """
    if output is None and not dry_run:
        raise click.UsageError("pass -o OUT, or --dry-run")
    if output is not None:
        check_checkpoint_target(output, source=checkpoint)
    read = load_any(file)
    with open_checkpoint(checkpoint) as opened:
        checked = Checker(schema_of(opened)).check(read, global_only=global_only)
        if checked.findings:
            print_human([checked])
        if checked.errors:
            return checked.exit_status
        state = opened.state(lazy=True)
        changes = [c for c in plan_changes(read.data, describe(state)) if c.differs]
        for change in changes:
            click.echo(printable(change, 400))
        click.echo(f"{len(changes)} values change" if len(changes) != 1 else "1 value changes")
        if output is not None and not dry_run:
            write(changed_state(state, changes), output)
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
def extract(checkpoint: str, *, output: str | None, schema: str | None) -> int:
    """Write the global parameters and constants of a checkpoint as a parameter file."""
    if output is not None and output != STDIN:
        check_text_target(output)
    with open_checkpoint(checkpoint) as opened:
        write_text(_parameters(describe(opened.state(lazy=True)), schema), output)
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
def init(checkpoint: str, *, folder: str, name: str) -> int:
    """Put the parameters of a network under version control.

    Writes NAME.json with the parameters of the checkpoint and NAME.schema.json, which
    it names; files that exist are left alone and are an error.
    """
    parameters, schema = (Path(folder) / f"{name}{suffix}" for suffix in (".json", ".schema.json"))
    for path in (parameters, schema):
        if path.exists():
            raise NotWritableError("the file exists already", where=str(path))
    with open_checkpoint(checkpoint) as opened:
        network = describe(opened.state(lazy=True))
        texts = {
            schema: dump_json(network_schema(network)),
            parameters: _parameters(network, f"./{schema.name}"),
        }
    Path(folder).mkdir(parents=True, exist_ok=True)
    for path, text in texts.items():
        write_text(text, str(path))
        click.echo(f"wrote {printable(path, 400)}")
    click.echo(f"check with: ann-ckpt params validate {printable(parameters, 400)}")
    return 0


def _parameters(network: NetworkDescription, schema: str | None) -> str:
    """Return the text of a parameter file; what it cannot say goes to standard error."""
    content = extracted(network)
    for name in content.left_out:
        click.echo(f"warning: {printable(name, 200)} is not finite and is left out", err=True)
    head: dict[str, Any] = {} if schema is None else {"$schema": schema, "format_version": 1}
    return dump_parameters({**head, **content.data})
