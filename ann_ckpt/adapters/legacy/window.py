"""A window that moves over the bytes of a pickle, with enough of them in sight."""

from __future__ import annotations

from ann_ckpt.adapters.legacy.streams import Stream, read_exactly
from ann_ckpt.errors import CorruptFileError

__all__ = ["Window"]

_PIECE = 1 << 18
_AHEAD = 1 << 16  # a batch of 1000 floats, as picklers write them, fits many times


class Window:
    """The bytes around the present position.

    ``data[pos]`` is the next byte. As long as ``pos < turn``, a whole batch of numbers
    is in sight, or the end of the stream; :meth:`refill` sees to that.
    """

    __slots__ = ("_base", "_stream", "data", "pos", "turn")

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._base = 0  # of the window in the stream
        self.data = b""
        self.pos = 0
        self.turn = 0

    @property
    def position(self) -> int:
        """Bytes of the stream before the next one."""
        return self._base + self.pos

    @property
    def seen(self) -> int:
        """Bytes of the stream that were in sight so far."""
        return self._base + len(self.data)

    def expect(self, count: int) -> None:
        """Refuse a length that the pickle announces and the stream cannot have."""
        self._stream.expect(count - len(self.data) + self.pos)

    def refill(self) -> None:
        """Bring more bytes in sight.

        Raises
        ------
        CorruptFileError
            If there are none at all.
        """
        pieces = [self.data[self.pos :]]
        size = len(pieces[0])
        while size < _PIECE and (piece := self._stream.read(_PIECE)):
            pieces.append(piece)
            size += len(piece)
        if not size:
            raise CorruptFileError("the pickle is cut short")
        self._base += self.pos
        self.data, self.pos = b"".join(pieces), 0
        self.turn = size if size < _PIECE else size - _AHEAD

    def at_end(self) -> bool:
        """Whether nothing follows; reading on is also what checks a compressed file."""
        return self.pos == len(self.data) and not self._stream.read(1)

    def take(self, count: int) -> bytes:
        """Return the next ``count`` bytes."""
        end = self.pos + count
        if end <= len(self.data):
            data = self.data[self.pos : end]
            self.pos = end
            return data
        near = self.data[self.pos :]
        data = read_exactly(self._stream, count - len(near), behind=near)
        self._base += self.pos + count
        self.data, self.pos, self.turn = b"", 0, 0
        return data

    def number(self, width: int) -> int:
        """Return the next ``width`` bytes as an unsigned integer."""
        return int.from_bytes(self.take(width), "little")

    def line(self) -> bytes:
        """Return the next line without its end."""
        end = self.data.find(b"\n", self.pos)
        while end < 0:
            kept = self.data[self.pos :]
            piece = self._stream.read(max(_PIECE, len(kept)))
            if not piece:
                raise CorruptFileError("a line of the pickle does not end")
            self._base += self.pos
            self.data, self.pos, self.turn = kept + piece, 0, 0
            end = self.data.find(b"\n", len(kept))
        line = self.data[self.pos : end]
        self.pos = end + 1
        return line
