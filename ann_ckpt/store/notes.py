"""The notes of a store: one small file that says what the headers of its checkpoints say.

So a history of thousands is not opened file by file. Nothing is lost with the notes: they are made anew.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import xxhash

from ann_ckpt.durable import atomic_write
from ann_ckpt.errors import CheckpointError
from ann_ckpt.store.folder import FileMark, StoreFolder
from ann_ckpt.store.names import Slot
from ann_ckpt.store.summary import CheckpointInfo, info_of

__all__ = ["Notes", "entry_of"]

_MOST_BYTES = 256 << 20
_OBJECT = re.compile(r"[0-9a-f]{32}")
_HEAD = {"format": "ann_ckpt catalog 1"}


@dataclass(slots=True)
class _Seen:
    """What was read of a catalog."""

    file: tuple[int, int] | None = None
    """Device and inode."""
    end: int = 0
    digest: str = ""
    objects: dict[str, int] = field(default_factory=dict)
    """Of the last checkpoint."""
    lines: int = 0
    known: dict[Slot, tuple[FileMark, CheckpointInfo]] = field(default_factory=dict)

    def take(self, line: bytes, folder: StoreFolder) -> bool:
        """Take one line, unless there is something wrong with it."""
        digest, _, text = line.decode("utf-8", "replace").partition(" ")
        if not text.endswith("\n") or digest != _digest(self.digest, text):
            return False
        try:
            found = json.loads(text)
            if not self.lines:
                if found != _HEAD:
                    return False
            else:
                objects = {n: s for n, s in self.objects.items() if n not in found["drop"]} | found["add"]
                mark, info = _noted(found, objects, folder)
                self.known[info.slot] = mark, info
                self.objects = objects
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            return False
        self.digest = digest
        self.lines += 1
        self.end += len(line)
        return True


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
        self._seen = _Seen()
        """Replaced as a whole, never changed: threads may read at the same time."""

    @property
    def known(self) -> dict[Slot, tuple[FileMark, CheckpointInfo]]:
        """What is noted, as far as it was read; not to be changed."""
        return self._seen.known

    @property
    def crowded(self) -> bool:
        """Whether most lines are of checkpoints that were removed."""
        return self._seen.lines > 64 + 2 * len(self._seen.known)

    def read(self) -> bool:
        """Read what was added since the last call; return whether all of the file makes sense."""
        seen = self._seen
        try:
            descriptor = os.open(
                self._folder.catalog, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
            )
        except OSError:
            self._seen = _Seen()
            return False
        try:
            with os.fdopen(descriptor, "rb", buffering=0) as file:
                status = os.fstat(descriptor)
                if (status.st_dev, status.st_ino) != seen.file or status.st_size < seen.end:
                    seen = _Seen((status.st_dev, status.st_ino))
                if status.st_size == seen.end:
                    self._seen = seen
                    return seen.lines > 0
                if status.st_size > _MOST_BYTES:
                    self._seen = seen
                    return False
                file.seek(seen.end)
                text = file.read(status.st_size - seen.end)
        except OSError:
            self._seen = _Seen()
            return False
        seen = replace(seen, known=dict(seen.known))
        whole = all(seen.take(line, self._folder) for line in text.splitlines(keepends=True))
        self._seen = seen
        return whole

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
                seen = self._seen
                text = self._text(entries, seen.digest, seen.objects)
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
        known = self.known
        self._seen = replace(self._seen, known={slot: known[slot] for slot in staying if slot in known})

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


def entry_of(slot: Slot, path: Path, file: Path) -> tuple[FileMark, CheckpointInfo]:
    """Return what is to be noted of a checkpoint that is about to be renamed from ``file`` to ``path``."""
    status = file.lstat()
    info = info_of(slot, os.fspath(file), status.st_size)
    return FileMark.of(status), replace(info, path=os.fspath(path))
