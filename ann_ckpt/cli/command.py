"""Base of all commands: examples in the help, common options, exit statuses."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click
from click.shell_completion import CompletionItem

from ann_ckpt.errors import CheckpointError

__all__ = ["Command", "file_argument", "isolate_option", "json_option", "report_error"]


class Command(click.Command):
    """A command whose help ends with examples.

    Parameters
    ----------
    examples : sequence of (str, str)
        A full command line and what it does, in a few words.
    """

    def __init__(self, *args: Any, examples: Sequence[tuple[str, str]] = (), **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.examples = tuple(examples)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the examples below the options."""
        with formatter.section("Examples"):
            for line, meaning in self.examples:
                # Written as they are: a command that the formatter wraps cannot be copied.
                indent = " " * formatter.current_indent
                formatter.write(f"{indent}# {meaning}\n{indent}{line}\n")
        super().format_epilog(ctx, formatter)


def report_error(error: CheckpointError) -> int:
    """Say on standard error what went wrong; return the exit status for it."""
    click.echo(f"error[{error.code}]: {error}", err=True)
    return error.exit_status


def _files(_: click.Context, __: click.Parameter, incomplete: str) -> list[CompletionItem]:
    return [CompletionItem(incomplete, type="file")]


# A plain string, not click.Path: what cannot be opened is an error of the library, with its own status.
file_argument = click.argument("file", metavar="FILE", shell_complete=_files)
isolate_option = click.option(
    "--isolate/--no-isolate",
    default=True,
    help="Read a file of ANNarchy's own in a process with limits on memory and time.  [default: isolate]",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON document instead of text.")
