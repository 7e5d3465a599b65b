"""Number lists of a pickle, stored as arrays while they are parsed.

A network is nearly all numbers: a pickle spends nine bytes on each float (``G`` and
a big-endian double) and two, three or five on each integer (``K``, ``M``, ``J``).
Runs of such opcodes are found by one regular expression and kept as plain doubles or
64-bit integers, one list after the other in one buffer. A list of lists is a slice of
that buffer in the end, and no number ever becomes an object.
"""

from __future__ import annotations

import re
from array import array
from collections.abc import Sequence
from itertools import groupby, repeat
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "NUMBER_ROW",
    "RUN",
    "Arena",
    "Run",
]

Run: TypeAlias = tuple[str, int, int]
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

    def add_run(self, data: bytes, start: int, stop: int) -> Run:
        """Keep ``data[start:stop]``, which :data:`RUN` matched; return where it is now."""
        return self.add_runs(data, [(start, stop)])[0]

    def add_runs(self, data: bytes, spans: Sequence[tuple[int, int]]) -> list[Run]:
        """Keep many runs at once; each span of ``data`` is one that :data:`RUN` matched."""
        runs: list[Run] = []
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

    def add(self, number: float) -> Run | None:
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
