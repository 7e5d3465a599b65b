"""Opens files and folders inside a store safely: regular ones only, no symbolic links.

A pipe would be waited for, a device has no end, and a symbolic link leads out of the store,
where a prune would remove what is somebody else's.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from ann_ckpt.errors import FileMissingError, NotReadableError, UnsafeFileError

__all__ = ["check_file", "check_folder", "inodes_in", "names_in", "read_small"]


def check_file(path: Path) -> os.stat_result:
    """Return the status of a regular file; raises for anything else.

    Raises
    ------
    FileMissingError
        If there is nothing.
    UnsafeFileError
        If it is a symbolic link.
    NotReadableError
        If it is anything else, or the system does not say.
    """
    found = _look(path)
    if not stat.S_ISREG(found.st_mode):
        raise NotReadableError(
            "not a regular file",
            details={"found": _kind(found.st_mode), "expected": "a file of a store"},
            where=path,
        )
    return found


def check_folder(path: Path) -> None:
    """Raise if a path is not a folder; raises as :func:`check_file` does."""
    found = _look(path)
    if not stat.S_ISDIR(found.st_mode):
        raise NotReadableError(
            "not a folder",
            details={"found": _kind(found.st_mode), "expected": "a folder of a store"},
            where=path,
        )


def inodes_in(path: Path) -> dict[str, int]:
    """Return the names in a folder of a store with their inodes; raises as :func:`check_file` does."""
    check_folder(path)
    try:
        with os.scandir(path) as found:
            return {entry.name: entry.inode() for entry in found}  # both without a look at the file
    except OSError as error:
        raise _refused(path, error) from error


def names_in(path: Path) -> list[str]:
    """Return the names in a folder of a store; raises as :func:`check_file` does."""
    return list(inodes_in(path))


def read_small(path: Path, limit: int) -> bytes:
    """Return the content of a small file of a store.

    Parameters
    ----------
    limit : int
        Most bytes that such a file has.

    Raises
    ------
    UnsafeFileError
        If there are more, or it is a symbolic link.
    FileMissingError, NotReadableError
        As for :func:`check_file`.
    """
    check_file(path)
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as file:
            content = file.read(limit + 1)
    except OSError as error:
        raise _refused(path, error) from error
    if len(content) > limit:
        raise UnsafeFileError(
            "the file is larger than the format allows",
            details={"expected": f"at most {limit} bytes"},
            where=path,
        )
    return content


def _look(path: Path) -> os.stat_result:
    try:
        found = path.lstat()
    except (OSError, ValueError) as error:
        raise _refused(path, error) from error
    if stat.S_ISLNK(found.st_mode):
        raise UnsafeFileError("symbolic link inside a store; links could lead out of it", where=path)
    return found


def _refused(path: Path, error: Exception) -> FileMissingError | NotReadableError:
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        return FileMissingError("the store has no such file", where=path)
    return NotReadableError(f"cannot read: {getattr(error, 'strerror', None) or error}", where=path)


def _kind(mode: int) -> str:
    kinds = {
        stat.S_IFDIR: "a folder",
        stat.S_IFIFO: "a pipe",
        stat.S_IFSOCK: "a socket",
        stat.S_IFCHR: "a device",
        stat.S_IFBLK: "a device",
        stat.S_IFREG: "a file",
    }
    return kinds.get(stat.S_IFMT(mode), "something else")
