"""Who saves to a store of several processes: each rank in its place, all of one start.

Each rank writes *shards*, checkpoint files of its part of the network, beside the checkpoints of the store.
All shards that may become one checkpoint come from processes that were started together. No process
asks another one; what they know of each other are files:

* ``shards/lock.3`` is held by rank 3 while it has the store open, as ``lock`` is by who saves alone;
* ``shards/start.json`` says which start is the present one. Whoever finds none of its processes alive, or was
  one of them and died, begins the next one; what an earlier start left counts no more;
* ``shards/rank.3`` says in which start rank 3 was last, and as which process.
"""

from __future__ import annotations

import contextlib
import json
import re
import secrets
import socket
from collections.abc import Collection, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from operator import attrgetter
from pathlib import Path

from ann_ckpt.durable import atomic_write, explained, fsync_folder, process_alive
from ann_ckpt.errors import FileMissingError, LockedError, OptionError, printable
from ann_ckpt.lazy import Checkpoint
from ann_ckpt.store.folder import StoreFolder
from ann_ckpt.store.inside import check_folder, names_in, read_small
from ann_ckpt.store.names import Slot
from ann_ckpt.store.owners.job import Job
from ann_ckpt.store.owners.lock import FileLock, Holder, holder_of
from ann_ckpt.store.summary import open_inside

__all__ = [
    "RankFolder",
    "Shard",
    "check_no_ranks",
    "check_ranks",
    "lock_ranks",
    "lost",
    "paired_slot",
    "rank_locks",
    "shards_in_use",
    "shards_of",
]

_SHARD = re.compile(r"(\d[\d-]*)\.([0-9a-f]{16})\.(\d{1,6})-of-(\d{1,6})\.h5", re.ASCII)
_LOCK = re.compile(r"lock\.(\d{1,6})", re.ASCII)
_SMALL = 4096
_MOST = 10**6
_NUMBERS = 10**7
"""Temporary objects of one save that have a number of their own."""


@dataclass(frozen=True, slots=True)
class Shard:
    """One rank's part of a checkpoint."""

    slot: Slot
    start: str
    rank: int
    ranks: int
    size: int | None = field(default=None, compare=False)
    """Bytes of its file, where a listing has told."""

    @property
    def name(self) -> str:
        """Its file's name."""
        return f"{self.slot.name}.{self.start}.{self.rank}-of-{self.ranks}.h5"

    def is_over(self, newest: Slot | None, start: str | None) -> bool:
        """Whether nobody needs it any more, once there is a newest checkpoint.

        Parameters
        ----------
        start : str or None
            The only one whose shards may become a checkpoint, if no other one has processes alive. Those of
            the newest checkpoint stay, for the next save to build upon.
        """
        if newest is not None and self.slot < newest:
            return True
        return start is not None and self.start != start and self.slot != newest

    @classmethod
    def parse(cls, name: str) -> Shard | None:
        """Return the shard whose file is called so, or None for anything else."""
        found = _SHARD.fullmatch(name)
        slot = Slot.parse(found[1]) if found else None
        return None if found is None or slot is None else cls(slot, found[2], int(found[3]), int(found[4]))


def paired_slot(tried: list[Slot], newest: Slot | None, step: int | None) -> Slot:
    """Return the slot of a state that a rank saves now, the same as that of the other ranks.

    A save that failed counts, because the others may have done theirs; the same step once more is that save
    tried again.

    Parameters
    ----------
    tried : list of Slot
        The last one that this returned, if any; changed.
    newest : Slot or None
        The last one of which this rank has saved its part.
    step : int or None
        Time step of the state, if known.
    """
    if tried and (newest is None or newest < tried[0]):
        slot = tried[0] if step in (None, tried[0].step) else Slot.after(tried[0], step)
    else:
        slot = Slot.after(newest, step)
    tried[:] = [slot]
    return slot


