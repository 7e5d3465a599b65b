"""``ann-ckpt params schema``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ann_ckpt.cli.command import Command
from ann_ckpt.cli.params.common import (
    FINDINGS,
    STDIN,
    check_output,
    checkpoint_option,
    load_any,
    open_checkpoint,
    output_option,
    write_text,
)
from ann_ckpt.errors import SchemaUnusableError, printable
from ann_ckpt.params.api import refuse, schema_of
from ann_ckpt.params.checking.checker import Checker
from ann_ckpt.params.description import describe, describe_file, describe_model, load_model
from ann_ckpt.params.file import read_bounded
from ann_ckpt.params.schema.generate import DRAFTS, dump_json, general_schema, network_schema
from ann_ckpt.params.schema.schema import Schema
from ann_ckpt.paths import is_file
from ann_ckpt.texts import not_replaced

__all__ = [
    "schema",
]

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
@click.option("--model", metavar="FILE.py:F", help="Run this function and take the network that it builds.")
@click.option("--general", is_flag=True, help="The schema of the general form, whatever the network.")
@output_option("Write the schema to this file instead of standard output.")
@click.option("--draft", type=click.Choice(list(DRAFTS)), default="2020-12", help="Draft of JSON Schema.")
@click.option("--check", is_flag=True, help="Write nothing; exit with 1 if the file says something else.")
@click.option("--values", is_flag=True, help="With --check, compare current values too.")
def schema(
    *,
    checkpoint: str | None,
    from_params: str | None,
    model: str | None,
    general: bool,
    output: str | None,
    draft: str,
    check: bool,
    values: bool,
) -> int:
    """Write the JSON Schema of a network's parameter files.

    Editors complete and check a parameter file that names it under "$schema". The
    same network gives the same bytes, so that the schema can be committed. --check compares
    names, types, sizes, bounds and units with the committed file F, not the values of
    parameters. Rules between values that F has are kept.
    """
    if sum(source is not None for source in (checkpoint, from_params, model)) + general != 1:
        raise click.UsageError("pass one of --checkpoint, --from-params, --model and --general")
    if check and output is None:
        raise click.UsageError("--check needs the file to compare with: -o F")
    if values and not check:
        raise click.UsageError("--values is for --check")
    if not check:
        check_output(output)
    made = _schema(checkpoint, from_params, model, draft)
    if check and output is not None:
        return _compare(Path(output), Schema.trusted(made), values=values)
    write_text(dump_json(_with_rules(made, output)), output)
    return 0


def _schema(checkpoint: str | None, from_params: str | None, model: str | None, draft: str) -> dict[str, Any]:
    if checkpoint is not None:
        with open_checkpoint(checkpoint) as opened:
            return network_schema(describe(opened.state(lazy=True)), draft=draft)
    if model is not None:
        return network_schema(describe_model(load_model(model)), draft=draft)
    if from_params is None:
        return general_schema(draft)
    file = load_any(from_params)
    refuse([Checker(schema_of(None)).check(file)], strict=True)
    made = network_schema(describe_file(file), draft=draft)
    refuse([Checker(Schema.trusted(made)).check(file)], strict=True)  # of an array, each value has one type
    return made


def _compare(path: Path, made: Schema, *, values: bool) -> int:
    """Compare the committed schema with what would be written; say how they differ."""
    shown = printable(path, 400)
    try:
        committed = Schema.load(path)
    except SchemaUnusableError as error:
        click.echo(f"{shown} is stale; remove it, and write it again without --check")
        click.echo(f"  it cannot be used: {printable(error.details['reason'], 300)}")
        return FINDINGS
    old, new = committed.facts(values=values), made.facts(values=values)
    names = [n for n in dict.fromkeys((*new, *old)) if old.get(n) != new.get(n)]
    if not names and committed.draft == made.draft:
        click.echo(f"{shown} is up to date")
        return 0
    click.echo(f"{shown} is stale; write it again without --check")
    if committed.draft != made.draft:
        click.echo(f"  draft: {committed.draft} -> {made.draft}")
    for name in names[:_SHOWN]:
        click.echo(f"  {printable('/'.join(map(str, name)), 200)}")
        for title, side in (("committed", old), ("network", new)):
            click.echo(f"    {title + ':':<11}{printable(side.get(name, 'not there'), 200)}")
    if len(names) > _SHOWN:
        click.echo(f"  and {len(names) - _SHOWN} more")
    return FINDINGS


def _with_rules(made: dict[str, Any], output: str | None) -> dict[str, Any]:
    """Return a schema with the rules of the one that stands in its place: no network knows them.

    Raises
    ------
    NotWritableError
        If something else stands there, which would be lost.
    """
    if output is None or output == STDIN or not is_file(output) or not read_bounded(output).strip():
        return made
    try:
        standing = Schema.load(output).document
    except SchemaUnusableError as error:
        raise not_replaced(output, what="a schema", reason=error.details["reason"]) from error
    if standing and "$schema" not in standing:  # any object would do
        raise not_replaced(output, what="a schema", reason='it has no "$schema" that names a draft')
    rules = Schema.marks([standing]).get("rules")
    return made if rules is None else {**made, "x-ann": {**made.get("x-ann", {}), "rules": rules}}
