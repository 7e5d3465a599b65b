"""Containers (lists, dicts, arrays) and number lists built while a pickle is read.

A node takes elements until another node takes *it* as an element, or the file asks
for it a second time; from then on it is closed. So no node can ever contain itself,
and what walks them later walks a graph without cycles.

A network is nearly all numbers: a pickle spends nine bytes on each float (``G`` and
a big-endian double) and two, three or five on each integer (``K``, ``M``, ``J``).
Runs of such opcodes are found by one regular expression and kept as plain doubles or
64-bit integers, one list after the other in one buffer. A list of lists is a slice of
that buffer in the end, and no number ever becomes an object.
"""

from __future__ import annotations

import math
import re
from array import array
from collections.abc import Callable, Iterable, Sequence
from itertools import groupby, pairwise, repeat
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ann_ckpt.adapters.legacy.streams import Budget
from ann_ckpt.adapters.legacy.values import NumberRows, Value, array_value, assemble
from ann_ckpt.errors import CorruptFileError, UnsafeFileError

__all__ = [
    "NUMBER_ROW",
    "RUN",
    "Arena",
    "ArrayNode",
    "DictNode",
    "DtypeNode",
    "ListNode",
    "Node",
    "NumberRun",
    "Settler",
    "depth_with",
    "tuple_of",
]

NumberRun: TypeAlias = tuple[str, int, int]
"""Where a list of numbers is: the kind (``f``, ``i`` or ``b``), and two positions."""

_RUNS: Final = rb"(?:G.{8})++|(?:K.|M..|J.{4})++|[\x88\x89]++"

RUN: Final = re.compile(_RUNS, re.DOTALL)
"""Opcodes of one kind of number in a row. Possessive, so that matching never goes back."""

NUMBER_ROW: Final = re.compile(
    rb"\](\x94|q.|r.{4})?(?:\((" + _RUNS + rb")e|(G.{8}|K.|M..|J.{4}|[\x88\x89])a)", re.DOTALL
)
"""A whole list of numbers: made, remembered (group 1) and filled (group 2 or 3)."""

_CODES: Final = {"f": "d", "i": "q", "b": "B"}
_DTYPES: Final = {"f": np.dtype("f8"), "i": np.dtype("i8"), "b": np.dtype("?")}
_KINDS: Final = {float: "f", int: "i", bool: "b"}
_WIDTHS: Final = {ord("K"): 2, ord("M"): 3, ord("J"): 5}
_JUMPS: Final = np.array([_WIDTHS.get(code, 1) for code in range(256)], np.intp)
_KIND_OF: Final = {
    ord(code): kind for kind, codes in (("f", "G"), ("i", "KMJ"), ("b", "\x88\x89")) for code in codes
}
_TRUTH: Final = bytes(code == 0x88 for code in range(256))
_FLUSH = 1 << 20
_PART = 4096


