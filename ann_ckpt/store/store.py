"""The public class of a store: opening for saving, saves, additions."""

from __future__ import annotations

import logging
import os
import sys
import weakref
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from typing import Any, Literal, Self, cast

from ann_ckpt.adapters.live import live_reading
from ann_ckpt.adapters.protocol import Reading, Simulator
from ann_ckpt.adapters.simulators import simulator_for
from ann_ckpt.arguments import check_flags
from ann_ckpt.errors import (
    CheckpointError,
    LockedError,
    OptionError,
    printable,
)
from ann_ckpt.format import chunking
from ann_ckpt.format.chunking import Compression
from ann_ckpt.lazy import Checkpoint
from ann_ckpt.model import plain_metadata
from ann_ckpt.provenance import now, provenance
from ann_ckpt.report import Note, Progress
from ann_ckpt.selection import EVERYTHING, Attributes, Rows, Selection, Which
from ann_ckpt.store.buckets.bucket_folder import BucketFolder
from ann_ckpt.store.buckets.bucket_ranks import BucketRank
from ann_ckpt.store.folder import StoreFolder
from ann_ckpt.store.names import check_tag
from ann_ckpt.store.opening import PathLike, open_checkpoint
from ann_ckpt.store.owners.job import Job
from ann_ckpt.store.owners.lock import FileLock
from ann_ckpt.store.owners.ranks import RankFolder, check_no_ranks, check_ranks
from ann_ckpt.store.owners.session import Session
from ann_ckpt.store.pruning import Retention
from ann_ckpt.store.reports import PruneReport, StorePlan, StoreReport
from ann_ckpt.store.saving.assembly import Assembly
from ann_ckpt.store.saving.background import BackgroundExecutor, BackgroundSave, InBackground, executor_for
from ann_ckpt.store.saving.forked import ForkedSave, refuse_fork
from ann_ckpt.store.saving.writer import SeriesWriter, Snapshot
from ann_ckpt.store.timing.autosave import Autosaving

__all__ = [
    "CheckpointStore",
    "Mode",
]

Mode = Literal["r", "a", "w", "prune"]
_MODES = ("r", "a", "w", "prune")
_LOG = logging.getLogger("ann_ckpt")
_LOOKED_AT = 2.0
"""Seconds to wait for the lock of one of several processes."""


