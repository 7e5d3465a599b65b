"""The group ``ann-ckpt params``."""

from __future__ import annotations

import warnings
from typing import Any

import click

from ann_ckpt.cli.command import report_error
from ann_ckpt.cli.params.change import apply, extract, init
from ann_ckpt.cli.params.common import status_of
from ann_ckpt.cli.params.schema import schema
from ann_ckpt.cli.params.tell import diff, explain, table
from ann_ckpt.cli.params.validate import validate
from ann_ckpt.errors import CheckpointError, printable
from ann_ckpt.params.api import ParameterFileWarning

__all__ = ["params"]


class _Params(click.Group):
    """Gives every error the exit status that scripts around parameter files rely on."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("default", ParameterFileWarning)  # never an error of the program
                warnings.showwarning = _show  # type: ignore[assignment] # of what it gets, one thing is shown
                return super().invoke(ctx)
        except (click.ClickException, click.exceptions.Exit, click.Abort, BrokenPipeError):
            raise
        except CheckpointError as error:
            report_error(error)
            return status_of(error)
        except OSError as error:
            click.echo(f"error[not-readable]: {_said(error)}", err=True)
            return status_of(error)
        except Exception as error:  # noqa: BLE001 - whatever it is, a CI gets one line and one status
            click.echo(f"error[internal]: {type(error).__name__}: {printable(error, 400)}", err=True)
            return status_of(error)


def _show(message: Warning | str, *_: object) -> None:
    """Say a warning of the library as a command does, without the line of code that it came from."""
    click.echo(f"warning: {message}", err=True)


def _said(error: OSError) -> str:
    if error.strerror and error.filename:
        return printable(f"{error.filename}: {error.strerror}", 400)
    return printable(error, 400)


@click.group(cls=_Params)
def params() -> None:
    """Check, compare and apply parameter files.

    The exit status is 0 if all is well, 1 if there are findings, 2 for wrong usage, 3
    if a file is missing or cannot be read or written, 4 if a schema or checkpoint
    cannot be used, 5 after a fault of this program; over several files the highest.
    """


for _command in (validate, schema, diff, apply, extract, init, explain, table):
    params.add_command(_command)
