"""Writes checkpoints to a store: new objects first, then the file that commits them."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ann_ckpt.adapters.protocol import Reading
from ann_ckpt.durable import atomic_write, explained
from ann_ckpt.errors import CheckpointError
from ann_ckpt.format import layout
from ann_ckpt.format.chunking import Compression
from ann_ckpt.format.codec import WORKERS
from ann_ckpt.format.plan import ArrayEntry, FileEntry, FilePlan, SharedEntry, plan_file
from ann_ckpt.format.reader import FileReader
from ann_ckpt.format.shared.array import SharedArray
from ann_ckpt.format.shared.objects import ObjectWriter
from ann_ckpt.format.writer import write_file
from ann_ckpt.model import Array, NetworkState, nbytes
from ann_ckpt.report import Meter, Note, Progress
from ann_ckpt.single import object_paths
from ann_ckpt.store.folder import StoreFolder
from ann_ckpt.store.inside import check_file
from ann_ckpt.store.names import Slot
from ann_ckpt.store.notes import Notes, entry_of
from ann_ckpt.store.reports import StorePlan, StoreReport
from ann_ckpt.store.saving.background import InlineExecutor, SaveExecutor
from ann_ckpt.store.saving.batch import ObjectBatch
from ann_ckpt.store.saving.blocks import (
    BlockDigestCache,
    even_bounds,
    grown_bounds,
    hash_and_place,
    row_bounds,
)
from ann_ckpt.store.saving.placement import ArrayAction, ArrayPlan, Placement, is_shared, pieces_to_keep
from ann_ckpt.threads import Threads

__all__ = [
    "Remembered",
    "SeriesWriter",
    "Snapshot",
]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The data of one save."""

    reading: Reading
    created: str
    """UTC, ISO 8601."""
    provenance: Mapping[str, Any]
    tag: str | None = None

    def file_plan(self, compression: Compression) -> FilePlan:
        """Plan the checkpoint file as if it were self-contained."""
        return plan_file(
            self.reading.state,
            compression=compression,
            created=self.created,
            provenance=self.provenance,
            tag=self.tag,
        )


@dataclass(frozen=True, slots=True)
class _Base:
    """The checkpoint that the next one builds upon, without its values."""

    slot: Slot | None = None
    arrays: Mapping[str, SharedArray] = field(default_factory=dict)
    notes: tuple[Note, ...] = ()


@dataclass(frozen=True, slots=True)
class Remembered:
    """What a writer knows of the checkpoint that it saved last."""

    base: _Base
    digests: BlockDigestCache


