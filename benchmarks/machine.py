"""What the figures were measured on and with."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import subprocess
from collections.abc import Iterable
from pathlib import Path

__all__ = ["commit_of", "describe"]


def describe(distributions: Iterable[str], folder: Path) -> dict[str, str]:
    """Return processor, memory, file system, load and versions, by what they are.

    Parameters
    ----------
    distributions : iterable of str
        Whose versions count; those that are missing are said to be.
    folder : Path
        Where the files of the run lie.
    """
    return {
        "processor": f"{_processor()}, {os.cpu_count()} cores",
        "memory": f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GiB",
        "system": f"{platform.system()} {platform.release()}, {_file_system(folder)}",
        "load": f"{os.getloadavg()[0]:.1f} processes on average in the minute before the run",
        "python": platform.python_version(),
        **{name: _version(name) for name in distributions},
    }


def commit_of(tree: Path) -> str:
    """Commit of a working tree, and whether it was changed since; empty if there is none."""
    try:
        commit = _git(tree, "rev-parse", "--short=12", "HEAD")
        changed = _git(tree, "status", "--porcelain", "--untracked-files=no", "--", "ann_ckpt", "benchmarks")
    except (OSError, subprocess.CalledProcessError):
        return ""
    return f"{commit}, changed" if changed else commit


def _git(tree: Path, *arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=tree, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def _file_system(folder: Path) -> str:
    """Type of the file system that a folder is on: fsync means little on some."""
    mounts = Path("/proc/self/mounts")
    if not mounts.exists():
        return "unknown file system"
    place = folder.resolve()
    best = ("", "unknown file system")
    for line in mounts.read_text().splitlines():
        _, point, kind, *_ = line.split()
        if place.is_relative_to(point) and len(point) >= len(best[0]):
            best = (point, kind)
    return best[1]


def _version(distribution: str) -> str:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"