class CheckpointStore(Autosaving):
    """A series of checkpoints, in one folder or bucket, that share what did not change.

    Parameters
    ----------
    path : path-like
        The folder, by custom ``something.ckpt``, or its address in a bucket.
    mode : {"r", "a", "w", "prune"}
        ``r`` reads, beside any writer. ``a`` saves too, into the store that is there or
        a new one; one process at a time. ``w`` begins anew and removes the checkpoints
        that are there. ``prune`` may remove checkpoints while another process saves.
    compression : str, optional
        Of large arrays, as for :func:`ann_ckpt.write`. A store keeps to what it was made with, by
        default ``auto``.
    retention : Retention, optional
        Which checkpoints stay, applied after each save.
    wait : float, optional
        Seconds to wait for another process: for one that has the store open for saving, and
        at each change for one that changes it just then. Default is not to wait for the
        former, and 600 s for the latter.
    monitors : bool
        Every save, whoever asks for it, keeps what monitors hold, and :meth:`resume` lets them go
        on from there; see ``docs/recordings.md``.
    rank, ranks : int, optional
        Which process this is, of how many that save together, with ``a`` only. Each writes its part
        of the network, and a checkpoint is there once all have; see ``docs/store.md``.

    Raises
    ------
    LockedError
        For ``a`` and ``w``, if another process saves here; it says who and since when.
    FileMissingError
        For ``r`` and ``prune``, if there is no store.

    Examples
    --------
    >>> with CheckpointStore("run.ckpt", mode="a") as store:     # doctest: +SKIP
    ...     store.resume(net)
    ...     with store.every(1000.0, network=net):
    ...         net.simulate(3_600_000.0)
    """

    def __init__(
        self,
        path: PathLike,
        mode: Mode = "r",
        *,
        compression: str | None = None,
        retention: Retention | None = None,
        wait: float | None = None,
        monitors: bool = False,
        rank: int | None = None,
        ranks: int | None = None,
    ) -> None:
        check_flags(monitors=monitors)
        together = check_ranks(rank, ranks)
        super().__init__(path, writable=mode != "r", wait=wait)
        if mode not in _MODES:
            known = ", ".join(map(repr, _MODES))
            raise OptionError(f"mode={printable(mode)!r} is unknown", details={"known": known})
        if compression is not None:
            chunking.compression(compression)
        if retention is not None and not isinstance(retention, Retention):
            raise OptionError(
                f"retention={printable(repr(retention), 40)}",
                details={"expected": "a Retention, such as Retention(keep_last=3)"},
            )
        if together is not None and mode != "a":
            raise OptionError(f"rank= and ranks= are for mode='a', not {mode!r}")
        self._ranks: RankFolder | BucketRank | None = None
        if together is not None:
            self._ranks = (
                BucketRank.beside(self._folder, *together)
                if isinstance(self._folder, BucketFolder)
                else RankFolder(self._folder.path, *together)
            )
        self._assembly: Assembly | None = None
        self.mode: Mode = mode
        self.retention = retention
        self.monitors = monitors
        self._process = os.getpid()
        self._joined: Session | None = None
        self._member = object()
        self._background: BackgroundSave | None = None
        self._writer: SeriesWriter | None = None
        self._noted = self._folder.distant
        if mode in ("a", "w"):
            try:
                self._begin(compression, 0.0 if wait is None else wait)
            except LockedError as error:  # who holds it should not stand below a page of where it was found
                raise error.with_traceback(None) from None
        else:
            self._folder.settings()

    def _begin(self, compression: str | None, wait: float) -> None:
        """Become the one writer."""
        if not self._folder.exists():
            self._folder.create({"compression": compression or "auto"})
        settings = self._folder.settings()
        self._folder.check_writable()
        self._folder.make_durable()
        if self._ranks is not None:
            self._ranks.check_writable()
            self._ranks.complete()
            # Of several processes that come at once, each looks at the locks of the others for a moment.
            wait = max(wait, _LOOKED_AT)
        session = Session.of(self._ranks or self._folder)
        with session.entered(), ExitStack() as turn:
            session.take_turn(turn)
            self._unclean = session.join(self._member, wait=wait)
            self._marked = True
            self._leave = weakref.finalize(self, session.leave, self._member)
            self._leave.atexit = False  # a session leaves by itself, after exit handlers that still save
            try:
                if self._ranks is None:
                    check_no_ranks(self._folder)  # before anything that they have saved is removed
                    self._await_orphan()
                if self.mode == "w":
                    self._empty(compression or "auto")
                    session.forget_checkpoints()
                    settings = self._folder.settings()
                chosen = chunking.compression(str(compression or settings.get("compression", "auto")))
                self._writer = SeriesWriter(self._join(chosen, wait), chosen)
                session.add_writer(self._writer)
                self._joined = session
            except BaseException:
                self._leave()
                raise

    def _await_orphan(self) -> None:
        """Wait for the child of a writer that was killed: the run goes on from what it saves."""
        if os.path.lexists(self._folder.change_lock):
            with ExitStack() as cleanup:
                self._lock_change(cleanup)

    def _join(self, compression: Compression, wait: float) -> StoreFolder:
        """Join those that save together, if this is one of them; return where to write."""
        if self._ranks is None:
            return self._folder
        self._assembly = Assembly.joined(self._ranks, compression, died=self._unclean, wait=wait)
        self._change = FileLock(self._ranks.change_lock, "changes the store")
        return self._assembly.folder

    @property
    def busy(self) -> bool:
        """Whether this thread is in the middle of a change of the store."""
        return self._joined is not None and self._joined.busy

    @property
    def _session(self) -> Session:
        return self._joined or super()._session

    # --- Saving -------------------------------------------------------------------

    def save(
        self,
        network: Any = None,
        *,
        tag: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        populations: Which = True,
        projections: Which = True,
        attributes: Attributes | None = None,
        rows: Rows | None = None,
        net_id: int = 0,
        barrier: bool = False,
        monitors: bool | None = None,
        background: Literal[False] = False,
        at_most: int | None = None,
        progress: Progress | None = None,
    ) -> StoreReport:
        """Add a checkpoint; only what changed since the last one is written.

        Parameters
        ----------
        network : optional
            A live network, a :class:`~ann_ckpt.NetworkState`, or an open
            :class:`~ann_ckpt.Checkpoint`. None: the simulator's global network.
        tag : str, optional
            What it is called; of several, the newest is meant.
        metadata : mapping, optional
            As for :func:`~ann_ckpt.save`; kept beside the network.
        populations, projections : bool, str or list of str
            All, none, or names and globs.
        attributes : str, list of str or mapping, optional
            See :func:`ann_ckpt.save`.
        rows : mapping of str to sequence of int, optional
            See :func:`ann_ckpt.save`.
        net_id : int
            Number of the network, for simulators that keep them globally (ANNarchy 4).
        barrier : bool
            Reseed the running network first; see :func:`ann_ckpt.save`.
        monitors : bool, optional
            Also what monitors hold; default is what the store was opened with. Only what they recorded
            since the last checkpoint is written.
        background : bool or {"fork", "copy"}
            Write while the caller goes on: the same as :meth:`save_in_background`, whose result a
            type checker knows, with this as its ``way``.
        at_most : int, optional
            See :meth:`save_in_background`.
        progress : callable, optional
            Called as ``progress(what, done, total)`` with bytes that were compared; not where a
            forked child does that.

        Returns
        -------
        StoreReport
            What was written.

        Raises
        ------
        NotWritableError
            If the system does not take it, or did not take what was saved in the background
            since the last call. The store is as it was.
        LockedError
            If another process changes the store and does not come to an end, or the lock of
            this one was removed.
        BusyError
            If this thread is in the middle of another change of the store, so that this is a
            signal handler or a callback.
        """
        selection = Selection(populations, projections, attributes, rows)
        later = InBackground.asked_for(background, at_most)
        pending = self._save(network, tag, metadata, selection, net_id, barrier, monitors, later, progress)
        # Callers from before there were two methods get what the other one gives.
        return cast("StoreReport", pending) if background else pending.wait()

    def save_in_background(
        self,
        network: Any = None,
        *,
        tag: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        populations: Which = True,
        projections: Which = True,
        attributes: Attributes | None = None,
        rows: Rows | None = None,
        net_id: int = 0,
        barrier: bool = False,
        monitors: bool | None = None,
        way: Literal["fork", "copy"] | None = None,
        at_most: int | None = None,
        progress: Progress | None = None,
    ) -> BackgroundSave:
        """Add a checkpoint that is written while the caller goes on; parameters and errors as for `save`.

        A forked child writes it, where that is safe: it has the memory of this moment, and what the
        simulation changes from now on is copied by the system, page by page. It is safe where the
        simulator says so, no other thread may be inside a library, and there is enough memory. Otherwise
        what has changed is copied for a thread that writes it, and this call waits for the disk as
        far as more has changed than may wait.

        Parameters
        ----------
        way : {"fork", "copy"}, optional
            Insist on one of the two.
        at_most : int, optional
            Bytes of memory that may be taken on top. Nothing is forked if the network has more;
            default is what the machine and the batch job have left. As many may wait
            as copies, by default 256 MiB.

        Returns
        -------
        BackgroundSave
            Whether it was committed, and which way was taken. What fails after this call is raised
            by the next one that changes the store, or by :meth:`close`.

        Raises
        ------
        OptionError
            If a fork is insisted on and is not safe; the message says why.
        """
        selection = Selection(populations, projections, attributes, rows)
        later = InBackground.asked_for(way or True, at_most, name="way")
        return self._save(network, tag, metadata, selection, net_id, barrier, monitors, later, progress)

    def _save(
        self,
        network: Any,
        tag: str | None,
        metadata: Mapping[str, Any] | None,
        selection: Selection,
        net_id: int,
        barrier: bool,
        monitors: bool | None,
        background: InBackground | None,
        progress: Progress | None,
    ) -> BackgroundSave:
        # Before anything happens to the network: a barrier reseeds it.
        monitors = self.monitors if monitors is None else monitors
        check_flags(barrier=barrier, monitors=monitors)
        metadata = {} if metadata is None else plain_metadata(metadata)
        tag = None if tag is None else check_tag(tag)
        with self._entered() as writer:
            reading, origin = live_reading(
                network,
                net_id,
                selection,
                barrier=barrier,
                metadata=metadata,
                monitors=monitors,
            )
            snapshot = Snapshot(self._share(reading), now(), provenance(origin) | self._circumstances(), tag)
            simulator = None
            if origin is not None and not isinstance(network, Checkpoint):
                simulator = simulator_for(network, net_id)
                self._know(simulator)
            return self._write(
                writer,
                snapshot,
                simulator,
                whole=selection.is_whole and (monitors or not self.monitors),
                background=background,
                progress=progress,
            )

    def _circumstances(self) -> dict[str, Any]:
        """Return in which job a checkpoint is saved, and why."""
        job = Job.current()
        found = {"job": None if job is None else job.to_dict(), "saved": self.reason}
        return {name: value for name, value in found.items() if value is not None}

    def plan(self, network: Any = None, *, net_id: int = 0) -> StorePlan:
        """Return what :meth:`save` would write, by comparing with the newest checkpoint."""
        with self._entered() as writer, ExitStack() as turn:
            self._session.take_turn(turn)
            reading, origin = live_reading(network, net_id, EVERYTHING, monitors=self.monitors)
            return writer.plan(Snapshot(self._share(reading), now(), provenance(origin)))

    def _share(self, reading: Reading) -> Reading:
        """Return what this process writes of a network: all, unless several save together."""
        return reading if self._assembly is None else self._assembly.share(reading)

    def add(self, path: PathLike, *, tag: str | None = None, progress: Progress | None = None) -> StoreReport:
        """Add a checkpoint file, with its own date, provenance and, unless given here, tag."""
        with self._entered() as writer, open_checkpoint(path) as checkpoint:
            name = tag if tag is not None else checkpoint.tag
            snapshot = Snapshot(
                self._share(Reading(checkpoint.state(lazy=True))),
                checkpoint.created,
                checkpoint.provenance,
                None if name is None else check_tag(name),
            )
            return self._write(writer, snapshot, None, whole=False, background=None, progress=progress).wait()

    def _write(
        self,
        writer: SeriesWriter,
        snapshot: Snapshot,
        simulator: Simulator | None,
        *,
        whole: bool,
        background: InBackground | None,
        progress: Progress | None,
    ) -> BackgroundSave:
        """Write a checkpoint, or see to it that it is written; waiting for the result is the caller's.

        Parameters
        ----------
        whole : bool
            Whether all of the live network is in it, so that nothing of this step is unsaved then.
        """
        pending = BackgroundSave()
        network = simulator if whole else None
        # The caller may be interrupted anywhere in here: who lets go of locks is in this stack all the time.
        with ExitStack() as cleanup:
            if self._assembly is not None:
                cleanup.callback(self._retain_together, self._assembly)
            self._enter_change(cleanup)
            self._check_commit()  # another thread may have closed it meanwhile
            notes = self._sweep() if self._assembly is None else ()
            if self._assembly is None and background is None and not self._noted:
                with suppress(CheckpointError):  # saving needs none of them
                    self._catalog.all()  # the store may come from elsewhere, or from before
                    self._catalog.note()
                self._noted = True
            forked = self._fork(writer, snapshot, simulator, background, pending)
            if background is not None:  # what is on its way is not saved a second time
                self._saved(snapshot.reading.state.time_step, network)
                cleanup.push(lambda kind, *_: self._forget_step() if kind else None)

            def finish(report: StoreReport) -> None:
                pruned: tuple[str, ...] = ()
                more: tuple[Note, ...] = ()
                if self._assembly is None:
                    pruned, more = self._retained(self.retention)
                else:
                    self._assembly.complete(report.name, wait=self._patience)
                self._saved(report.time_step, network)
                pending.report = replace(report, pruned=pruned, notes=(*notes, *report.notes, *more))

            executor = executor_for(background, cleanup, self._session.entered)
            try:
                if forked is not None:
                    executor.do(lambda: finish(self._result_of(forked)))
                else:
                    writer.save(
                        snapshot,
                        executor,
                        cleanup,
                        progress=progress,
                        check=self._check_commit,
                        finish=finish,
                    )
                executor.close()
            except BaseException as error:
                executor.give_up(error)  # before anything that it works on is let go
                raise
        # What failed up to here was raised to the caller; what fails later waits for the next call.
        if isinstance(executor, BackgroundExecutor):
            pending.executor = executor
            pending.way = "copy"
        if forked is not None:
            pending.way = "fork"
        self._background = None if background is None else pending
        return pending

    def _fork(
        self,
        writer: SeriesWriter,
        snapshot: Snapshot,
        simulator: Simulator | None,
        background: InBackground | None,
        pending: BackgroundSave,
    ) -> ForkedSave | None:
        """Leave the save to a child, if that was asked for and is safe; otherwise note why not.

        Raises
        ------
        OptionError
            If it was insisted on, and is not.
        """
        if background is None or background.way == "copy":
            pending.because = "" if background is None else "it was asked for"
            return None
        why: str | None = "several processes save together"
        if self._folder.distant:
            why = "the store is in a bucket"
        elif self._assembly is None:
            why = refuse_fork(writer.planned(snapshot), simulator, background.at_most)
        if why is None:
            try:
                forked = ForkedSave(self._folder, writer, snapshot, self._change, self._session.refuse_lost)
            except OSError as error:
                why = f"the system makes no process: {error.strerror}"
            else:
                return forked
        if background.way == "fork":
            raise OptionError("a forked child cannot save this", details={"found": why}, where=self.path)
        pending.because = why
        return None

    def _result_of(self, forked: ForkedSave) -> StoreReport:
        try:
            return forked.result()
        finally:
            self._unclean |= forked.died

    def _forget_step(self) -> None:
        self._saved(None, None)

    @contextmanager
    def _entered(self) -> Iterator[SeriesWriter]:
        """Say that this thread changes the store; yield what writes."""
        self._check_writer()
        with self._session.entered():
            self._settle()
            self._session.check(self._member)
            yield self._check_writer()

    def _check_writer(self) -> SeriesWriter:
        """Return what writes, if this store object may."""
        if self._process != os.getpid() and self.mode in ("a", "w"):
            raise OptionError(
                "this store was opened before the fork, by the parent process",
                details={"hint": "open it again in this process"},
                where=self.path,
            )
        if self._writer is None:
            why = f"it was opened with mode={self.mode!r}" if self.mode in ("r", "prune") else "it was closed"
            raise OptionError("this store cannot be saved to", details={"found": why}, where=self.path)
        return self._writer

    def _check_commit(self) -> None:
        """See to it that this process still is the one that saves: a callback may have forked, or closed."""
        self._check_writer()
        self._session.check(self._member)
        if self._assembly is not None:
            self._assembly.folder.check_start()

    def _prune(self, rules: Retention | None, *, dry_run: bool) -> PruneReport:
        self.settle()
        return super()._prune(rules, dry_run=dry_run)

    def settle(self) -> None:
        """Wait for what is being saved in the background.

        Raises
        ------
        NotWritableError
            If it failed and nobody has heard of it yet; the store is as it was before.
        """
        if self._joined is not None:
            with self._joined.entered():
                self._settle()

    def _settle(self) -> None:
        """Wait for a save in the background; raise what it raised, if nobody has heard of it yet."""
        background = self._background
        if background is not None and not background.seen and self._process == os.getpid():
            background.wait()

    def _retain_together(self, assembly: Assembly) -> None:
        """Apply the retention, unless others save just now; whoever comes after them does it then."""
        if self.retention is None or not assembly.has_committed:
            return
        with ExitStack() as cleanup:
            try:
                self._lock_all(cleanup, 0.0)
            except LockedError:
                return
            except CheckpointError as error:  # what was saved has been saved
                _LOG.warning("%s: nothing was pruned: %s (%s)", self.path, error.fact, error.where)
                return
            assembly.has_committed = False
            for note in self._retained(self.retention)[1]:
                _LOG.warning("%s: %s", self.path, note.text)

    # --- The end ------------------------------------------------------------------

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        try:
            self._shut(heed=kind is None)
        except CheckpointError as failed:
            if error is None:
                raise
            error.add_note(f"a save in the background had failed, too: {failed}")

    def close(self) -> None:
        """Wait for a background save, and release the lock.

        In a forked child nothing is waited for and nothing let go: all that is the parent's.

        Raises
        ------
        NotWritableError
            If that save failed and nobody has heard of it yet.
        BusyError
            If this thread is in the middle of a save.
        """
        # Not while an exception is on its way: whatever it is, it is not a run to be started again.
        self._shut(heed=sys.exception() is None)

    def _shut(self, *, heed: bool) -> None:
        if self._joined is None:
            return
        try:
            if heed:
                self.heed_signals()
        finally:
            try:
                self._close(self._joined)
            finally:
                for watch in reversed(self._watches):
                    watch.stop()
        for watch in self._watches if heed else ():
            watch.look(save=False)

    def _close(self, session: Session) -> None:
        with session.entered():
            try:
                self._settle()
            finally:
                with ExitStack() as turn:
                    session.take_turn(turn)
                    try:
                        if self._assembly is not None:
                            self._assembly.close()
                            self._retain_together(self._assembly)
                    finally:
                        if self._writer is not None:
                            self._writer.close()
                            self._writer = None
                        self._leave()
