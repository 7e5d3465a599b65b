"""Writes texts, tables and pictures, which replace no checkpoint."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from ann_ckpt.durable import atomic_write, check_target
from ann_ckpt.errors import NotWritableError
from ann_ckpt.format.guard import SIGNATURE

__all__ = ["check_text_target", "not_replaced", "text_file"]


def check_text_target(target: str | os.PathLike[str], *, what: str = "a text") -> None:
    """Refuse an output path for a text, a table or a picture, where a checkpoint would be overwritten.

    To be asked before anything is read or computed that is to be written there.

    Raises
    ------
    OptionError
        If it is not a path on this machine.
    NotWritableError
        If it cannot be written, or holds an HDF5 file.
    """
    final = check_target(target)
    try:
        with final.open("rb") as file:
            begins = file.read(len(SIGNATURE))
    except OSError:  # nothing there, or what may be replaced and not be read
        return
    if begins == SIGNATURE:
        raise NotWritableError(
            f"the file that is there is an HDF5 file, not {what}",
            details={"hint": "remove it first, or choose another name"},
            where=target,
        )


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