class SeriesWriter:
    """Writes into one store; its caller holds the locks.

    Parameters
    ----------
    folder : StoreFolder
        An existing store.
    compression : Compression
        For large arrays.
    """

    def __init__(self, folder: StoreFolder, compression: Compression) -> None:
        self._folder = folder
        self._compression = compression
        self._base = _Base()
        # Ranks do not wait for each other; who prunes notes what they save.
        self._notes = Notes(folder) if type(folder) is StoreFolder else None
        self._digest_cache = BlockDigestCache()
        self._pool = Threads(WORKERS, "ann_ckpt-store")

    def close(self) -> None:
        """Shut down the thread pool."""
        self._pool.shutdown()

    def forget(self) -> None:
        """Read the newest checkpoint again before the next save."""
        self._base = _Base()

    @property
    def remembered(self) -> Remembered:
        """What the next save builds upon."""
        return Remembered(self._base, self._digest_cache)

    def remember(self, remembered: Remembered) -> None:
        """Build upon what a forked child has saved with this writer."""
        self._base, self._digest_cache = remembered.base, remembered.digests

    def planned(self, snapshot: Snapshot) -> FilePlan:
        """Return what a save would take into its arrays, without reading them."""
        return snapshot.file_plan(self._compression)

    def report_of_newest(self, snapshot: Snapshot, text: str) -> StoreReport:
        """Report the newest checkpoint, saved from ``snapshot`` by a process that cannot say what it did."""
        slot = self._folder.slots()[-1]
        path = self._folder.checkpoint_path(slot)
        state = snapshot.reading.state
        return StoreReport(
            path=os.fspath(path),
            saved=object_paths(state),
            name=slot.name,
            time_step=state.time_step,
            tag=snapshot.tag,
            arrays=(),
            skipped=snapshot.reading.notes,
            notes=(Note("", f"how much was written is not known: {text}"),),
            pruned=(),
            bytes_written=path.stat().st_size,
            seconds=0.0,
        )

    def plan(self, snapshot: Snapshot) -> StorePlan:
        """Hash everything and return what a save would write."""
        base = self._recall()
        self._digest_cache.begin()
        arrays = []
        plan = snapshot.file_plan(self._compression)
        for entry, bounds, pieces in _arrays(plan, snapshot.reading.state, base.arrays):
            if bounds is None:
                arrays.append(_inline(entry))
            else:
                placement = self._place(entry.array, bounds, base.arrays.get(entry.path), pieces)
                arrays.append(placement.plan(entry.path))
        return StorePlan(tuple(arrays), snapshot.reading.notes)

    def save(
        self,
        snapshot: Snapshot,
        executor: SaveExecutor,
        cleanup: contextlib.ExitStack,
        *,
        progress: Progress | None,
        check: Callable[[], None],
        finish: Callable[[StoreReport], None],
        slot: Slot | None = None,
        stored: Callable[[Array], SharedArray | None] = lambda _: None,
    ) -> None:
        """Write one checkpoint.

        Parameters
        ----------
        snapshot : Snapshot
            Read to its end before this returns.
        executor : SaveExecutor
            Does everything that touches the disk.
        cleanup : ExitStack
            Left when the executor has done everything.
        check : callable
            Raises if this process may no longer commit; called just before it does.
        finish : callable
            Takes the report, once the checkpoint is committed.
        slot : Slot, optional
            Its place in the series; default is the next one.
        stored : callable, optional
            Returns the layout of an array whose values are in objects already; None for any other.

        Raises
        ------
        NotWritableError
            If the system does not take it; the store is as it was.
        """
        began = time.perf_counter()
        plan = snapshot.file_plan(self._compression)
        known = {entry.path: stored(entry.array) for entry in plan.arrays if is_shared(entry)}
        # Where all is in objects, nothing is held against the newest checkpoint: it need not be read.
        base = _Base() if slot is not None and None not in known.values() else self._recall()
        self._digest_cache.begin()
        slot = slot or self._folder.next_slot(base.slot, snapshot.reading.state.time_step)
        self._folder.complete()
        batch = ObjectBatch(self._folder, self._compression, self._pool)
        cleanup.callback(batch.close)
        path = self._folder.checkpoint_path(slot)
        # Once the checkpoint has its name, its objects stay, whatever fails after that.
        cleanup.push(lambda kind, *_: batch.discard() if kind and not path.exists() else None)
        entries: dict[str, FileEntry] = {entry.path: entry for entry in plan.entries}
        arrays: dict[str, ArrayPlan] = {entry.path: _inline(entry) for entry in plan.arrays}
        tick = Meter(progress, plan.nbytes).tick
        cut = {
            entry.path: (bounds, pieces)
            for entry, bounds, pieces in _arrays(plan, snapshot.reading.state, base.arrays)
        }
        # What a simulation changes comes first: it waits for the disk while the rest is hashed.
        for entry in sorted(plan.arrays, key=lambda entry: not _is_changing(entry)):
            bounds, pieces = cut[entry.path]
            if bounds is not None and (found := known[entry.path]) is not None:
                entries[entry.path] = SharedEntry(entry.path, found, entry.locality, entry.axes)
                size = nbytes(entry.array)
                arrays[entry.path] = ArrayPlan(entry.path, ArrayAction.LINKED, size, 0, len(found.pieces))
                tick(entry.path, size)
                continue
            if bounds is None:
                entries[entry.path] = replace(entry, array=executor.keep(entry.array))
                tick(entry.path, nbytes(entry.array))
                continue
            fresh = _FreshBlocks(entry, batch, executor)
            placement = self._place(
                entry.array,
                bounds,
                base.arrays.get(entry.path),
                pieces,
                write=fresh.write,
                tick=partial(tick, entry.path),
            )
            arrays[entry.path] = placement.plan(entry.path)
            executor.do(partial(fresh.finish, placement, entries))

        def commit() -> None:
            with explained(path):
                batch.commit()
                check()
                size = self._write_checkpoint(FilePlan(tuple(entries.values())), slot)
                self._folder.publish(slot)
            shared = {e.path: e.array for e in entries.values() if isinstance(e, SharedEntry)}
            self._base = _Base(slot, shared)
            finish(
                StoreReport(
                    path=self._folder.location(slot),
                    saved=object_paths(snapshot.reading.state),
                    name=slot.name,
                    time_step=snapshot.reading.state.time_step,
                    tag=snapshot.tag,
                    arrays=tuple(arrays.values()),
                    skipped=snapshot.reading.notes,
                    notes=base.notes,
                    pruned=(),
                    bytes_written=batch.bytes_written + size,
                    seconds=time.perf_counter() - began,
                )
            )

        executor.do(commit)

    def save_at_once(
        self,
        snapshot: Snapshot,
        check: Callable[[], None],
        *,
        slot: Slot | None = None,
        stored: Callable[[Array], SharedArray | None] = lambda _: None,
    ) -> StoreReport:
        """Write one checkpoint as :meth:`save` does, in this thread; return the report."""
        reports: list[StoreReport] = []
        with contextlib.ExitStack() as cleanup:
            self.save(
                snapshot,
                InlineExecutor(),
                cleanup,
                progress=None,
                check=check,
                finish=reports.append,
                slot=slot,
                stored=stored,
            )
        return reports[0]

    def _write_checkpoint(self, plan: FilePlan, slot: Slot) -> int:
        """Write the file whose name commits the checkpoint; return its size."""
        path = self._folder.checkpoint_path(slot)
        with atomic_write(path) as temporary:
            write_file(plan, os.fspath(temporary), tick=lambda *_: None)
            # Before it has its name, so that no earlier note is ever taken for one of this file.
            if self._notes is not None:
                self._notes.add([entry_of(slot, path, temporary)])
            return temporary.stat().st_size

    def _place(
        self,
        array: Array,
        bounds: NDArray[np.int64],
        previous: SharedArray | None,
        pieces: int | None,
        write: Callable[[NDArray[Any]], None] = lambda _: None,
        tick: Callable[[int], None] = lambda _: None,
    ) -> Placement:
        return hash_and_place(
            array,
            bounds,
            previous,
            pieces=pieces,
            pool=self._pool,
            cache=self._digest_cache,
            write=write,
            tick=tick,
        )

    def _recall(self) -> _Base:
        """Return the newest checkpoint as the one to build upon; read only if another process left it."""
        self._folder.begin()
        slots = self._folder.slots()
        if not slots:
            self._base = _Base()
        elif self._base.slot != slots[-1]:
            self._base = _read_base(self._folder, slots[-1])
        return self._base


