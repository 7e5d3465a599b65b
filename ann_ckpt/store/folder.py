"""A store's folder: what lies where in it, and its settings."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path
from typing import Any, Protocol

from ann_ckpt.durable import atomic_write, explained, fsync_folder, make_folders
from ann_ckpt.errors import (
    CorruptFileError,
    FileMissingError,
    FormatVersionError,
    NotReadableError,
    NotWritableError,
    UnknownFormatError,
    printable,
)
from ann_ckpt.format.shared.objects import is_whole
from ann_ckpt.paths import is_folder
from ann_ckpt.store.inside import check_folder, inodes_in, read_small
from ann_ckpt.store.names import Slot, step_text
from ann_ckpt.store.owners.lock import FileLock

__all__ = [
    "FileMark",
    "StoreFolder",
    "WritingLock",
    "parse_settings",
    "settings_text",
]


_FORMAT = "ann_ckpt store"
_VERSION = 1
_LISTED = 4
_NO_INODE = 0xFFFFFFFF
"""What file systems in user space say that have none."""
_SETTINGS_BYTES = 64 << 10
_PREFIX = re.compile(r"[0-9a-f]{2}")
_OBJECT = re.compile(r"[0-9a-f]{32}\.h5")
_LEFTOVER = re.compile(r"\.(new-\d+|ann_ckpt-[0-9a-f-]+)\.tmp", re.ASCII)
"""Temporary files of this package; those of others, such as of programs that synchronise, stay."""


class WritingLock(Protocol):
    """What keeps other processes from saving to a store."""

    @property
    def intact(self) -> bool:
        """Whether this process has it."""

    def acquire(self, *, wait: float = 0.0, durable: bool = False) -> bool:
        """Take it; return whether a holder that died left it behind."""

    def release(self) -> None:
        """Let go."""

    def forget(self) -> None:
        """Have it no longer, without letting go."""


@dataclass(frozen=True, slots=True)
class FileMark:
    """What tells a file from another one of its name."""

    inode: int
    """0 where the system tells none."""
    changed: int
    """Nanoseconds since 1970."""
    size: int
    """Bytes."""

    @classmethod
    def of(cls, status: os.stat_result) -> FileMark:
        """Return the mark of a file of that status."""
        return cls(status.st_ino, status.st_mtime_ns, status.st_size)


@dataclass(frozen=True, slots=True)
class StoreFolder:
    """The files of one store."""

    path: Path

    @property
    def distant(self) -> bool:
        """Whether it is not on this machine."""
        return False

    @property
    def settings_path(self) -> Path:
        """``store.json``: format and settings of the store."""
        return self.path / "store.json"

    @property
    def checkpoints(self) -> Path:
        """One file for each checkpoint."""
        return self.path / "checkpoints"

    @property
    def objects(self) -> Path:
        """Folders of two hexadecimal digits with the objects in them."""
        return self.path / "objects"

    @property
    def shards(self) -> Path:
        """What processes have that save together: parts of checkpoints to be, and locks."""
        return self.path / "shards"

    @property
    def share(self) -> tuple[int, int]:
        """NUL bytes behind what names an object are so many, or more by multiples of the second number.

        So no two processes that save at the same time give an object the same name.
        """
        return 0, 1

    def share_of_save(self) -> tuple[int | bytes, int]:
        """How one save names objects: as :attr:`share`, which may have other bytes than NUL at first."""
        return self.share

    def writing_lock(self) -> WritingLock:
        """Return what keeps other processes from saving."""
        return FileLock(self.writer_lock, "saves to the store")

    @property
    def catalog(self) -> Path:
        """What the headers of the checkpoints say, noted so that they need not all be read."""
        return self.path / "catalog"

    @property
    def unswept(self) -> Path:
        """Marker file: present while files remain that could not be removed."""
        return self.path / "unswept"

    @property
    def writer_lock(self) -> Path:
        """Lock of the writing process, from opening to closing."""
        return self.path / "lock"

    @property
    def change_lock(self) -> Path:
        """Lock held during each save and each removal."""
        return self.path / "lock.change"

    def checkpoint_path(self, slot: Slot) -> Path:
        """File of a checkpoint."""
        return self.checkpoints / f"{slot.name}.h5"

    def location(self, slot: Slot) -> str:
        """Where a checkpoint is read from."""
        return os.fspath(self.checkpoint_path(slot))

    def next_slot(self, newest: Slot | None, step: int | None) -> Slot:
        """Return the slot of a state that is saved now, after ``newest``."""
        return Slot.after(newest, step)

    def begin(self) -> None:
        """Called before a save looks which checkpoints there are."""

    def publish(self, slot: Slot) -> None:
        """Called when the files of a save are written."""

    def has(self, slot: Slot) -> bool:
        """Whether there is a checkpoint of that name."""
        return slot in self.slots(step=slot.step)

    def status(self, slot: Slot) -> tuple[FileMark, int]:
        """Return what tells a checkpoint's file from another one, and its size in bytes.

        Raises
        ------
        OSError
            As the system gave it.
        """
        found = self.checkpoint_path(slot).lstat()
        return FileMark.of(found), found.st_size

    def object_path(self, name: str) -> Path:
        """File of an object."""
        return self.objects / name[:2] / f"{name}.h5"

    def temporary_object(self, number: int) -> Path:
        """File of an object that has no name yet."""
        return self.objects / f".new-{number}.tmp"

    def leftovers(self) -> Iterator[Path]:
        """Temporary files; with the change lock held, no process is writing them."""
        for folder in (self.objects, self.checkpoints, self.shards, self.path):
            yield from (folder / name for name in self._names(folder) if _LEFTOVER.fullmatch(name))

    def object_files(self) -> Iterator[Path]:
        """Every file with the name and the location of an object.

        Others are somebody else's, such as the ``._x.h5`` of macOS.
        """
        for prefix in self._names(self.objects):
            if _PREFIX.fullmatch(prefix):
                folder = self.objects / prefix
                names = (n for n in self._names(folder) if n.startswith(prefix) and _OBJECT.fullmatch(n))
                yield from (folder / name for name in names)

    def whole_objects(self, objects: Mapping[str, int]) -> set[str]:
        """Which objects are there in their full length, given in bytes."""
        return {name for name, size in objects.items() if is_whole(str(self.object_path(name)), size)}

    def unneeded(self, needed: Collection[str]) -> dict[str, int]:
        """Return the objects that are not ``needed``, with their sizes in bytes."""
        found = {}
        for path in self.object_files():
            if path.stem not in needed:
                with contextlib.suppress(FileNotFoundError):
                    found[path.stem] = path.lstat().st_size
        return found

    def _names(self, folder: Path) -> list[str]:
        return list(self._inodes(folder))

    def _inodes(self, folder: Path) -> dict[str, int]:
        """What is in a folder of the store; nothing where a copy has left an empty folder out."""
        try:
            return inodes_in(folder)
        except FileMissingError as error:
            if not self.exists():
                raise self._missing() from error
            return {}

    @property
    def holds_some(self) -> bool:
        """Whether checkpoints or objects may lie here, with settings or without."""
        return is_folder(self.checkpoints) or is_folder(self.objects)

    def _missing(self) -> FileMissingError:
        """Return the error that there is no store here, which says what there is instead."""
        if self.path.is_dir():
            details = {"found": "a folder that has no store.json"}
            if self.holds_some:
                details["hint"] = "it may be a copy that is not complete"
        elif self.path.exists():
            details = {"found": "a file"}
        else:
            return FileMissingError("the store does not exist", where=self.path)
        return FileMissingError("the path is not a store", details=details, where=self.path)

    def slots(self, *, step: int | None = None) -> list[Slot]:
        """All committed checkpoints, oldest first, or those named after one step."""
        return sorted(self.inodes(step=step), key=attrgetter("round", "step"))

    def inodes(self, *, step: int | None = None) -> dict[Slot, int]:
        """The same checkpoints with the inodes of their files, which a folder tells with the names.

        Where the system does not know them, they are 0.
        """
        begin = "" if step is None else step_text(step)
        found = {}
        for name, inode in self._inodes(self.checkpoints).items():
            known = name.startswith(begin) and name.endswith(".h5")
            slot = Slot.parse(name[: -len(".h5")]) if known else None
            if slot is not None and step in (None, slot.step):
                found[slot] = 0 if inode == _NO_INODE else inode
        return found

    def check_folders(self) -> None:
        """Raise if a folder of the store is a symbolic link.

        Raises
        ------
        UnsafeFileError, NotReadableError
            If one of the two is a link, or no folder.
        """
        for folder in (self.checkpoints, self.objects, self.shards):
            with contextlib.suppress(FileMissingError):
                check_folder(folder)

    def check_checkpoints(self) -> None:
        """Raise if the folder of checkpoints is gone: moved, or not copied yet, and they need the objects.

        Raises
        ------
        CorruptFileError
            If there are objects, and no folder of checkpoints.
        """
        if not os.path.lexists(self.checkpoints) and next(self.object_files(), None) is not None:
            raise CorruptFileError(
                "the store has objects, and no folder of checkpoints that may need them",
                details={"hint": "copy or move it here; if there were none, make an empty one"},
                where=self.checkpoints,
            )

    def exists(self) -> bool:
        """Whether there is a store here.

        Raises
        ------
        NotReadableError
            If the disk does not say.
        """
        try:
            return self.settings_path.is_file()
        except PermissionError:
            return False  # so that opening says what is wrong
        except OSError as error:
            if error.errno == errno.ENAMETOOLONG:
                return False
            raise NotReadableError(f"cannot read: {error.strerror}", where=self.settings_path) from error

    def create(self, settings: dict[str, Any]) -> None:
        """Make an empty store, durably, or complete one whose creation was interrupted.

        The settings come last, and with them the folder is a store: until then, whoever comes
        next, or at the same time, does the same once more. A store that is there gets the settings.

        Raises
        ------
        NotWritableError
            If the folder cannot be made, or the path exists and is not a store.
        """
        with explained(self.path):
            if os.path.lexists(self.path) and not self.exists():
                self._check_unfinished()
            make_folders(Path(os.path.realpath(self.path)))
        self.complete()
        with atomic_write(self.settings_path) as temporary:
            temporary.write_text(settings_text(settings), encoding="utf-8")

    def complete(self) -> None:
        """Create missing folders in the store: copies may leave out empty ones.

        Raises
        ------
        NotWritableError
            If the system refuses.
        """
        made = False
        with explained(self.path):
            for folder in (self.checkpoints, self.objects):
                with contextlib.suppress(FileExistsError):
                    folder.mkdir()
                    made = True
            if made:
                fsync_folder(self.path)

    def check_writable(self) -> None:
        """Raise if the store is write-protected, also for the superuser.

        Raises
        ------
        NotWritableError
            If its folder may be written to by nobody.
        """
        with explained(self.path):
            if not self.path.stat().st_mode & 0o222:
                raise PermissionError(errno.EACCES, "the store is write-protected")

    def make_durable(self) -> None:
        """Make the store's folder entry durable, in case its creator died before doing so.

        Raises
        ------
        NotWritableError
            If the disk fails.
        """
        with explained(self.path):
            fsync_folder(Path(os.path.realpath(self.path)).parent)

    def mark_unswept(self) -> None:
        """Record that files remain to be removed, if possible."""
        with contextlib.suppress(OSError):
            flags = os.O_CREAT | os.O_WRONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
            os.close(os.open(self.unswept, flags, 0o666))

    def _check_unfinished(self) -> None:
        """Refuse what is not an empty folder, or a store whose creation was interrupted."""
        found = "a file"
        if self.path.is_dir():
            others = [n for n in os.listdir(self.path) if _is_visible(n)]  # noqa: PTH208
            inside = {self.checkpoints.name, self.objects.name}
            full = [n for n in others if n not in inside or any(map(_is_visible, self._listed(n)))]
            # Another process may have finished the store since it was looked at.
            if not full or self.exists():
                return
            shown = ", ".join(printable(n, 40) for n in sorted(full)[:_LISTED])
            found = f"{shown}{', ...' if len(full) > _LISTED else ''}"
            if inside.issuperset(full):
                found += ", and no store.json"
        elif not os.path.lexists(self.path) or (self.path.is_symlink() and not self.path.exists()):
            return
        raise NotWritableError(
            "the path exists and is not a store", details={"found": found}, where=self.path
        )

    def _listed(self, name: str) -> list[str]:
        return os.listdir(self.path / name)  # noqa: PTH208

    def settings(self) -> dict[str, Any]:
        """Read the settings.

        Raises
        ------
        FileMissingError
            If there is no store here.
        UnknownFormatError, FormatVersionError, CorruptFileError
            If it is something else, newer than this package, or damaged.
        UnsafeFileError, NotReadableError
            If ``store.json`` is a link, larger than any, or no file at all.
        """
        try:
            text = read_small(self.settings_path, _SETTINGS_BYTES)
        except FileMissingError as error:
            raise self._missing() from error
        return parse_settings(text, self.path)


def settings_text(settings: dict[str, Any]) -> str:
    """Return what ``store.json`` holds."""
    return json.dumps({"format": _FORMAT, "version": _VERSION, **settings}, indent=2) + "\n"


def parse_settings(text: bytes, where: str | os.PathLike[str]) -> dict[str, Any]:
    """Return what ``store.json`` says; raises as :meth:`StoreFolder.settings` does."""
    try:
        found = json.loads(text.decode())
    except (ValueError, RecursionError) as error:
        raise CorruptFileError("store.json is not JSON", where=where) from error
    if not isinstance(found, dict) or found.get("format") != _FORMAT:
        raise UnknownFormatError("store.json does not belong to a store of this package", where=where)
    if found.get("version") != _VERSION:
        raise FormatVersionError(
            f"the store has format version {printable(found.get('version'))}",
            details={"reads": f"version {_VERSION}", "hint": "update ann_ckpt"},
            where=where,
        )
    return found


def _is_visible(name: str) -> bool:
    """Whether a name is not that of a temporary file, or of what systems put into any folder."""
    return not name.startswith(".") and name != "lost+found"