class Arena:
    """Three growing arrays, of floats, integers and bools."""

    __slots__ = ("_data", "_raw")

    def __init__(self) -> None:
        self._data: dict[str, array[Any]] = {kind: array(code) for kind, code in _CODES.items()}
        self._raw = bytearray()  # floats with their opcodes, not converted yet

    def end(self, kind: str) -> int:
        """Position behind the last number of this kind."""
        waiting = len(self._raw) // 9 if kind == "f" else 0
        return len(self._data[kind]) + waiting

    def add_run(self, data: bytes, start: int, stop: int) -> NumberRun:
        """Keep ``data[start:stop]``, which :data:`RUN` matched; return where it is now."""
        return self.add_runs(data, [(start, stop)])[0]

    def add_runs(self, data: bytes, spans: Sequence[tuple[int, int]]) -> list[NumberRun]:
        """Keep many runs at once; each span of ``data`` is one that :data:`RUN` matched."""
        runs: list[NumberRun] = []
        for kind, group in groupby(spans, key=lambda span: _KIND_OF[data[span[0]]]):
            spans = list(group)
            joined = b"".join([data[start:stop] for start, stop in spans])
            ends = np.cumsum([stop - start for start, stop in spans])  # in bytes, of the runs joined
            first = self.end(kind)
            counts = self._keep(kind, joined, ends)
            bounds = [first, *(first + counts).tolist()]
            runs += zip(repeat(kind), bounds, bounds[1:])
        return runs

    def _keep(self, kind: str, joined: bytes, ends: NDArray[np.int64]) -> NDArray[np.int64]:
        """Keep runs of one kind and return how many numbers the first 1, 2, ... of them hold."""
        if kind == "f":
            self._raw += joined
            if len(self._raw) > _FLUSH:
                self._flush()
            return ends // 9
        if kind == "b":
            self._data["b"].frombytes(joined.translate(_TRUTH))
            return ends
        at = _opcodes(joined)
        self._data["i"].frombytes(_operands(np.frombuffer(joined, np.uint8), at).data.cast("B"))
        return np.searchsorted(at, ends)

    def add(self, number: float) -> NumberRun | None:
        """Keep one number; None if it does not fit into 64 bits."""
        kind = _KINDS[type(number)]
        if kind == "f":
            self._flush()
        kept = self._data[kind]
        try:
            kept.append(number)
        except OverflowError:
            return None
        return kind, len(kept) - 1, len(kept)

    def numbers(self, kind: str, start: int, stop: int) -> list[Any]:
        """Return a run as Python numbers, for a list that turns out to hold more."""
        self._flush()
        numbers = self._data[kind][start:stop].tolist()
        return [bool(number) for number in numbers] if kind == "b" else numbers

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return all numbers of each kind; nothing may be added afterwards."""
        self._flush()
        return {kind: np.frombuffer(data, _DTYPES[kind]) for kind, data in self._data.items()}

    def _flush(self) -> None:
        if self._raw:
            raw = np.ndarray(
                (len(self._raw) // 9,), np.dtype(">f8"), buffer=self._raw, offset=1, strides=(9,)
            )
            self._data["f"].frombytes(raw.astype("f8").data.cast("B"))
            del raw
            self._raw = bytearray()


def _opcodes(data: bytes) -> NDArray[np.int64]:
    """Return where the opcodes of integers stand, one behind the operand of the other."""
    width = _WIDTHS[data[0]]
    if len(data) % width == 0 and data[::width].count(data[0]) * width == len(data):
        return np.arange(0, len(data), width)
    found = []
    start = 0
    while start < len(data):
        part = np.frombuffer(data, np.uint8, min(_PART, len(data) - start), start)
        at = _orbit(np.arange(part.size) + _JUMPS[part], part.size)
        found.append(at[:-1] + start)
        start += int(at[-1])
    return np.concatenate(found)


def _orbit(jump: NDArray[np.int64], size: int) -> NDArray[np.int64]:
    """Return 0, ``jump[0]``, ``jump[jump[0]]``, ... up to the first that is not below ``size``.

    Takes 1, 2, 4, ... steps at once, and so as many operations as the path has bits.
    """
    last = np.arange(size, size + 5)  # an operand may reach over the end
    jump = np.concatenate((jump, last))
    at = np.zeros(1, np.int64)
    while at[-1] < size:
        at = np.concatenate((at, jump[at]))
        jump = jump[jump]
    return at[: np.searchsorted(at, size) + 1]


def _operands(part: NDArray[np.uint8], at: NDArray[np.intp]) -> NDArray[np.int64]:
    """Return the integers whose opcodes stand at ``at``."""
    codes = part[at]
    numbers = part[at + 1].astype(np.int64)
    wide = at[codes != 0x4B]
    if wide.size:
        numbers[codes != 0x4B] |= part[wide + 2].astype(np.int64) << 8
    longest = at[codes == 0x4A]
    if longest.size:
        upper = part[longest + 3].astype(np.int64) << 16 | part[longest + 4].astype(np.int64) << 24
        numbers[codes == 0x4A] |= upper
        numbers[codes == 0x4A] -= (upper >> 31) << 32
    return numbers


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
            raise CorruptFileError("a list is extended after use, which no writer of networks does")
        if self.items is None:
            elements = elements[self._taken(elements, arena) :]
            if not elements:
                return
            self._spread(arena)
        self.items += elements  # type: ignore[operator] # _spread made it a list
        self.depth = max(self.depth, depth_with(elements, limit))

    def extend_run(self, run: NumberRun, arena: Arena) -> None:
        """Add numbers that are in the arena already."""
        if self.closed:
            raise CorruptFileError("a list is extended after use, which no writer of networks does")
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

    def _joined(self, run: NumberRun) -> bool:
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
            raise CorruptFileError("a dict is extended after use, which no writer of networks does")
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
        return NumberRows(self._arrays[kinds.pop()][filled[0].start : filled[-1].stop], row_ptr)
