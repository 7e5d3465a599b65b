"""Retention rules, and the removal of checkpoints and unneeded objects from a store."""

from __future__ import annotations

import contextlib
import operator
import os
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from numbers import Real
from pathlib import Path

from ann_ckpt.arguments import check_flags
from ann_ckpt.durable import fsync_folder
from ann_ckpt.errors import (
    BusyError,
    CheckpointError,
    CorruptFileError,
    FileMissingError,
    NotWritableError,
    OptionError,
    printable,
)
from ann_ckpt.paths import address_of
from ann_ckpt.report import Note, count
from ann_ckpt.store.buckets.bucket_folder import BucketFolder
from ann_ckpt.store.folder import StoreFolder
from ann_ckpt.store.owners.lock import FileLock
from ann_ckpt.store.owners.ranks import lock_ranks, shards_in_use, shards_of
from ann_ckpt.store.owners.session import Session
from ann_ckpt.store.reports import PruneReport
from ann_ckpt.store.series import SeriesView
from ann_ckpt.store.summary import CheckpointInfo, open_inside

__all__ = [
    "Retention",
    "Upkeep",
    "collect",
    "needed_by",
    "remove",
    "unneeded",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Retention:
    """Retention rules: a checkpoint is kept if any rule selects it; the newest always is.

    Raises
    ------
    OptionError
        If no rule is given, a number is below 1, or ``keep`` is no function.
    """

    keep_last: int | None = None
    """How many of the newest stay."""
    keep_every: int | None = None
    """Of every so many time steps, the first checkpoint stays."""
    keep_tags: bool = True
    """Whether those stay that a tag names. A tag given twice names the newer one."""
    keep: Callable[[CheckpointInfo], bool] | None = None
    """Says of each checkpoint whether it stays."""

    def __post_init__(self) -> None:
        for name in ("keep_last", "keep_every"):
            number = getattr(self, name)
            if number is None:
                continue
            try:
                whole = operator.index(number)
            except TypeError as error:
                raise OptionError(
                    f"{name}={printable(repr(number), 40)}", details={"expected": "a whole number"}
                ) from error
            if whole < 1:
                raise OptionError(f"{name}={whole}; expected at least 1")
        if self.keep is not None and not callable(self.keep):
            raise OptionError(
                f"keep={printable(repr(self.keep), 40)}",
                details={"expected": "a function that says of each checkpoint whether it stays"},
            )
        if self.keep_last is None and self.keep_every is None and self.keep is None:
            raise OptionError(
                "no retention rule given", details={"expected": "keep_last, keep_every or keep"}
            )

    def doomed(self, infos: Sequence[CheckpointInfo]) -> list[CheckpointInfo]:
        """Return the checkpoints to remove.

        Parameters
        ----------
        infos : sequence of CheckpointInfo
            The whole series, oldest first. One that cannot be read stays, because nobody
            can say what it is.
        """
        kept = {info.name for info in infos[-max(1, self.keep_last or 1) :]}
        kept |= {info.name for info in infos if info.problem is not None}
        if self.keep_every is not None:
            firsts: dict[tuple[int, int], str] = {}
            for info in infos:
                firsts.setdefault((info.slot.round, info.slot.step // self.keep_every), info.name)
            kept |= set(firsts.values())
        if self.keep_tags:
            kept |= set({info.tag: info.name for info in infos if info.tag is not None}.values())
        if self.keep is not None:
            kept |= {info.name for info in infos if info.name not in kept and self.keep(info)}
        return [info for info in infos if info.name not in kept]


def needed_by(folder: StoreFolder, staying: Iterable[CheckpointInfo]) -> set[str]:
    """Return the objects that some of ``staying`` refer to, or shards that may become a checkpoint.

    Raises
    ------
    CorruptFileError
        If one of ``staying`` cannot be read, so that nobody knows what it needs.
    """
    needed: set[str] = set()
    for info in staying:
        if info.problem is not None:
            raise CorruptFileError(
                "a checkpoint cannot be read, so it is unknown which objects are still needed",
                details={
                    "found": info.problem,
                    "hint": "restore the file, or remove it by hand if it is lost",
                },
                where=info.path,
            )
        needed.update(info.objects)
    for shard in shards_in_use(folder):
        with contextlib.suppress(FileMissingError), open_inside(folder.shards / shard.name) as checkpoint:
            needed.update(checkpoint.objects)
    return needed


def unneeded(folder: StoreFolder, staying: Iterable[CheckpointInfo]) -> dict[str, int]:
    """Return the objects in the folder that none of ``staying`` refers to, with their sizes in bytes.

    Raises as :func:`needed_by` and :meth:`StoreFolder.check_checkpoints` do.
    """
    if not folder.distant:
        folder.check_checkpoints()
    return folder.unneeded(needed_by(folder, staying))


def remove(folder: StoreFolder, doomed: Sequence[CheckpointInfo]) -> None:
    """Remove checkpoint files, durably.

    Raises
    ------
    NotWritableError
        If the system refuses.
    """
    if isinstance(folder, BucketFolder):
        needed = {name for info in doomed for name in info.objects}
        folder.remove_checkpoints([info.slot for info in doomed], needed)
    else:
        _remove([folder.checkpoint_path(info.slot) for info in doomed])


def collect(folder: StoreFolder, objects: Collection[str]) -> None:
    """Remove objects, and whatever interrupted saves left, durably.

    Without that, a power cut could bring them back after the lock is gone that tells of them.

    Raises
    ------
    NotWritableError
        If the system refuses.
    """
    if isinstance(folder, BucketFolder):
        folder.remove_objects(objects)
        return
    used = {shard.name for shard in shards_in_use(folder)}
    shards = [folder.shards / shard.name for shard in shards_of(folder) if shard.name not in used]
    _remove([*shards, *folder.leftovers(), *(folder.object_path(name) for name in objects)])


def _remove(doomed: Sequence[Path]) -> None:
    """Remove all files that can be removed; then say if some could not."""
    refused: list[tuple[Path, OSError]] = []
    for path in doomed:
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            refused.append((path, error))
    for parent in sorted({path.parent for path in doomed}):
        try:
            with contextlib.suppress(FileNotFoundError):
                fsync_folder(parent)
        except OSError as error:
            refused.append((parent, error))
    if refused:
        where, first = refused[0]
        raised = NotWritableError(
            f"cannot remove: {first.strerror or first}",
            details={
                "found": f"of {len(doomed)} files to be removed, {len(refused)} could not be",
                "kept": "every checkpoint that is there is complete",
                "hint": "gc, or the next save, removes what is left",
            },
            where=where,
        )
        raised.errno = first.errno
        raise raised from first


_PATIENCE = 600.0
"""Seconds that a change to the store waits for another process to finish its own, unless told."""


class Upkeep(SeriesView):
    """Base of stores: removing checkpoints and unneeded objects.

    Parameters
    ----------
    path : path-like
        The folder.
    writable : bool
        False refuses every change.
    wait : float, optional
        Seconds that a change waits for another process to finish its own.
    """

    def __init__(self, path: str | os.PathLike[str], *, writable: bool, wait: float | None = None) -> None:
        address = address_of(path)
        if address is None:
            super().__init__(path)
            self._folder = StoreFolder(Path(self.path))
        else:
            self._folder = BucketFolder.of(address, writable=writable)
            super().__init__(self._folder.bucket)
        if wait is not None and not (isinstance(wait, Real) and wait >= 0):
            raise OptionError("wait is a number of seconds, 0 or more", details={"given": printable(wait)})
        self._writable = writable
        self._patience = _PATIENCE if wait is None else wait
        self._change = FileLock(self._folder.change_lock, "changes the store")
        """Held while this process saves, or removes; of several that save together, each has its own."""
        self._marked = False
        """Whether another file of ours, durable already, tells of an interrupted change."""
        self._unclean = False
        """Whether an interrupted change is known of."""

    def prune(
        self,
        *,
        keep_last: int | None = None,
        keep_every: int | None = None,
        keep_tags: bool = True,
        keep: Callable[[CheckpointInfo], bool] | None = None,
        dry_run: bool = False,
    ) -> PruneReport:
        """Remove checkpoints and the objects that no other one needs; see :class:`Retention`.

        Somebody who reads from a removed checkpoint keeps what its files hold.

        Raises
        ------
        OptionError
            If no rule says what stays.
        CorruptFileError
            If a checkpoint that stays cannot be read; nothing was removed.
        """
        check_flags(keep_tags=keep_tags, dry_run=dry_run)
        rules = Retention(keep_last=keep_last, keep_every=keep_every, keep_tags=keep_tags, keep=keep)
        return self._prune(rules, dry_run=dry_run)

    def gc(self, *, dry_run: bool = False) -> PruneReport:
        """Remove what no checkpoint needs: objects of interrupted saves, temporary files."""
        check_flags(dry_run=dry_run)
        return self._prune(None, dry_run=dry_run)

    def _prune(self, rules: Retention | None, *, dry_run: bool) -> PruneReport:
        if dry_run:
            return self._doom(rules, dry_run=True)
        if not self._writable:
            raise OptionError(
                "this store was opened for reading", details={"hint": "mode='prune'"}, where=self.path
            )
        self._folder.check_writable()
        with self._session.entered(), ExitStack() as cleanup:
            self._session.take_turn(cleanup)
            self._lock_all(cleanup, self._patience)
            report = self._doom(rules, dry_run=False)
            self._swept()
            return report

    def _doom(self, rules: Retention | None, *, dry_run: bool) -> PruneReport:
        """Decide what goes and remove it, unless only the decision is asked for."""
        # Shards that never became a checkpoint leave objects that no checkpoint tells of.
        everywhere = rules is None or self._unclean or os.path.lexists(self._folder.shards)
        infos = self._catalog.all(sure=everywhere)
        doomed = [] if rules is None else rules.doomed(infos)
        if rules is not None and any(self._catalog.look(info.slot) != info for info in doomed):
            infos = self._catalog.all(sure=True)  # some file was changed in its place
            doomed = rules.doomed(infos)
        going = {info.slot for info in doomed}
        staying = [info for info in infos if info.slot not in going]
        if self._folder.distant:  # what a checkpoint needed stays for a while after it
            objects = unneeded(self._folder, infos)
        elif everywhere:
            objects = unneeded(self._folder, staying)
        else:
            needed = needed_by(self._folder, staying)
            of_doomed = {name: size for info in doomed for name, size in info.objects.items()}
            objects = {name: size for name, size in of_doomed.items() if name not in needed}
        if not dry_run:
            self._catalog.note()
            with self._remembering():
                remove(self._folder, doomed)
                collect(self._folder, objects)
        return PruneReport(
            path=self.path,
            removed=tuple(info.name for info in doomed),
            kept=tuple(info.name for info in staying),
            objects=len(objects),
            bytes_freed=sum(objects.values()) + sum(info.file_bytes for info in doomed),
            dry_run=dry_run,
        )

    def _retained(self, rules: Retention | None) -> tuple[tuple[str, ...], tuple[Note, ...]]:
        """Apply the store's own rules after a save; what goes wrong must not end the run that saves.

        Returns
        -------
        removed, notes
            Names of checkpoints, and what went wrong.
        """
        if rules is None:
            return (), ()
        try:
            return self._doom(rules, dry_run=False).removed, ()
        except BusyError:  # a rule that changes the store itself is a mistake of its author's
            raise
        except NotWritableError as error:
            return (), (Note("", f"pruning was not completed: {error.fact} ({error.where})"),)
        except CheckpointError as error:
            return (), (Note("", f"nothing was pruned: {error.fact} ({error.where})"),)
        except OSError as error:
            return (), (Note("", f"pruning was not completed: {error}"),)

    def _empty(self, compression: str) -> None:
        """Remove every checkpoint; the store is as if it had just been made."""
        with ExitStack() as cleanup:
            self._lock_change(cleanup)
            # First, so that a disk that is full has lost nothing.
            self._folder.create({"compression": compression})
            self._catalog.clear()
            with self._remembering():
                remove(self._folder, self._catalog.all())
                collect(self._folder, [path.stem for path in self._folder.object_files()])
            self._swept()

    @property
    def _session(self) -> Session:
        return Session.of(self._folder)

    def _enter_change(self, cleanup: ExitStack) -> None:
        """Take the turn among the threads, and the change lock, until ``cleanup`` ends."""
        self._session.take_turn(cleanup)
        self._lock_change(cleanup)

    def _lock_change(self, cleanup: ExitStack) -> None:
        """Keep other processes from changing the store until ``cleanup`` ends."""
        self._lock(self._change, cleanup, self._patience)

    def _lock_all(self, cleanup: ExitStack, wait: float) -> None:
        """Keep all other processes from changing the store, those too that save together."""
        self._lock(FileLock(self._folder.change_lock, "changes the store"), cleanup, wait)
        lock_ranks(self._folder, cleanup, wait=wait)

    def _lock(self, lock: FileLock, cleanup: ExitStack, wait: float) -> None:
        cleanup.callback(lock.release)  # first: ^C may come as soon as it is held
        died = lock.acquire(wait=wait, durable=not self._marked)
        self._folder.check_folders()
        self._unclean |= died or os.path.lexists(self._folder.unswept)

    @contextmanager
    def _remembering(self) -> Iterator[None]:
        """Leave word to whoever changes the store next if something that was to go has stayed."""
        try:
            yield
        except BaseException:  # also ^C: nothing else tells of objects whose checkpoints are gone
            self._unclean = True
            self._folder.mark_unswept()
            raise

    def _swept(self) -> None:
        """Nothing is left to be removed."""
        self._unclean = False
        with suppress(OSError):
            self._folder.unswept.unlink(missing_ok=True)

    def _sweep(self) -> tuple[Note, ...]:
        """Remove what somebody left who died while changing the store; the change lock is held."""
        if not self._unclean:
            return ()
        try:
            objects = unneeded(self._folder, self._catalog.all(sure=True))
            self._catalog.note()
            with self._remembering():
                collect(self._folder, objects)
        except CheckpointError as error:
            return (
                Note("", f"leftovers of an interrupted save were not removed: {error.fact} ({error.where})"),
            )
        self._swept()
        return (Note("", f"removed the leftovers of an interrupted save: {count(len(objects), 'object')}"),)
