"""``ann-ckpt params validate``."""

from __future__ import annotations

from collections.abc import Iterator

import click

from ann_ckpt.cli.command import Command
from ann_ckpt.cli.params.common import (
    STDIN,
    checkpoint_option,
    coloured,
    global_only_option,
    load_any,
    open_checkpoint,
    output_option,
    write_text,
)
from ann_ckpt.errors import CheckpointError, OptionError, SchemaUnusableError
from ann_ckpt.params.api import schema_of
from ann_ckpt.params.checking.checker import MOST_FINDINGS, Checked
from ann_ckpt.params.reports import REPORTS
from ann_ckpt.params.reports.human import human
from ann_ckpt.params.run import Checkers, expanded, unreadable, unusable_checkpoint
from ann_ckpt.params.schema.engine import ENGINES
from ann_ckpt.params.schema.schema import Schema

__all__ = ["validate"]


@click.command(
    cls=Command,
    examples=[
        (
            "ann-ckpt params extract demo.h5 | ann-ckpt params validate - --checkpoint demo.h5",
            "check standard input against the network of a checkpoint",
        ),
        (
            "ann-ckpt params init demo.h5 && ann-ckpt params validate params.json --format sarif -o found",
            "check a file against the schema that it names, for a code scanning service",
        ),
    ],
)
@click.argument("files", metavar="FILE...", nargs=-1, required=True)
@click.option("--schema", metavar="S", help="The JSON Schema to fit; default is each file's own $schema.")
@checkpoint_option()
@global_only_option()
@click.option(
    "--format", "style", type=click.Choice(list(REPORTS)), default="human", help="Form of the report."
)
@output_option("Write the report to this file instead of standard output.")
@click.option(
    "--limit", type=click.IntRange(1), default=MOST_FINDINGS, help="Findings to keep for each file."
)
@click.option("--engine", type=click.Choice(ENGINES), default="auto", help="Library that evaluates schemas.")
@click.option("--stdin-name", metavar="NAME", default="<stdin>", help="What to call standard input.")
def validate(
    files: tuple[str, ...],
    *,
    schema: str | None,
    checkpoint: str | None,
    global_only: bool,
    style: str,
    output: str | None,
    limit: int,
    engine: str,
    stdin_name: str,
) -> int:
    """Check parameter files: syntax, names, types, sizes and bounds.

    FILE is JSON, YAML or ANNarchy's old XML, a quoted glob, or - for standard input.
    All files are checked and everything that is wrong is reported, with line and
    column. The exit status is 0 if there is no error, 1 if there are some, 3 if a file
    cannot be read, 4 if a schema or checkpoint cannot be used; the highest wins.
    """
    if schema is not None and checkpoint is not None:
        raise click.UsageError("--schema and --checkpoint exclude each other")
    given, checked = _target(schema, checkpoint)
    if not checked:
        checkers = Checkers(given, engine=engine, global_only=global_only, limit=limit)
        checked = list(_check(files, checkers, stdin_name))
    if style == "human":
        text = human(checked, colour=output is None and coloured())
    else:
        text = REPORTS[style](checked)
    write_text(text, output)
    return max(file.exit_status for file in checked)


def _target(schema: str | None, checkpoint: str | None) -> tuple[Schema | None, list[Checked]]:
    """Return the schema for all files, if one was asked for, or what is wrong with it."""
    try:
        if checkpoint is not None:
            with open_checkpoint(checkpoint) as opened:
                return schema_of(opened), []
        return (None if schema is None else Schema.load(schema)), []
    except SchemaUnusableError as error:
        return None, [Checked(schema or "", error.findings)]
    except OSError as error:
        return None, [unreadable(checkpoint or schema or "", error)]
    except OptionError:
        raise
    except CheckpointError as error:
        return None, [unusable_checkpoint(checkpoint or "", error)]


def _check(files: tuple[str, ...], checkers: Checkers, stdin_name: str) -> Iterator[Checked]:
    for path in expanded(files):
        if path == STDIN:
            yield checkers.check(load_any(STDIN, stdin_name=stdin_name))
        else:
            yield checkers.check_path(path)
