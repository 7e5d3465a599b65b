"""What the commands on parameter files share: statuses, checkpoints, output."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import click

from ann_ckpt.api import open as open_checkpoint
from ann_ckpt.errors import (
    CheckpointError,
    MissingExtraError,
    NotReadableError,
    OptionError,
    ParameterFileError,
)
from ann_ckpt.format.guard import begins_like_hdf5
from ann_ckpt.params.checking.checker import Checked
from ann_ckpt.params.file import ParameterFile, load, parse
from ann_ckpt.params.reports.human import human
from ann_ckpt.params.text.document import LARGEST
from ann_ckpt.paths import is_file, is_folder
from ann_ckpt.texts import check_text_target, text_file

__all__ = [
    "FINDINGS",
    "STDIN",
    "check_output",
    "checkpoint_option",
    "coloured",
    "global_only_option",
    "is_checkpoint",
    "load_any",
    "open_checkpoint",
    "output_option",
    "print_human",
    "status_of",
    "write_text",
]

FINDINGS, USAGE, UNREADABLE, UNUSABLE, INTERNAL = 1, 2, 3, 4, 5
"""Exit statuses of this group."""

STDIN = "-"
"""How standard input and output are named in place of a file."""

F = TypeVar("F", bound=Callable[..., Any])


def checkpoint_option(*, required: bool = False) -> Callable[[F], F]:
    """Return the option ``--checkpoint``."""
    return click.option(
        "--checkpoint", metavar="C", required=required, help="The checkpoint of the network to fit."
    )


def output_option(meaning: str) -> Callable[[F], F]:
    """Return the option ``--output``."""
    return click.option("-o", "--output", metavar="F", help=meaning)


def global_only_option() -> Callable[[F], F]:
    """Return the option ``--global-only``."""
    return click.option(
        "--global-only",
        is_flag=True,
        help="Refuse parameters with one value per neuron, dendrite or synapse.",
    )


def status_of(error: Exception) -> int:
    """Return the exit status that an error has in this group."""
    statuses = {
        ParameterFileError: FINDINGS,
        OptionError: USAGE,
        MissingExtraError: USAGE,
        OSError: UNREADABLE,
        CheckpointError: UNUSABLE,
    }
    return next((status for kind, status in statuses.items() if isinstance(error, kind)), INTERNAL)


def load_any(path: str, *, stdin_name: str = "<stdin>") -> ParameterFile:
    """Read a parameter file, or with ``-`` standard input."""
    if path == STDIN:
        if sys.stdin is None:
            raise NotReadableError("standard input is closed", where=stdin_name)
        return parse(sys.stdin.buffer.read(LARGEST + 1), path=stdin_name)
    return load(path)


def is_checkpoint(path: str) -> bool:
    """Whether something is a checkpoint rather than a parameter file, told by its first bytes."""
    folder = path.rpartition("@")[0] or path
    if is_folder(folder):
        return True
    try:
        return is_file(path) and begins_like_hdf5(path)
    except CheckpointError:
        return False


def coloured() -> bool:
    """Whether standard output is a terminal that wants colours."""
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def print_human(checked: Sequence[Checked]) -> None:
    """Print findings to standard output."""
    click.echo(human(checked, colour=coloured()), nl=False, color=coloured())


def check_output(output: str | None) -> None:
    """Refuse what :func:`write_text` would, before anything is read that is to be written."""
    if output is not None and output != STDIN:
        check_text_target(output)


def write_text(text: str, output: str | None) -> None:
    """Write to a file, which appears whole or not at all, or to standard output."""
    if output is None or output == STDIN:
        click.echo(text, nl=False)
        return
    with text_file(output) as temporary:
        temporary.write_text(text, encoding="utf-8")
