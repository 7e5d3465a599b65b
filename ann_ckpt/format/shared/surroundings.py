"""Where a checkpoint file lies with the objects of its store: in folders, or behind addresses."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterable
from typing import Protocol

from ann_ckpt.errors import FileMissingError, NotReadableError, UnsafeFileError, printable
from ann_ckpt.format import layout
from ann_ckpt.format.bytes import Bytes, FileBytes
from ann_ckpt.format.shared.array import StoredObject
from ann_ckpt.remote import is_there
from ann_ckpt.remote_bytes import RemoteBytes, open_objects

__all__ = ["Elsewhere", "OnDisk", "Surroundings", "open_plain"]


class Surroundings(Protocol):
    """A checkpoint file, and what lies around it."""

    @property
    def shown(self) -> str:
        """The checkpoint's path for messages."""

    @property
    def distant(self) -> bool:
        """Whether objects lie so far away that only those are opened that are needed, several at a time."""

    def object_path(self, item: StoredObject) -> str:
        """Path of an object for messages."""

    def open(self, items: Iterable[StoredObject]) -> Iterable[Bytes | FileNotFoundError]:
        """Open objects; what comes out for one that is missing is the error.

        Raises
        ------
        UnsafeFileError, NotReadableError
            If one is not an ordinary file, or the system or the server does not give it.
        """

    def in_store(self) -> bool:
        """Whether there is a store around the checkpoint file."""

    def still_there(self) -> bool:
        """Whether the checkpoint file still has its name, which tells pruning from damage."""


class OnDisk:
    """A checkpoint file on this machine; ``is_there`` says whether it still has its name."""

    distant = False

    def __init__(self, checkpoint: str, is_there: Callable[[], bool]) -> None:
        self.shown = printable(checkpoint, 400)
        self.still_there = is_there
        self._folder = os.path.dirname(os.path.realpath(checkpoint))  # noqa: PTH120  (dozens of paths are made)

    def object_path(self, item: StoredObject) -> str:
        """Path of an object."""
        return f"{self._folder}/{layout.object_path(item.name)}"

    def open(self, items: Iterable[StoredObject]) -> Iterable[Bytes | FileNotFoundError]:
        """Open objects, one after the other as they are asked for; see :class:`Surroundings`."""
        for item in items:
            path = self.object_path(item)
            try:
                yield FileBytes(open_plain(path), path)
            except FileNotFoundError as error:
                yield error

    def in_store(self) -> bool:
        """Whether there is a store around the checkpoint file."""
        around = (layout.STORE_FILE, layout.OBJECTS)
        return any(os.path.lexists(f"{self._folder}/../{name}") for name in around)


class Elsewhere:
    """A checkpoint file behind an address."""

    distant = True

    def __init__(self, checkpoint: RemoteBytes) -> None:
        self.shown = checkpoint.path
        self._address = checkpoint.address

    def object_path(self, item: StoredObject) -> str:
        """Address of an object for messages."""
        return self._address.beside(layout.object_path(item.name)).shown

    def open(self, items: Iterable[StoredObject]) -> Iterable[Bytes | FileNotFoundError]:
        """Open objects, several at a time; see :class:`Surroundings`."""
        wanted = [(self._address.beside(layout.object_path(item.name)), item.size) for item in items]
        for found in open_objects(wanted):
            if isinstance(found, FileMissingError):
                yield FileNotFoundError(found.fact)
            elif isinstance(found, BaseException):
                raise found
            else:
                yield found

    def in_store(self) -> bool:
        """Whether there is a store around the checkpoint file."""
        return is_there(self._address.beside(f"../{layout.STORE_FILE}"))

    def still_there(self) -> bool:
        """Whether there still is a checkpoint of that name."""
        return is_there(self._address)


def open_plain(path: str) -> int:
    """Open a file of the store; a symbolic link on the way could lead out of the store.

    Raises
    ------
    FileNotFoundError
        If there is nothing.
    UnsafeFileError, NotReadableError
        If it is not an ordinary file, or the system does not let us read it.
    """
    folder = os.path.dirname(path)  # noqa: PTH120  (dozens of objects are opened)
    if any(map(os.path.islink, (path, folder, os.path.dirname(folder)))):  # noqa: PTH120
        raise UnsafeFileError("symbolic link in place of an object", where=path)
    try:
        # Without O_NONBLOCK, opening a pipe that nobody writes to would wait for ever.
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise FileNotFoundError(*error.args) from error
    except OSError as error:
        raise NotReadableError(f"cannot read: {error.strerror}", where=path) from error
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise NotReadableError("the path is a folder, a pipe or a device, not an object", where=path)
    return descriptor
