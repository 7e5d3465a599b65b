"""Containers (lists, dicts, arrays) built while a pickle is read.

A node takes elements until another node takes *it* as an element, or the file asks
for it a second time; from then on it is closed. So no node can ever contain itself,
and what walks them later walks a graph without cycles.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ann_ckpt.adapters.legacy.limits import Budget
from ann_ckpt.adapters.legacy.pickle.numbers import Arena, Run
from ann_ckpt.adapters.legacy.values import Rows, Value, array_value, assemble
from ann_ckpt.errors import CorruptFileError, UnsafeFileError

__all__ = [
    "ArrayNode",
    "DictNode",
    "DtypeNode",
    "ListNode",
    "Node",
    "Settler",
    "depth_with",
    "tuple_of",
]


class ListNode:
    """A list or a tuple.

    As long as a list holds numbers of one kind only, they live in the arena and the
    node is a run of it (``items`` is None); else ``items`` holds the elements.
    """

    __slots__ = ("closed", "depth", "is_tuple", "items", "kind", "start", "stop")

    def __init__(self, items: list[Any] | None = None, *, is_tuple: bool = False) -> None:
        self.kind = ""
        self.start = self.stop = 0
        self.items = items
        self.depth = 1
        self.closed = self.is_tuple = is_tuple

    def __len__(self) -> int:
        return self.stop - self.start if self.items is None else len(self.items)

    def append(self, element: Any, arena: Arena, limit: int) -> None:
        """Add one element."""
        if self.items is None or self.closed or type(element) in _NODES:
            self.extend([element], arena, limit)
        else:
            self.items.append(element)

    def extend(self, elements: list[Any], arena: Arena, limit: int) -> None:
        """Add elements, which may be numbers, texts or nodes."""
        if self.closed:
            raise CorruptFileError("a list is extended after use; files from ANNarchy never do that")
        if self.items is None:
            elements = elements[self._taken(elements, arena) :]
            if not elements:
                return
            self._spread(arena)
        self.items += elements  # type: ignore[operator] # _spread made it a list
        self.depth = max(self.depth, depth_with(elements, limit))

    def extend_run(self, run: Run, arena: Arena) -> None:
        """Add numbers that are in the arena already."""
        if self.closed:
            raise CorruptFileError("a list is extended after use; files from ANNarchy never do that")
        if self.items is not None or not self._joined(run):
            self._spread(arena)
            self.items += arena.numbers(*run)  # type: ignore[operator] # _spread made it a list

    def _taken(self, elements: list[Any], arena: Arena) -> int:
        """Move leading numbers into the arena and return how many went."""
        for count, element in enumerate(elements):
            if type(element) not in _NUMBERS or (self.kind and self.stop != arena.end(self.kind)):
                return count
            run = arena.add(element)
            if run is None or not self._joined(run):
                return count
        return len(elements)

    def _joined(self, run: Run) -> bool:
        kind, first, last = run
        if not self.kind:
            self.kind, self.start, self.stop = run
            return True
        if kind == self.kind and first == self.stop:
            self.stop = last
            return True
        return False

    def _spread(self, arena: Arena) -> None:
        if self.items is None:
            self.items = arena.numbers(self.kind, self.start, self.stop) if self.kind else []


class DictNode:
    """A dict; its keys are texts."""

    __slots__ = ("closed", "depth", "entries", "value")

    def __init__(self) -> None:
        self.entries: dict[str, Any] = {}
        self.depth = 1
        self.closed = False
        self.value: Any = None

    def set(self, key: Any, element: Any, limit: int) -> None:
        """Add or replace one entry."""
        if self.closed:
            raise CorruptFileError("a dict is extended after use; files from ANNarchy never do that")
        if not isinstance(key, str):
            raise UnsafeFileError(f"a dict has a key of type {type(key).__name__}; expected a text")
        self.entries[key] = element
        self.depth = max(self.depth, depth_with((element,), limit))


class ArrayNode:
    """A numpy array: numbers or texts, or a list of objects with a shape around it."""

    __slots__ = ("closed", "depth", "objects", "shape", "values")

    def __init__(self, values: NDArray[Any] | None = None) -> None:
        self.values = values
        self.objects: ListNode | None = None
        self.shape: tuple[int, ...] = () if values is None else values.shape
        self.depth = 1
        self.closed = False

    @property
    def is_open(self) -> bool:
        """Whether the array has no content yet."""
        return self.values is None and self.objects is None

    def set_values(self, values: NDArray[Any]) -> None:
        """Give the array its numbers or texts."""
        self.values, self.shape = values, values.shape

    def set_objects(self, objects: ListNode, shape: tuple[int, ...], limit: int) -> None:
        """Give the array its elements, row by row."""
        self.depth = depth_with((objects,), limit)
        self.objects, self.shape = objects, shape


class DtypeNode:
    """The type of an array's elements."""

    __slots__ = ("built", "dtype")

    def __init__(self, dtype: np.dtype[Any]) -> None:
        self.dtype = dtype
        self.built = False


