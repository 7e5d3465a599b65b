"""Where entries of a chunked dataset lie in its file, cut into reads.

Asking HDF5 for one chunk is cheap, asking for each of thousands is not: from some share
of the chunks on, all are listed in one call. Raw chunks that lie one behind the other
are read at once.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from ann_ckpt.errors import CorruptFileError

__all__ = ["Stretch", "batches", "stretches"]

_RAW_BYTES = 4 << 20
"""Raw chunks are joined up to this size."""
_BATCH_BYTES = 1 << 20
"""Values that one thread reads at a time."""
_LIST_FROM = 16
"""Fewer chunks are looked up one by one."""
_LIST_SHARE = 8
"""So is less than this part of all chunks."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """Neighbouring entries that one read gets."""

    start: int
    stop: int
    """Entries of the first axis, counted from the start of the array."""
    offset: int
    """Of the first byte to read, in the file."""
    size: int
    """Bytes to read."""
    chunk: int
    """Entry at which the chunk starts; of the first chunk, if there are several."""
    mask: int
    """HDF5's filter mask."""
    raw: bool
    """Whether the bytes are the values themselves; otherwise it is one whole chunk, to be decoded."""

    def joined(self, after: Stretch) -> Stretch | None:
        """Return this stretch and the one behind it as one, if one read gets both."""
        size = self.size + after.size
        if not (self.raw and after.raw) or self.offset + self.size != after.offset or size > _RAW_BYTES:
            return None
        return replace(self, stop=after.stop, size=size)


_Place = tuple[int, int, int]
"""Offset in the file, bytes, and filter mask of one chunk."""


def stretches(
    dataset: Any, start: int, stop: int, *, chunk: int, entry_bytes: int, filters: int, where: str
) -> Iterator[Stretch]:
    """Yield what has to be read for entries ``[start, stop)`` of a chunked dataset, in order.

    Parameters
    ----------
    dataset : h5py.h5d.DatasetID
        Chunked along the first axis only.
    chunk : int
        Entries of the first axis in one chunk.
    entry_bytes : int
        Bytes of one entry.
    filters : int
        How many filters the dataset has.

    Raises
    ------
    CorruptFileError
        If a chunk is missing.
    """
    all_skipped = (1 << filters) - 1
    chunks = range(start // chunk * chunk, stop, chunk)
    place_of = _lookup(dataset, chunks, where)
    pending: Stretch | None = None
    for first in chunks:
        offset, size, mask = place_of(first)
        low, high = max(start, first), min(stop, first + chunk)
        raw = mask & all_skipped == all_skipped
        if raw:  # as far as it is wanted
            offset, size = offset + (low - first) * entry_bytes, (high - low) * entry_bytes
        found = Stretch(low, high, offset, size, first, mask, raw)
        joined = None if pending is None else pending.joined(found)
        if pending is not None and joined is None:
            yield pending
        pending = joined or found
    if pending is not None:
        yield pending


def batches(found: Iterable[Stretch], entry_bytes: int) -> Iterator[list[Stretch]]:
    """Group stretches so that each group is worth a thread's while."""
    batch: list[Stretch] = []
    for stretch in found:
        batch.append(stretch)
        if (stretch.stop - batch[0].start) * entry_bytes >= _BATCH_BYTES:
            yield batch
            batch = []
    if batch:
        yield batch


def _lookup(dataset: Any, wanted: range, where: str) -> Callable[[int], _Place]:
    """Return a function from the entry at which a chunk starts to its place."""
    rest = (0,) * (len(dataset.shape) - 1)
    there = math.ceil(dataset.shape[0] / wanted.step)
    if len(wanted) < _LIST_FROM or len(wanted) * _LIST_SHARE < there or not hasattr(dataset, "chunk_iter"):

        def ask(chunk: int) -> _Place:
            try:
                info = dataset.get_chunk_info_by_coord((chunk, *rest))
            except (OSError, RuntimeError, ValueError) as error:
                raise CorruptFileError(f"the chunk at {chunk} cannot be found", where=where) from error
            if info.byte_offset is None:
                raise CorruptFileError(f"the chunk at {chunk} is missing", where=where)
            return info.byte_offset, info.size, info.filter_mask

        return ask

    listed: dict[int, _Place] = {}

    def note(info: Any) -> bool | None:
        listed[info.chunk_offset[0]] = (info.byte_offset, info.size, info.filter_mask)
        return True if len(listed) > there else None  # more than there can be: no use in going on

    try:
        dataset.chunk_iter(note)
    except (OSError, RuntimeError, ValueError) as error:
        raise CorruptFileError("the chunks cannot be listed", where=where) from error

    def pick(chunk: int) -> _Place:
        if chunk not in listed:
            raise CorruptFileError(f"the chunk at {chunk} is missing", where=where)
        return listed[chunk]

    return pick
