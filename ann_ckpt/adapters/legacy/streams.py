"""Sequential byte streams over a plain file, a gzip file or an archive member, and what reading may cost.

A stream never holds more than a piece of the file, knows how many bytes can still
come (so that a declared length can be refused before anything is allocated), and
turns every failure of the operating system's or zlib's into our own errors.

Every limit is generous for files that ANNarchy wrote and small beside the machine
that reads them. What a file may take grows with the bytes that it *is*, never with
the numbers that it *says*.
"""

from __future__ import annotations

import re
import zlib
from dataclasses import dataclass
from enum import StrEnum
from typing import BinaryIO, Final, Protocol

from ann_ckpt.errors import CorruptFileError, UnsafeFileError

__all__ = [
    "DEFAULT_LIMITS",
    "HEAD_BYTES",
    "Budget",
    "Container",
    "GzipStream",
    "Limits",
    "PlainStream",
    "Stream",
    "container_of",
    "read_exactly",
]


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds for one file."""

    text_bytes: int = 1 << 20
    """Longest name or text, in bytes."""
    depth: int = 64
    """Deepest nesting of lists, tuples, dicts, structs and cells."""
    stack_items: int = 1 << 17
    """Most values that a pickle may hold between its marks at once."""
    free_operations: int = 1_000_000
    """Pickle opcodes allowed to any file; beyond, one for each byte stored on disk."""
    free_objects: int = 2_000_000
    """Lists, dicts and texts allowed to any file; beyond, one for every 4 bytes stored on disk."""
    free_inflated_bytes: int = 32 << 20
    """Bytes that any compressed file may become; beyond, ``inflation`` applies."""
    inflation: int = 200
    """Most bytes that one compressed byte may become."""
    inflated_bytes: int = 1 << 38
    """Most bytes that a compressed file may become, whatever its size."""
    members: int = 20_000
    """Most members of an archive, variables of a MATLAB file or fields of a struct."""
    fields: int = 1024
    """Most fields in one MATLAB struct."""

    def inflated_from(self, stored: int) -> int:
        """Most bytes that ``stored`` compressed bytes may become."""
        return min(self.inflated_bytes, max(self.free_inflated_bytes, self.inflation * stored))


DEFAULT_LIMITS = Limits()


class Budget:
    """What reading one file has spent so far.

    A file can refer to one list a million times. Nothing is expanded to more values
    than the file has bytes: genuine files spend at least one byte on each value.

    Parameters
    ----------
    stored : int
        Size of the file on disk in bytes.
    limits : Limits
        The bounds to keep.
    """

    __slots__ = ("_expanded", "_objects", "_operations", "_read", "limits", "stored")

    def __init__(self, stored: int, limits: Limits = DEFAULT_LIMITS) -> None:
        self.stored = stored
        self.limits = limits
        self._read = self._operations = self._objects = self._expanded = 0

    def read(self, count: int) -> None:
        """Note that ``count`` bytes, after inflation, were read."""
        self._read += count

    def work(self, operations: int, objects: int) -> None:
        """Note opcodes executed and objects made since the last call."""
        self._operations += operations
        self._objects += objects
        if self._operations > self.limits.free_operations + self.stored:
            raise UnsafeFileError(
                f"reading takes over {self._operations} operations for {self.stored} bytes on disk"
            )
        if self._objects > self.limits.free_objects + self.stored // 4:
            raise UnsafeFileError(
                f"the file creates over {self._objects} objects from {self.stored} bytes on disk"
            )

    def expand(self, values: int) -> None:
        """Note that ``values`` numbers or entries are about to be processed again.

        What a file refers to twice counts twice.
        """
        self._expanded += values
        if self._expanded > 2 * self._read + 1_000_000:
            raise UnsafeFileError(
                f"shared parts expand to over {self._expanded} values in a file of {self._read} bytes",
            )


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
