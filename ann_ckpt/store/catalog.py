"""Lists the checkpoints of a store from their headers, without reading values.

What the headers say stands in the store's notes, too. A note counts only as long as the folder shows the
same file under that name; before something is said of a single checkpoint on the word of a note, that
file's length and last change are compared, too.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

from ann_ckpt.errors import CheckpointError, FileMissingError, NotReadableError
from ann_ckpt.format.checked import reading_threads
from ann_ckpt.store.buckets.bucket import Bucket
from ann_ckpt.store.folder import FileMark, StoreFolder
from ann_ckpt.store.names import Slot
from ann_ckpt.store.notes import Notes
from ann_ckpt.store.summary import CheckpointInfo, info_of

__all__ = ["Catalog"]

_LOOKED_AT = 64
"""Of so many of the newest checkpoints, length and last change are always compared."""


class Catalog:
    """All checkpoints of a store; each header is read once.

    A checkpoint file never changes under its name; where another one stands there, it is
    looked at again. Threads may ask at the same time: nothing is changed that another one goes through.
    """

    def __init__(self, folder: StoreFolder | Bucket) -> None:
        self._folder = folder
        self._notes = None if isinstance(folder, Bucket) else Notes(folder)
        self._known: dict[Slot, tuple[object, CheckpointInfo]] = {}

    def all(self, *, sure: bool = False) -> list[CheckpointInfo]:
        """Every checkpoint, oldest first.

        Parameters
        ----------
        sure : bool
            Compare length and last change of every file, not of the newest only: a system call for each.
        """
        if isinstance(self._folder, Bucket):
            slots = self._folder.slots()
            looked = zip(slots, reading_threads().map(self._look, slots), strict=True)
            return self._found({slot: entry for slot, entry in looked if entry is not None})
        inodes = self._folder.inodes()
        slots = sorted(inodes)
        self._take_notes()
        looked_at = set(slots if sure else slots[-_LOOKED_AT:])
        known = self._known
        found: dict[Slot, tuple[object, CheckpointInfo]] = {}
        for slot in slots:
            entry = known.get(slot)
            if slot in looked_at or entry is None or not _is_of(entry, inodes[slot]):
                entry = self._look(slot)
            if entry is not None:
                found[slot] = entry
        return self._found(found)

    def _found(self, found: dict[Slot, tuple[object, CheckpointInfo]]) -> list[CheckpointInfo]:
        self._known = found.copy()
        return [info for _, info in found.values()]

    def _take_notes(self) -> None:
        """Learn what was noted since the last time."""
        if self._notes is not None:
            self._notes.read()
            known = self._known.copy()
            for slot, entry in self._notes.known.items():
                # Where both are known and differ, the file says which is true.
                if known.setdefault(slot, entry)[0] != entry[0]:
                    del known[slot]
            self._known = known

    def note(self) -> None:
        """Note what is not noted yet, after :meth:`all`; the caller holds the lock for changes."""
        if self._notes is None:
            return
        self._notes.read()
        here = self._known.copy()
        self._notes.forget(here)
        known = self._notes.known
        new = [
            (mark, info)
            for slot, (mark, info) in here.items()
            if isinstance(mark, FileMark) and info.problem is None and known.get(slot, (None,))[0] != mark
        ]
        if new or self._notes.crowded:
            self._notes.add(new)

    def clear(self) -> None:
        """Remove the notes, before all checkpoints are removed."""
        if self._notes is not None:
            self._notes.clear()

    def newest_first(self) -> Iterator[CheckpointInfo]:
        """Yield one checkpoint after another; each is looked at when it is asked for."""
        for slot in reversed(self._folder.slots()):
            if (info := self.look(slot)) is not None:
                yield info

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
            known = self._known.get(slot)
            # What kept one from being read may have passed, and left the file as it was.
            if known is not None and known[0] == mark and known[1].problem is None:
                return known
            return mark, info_of(slot, os.fspath(path), size)
        except (FileNotFoundError, FileMissingError):
            return None
        except CheckpointError:
            raise
        except OSError as error:
            raise NotReadableError(f"cannot read: {error.strerror}", where=path) from error


def _is_of(entry: tuple[object, CheckpointInfo], inode: int) -> bool:
    """Whether what is known is of the file of that inode; one that could not be read may have been mended."""
    mark, info = entry
    return isinstance(mark, FileMark) and 0 != mark.inode == inode and info.problem is None
