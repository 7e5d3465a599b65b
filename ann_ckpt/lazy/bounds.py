"""What ranks, delays and times are, noted while they are verified, so that they are read once."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from numpy.typing import NDArray

from ann_ckpt.format import layout

__all__ = ["Bounds"]

_BOUNDED = (layout.PRE_RANKS, layout.DELAYS, layout.PATHWAY_DELAYS)


class Bounds:
    """Least and largest values of the parts of some arrays, and whether times rise, by their paths."""

    def __init__(self) -> None:
        self._ends: dict[str, list[tuple[Any, Any]]] = {}
        self._falls: set[str] = set()

    def look(self, path: str, values: NDArray[Any]) -> None:
        """Note the next values of an array, if it is one that has bounds."""
        group, *rest = path.split("/")
        if not values.size:
            return
        if group == layout.PROJECTIONS and rest[1] in _BOUNDED:
            name = "/".join((group, *rest[:2]))  # pathways together
            self._ends.setdefault(name, []).append((values.min().item(), values.max().item()))
        elif group == layout.RECORDINGS and rest[1:2] == [layout.SERIES] and rest[3:] == [layout.TIMES]:
            if not (values[1:] >= values[:-1]).all():
                self._falls.add(path)
            self._ends.setdefault(path, []).append((values[0].item(), values[-1].item()))

    def outside(self, path: str, highest: float) -> tuple[Any, Any] | None:
        """Return least and largest value of a part that is not from 0 to ``highest``; None if all are."""
        parts = self._ends.get(path, [])
        return next((ends for ends in parts if not (ends[0] >= 0 and ends[1] <= highest)), None)

    def falls(self, path: str) -> bool:
        """Whether a time is before the one in front of it."""
        ends = self._ends.get(path, [])
        return path in self._falls or any(not after[0] >= before[1] for before, after in pairwise(ends))
