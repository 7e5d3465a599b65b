"""Whole checkpoints out of shards, by whichever process comes last."""

from __future__ import annotations

import logging
from contextlib import ExitStack
from dataclasses import replace

import numpy as np

from ann_ckpt.adapters.protocol import Reading
from ann_ckpt.errors import CheckpointError
from ann_ckpt.format.chunking import Compression
from ann_ckpt.format.shared.array import SharedArray
from ann_ckpt.lazy.array import LazyArray
from ann_ckpt.model import Array, NetworkState
from ann_ckpt.model.parts import ChainedArray, share
from ann_ckpt.store.background import InlineExecutor
from ann_ckpt.store.catalog import open_inside
from ann_ckpt.store.folder import Slot, StoreFolder
from ann_ckpt.store.ranks import RankFolder, Shard, shards_of
from ann_ckpt.store.writer import SeriesWriter, Snapshot

__all__ = ["Assembly", "own_share"]

_LOG = logging.getLogger("ann_ckpt")


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
    folder : RankFolder
        As one of the processes has it.
    compression : Compression
        For large arrays that no shard has in objects.
    """

    def __init__(self, folder: RankFolder, compression: Compression) -> None:
        self._folder = folder
        self._whole = StoreFolder(folder.path)
        self._writer = SeriesWriter(folder.whole, compression)

    def close(self) -> None:
        """Shut down the threads of the writer."""
        self._writer.close()

    def complete(self, own: Slot, *, wait: float) -> list[Slot]:
        """Commit every checkpoint of which all shards are there; return which.

        Parameters
        ----------
        own : Slot
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
        if not self._ready():
            return []
        with self._folder.committing(wait):
            self._folder.check_start()
            done = []
            for slot, shards in sorted(self._ready().items(), key=lambda item: (item[0].round, item[0].step)):
                try:
                    self._commit(slot, shards)
                    done.append(slot)
                except CheckpointError:
                    if slot == own:
                        raise
                    _LOG.exception("the shards of checkpoint %s make up no network", slot.name)
            if done:
                self._folder.discard_shards(before=self._whole.slots()[-1])
            return done

    def _ready(self) -> dict[Slot, list[Shard]]:
        """Shards by checkpoint, where all are there and the checkpoint is not."""
        found: dict[Slot, list[Shard]] = {}
        for shard in shards_of(self._folder):
            if (shard.start, shard.ranks) == (self._folder.start, self._folder.ranks):
                found.setdefault(shard.slot, []).append(shard)
        there = set(self._whole.slots())
        return {s: some for s, some in found.items() if len(some) == self._folder.ranks and s not in there}

    def _commit(self, slot: Slot, shards: list[Shard]) -> None:
        with ExitStack() as files:
            opened = [
                files.enter_context(open_inside(self._folder.shards / shard.name))
                for shard in sorted(shards, key=lambda shard: shard.rank)
            ]
            first = opened[0]
            state = NetworkState.joined([checkpoint.state(lazy=True) for checkpoint in opened])
            provenance = {**first.provenance, "ranks": len(opened)}
            cleanup = ExitStack()
            with InlineExecutor(cleanup) as executor:
                self._writer.save(
                    Snapshot(Reading(state), first.created, provenance, first.tag),
                    executor,
                    cleanup,
                    progress=None,
                    check=self._folder.check_start,
                    finish=lambda _: None,
                    slot=slot,
                    stored=_stored,
                )


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
