"""One of several processes that save together to a store in a bucket.

What a start is in a folder, see :mod:`ann_ckpt.store.owners.ranks`, is a lease here, which all its processes
have together: whoever finds none of them alive, or died in the last one, takes the next number, and so
nobody before commits any more. A rank is claimed by ``shards/ranks/00000007/3/0001``, put if there is none
of its name, renewed like a lease, and closed by ``0001.closed``; who closes the last one closes the lease.

Whoever sees all shards of a checkpoint commits it, as a :class:`~ann_ckpt.store.owners.lease.Lease` does:
several may do so, and all but the first find it there.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from itertools import takewhile
from operator import attrgetter
from pathlib import Path

from ann_ckpt.errors import CheckpointError, FileMissingError, LockedError, NotWritableError
from ann_ckpt.lazy import Checkpoint
from ann_ckpt.paths import Address
from ann_ckpt.remote import size_of
from ann_ckpt.store.buckets.bucket_folder import BucketFolder
from ann_ckpt.store.names import Slot
from ann_ckpt.store.owners.lease import CLAIMS, Lease, claimed, myself, open_claims, said
from ann_ckpt.store.owners.ranks import Shard, lost, paired_slot
from ann_ckpt.store.summary import open_inside
from ann_ckpt.uploads import each, put, put_new, remove, stored_below, stored_from

__all__ = ["BucketRank", "SharedLease"]

_SHARDS = "shards"
_WAITING = 4
"""When so many checkpoints wait for other ranks, or twice as many and so on, all shards are looked at."""
_ASKED_FOR = 32
"""Of so many objects each is asked for by its name; of more, all in the store are listed."""


class SharedLease(Lease):
    """The right of several processes to save to one store in a bucket, and this one's claim to its rank.

    Parameters
    ----------
    store : Address
        Of the store.
    rank, ranks : int
        Which process this is, of how many.
    """

    def __init__(self, store: Address, rank: int, ranks: int) -> None:
        super().__init__(store)
        self.rank = rank
        self.ranks = ranks
        self._claim = ""
        self.new = False
        """Whether this process began the start."""
        self.again = False
        """Whether another process of this rank was in this start before, and closed the store."""

    @property
    def start(self) -> str:
        """The start, as shards name it."""
        return f"{self._number:016x}"

    def _attempt(self) -> bool:
        """Join the present start, or begin the next one; as :meth:`Lease._attempt`."""
        survey = self._survey()
        number, claim, new = survey.last, 1, self._is_free(survey)
        if not new:
            holder = self._holder(number)
            if holder.get("ranks") != self.ranks:
                raise self._refusal(holder)
            claims = stored_below(self._claims(number, str(self.rank)))
            mine = open_claims(one._replace(key=f"{self.rank}/{one.key}") for one in claims)
            for one in mine.values():
                holder = said(self._claims(number, one.key))
                new = self._is_gone(holder, one.modified)  # it died in this start: another one has to begin
                if not new:
                    raise self._refusal(holder)
            claim = 1 + max((int(one.key) for one in claims if one.key.isdecimal()), default=0)
        text = json.dumps(myself() | {"rank": self.rank, "ranks": self.ranks}).encode()
        renewed = {}
        if new:
            number, claim = number + 1, 1
            if not self._take(number, text):
                return False
            renewed[self._at(number)] = text
        own = f"{self.rank}/{claim:04d}"
        if not claimed(self._claims(number, own), text):
            return False
        if not self._fence(number):  # others have gone, or begun the next start, meanwhile
            put(self._claims(number, f"{own}.closed"), b"")
            return False
        self._claim, self.new, self.again = own, new, claim > 1
        self._hold(number, {self._claims(number, own): text} | renewed)
        return True

    def _close(self, number: int) -> None:
        """Close this process's claim; the last one closes the lease."""
        put(self._claims(number, f"{self._claim}.closed"), b"")
        if not self._some_claim_is_open(number):
            super()._close(number)
            self.remove_claims(number + 1)

    def _some_claim_is_open(self, number: int) -> bool:
        """Whether another process is in the start; looks no further than to the first one."""
        before = ""
        for one in stored_from(self._claims(number)):
            if before and one.key != f"{before}.closed":
                return True
            before = "" if before else one.key
        return bool(before)

    def remove_claims(self, before: int) -> None:
        """Remove the claims of all starts before a number."""
        folder = self._store.at(f"{self._store.key}/{CLAIMS}")
        started = ((one.key, one.key.partition("/")[0]) for one in stored_below(folder))
        old = [key for key, number in started if number.isdecimal() and int(number) < before]
        remove([folder.at(f"{folder.key}/{key}") for key in old])

    def commit(self, name: str, path: Path) -> None:
        """Put a checkpoint, all shards of which are there; as :meth:`Lease.commit`.

        What another process has made of the same shards is as good. The announcement stays until the
        checkpoint is there: others may have made the same one, and not have put it yet.
        """
        announced, address = self._at(self._number, name), self._checkpoint(name)
        put(announced, b"")
        self.check()
        if not put_new(address, path):
            with Checkpoint(path) as made:
                expected = made.created, dict(made.provenance)
            try:
                with open_inside(str(address)) as found:
                    same = (found.created, dict(found.provenance)) == expected
            except CheckpointError as error:
                self.check()
                raise NotWritableError(
                    f"what is called {name} in the store is no checkpoint", where=self._store.shown
                ) from error
            if not same:
                raise NotWritableError(
                    f"another process has put a checkpoint {name} into the store", where=self._store.shown
                )
        remove([announced])

    def check(self) -> None:
        """Raise if the next start has begun, or this one has ended; as :meth:`Lease.check`."""
        survey = self._survey()
        if not self.intact or survey.last != self._number or self._number in survey.closed:
            raise self._lost()

    def settle(self) -> None:
        """Nothing to do: whether a checkpoint is there is seen when the next one is made."""

    def _lost(self) -> LockedError:
        self.forget()
        return LockedError(
            "the processes that save to this store were started again without this one",
            details={"found": f"rank {self.rank} of {self.ranks}"},
            where=self._store.shown,
        )


