"""``ann-ckpt params validate``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

import click

from ann_ckpt.cli.command import Command
from ann_ckpt.cli.params.common import (
    FINDINGS,
    STDIN,
    check_output,
    checkpoint_option,
    coloured,
    global_only_option,
    load_any,
    open_checkpoint,
    output_option,
    write_text,
)
from ann_ckpt.errors import (
    CheckpointError,
    MissingExtraError,
    OptionError,
    SchemaUnusableError,
    printable,
)
from ann_ckpt.params.api import schema_of
from ann_ckpt.params.checking.checker import MOST_FINDINGS, Checked
from ann_ckpt.params.config import (
    Config,
    dump_baseline,
    find_config,
    load_baseline,
    load_config,
    may_be_ignored,
)
from ann_ckpt.params.reports import REPORTS
from ann_ckpt.params.reports.human import human
from ann_ckpt.params.run import (
    SCHEMA_SUFFIX,
    STDIN_NAME,
    Checkers,
    expanded,
    unreadable,
    unusable_checkpoint,
    users_of,
)
from ann_ckpt.params.schema.engine import ENGINES
from ann_ckpt.params.schema.schema import Schema
from ann_ckpt.params.text.document import MOST_PROBLEMS

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
@click.argument("files", metavar="[FILE...]", nargs=-1)
@click.option("--schema", metavar="S", help="The JSON Schema to fit; default is each file's own $schema.")
@checkpoint_option()
@click.option("--require-schema", is_flag=True, help="Refuse files that no schema of a network applies to.")
@global_only_option()
@click.option("--strict", is_flag=True, help="Count warnings as errors.")
@click.option(
    "--format", "style", type=click.Choice(list(REPORTS)), default="human", help="Form of the report."
)
@output_option("Write the report to this file instead of standard output.")
@click.option(
    "--report",
    "reports",
    metavar="FORMAT=FILE",
    multiple=True,
    help="Write a report to a file, or to standard output with -; may be given several times.",
)
@click.option(
    "--limit", type=click.IntRange(1), default=MOST_FINDINGS, help="Findings to keep for each file."
)
@click.option(
    "--config", metavar="F", help="Settings; default is ann-ckpt.toml or pyproject.toml, here or above."
)
@click.option("--no-config", is_flag=True, help="Use no settings of a project.")
@click.option("--baseline", metavar="F", help="Leave out the findings that this file lists.")
@click.option("--write-baseline", metavar="F", help="List all findings of today in this file.")
@click.option("--at", metavar="KEYS", help="Where in each file the parameters stand, such as model.params.")
@click.option(
    "--follow-schemas",
    is_flag=True,
    help="For a schema among the files, check the files below this folder that name it.",
)
@click.option("--engine", type=click.Choice(ENGINES), default="auto", help="Library that evaluates schemas.")
@click.option("--stdin-name", metavar="NAME", default=STDIN_NAME, help="What to call standard input.")
def validate(
    files: tuple[str, ...],
    *,
    schema: str | None,
    checkpoint: str | None,
    require_schema: bool,
    global_only: bool,
    strict: bool,
    style: str,
    output: str | None,
    reports: tuple[str, ...],
    limit: int,
    config: str | None,
    no_config: bool,
    baseline: str | None,
    write_baseline: str | None,
    at: str | None,
    follow_schemas: bool,
    engine: str,
    stdin_name: str,
) -> int:
    """Check parameter files: syntax, names, types, sizes, bounds, units and rules.

    FILE is JSON, YAML or ANNarchy's old XML, a quoted glob, or - for standard input;
    default are the files of the project's settings. All files are checked and everything
    that is wrong is reported, with line and column. The exit status is 0 if there is no
    error, 1 if there are some, 3 if a file cannot be read, 4 if a schema or checkpoint
    cannot be used; the highest wins.
    """
    if schema is not None and checkpoint is not None:
        raise click.UsageError("--schema and --checkpoint exclude each other")
    if write_baseline is not None and (reports or output is not None or style != "human"):
        raise click.UsageError("--write-baseline writes no report; leave out --report, --output and --format")
    outputs = _outputs(style, output, reports)
    check_output(write_baseline)
    settings = _settings(config, no_config=no_config, strict=strict)
    files = _files(files, settings, follow_schemas=follow_schemas)
    given, checked = _target(schema, checkpoint)
    if not checked:
        known = baseline or (None if settings.baseline is None else settings.within(settings.baseline))
        checkers = Checkers(
            given,
            schema_name=schema or checkpoint or "",
            engine=engine,
            global_only=global_only,
            require_schema=require_schema,
            limit=limit if write_baseline is None else MOST_PROBLEMS,
            config=settings,
            baseline=frozenset() if known is None or write_baseline else load_baseline(known),
        )
        checked = list(_check(files, checkers, stdin_name, at))
    if write_baseline is not None:
        return _write_baseline(checked, write_baseline)
    for form, target in outputs:
        _write(form, checked, target)
    if all(target not in {None, STDIN} for _, target in outputs):
        # The log of a job shows what is wrong, whatever its reports are for.
        click.echo(human(checked), nl=False, err=True)
    return max((file.exit_status for file in checked), default=0)


def _outputs(style: str, output: str | None, reports: tuple[str, ...]) -> list[tuple[str, str | None]]:
    """Return the form of each report and where it goes; None for standard output."""
    asked: list[tuple[str, str | None]] = []
    for report in reports:
        form, equals, target = report.partition("=")
        if form not in REPORTS or not equals or not target:
            raise click.UsageError(
                f"--report {printable(report, 80)}: expected FORMAT=FILE, FORMAT of {', '.join(REPORTS)}"
            )
        asked.append((form, target))
    if not asked or output is not None or style != "human":
        asked.append((style, output))
    for _, place in asked:
        check_output(place)
    if sum(target in {None, STDIN} for _, target in asked) > 1:
        raise click.UsageError("only one report can go to standard output")
    return asked


def _files(given: tuple[str, ...], settings: Config, *, follow_schemas: bool) -> tuple[str, ...]:
    """Return the files to check: those that were named or stand in the settings."""
    if not given:
        if not settings.files:
            raise click.UsageError("name the files to check, or list them under files in the settings")
        return tuple(settings.files)
    schemas = [f for f in given if follow_schemas and f.endswith(SCHEMA_SUFFIX)]
    return (*(f for f in given if f not in schemas), *(users_of(schemas) if schemas else ()))


def _write_baseline(checked: list[Checked], target: str) -> int:
    """Write the baseline, say what it cannot list, and return the exit status."""
    write_text(dump_baseline(checked), target)
    click.echo(f"wrote {printable(target, 400)}", err=True)
    unlisted = [
        replace(one, findings=left)
        for one in checked
        if (left := tuple(f for f in one.findings if not may_be_ignored(f.rule))) or one.dropped
    ]
    if unlisted:
        click.echo(human(unlisted), nl=False, err=True)
    return max((one.exit_status or FINDINGS for one in unlisted), default=0)


def _settings(config: str | None, *, no_config: bool, strict: bool) -> Config:
    if config is not None and no_config:
        raise click.UsageError("--config and --no-config exclude each other")
    path = config or (None if no_config else find_config())
    settings = Config() if path is None else load_config(path)
    return replace(settings, strict=settings.strict or strict)


def _write(form: str, checked: list[Checked], target: str | None) -> None:
    if form == "human":
        text = human(checked, colour=target in {None, STDIN} and coloured())
    else:
        text = REPORTS[form](checked)
    write_text(text, target)


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


def _check(files: Iterable[str], checkers: Checkers, stdin_name: str, at: str | None) -> Iterator[Checked]:
    for path in expanded(files):
        if path == STDIN:
            try:
                read = load_any(STDIN, stdin_name=stdin_name)
            except (OSError, MissingExtraError) as error:
                yield unreadable(stdin_name, error)
            else:
                yield checkers.check(read, at=at)
        else:
            yield checkers.check_path(path, at=at)
