"""Files of which every digest is right, and that no writer of this package makes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ann_ckpt import NetworkState
from ann_ckpt.format import layout
from ann_ckpt.format.chunking import Compression, choose
from ann_ckpt.format.plan import ArrayEntry, FileEntry, FilePlan, GroupEntry, TextEntry, pack, plan_file
from ann_ckpt.format.writer import write_file
from ann_ckpt.model import Locality

Change = Callable[[dict[str, FileEntry]], None]
"""Changes the entries of a file, by their paths, before it is written."""


def forge(path: Path, state: NetworkState, *changes: Change, tag: str | None = None) -> Path:
    """Write a network to a new file, with some entries changed."""
    entries: dict[str, FileEntry] = {
        entry.path: entry
        for entry in plan_file(
            state, compression=Compression.AUTO, created="2026-01-01T00:00:00+00:00", provenance={}, tag=tag
        ).entries
    }
    for change in changes:
        change(entries)
    path.touch()
    write_file(FilePlan(tuple(entries.values())), str(path), tick=lambda *_: None)
    return path


def attributes(path: str, **values: Any) -> Change:
    """Give attributes to a group; None takes one away."""

    def change(entries: dict[str, FileEntry]) -> None:
        group = entries[path]
        assert isinstance(group, GroupEntry)
        given = {name: None if value is None else np.array(value) for name, value in values.items()}
        kept = {**group.attributes, **given}
        entries[path] = replace(group, attributes={n: v for n, v in kept.items() if v is not None})

    return change


def text(path: str, value: str) -> Change:
    """Put a text in the place of another, or where there is none."""
    return lambda entries: entries.update({path: TextEntry(path, value)})


def array(path: str, values: Any, locality: str = "", encoding: str = layout.E_ARRAY) -> Change:
    """Put an array in the place of another, or where there is none."""
    given = np.asarray(values)
    storage = choose(given.shape, given.dtype.itemsize, Compression.AUTO)

    def change(entries: dict[str, FileEntry]) -> None:
        before = entries.get(path)
        known = locality or getattr(before, "locality", "")
        group = path.rpartition("/")[0]
        entries.setdefault(group, GroupEntry(group))
        entries[path] = ArrayEntry(path, given, storage, known, encoding)

    return change


def single_values(path: str, values: Mapping[str, Any]) -> Change:
    """Put a compound of single values somewhere."""
    return array(path, pack({n: np.asarray(v) for n, v in values.items()}), Locality.GLOBAL, layout.E_GLOBALS)
