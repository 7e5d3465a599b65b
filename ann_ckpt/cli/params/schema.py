"""``ann-ckpt params schema``."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

import click

from ann_ckpt.cli.command import Command
from ann_ckpt.cli.params.common import (
    FINDINGS,
    STDIN,
    checkpoint_option,
    load_any,
    open_checkpoint,
    output_option,
    write_text,
)
from ann_ckpt.cli.targets import check_text_target
from ann_ckpt.errors import printable
from ann_ckpt.params.api import refuse, schema_of
from ann_ckpt.params.checking.checker import Checker
from ann_ckpt.params.description import NetworkDescription, describe
from ann_ckpt.params.infer import describe_file
from ann_ckpt.params.schema.generate import DRAFTS, GENERAL_SCHEMA, dump_json, network_schema

__all__ = ["schema"]

_SHOWN = 40


@click.command(
    cls=Command,
    examples=[
        ("ann-ckpt params schema --checkpoint demo.h5 -o demo.schema.json", "write the schema of a network"),
        (
            (
                "ann-ckpt params init demo.h5 && "
                "ann-ckpt params schema --checkpoint demo.h5 -o params.schema.json --check"
            ),
            "fail if the schema that is under version control is stale",
        ),
    ],
)
@checkpoint_option()
@click.option("--from-params", metavar="F", help="Take names and types from a parameter file instead.")
@click.option("--general", is_flag=True, help="The schema of the general form, whatever the network.")
@output_option("Write the schema to this file instead of standard output.")
@click.option("--draft", type=click.Choice(list(DRAFTS)), default="2020-12", help="Draft of JSON Schema.")
@click.option("--check", is_flag=True, help="Write nothing; exit with 1 if the file differs.")
def schema(
    *,
    checkpoint: str | None,
    from_params: str | None,
    general: bool,
    output: str | None,
    draft: str,
    check: bool,
) -> int:
    """Write the JSON Schema of a network's parameter files.

    Editors complete and check a parameter file that names it under "$schema". The
    same network gives the same bytes, so that the schema can be committed and checked.
    """
    if (checkpoint is not None) + (from_params is not None) + general != 1:
        raise click.UsageError("pass one of --checkpoint, --from-params and --general")
    if check and output is None:
        raise click.UsageError("--check needs the file to compare with: -o F")
    if output is not None and output != STDIN and not check:
        check_text_target(output)
    text = dump_json(_schema(checkpoint, from_params, draft))
    if check and output is not None:
        return _compare(Path(output), text)
    write_text(text, output)
    return 0


def _schema(checkpoint: str | None, from_params: str | None, draft: str) -> Any:
    if checkpoint is None and from_params is None:
        return GENERAL_SCHEMA
    with _network(checkpoint, from_params) as network:
        return network_schema(network, draft=draft)


@contextmanager
def _network(checkpoint: str | None, from_params: str | None) -> Iterator[NetworkDescription]:
    if checkpoint is not None:
        with open_checkpoint(checkpoint) as opened:
            yield describe(opened.state(lazy=True))
    elif from_params is not None:
        file = load_any(from_params)
        refuse([Checker(schema_of(None)).check(file)], strict=True)
        yield describe_file(file)


def _compare(path: Path, text: str) -> int:
    """Compare the file with what would be written; say how they differ."""
    committed = path.read_text(encoding="utf-8", errors="replace")
    if committed == text:
        click.echo(f"{printable(path, 400)} is up to date")
        return 0
    click.echo(f"{printable(path, 400)} is stale; write it again without --check")
    changes = difflib.unified_diff(
        committed.splitlines(), text.splitlines(), "committed", "network", lineterm="", n=1
    )
    for line in islice(changes, _SHOWN):
        click.echo(f"  {printable(line, 200)}")
    return FINDINGS
