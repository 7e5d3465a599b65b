"""``ann-ckpt plot``: draws what is at a path, into a file or with characters."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path

import click
from click.shell_completion import CompletionItem

from ann_ckpt import plot as drawing
from ann_ckpt.api import open as open_checkpoint
from ann_ckpt.cli.command import Command, file_argument
from ann_ckpt.cli.output import emit, safe
from ann_ckpt.errors import OptionError, printable
from ann_ckpt.format.layout import escape
from ann_ckpt.looking.choice import drawable, pictures
from ann_ckpt.looking.pictures import Picture
from ann_ckpt.looking.text import drawn
from ann_ckpt.paths import spoken
from ann_ckpt.report import count
from ann_ckpt.store.history import history
from ann_ckpt.store.opening import place_in_store
from ann_ckpt.store.store import CheckpointStore
from ann_ckpt.texts import check_text_target, text_file

__all__ = ["plot"]


def _complete(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Complete paths inside the file that lead to a picture."""
    with contextlib.suppress(Exception), open_checkpoint(str(ctx.params.get("file"))) as checkpoint:
        paths = [f"populations/{escape(name)}" for name in checkpoint.populations]
        paths += [f"projections/{escape(name)}" for name in checkpoint.projections]
        paths += drawable(checkpoint)
        for name, recording in checkpoint.recordings.items():
            base = f"recordings/{escape(name)}"
            paths += [base, *(f"{base}/{escape(variable)}" for variable in recording)]
        return [CompletionItem(path) for path in paths if path.startswith(incomplete)]
    return []


_ENDINGS = (".png", ".svg", ".pdf")


@click.command(
    cls=Command,
    examples=[
        (
            "ann-ckpt plot demo.h5 projections/forward/w -o forward.png",
            "weights: distribution, matrix, fields",
        ),
        ("ann-ckpt plot demo.h5 populations/layer/r", "a small picture in the terminal"),
        ("ann-ckpt plot demo.h5 projections/lateral -o lateral.svg", "which neurons are connected"),
        ("ann-ckpt plot run.ckpt projections/forward/w -o drift.png", "of a store, how it changed besides"),
    ],
)
@file_argument
@click.argument("path", shell_complete=_complete)
@click.option("-o", "--output", metavar="PICTURE", help="A file: .png, .svg or .pdf, through the extra plot.")
def plot(file: str, path: str, *, output: str | None) -> None:
    """Draw what is at a path: a population, a projection or an attribute.

    PATH is populations/NAME or projections/NAME, either with an attribute behind it,
    projections/NAME/delays, or recordings/NAME, with a variable behind it or without. Of a
    large array a part is read, spread evenly, and the picture says so. Without a file, a small
    picture of characters is printed.
    """
    if output is not None:
        if Path(output).suffix.lower() not in _ENDINGS:
            raise OptionError(
                f"{printable(output)!r} is not a picture format",
                details={"expected": ", ".join(_ENDINGS)},
            )
        check_text_target(output, what="a picture")
    with open_checkpoint(file) as checkpoint:
        # In characters, a few fields that can be made out; in a file, every neuron as long as there is room.
        made = (
            pictures(checkpoint, path, fields=4)
            if output is None
            else pictures(checkpoint, path, side=drawing.SIDE)
        )
    made += _over_time(file, path)
    if output is None:
        plain = not (sys.stdout.encoding or "").lower().startswith("utf")
        for picture in made:
            emit("", *(safe(line, 400) for line in drawn(picture, plain=plain)))
        return
    figure = drawing.figure(made, title=f"{spoken(file)}: {path}")
    with text_file(Path(output), what="a picture") as temporary:
        figure.savefig(temporary, format=Path(output).suffix[1:].lower())
    emit(f"{count(len(made), 'picture')} in {safe(output, 400)}")


def _over_time(file: str, path: str) -> list[Picture]:
    """Return the history of an attribute, if a whole store was named and it is an attribute."""
    place = path.strip("/")
    if place.startswith("recordings/") or place.count("/") < 2:
        return []
    found = place_in_store(file)
    if found is None or found[1] is not None:
        return []
    return [history(CheckpointStore(file).checkpoints, path)]