@dataclass(frozen=True, slots=True, weakref_slot=True, eq=False)
class BucketRank(BucketFolder):
    """The files of one of several processes that save together: shards in the place of checkpoints."""

    lease: SharedLease
    own: set[Slot]
    """Checkpoints of which this process has put its shard, until they are there."""

    folder: BucketFolder
    """The store as those have it who prune."""

    tried: list[Slot] = field(default_factory=list)
    """See :func:`~ann_ckpt.store.owners.ranks.paired_slot`."""

    @staticmethod
    def beside(folder: BucketFolder, rank: int, ranks: int) -> BucketRank:
        """Return a store in a bucket for a process of that rank."""
        bucket = folder.bucket

        def make(path: Path) -> BucketRank:
            lease = SharedLease(bucket.address, rank, ranks)
            return BucketRank(path, bucket, lease, {}, set(), set(), folder)

        return BucketRank.opened(f"{bucket.address} {rank} of {ranks}", make)

    def check_writable(self) -> None:
        """As :meth:`BucketFolder.check_writable`; who prunes has asked already."""
        self.folder.check_writable()
        self.lease.clock = self.folder.lease.clock

    @property
    def rank(self) -> int:
        """Which process this is."""
        return self.lease.rank

    @property
    def ranks(self) -> int:
        """How many there are."""
        return self.lease.ranks

    @property
    def whole(self) -> BucketFolder:
        """The store for whole checkpoints, which are sent from a folder of their own."""
        path = self.path / "whole"
        path.mkdir(exist_ok=True)
        return BucketFolder(path, self.bucket, self.lease, self.notes, self.left)

    def slots(self, *, step: int | None = None) -> list[Slot]:
        """The checkpoints of the store, and those of which this process has put its shard."""
        there = self.bucket.slots()
        self.own.difference_update(there)
        return sorted(slot for slot in {*there, *self.own} if step in (None, slot.step))

    def next_slot(self, newest: Slot | None, step: int | None) -> Slot:
        """Return the slot of a state that is saved now, after ``newest``."""
        slot = paired_slot(self.tried, newest, step)
        while slot in self.bucket.voided:
            slot = Slot(slot.round + 1, slot.step)
        self.tried[:] = [slot]
        return slot

    def location(self, slot: Slot) -> str:
        """Address of this rank's shard of a checkpoint, in whichever start; or of the whole one."""
        if slot in self.own:
            return str(self._shard(self._mine(slot)))
        found = next(self._shards(f"{slot.name}."), None)
        if found is not None and found.slot == slot and found.ranks == self.ranks:
            return str(self._shard(Shard(slot, found.start, self.rank, self.ranks)))
        return self.bucket.checkpoint_path(slot)

    def whole_objects(self, objects: Mapping[str, int]) -> set[str]:
        """Which objects are there in their full length; a rank has few."""
        if len(objects) > _ASKED_FOR:
            return BucketFolder.whole_objects(self, objects)
        sizes = each(lambda name: size_of(self._object(name)), objects)
        return {name for name, size in zip(objects, sizes, strict=True) if size == objects[name]}

    def _mine(self, slot: Slot) -> Shard:
        return Shard(slot, self.lease.start, self.rank, self.ranks)

    def _shard(self, shard: Shard) -> Address:
        return self.bucket.at(f"{_SHARDS}/{shard.name}")

    def _shards(self, first: str = "") -> Iterator[Shard]:
        """Yield shards in the order of their names, from one name on."""
        for one in stored_from(self.bucket.at(_SHARDS), first):
            if (shard := Shard.parse(one.key)) is not None:
                yield replace(shard, size=one.size)

    def send_checkpoint(self, slot: Slot) -> None:
        """Send the shard, all objects of which are there.

        Raises
        ------
        LockedError
            If the processes were started again without this one.
        NotWritableError, NotReadableError
            If the server does not answer as it should.
        """
        put(self._shard(self._mine(slot)), self.checkpoint_path(slot))
        self.own.add(slot)
        self.lease.check()

    # --- What makes checkpoints of shards asks for --------------------------------

    def join(self, *, died: bool, wait: float) -> tuple[BucketRank, bool]:
        """Return this, whose lease was taken, and whether it began the start."""
        self.own.clear()
        self.tried.clear()
        if self.lease.new:
            self.lease.remove_claims(int(self.lease.start, 16))
        if self.lease.again:
            self.own.update(shard.slot for shard in self._shards() if shard == self._mine(shard.slot))
        return self, self.lease.new

    @contextmanager
    def committing(self, wait: float) -> Iterator[None]:
        """Nobody is kept from making the same checkpoint: only one is put."""
        yield

    def check_start(self) -> None:
        """Raise if this process knows that the next start has begun; the server is asked before each commit.

        Raises
        ------
        LockedError
            If so.
        """
        if not self.lease.intact:
            self.lease.check()

    def ready(self, there: Collection[Slot]) -> dict[Slot, list[Shard]]:
        """As :meth:`RankFolder.ready`; one request for each checkpoint that is not there, as a rule."""
        newest = max(there, default=None)  # and who waits for one before it does so in vain
        self.own.difference_update([slot for slot in self.own if newest is not None and slot <= newest])
        found = {slot: self._complete(slot) for slot in sorted(self.own)}
        return {slot: shards for slot, shards in found.items() if shards}

    def _complete(self, slot: Slot) -> list[Shard]:
        """Return the shards of a checkpoint if all are there; looks no further than to the first missing."""
        shards = [Shard(slot, self.lease.start, rank, self.ranks) for rank in range(self.ranks)]
        shards.sort(key=attrgetter("name"))
        listed = self._shards(f"{slot.name}.{self.lease.start}.")
        there = takewhile(lambda pair: pair[0] == pair[1], zip(shards, listed, strict=False))
        found = [one for _, one in there]
        return sorted(found, key=attrgetter("rank")) if len(found) == self.ranks else []

    def lost(self, own: str, newest: Slot | None) -> dict[Slot, list[int]]:
        """Return which checkpoints can never be complete, of which this rank has its part.

        All shards are listed, so this is done only when 4, 8, 16, ... wait for others.
        """
        waiting = len(self.own)
        if waiting < _WAITING or waiting & (waiting - 1):
            return {}
        mine = [s for s in self._shards() if (s.start, s.ranks) == (self.lease.start, self.ranks)]
        return {slot: some for slot, some in lost(mine, newest).items() if slot in self.own}

    def open_shards(self, shards: Iterable[Shard], files: ExitStack) -> list[Checkpoint]:
        """Open shards until ``files`` ends, several at a time."""
        try:
            opened = each(lambda shard: open_inside(str(self._shard(shard)), shard.size), shards)
        except FileMissingError:  # a new start may have removed them
            self.lease.check()
            raise
        return [files.enter_context(checkpoint) for checkpoint in opened]

    def discard_shards(self, *, before: Slot | None, of_others: bool = False) -> None:
        """As :meth:`RankFolder.discard_shards`."""
        start = self.lease.start if of_others else None
        old = [shard for shard in self._shards() if shard.is_over(before, start)]
        remove([self._shard(shard) for shard in old])
        if before is not None:
            self.own.difference_update([slot for slot in self.own if slot <= before])
