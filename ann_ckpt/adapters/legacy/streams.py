"""Sequential byte streams over a plain file, a gzip file or an archive member.

A stream never holds more than a piece of the file, knows how many bytes can still
come (so that a declared length can be refused before anything is allocated), and
turns every failure of the operating system's or zlib's into our own errors.
"""

from __future__ import annotations

import re
import zlib
from enum import StrEnum
from typing import BinaryIO, Final, Protocol

from ann_ckpt.adapters.legacy.limits import Budget
from ann_ckpt.errors import CorruptFileError, UnsafeFileError

__all__ = ["HEAD_BYTES", "Container", "GzipStream", "PlainStream", "Stream", "container_of", "read_exactly"]

HEAD_BYTES: Final = 128
"""How many first bytes :func:`container_of` wants to see."""

_MAT_VERSION: Final = frozenset({b"\x00\x01IM", b"\x01\x00MI"})
# Protocols 0 and 1 begin with a dict, which every file of ANNarchy's is.
_OLD_PICKLE: Final = re.compile(rb"\(d(?:p\d+\n|q.|r....)?|\}(?:[qrp(.]|$)", re.DOTALL)


class Container(StrEnum):
    """The outermost format of a file."""

    PICKLE = "pickle"
    GZIP = "gzip"
    NPZ = "npz"
    MAT = "mat"


def container_of(head: bytes) -> Container | None:
    """Return the format of a file from its first :data:`HEAD_BYTES` bytes, or None."""
    if head.startswith(b"\x1f\x8b"):
        return Container.GZIP
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return Container.NPZ
    if head[124:128] in _MAT_VERSION:
        return Container.MAT
    if head.startswith(b"\x80") and head[1:2] <= b"\x05" and len(head) > 1:
        return Container.PICKLE
    return Container.PICKLE if _OLD_PICKLE.match(head) else None


_PIECE = 1 << 18
_LARGE_PIECE = 1 << 22


class Stream(Protocol):
    """Something that hands out its bytes once, in order."""

    @property
    def name(self) -> str:
        """The file, and the member of it, for messages."""

    @property
    def left(self) -> int:
        """Most bytes that can still come; exact unless the data is compressed."""

    def read(self, count: int) -> bytes:
        """Return at most ``count`` bytes, and none only at the end."""

    def expect(self, count: int) -> None:
        """Refuse a length that the file announces and cannot have."""


class PlainStream:
    """A file as it is, or ``size`` bytes of it from where it stands."""

    def __init__(self, file: BinaryIO, size: int, name: str, budget: Budget) -> None:
        self.name = name
        self.left = size
        self._file = file
        self._budget = budget

    def read(self, count: int) -> bytes:
        """Return at most ``count`` bytes, and none only at the end."""
        data = self._file.read(min(count, self.left))
        self.left = self.left - len(data) if data else 0
        self._budget.read(len(data))
        return data

    def expect(self, count: int) -> None:
        """Refuse a length beyond the end of the file."""
        if count > self.left:
            raise CorruptFileError(f"expected {count} more bytes, found {self.left}")


class GzipStream:
    """The one member of a gzip file; its checksum is checked when the end is read."""

    def __init__(self, file: BinaryIO, size: int, name: str, budget: Budget) -> None:
        self.name = name
        self._file = file
        self._stored_left = size
        self._inflated = 0
        self._cap = budget.limits.inflated_from(size)
        self._zlib = zlib.decompressobj(wbits=31)
        self._budget = budget

    @property
    def left(self) -> int:
        """Most bytes that can still come: what the cap allows."""
        return 0 if self._zlib.eof else self._cap - self._inflated

    def read(self, count: int) -> bytes:
        """Return at most ``count`` bytes, and none only at the end."""
        data = b""
        while not data and not self._zlib.eof:
            data = self._inflate(count)
        self._inflated += len(data)
        self._budget.read(len(data))
        if self._inflated > self._cap:
            raise UnsafeFileError(
                f"compressed data grows beyond {self._cap} bytes",
                details={"stored": f"{self._budget.stored} bytes"},
                where=self.name,
            )
        if self._zlib.eof and (self._zlib.unused_data or self._stored_left):
            raise CorruptFileError("data follows the end of the gzip stream", where=self.name)
        return data

    def expect(self, count: int) -> None:
        """Refuse a length that no file of this size may grow to."""
        if count > self.left:
            raise UnsafeFileError(
                f"{count} more bytes are declared in a compressed file limited to {self._cap}"
            )

    def _inflate(self, count: int) -> bytes:
        stored = self._zlib.unconsumed_tail
        if not stored:
            stored = self._file.read(min(_PIECE, self._stored_left))
            self._stored_left -= len(stored)
        try:
            data = self._zlib.decompress(stored, count)
        except zlib.error as error:
            raise CorruptFileError(f"the gzip stream is damaged: {error}", where=self.name) from error
        if not (data or stored or self._zlib.eof):
            raise CorruptFileError("the gzip stream is truncated", where=self.name)
        return data


def read_exactly(stream: Stream, count: int, *, behind: bytes = b"") -> bytes:
    """Return ``behind`` and the next ``count`` bytes, in one piece.

    Memory is taken as bytes come, not as they are announced.

    Raises
    ------
    CorruptFileError
        If there are fewer.
    """
    stream.expect(count)
    if count <= _PIECE:
        pieces = [behind]
        while count and (piece := stream.read(count)):
            pieces.append(piece)
            count -= len(piece)
        data = b"".join(pieces)
    else:
        large = bytearray(behind)
        while count and (piece := stream.read(min(count, _LARGE_PIECE))):
            large += piece
            count -= len(piece)
        data = large  # type: ignore[assignment] # read like bytes, without a copy
    if count:
        raise CorruptFileError(f"the data is truncated: {count} more bytes are expected")
    return data
