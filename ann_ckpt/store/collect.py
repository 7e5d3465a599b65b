"""Removing checkpoints, and the objects that nobody needs any more.

Checkpoint files go first, and durably: whatever interrupts this, no checkpoint that is
there lacks an object. The caller holds the change lock, so nobody is saving.
"""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path

from ann_ckpt.durable import fsync_folder
from ann_ckpt.errors import CorruptFileError, NotWritableError, printable
from ann_ckpt.store.catalog import CheckpointInfo
from ann_ckpt.store.folder import StoreFolder

__all__ = ["collect", "remove", "unneeded"]


def unneeded(folder: StoreFolder, staying: Iterable[CheckpointInfo]) -> dict[str, int]:
    """Return the objects that none of ``staying`` refers to, with their sizes in bytes.

    Raises
    ------
    CorruptFileError
        If one of ``staying`` cannot be read, so that nobody knows what it needs.
    """
    needed: set[str] = set()
    for info in staying:
        if info.problem is not None:
            raise CorruptFileError(
                "a checkpoint cannot be read, so no object is known to be unneeded",
                details={
                    "found": info.problem,
                    "hint": "restore the file, or remove it by hand if it is lost",
                },
                where=info.path,
            )
        needed.update(info.objects)
    found = {}
    for path in folder.object_files():
        if path.stem not in needed:
            with contextlib.suppress(FileNotFoundError):
                found[path.stem] = path.lstat().st_size
    return found


def remove(folder: StoreFolder, doomed: Sequence[CheckpointInfo]) -> None:
    """Remove checkpoint files, durably.

    Raises
    ------
    NotWritableError
        If the system refuses.
    """
    _remove([folder.checkpoint_path(info.slot) for info in doomed])


def collect(folder: StoreFolder, objects: Collection[str]) -> None:
    """Remove objects, and whatever interrupted saves left, durably.

    Without that, a power cut could bring them back after the lock is gone that tells of them.

    Raises
    ------
    NotWritableError
        If the system refuses.
    """
    _remove([*folder.leftovers(), *(folder.object_path(name) for name in objects)])


def _remove(doomed: Sequence[Path]) -> None:
    """Remove all files that can be removed; then say if some could not."""
    refused: list[tuple[Path, OSError]] = []
    for path in doomed:
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            refused.append((path, error))
    for parent in sorted({path.parent for path in doomed}):
        try:
            with contextlib.suppress(FileNotFoundError):
                fsync_folder(parent)
        except OSError as error:
            refused.append((parent, error))
    if refused:
        where, first = refused[0]
        raised = NotWritableError(
            f"cannot remove: {first.strerror or first}",
            details={
                "found": f"of {len(doomed)} files to be removed, {len(refused)} could not be",
                "kept": "every checkpoint that is there is complete",
                "hint": "gc, or the next save, removes what is left",
            },
            where=printable(where, 400),
        )
        raised.errno = first.errno
        raise raised from first
