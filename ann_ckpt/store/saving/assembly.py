"""One of several processes that save together, and the checkpoints that they make of their shards."""

from __future__ import annotations

import logging
from contextlib import ExitStack
from dataclasses import replace
from typing import Self

import numpy as np

from ann_ckpt.adapters.protocol import Reading
from ann_ckpt.errors import CheckpointError, FileMissingError, LockedError
from ann_ckpt.format.chunking import Compression
from ann_ckpt.format.shared.array import SharedArray
from ann_ckpt.lazy.array import LazyArray
from ann_ckpt.model import Array, NetworkState
from ann_ckpt.model.parts import ChainedArray, share
from ann_ckpt.store.buckets.bucket_ranks import BucketRank
from ann_ckpt.store.names import Slot
from ann_ckpt.store.owners.ranks import RankFolder, Shard
from ann_ckpt.store.saving.writer import SeriesWriter, Snapshot

__all__ = ["Assembly", "own_share"]

_LOG = logging.getLogger("ann_ckpt")
_NAMED = 4
"""Ranks that a warning names."""


def own_share(state: NetworkState, rank: int, ranks: int) -> NetworkState:
    """Return what one of several processes writes of its state.

    Of a population that is whole, and then the same in all of them, that is an even part; of one that is
    a part, all of it. What is the same everywhere and has no rows to divide, the first process writes.
    """
    whole = {n: p for n, p in state.populations.items() if p.part is None}
    even = state.cut({n: share(p.geometry[0], rank, ranks) for n, p in whole.items()})
    populations = {
        n: replace(p, dynamics=whole[n].dynamics if rank == 0 else {}, resume=whole[n].resume)
        if n in whole
        else p
        for n, p in even.populations.items()
    }
    projections = dict(even.projections)
    for name, given in state.projections.items():
        if given.post in whole and given.order is None:
            dynamics = given.dynamics if rank == 0 else {}
            projections[name] = replace(projections[name], dynamics=dynamics, resume=given.resume)
    recordings = state.recordings if rank == 0 or len(whole) < len(state.populations) else {}
    return replace(even, populations=populations, projections=projections, recordings=recordings)


class Assembly:
    """Makes checkpoints of the shards of one start, as soon as all are there.

    Parameters
    ----------
    folder : RankFolder or BucketRank
        As a process has it that has joined the start.
    compression : Compression
        For large arrays that no shard has in objects.
    """

    def __init__(self, folder: RankFolder | BucketRank, compression: Compression) -> None:
        self.folder = folder
        self.has_committed = False
        """Whether this process made a checkpoint of shards; set back by who has applied the retention."""
        self._told: set[Slot] = set()
        self._whole = folder.whole
        self._writer = SeriesWriter(self._whole, compression)

    @classmethod
    def joined(
        cls, folder: RankFolder | BucketRank, compression: Compression, *, died: bool, wait: float
    ) -> Self:
        """Join the present start of the processes, or begin the next one; see :meth:`RankFolder.join`."""
        joined, new = folder.join(died=died, wait=wait)
        made = cls(joined, compression)
        if new:
            slots = made._whole.slots()
            joined.discard_shards(before=slots[-1] if slots else None, of_others=True)
        return made

    def close(self) -> None:
        """Shut down the threads of the writer."""
        self._writer.close()

    def share(self, reading: Reading) -> Reading:
        """Return what this process writes of a network."""
        return Reading(own_share(reading.state, self.folder.rank, self.folder.ranks), reading.notes)

    def complete(self, own: str, *, wait: float) -> None:
        """Commit every checkpoint of which all shards are there.

        Parameters
        ----------
        own : str
            The one of which this process has just written its shard. What is wrong with others is logged.
        wait : float
            Seconds to wait for another process that does the same just now.

        Raises
        ------
        StateError, ConnectivityError
            If the parts do not make up a network.
        NotWritableError
            If the disk does not take the checkpoint.
        LockedError
            If the processes were started again meanwhile.
        """
        there = set(self._whole.slots())
        self._tell_lost(own, max(there, default=None))
        if not self.folder.ready(there):
            return
        with self.folder.committing(wait):
            self.folder.check_start()
            committed = None
            for slot, shards in self.folder.ready(set(self._whole.slots())).items():
                try:
                    self._commit(slot, shards)
                    committed = slot
                    self.has_committed = True
                except LockedError:
                    raise
                except CheckpointError as error:
                    # In a bucket, another process may have done the same, and removed the shards.
                    if isinstance(error, FileMissingError) and self._whole.has(slot):
                        continue
                    if slot.name == own:
                        raise
                    _LOG.exception("the shards of checkpoint %s make up no network", slot.name)
            if committed is not None:
                self.folder.discard_shards(before=committed)

    def _tell_lost(self, own: str, newest: Slot | None) -> None:
        """Warn once of each checkpoint of which a part is missing that will never come."""
        for slot, ranks in self.folder.lost(own, newest).items():
            if slot not in self._told:
                self._told.add(slot)
                _LOG.warning(
                    "checkpoint %s will never be complete: rank %s of %d has saved a later one without it; "
                    "if it goes on so, close the store in all processes and open it again",
                    slot.name,
                    ", ".join([*map(str, ranks[:_NAMED]), *(["..."] if ranks[_NAMED:] else [])]),
                    self.folder.ranks,
                )

    def _commit(self, slot: Slot, shards: list[Shard]) -> None:
        with ExitStack() as files:
            opened = self.folder.open_shards(shards, files)
            first = opened[0]
            state = NetworkState.joined([checkpoint.state(lazy=True) for checkpoint in opened])
            provenance = {**first.provenance, "ranks": len(opened)}
            snapshot = Snapshot(Reading(state), first.created, provenance, first.tag)
            self._writer.save_at_once(snapshot, self.folder.check_start, slot=slot, stored=_stored)


def _stored(array: Array) -> SharedArray | None:
    """Return the layout of an array that is in objects, whole or in parts; None if two share a range."""
    parts = [part for part in (array.parts if isinstance(array, ChainedArray) else (array,)) if part.shape[0]]
    layouts = [part._layout() if isinstance(part, LazyArray) else None for part in parts]
    known = [layout for layout in layouts if layout is not None]
    if len(known) < len(layouts):
        return None
    pieces = tuple(piece for layout in known for piece in layout.pieces)
    try:
        return SharedArray(array.dtype, array.shape, pieces, np.concatenate([a.blocks for a in known]))
    except ValueError:
        return None