class _FreshBlocks:
    """The object that takes the fresh blocks of one array, made when the first one comes."""

    def __init__(self, entry: ArrayEntry, batch: ObjectBatch, executor: SaveExecutor) -> None:
        self._entry = entry
        self._batch = batch
        self._executor = executor
        self._writer: ObjectWriter | None = None

    def write(self, values: NDArray[Any]) -> None:
        """Take the next fresh values."""
        self._entry.check(values)
        if self._writer is None:
            self._writer = self._batch.create(values.dtype, values.shape[1:])
        kept = np.asarray(self._executor.keep(values))
        self._executor.do(partial(_append, self._writer, kept), kept.nbytes)

    def finish(self, placement: Placement, entries: dict[str, FileEntry]) -> None:
        """Put the finished array in the place of the one that was planned."""
        fresh = None
        if self._writer is not None:
            with explained(Path(self._writer.path)):
                fresh = self._batch.add(self._writer, placement.object_name(self._batch.share))
        entry = self._entry
        entries[entry.path] = SharedEntry(entry.path, placement.layout(fresh), entry.locality, entry.axes)


def _append(writer: ObjectWriter, values: NDArray[Any]) -> None:
    with explained(Path(writer.path)):
        writer.append(values)


def _arrays(
    plan: FilePlan, state: NetworkState, before: Mapping[str, SharedArray]
) -> Iterator[tuple[ArrayEntry, NDArray[np.int64] | None, int | None]]:
    """Every array of a plan with the bounds of its blocks; None for one that stays in the file.

    With it for one that grows, how many pieces of what was there before stay.
    """
    rows: dict[str, NDArray[np.int64]] = {}
    for projection in state.projections.values():
        if projection.n_synapses:
            path = f"{layout.PROJECTIONS}/{layout.escape(projection.name)}/"
            rows[path] = row_bounds(projection.connectivity)
    for entry in plan.arrays:
        if not is_shared(entry):
            yield entry, None, None
            continue
        previous = before.get(entry.path)
        if previous is not None and _has_grown(entry, previous):
            pieces = pieces_to_keep(previous)
            yield entry, grown_bounds(entry.array, previous, pieces), pieces
            continue
        owner = "".join(f"{part}/" for part in entry.path.split("/")[:2])
        bounds = rows.get(owner)
        if bounds is not None and entry.array.shape == (int(bounds[-1]),):
            yield entry, bounds, None
        else:
            yield entry, even_bounds(entry.array), None


def _has_grown(entry: ArrayEntry, previous: SharedArray) -> bool:
    """Whether an array is of those that grow at their end, and not shorter than before."""
    array = entry.array
    return (
        entry.path.startswith(f"{layout.RECORDINGS}/")
        and (previous.dtype, previous.shape[1:]) == (array.dtype, array.shape[1:])
        and previous.shape[0] <= array.shape[0]
    )


def _is_changing(entry: ArrayEntry) -> bool:
    """Whether an array is one of those that change while a network is simulated."""
    return entry.path.split("/")[-2:-1] in ([layout.VARIABLES], [layout.DYNAMICS])


def _inline(entry: ArrayEntry) -> ArrayPlan:
    size = nbytes(entry.array)
    return ArrayPlan(entry.path, ArrayAction.INLINE, size, size, 0)


def _read_base(folder: StoreFolder, slot: Slot) -> _Base:
    """Read the layout of a checkpoint; arrays that lack an object are not built upon."""
    path = folder.location(slot)
    try:
        if not folder.distant:
            check_file(Path(path))
        with contextlib.closing(FileReader(path)) as reader:
            whole = folder.whole_objects({o.name: o.size for o in reader.objects})
            layouts = {p: reader.layout_of(p) for p in reader.shared_paths}
    except CheckpointError as error:
        return _Base(slot, notes=(Note("", f"nothing is shared with the newest checkpoint: {error.fact}"),))
    intact = {p: array for p, array in layouts.items() if whole.issuperset(array.objects)}
    notes = [Note(p, "objects are missing or truncated; written again") for p in layouts if p not in intact]
    return _Base(slot, intact, tuple(notes))