Node: TypeAlias = ListNode | DictNode | ArrayNode


def tuple_of(items: list[Any], limit: int) -> ListNode:
    """Return a tuple of these elements."""
    node = ListNode(items, is_tuple=True)
    node.depth = depth_with(items, limit)
    return node


def depth_with(elements: Iterable[Any], limit: int) -> int:
    """Close the nodes among ``elements`` and return how deep their new owner is."""
    deepest = 0
    for element in elements:
        if type(element) not in _NODES:
            continue
        if type(element) is ArrayNode and element.is_open:
            raise CorruptFileError("an array is used before its contents are set")
        element.closed = True
        deepest = max(deepest, element.depth)
    if deepest >= limit:
        raise UnsafeFileError(f"containers are nested over {limit} deep")
    return deepest + 1


_NUMBERS: Final = frozenset({float, int, bool})
_NODES: Final = frozenset({ListNode, DictNode, ArrayNode})


class Settler:
    """Turns the graph that a pickle described into values, each node once.

    Parameters
    ----------
    arrays : dict
        Every number of the pickle, by kind, as the arena kept it.
    budget : Budget
        Charged with every number that has to be copied.
    text : callable
        Decodes the texts of Python 2.
    """

    def __init__(self, arrays: dict[str, NDArray[Any]], budget: Budget, text: Callable[[bytes], str]) -> None:
        self._arrays = arrays
        self._budget = budget
        self._text = text
        self._done: dict[int, tuple[object, Value]] = {}  # the node too, so that its id stays its own

    def value(self, node: Any) -> Value:
        """Return what a node stands for; the same object when it is asked for again."""
        if node is None or isinstance(node, (bool, int, float, str)):
            return node
        if isinstance(node, (bytes, bytearray)):
            return self._text(bytes(node))
        if isinstance(node, ListNode) and node.items is None:
            return self._run(node)
        if not isinstance(node, (ListNode, DictNode, ArrayNode)):
            raise UnsafeFileError("the file holds a function or a type in place of a value")
        if id(node) not in self._done:
            self._done[id(node)] = (node, self._settled(node))
        return self._done[id(node)][1]

    def _settled(self, node: ListNode | DictNode | ArrayNode) -> Value:
        if isinstance(node, DictNode):
            entries = node.entries
            node.entries = {}
            return {key: self.value(entry) for key, entry in entries.items()}
        if isinstance(node, ListNode):
            return self._list(node.items or ())
        if node.values is not None:
            return array_value(node.values, self._budget)
        return self._objects(node)

    def _objects(self, node: ArrayNode) -> Value:
        assert node.objects is not None  # noqa: S101 - an array without content never gets here
        content = self.value(node.objects)
        if isinstance(content, np.ndarray) and content.size == math.prod(node.shape):
            return content.reshape(node.shape)
        if not node.shape:
            return self.value(node.objects.items[0]) if node.objects.items else content
        return content

    def _run(self, node: ListNode) -> NDArray[Any]:
        return self._arrays[node.kind][node.start : node.stop] if node.kind else np.empty(0)

    def _list(self, items: Sequence[Any]) -> Value:
        if items and all(isinstance(item, ListNode) and item.items is None for item in items):
            return self._rows(items)
        return assemble([self.value(item) for item in items], self._budget)

    def _rows(self, rows: Sequence[ListNode]) -> Value:
        """Rows that were read one after the other are one slice of the arena already."""
        filled = [row for row in rows if row.kind]
        kinds = {row.kind for row in filled}
        if len(kinds) != 1 or any(a.stop != b.start for a, b in pairwise(filled)):
            return assemble([self._run(row) for row in rows], self._budget)
        sizes = np.fromiter((len(row) for row in rows), np.int64, len(rows))
        row_ptr = np.concatenate((np.zeros(1, np.int64), np.cumsum(sizes)))
        return Rows(self._arrays[kinds.pop()][filled[0].start : filled[-1].stop], row_ptr)
