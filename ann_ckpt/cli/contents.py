"""``ann-ckpt ls`` and ``ann-ckpt tree``: list what a checkpoint contains."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable

import click
import numpy as np
from rich.tree import Tree

from ann_ckpt.api import open as open_checkpoint
from ann_ckpt.cli.command import Command, file_argument, json_option
from ann_ckpt.cli.entries import Entry, entries
from ann_ckpt.cli.output import emit, number, print_json, safe, shape, table
from ann_ckpt.report import human_bytes

__all__ = [
    "ls",
    "tree",
]


@click.command(
    cls=Command,
    examples=[
        ("ann-ckpt ls demo.h5", "everything that has values"),
        ("ann-ckpt ls demo.h5 'projections/*/w'", "all weights"),
        ("ann-ckpt ls demo.h5 populations --json", "one part, for a script"),
    ],
)
@file_argument
@click.argument("pattern", required=False)
@json_option
def ls(file: str, pattern: str | None, *, as_json: bool) -> None:
    """List every array with its type, shape and size.

    PATTERN is a path, of which everything below is listed, or a glob. The column
    "stored" is the size in the file after compression; it is empty where several
    single values are packed together.
    """
    with open_checkpoint(file) as checkpoint:
        found = [e for e in entries(checkpoint) if pattern is None or _matches(e, pattern)]
        if as_json:
            print_json([entry.to_dict() for entry in found])
            return
        columns = ("path", "kind", "type", "shape", "size", "stored")
        listing = table(*columns, right=("size", "stored"))
        for entry in found:
            storage = entry.storage
            listing.add_row(
                safe(entry.path, 400),
                f"{entry.locality} {entry.kind}".strip(),
                str(entry.values.dtype),
                shape(entry.values.shape),
                human_bytes(entry.nbytes),
                human_bytes(storage.stored_bytes) if storage else "",
            )
        emit(listing)


def _matches(entry: Entry, pattern: str) -> bool:
    wanted = pattern.strip("/")
    return (
        entry.path == wanted or entry.path.startswith(f"{wanted}/") or fnmatch.fnmatchcase(entry.path, wanted)
    )


@click.command(
    cls=Command,
    examples=[
        ("ann-ckpt tree demo.h5", "the whole network at one look"),
        ("ann-ckpt tree demo.h5 --json", "nested objects, for a script"),
    ],
)
@file_argument
@json_option
def tree(file: str, *, as_json: bool) -> None:
    """Show what ls lists as a tree, single values included."""
    with open_checkpoint(file) as checkpoint:
        found = list(entries(checkpoint))
        if as_json:
            print_json(_nested(found))
            return
        emit(_drawn(safe(checkpoint.path, 400), found))


def _nested(found: Iterable[Entry]) -> dict[str, object]:
    root: dict[str, object] = {}
    for entry in found:
        *parents, name = entry.path.split("/")
        place = root
        for parent in parents:
            below = place.setdefault(parent, {})
            assert isinstance(below, dict)  # noqa: S101  only entries, added below, are leaves
            place = below
        place[name] = entry.to_dict()
    return root


def _drawn(title: str, found: Iterable[Entry]) -> Tree:
    root = Tree(f"[bold]{title}[/]", guide_style="dim")
    branches = {"": root}
    for entry in found:
        parts = entry.path.split("/")
        for depth in range(1, len(parts)):
            path = "/".join(parts[:depth])
            if path not in branches:
                above = branches["/".join(parts[: depth - 1])]
                branches[path] = above.add(f"[bold]{safe(parts[depth - 1])}[/]")
        branches["/".join(parts[:-1])].add(_leaf(entry))
    return root


def _leaf(entry: Entry) -> str:
    if not entry.values.shape:
        return f"{safe(entry.name)} = [cyan]{number(np.asarray(entry.values)[()])}[/]"
    kind = f"{entry.values.dtype} {shape(entry.values.shape)}"
    return f"{safe(entry.name)} [dim]{kind}, {human_bytes(entry.nbytes)}[/]"
