"""Where entries of a chunked dataset lie in its file, cut into reads.

Raw chunks that lie one behind the other are read at once.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ann_ckpt.errors import CorruptFileError

__all__ = ["ChunkPlaces", "Stretch", "batches"]

_RAW_BYTES = 4 << 20
"""Raw chunks are joined up to this size."""
_BATCH_BYTES = 1 << 20
"""Values that one thread reads at a time."""
_LIST_FROM = 16
"""Fewer chunks are asked for one by one."""
_LIST_SHARE = 8
"""So is less than this part of all: asking for one costs as much as this many in a list."""


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


_Place = tuple[int, int, int]
"""Offset in the file, bytes, and filter mask of one chunk."""
_PLACE = np.dtype([("offset", "u8"), ("size", "u8"), ("mask", "u4")])


class ChunkPlaces:
    """Where the chunks of one dataset lie.

    They are asked for one by one until that has cost as much as a list of all of them.

    Parameters
    ----------
    dataset : h5py.h5d.DatasetID
        Chunked along the first axis only.
    length, chunk : int
        Entries of the first axis, in the dataset and in one chunk.
    entry_bytes : int
        Bytes of one entry.
    filters : int
        How many filters the dataset has.
    where : str
        File and path for messages.
    """

    def __init__(
        self, dataset: Any, *, length: int, chunk: int, entry_bytes: int, filters: int, where: str
    ) -> None:
        self._dataset = dataset
        self._count = math.ceil(length / chunk)
        self._chunk = chunk
        self._entry_bytes = entry_bytes
        self._all_skipped = (1 << filters) - 1
        self._where = where
        self._asked = 0
        self._listed: NDArray[np.void] | None = None

    def stretches(self, start: int, stop: int) -> Iterator[Stretch]:
        """Yield what has to be read for entries ``[start, stop)``, in order.

        Raises
        ------
        CorruptFileError
            If a chunk is missing.
        """
        chunks = range(start // self._chunk, math.ceil(stop / self._chunk))
        pending: Stretch | None = None
        for number, place in zip(chunks, self._places(chunks), strict=True):
            found = self._stretch(number, place, start, stop)
            joined = None if pending is None else pending.joined(found)
            if pending is not None and joined is None:
                yield pending
            pending = joined or found
        if pending is not None:
            yield pending

    def _stretch(self, number: int, place: _Place, start: int, stop: int) -> Stretch:
        """What of one chunk lies in ``[start, stop)``; a packed one is read whole, a raw one so far only."""
        offset, size, mask = place
        first = number * self._chunk
        low, high = max(start, first), min(stop, first + self._chunk)
        if mask & self._all_skipped != self._all_skipped:
            return Stretch(low, high, offset, size, first, mask, raw=False)
        skipped, wanted = (low - first) * self._entry_bytes, (high - low) * self._entry_bytes
        return Stretch(low, high, offset + skipped, wanted, first, mask, raw=True)

    def _places(self, chunks: range) -> Iterable[_Place]:
        if self._listed is None:
            self._asked += len(chunks)
            few = self._asked < _LIST_FROM or self._asked * _LIST_SHARE < self._count
            if few or not hasattr(self._dataset, "chunk_iter"):
                return map(self._ask, chunks)
            self._listed = self._list()
        places: list[_Place] = self._listed[chunks.start : chunks.stop].tolist()
        for number, (_, size, _) in zip(chunks, places, strict=True):
            if not size:
                raise self._missing(number)
        return places

    def _ask(self, number: int) -> _Place:
        corner = (number * self._chunk,) + (0,) * (self._dataset.rank - 1)
        try:
            info = self._dataset.get_chunk_info_by_coord(corner)
        except (OSError, RuntimeError, ValueError) as error:
            raise CorruptFileError(f"the chunk at {corner[0]} cannot be found", where=self._where) from error
        if info.byte_offset is None:
            raise self._missing(number)
        return info.byte_offset, info.size, info.filter_mask

    def _list(self) -> NDArray[np.void]:
        listed = np.zeros(self._count, _PLACE)
        left = self._count

        def note(info: Any) -> bool | None:
            nonlocal left
            left -= 1
            listed[info.chunk_offset[0] // self._chunk] = (info.byte_offset, info.size, info.filter_mask)
            return True if left < 0 else None  # more than there can be: no use in going on

        try:
            self._dataset.chunk_iter(note)
        except (OSError, RuntimeError, ValueError, IndexError) as error:
            raise CorruptFileError("the chunks cannot be listed", where=self._where) from error
        return listed

    def _missing(self, number: int) -> CorruptFileError:
        return CorruptFileError(f"the chunk at {number * self._chunk} is missing", where=self._where)


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
