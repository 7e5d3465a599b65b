"""Files of other programs: a row for each program whose files are read, and who writes which extension.

To read another program's files, write the reader and a row in ``FORMATS``: opening, reading, loading,
converting and ``ann-ckpt info`` ask this table only. Formats that networks are saved in as well stand
in ``WRITERS``.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol

from ann_ckpt.adapters import legacy, sonata
from ann_ckpt.adapters.legacy import brian2
from ann_ckpt.adapters.legacy.layouts import check_dt
from ann_ckpt.adapters.legacy.sandbox.client import examine_isolated
from ann_ckpt.adapters.protocol import ForeignFile, Reading
from ann_ckpt.paths import address_of
from ann_ckpt.report import SaveReport

__all__ = [
    "ANNARCHY",
    "BRIAN2",
    "FORMATS",
    "WRITERS",
    "Examine",
    "ForeignFormat",
    "Write",
    "examine",
    "format_of",
    "write_nameless",
    "writer_for",
]


class Examine(Protocol):
    """Reads one file whole, without running anything in it."""

    def __call__(
        self, path: str | os.PathLike[str], *, dt: float | None = None, encoding: str | None = None
    ) -> ForeignFile:
        """Return what is in a file.

        Parameters
        ----------
        path : path-like
            The file.
        dt : float, optional
            Length of a step in ms, for files that do not record it.
        encoding : str, optional
            Of names in files that do not say how they encode them.

        Raises
        ------
        UnsafeFileError, CorruptFileError
            If the file asks for what numbers and names do not need, is damaged, or is of another
            program (:class:`~ann_ckpt.UnrecognisedFileError`).
        """


@dataclass(frozen=True, slots=True)
class ForeignFormat:
    """The files of one program."""

    program: str
    """How messages call it."""
    detect: Callable[[str | os.PathLike[str]], object | None]
    """Returns None for a file that is not one of these, by its first bytes."""
    examine: Examine
    examine_isolated: Examine
    """The same in a process of its own, with limits on memory and time."""
    members: Callable[[str | os.PathLike[str]], Collection[Path]] = lambda _path: ()
    """Other files that are read together with one of these."""


ANNARCHY = ForeignFormat("ANNarchy", legacy.detect, legacy.examine, examine_isolated)

BRIAN2 = ForeignFormat("Brian2", brian2.detect, brian2.examine, partial(examine_isolated, program="Brian2"))

SONATA = ForeignFormat("SONATA", sonata.detect, sonata.examine, sonata.examine, sonata.members)
"""Nothing but HDF5, looked at before HDF5 reads it, JSON and tables: it needs no other process."""

FORMATS = (BRIAN2, ANNARCHY, SONATA)
"""In the order in which they are asked whether a file is theirs."""

Write = Callable[[Reading, str | os.PathLike[str]], SaveReport]

WRITERS: dict[str, Write] = dict.fromkeys(legacy.SUFFIXES, legacy.write)
"""Who writes a network, by the extension of the file."""

write_nameless: Write = legacy.write
"""Who writes it under a name that asks for no format: it is pickled, as ANNarchy documents."""


def format_of(path: str | os.PathLike[str]) -> ForeignFormat | None:
    """Return the format that a file has, by its content; None for a checkpoint and whatever is not known.

    Files of other programs are read on this machine only: None for an address.

    Raises
    ------
    FileMissingError, NotReadableError
        If the system does not give the file.
    """
    if address_of(path) is not None:
        return None
    return next((each for each in FORMATS if each.detect(path) is not None), None)


def writer_for(path: str | os.PathLike[str]) -> Write | None:
    """Return who writes a network there, by the extension; None where it is not another program's."""
    return WRITERS.get(Path(path).suffix)


def examine(
    path: str | os.PathLike[str],
    *,
    dt: float | None = None,
    encoding: str | None = None,
    isolate: bool = False,
    snapshot: str | None = None,
    several: bool = False,
) -> ForeignFile:
    """Read a file of another program; parameters and errors are those of :class:`Examine`.

    Parameters
    ----------
    isolate : bool
        In a process of its own, with limits on memory and time; takes half a second.
    snapshot : str, optional
        Which of several networks in the file.
    several : bool
        Whether a file with several will do where none is named.

    Raises
    ------
    OptionError
        If there is no such snapshot, or one has to be named, or ``dt`` is no positive number.
    """
    dt = check_dt(dt)
    found = format_of(path) or ANNARCHY  # whose reader says what the file begins with
    file = (found.examine_isolated if isolate else found.examine)(path, dt=dt, encoding=encoding)
    return file if several and snapshot is None else file.only(snapshot)
