"""The pickle machine's input window, stack and memo, with limits."""

from __future__ import annotations

from typing import Any, Final

from ann_ckpt.adapters.legacy.pickle.containers import ArrayNode, DictNode, ListNode
from ann_ckpt.adapters.legacy.streams import Limits, Stream, read_exactly
from ann_ckpt.errors import CorruptFileError, UnsafeFileError

__all__ = [
    "Stack",
    "Window",
]

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
            raise CorruptFileError("the pickle is truncated")
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
                raise CorruptFileError("a line of the pickle is not terminated")
            self._base += self.pos
            self.data, self.pos, self.turn = kept + piece, 0, 0
            end = self.data.find(b"\n", len(kept))
        line = self.data[self.pos : end]
        self.pos = end + 1
        return line


_NOTHING: Final = object()


class Stack:
    """Objects in the order in which they were made, and those that can be asked for again."""

    __slots__ = ("_limits", "_marks", "_memo", "items", "made")

    def __init__(self, limits: Limits) -> None:
        self.items: list[Any] = []
        self.made = 0
        """Objects made since someone last set this to 0."""
        self._limits = limits
        self._marks: list[int] = []
        self._memo: list[Any] = []

    def push(self, item: Any) -> None:
        """Put something that costs nothing on the stack: a number, or an object that exists."""
        self.items.append(item)

    def push_new(self, item: Any) -> None:
        """Put a new object on the stack."""
        self.made += 1
        self.items.append(item)

    def pop(self) -> Any:
        """Take the last object, if it stands above the last mark."""
        if len(self.items) <= self._floor:
            raise CorruptFileError("the pickle pops from an empty stack")
        return self.items.pop()

    def top(self, kind: type[Any]) -> Any:
        """Return the last object, which must be of a certain kind."""
        top = self.items[-1] if len(self.items) > self._floor else None
        if type(top) is not kind:
            raise CorruptFileError("the pickle adds items to an object that is not a container")
        return top

    def mark(self) -> None:
        """Remember the present height."""
        if len(self._marks) >= self._limits.depth:
            raise UnsafeFileError(f"the pickle nests over {self._limits.depth} deep")
        self._marks.append(len(self.items))

    def unmark(self) -> None:
        """Forget the last mark."""
        self._marks.pop()

    def pop_to_mark(self) -> list[Any]:
        """Take everything above the last mark."""
        if not self._marks:
            raise CorruptFileError("the pickle pops to a mark that was never set")
        mark = self._marks.pop()
        items = self.items[mark:]
        del self.items[mark:]
        return items

    def check_size(self) -> None:
        """Refuse a pile that no pickler makes."""
        if len(self.items) > self._limits.stack_items:
            raise UnsafeFileError(f"the pickle's stack holds {len(self.items)} objects")

    def finish(self) -> Any:
        """Return the one object that is left, and forget all others."""
        if len(self.items) != 1 or self._marks:
            raise CorruptFileError(f"the pickle ends with {len(self.items)} objects, not one")
        self._memo.clear()
        return self.items.pop()

    def memoize(self) -> None:
        """Keep the last object under the next number."""
        if not self.items:
            raise CorruptFileError("the pickle stores an empty stack in its memo")
        self._memo.append(self.items[-1])

    def remember(self, index: int, bound: int) -> None:
        """Keep the last object under a number, which cannot exceed the bytes read so far."""
        if not 0 <= index <= bound:
            raise UnsafeFileError(f"the pickle uses the memo index {index}")
        memo = self._memo
        while len(memo) < index:
            memo.append(_NOTHING)
        if index < len(memo):
            memo[index] = self.items[-1] if self.items else _NOTHING
        else:
            self.memoize()

    def recall(self, index: int) -> None:
        """Put an object on the stack again; it takes no more elements from now on."""
        item = self._memo[index] if 0 <= index < len(self._memo) else _NOTHING
        if item is _NOTHING:
            raise CorruptFileError(f"the pickle reads memo index {index}, which was never set")
        if isinstance(item, (ListNode, DictNode, ArrayNode)):
            if isinstance(item, ArrayNode) and item.is_open:
                raise CorruptFileError("an array is used before its contents are set")
            item.closed = True
        self.items.append(item)

    @property
    def _floor(self) -> int:
        return self._marks[-1] if self._marks else 0
