"""The library of ``shim.c``: built once for each text of it, armed in a process that has it preloaded."""

from __future__ import annotations

import ctypes
import errno
import hashlib
import os
import subprocess
import tempfile
from dataclasses import dataclass
from enum import IntEnum, IntFlag
from pathlib import Path

__all__ = ["CHANGING", "Action", "Fault", "Kind", "arm", "build", "disarm", "first", "met", "seen"]

SOURCE = Path(__file__).with_name("shim.c")


class Kind(IntFlag):
    """Kinds of system calls."""

    WRITE = 1
    FSYNC = 2
    TRUNCATE = 4
    RENAME = 8
    UNLINK = 16
    MKDIR = 32
    CREATE = 64
    OPEN = 128
    LINK = 256
    READ = 512
    CHMOD = 1024
    CLOSE = 2048
    LIST = 4096
    LOCK = 8192
    STAT = 16384


CHANGING = (
    Kind.WRITE
    | Kind.FSYNC
    | Kind.TRUNCATE
    | Kind.RENAME
    | Kind.UNLINK
    | Kind.MKDIR
    | Kind.CREATE
    | Kind.LINK
    | Kind.CHMOD
    | Kind.CLOSE
)
"""What a call does that changes a folder, waiting for the disk included."""


class Action(IntEnum):
    """What happens to the chosen call."""

    NOTHING = 0
    FAIL = 1
    CUT = 2
    """Half of the bytes, and the system says so."""
    KILL_BEFORE = 3
    KILL_AFTER = 4
    KILL_HALFWAY = 5
    """Half of the bytes are written; other calls are done, and then it ends."""


@dataclass(frozen=True, slots=True)
class Fault:
    """What is to happen, but for the number of the call."""

    name: str
    action: Action
    kinds: Kind
    error: int = 0
    persistent: bool = False
    """Whether every call after the chosen one fails as well."""

    @property
    def kills(self) -> bool:
        return self.action >= Action.KILL_BEFORE


_SPACE = Kind.WRITE | Kind.TRUNCATE | Kind.RENAME | Kind.MKDIR | Kind.CREATE | Kind.LINK
_RESTARTED = Kind.WRITE | Kind.FSYNC | Kind.TRUNCATE | Kind.CREATE
_EVERYTHING = CHANGING | Kind.OPEN | Kind.READ | Kind.LIST | Kind.LOCK

COUNTED = Fault("counted", Action.NOTHING, ~Kind(0))
"""Nothing happens, and every call is counted."""

WRITING = (
    Fault("enospc", Action.FAIL, CHANGING, errno.ENOSPC),
    Fault("eio", Action.FAIL, CHANGING, errno.EIO),
    Fault("edquot", Action.FAIL, CHANGING, errno.EDQUOT),
    Fault("eintr", Action.FAIL, _RESTARTED, errno.EINTR),
    Fault("cut", Action.CUT, Kind.WRITE),
    Fault("full", Action.FAIL, _SPACE, errno.ENOSPC, persistent=True),
    Fault("read-only", Action.FAIL, CHANGING & ~Kind.CLOSE, errno.EROFS, persistent=True),
    Fault("gone", Action.FAIL, _EVERYTHING, errno.EIO, persistent=True),
    Fault("killed-before", Action.KILL_BEFORE, CHANGING & ~Kind.CLOSE),
    Fault("killed-after", Action.KILL_AFTER, CHANGING & ~Kind.CLOSE),
    Fault("killed-halfway", Action.KILL_HALFWAY, Kind.WRITE),
)
"""What happens to those who write."""

_READING = Kind.OPEN | Kind.READ | Kind.LIST | Kind.STAT

READING = (
    Fault("eio", Action.FAIL, _READING, errno.EIO),
    Fault("estale", Action.FAIL, _READING, errno.ESTALE),
    Fault("eintr", Action.FAIL, Kind.OPEN | Kind.READ, errno.EINTR),
    Fault("cut", Action.CUT, Kind.READ),
    Fault("gone", Action.FAIL, _READING, errno.EIO, persistent=True),
)
"""What happens to those who read."""


def build() -> Path:
    """Return the library, compiled unless that text of it was before."""
    name = f"ann_ckpt-faults-{hashlib.sha256(SOURCE.read_bytes()).hexdigest()[:16]}.so"
    folder = Path(tempfile.gettempdir()) / f"ann_ckpt-tests-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    library = folder / name
    if not library.exists():
        made = folder / f"{name}.{os.getpid()}"
        compiler = os.environ.get("CC", "cc")
        flags = ["-std=gnu17", "-O1", "-shared", "-fPIC", "-Wall", "-Wextra", "-Werror"]
        subprocess.run([compiler, *flags, "-o", made, SOURCE, "-ldl"], check=True)
        made.rename(library)
    return library


def _own() -> ctypes.CDLL:
    """The library as it is loaded into this process, in front of libc."""
    found = ctypes.CDLL(None)
    found.faults_first.restype = ctypes.c_char_p
    found.faults_met.restype = found.faults_of_kind.restype = ctypes.c_long
    return found


def arm(folder: Path, fault: Fault, number: int) -> None:
    """Let something happen to the ``number``-th call below a folder; to none, if it is negative."""
    done = _own().faults_arm(
        os.fsencode(folder),
        ctypes.c_uint(fault.kinds),
        ctypes.c_long(number),
        fault.action,
        fault.error,
        fault.persistent,
    )
    assert done == 0


def disarm() -> None:
    _own().faults_disarm()


def seen() -> dict[int, int]:
    """Calls of each kind since it was armed, as far as they were to be counted."""
    return {int(kind): int(_own().faults_of_kind(kind)) for kind in Kind}


def met() -> int:
    """Calls to which something happened."""
    return int(_own().faults_met())


def first() -> str:
    """The first of these calls, and its path."""
    return os.fsdecode(_own().faults_first())
