"""A store in a bucket as those have it who change it.

A save is written into a folder of this machine first, which has nothing of the store but the new objects and
the new checkpoint; then these are sent, and the folder is empty again.

What is removed is removed in two steps, because somebody may have opened a checkpoint just before. A
checkpoint that goes leaves a note ``pruned/...`` of what it needed. Objects go when they themselves, and the
youngest note of them, are older than a day by the server's clock. So those of a save that is under way stay,
too: each save gives its objects names of their own, and takes others only from the newest checkpoint, which
stays. What a shard needs that may still become part of a checkpoint is as young, or is asked of it.

A store that is pushed has the names that its objects had elsewhere, which may be those of old ones here. So
it is noted in ``removing`` what will go, and then the objects are looked at again: what was put before that
stays, and who puts one later sees the note, waits until it is gone, and puts what has gone with it.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import tempfile
import time
import weakref
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Self

from ann_ckpt.durable import explained
from ann_ckpt.errors import FileMissingError, NotWritableError, OptionError
from ann_ckpt.format import layout
from ann_ckpt.paths import Address, local_path
from ann_ckpt.store.buckets.bucket import Bucket
from ann_ckpt.store.folder import StoreFolder, settings_text
from ann_ckpt.store.names import SUFFIX, Slot
from ann_ckpt.store.owners.lease import Lease
from ann_ckpt.store.owners.ranks import Shard
from ann_ckpt.store.summary import open_inside
from ann_ckpt.uploads import Stored, check_server, each, fetch, put, put_new, remove, stored_below

__all__ = ["GRACE", "BucketFolder", "being_removed"]

GRACE = timedelta(hours=24)
"""Objects that are younger, or that a checkpoint needed until then, are not removed."""
_PRUNED = "pruned"
_SHARDS = "shards"
_REMOVING = "removing"
_NOTED = timedelta(hours=1)
"""How long a note of what is being removed counts; who removes stops after half of that."""
_AT_A_TIME = 1000
_OPEN: weakref.WeakValueDictionary[str, BucketFolder] = weakref.WeakValueDictionary()
"""By address: a process that opens a store twice has one lease, and one folder for what it sends."""


@dataclass(frozen=True, slots=True, weakref_slot=True, eq=False)
class BucketFolder(StoreFolder):
    """The files of a save that is sent to a bucket, and everything that changes the store there.

    ``path`` is a folder of this machine, which goes away with this.
    """

    bucket: Bucket
    lease: Lease
    notes: dict[str, frozenset[str]]
    """What is known of notes of removed checkpoints, by their names: which objects they needed."""
    left: set[str]
    """What processes that saved together have left in ``shards``, as was seen last; goes with the objects."""

    @staticmethod
    def of(address: Address, *, writable: bool) -> BucketFolder:
        """Return the store at an address, for this process.

        Parameters
        ----------
        writable : bool
            Whether something will be sent.

        Raises
        ------
        OptionError
            If the address is not that of a store in a bucket.
        NotWritableError
            If this machine has no place for what is to be sent.
        """
        if address.scheme in ("http", "https"):
            local_path(str(address))
        if f"{SUFFIX}@" in address.key or address.key.endswith((".h5", ".hdf5")):
            raise OptionError(
                "the address is not that of a store",
                details={"expected": "s3://bucket/run.ckpt"},
                where=address.shown,
            )
        if not writable:
            return BucketFolder(Path(), Bucket(address), Lease(address), {}, set())
        return BucketFolder.opened(
            str(address), lambda path: BucketFolder(path, Bucket(address), Lease(address), {}, set())
        )

    @classmethod
    def opened(cls, name: str, make: Callable[[Path], Self]) -> Self:
        """Return what this process has open under a name; else make it, with a folder for what it sends."""
        found = _OPEN.get(name)
        if not isinstance(found, cls) or found.lease.process != os.getpid():
            with explained(Path(os.environ.get("TMPDIR", "/tmp"))):  # noqa: S108  (for the message only)
                path = Path(tempfile.mkdtemp(prefix="ann_ckpt-"))
            _OPEN[name] = found = make(path)
            weakref.finalize(found, _clear, path, os.getpid())
        return found

    # --- What a store is ----------------------------------------------------------

    @property
    def distant(self) -> bool:
        """Whether it is not on this machine."""
        return True

    def share_of_save(self) -> tuple[bytes, int]:
        """Names of objects are those of one save: what another one has put may be about to be removed."""
        return secrets.token_bytes(16), 1

    def writing_lock(self) -> Lease:
        """What keeps other processes from saving."""
        return self.lease

    def exists(self) -> bool:
        """Whether there is a store."""
        try:
            self.bucket.settings()
        except FileMissingError:
            return False
        return True

    def settings(self) -> dict[str, Any]:
        """Read the settings; raises as :meth:`StoreFolder.settings` does."""
        return self.bucket.settings()

    def create(self, settings: dict[str, Any]) -> None:
        """Make an empty store; one that is there gets the settings.

        Raises
        ------
        NotWritableError
            If the server does not take it, or is none that stores can be in.
        """
        self.check_writable()
        place, text = self.bucket.at(layout.STORE_FILE), settings_text(settings).encode()
        if self.lease.intact:
            put(place, text)
        else:
            put_new(place, text)

    def check_writable(self) -> None:
        """Raise unless the server does what saving needs of it; asked once.

        Raises
        ------
        NotWritableError
            If not.
        """
        if self.lease.clock is None:
            self.lease.clock = check_server(self.bucket.address)

    def make_durable(self) -> None:
        """Nothing to do: what a server has taken is durable."""

    def slots(self, *, step: int | None = None) -> list[Slot]:
        """All checkpoints, oldest first, or those named after one step; one request."""
        return self.bucket.slots(step=step)

    def next_slot(self, newest: Slot | None, step: int | None) -> Slot:
        """Return the slot of a state that is saved now, after ``newest``."""
        slot = Slot.after(newest, step)
        while slot in self.bucket.voided:
            slot = Slot(slot.round + 1, slot.step)
        return slot

    def location(self, slot: Slot) -> str:
        """Address of a checkpoint, as text."""
        return self.bucket.checkpoint_path(slot)

    def whole_objects(self, objects: Mapping[str, int]) -> set[str]:
        """Which objects are there in their full length; a request for each thousand in the store."""
        there = self._objects()
        return {name for name, size in objects.items() if name in there and there[name][0] == size}

    # --- Saving -------------------------------------------------------------------

    def begin(self) -> None:
        """See to it that what an earlier save has not heard of is there or never will be."""
        self.lease.settle()

    def publish(self, slot: Slot) -> None:
        """Send the objects and the checkpoint of a save; its local files go away, whatever happens.

        Raises
        ------
        LockedError
            If another process has taken the lease.
        NotWritableError, NotReadableError
            If the server does not answer as it should. The store is as it was.
        """
        passed = _stopwatch()
        try:
            with explained(self.path):
                each(self._send, list(StoreFolder.object_files(self)))
                if passed() > GRACE.total_seconds() / 2:
                    raise NotWritableError(
                        "sending took so long that somebody may have removed what was sent first",
                        where=self.bucket.path,
                    )
                self.send_checkpoint(slot)
        finally:
            for folder in (self.objects, self.checkpoints):
                shutil.rmtree(folder, ignore_errors=True)

    def send_checkpoint(self, slot: Slot) -> None:
        """Send the file of a checkpoint, all objects of which are there; raises as :meth:`publish`."""
        self.lease.commit(slot.name, self.checkpoint_path(slot))

    def _send(self, path: Path) -> None:
        put(self._object(path.stem), path)
        path.unlink()

    def _object(self, name: str) -> Address:
        return self.bucket.at(layout.object_path(name).removeprefix("../"))

    def _objects(self) -> dict[str, tuple[int, datetime]]:
        """Size and time of every object."""
        listed = stored_below(self.bucket.at(layout.OBJECTS))
        return {Path(one.key).stem: (one.size, one.modified) for one in listed if one.key.endswith(".h5")}

    # --- Removing -----------------------------------------------------------------

    def unneeded(self, needed: Collection[str]) -> dict[str, int]:
        """Return the objects that may be removed now, with their sizes in bytes.

        Parameters
        ----------
        needed : collection of str
            What checkpoints need that stay.
        """
        known = self.lease.clock
        before = (datetime.now(UTC) if known is None else known.now) - GRACE
        kept = set(needed)
        notes = [note.key for note in stored_below(self.bucket.at(_PRUNED)) if note.modified > before]
        kept.update(*each(self._noted, notes), *self._needed_by_shards(before + GRACE / 2))
        return {
            name: size
            for name, (size, modified) in self._objects().items()
            if modified <= before and name not in kept
        }

    def _needed_by_shards(self, before: datetime) -> list[set[str]]:
        """Return what shards need that may become part of a checkpoint; note which ones cannot.

        Nothing that is so young has to be asked for, unless one is older than ``before``: the objects of all
        are younger than the oldest of them, or belong to the newest checkpoint.
        """
        self.left.clear()
        found = stored_below(self.bucket.at(_SHARDS))
        if not found:
            return []
        present = self.lease.present
        alive = [one for one in found if _start_of(one.key) == present]
        self.left.update({one.key for one in found} - {one.key for one in alive})
        shards = [one for one in alive if one.key.endswith(".h5")]
        if all(one.modified > before for one in shards):
            return []
        return each(self._needed_by_shard, shards)

    def _needed_by_shard(self, one: Stored) -> set[str]:
        try:
            with open_inside(str(self.bucket.at(f"{_SHARDS}/{one.key}")), one.size) as shard:
                return set(shard.objects)
        except FileMissingError:  # its checkpoint is there by now, and a newer one
            return set()

    def _noted(self, key: str) -> frozenset[str]:
        """What a note says that removed checkpoints needed."""
        if key not in self.notes:
            try:
                self.notes[key] = frozenset(json.loads(fetch(self.bucket.at(f"{_PRUNED}/{key}"))))
            except FileMissingError:  # it was old enough for somebody else
                return frozenset()
        return self.notes[key]

    def remove_checkpoints(self, slots: Collection[Slot], needed: Collection[str]) -> None:
        """Remove checkpoints, once it is noted what they needed.

        Raises
        ------
        NotWritableError
            If the server refuses.
        """
        if slots:
            key = f"{secrets.token_hex(8)}.json"
            put(self.bucket.at(f"{_PRUNED}/{key}"), json.dumps(sorted(needed)).encode())
            self.notes[key] = frozenset(needed)
            remove([self.bucket.checkpoint_address(slot) for slot in slots])

    def remove_objects(self, names: Collection[str]) -> None:
        """Remove objects, and notes that have served their time.

        Raises
        ------
        NotWritableError
            If the server refuses.
        """
        if self.lease.clock is not None:
            before = self.lease.clock.now - GRACE
            if names:
                self._remove_noted(names, before)
            notes = stored_below(self.bucket.at(_PRUNED))
            old = [self.bucket.at(f"{_PRUNED}/{one.key}") for one in notes if one.modified <= before]
            left = [self.bucket.at(f"{_SHARDS}/{key}") for key in self.left]
            remove([*old, *left])
            self.left.clear()

    def _remove_noted(self, names: Collection[str], before: datetime) -> None:
        """Remove objects that are still older than ``before`` once it is noted that they will go."""
        note, passed = self.bucket.at(f"{_REMOVING}/{secrets.token_hex(8)}.json"), _stopwatch()
        put(note, json.dumps(sorted(names)).encode())
        there = self._objects()
        going = [self._object(name) for name in names if name in there and there[name][1] <= before]
        for at in range(0, len(going), _AT_A_TIME):
            if passed() > _NOTED.total_seconds() / 2:
                raise NotWritableError(
                    "removing took so long that others no longer heed it",
                    details={"hint": "the next gc goes on"},
                    where=self.bucket.path,
                )
            remove(going[at : at + _AT_A_TIME])
        remove([note])


def being_removed(store: Address, since: datetime) -> set[str]:
    """Return the objects that somebody removes just now from a store in a bucket.

    Parameters
    ----------
    since : datetime
        What time it was by the server's clock, at most; notes that were old by then are nobody's any more.
    """
    folder = store.at(f"{store.key}/{_REMOVING}")
    names: set[str] = set()
    for one in stored_below(folder):
        if one.modified > since - _NOTED:
            with suppress(FileMissingError):
                names.update(json.loads(fetch(folder.at(f"{folder.key}/{one.key}"))))
    return names


def _stopwatch() -> Callable[[], float]:
    """Return what tells the seconds from now on, rather too many than too few.

    Of the two clocks one stands still while the machine sleeps, and the other may be set.
    """
    steady, wall = time.monotonic(), time.time()
    return lambda: max(time.monotonic() - steady, time.time() - wall)


def _start_of(key: str) -> int:
    """Return the number of the lease in which something in ``shards`` was put; -1 for what is not ours."""
    if key.startswith("ranks/"):
        return int(number) if (number := key.split("/")[1]).isdecimal() else -1
    shard = Shard.parse(key)
    return -1 if shard is None else int(shard.start, 16)


def _clear(path: Path, process: int) -> None:
    """Remove a folder of files to be sent, unless it is the parent's."""
    if os.getpid() == process:
        shutil.rmtree(path, ignore_errors=True)
