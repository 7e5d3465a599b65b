"""Reads an old file: path in, state and report out."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Final

from ann_ckpt.adapters.legacy.archives import read_archive
from ann_ckpt.adapters.legacy.layouts import check_dt, interpret
from ann_ckpt.adapters.legacy.matlab import read_matlab
from ann_ckpt.adapters.legacy.pickle.reader import checked_encoding, read_pickle
from ann_ckpt.adapters.legacy.streams import (
    HEAD_BYTES,
    Budget,
    Container,
    GzipStream,
    PlainStream,
    container_of,
)
from ann_ckpt.adapters.legacy.values import OldDocument
from ann_ckpt.adapters.legacy.versions import kind_of_table, written_by
from ann_ckpt.adapters.protocol import ForeignFile, Reading
from ann_ckpt.durable import open_regular
from ann_ckpt.errors import (
    CheckpointError,
    CorruptFileError,
    NotReadableError,
    UnrecognisedFileError,
    UnsafeFileError,
    printable,
)

__all__ = [
    "detect",
    "examine",
    "named",
    "old_file",
    "oldest_python",
    "opened",
    "read",
]

_OLDEST_PYTHON: Final = {"protocol3": "3.0", "protocol4": "3.4", "protocol5": "3.8"}


def old_file(path: str, file_bytes: int, document: OldDocument, reading: Reading) -> ForeignFile:
    """Put together what was read of a file, and judge who wrote it."""
    kind = kind_of_table(document.content) if isinstance(document.content, dict) else None
    return ForeignFile(
        path=path,
        container=document.container,
        kind=str(kind or ""),
        file_bytes=file_bytes,
        program="ANNarchy",
        versions=written_by(document),
        python=oldest_python(document.traits),
        reading=reading,
    )


def oldest_python(traits: frozenset[str]) -> str:
    """Return the versions of Python that write pickles with such traits; empty if any does."""
    if "python2" in traits:
        return "2"
    oldest = [version for trait, version in _OLDEST_PYTHON.items() if trait in traits]
    return f"{oldest[-1]} or later" if oldest else ""


UNFORESEEN = "reading the file failed unexpectedly"
"""What an error says that nobody thought of; the fuzz tests look for it."""

_HDF5 = b"\x89HDF\r\n"
_StrPath = str | os.PathLike[str]


def detect(path: _StrPath) -> Container | None:
    """Return which of the old formats a file has, by its content; None if it has none.

    Parameters
    ----------
    path : path-like
        An existing file.

    Raises
    ------
    FileMissingError, NotReadableError
        If the system does not give the file.
    """
    with opened(path) as file, named(path):
        return container_of(_head(file))


def read(path: _StrPath, *, dt: float | None = None, encoding: str | None = None) -> Reading:
    """Read a file that any ANNarchy from 4.1 to 5.0 wrote, without running anything in it.

    Parameters
    ----------
    path : path-like
        A network, a population, a projection or a connectivity file: a pickle, a
        gzipped pickle, an ``.npz`` or a ``.mat``, whatever it is called.
    dt : float, optional
        Length of a step in ms, which no file records. Delays that the file has in ms
        become steps with it; without it, ANNarchy's default is assumed where it fits,
        and the notes say so.
    encoding : str, optional
        Of names in files from Python 2. By default UTF-8, or else Latin-1.

    Returns
    -------
    Reading
        The state, partial for a part of a network, and notes on all that the file
        does not say.

    Raises
    ------
    UnsafeFileError
        If the file refers to, or asks for, anything that numbers and names do not need.
    CorruptFileError
        If it is damaged, or no file of ANNarchy's (:class:`UnrecognisedFileError`).
    FileMissingError, NotReadableError
        If the system does not give the file.
    OptionError
        If ``dt`` or ``encoding`` makes no sense.
    """
    return examine(path, dt=dt, encoding=encoding).reading


def examine(path: _StrPath, *, dt: float | None = None, encoding: str | None = None) -> ForeignFile:
    """Read a file as :func:`read` does, and say what it is and who wrote it."""
    dt = check_dt(dt)
    checked_encoding(encoding)
    name = os.fspath(path)
    with opened(path) as file, named(path):
        budget = Budget(os.fstat(file.fileno()).st_size)
        document = _document(file, container_of(_head(file)), name, budget, encoding)
        reading = interpret(document, budget, dt=dt, name=Path(path).name.split(".")[0])
        return old_file(name, budget.stored, document, reading)


@contextmanager
def named(path: _StrPath) -> Iterator[None]:
    """Say in every error which file it is about."""
    name = os.fspath(path)
    try:
        yield
    except (UnsafeFileError, CorruptFileError) as error:
        error.where = error.where or name
        raise
    except OSError as error:
        raise NotReadableError(f"the file cannot be read: {error.strerror or error}", where=name) from error
    except MemoryError as error:
        raise UnsafeFileError("the file requires more memory than is available", where=name) from error
    except CheckpointError:
        raise
    except Exception as error:
        # Whatever bytes come in, callers who catch our two classes are safe.
        raise CorruptFileError(f"{UNFORESEEN}: {type(error).__name__}", where=name) from error


def _document(
    file: BinaryIO, container: Container | None, name: str, budget: Budget, encoding: str | None
) -> OldDocument:
    traits: frozenset[str] = frozenset()
    if container is Container.PICKLE or container is Container.GZIP:
        kind = PlainStream if container is Container.PICKLE else GzipStream
        content, traits = read_pickle(kind(file, budget.stored, name, budget), budget, encoding=encoding)
    elif container is Container.NPZ:
        content, traits = read_archive(file, name, budget, encoding=encoding)
    elif container is Container.MAT:
        content = read_matlab(file, name, budget)
    else:
        head = _head(file)[:16]
        hint = {"hint": "it is HDF5, and a checkpoint needs no converting: ann-ckpt info shows it"}
        raise UnrecognisedFileError(
            "the file is not a pickle, gzip file, .npz archive or MATLAB file",
            details={"found": f"first bytes {printable(head)}"} | (hint if head.startswith(_HDF5) else {}),
            where=name,
        )
    return OldDocument(content, container.value, traits)


def opened(path: _StrPath) -> BinaryIO:
    """Open a file, whatever it is called, unless it is none."""
    return os.fdopen(open_regular(path), "rb")


def _head(file: BinaryIO) -> bytes:
    file.seek(0)
    head = file.read(HEAD_BYTES)
    file.seek(0)
    return head
