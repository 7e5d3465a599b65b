"""Converts files of other programs, one or whole folders, to checkpoints."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from ann_ckpt.adapters.formats import ANNARCHY, ForeignFormat, examine, format_of
from ann_ckpt.adapters.protocol import ForeignFile
from ann_ckpt.adapters.sonata.names import CONFIG
from ann_ckpt.api import check_savable, write
from ann_ckpt.arguments import check_flags
from ann_ckpt.errors import CheckpointError, FileMissingError, NotReadableError, OptionError, printable
from ann_ckpt.model import NetworkState
from ann_ckpt.paths import is_file, is_folder, local_path, same_file
from ann_ckpt.report import Note, Progress, Report, SaveReport, count, human_bytes
from ann_ckpt.store.names import check_tag
from ann_ckpt.store.opening import store_target
from ann_ckpt.store.store import CheckpointStore

__all__ = [
    "Conversion",
    "ConvertReport",
    "convert",
    "plan_folder",
]

_OF_FILES = (".h5", ".hdf5")

StrPath = str | os.PathLike[str]


@dataclass(frozen=True, slots=True, repr=False)
class ConvertReport(Report):
    """Report of converting one old file."""

    source: str
    path: str
    """The new checkpoint."""
    container: str
    """``pickle``, ``gzip``, ``npz`` or ``mat``, whatever the file was called."""
    kind: str
    """``network``, ``population``, ``projection`` or ``connectivity``."""
    program: str
    """Who wrote the file: ``ANNarchy``, ``Brian2``."""
    versions: str
    """Versions of the program that write such files."""
    saved: tuple[str, ...]
    """Objects in the new file: ``populations/out``, ``projections/ff``, ..."""
    lost: tuple[Note, ...]
    """What the old file should hold and does not."""
    notes: tuple[Note, ...]
    """What no such file says, and what was assumed instead."""
    bytes_read: int
    bytes_written: int
    seconds: float
    snapshots: tuple[str, ...] = ()
    """Those of the file that were converted, where it names them; in the order of the checkpoints."""

    @property
    def partial(self) -> bool:
        """Whether something expected in such a file is missing."""
        return bool(self.lost)

    def headline(self) -> str:
        """Return the report in one line."""
        verdict = "converted in part" if self.partial else "converted"
        several = f" in {len(self.snapshots)} snapshots" if len(self.snapshots) > 1 else ""
        return (
            f"{verdict} {printable(self.source)} ({self.container} of {self.program} {self.versions}) "
            f"to {printable(self.path)}: {count(len(self.saved), 'object')}{several}, "
            f"{human_bytes(self.bytes_written)} in {self.seconds:.2f} s"
        )


def convert(
    src: StrPath,
    dst: StrPath,
    *,
    dt: float | None = None,
    encoding: str | None = None,
    snapshot: str | None = None,
    isolate: bool = True,
    compression: str = "auto",
    progress: Progress | None = None,
) -> ConvertReport:
    """Convert a file that ANNarchy or Brian2 wrote, of any version and format, or SONATA to a checkpoint.

    Nothing in the file is ever run. What the file does not say is in the report, and
    in the new file's metadata under ``converted_from``.

    Parameters
    ----------
    src : path-like
        A network, a population, a projection or a connectivity file; what Brian2 stored; a circuit.
    dst : path-like
        The new checkpoint; appears whole or not at all. A store, ``run.ckpt``, gets a checkpoint for
        each snapshot in the file, in the order of their times and tagged with their names.
    dt : float, optional
        Length of a step in ms, which old files do not record and delays need.
    encoding : str, optional
        Of names in files from Python 2, such as ``latin1``.
    snapshot : str, optional
        Which one, of several that Brian2 stored in one file.
    isolate : bool
        Read the file in a process of its own, with limits on memory and time; takes half a second.
    compression : str
        As for :func:`~ann_ckpt.write`.
    progress : callable, optional
        Called as ``progress(what, done, total)`` with bytes written.

    Raises
    ------
    UnsafeFileError, CorruptFileError
        If the file is unsafe or damaged; nothing was written.
    OptionError
        If the file has several snapshots, none is named, and ``dst`` is not a store.
    NotWritableError
        If the checkpoint cannot be written; an older one is untouched.

    Examples
    --------
    >>> import ann_ckpt
    >>> print(ann_ckpt.convert("2016.data", "2016.h5", dt=0.5))     # doctest: +SKIP
    """
    check_flags(isolate=isolate)
    began = time.perf_counter()
    _refuse_same(local_path(src), local_path(dst))
    check_savable(dst)
    target = store_target(dst)
    several = target is not None and target[1] is None
    found = examine(src, dt=dt, encoding=encoding, isolate=isolate, snapshot=snapshot, several=several)
    each = _by_time(found)
    if target is not None and several:
        written = _into_store(each, target[0], compression=compression, progress=progress)
    else:
        written = [write(_with_origin(found), dst, compression=compression, progress=progress)]
    return ConvertReport(
        source=os.fspath(src),
        path=written[-1].path,
        container=found.container,
        kind=found.kind,
        program=found.program,
        versions=found.versions,
        saved=written[-1].saved,
        lost=found.lost,
        notes=found.notes,
        bytes_read=found.file_bytes,
        bytes_written=sum(report.bytes_written for report in written),
        seconds=time.perf_counter() - began,
        snapshots=tuple(name for one in each for name in one.snapshots),
    )


def _by_time(found: ForeignFile) -> list[ForeignFile]:
    """Return each network of a file on its own, the earliest first."""
    each = [found.only(name) for name in found.snapshots] or [found]
    return sorted(each, key=lambda one: one.reading.state.time_step or 0)


def _into_store(
    each: list[ForeignFile], path: str, *, compression: str, progress: Progress | None
) -> list[SaveReport]:
    """Add a checkpoint for each network, tagged with its name where that can be a tag."""
    chosen = None if compression == "auto" else compression
    with CheckpointStore(path, mode="a", compression=chosen) as store:
        return [store.save(_with_origin(one), tag=_tag(*one.snapshots), progress=progress) for one in each]


def _tag(name: str | None = None) -> str | None:
    try:
        return None if name is None else check_tag(name)
    except OptionError:
        return None  # it stands in the metadata


def _with_origin(found: ForeignFile) -> NetworkState:
    return replace(found.reading.state, metadata={"converted_from": found.origin()})


@dataclass(frozen=True, slots=True)
class Conversion:
    """One old file in a folder, and the path of its checkpoint."""

    source: Path
    target: Path
    problem: CheckpointError | None = None
    """Why it cannot be: a folder whose files cannot be listed, in place of the files."""


def plan_folder(src: StrPath, dst: StrPath) -> Iterator[Conversion]:
    """Yield every old file below a folder, recognised by content, with the path of its checkpoint.

    ``a/net.data`` becomes ``a/net.h5``; where two files of a folder would meet there,
    ``a/net.data.h5`` and ``a/net.npz.h5``. Files of other kinds are passed over, and so are those that
    are read with another one, such as the nodes and edges of a circuit. What cannot be opened is not
    passed over: converting it says why, or ``problem`` does.

    Parameters
    ----------
    src : path-like
        The folder with old files.
    dst : path-like
        The folder for checkpoints; need not exist yet.

    Raises
    ------
    NotReadableError
        If ``src`` is not a folder, or its files cannot be listed.
    OptionError
        If ``dst`` is called as a checkpoint or a store is, and is no folder yet.
    """
    root, target = Path(local_path(src)), Path(local_path(dst))
    if not is_folder(root):
        raise NotReadableError("the path is not a folder", where=os.fspath(src))
    if store_target(dst) is not None or (target.suffix in _OF_FILES and not is_folder(target)):
        circuit = root / CONFIG
        hint = f"a circuit is one file: {printable(circuit, 200)}" if is_file(circuit) else "such as new/"
        raise OptionError(
            "many files cannot be converted to one checkpoint",
            details={"expected": "the name of a folder", "hint": hint},
            where=target,
        )
    unlisted: list[OSError] = []
    walked = os.walk(root, onerror=unlisted.append)
    old = [Path(folder, name) for folder, _, names in walked for name in sorted(names)]
    problems = {Path(os.fspath(error.filename)): _not_listed(error) for error in unlisted}
    if root in problems:
        raise problems[root]
    formats = {path: found for path in old if (found := _format(path)) is not None}
    members = {os.path.realpath(each) for path, found in formats.items() for each in found.members(path)}
    sources = [path for path in formats if os.path.realpath(path) not in members]
    for path, made in (_targets(sources) | {folder: folder for folder in problems}).items():
        yield Conversion(path, target / made.relative_to(root), problems.get(path))


def _targets(sources: list[Path]) -> dict[Path, Path]:
    """Return the checkpoint beside each file: by its stem, or by its whole name where others meet it."""
    whole = {path: path.with_name(f"{path.name}.h5") for path in sources}
    found = {path: path.with_name(f"{_stem(path.name)}.h5") for path in sources}
    while True:
        met = Counter(found.values())
        longer = {path: name for path, name in whole.items() if met[found[path]] > 1 and found[path] != name}
        if not longer:
            return found
        found |= longer


def _not_listed(error: OSError) -> NotReadableError:
    return NotReadableError(f"cannot list the folder: {error.strerror}", where=error.filename)


def _format(path: Path) -> ForeignFormat | None:
    try:
        return format_of(path)
    except (FileMissingError, NotReadableError):  # the former for a link that leads nowhere
        return None if path.is_fifo() else ANNARCHY  # so that converting it says why


def _stem(name: str) -> str:
    return Path(name.removesuffix(".gz")).stem or name


def _refuse_same(src: StrPath, dst: StrPath) -> None:
    if same_file(src, dst):
        raise OptionError("the output would overwrite the input", where=os.fspath(src))
