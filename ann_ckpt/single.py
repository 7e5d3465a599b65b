"""Writes one self-contained checkpoint file atomically."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ann_ckpt.adapters.protocol import Reading
from ann_ckpt.durable import Flusher, atomic_write, check_target, code_of_others
from ann_ckpt.errors import OptionError, printable
from ann_ckpt.format import chunking, layout
from ann_ckpt.format.plan import plan_file
from ann_ckpt.format.writer import write_file
from ann_ckpt.model import NetworkState
from ann_ckpt.report import Meter, Progress, SaveReport

__all__ = ["check_single", "is_meant_for_us", "object_paths", "write_single"]


def write_single(
    reading: Reading,
    path: str | os.PathLike[str],
    *,
    compression: str,
    created: str,
    provenance: Mapping[str, Any],
    tag: str | None = None,
    progress: Progress | None = None,
) -> SaveReport:
    """Write a reading to one file atomically.

    Parameters
    ----------
    reading : Reading
        Arrays are taken in blocks.
    path : path-like
        Ends in ``.h5`` or ``.hdf5``.
    compression : str
        A member of :class:`~ann_ckpt.format.chunking.Compression`.
    created, provenance
        When it was saved first, and by whom.
    tag : str, optional
        What it is called in a store.
    progress : callable, optional
        Called as ``progress(what, done, total)`` with bytes.
    """
    began = time.perf_counter()
    check_single(path)
    plan = plan_file(
        reading.state,
        compression=chunking.compression(compression),
        created=created,
        provenance=provenance,
        tag=tag,
    )
    meter = Meter(progress, plan.nbytes)
    with atomic_write(path) as temporary:
        with Flusher(temporary) as flusher:

            def tick(what: str, count: int) -> None:
                flusher.wrote(count)
                with code_of_others():
                    meter.tick(what, count)

            write_file(plan, os.fspath(temporary), tick=tick)
        size = temporary.stat().st_size
    return SaveReport(
        os.fspath(path), object_paths(reading.state), reading.notes, size, time.perf_counter() - began
    )


def object_paths(state: NetworkState) -> tuple[str, ...]:
    """Return ``populations/out``, ``projections/ff``, ... for everything in a state."""
    return tuple(f"{layout.POPULATIONS}/{n}" for n in state.populations) + tuple(
        f"{layout.PROJECTIONS}/{n}" for n in state.projections
    )


_OURS = (".h5", ".hdf", ".hd5", ".ckpt")
"""How extensions begin that stand for a checkpoint or a store, misspelt ones included."""


def is_meant_for_us(path: str | os.PathLike[str]) -> bool:
    """Whether a name asks for a checkpoint or a store, rightly or nearly so.

    Examples
    --------
    >>> [is_meant_for_us(name) for name in ("net.h5", "net.H5.", "run.ckpt/x", "net", "net.pkl")]
    [True, True, True, False, False]
    """
    *folders, name = Path(path).parts or ("",)
    if any(Path(folder).suffix.lower() == ".ckpt" for folder in folders):
        return True
    return Path(name.rstrip(". ")).suffix.lower().startswith(_OURS)


def check_single(path: str | os.PathLike[str]) -> None:
    """Raise if a path cannot become a checkpoint file, before anything is read.

    Raises
    ------
    OptionError
        If the extension is another one, or the path not one of this machine.
    NotWritableError
        As :func:`~ann_ckpt.durable.check_target`.
    """
    suffix = Path(path).suffix
    if suffix not in layout.SUFFIXES:
        raise OptionError(
            f"the extension {printable(suffix)!r} is not a format that can be written",
            details={
                "known": ".h5, .hdf5; run.ckpt or run.ckpt@tag for a store; "
                "ANNarchy's .data, .txt, .gz, .npz, .mat"
            },
            where=path,
        )
    check_target(path)
