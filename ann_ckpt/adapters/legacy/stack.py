"""Where a pickle keeps objects between opcodes: a stack with marks, and a memo."""

from __future__ import annotations

from typing import Any, Final

from ann_ckpt.adapters.legacy.limits import Limits
from ann_ckpt.adapters.legacy.nodes import ArrayNode, DictNode, ListNode
from ann_ckpt.errors import CorruptFileError, UnsafeFileError

__all__ = ["Stack"]

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
            raise CorruptFileError("the pickle takes more from its stack than is there")
        return self.items.pop()

    def top(self, kind: type[Any]) -> Any:
        """Return the last object, which must be of a certain kind."""
        top = self.items[-1] if len(self.items) > self._floor else None
        if type(top) is not kind:
            raise CorruptFileError("the pickle adds to what is no container")
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
            raise CorruptFileError("the pickle goes back to a mark that it never set")
        mark = self._marks.pop()
        items = self.items[mark:]
        del self.items[mark:]
        return items

    def check_size(self) -> None:
        """Refuse a pile that no pickler makes."""
        if len(self.items) > self._limits.stack_items:
            raise UnsafeFileError(f"the pickle piles up {len(self.items)} objects")

    def finish(self) -> Any:
        """Return the one object that is left, and forget all others."""
        if len(self.items) != 1 or self._marks:
            raise CorruptFileError(f"the pickle ends with {len(self.items)} objects, not one")
        self._memo.clear()
        return self.items.pop()

    def memoize(self) -> None:
        """Keep the last object under the next number."""
        if not self.items:
            raise CorruptFileError("the pickle remembers nothing")
        self._memo.append(self.items[-1])

    def remember(self, index: int, bound: int) -> None:
        """Keep the last object under a number, which cannot exceed the bytes read so far."""
        if not 0 <= index <= bound:
            raise UnsafeFileError(f"the pickle remembers an object under the number {index}")
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
            raise CorruptFileError(f"the pickle recalls the object {index} that it never kept")
        if isinstance(item, (ListNode, DictNode, ArrayNode)):
            if isinstance(item, ArrayNode) and item.is_open:
                raise CorruptFileError("an array is used before it has any content")
            item.closed = True
        self.items.append(item)

    @property
    def _floor(self) -> int:
        return self._marks[-1] if self._marks else 0
