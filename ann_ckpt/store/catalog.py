"""Lists the checkpoints of a store from their headers, without reading values."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ann_ckpt.errors import CheckpointError, FileMissingError, NotReadableError, printable
from ann_ckpt.format.checked import reading_threads
from ann_ckpt.lazy import Checkpoint
from ann_ckpt.paths import address_of
from ann_ckpt.store.bucket import Bucket
from ann_ckpt.store.folder import Slot, StoreFolder
from ann_ckpt.store.inside import check_file

__all__ = ["Catalog", "CheckpointInfo", "added_bytes", "open_inside"]


@dataclass(frozen=True, slots=True)
class CheckpointInfo:
    """Summary of one checkpoint of a store."""

    name: str
    """``000000001000``; what stands behind ``@`` in a path may be this, the step or the tag."""
    slot: Slot
    path: str
    time_step: int | None
    time_ms: float | None
    tag: str | None
    created: str
    """UTC, ISO 8601."""
    file_bytes: int
    """Size of the checkpoint file itself."""
    objects: Mapping[str, int] = field(repr=False)
    """Size of each object that it refers to."""
    problem: str | None = None
    """Why its file cannot be read; everything but name, path and size is unknown then."""

    def to_dict(self) -> dict[str, Any]:
        """Return the summary as plain data, ready for JSON."""
        return {
            "name": self.name,
            "time_step": self.time_step,
            "time_ms": self.time_ms,
            "tag": self.tag,
            "created": self.created,
            "problem": self.problem,
        }


def open_inside(path: str | os.PathLike[str]) -> Checkpoint:
    """Open a checkpoint file of a store; it must be a regular file.

    Raises
    ------
    FileMissingError
        If there is nothing.
    UnsafeFileError, NotReadableError
        If something else stands there.
    """
    if address_of(path) is None:
        check_file(Path(path))
    return Checkpoint(path)


def added_bytes(infos: Sequence[CheckpointInfo]) -> list[int]:
    """Return how much each checkpoint added to the store: its file, and objects not needed before.

    Parameters
    ----------
    infos : sequence of CheckpointInfo
        A whole series, oldest first.
    """
    known: set[str] = set()
    added = []
    for info in infos:
        new = {name: size for name, size in info.objects.items() if name not in known}
        known.update(new)
        added.append(info.file_bytes + sum(new.values()))
    return added


class Catalog:
    """All checkpoints of a store; each header is read once.

    A checkpoint file never changes under its name; where another one stands there, it is
    looked at again.
    """

    def __init__(self, folder: StoreFolder | Bucket) -> None:
        self._folder = folder
        self._known: dict[Slot, tuple[object, CheckpointInfo]] = {}

    def all(self) -> list[CheckpointInfo]:
        """Every checkpoint, oldest first."""
        slots = self._folder.slots()
        run = reading_threads().map if isinstance(self._folder, Bucket) else map
        found = dict(zip(slots, run(self._look, slots), strict=True))
        self._known = {slot: entry for slot, entry in found.items() if entry is not None}
        return [info for _, info in self._known.values()]

    def look(self, slot: Slot) -> CheckpointInfo | None:
        """One checkpoint; None if it was removed."""
        found = self._look(slot)
        if found is None:
            return None
        self._known[slot] = found
        return found[1]

    def _look(self, slot: Slot) -> tuple[object, CheckpointInfo] | None:
        """Return the info with what tells the file from another one; None if it is gone by now."""
        path = self._folder.checkpoint_path(slot)
        try:
            mark, size = self._folder.status(slot)
            if slot in self._known and self._known[slot][0] == mark:
                return self._known[slot]
            return mark, _info(slot, os.fspath(path), size)
        except (FileNotFoundError, FileMissingError):
            return None
        except CheckpointError:
            raise
        except OSError as error:
            where = printable(path, 400)
            raise NotReadableError(f"cannot read: {error.strerror}", where=where) from error


def _info(slot: Slot, path: str, size: int) -> CheckpointInfo:
    try:
        with open_inside(path) as checkpoint:
            return CheckpointInfo(
                slot.name,
                slot,
                path,
                checkpoint.time_step,
                checkpoint.time_ms,
                checkpoint.tag,
                checkpoint.created,
                size,
                checkpoint.objects,
            )
    except FileMissingError:
        raise
    except CheckpointError as error:
        return CheckpointInfo(slot.name, slot, path, None, None, None, "", size, {}, problem=error.fact)
