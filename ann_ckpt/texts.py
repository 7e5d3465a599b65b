"""Writes texts, tables and pictures, which replace no checkpoint and nothing of a store."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from ann_ckpt.adapters.formats import format_of
from ann_ckpt.durable import atomic_write, check_target
from ann_ckpt.errors import CheckpointError, NotWritableError, printable
from ann_ckpt.format.guard import begins_like_hdf5
from ann_ckpt.paths import is_file

__all__ = ["check_text_target", "not_replaced", "text_file"]


_OF_STORES = ("store.json", "checkpoints", "objects", "shards", "catalog", "unswept", "lock", "lock.change")


def check_text_target(target: str | os.PathLike[str], *, what: str = "a text") -> None:
    """Refuse an output path for a text, a table or a picture, where a checkpoint would be overwritten.

    To be asked before anything is read or computed that is to be written there.

    Raises
    ------
    OptionError
        If it is not a path on this machine.
    NotWritableError
        If it cannot be written, holds an HDF5 file or one of a program that networks are read of, or is
        where a store keeps its own.
    """
    final = check_target(target)
    if (store := _store_with(final)) is not None:
        raise NotWritableError(
            "the path belongs to a store",
            details={"found": printable(store, 400), "hint": "choose another name"},
            where=target,
        )
    try:
        if begins_like_hdf5(final):
            kind = "an HDF5 file"
        elif (found := format_of(final)) is not None:
            kind = f"one of {found.program}"
        else:
            return
    except CheckpointError:  # nothing there, or what may be replaced and not be read
        return
    raise NotWritableError(
        f"the file that is there is {kind}, not {what}",
        details={"hint": "remove it first, or choose another name"},
        where=target,
    )


def _store_with(path: Path) -> Path | None:
    """Return the store that keeps a file of its own at a path."""
    for folder in path.parents:
        if path.relative_to(folder).parts[0] in _OF_STORES and is_file(folder / "store.json"):
            return folder
    return None


def not_replaced(path: str | os.PathLike[str], *, what: str, reason: str) -> NotWritableError:
    """Return the error that a file cannot be read as what is to be written there, and would be lost."""
    return NotWritableError(
        f"the file that is there cannot be read as {what}, and is not replaced",
        details={"reason": reason, "hint": "mend it, or remove it first, or choose another name"},
        where=path,
    )


@contextlib.contextmanager
def text_file(target: str | os.PathLike[str], *, what: str = "a text") -> Iterator[Path]:
    """Yield a temporary path, as :func:`~ann_ckpt.durable.atomic_write`, after :func:`check_text_target`."""
    check_text_target(target, what=what)
    with atomic_write(target) as temporary:
        yield temporary