def lost(shards: Iterable[Shard], newest: Slot | None) -> dict[Slot, list[int]]:
    """Return which checkpoints can never be complete, with the ranks that saved a later one without them.

    Parameters
    ----------
    shards : iterable of Shard
        All of one start.
    newest : Slot or None
        The newest checkpoint; nobody waits for what is before it.
    """
    there: dict[Slot, set[int]] = {}
    last: dict[int, Slot] = {}
    for shard in shards:
        there.setdefault(shard.slot, set()).add(shard.rank)
        last[shard.rank] = max(shard.slot, last.get(shard.rank, shard.slot))
    without = {
        slot: [rank for rank in sorted(last) if slot < last[rank] and rank not in some]
        for slot, some in sorted(there.items())
        if newest is None or newest < slot
    }
    return {slot: some for slot, some in without.items() if some}


def check_ranks(rank: int | None, ranks: int | None) -> tuple[int, int] | None:
    """Return what a store was told of several processes; None if nothing.

    Raises
    ------
    OptionError
        If there is no such rank, or only one of the two is given.
    """
    if rank is None and ranks is None:
        return None
    given = {"given": f"rank={printable(rank)}, ranks={printable(ranks)}"}
    if type(rank) is not int or type(ranks) is not int:
        raise OptionError("rank and ranks are two integers, given together", details=given)
    if not 0 <= rank < ranks <= _MOST:
        raise OptionError("there is no such rank", details=given | {"expected": "0 <= rank < ranks"})
    return rank, ranks


def shards_of(folder: StoreFolder) -> Iterator[Shard]:
    """Yield every shard that is there."""
    for name in _names(folder):
        if (shard := Shard.parse(name)) is not None:
            yield shard


def shards_in_use(folder: StoreFolder) -> list[Shard]:
    """Return the shards that may become part of a checkpoint, or be built upon; none if no rank is alive.

    Those in a bucket are not asked for here: their objects are young.
    """
    if folder.distant:
        return []
    alive = any(holder.alive is not False for holder in _holders(folder).values())
    return list(shards_of(folder)) if alive else []


def rank_locks(folder: StoreFolder) -> list[Path]:
    """Return the lock files of processes that save together."""
    return sorted(folder.shards / name for name in _names(folder) if name.startswith("lock."))


def lock_ranks(folder: StoreFolder, cleanup: ExitStack, *, wait: float) -> None:
    """Keep every rank from saving, and any from joining, until ``cleanup`` ends.

    Raises
    ------
    LockedError
        If one does not come to an end.
    """
    if not folder.shards.is_dir():
        return
    wanted = [folder.shards / "lock.start"]
    wanted += sorted(folder.shards / f"lock.change.{n[5:]}" for n in _names(folder) if n.startswith("rank."))
    for path in wanted:
        lock = FileLock(path, "changes the store")
        cleanup.callback(lock.release)
        lock.acquire(wait=wait)


def check_no_ranks(folder: StoreFolder) -> None:
    """Raise if processes save to the store together: then none can save alone.

    Raises
    ------
    LockedError
        If there are any.
    """
    for rank, holder in _holders(folder).items():
        if holder.alive is not False:
            raise LockedError(
                f"several processes save to the store together; rank {rank} is {holder.name}",
                details={"hint": "ann-ckpt unlock shows who holds which lock"},
                where=folder.path,
            )


def _holders(folder: StoreFolder) -> dict[int, Holder]:
    """Who holds the locks of ranks, dead or alive."""
    found = {int(m[1]): holder_of(folder.shards / m[0]) for m in map(_LOCK.fullmatch, _names(folder)) if m}
    return {rank: holder for rank, holder in sorted(found.items()) if holder is not None}


def _names(folder: StoreFolder) -> list[str]:
    try:
        return names_in(folder.shards)
    except FileMissingError:
        return []


@dataclass(frozen=True, slots=True)
class _WholeFolder(StoreFolder):
    """The files of a store, with temporary ones of one rank's own."""

    rank: int
    ranks: int

    @property
    def share(self) -> tuple[int, int]:
        """How objects are named."""
        return 0, self.ranks + 1

    def temporary_object(self, number: int) -> Path:
        """File of an object that has no name yet; no other rank has the same."""
        return self.objects / f".new-{(self.rank + 1) * _NUMBERS + number}.tmp"


