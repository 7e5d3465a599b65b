"""Which name was meant: the nearest of those that there are."""

from __future__ import annotations

import difflib
import heapq
from collections.abc import Collection

__all__ = ["Nearest"]

_MOST_COMPARED = 100
_LONGEST = 200
_LEFT_OUT = str.maketrans("", "", "_- ")


class Nearest:
    """Finds near names, within a budget for one file.

    A file with thousands of unknown names is the wrong file; telling what each might
    have meant would take minutes and help nobody.

    Parameters
    ----------
    budget : int
        How many names may be looked at in all.

    Examples
    --------
    >>> Nearest().to("inptu", ["output", "input"])
    ('input',)
    """

    def __init__(self, budget: int = 300_000) -> None:
        self._budget = budget

    def to(self, name: str, present: Collection[str], *, most: int = 3) -> tuple[str, ...]:
        """Return up to ``most`` names, nearest first; none where nothing is near."""
        if len(name) > _LONGEST or len(present) > self._budget:
            return ()
        self._budget -= len(present)
        names = [n for n in present if len(n) <= _LONGEST]
        letters = _letters(name)
        same_letters = [n for n in names if _letters(n) == letters]
        if len(names) > _MOST_COMPARED:
            # One slip of the hand leaves what stands before and behind it as it was.
            names = heapq.nlargest(_MOST_COMPARED, names, key=lambda n: _shared_ends(name, n))
        near = difflib.get_close_matches(name, names, n=most)
        return tuple(dict.fromkeys([*same_letters, *near]))[:most]


def _letters(name: str) -> str:
    """Return a name without what people get wrong most: capitals, underscores, hyphens, blanks."""
    return name.casefold().translate(_LEFT_OUT)


def _shared_ends(a: str, b: str) -> int:
    front = _shared_start(a, b)
    return front + _shared_start(a[front:][::-1], b[front:][::-1])


def _shared_start(a: str, b: str) -> int:
    for count, (x, y) in enumerate(zip(a, b, strict=False)):
        if x != y:
            return count
    return min(len(a), len(b))
