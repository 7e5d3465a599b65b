"""``ann-ckpt demo``: saves, reads, loads and continues a small network."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from ann_ckpt.cli.command import Command, json_option
from ann_ckpt.cli.output import emit, facts, print_json, safe
from ann_ckpt.demo.tour import TourStep, tour
from ann_ckpt.report import human_bytes

__all__ = ["demo"]


@click.command(
    cls=Command,
    examples=[
        ("ann-ckpt demo", "leaves its file in ./demo, to look at afterwards"),
        ("ann-ckpt demo --dir elsewhere --json", "in another folder, for a script"),
    ],
)
@click.option(
    "--dir",
    "folder",
    default="demo",
    show_default=True,
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder for the file; made if it is not there.",
)
@json_option
def demo(folder: Path, *, as_json: bool) -> None:
    """Save, read and continue a small network; needs no simulator.

    A small plastic network is simulated, saved, opened lazily, loaded into a fresh
    network and continued there; the result is compared bit for bit with the run that
    was never interrupted.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "demo.h5"
    if as_json:
        print_json([asdict(step) for step in tour(path)])
        return
    for number, step in enumerate(tour(path), start=1):
        emit(_line(number, step))
    lines = facts()
    lines.add_row("what is inside", f"ann-ckpt info {safe(path)}")
    lines.add_row("some weights", f"ann-ckpt show {safe(path)} projections/forward --rows 210:212")
    lines.add_row("stock tools", f"h5dump -n {safe(path)}")
    emit("", lines)


def _line(number: int, step: TourStep) -> str:
    touched = f"{human_bytes(step.bytes_touched)} {step.where}"
    return f"[dim]{number}[/] [bold]{step.name:<9}[/] {safe(step.text):<66} [cyan]{touched:>19}[/]"
