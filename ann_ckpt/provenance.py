"""Who wrote a checkpoint, with what, where and when."""

from __future__ import annotations

import os
import platform
import socket
import sys
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from ann_ckpt._version import __version__
from ann_ckpt.git_commit import git_commit

__all__ = ["now", "provenance"]


def now() -> str:
    """Return the UTC time, ISO 8601, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def provenance(simulator: str | None = None) -> dict[str, Any]:
    """Return what a file should still say of its origin years later.

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
        "platform": platform.platform(),
        "host": socket.gethostname(),
        "command": [os.fsdecode(os.fsencode(a)).encode("utf-8", "replace").decode() for a in sys.argv],
    }
    if simulator is not None:
        found["simulator"] = simulator
    commit = _commit()
    if commit is not None:
        found["git"] = commit
    return found


def _commit() -> str | None:
    try:
        return _commit_of(str(Path.cwd()))
    except OSError:  # the working folder was removed
        return None


# Once for each folder: a program is what it was when it began, and packed references take time.
_commit_of = cache(git_commit)