@dataclass(frozen=True, slots=True)
class RankFolder(_WholeFolder):
    """The files of one store as one of several processes writes them: shards in the place of checkpoints."""

    start: str = ""
    """Identifies the start of all the processes; known once this one has joined it."""
    tried: list[Slot] = field(default_factory=list, compare=False)
    """See :func:`paired_slot`."""

    @property
    def share(self) -> tuple[int, int]:
        """How this rank names objects; none is called as those of another rank, or of whole checkpoints."""
        return self.rank + 1, self.ranks + 1

    @property
    def writer_lock(self) -> Path:
        """Lock of this rank, from opening to closing."""
        return self.shards / f"lock.{self.rank}"

    @property
    def change_lock(self) -> Path:
        """Lock held while this rank saves; who removes holds those of all."""
        return self.shards / f"lock.change.{self.rank}"

    @property
    def whole(self) -> StoreFolder:
        """The store's folder for whole checkpoints, with temporary files of this rank's own."""
        return _WholeFolder(self.path, self.rank, self.ranks)

    def complete(self) -> None:
        """Create missing folders in the store."""
        StoreFolder.complete(self)
        with explained(self.path):
            if not self.shards.is_dir():
                with contextlib.suppress(FileExistsError):
                    self.shards.mkdir()
                fsync_folder(self.path)
            check_folder(self.shards)

    def slots(self, *, step: int | None = None) -> list[Slot]:
        """The checkpoints of the store, and the shards of this rank that are not part of one yet."""
        own = {s.slot for s in self.own_shards() if s.start == self.start and step in (None, s.slot.step)}
        return sorted({*StoreFolder.slots(self, step=step), *own}, key=attrgetter("round", "step"))

    def next_slot(self, newest: Slot | None, step: int | None) -> Slot:
        """Return the slot of a state that is saved now, after ``newest``."""
        return paired_slot(self.tried, newest, step)

    def checkpoint_path(self, slot: Slot) -> Path:
        """File of this rank's shard; of a checkpoint that is there, one of an earlier start, or its own."""
        own = self.shards / Shard(slot, self.start, self.rank, self.ranks).name
        whole = StoreFolder.checkpoint_path(self, slot)
        if own.exists() or not whole.exists():
            return own
        return next((self.shards / s.name for s in self.own_shards() if s.slot == slot), whole)

    def own_shards(self) -> list[Shard]:
        """Shards that a process of this rank wrote, in whichever start."""
        return [s for s in shards_of(self) if (s.rank, s.ranks) == (self.rank, self.ranks)]

    def in_start(self, start: str) -> RankFolder:
        """Return the same folder, for a process of that start."""
        return RankFolder(self.path, self.rank, self.ranks, start)

    # --- Starts -------------------------------------------------------------------

    def join(self, *, died: bool, wait: float) -> tuple[RankFolder, bool]:
        """Join the present start of the processes, or begin the next one; this rank's lock is held.

        Parameters
        ----------
        died : bool
            Whether a process that died left the lock of this rank behind.
        wait : float
            Seconds to wait for another one that joins just now.

        Returns
        -------
        folder, new
            The folder as a process of that start has it, and whether it has just begun.

        Raises
        ------
        LockedError
            If other processes save here: one alone, or another number of them together.
        """
        with FileLock(self.shards / "lock.start", "joins others that save to the store") as joining:
            joining.acquire(wait=max(wait, _JOINING))
            alone = holder_of(self.path / "lock")
            if alone is not None and alone.alive is not False:
                raise LockedError(
                    f"another process saves to the store alone: {alone.name}",
                    where=self.path,
                )
            known = _read(self.shards / "start.json")
            start = self._to_join(known, died=died)
            new = start is None
            if start is None:
                start = secrets.token_hex(8)
                job = Job.current()
                text = {"start": start, "ranks": self.ranks, "job": None if job is None else job.to_dict()}
                with self.committing(_JOINING):  # a checkpoint of the start before is there by now, or never
                    self._note("start.json", json.dumps(text))
            if (own := holder_of(self.writer_lock)) is not None:
                self._note(f"rank.{self.rank}", json.dumps(_noted(start, own)))
            return self.in_start(start), new

    def _to_join(self, known: dict[str, object], *, died: bool) -> str | None:
        """Return the start that this process is of; None if the next one has to begin."""
        start, job, here = known.get("start"), Job.from_dict(known.get("job")), Job.current()
        if not isinstance(start, str) or (here is not None and here.replaces(job)):
            return None
        alive = {
            rank: holder
            for rank, holder in _holders(self).items()
            if rank != self.rank and _lives(holder) and self._note_of(rank) == _noted(start, holder)
        }
        if known.get("ranks") != self.ranks:
            count = printable(known.get("ranks"), 20)
            for rank, holder in alive.items():
                raise LockedError(
                    f"{count} processes save to the store together; rank {rank} is {holder.name}",
                    details={"given": f"ranks={self.ranks}"},
                    where=self.path,
                )
            return None
        again = died and self._note_of(self.rank).get("start") == start
        return start if alive and not again else None

    def _note_of(self, rank: int) -> dict[str, object]:
        return _read(self.shards / f"rank.{rank}")

    def _note(self, name: str, text: str) -> None:
        with atomic_write(self.shards / name) as temporary:
            temporary.write_text(text, encoding="utf-8")

    @contextlib.contextmanager
    def committing(self, wait: float) -> Iterator[None]:
        """Keep others from making a checkpoint of shards, and from beginning a start."""
        with FileLock(self.shards / "lock.commit", "makes a checkpoint of shards") as lock:
            lock.acquire(wait=wait)
            yield

    def check_start(self) -> None:
        """Raise if the next start has begun: then this process is one that the others do not wait for.

        Raises
        ------
        LockedError
            If so.
        """
        if _read(self.shards / "start.json").get("start") != self.start:
            raise LockedError(
                "the processes that save to this store were started again without this one",
                details={"found": f"rank {self.rank} of {self.ranks}"},
                where=self.path,
            )

    def discard_shards(self, *, before: Slot | None, of_others: bool = False) -> None:
        """Remove shards that nobody needs any more: those of checkpoints before the newest.

        Parameters
        ----------
        before : Slot or None
            The newest checkpoint; its shards stay, for the next save to build upon.
        of_others : bool
            Also those behind it that earlier starts left; none of their processes may be alive.
        """
        for shard in list(shards_of(self)):
            if shard.is_over(before, self.start if of_others else None):
                with contextlib.suppress(OSError):
                    (self.shards / shard.name).unlink()

    def ready(self, there: Collection[Slot]) -> dict[Slot, list[Shard]]:
        """Shards by checkpoint, oldest first, where all are there and the checkpoint is not.

        Parameters
        ----------
        there : collection of Slot
            The checkpoints of the store.
        """
        found: dict[Slot, list[Shard]] = {}
        for shard in shards_of(self):
            if (shard.start, shard.ranks) == (self.start, self.ranks) and shard.slot not in there:
                found.setdefault(shard.slot, []).append(shard)
        whole = [slot for slot, some in found.items() if len(some) == self.ranks]
        return {slot: sorted(found[slot], key=attrgetter("rank")) for slot in sorted(whole)}

    def lost(self, own: str, newest: Slot | None) -> dict[Slot, list[int]]:
        """Return which checkpoints can never be complete, as :func:`lost` does.

        Only those are given of which this rank has no part, or has saved it last: ``own``.
        """
        mine = [s for s in shards_of(self) if (s.start, s.ranks) == (self.start, self.ranks)]
        found = lost(mine, newest)
        return {slot: some for slot, some in found.items() if self.rank in some or slot.name == own}

    def open_shards(self, shards: Iterable[Shard], files: ExitStack) -> list[Checkpoint]:
        """Open shards until ``files`` ends."""
        return [files.enter_context(open_inside(self.shards / shard.name)) for shard in shards]


_JOINING = 60.0
"""Seconds within which each of several processes joins."""


def _noted(start: str, holder: Holder) -> dict[str, object]:
    """Return what a rank notes of itself, and who it is: the next holder of its lock may not have joined."""
    return {"start": start, "host": holder.host, "pid": holder.pid, "since": holder.since}


def _lives(holder: Holder) -> bool:
    """Whether a holder is alive, as far as is known: who has taken its lock may not have signed it yet."""
    here = holder.host == socket.gethostname() and holder.pid.isdecimal()
    return holder.alive is not False and (not here or process_alive(int(holder.pid)))


def _read(path: Path) -> dict[str, object]:
    """Return a small JSON object; empty where there is none."""
    try:
        found = json.loads(read_small(path, _SMALL))
    except (FileMissingError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
