"""What a path with a store in it means: ``run.ckpt``, ``run.ckpt@1000``, ``run.ckpt@tag``."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from ann_ckpt.errors import FileMissingError, ObjectNotFoundError, OptionError, printable
from ann_ckpt.store.catalog import Catalog, CheckpointInfo
from ann_ckpt.store.folder import STEP_DIGITS, SUFFIX, Slot, StoreFolder

__all__ = ["check_tag", "checkpoint_file", "find", "split_store_path", "store_target"]

_STEP = re.compile(r"(\d+)(?:-(\d+))?")
_TAG_LENGTH = 100


def split_store_path(path: str | os.PathLike[str]) -> tuple[StoreFolder, str | None] | None:
    """Split a path at the ``@`` behind a store; None where there is no store in it.

    What exists under the whole name is meant by it, whatever characters the name has.

    Returns
    -------
    folder, which
        ``which`` is None where the path names the store alone.
    """
    text = os.fspath(path)
    if os.path.lexists(text):
        folder = StoreFolder(Path(text))
        return (folder, None) if folder.exists() else None
    head, _, which = text.rpartition("@")
    folder = StoreFolder(Path(head))
    return (folder, which) if head and folder.exists() else None


def store_target(path: str | os.PathLike[str]) -> tuple[str, str | None] | None:
    """Say which store, and with which tag, is meant by saving to ``path``; None for a plain file.

    A store is meant where there is one, and where nothing is and the name ends in ``.ckpt``.
    """
    place = split_store_path(path)
    if place is not None:
        return os.fspath(place[0].path), place[1]
    text = os.fspath(path)
    head, at, tag = text.partition(f"{SUFFIX}@")
    if os.path.lexists(text) or not (at or text.endswith(SUFFIX)):
        return None
    return (f"{head}{SUFFIX}", tag) if at else (text, None)


def checkpoint_file(path: str | os.PathLike[str]) -> str:
    """Return the checkpoint file that a path means; a path without a store means itself.

    Raises
    ------
    FileMissingError
        If the store is empty.
    ObjectNotFoundError
        If it has no such checkpoint.
    """
    place = split_store_path(path)
    if place is None:
        return os.fspath(path)
    folder, which = place
    if which is not None:
        return find(folder, Catalog(folder), which).path
    slots = folder.slots()
    if not slots:
        raise FileMissingError("the store holds no checkpoint yet", where=printable(folder.path, 400))
    return os.fspath(folder.checkpoint_path(slots[-1]))


def find(folder: StoreFolder, catalog: Catalog, which: str) -> CheckpointInfo:
    """Return the checkpoint of that step, name or tag.

    Twelve digits or more are a name, as ``10-2`` is one without its zeros; it means that
    checkpoint and no other. A shorter number is a step. Of several checkpoints at one
    step, the one that was saved last is meant; so it is with tags.

    Raises
    ------
    ObjectNotFoundError
        If there is none.
    """
    for slot, matches in _candidates(folder.slots(), which):
        info = catalog.look(slot)
        if info is not None and matches(info):
            return info
    raise ObjectNotFoundError.among(
        printable(folder.path.name, 80),
        "checkpoint",
        which,
        _names(catalog.all()),
        where=printable(folder.path, 400),
    )


def _candidates(slots: Sequence[Slot], which: str) -> Iterator[tuple[Slot, Callable[[CheckpointInfo], bool]]]:
    """Where to look, newest first, and how to tell that it is there; a file is opened only if need be."""
    number = _STEP.fullmatch(which)
    if number is None or len(which) > _TAG_LENGTH:
        for slot in reversed(slots):
            yield slot, lambda info: info.tag == which
    elif number[2] is not None or len(which) >= STEP_DIGITS:
        named = Slot(int(number[2] or 0), int(number[1]))
        if named in slots:
            yield named, lambda _: True
    else:
        step = int(number[1])
        for slot in reversed(slots):
            if slot.step == step:
                yield slot, lambda info: _step(info) == step


def check_tag(tag: str) -> str:
    """Return a tag that can stand behind ``@`` without meaning something else.

    Raises
    ------
    OptionError
        If it is empty, too long, looks like a step, or holds an ``@`` or a control character.
    """
    if not 0 < len(tag) <= _TAG_LENGTH or "@" in tag or not tag.isprintable() or _STEP.fullmatch(tag):
        raise OptionError(
            f"{printable(tag)!r} cannot be a tag",
            details={"expected": f"up to {_TAG_LENGTH} printable characters, no '@', not just a number"},
        )
    return tag


def _names(infos: Sequence[CheckpointInfo]) -> list[str]:
    """What can stand behind ``@``, newest first, for messages."""
    tags = [info.tag for info in reversed(infos) if info.tag is not None]
    steps = [info.slot.name if (step := _step(info)) is None else str(step) for info in reversed(infos)]
    return list(dict.fromkeys(tags + steps))


def _step(info: CheckpointInfo) -> int | None:
    """Time step; of a damaged file the one in its name, so that whoever asks for it learns of the damage."""
    return info.time_step if info.problem is None else info.slot.step
