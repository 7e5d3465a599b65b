"""From the nodes of a pickle to plain values."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ann_ckpt.adapters.legacy.limits import Budget
from ann_ckpt.adapters.legacy.nodes import ArrayNode, DictNode, ListNode
from ann_ckpt.adapters.legacy.values import Rows, Value, array_value, assemble
from ann_ckpt.errors import UnsafeFileError

__all__ = ["Settler"]


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
            raise UnsafeFileError("the file holds a function or a type where a value belongs")
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
