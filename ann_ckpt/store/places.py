"""What a path with a store in it means: ``run.ckpt``, ``run.ckpt@1000``, ``run.ckpt@tag``."""

from __future__ import annotations

import os
import re
from pathlib import Path

from ann_ckpt.errors import OptionError, printable
from ann_ckpt.paths import absolute, local_path
from ann_ckpt.store.folder import SUFFIX, StoreFolder

__all__ = ["check_tag", "is_step", "split_store_path", "store_target"]

_STEP = re.compile(r"\d+(-\d+)?")
_TAG_LENGTH = 100


def split_store_path(path: str | os.PathLike[str]) -> tuple[StoreFolder, str | None] | None:
    """Split a path at the ``@`` behind a store; None where there is no store in it.

    What exists under the whole name is meant by it, whatever characters the name has; and what
    would lie in a folder that exists is not a tag with a ``/`` in it.

    Raises
    ------
    OptionError
        If it is no path of this machine.

    Returns
    -------
    folder, which
        ``which`` is None where the path names the store alone.
    """
    text = local_path(path)
    if os.path.lexists(text):
        folder = StoreFolder(absolute(text))
        return (folder, None) if folder.exists() else None
    head, _, which = text.rpartition("@")
    if not head or ("/" in which and Path(text).parent.is_dir()):
        return None
    folder = StoreFolder(absolute(head))
    return (folder, which) if folder.exists() else None


def store_target(path: str | os.PathLike[str]) -> tuple[str, str | None] | None:
    """Say which store, and with which tag, is meant by saving to ``path``; None for a plain file.

    A store is meant where there is one, and where the last part of the path ends in ``.ckpt``,
    whatever stands there: opening the store says what is wrong with it.

    Raises
    ------
    OptionError
        If it is no path of this machine.
    """
    place = split_store_path(path)
    if place is not None:
        return os.fspath(place[0].path), place[1]
    text = local_path(path)
    whole = text.rstrip("/") or text
    if whole.endswith(SUFFIX):
        return whole, None
    folder, slash, name = text.rpartition("/")
    head, at, tag = name.partition(f"{SUFFIX}@")
    if not at or os.path.lexists(text):
        return None
    return f"{folder}{slash}{head}{SUFFIX}", tag


def is_step(which: str) -> bool:
    """Whether what stands behind ``@`` is a step, or a checkpoint's own name, and not a tag."""
    return len(which) <= _TAG_LENGTH and _STEP.fullmatch(which) is not None


def check_tag(tag: str) -> str:
    """Return a tag that can stand behind ``@`` without meaning something else.

    Raises
    ------
    OptionError
        If it is empty, too long, looks like a step, or holds an ``@`` or a control character.
    """
    if not isinstance(tag, str):
        raise OptionError(f"a tag is of type {type(tag).__name__}", details={"expected": "a text (str)"})
    if not 0 < len(tag) <= _TAG_LENGTH or "@" in tag or not tag.isprintable() or is_step(tag):
        raise OptionError(
            f"{printable(tag)!r} cannot be a tag",
            details={"expected": f"up to {_TAG_LENGTH} printable characters, no '@', not just a number"},
        )
    return tag
