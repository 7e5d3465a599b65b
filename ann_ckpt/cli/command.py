"""Base of all commands: examples in the help, common options, exit statuses."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
from click.shell_completion import CompletionItem

from ann_ckpt.errors import CheckpointError

__all__ = ["Command", "complete_files", "file_argument", "isolate_option", "json_option", "report_error"]


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

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read arguments as click does; where one is missing, a whole command line is shown."""
        try:
            return super().parse_args(ctx, args)
        except click.MissingParameter as error:
            if not self.examples:
                raise
            said = f"For example: {self.examples[0][0]}"
            raise click.MissingParameter(said, ctx=error.ctx, param=error.param) from None

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


def complete_files(_: click.Context, __: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Complete the path of a file or store, and behind the ``@`` of a store its tags, then its steps."""
    head, at, which = incomplete.rpartition("@")
    if at and (offered := _checkpoints(head)):
        found = {f"{head}@{name}": said for name, said in offered.items() if name.startswith(which)}
        return [CompletionItem(path, help=said) for path, said in found.items()]
    return [CompletionItem(incomplete, type="file")]


def _checkpoints(path: str) -> dict[str, str]:
    """Return what may stand behind the ``@`` of a store, newest first, with when it was saved."""
    from ann_ckpt.store.series import SeriesView

    try:
        infos = SeriesView(Path(path).expanduser()).checkpoints[::-1]
    except Exception:  # noqa: BLE001 - nothing is said in the middle of a line that somebody types
        return {}
    tags = {info.tag: info.created for info in infos if info.tag is not None}
    steps = {str(info.slot.step): info.created for info in infos}
    return tags | steps


# A plain string, not click.Path: what cannot be opened is an error of the library, with its own status.
file_argument = click.argument("file", metavar="FILE", shell_complete=complete_files)
isolate_option = click.option(
    "--isolate/--no-isolate",
    default=True,
    help="Read a file of ANNarchy's own in a process with limits on memory and time.  [default: isolate]",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON document instead of text.")
