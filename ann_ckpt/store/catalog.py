"""Lists the checkpoints of a store from their headers, without reading values.

What the headers say is noted in one small file, so that a history of thousands is not opened file by
file. A note counts only as long as the folder shows the same file under that name; before something is
said of a single checkpoint on the word of a note, that file's length and last change are compared, too.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import xxhash

from ann_ckpt.durable import atomic_write
from ann_ckpt.errors import CheckpointError, FileMissingError, NotReadableError, printable
from ann_ckpt.format.checked import reading_threads
from ann_ckpt.lazy import Checkpoint
from ann_ckpt.paths import address_of
from ann_ckpt.store.buckets.bucket import Bucket
from ann_ckpt.store.folder import FileMark, Slot, StoreFolder
from ann_ckpt.store.inside import check_file

__all__ = ["Catalog", "CheckpointInfo", "Notes", "added_bytes", "entry_of", "open_inside"]

_LOOKED_AT = 64
"""Of so many of the newest checkpoints, length and last change are always compared."""
_MOST_BYTES = 256 << 20
_OBJECT = re.compile(r"[0-9a-f]{32}")
_HEAD = {"format": "ann_ckpt catalog 1"}


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


class Notes:
    """The file ``catalog`` of a store: what the headers of its checkpoints say.

    A line for each checkpoint, behind a digest of that line and all before it; what follows a line that
    does not fit its digest is not read. Objects are noted as what differs from the line before.

    Parameters
    ----------
    folder : StoreFolder
        Whose; only who holds the lock for changes may write.
    """

    def __init__(self, folder: StoreFolder) -> None:
        self._folder = folder
        self._begin()

    def _begin(self) -> None:
        self._file: tuple[int, int] | None = None
        """Device and inode of what was read."""
        self._end = 0
        self._digest = ""
        self._objects: dict[str, int] = {}
        self._lines = 0
        self.known: dict[Slot, tuple[FileMark, CheckpointInfo]] = {}

    @property
    def crowded(self) -> bool:
        """Whether most lines are of checkpoints that were removed."""
        return self._lines > 64 + 2 * len(self.known)

    def read(self) -> bool:
        """Read what was added since the last call; return whether all of the file makes sense."""
        try:
            descriptor = os.open(
                self._folder.catalog, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
            )
        except OSError:
            self._begin()
            return False
        try:
            with os.fdopen(descriptor, "rb", buffering=0) as file:
                status = os.fstat(descriptor)
                if (status.st_dev, status.st_ino) != self._file or status.st_size < self._end:
                    self._begin()
                    self._file = status.st_dev, status.st_ino
                if status.st_size == self._end:
                    return self._lines > 0
                if status.st_size > _MOST_BYTES:
                    return False
                file.seek(self._end)
                text = file.read(status.st_size - self._end)
        except OSError:
            self._begin()
            return False
        return all(self._take(line) for line in text.splitlines(keepends=True))

    def _take(self, line: bytes) -> bool:
        """Take one line, unless there is something wrong with it."""
        digest, _, text = line.decode("utf-8", "replace").partition(" ")
        if not text.endswith("\n") or digest != _digest(self._digest, text):
            return False
        try:
            found = json.loads(text)
            if not self._lines:
                if found != _HEAD:
                    return False
            else:
                objects = {n: s for n, s in self._objects.items() if n not in found["drop"]} | found["add"]
                mark, info = _noted(found, objects, self._folder)
                self.known[info.slot] = mark, info
                self._objects = objects
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            return False
        self._digest = digest
        self._lines += 1
        self._end += len(line)
        return True

    def add(self, entries: Iterable[tuple[FileMark, CheckpointInfo]]) -> None:
        """Note checkpoints, some of which may not have their names yet; without effect if the system refuses.

        What cannot be noted, or read, is looked at again when somebody asks for it.
        """
        entries = list(entries)
        whole = self.read()
        readable = all(info.problem is None for _, info in entries)
        if not (readable and self._write(entries, whole=whole)) and any(
            i.slot in self.known for _, i in entries
        ):
            self.clear()  # what it says of that name is of another file

    def _write(self, entries: Sequence[tuple[FileMark, CheckpointInfo]], *, whole: bool) -> bool:
        """Add lines to the file, or make it anew; return whether the system has done it."""
        try:
            if whole and not self.crowded:
                text = self._text(entries, self._digest, self._objects)
                flags = os.O_WRONLY | os.O_APPEND | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
                descriptor = os.open(self._folder.catalog, flags)
                try:
                    return os.write(descriptor, text) == len(text)
                finally:
                    os.close(descriptor)
            if not self._folder.catalog.is_symlink():
                kept = [*self.known.values(), *entries]
                text = _line("", _HEAD)
                text += self._text(kept, text.partition(b" ")[0].decode(), {})
                with atomic_write(self._folder.catalog) as temporary:
                    temporary.write_bytes(text)
        except (OSError, CheckpointError):
            return False
        return True

    def clear(self) -> None:
        """Remove the file, if the system lets us."""
        with suppress(OSError):
            self._folder.catalog.unlink(missing_ok=True)

    def forget(self, staying: Iterable[Slot]) -> None:
        """Keep only what is known of some checkpoints, for when the file is next written as a whole."""
        self.known = {slot: self.known[slot] for slot in staying if slot in self.known}

    @staticmethod
    def _text(
        entries: Iterable[tuple[FileMark, CheckpointInfo]], digest: str, before: Mapping[str, int]
    ) -> bytes:
        lines = []
        for mark, info in entries:
            found = {
                "name": info.name,
                "inode": mark.inode,
                "changed": mark.changed,
                "size": info.file_bytes,
                "time_step": info.time_step,
                "time_ms": info.time_ms,
                "tag": info.tag,
                "created": info.created,
                "add": {n: size for n, size in info.objects.items() if before.get(n) != size},
                "drop": [n for n in before if n not in info.objects],
            }
            lines.append(_line(digest, found))
            digest, before = lines[-1].partition(b" ")[0].decode(), info.objects
        return b"".join(lines)


def _digest(before: str, text: str) -> str:
    return xxhash.xxh3_64_hexdigest(f"{before} {text}".encode())


def _line(before: str, found: Mapping[str, Any]) -> bytes:
    text = json.dumps(found, separators=(",", ":")) + "\n"
    return f"{_digest(before, text)} {text}".encode()


def _noted(
    found: Mapping[str, Any], objects: dict[str, int], folder: StoreFolder
) -> tuple[FileMark, CheckpointInfo]:
    """Return what a line says; raises as Python does for anything else."""
    slot = Slot.parse(found["name"])
    step, ms, tag, created = found["time_step"], found["time_ms"], found["tag"], found["created"]
    numbers = [found["inode"], found["changed"], found["size"], *objects.values()]
    if (
        slot is None
        or not isinstance(step, int | None)
        or not isinstance(ms, int | float | None)
        or not isinstance(tag, str | None)
        or not isinstance(created, str)
        or not all(type(number) is int for number in numbers)
        or not all(map(_OBJECT.fullmatch, objects))
    ):
        raise ValueError("not a line of a catalog")
    path = os.fspath(folder.checkpoint_path(slot))
    info = CheckpointInfo(slot.name, slot, path, step, ms, tag, created, found["size"], objects)
    return FileMark(found["inode"], found["changed"], found["size"]), info


class Catalog:
    """All checkpoints of a store; each header is read once.

    A checkpoint file never changes under its name; where another one stands there, it is
    looked at again.
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
            self._known = {slot: entry for slot, entry in looked if entry is not None}
            return [info for _, info in self._known.values()]
        inodes = self._folder.inodes()
        slots = sorted(inodes)
        self._take_notes()
        looked_at = set(slots if sure else slots[-_LOOKED_AT:])
        found: dict[Slot, tuple[object, CheckpointInfo]] = {}
        for slot in slots:
            entry = self._known.get(slot)
            if slot in looked_at or entry is None or not _is_of(entry, inodes[slot]):
                entry = self._look(slot)
            if entry is not None:
                found[slot] = entry
        self._known = found
        return [info for _, info in found.values()]

    def _take_notes(self) -> None:
        """Learn what was noted since the last time."""
        if self._notes is not None:
            self._notes.read()
            for slot, entry in self._notes.known.items():
                # Where both are known and differ, the file says which is true.
                if self._known.setdefault(slot, entry)[0] != entry[0]:
                    del self._known[slot]

    def note(self) -> None:
        """Note what is not noted yet, after :meth:`all`; the caller holds the lock for changes."""
        if self._notes is None:
            return
        self._notes.read()
        self._notes.forget(self._known)
        known = self._notes.known
        new = [
            (mark, info)
            for slot, (mark, info) in self._known.items()
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


def _is_of(entry: tuple[object, CheckpointInfo], inode: int) -> bool:
    """Whether what is known is of the file of that inode; one that could not be read may have been mended."""
    mark, info = entry
    return isinstance(mark, FileMark) and 0 != mark.inode == inode and info.problem is None


def entry_of(slot: Slot, path: Path, file: Path) -> tuple[FileMark, CheckpointInfo]:
    """Return what is to be noted of a checkpoint that is about to be renamed from ``file`` to ``path``."""
    status = file.lstat()
    info = _info(slot, os.fspath(file), status.st_size)
    return FileMark.of(status), replace(info, path=os.fspath(path))


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
