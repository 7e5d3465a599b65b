"""Entries of a dataset, cut into reads. Pure: where its chunks lie is asked of others.

Raw chunks that lie one behind the other are read at once.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from ann_ckpt.format.guard import Layout
from ann_ckpt.format.places import Place, Places

__all__ = ["Stretch", "stretches"]

_RAW_BYTES = 4 << 20
"""Raw chunks are joined up to this size."""


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
        return Stretch(self.start, after.stop, self.offset, size, self.chunk, self.mask, raw=True)


def stretches(layout: Layout, places: Places, start: int, stop: int) -> Iterator[Stretch]:
    """Yield what has to be read for entries ``[start, stop)``, in order.

    Parameters
    ----------
    layout : Layout
        Of the dataset: contiguous, or chunked along its first axis only.
    places : Places
        Where its chunks lie.

    Raises
    ------
    CorruptFileError
        If a chunk is missing.
    """
    length = layout.chunk_length
    chunks = range(start // length, math.ceil(stop / length))
    pending: Stretch | None = None
    for number, place in zip(chunks, places.of(chunks), strict=True):
        first = number * length
        found = _stretch(layout, place, first, max(start, first), min(stop, first + length))
        joined = None if pending is None else pending.joined(found)
        if pending is not None and joined is None:
            yield pending
        pending = joined or found
    if pending is not None:
        yield pending


def _stretch(layout: Layout, place: Place, first: int, low: int, high: int) -> Stretch:
    """Entries ``[low, high)`` of one chunk; a packed one is read whole, a raw one so far only."""
    offset, size, mask = place
    all_skipped = (1 << len(layout.filters)) - 1
    if mask & all_skipped != all_skipped:
        return Stretch(low, high, offset, size, first, mask, raw=False)
    skipped, wanted = (low - first) * layout.entry_bytes, (high - low) * layout.entry_bytes
    return Stretch(low, high, offset + skipped, wanted, first, mask, raw=True)
