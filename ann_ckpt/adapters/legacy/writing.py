"""Writes ANNarchy's own file formats."""

from __future__ import annotations

import gzip
import io
import os
import time
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO, Final

import numpy as np

from ann_ckpt.adapters.legacy.matlab import write_matlab
from ann_ckpt.adapters.legacy.pickle.writer import write_pickle
from ann_ckpt.adapters.legacy.streams import Container
from ann_ckpt.adapters.legacy.tables import network_table
from ann_ckpt.adapters.protocol import Reading
from ann_ckpt.durable import atomic_write, check_target, code_of_others, explained
from ann_ckpt.errors import StateError
from ann_ckpt.report import Note, SaveReport

__all__ = [
    "SUFFIXES",
    "write",
]

SUFFIXES: Final = {
    ".data": Container.PICKLE,
    ".txt": Container.PICKLE,
    ".gz": Container.GZIP,
    ".npz": Container.NPZ,
    ".mat": Container.MAT,
}
"""Extensions that stand for ANNarchy's own formats when a network is saved."""

_LEVEL = 6
_LONGEST = 65_535 - len(".npy")
"""Bytes of a name in an archive."""


def write(
    reading: Reading, path: str | os.PathLike[str], container: Container | str | None = None
) -> SaveReport:
    """Write a network as ANNarchy 5.0 does; 4.8 and 5.0 load such files.

    Parameters
    ----------
    reading : Reading
        What a source yields. Weights are taken in blocks, except for ``.mat``.
    path : path-like
        The file; appears whole or not at all.
    container : {"pickle", "gzip", "npz", "mat"}, optional
        By default what the extension says, ``.txt`` being a pickle; any other, too.

    Returns
    -------
    SaveReport
        ``skipped`` tells what has no place in these formats.

    Raises
    ------
    StateError
        If these formats cannot hold the network: two objects of one name, delays
        without dt.
    NotWritableError
        If the file cannot be written; an older one is untouched.
    """
    began = time.perf_counter()
    check_target(path)
    kind = Container(container) if container else SUFFIXES.get(Path(path).suffix, Container.PICKLE)
    projections = {n: p for n, p in reading.state.projections.items() if not p.has_only_dynamics}
    state = replace(reading.state, projections=projections)
    table, notes = network_table(state)
    without = [
        Note(f"projections/{name}", "not saved: these formats have no place for filters")
        for name in reading.state.projections
        if name not in projections
    ]
    with atomic_write(path) as temporary:
        with code_of_others(), io.BufferedWriter(_NewFile(temporary, path)) as file:
            _WRITERS[kind](table, file)
        size = temporary.stat().st_size
    saved = [f"populations/{n}" for n in state.populations] + [f"projections/{n}" for n in state.projections]
    return SaveReport(
        os.fspath(path), tuple(saved), (*reading.notes, *without, *notes), size, time.perf_counter() - began
    )


class _NewFile(io.FileIO):
    """A file being written whose errors are told from those of the source that it is written from."""

    def __init__(self, temporary: Path, final: str | os.PathLike[str]) -> None:
        self._final = Path(final)
        with explained(self._final):
            super().__init__(temporary, "wb")

    def write(self, data: Any) -> int:
        with explained(self._final):
            return super().write(data)

    def truncate(self, size: int | None = None) -> int:
        with explained(self._final):
            return super().truncate(size)

    def close(self) -> None:
        with explained(self._final):
            super().close()


def _write_gzip(table: dict[str, Any], file: BinaryIO) -> None:
    with gzip.GzipFile(fileobj=file, mode="wb", compresslevel=_LEVEL, mtime=0, filename="") as packed:
        write_pickle(table, packed)  # type: ignore[arg-type] # it writes, and no more is asked


def _write_archive(table: dict[str, Any], file: BinaryIO) -> None:
    for key in table:
        if len(key.encode()) > _LONGEST:
            raise StateError(
                f"an object has a name of {len(key.encode())} bytes",
                details={"expected": f"at most {_LONGEST} in an archive; other formats have no such limit"},
            )
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=_LEVEL) as archive:
        for key, entry in table.items():
            member = zipfile.ZipInfo(f"{key}.npy")
            member.compress_type = zipfile.ZIP_DEFLATED
            with archive.open(member, "w", force_zip64=True) as target:
                if isinstance(entry, dict):
                    header = {"descr": "|O", "fortran_order": False, "shape": ()}
                    np.lib.format.write_array_header_1_0(target, header)
                    write_pickle(entry, target, as_object_array=True)  # type: ignore[arg-type] # it writes
                else:
                    np.lib.format.write_array(target, np.asarray(entry), allow_pickle=False)


_WRITERS: Final[dict[Container, Callable[[dict[str, Any], BinaryIO], None]]] = {
    Container.PICKLE: write_pickle,
    Container.GZIP: _write_gzip,
    Container.NPZ: _write_archive,
    Container.MAT: write_matlab,
}
