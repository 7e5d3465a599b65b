"""Reads files that ``Network.store(filename=...)`` of Brian2 wrote: a pickle of all snapshots by name.

A snapshot has the arrays of each object by its name, and nothing that says what the object is: that
shows in the names of its arrays. What stands for them in a state is decided where it is for live
networks, in :mod:`ann_ckpt.adapters.brian2.mapping`.

=============  =============================================================================
versions       what marks their files
=============  =============================================================================
up to 2.6      no delays; arrays of numpy 1
2.7 to 2.9     no delays; with numpy 2 its arrays
2.10           ``delay`` of each pathway
2.11           ``_pre_delay`` of synapses too; numbers drawn in advance instead of their address
=============  =============================================================================
"""

from __future__ import annotations

import io
import os
import pickletools
from typing import Final

import numpy as np

from ann_ckpt.adapters.legacy.brian2_snapshot import DELAY, QUEUE, TIME, read_snapshot
from ann_ckpt.adapters.legacy.layouts import check_dt
from ann_ckpt.adapters.legacy.pickle.reader import checked_encoding, read_pickle
from ann_ckpt.adapters.legacy.reading import named, oldest_python, opened
from ann_ckpt.adapters.legacy.streams import Budget, Container, PlainStream
from ann_ckpt.adapters.legacy.values import Table, check_text
from ann_ckpt.adapters.protocol import ForeignFile
from ann_ckpt.errors import UnrecognisedFileError

__all__ = ["detect", "examine"]

_HEAD = 4096
_OPENING: Final = ("EMPTY_DICT", "text", "EMPTY_DICT", "text", "EMPTY_DICT")
"""A dict of snapshots by name, one of objects by name, one of arrays by name."""
_FRAMING: Final = frozenset({"PROTO", "FRAME", "MEMOIZE", "MARK"})
_OLD_GROUPS: Final = frozenset({"parameter", "variables"})
"""Three dicts deep, too, were populations of ANNarchy up to 4.1."""


def detect(path: str | os.PathLike[str]) -> Container | None:
    """Return :attr:`Container.PICKLE` if a file begins as those of Brian2 do; None if it does not.

    Raises
    ------
    FileMissingError, NotReadableError
        If the system does not give the file.
    """
    with opened(path) as file, named(path):
        found = _opening(file.read(_HEAD))
    begins_so = tuple(kind for kind, _ in found) == _OPENING
    return Container.PICKLE if begins_so and found[3][1] not in _OLD_GROUPS else None


def _opening(head: bytes) -> list[tuple[str, str]]:
    """Return the first objects that a pickle makes; nothing is run."""
    found: list[tuple[str, str]] = []
    if head[:2] not in (b"\x80\x04", b"\x80\x05"):
        return found
    try:
        for code, argument, _ in pickletools.genops(io.BytesIO(head)):
            if code.name not in _FRAMING:
                found.append(("text", argument) if isinstance(argument, str) else (code.name, ""))
            if len(found) == len(_OPENING):
                break
    except ValueError:  # it ends in the middle, or is not a pickle
        pass
    return found


def examine(
    path: str | os.PathLike[str], *, dt: float | None = None, encoding: str | None = None
) -> ForeignFile:
    """Read a file that any Brian2 from 2.5 to 2.11 stored, without running anything in it.

    Parameters
    ----------
    path : path-like
        The file.
    dt, encoding
        Checked and not needed: such files have both.

    Raises
    ------
    UnsafeFileError
        If the file asks for what numbers and names do not need.
    CorruptFileError
        If it is damaged, or no file of Brian2's (:class:`UnrecognisedFileError`).
    FileMissingError, NotReadableError
        If the system does not give the file.
    """
    check_dt(dt)
    checked_encoding(encoding)
    name = os.fspath(path)
    with opened(path) as file, named(path):
        budget = Budget(os.fstat(file.fileno()).st_size)
        content, traits = read_pickle(PlainStream(file, budget.stored, name, budget), budget)
        stored = content if isinstance(content, dict) else {}
        found = {key: entry for key, entry in stored.items() if isinstance(entry, dict) and TIME in entry}
        if not found or len(found) < len(stored):
            raise UnrecognisedFileError("the file holds other things than snapshots of Brian2")
        snapshots = {check_text(key): read_snapshot(key, entry, budget) for key, entry in found.items()}
        return ForeignFile(
            path=name,
            container=Container.PICKLE,
            kind="network",
            file_bytes=budget.stored,
            program="Brian2",
            versions=_versions(found, traits),
            python=oldest_python(traits),
            reading=next(reversed(snapshots.values())),
            snapshots=snapshots,
        )


def _versions(snapshots: dict[str, Table], traits: frozenset[str]) -> str:
    tables = [table for entry in snapshots.values() for table in entry.values() if isinstance(table, dict)]
    pathways = [table for table in tables if QUEUE in table]
    buffers = [table["rand_buffer"] for table in tables if "rand_buffer" in table]
    if any(isinstance(buffer, np.ndarray) and buffer.dtype == np.float64 for buffer in buffers):
        return "2.11"
    if any(DELAY in pathway for pathway in pathways):
        return "2.10"
    last = "2.9" if pathways else "2.10"
    return f"2.7 to {last}" if "numpy2" in traits else f"{last} or earlier"
