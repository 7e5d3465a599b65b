"""What a disk may hold after a power cut, worked out from the calls that a save made.

The model is the worst that POSIX allows. The content of a file is safe once the file was
fsynced; until then it may be there, empty or torn. A name, made or removed, is safe once
its folder was fsynced; until then each one may have reached the disk or not, in any
order and whatever became of the others.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np

Tree = dict[str, bytes]
"""Path from the store's folder -> content."""


@dataclass
class Recording:
    """Calls in order: ``(what, path, other path or content)``."""

    root: Path
    calls: list[tuple[str, str, Any]] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def note(self, what: str, path: object, more: Any = None) -> None:
        with self.lock:
            self.calls.append((what, self.inside(path), more))

    def inside(self, path: object) -> str:
        return os.path.relpath(os.fspath(path), self.root)  # type: ignore[call-overload]


def tree_of(root: Path) -> Tree:
    return {os.fspath(p.relative_to(root)): p.read_bytes() for p in root.rglob("*") if p.is_file()}


@contextlib.contextmanager
def recording(root: Path) -> Iterator[Recording]:
    """Record what is done below ``root`` inside the block."""
    found = Recording(root)

    def fsync(real: Callable[..., Any]) -> Callable[..., Any]:
        def call(descriptor: int) -> None:
            path = Path(f"/proc/self/fd/{descriptor}").readlink()
            real(descriptor)
            found.note("sync", path, None if path.is_dir() else path.read_bytes())

        return call

    def move(real: Callable[..., Any]) -> Callable[..., Any]:
        def call(old: Any, new: Any, **kwargs: Any) -> None:
            found.note("move", old, found.inside(new))
            real(old, new, **kwargs)

        return call

    def unlink(real: Callable[..., Any]) -> Callable[..., Any]:
        def call(path: Any, **kwargs: Any) -> None:
            real(path, **kwargs)
            found.note("remove", path)

        return call

    with contextlib.ExitStack() as stack:
        for name, wrap in {"fsync": fsync, "replace": move, "rename": move, "unlink": unlink}.items():
            stack.enter_context(mock.patch.object(os, name, wrap(getattr(os, name))))
        yield found


class Disk:
    """What is safe, and what may or may not have reached the disk."""

    def __init__(self, tree: Tree) -> None:
        self.contents: list[bytes | None] = list(tree.values())
        self.safe: dict[str, int | None] = {path: number for number, path in enumerate(tree)}
        self.now = dict(self.safe)
        self.pending: dict[str, list[int | None]] = {}

    def apply(self, what: str, path: str, more: Any) -> None:
        if what == "sync" and more is None:
            for name in [n for n in self.pending if str(Path(n).parent) == path]:
                self.safe[name] = self.pending.pop(name)[-1]
        elif what == "sync":
            self.contents[self.file(path)] = more
        elif what == "move":
            number = self.file(path)
            self.set(more, number)
            self.set(path, None)
        else:
            self.set(path, None)

    def file(self, path: str) -> int:
        """Number of the file at ``path``; one that is met for the first time is not safe in any way."""
        number = self.now.get(path)
        if number is None:
            number = len(self.contents)
            self.contents.append(None)
            self.set(path, number)
        return number

    def set(self, path: str, number: int | None) -> None:
        self.now[path] = number
        self.pending.setdefault(path, []).append(number)

    def crashes(self, rng: np.random.Generator, at_most: int) -> Iterator[Tree]:
        """Yield what may be found after a power cut now: all of it, or a sample if that is too much."""
        names = list(self.pending)
        choices = [[self.safe.get(name), *self.pending[name]] for name in names]
        if np.prod([len(c) for c in choices], dtype=float) <= at_most:
            picks = list(product(*choices))
        else:
            picks = [tuple(c[0] for c in choices), tuple(c[-1] for c in choices)]
            picks += [tuple(c[rng.integers(len(c))] for c in choices) for _ in range(at_most - 2)]
        for pick in picks:
            names_then = {**self.safe, **dict(zip(names, pick, strict=True))}
            torn = rng.integers(3)
            yield {
                path: self.contents[n]
                if self.contents[n] is not None
                else (b"", b"\0" * 5000, b"\x89HDF")[torn]
                for path, n in names_then.items()
                if n is not None
            }


def crash_states(before: Tree, recorded: Recording, rng: np.random.Generator, at_most: int) -> Iterator[Tree]:
    """Yield every distinct tree that a power cut at any moment of a recording may leave.

    Parameters
    ----------
    before : Tree
        What was there, safely.
    at_most : int
        States for each moment; where there may be more, a sample of them.
    """
    disk, seen = Disk(before), set()
    for call in [None, *recorded.calls]:
        if call is not None:
            disk.apply(*call)
        for tree in disk.crashes(rng, at_most):
            mark = hash(frozenset((path, hash(content)) for path, content in tree.items()))
            if mark not in seen:
                seen.add(mark)
                yield tree
