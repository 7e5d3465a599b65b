"""``ann-ckpt verify``: compares everything with its digests."""

from __future__ import annotations

from typing import Any

import click

from ann_ckpt.api import verify as verify_file
from ann_ckpt.cli.command import Command, json_option, report_error
from ann_ckpt.cli.output import emit, print_json, progress_bar, safe
from ann_ckpt.errors import CheckpointError, CorruptFileError
from ann_ckpt.report import VerifyReport

__all__ = ["verify"]


@click.command(
    cls=Command,
    examples=[
        ("ann-ckpt verify demo.h5", "check one file"),
        ("ann-ckpt verify *.h5 --json", "check many, for a script"),
        ("ann-ckpt verify run.ckpt", "check every checkpoint of a store"),
    ],
)
@click.argument("files", metavar="FILE...", nargs=-1, required=True)
@json_option
def verify(files: tuple[str, ...], *, as_json: bool) -> int:
    """Read everything and check it against its digests.

    Every damaged array is named. All files are checked, whatever is found on the
    way; the exit status is 0 if all are intact, else the highest one met (5 for a
    damaged file).
    """
    status = 0
    documents: list[dict[str, Any]] = []
    for file in files:
        try:
            with progress_bar("verifying") as progress:
                report = verify_file(file, progress=progress)
        except CheckpointError as error:
            status = max(status, report_error(error))
            documents.append({"path": file, "ok": False, "error": error.code, "text": error.fact})
            continue
        documents.append({"ok": report.ok, **report.to_dict()})
        if not report.ok:
            status = max(status, CorruptFileError.exit_status)
        if not as_json:
            _print(report)
    if as_json:
        print_json(documents)
    return status


def _print(report: VerifyReport) -> None:
    colour = "green" if report.ok else "bold red"
    damaged = (f"  {safe(note.path, 400)}: {safe(note.text, 400)}" for note in report.damaged)
    emit(f"[{colour}]{safe(report.headline(), 1000)}[/]", *damaged)
