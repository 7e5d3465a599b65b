"""``ann-ckpt report``: a page about a network or a run."""

from __future__ import annotations

import contextlib
import sys
import time
from pathlib import Path

import click

from ann_ckpt.cli.command import Command, complete_files
from ann_ckpt.cli.output import emit, safe
from ann_ckpt.errors import OptionError, printable
from ann_ckpt.page.report import report_page
from ann_ckpt.paths import address_of
from ann_ckpt.report import human_bytes
from ann_ckpt.store.folder import StoreFolder
from ann_ckpt.store.opening import split_store_path
from ann_ckpt.texts import check_text_target, text_file

__all__ = ["report"]


@click.command(
    cls=Command,
    examples=[
        ("ann-ckpt report run.ckpt -o run.html", "a run: its network, its history, what changed"),
        ("ann-ckpt report demo.h5 -o demo.html --compare run.ckpt@0", "two networks, for a pull request"),
    ],
)
@click.argument("source", metavar="SOURCE", shell_complete=complete_files)
@click.option("-o", "--output", metavar="FILE.html", required=True, help="Where to write the page.")
@click.option(
    "--compare",
    metavar="OLD",
    shell_complete=complete_files,
    help="What to compare with.  [default: the first checkpoint of a store]",
)
@click.option("--follow", is_flag=True, help="Write the page anew with each checkpoint, until interrupted.")
@click.option(
    "--poll",
    type=click.FloatRange(min=0.01),
    default=2.0,
    metavar="SECONDS",
    help="How often --follow looks for a new checkpoint.  [default: 2]",
)
def report(source: str, *, output: str, compare: str | None, follow: bool, poll: float) -> None:
    """Write a page about a network or a run: one HTML file that needs nothing else.

    SOURCE is a checkpoint, a store or a checkpoint in one. Of large arrays a part is read, and the
    page says so. It can be read, printed and used with the keyboard without scripts.
    """
    if output == "-":
        raise OptionError(
            "cannot write to standard output",
            details={"expected": "a file", "hint": "a file called - is ./-"},
        )
    check_text_target(output, what="a page")
    found = None if address_of(source) else split_store_path(source)
    if follow and (found is None or found[1] is not None):
        raise OptionError(
            f"{printable(source)!r} is not a store on this machine",
            details={"hint": "--follow waits for checkpoints of one"},
        )
    folder = found[0] if found is not None else None
    while True:
        # Looked at first: what is saved while the page is made makes another one.
        seen = None if folder is None else _newest(folder)
        _write(source, output, compare)
        if not follow or folder is None:
            return
        while _newest(folder) == seen:
            time.sleep(poll)


def _newest(folder: StoreFolder) -> list[tuple[str, int]]:
    """Return what tells the newest checkpoint of a store from another one."""
    found = []
    for slot in list(folder.slots())[-1:]:
        with contextlib.suppress(FileNotFoundError):
            found.append((slot.name, folder.checkpoint_path(slot).stat().st_mtime_ns))
    return found


def _write(source: str, output: str, compare: str | None) -> None:
    page = report_page(source, compare=compare).encode()
    with text_file(Path(output), what="a page") as temporary:
        temporary.write_bytes(page)
    emit(f"{safe(output, 400)}: {human_bytes(len(page))}")
    sys.stdout.flush()  # who follows a run in a pipe hears of each page
