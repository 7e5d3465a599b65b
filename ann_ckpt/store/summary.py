"""What the header of one checkpoint of a store says, read without any value."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ann_ckpt.errors import CheckpointError, FileMissingError, printable
from ann_ckpt.lazy import Checkpoint
from ann_ckpt.paths import address_of
from ann_ckpt.remote_bytes import RemoteBytes
from ann_ckpt.store.inside import check_file
from ann_ckpt.store.names import Slot

__all__ = ["CheckpointInfo", "added_bytes", "info_of", "open_inside"]


@dataclass(frozen=True, slots=True, repr=False)
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
    objects: Mapping[str, int]
    """Size of each object that it refers to."""
    problem: str | None = None
    """Why its file cannot be read; everything but name, path and size is unknown then."""

    def __repr__(self) -> str:
        said = [f"step {self.time_step}"] if self.time_step is not None else []
        said += [f"{self.time_ms:.10g} ms"] if self.time_ms is not None else []
        said += [repr(printable(self.tag))] if self.tag is not None else []
        said += [f"written {self.created[:19].replace('T', ' ')}"] if self.created else []
        said += [printable(self.problem)] if self.problem is not None else []
        return f"<checkpoint {self.name}: {', '.join(said)}>"

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


def open_inside(path: str | os.PathLike[str], size: int | None = None) -> Checkpoint:
    """Open a checkpoint file of a store; it must be a regular file.

    Parameters
    ----------
    size : int, optional
        Its bytes. Behind an address, one that is going to be read opens faster if they are known.

    Raises
    ------
    FileMissingError
        If there is nothing.
    UnsafeFileError, NotReadableError
        If something else stands there.
    """
    address = address_of(path)
    if address is None:
        check_file(Path(path))
    return Checkpoint(path, None if address is None or size is None else RemoteBytes(address, size))


def info_of(slot: Slot, path: str, size: int) -> CheckpointInfo:
    """Return what a checkpoint file says, or why it cannot be read.

    Raises
    ------
    FileMissingError
        If there is none.
    """
    try:
        with open_inside(path, size) as checkpoint:
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
