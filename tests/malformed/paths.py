"""Paths that lead nowhere, or to what is no file: what a user or a script may hand over by mistake."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path


def _loop(folder: Path) -> Path:
    (folder / "round").symlink_to(folder / "round")
    return folder / "round"


def _long_chain(folder: Path) -> Path:
    for number in range(60):
        (folder / f"chain{number}").symlink_to(folder / f"chain{number + 1}")
    return folder / "chain0"


def _pipe(folder: Path) -> Path:
    os.mkfifo(folder / "pipe")
    return folder / "pipe"


def _file(folder: Path) -> Path:
    (folder / "plain").write_text("plain text\n")
    return folder / "plain"


def _closed(folder: Path) -> Path:
    (folder / "closed").mkdir(mode=0)
    return folder / "closed"


def _linked(folder: Path, target: str) -> Path:
    (folder / "link.h5").symlink_to(target)
    return folder / "link.h5"


PATHS: dict[str, Callable[[Path], Path]] = {
    "a NUL": lambda folder: folder / "a\0b.h5",
    "a NUL in a store": lambda folder: folder / "a\0b.ckpt",
    "a NUL behind @": lambda folder: folder / "good.ckpt@a\0b",
    "not UTF-8": lambda folder: folder / "\udcff\udcfe.h5",
    "not UTF-8, a store": lambda folder: folder / "\udcff.ckpt",
    "a lone surrogate": lambda folder: folder / "\ud83d.h5",
    "a lone surrogate behind @": lambda folder: folder / "good.ckpt@\ud83d",
    "a name too long": lambda folder: folder / ("n" * 5000 + ".h5"),
    "a store's name too long": lambda folder: folder / ("n" * 5000 + ".ckpt"),
    "a path too long": lambda folder: folder.joinpath(*["d" * 200] * 50) / "net.h5",
    "a link to itself": _loop,
    "below a link to itself": lambda folder: _loop(folder) / "net.h5",
    "a store below a link to itself": lambda folder: _loop(folder) / "run.ckpt",
    "sixty links": _long_chain,
    "a pipe": _pipe,
    "below a pipe": lambda folder: _pipe(folder) / "net.h5",
    "below a file": lambda folder: _file(folder) / "net.h5",
    "a store below a file": lambda folder: _file(folder) / "run.ckpt",
    "@ behind a file": lambda folder: _file(folder).with_name("plain@1"),
    "@ behind a pipe": lambda folder: _pipe(folder).with_name("pipe@1"),
    "a folder": lambda folder: folder,
    "a missing folder": lambda folder: folder / "no" / "such" / "net.h5",
    "a link to zeros without end": lambda folder: _linked(folder, "/dev/zero"),
    "a link to nothing": lambda folder: _linked(folder, "/dev/null"),
    "a link to a full device": lambda folder: _linked(folder, "/dev/full"),
    "a link to memory": lambda folder: _linked(folder, "/proc/self/mem"),
    "a link to what the system says": lambda folder: _linked(folder, "/proc/self/maps"),
    "digits without end": lambda folder: folder / ("good.ckpt@" + "9" * 5000),
    "digits of another script": lambda folder: folder / "good.ckpt@\u0663\u0664",
    "control characters": lambda folder: folder / "\x1b[2J\n.h5",
    "a tag of 4,000 letters": lambda folder: folder / ("good.ckpt@" + "t" * 4000),
}
"""What leads there, by what it is; other files may be made on the way."""
