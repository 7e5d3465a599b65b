"""Opens any path: a checkpoint file, a checkpoint in a store, or a file of another program."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path

from ann_ckpt.adapters.formats import ForeignFormat, examine, format_of
from ann_ckpt.adapters.protocol import ForeignFile, Reading
from ann_ckpt.errors import (
    FileMissingError,
    NotReadableError,
    UnknownFormatError,
    printable,
)
from ann_ckpt.format.guard import begins_like_hdf5
from ann_ckpt.lazy import Checkpoint
from ann_ckpt.paths import Address, absolute, address_of, local_path
from ann_ckpt.selection import Selection
from ann_ckpt.store.buckets.bucket import Bucket, bucket_at
from ann_ckpt.store.folder import StoreFolder
from ann_ckpt.store.names import SUFFIX
from ann_ckpt.store.series import SeriesView

__all__ = [
    "PathLike",
    "foreign_file",
    "open_checkpoint",
    "place_in_store",
    "split_store_path",
    "store_target",
    "stored_reading",
]

PathLike = str | os.PathLike[str]


def open_checkpoint(path: PathLike) -> Checkpoint:
    """Open the checkpoint that ``path`` refers to.

    Parameters
    ----------
    path : path-like
        A file; a store, for its newest checkpoint; or ``run.ckpt@1000``,
        ``run.ckpt@tag`` for a certain one. Any of them may be an address.

    Raises
    ------
    UnknownFormatError
        If it is something else; a file of a program that this package knows is recognised as one.
    """
    try:
        return _open_any(path)
    except UnknownFormatError as error:
        if (found := _foreign(path)) is not None:
            hint = f"a file of {found.program}'s own? load() takes it, ann-ckpt convert rewrites it"
            error.details["hint"] = hint
        raise


@contextlib.contextmanager
def stored_reading(
    path: PathLike, selection: Selection, *, dt: Callable[[], float | None] = lambda: None
) -> Iterator[Reading]:
    """Yield the selected part of what ``path`` holds; lazy arrays work inside the block.

    The content decides what it is: a checkpoint, or a file that another program wrote.

    Parameters
    ----------
    dt : callable, optional
        Returns the length of a step in ms, if it is known; asked for files that do not record it.
    """
    opened = _ours(path)
    if opened is None:
        reading = examine(path, dt=dt()).reading
        yield Reading(reading.state.select(selection), reading.notes)
        return
    with opened as checkpoint:
        yield Reading(checkpoint.state(selection, lazy=True).only_attributes(selection))


def _ours(path: PathLike) -> Checkpoint | None:
    """Open a checkpoint; None for a file that may be another program's, which is asked only then."""
    try:
        return _open_any(path)
    except UnknownFormatError:
        distant = address_of(path) is not None
        if distant or place_in_store(path) or (begins_like_hdf5(path) and format_of(path) is None):
            raise
        return None


def foreign_file(
    path: PathLike, *, dt: float | None = None, encoding: str | None = None
) -> ForeignFile | None:
    """Read ``path`` if it is a file that another program wrote; None for anything else.

    Parameters
    ----------
    dt, encoding
        As for :class:`~ann_ckpt.adapters.formats.Examine`.
    """
    return None if _foreign(path) is None else examine(path, dt=dt, encoding=encoding)


def _open_any(path: PathLike) -> Checkpoint:
    place = place_in_store(path)
    if place is None:
        try:
            return Checkpoint(path)
        except NotReadableError:
            if address_of(path) is None and (whole := StoreFolder(absolute(path))).holds_some:
                whole.settings()  # says what is missing in it
            raise
    folder, which = place
    series = SeriesView(folder if isinstance(folder, Bucket) else folder.path)
    return series.latest if which is None else series[which]


def place_in_store(path: PathLike) -> tuple[StoreFolder | Bucket, str | None] | None:
    """As :func:`split_store_path`, for a path or an address that is going to be read.

    Raises
    ------
    FileMissingError
        If there is an ``@`` behind something else than a store.
    """
    if (address := address_of(path)) is not None:
        return bucket_at(address)
    place = split_store_path(path)
    if place is None:
        text = os.fspath(path)
        head, at, which = text.rpartition("@")
        if at and "/" not in which and os.path.lexists(head) and not os.path.lexists(text):
            raise FileMissingError(
                "the file does not exist",
                details={
                    "hint": f"'@' selects a checkpoint of a store, and {printable(head, 200)} is not a store"
                },
                where=text,
            )
    return place


def split_store_path(path: str | os.PathLike[str]) -> tuple[StoreFolder, str | None] | None:
    """Split a path at the ``@`` after a store; None if it names no store.

    What exists under the whole name is meant by it, whatever characters the name has; and what
    would lie in a folder that exists is not a tag with a ``/`` in it.

    Raises
    ------
    OptionError
        If it is not a path on this machine.

    Returns
    -------
    folder, which
        ``which`` is None where the path names the store alone.
    """
    text = local_path(path)
    if os.path.lexists(text):
        folder = StoreFolder(absolute(text))
        return (folder, None) if folder.exists() else None
    head, _, which = text.rpartition("@")
    if not head or ("/" in which and Path(text).parent.is_dir()):
        return None
    folder = StoreFolder(absolute(head))
    return (folder, which) if folder.exists() else None


def store_target(path: str | os.PathLike[str]) -> tuple[str, str | None] | None:
    """Return the store and tag that saving to ``path`` refers to; None for a plain file.

    A store is meant where there is one, and where the last part of the path ends in ``.ckpt``,
    whatever stands there: opening the store says what is wrong with it.

    Raises
    ------
    OptionError
        If it is not a path on this machine.
    """
    if (address := address_of(path)) is not None and (target := _bucket_target(address)) is not None:
        return target
    place = split_store_path(path)
    if place is not None:
        return os.fspath(place[0].path), place[1]
    text = local_path(path)
    whole = text.rstrip("/") or text
    if whole.endswith(SUFFIX):
        return whole, None
    folder, slash, name = text.rpartition("/")
    head, at, tag = name.partition(f"{SUFFIX}@")
    if not at or os.path.lexists(text):
        return None
    return f"{folder}{slash}{head}{SUFFIX}", tag


def _bucket_target(address: Address) -> tuple[str, str | None] | None:
    """As :func:`store_target`, for what is not on this machine; web servers take nothing."""
    head, at, tag = address.key.partition(f"{SUFFIX}@")
    if address.scheme in ("http", "https") or not (at or address.key.endswith(SUFFIX)):
        return None
    return str(address.at(head + SUFFIX if at else head)), tag if at else None


def _foreign(path: PathLike) -> ForeignFormat | None:
    """Return which program wrote it; a checkpoint of a store is ours, whatever became of its file."""
    if address_of(path) is not None:
        return None
    return format_of(path) if place_in_store(path) is None else None
