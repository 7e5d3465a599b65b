"""Chooses storage (compact, contiguous, chunked) from shape and type.

Sizes were measured on two cores. A compressed chunk is read whole, so it is small:
ten rows of a large projection lie in a few of 128 KiB, and smaller ones spend more time
on bookkeeping than on bytes. A raw chunk can be read in part, so it is large. What is
smaller than 16 KiB costs more as a chunk than it can save.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum

from ann_ckpt.errors import OptionError
from ann_ckpt.format.block_digests import WHOLE_BYTES, block_entries

__all__ = ["CHUNKED_BYTES", "Compression", "Storage", "choose", "chunk_bytes", "compression"]

COMPACT_BYTES = 8 << 10
"""Arrays up to this size lie in their object header, where they cost no block of their own."""
CHUNKED_BYTES = WHOLE_BYTES
"""Arrays from this size on are chunked."""
_PACKED_BYTES = 128 << 10
_RAW_BYTES = 1 << 20
"""Not more: the chunk cache of stock HDF5 holds no larger ones."""


class Compression(StrEnum):
    """How chunks are compressed."""

    AUTO = "auto"
    """Shuffle and deflate, chunk by chunk where it pays; every HDF5 tool reads it."""
    NONE = "none"
    GZIP = "gzip"
    """Shuffle and deflate for every chunk."""
    ZSTD = "zstd"
    """Through the ``plugins`` extra; readers need it too."""
    BLOSC = "blosc"
    """Through the ``plugins`` extra; readers need it too."""


class Kind(StrEnum):
    """HDF5's storage layouts, as far as this format uses them."""

    COMPACT = "compact"
    CONTIGUOUS = "contiguous"
    CHUNKED = "chunked"


@dataclass(frozen=True, slots=True)
class Storage:
    """How the values of one array are stored."""

    kind: Kind
    chunk: int = 0
    """Elements in one chunk, for chunked storage."""
    compression: Compression = Compression.NONE


def compression(name: str) -> Compression:
    """Return the compression called ``name``; raises with the known names."""
    try:
        return Compression(name)
    except ValueError:
        known = ", ".join(repr(str(c)) for c in Compression)
        raise OptionError(f"compression={name!r} is unknown", details={"known": known}) from None


def chunk_bytes(wanted: Compression) -> int:
    """Return the chunk size in bytes, for arrays that are large enough."""
    return _RAW_BYTES if wanted is Compression.NONE else _PACKED_BYTES


def choose(shape: tuple[int, ...], itemsize: int, wanted: Compression) -> Storage:
    """Choose the storage of an array.

    Large arrays are chunked along their first axis, because synapses are read by ranges of
    rows, in whole blocks, because a block is what is checked. An array whose entries are
    larger than a chunk lies in one piece.

    Parameters
    ----------
    shape : tuple of int
        Shape of the array; ``()`` for one value.
    itemsize : int
        Bytes of one element.
    wanted : Compression
        What the caller asked for.
    """
    size = math.prod(shape) * itemsize
    if size <= COMPACT_BYTES:
        return Storage(Kind.COMPACT if size else Kind.CONTIGUOUS)
    block, entry = block_entries(itemsize, shape), size // shape[0]
    if not block or entry > _RAW_BYTES:
        return Storage(Kind.CONTIGUOUS)
    chunk = block * max(1, chunk_bytes(wanted) // (block * entry))
    return Storage(Kind.CHUNKED, min(shape[0], chunk), wanted)
