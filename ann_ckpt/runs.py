"""The runs below a folder: one row for each store and each checkpoint file."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

import numpy as np

from ann_ckpt._version import __version__
from ann_ckpt.arguments import check_flags
from ann_ckpt.errors import (
    CheckpointError,
    FileMissingError,
    NotReadableError,
    OptionError,
    printable,
)
from ann_ckpt.format.guard import begins_like_hdf5
from ann_ckpt.format.layout import unescape
from ann_ckpt.lazy import Checkpoint
from ann_ckpt.markup import card, table
from ann_ckpt.model.exchange import optional
from ann_ckpt.paths import absolute, is_file
from ann_ckpt.report import Note, Progress, count, human_bytes
from ann_ckpt.store.folder import StoreFolder
from ann_ckpt.store.series import SeriesView
from ann_ckpt.store.summary import added_bytes

if TYPE_CHECKING:
    import pandas as pd
from ann_ckpt.texts import text_file

__all__ = ["Run", "Runs", "runs"]

_SUFFIXES = frozenset({".h5", ".hdf5"})
_CACHE_VERSION = 2
_SHOWN = 50
"""Runs that a notebook lists."""
_SETTLED_NS = 2 * 10**9
"""File systems that keep whole seconds, or two, do not tell two changes within them apart."""


@dataclass(frozen=True, slots=True)
class Run:
    """One store, by its newest checkpoint, or one checkpoint file."""

    name: str
    """Path below the folder that was listed, with ``/`` between its parts."""
    path: str
    kind: str
    """``store`` or ``file``."""
    checkpoints: int
    time_step: int | None
    time_ms: float | None
    seed: int | None
    tags: tuple[str, ...]
    """Tags of all its checkpoints, oldest first."""
    created: str
    """When the newest checkpoint was saved; UTC, ISO 8601."""
    nbytes: int
    """Size on disk of all its checkpoints."""
    metadata: Mapping[str, Any] = field(default_factory=dict)
    """Of the newest checkpoint."""
    provenance: Mapping[str, Any] = field(default_factory=dict)
    """Of the newest checkpoint."""
    columns: Mapping[str, Any] = field(default_factory=dict)
    """The values asked for; None where the run has no such thing, or more than one value there."""
    problem: str | None = None
    """Why it cannot be read; everything but name, path and kind is unknown then."""

    def to_dict(self) -> dict[str, Any]:
        """Return the row as plain data, ready for JSON."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Runs(Sequence[Run]):
    """The runs below a folder, in the order of their names. Made by :func:`ann_ckpt.runs`."""

    folder: str
    rows: tuple[Run, ...]
    notes: tuple[Note, ...]
    """Files that are not checkpoints, folders that cannot be listed, columns that are not a single value."""

    @overload
    def __getitem__(self, index: int) -> Run: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Run, ...]: ...
    def __getitem__(self, index: int | slice) -> Run | tuple[Run, ...]:
        return self.rows[index]

    def __len__(self) -> int:
        return len(self.rows)

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain data, ready for JSON."""
        return asdict(self)

    def to_frame(self) -> pd.DataFrame:
        """Return a pandas frame with one row for each run, its name as the index.

        Metadata is one column of JSON texts; each column that was asked for is a column of its own.

        Raises
        ------
        MissingExtraError
            If pandas is not installed.
        """
        pandas = optional("pandas", "frames")
        rows = []
        for run in self.rows:
            row = run.to_dict()
            columns = row.pop("columns")
            del row["provenance"]
            row |= {
                "tags": ",".join(run.tags),
                "created": pandas.Timestamp(run.created) if run.created else pandas.NaT,
                "metadata": json.dumps(row["metadata"], default=str),
            }
            rows.append(row | columns)
        names = [name for name in Run.__slots__ if name not in ("provenance", "columns")]
        frame = pandas.DataFrame(
            rows, columns=[*names, *(name for name in rows[0] if name not in names)] if rows else names
        )
        for name in ("time_step", "seed"):
            # Not by way of the frame's own column, where None makes floats of integers.
            frame[name] = pandas.array([row[name] for row in rows], dtype="Int64")
        return frame.set_index("name")

    def to_parquet(self, path: str | os.PathLike[str]) -> None:
        """Write the frame of :meth:`to_frame` as a Parquet file, which appears whole or not at all.

        A column of numbers in some runs and texts in others has JSON texts there.

        Raises
        ------
        MissingExtraError
            If pandas or pyarrow is not installed.
        NotWritableError
            If the file cannot be written.
        """
        pyarrow, frame = optional("pyarrow", "frames"), self.to_frame()
        for name, values in list(frame.items()):
            try:
                pyarrow.array(values, from_pandas=True)
            except pyarrow.ArrowException:
                frame[name] = [None if value is None else json.dumps(value, default=str) for value in values]
        table = pyarrow.Table.from_pandas(frame)
        parquet = optional("pyarrow.parquet", "frames")
        with text_file(path, what="a table") as temporary:
            parquet.write_table(table, os.fspath(temporary))

    def to_ro_crate(self) -> dict[str, Any]:
        """Return where the runs come from as RO-Crate metadata: the content of ``ro-crate-metadata.json``.

        Each run is a part of the crate, made by an action whose instrument is the software that wrote it.
        Runs that cannot be read are left out.

        Raises
        ------
        MissingExtraError
            If rocrate is not installed.
        """
        entity = optional("rocrate.model.contextentity", "rocrate").ContextEntity
        crate = optional("rocrate.rocrate", "rocrate").ROCrate()
        for run in self.rows:
            if run.problem is not None:
                continue
            about = {"name": run.name, "dateCreated": run.created, "contentSize": str(run.nbytes)}
            add = crate.add_dataset if run.kind == "store" else crate.add_file
            # A store that was listed itself is the whole crate.
            part = crate.root_dataset if run.name == "." else add(dest_path=run.name, properties=about)
            origin = run.provenance
            software = entity(
                crate,
                f"#ann_ckpt-{origin.get('ann_ckpt', 'unknown')}",
                properties={
                    "@type": "SoftwareApplication",
                    "name": "ann_ckpt",
                    "softwareVersion": str(origin.get("ann_ckpt", "unknown")),
                },
            )
            action = entity(
                crate,
                f"#{run.name}",
                properties={
                    "@type": "CreateAction",
                    "name": " ".join(map(str, origin.get("command") or [])) or "simulation",
                    "endTime": run.created,
                    "description": json.dumps(dict(origin), sort_keys=True, default=str),
                },
            )
            crate.add(software, action)
            action["instrument"] = software
            action["result"] = part
        document: dict[str, Any] = crate.metadata.generate()
        return document

    def _repr_html_(self) -> str:
        shown = [
            [
                run.name,
                run.time_step,
                run.checkpoints,
                human_bytes(run.nbytes),
                run.problem or ", ".join(run.tags),
            ]
            for run in self.rows[:_SHOWN]
        ]
        title = f"{count(len(self.rows), 'run')} below {self.folder}"
        right = ["step", "checkpoints", "size"]
        return card(title, table(["run", *right, "tags"], shown, right=right))

    def __repr__(self) -> str:
        return f"<{count(len(self.rows), 'run')} below {printable(self.folder)}>"


def runs(
    folder: str | os.PathLike[str],
    *,
    columns: Sequence[str] = (),
    cache: bool = True,
    progress: Progress | None = None,
) -> Runs:
    """List every store and checkpoint file below a folder.

    Only headers are read, and the values of ``columns``. What was read once is remembered in the
    user's cache (``$XDG_CACHE_HOME/ann_ckpt``) and read again only if the file or store changed.

    Parameters
    ----------
    folder : path-like
        Symbolic links to folders below it are not followed.
    columns : sequence of str
        Single values of each run's newest checkpoint: ``constants/g``, ``metadata/loss``,
        ``populations/E/tau``, ``projections/ff/eta``. An array counts as one value where all its
        entries are equal, as a parameter of a population is often kept once for each neuron.
    cache : bool
        Whether to use and keep what is remembered.
    progress : callable, optional
        Called as ``progress(what, done, total)`` with runs.

    Raises
    ------
    FileMissingError, NotReadableError
        If the folder is missing, or cannot be read.
    OptionError
        If a column is none.
    """
    check_flags(cache=cache)
    for column in columns:
        _check_column(column)
    root = absolute(folder)
    memory = _Memory(root) if cache else None
    found, others, unlisted = _below(root)
    rows = []
    for number, (path, kind) in enumerate(found):
        if progress is not None:
            progress(path.name, number, len(found))
        if (row := _row(root, path, kind, columns, memory)) is not None:
            rows.append(row)
    if memory is not None:
        memory.keep()
    notes = [Note("", f"{count(others, 'file')} with a checkpoint's extension, not HDF5")] if others else []
    notes += [Note(os.path.relpath(path, root), f"cannot list the folder: {why}") for path, why in unlisted]
    for column in columns:
        none = [run.name for run in rows if run.problem is None and run.columns[column] is None]
        if none:
            notes.append(
                Note(column, f"no single value in {count(len(none), 'run')}, such as {printable(none[0])}")
            )
    return Runs(os.fspath(root), tuple(rows), tuple(notes))


def _below(root: Path) -> tuple[list[tuple[Path, str]], int, list[tuple[str, str]]]:
    """Return what there is with its kind, how many files only look like it, which folders are not listed."""
    unlisted = []

    def refuse(error: OSError) -> None:
        if Path(error.filename) != root:
            unlisted.append((error.filename, error.strerror or ""))
            return
        missing = isinstance(error, FileNotFoundError)
        raise (FileMissingError if missing else NotReadableError)(
            f"cannot list the folder: {error.strerror}", where=error.filename
        ) from error

    found, others = [], 0
    for folder, inside, files in os.walk(root, onerror=refuse):
        if "store.json" in files:
            found.append((Path(folder), "store"))
            inside.clear()
            continue
        inside[:] = [name for name in inside if not name.startswith(".")]
        for name in files:
            path = Path(folder, name)
            if path.suffix in _SUFFIXES and not name.startswith("."):
                if _begins_like_hdf5(path):
                    found.append((path, "file"))
                else:
                    others += 1
    return sorted(found), others, unlisted


def _begins_like_hdf5(path: Path) -> bool:
    try:
        return is_file(path) and begins_like_hdf5(path)
    except CheckpointError:
        return True  # whatever is wrong with it is said in its row


def _row(root: Path, path: Path, kind: str, columns: Sequence[str], memory: _Memory | None) -> Run | None:
    """Return the row of one run; None if it is gone by now."""
    name = path.relative_to(root).as_posix()
    known: dict[str, Any] = {}
    try:
        mark = _mark(path, kind)
        if memory is not None:
            known = memory.get(name, mark)
        missing = [column for column in columns if column not in known.get("columns", {})]
        if not known or missing:
            facts = _facts_of_store(path, missing) if kind == "store" else _facts_of_file(path, missing)
            facts["columns"] = known.get("columns", {}) | facts["columns"]
            known = facts
            if memory is not None:
                memory.put(name, mark, known)
    except FileNotFoundError:
        return None
    except CheckpointError as error:  # before OSError, which some of these are, too
        known = {"problem": error.fact}
    except OSError as error:
        known = {"problem": error.strerror}
    nothing = {
        "checkpoints": 0,
        "time_step": None,
        "time_ms": None,
        "seed": None,
        "tags": (),
        "created": "",
        "nbytes": 0,
    }
    facts = nothing | known
    return Run(
        name,
        os.fspath(path),
        kind,
        **facts
        | {"tags": tuple(facts["tags"]), "columns": {c: known.get("columns", {}).get(c) for c in columns}},
    )


def _mark(path: Path, kind: str) -> list[int]:
    """Return when the run changed last, and what changes whenever it does."""
    # The folder of checkpoints changes with every name in it, and no file changes under its name.
    files = [path / "checkpoints", path / "store.json"] if kind == "store" else [path]
    found = [file.stat() for file in files]
    return [
        max(status.st_mtime_ns for status in found),
        *(n for s in found for n in (s.st_ino, s.st_mtime_ns, s.st_size)),
    ]


def _facts_of_file(path: Path, columns: Sequence[str]) -> dict[str, Any]:
    with Checkpoint(path) as checkpoint:
        size = path.stat().st_size
        tags = [] if checkpoint.tag is None else [checkpoint.tag]
        return _facts(checkpoint, columns) | {"checkpoints": 1, "tags": tags, "nbytes": size}


def _facts_of_store(path: Path, columns: Sequence[str]) -> dict[str, Any]:
    StoreFolder(path).settings()  # raises if it cannot be opened
    series = SeriesView(path)
    infos = series.checkpoints
    facts = {
        "checkpoints": len(infos),
        "tags": [*dict.fromkeys(info.tag for info in infos if info.tag is not None)],
        "nbytes": sum(added_bytes(infos)),
    }
    if not infos:
        return facts | {"columns": dict.fromkeys(columns)}
    with series.latest as checkpoint:
        return facts | _facts(checkpoint, columns)


def _facts(checkpoint: Checkpoint, columns: Sequence[str]) -> dict[str, Any]:
    return {
        "time_step": checkpoint.time_step,
        "time_ms": checkpoint.time_ms,
        "seed": checkpoint.seed,
        "created": checkpoint.created,
        "metadata": checkpoint.metadata,
        "provenance": checkpoint.provenance,
        "columns": {column: _value(checkpoint, column) for column in columns},
    }


def _check_column(column: str) -> None:
    match column.split("/"):
        case ["constants", _] | ["populations" | "projections", _, _] | ["metadata", _, *_]:
            return
    raise OptionError(
        f"{printable(column)!r} is not a column",
        details={
            "expected": "constants/NAME, metadata/KEY, populations/NAME/ATTRIBUTE, projections/NAME/ATTRIBUTE"
        },
    )


def _value(checkpoint: Checkpoint, column: str) -> Any:
    """Return the value at a path; None if there is none, or more than one."""
    group, *path = column.split("/")
    found: Any
    try:
        if group == "metadata":
            found = checkpoint.metadata
            for key in path:
                found = found[int(key)] if isinstance(found, list) else found[key]
            return found if isinstance(found, bool | int | float | str) else None
        found = getattr(checkpoint, group)
        for key in path:
            found = found[unescape(key)]
    except (KeyError, IndexError, TypeError, ValueError):
        return None
    values = np.asarray(found).reshape(-1)
    if not values.size:
        return None
    first = np.broadcast_to(values[0], values.shape)
    alike = np.array_equal(values, first, equal_nan=values.dtype.kind in "fc")
    return values[0].item() if alike else None


class _Memory:
    """Rows of the last listing, kept in a file of the user's cache; never trusted over what it describes."""

    def __init__(self, root: Path) -> None:
        try:
            base = os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser()
        except RuntimeError:  # the user has no home, so nothing is remembered
            base = os.devnull
        digest = hashlib.blake2b(os.fsencode(root), digest_size=16).hexdigest()
        self._path = Path(base, "ann_ckpt", "runs", f"{digest}.json")
        self._kept: dict[str, Any] = {}
        try:
            document = json.loads(self._path.read_bytes())
            if document["version"] == [_CACHE_VERSION, __version__]:
                self._kept = dict(document["rows"])
        except (OSError, ValueError, TypeError, KeyError, RecursionError):
            pass  # there is none, or it is damaged; it is written anew
        self._now: dict[str, Any] = {}
        self._changed = False

    def get(self, name: str, mark: list[int]) -> dict[str, Any]:
        """Return what is remembered about a run; empty if it changed since."""
        entry = self._kept.get(name)
        if not isinstance(entry, dict) or entry.get("mark") != mark:
            return {}
        self._now[name] = entry
        return dict(entry["facts"])

    def put(self, name: str, mark: list[int], facts: dict[str, Any]) -> None:
        """Remember a run, unless it changed just now: its next change might leave the same time."""
        if time.time_ns() - mark[0] > _SETTLED_NS:
            self._now[name] = {"mark": mark, "facts": facts}
            self._changed = True

    def keep(self) -> None:
        """Write what was listed now; where that is not possible, nothing is remembered."""
        if not self._changed and self._now.keys() == self._kept.keys():
            return
        document = {"version": [_CACHE_VERSION, __version__], "rows": self._now}
        new = self._path.with_suffix(f".{os.getpid()}.tmp")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            new.write_text(json.dumps(document), encoding="utf-8")
            new.replace(self._path)
        except OSError:
            with contextlib.suppress(OSError):
                new.unlink()
