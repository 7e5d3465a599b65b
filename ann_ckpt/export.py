"""Writes a network as one file, or in formats of other programs: SONATA, tables and graphs of synapses."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from ann_ckpt.adapters import sonata
from ann_ckpt.adapters.edges import TABLES, column_notes, write_graphml
from ann_ckpt.adapters.protocol import Reading
from ann_ckpt.durable import atomic_folder
from ann_ckpt.errors import OptionError, printable
from ann_ckpt.format.layout import escape
from ann_ckpt.model import NetworkState, ProjectionState
from ann_ckpt.paths import local_path
from ann_ckpt.provenance import now, provenance
from ann_ckpt.report import Note, Progress, Report, count, human_bytes
from ann_ckpt.selection import Selection, Which
from ann_ckpt.single import write_single
from ann_ckpt.store.opening import PathLike, open_checkpoint
from ann_ckpt.texts import text_file

__all__ = ["ExportFormat", "ExportReport", "export"]


class ExportFormat(StrEnum):
    """Formats in which a network, or its synapses, can be written."""

    CHECKPOINT = "checkpoint"
    """One self-contained file, ``.h5`` or ``.hdf5``."""
    SONATA = "sonata"
    """A folder that libsonata, bluepysnap and bmtk read."""
    CSV = "csv"
    """A table of synapses."""
    PARQUET = "parquet"
    """A table of synapses; needs the ``frames`` extra."""
    GRAPHML = "graphml"
    """All neurons and synapses as one graph."""


@dataclass(frozen=True, slots=True, repr=False)
class ExportReport(Report):
    """Report of an export."""

    path: str
    format: str
    saved: tuple[str, ...]
    """Objects written: ``populations/out``, ``projections/ff``, ..."""
    unmapped: tuple[Note, ...]
    """What the network has and the format does not, and what was written otherwise."""
    bytes_written: int
    seconds: float

    def headline(self) -> str:
        """Return the report in one line."""
        return (
            f"exported {count(len(self.saved), 'object')} to {printable(self.path)} as {self.format}: "
            f"{human_bytes(self.bytes_written)} in {self.seconds:.2f} s"
        )


def export(
    source: PathLike | NetworkState,
    target: PathLike,
    *,
    format: str | None = None,  # noqa: A002  what everybody calls it
    populations: Which = True,
    projections: Which = True,
    compression: str = "auto",
    progress: Progress | None = None,
) -> ExportReport:
    """Write a network as one file, or in a format that other programs read, synapses in blocks.

    ``checkpoint`` writes one self-contained file, with date, origin and tag of the source. ``sonata``
    makes a folder with nodes, edges, tables of their types and a ``circuit_config.json``. ``csv`` and
    ``parquet`` write the synapses of one projection to a file of that extension, or of several to a
    folder, a file for each. ``graphml`` writes one graph. What has no place in the format stands in the
    report.

    Parameters
    ----------
    source : path-like or NetworkState
        A checkpoint, as for :func:`~ann_ckpt.open`, or a state, lazy or not.
    target : path-like
        A new file or folder; appears whole or not at all. A file may replace another, a folder has to be
        empty or absent.
    format : {"checkpoint", "sonata", "csv", "parquet", "graphml"}, optional
        By default what the extension of ``target`` says.
    populations, projections : bool, str or list of str
        All, none, or names and globs.
    compression : str
        Of a checkpoint; see :func:`~ann_ckpt.write`.
    progress : callable, optional
        For a checkpoint: called as ``progress(what, done, total)`` with bytes.

    Raises
    ------
    OptionError
        If the format is unknown, or one table is asked for several projections.
    NotWritableError
        If the target cannot be written.
    MissingExtraError
        If Parquet is asked for, without the extra ``frames``.

    Examples
    --------
    >>> import ann_ckpt
    >>> print(ann_ckpt.export("net.h5", "circuit", format="sonata"))     # doctest: +SKIP
    """
    began = time.perf_counter()
    local_path(target)
    wanted = _format(target, format)
    if compression != "auto" and wanted is not ExportFormat.CHECKPOINT:
        raise OptionError(
            f"compression={printable(compression)!r} is for checkpoints",
            details={"given": f"format {wanted}"},
        )
    selection = Selection(populations, projections)
    with contextlib.ExitStack() as stack:
        origin: dict[str, Any] = {"created": now(), "provenance": provenance(), "tag": None}
        if isinstance(source, NetworkState):
            state = source.select(selection)
        else:
            opened = stack.enter_context(open_checkpoint(source))
            state = opened.state(selection, lazy=True)
            origin = {"created": opened.created, "provenance": opened.provenance, "tag": opened.tag}
        if wanted is ExportFormat.CHECKPOINT:
            written = write_single(
                Reading(state), target, compression=compression, progress=progress, **origin
            )
            saved, notes, size = written.saved, list(written.skipped), written.bytes_written
        else:
            notes = _write(state, target, wanted)
            saved, size = tuple(_saved(state, wanted)), _bytes(Path(target))
    return ExportReport(
        path=os.fspath(target),
        format=str(wanted),
        saved=saved,
        unmapped=tuple(notes),
        bytes_written=size,
        seconds=time.perf_counter() - began,
    )


_OTHER_FILES = (".txt", ".tsv", ".json", ".xml")
_EXTENSIONS = {
    ".h5": ExportFormat.CHECKPOINT,
    ".hdf5": ExportFormat.CHECKPOINT,
    ".csv": ExportFormat.CSV,
    ".parquet": ExportFormat.PARQUET,
    ".graphml": ExportFormat.GRAPHML,
}


def _format(target: PathLike, given: str | None) -> ExportFormat:
    known = ", ".join(repr(str(each)) for each in ExportFormat)
    if given is None:
        suffix = Path(target).suffix.lower()
        if suffix not in _EXTENSIONS:
            raise OptionError(
                "the extension is not one of a format",
                details={"known": ", ".join(_EXTENSIONS), "hint": f"or format=, one of {known}"},
                where=target,
            )
        return _EXTENSIONS[suffix]
    try:
        return ExportFormat(given)
    except ValueError:
        raise OptionError(f"format={printable(given)!r} is unknown", details={"known": known}) from None


def _saved(state: NetworkState, wanted: ExportFormat) -> Iterator[str]:
    if wanted in (ExportFormat.SONATA, ExportFormat.GRAPHML):
        yield from (f"populations/{name}" for name in state.populations)
    yield from (f"projections/{name}" for name in state.projections)


def _bytes(written: Path) -> int:
    files = written.iterdir() if written.is_dir() else [written]
    return sum(file.stat().st_size for file in files)


def _write(state: NetworkState, target: PathLike, wanted: ExportFormat) -> list[Note]:
    if wanted is ExportFormat.SONATA:
        _refuse_file_name(target)
        with atomic_folder(target) as folder:
            return sonata.write(state, folder)
    notes = [_ONLY_SYNAPSES, *column_notes(state.projections.values())]
    if wanted is ExportFormat.GRAPHML:
        with text_file(target, what="a graph") as temporary:
            write_graphml(state, temporary)
        return notes
    write = TABLES[wanted]
    if Path(target).suffix.lower() == f".{wanted}":
        with text_file(target, what="a table") as temporary:
            write(_only_one(state, target), temporary)
        return notes
    _refuse_file_name(target)
    with atomic_folder(target) as folder:
        for name, projection in state.projections.items():
            write(projection, folder / f"{escape(name)}.{wanted}")
    return notes


def _refuse_file_name(target: PathLike) -> None:
    """Raise if what is going to be a folder is called as a file of another format is."""
    suffix = Path(target).suffix.lower()
    if suffix in (*_EXTENSIONS, *_OTHER_FILES):
        raise OptionError(
            f"a folder would be made that is called as a file is: {suffix}",
            details={"expected": "the name of a folder, or the extension of the format"},
            where=target,
        )


_ONLY_SYNAPSES = Note("", "synapses only: values of neurons, constants, dynamics, recordings are left out")


def _only_one(state: NetworkState, target: PathLike) -> ProjectionState:
    if len(state.projections) != 1:
        raise OptionError(
            f"a table has the synapses of one projection, and here are {len(state.projections)}",
            details={
                "hint": "choose one by projections=, or give a folder",
                "stored": ", ".join(state.projections),
            },
            where=target,
        )
    return next(iter(state.projections.values()))
