"""Records which software, host and time a checkpoint comes from."""

from __future__ import annotations

import os
import platform
import re
import socket
import stat
import sys
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from ann_ckpt._version import __version__

__all__ = [
    "git_commit",
    "now",
    "provenance",
]

_SMALL = 4096
"""Bytes that a file of one line may have: ``HEAD``, a reference, ``.git`` of a worktree."""
_PACKED = 16 << 20
"""Bytes that ``packed-refs`` may have, enough for 200,000 references."""
_SYMBOLIC = 5
"""References that may stand for one another in a row, as in git."""
_COMMIT = re.compile(rb"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_NAME = re.compile(r"refs(?:/(?!\.)[^\x00-\x20\x7f/]+)+")


def git_commit(folder: str) -> str | None:
    """Return the commit checked out in the repository around ``folder``.

    Parameters
    ----------
    folder : str
        An absolute path without symbolic links, as :func:`os.getcwd` gives it.

    Returns
    -------
    str or None
        40 or 64 hexadecimal digits; None if there is no repository, no commit yet, or
        anything is not as git leaves it. Whether files differ from the commit is not looked at.
    """
    try:
        found = _repository(Path(folder))
        return None if found is None else _resolve(*found)
    except (OSError, ValueError):
        return None


def _repository(folder: Path) -> tuple[Path, Path] | None:
    """Folder of ``HEAD`` and folder of the references that worktrees share."""
    device = folder.stat().st_dev
    for parent in (folder, *folder.parents):
        if parent.stat().st_dev != device:  # git, too, does not look across file systems
            return None
        dot_git = parent / ".git"
        try:
            mode = dot_git.lstat().st_mode
        except FileNotFoundError:
            continue
        if stat.S_ISDIR(mode):
            return dot_git, dot_git
        return _elsewhere(dot_git) if stat.S_ISREG(mode) else None
    return None


def _elsewhere(dot_git: Path) -> tuple[Path, Path] | None:
    """Follow the file ``.git`` of a worktree or submodule, if what it names knows of it."""
    text = _line(dot_git.parent, ".git")
    if text is None or not text.startswith(b"gitdir: "):
        return None
    head = _joined(dot_git.parent, text.removeprefix(b"gitdir: "))
    if any(head.is_relative_to(parent / ".git") for parent in dot_git.parent.parents):
        return head, head  # a submodule's, inside the repository around it
    back = _line(head, "gitdir")
    common = _line(head, "commondir")
    if back is None or common is None or _joined(head, back) != dot_git:
        return None
    return head, _joined(head, common)


def _joined(folder: Path, path: bytes) -> Path:
    return Path(os.path.normpath(folder / os.fsdecode(path)))


def _resolve(head: Path, common: Path) -> str | None:
    name = "HEAD"
    for _ in range(_SYMBOLIC):
        text = _line(head, name)
        if text is None and head != common:
            text = _line(common, name)
        if text is None:
            return _packed(common, name)
        if _COMMIT.fullmatch(text):
            return text.decode()
        name = os.fsdecode(text.removeprefix(b"ref: "))
        if not text.startswith(b"ref: ") or not _NAME.fullmatch(name):
            return None
    return None


def _packed(common: Path, name: str) -> str | None:
    packed = _read(common, "packed-refs", _PACKED)
    if packed is None:
        return None
    line = re.search(rb"^(%b) %b$" % (_COMMIT.pattern, re.escape(os.fsencode(name))), packed, re.MULTILINE)
    return None if line is None else line[1].decode()


def _line(folder: Path, name: str) -> bytes | None:
    """Only line of a small file; None if there is no such file."""
    text = _read(folder, name, _SMALL)
    return None if text is None else text.rstrip(b"\r\n")


def _read(folder: Path, name: str, at_most: int) -> bytes | None:
    """Content of a regular file below ``folder``; None unless it is one, and small enough."""
    *between, last = name.split("/")
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        at = os.open(folder, flags | os.O_DIRECTORY)
    except OSError:
        return None
    try:
        for part in between:
            inner = os.open(part, flags | os.O_DIRECTORY, dir_fd=at)
            os.close(at)
            at = inner
        # Opening a device may act on it, so it is looked at first.
        if not stat.S_ISREG(os.stat(last, dir_fd=at, follow_symlinks=False).st_mode):
            return None
        with os.fdopen(os.open(last, flags, dir_fd=at), "rb") as file:
            content = file.read(at_most + 1) if stat.S_ISREG(os.fstat(file.fileno()).st_mode) else b""
    except OSError:
        return None
    finally:
        os.close(at)
    return content if 0 < len(content) <= at_most else None


def now() -> str:
    """Return the UTC time, ISO 8601, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def provenance(simulator: str | None = None) -> dict[str, Any]:
    """Return the provenance to record in a file.

    Parameters
    ----------
    simulator : str, optional
        Name and version of the simulator, if the state came from a live network.
    """
    found: dict[str, Any] = {
        "ann_ckpt": __version__,
        "python": platform.python_version(),
        "numpy": np.__version__,
        "h5py": h5py.__version__,
        "hdf5": h5py.version.hdf5_version,
        "platform": _platform(),
        "host": socket.gethostname(),
        "command": [os.fsdecode(os.fsencode(a)).encode("utf-8", "replace").decode() for a in sys.argv],
    }
    if simulator is not None:
        found["simulator"] = simulator
    commit = _commit()
    if commit is not None:
        found["git"] = commit
    return found


def _platform() -> str:
    """Return system, release and machine; ``platform.platform`` runs ``uname`` to learn one more word."""
    system = os.uname()
    return "-".join(filter(None, (system.sysname, system.release, system.machine, *platform.libc_ver())))


def _commit() -> str | None:
    try:
        return _commit_of(str(Path.cwd()))
    except OSError:  # the working folder was removed
        return None


# Once for each folder: a program is what it was when it began, and packed references take time.
_commit_of = cache(git_commit)
