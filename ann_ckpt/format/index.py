"""The index table: one record per stored object, in file order.

One table is read and written at once, where attributes on thousands of datasets would
each cost as much as the dataset.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

__all__ = ["Index", "IndexRow", "index_table", "index_type"]

_FIELDS = ("path", "encoding", "version", "locality", "digest")


@dataclass(frozen=True, slots=True)
class IndexRow:
    """The index record of one stored array, text or group."""

    path: str
    """From the root, without a leading slash; empty for the root itself."""
    encoding: str
    version: int
    locality: str
    """``global``, ``semiglobal``, ``local``, ``unknown``; empty for structure."""
    digest: str
    """XXH3-128 of the value bytes (of the attributes, for a group), 32 hex digits."""


def index_table(rows: Iterable[IndexRow]) -> NDArray[np.void]:
    """Return the index as a structured array of fixed-length fields, shape ``(n,)``."""
    encoded = [
        (r.path.encode(), r.encoding.encode(), r.version, r.locality.encode(), r.digest.encode())
        for r in rows
    ]
    width = max((len(row[0]) for row in encoded), default=0)
    return np.array(encoded, dtype=_type(max(1, width)))


def index_type(itemsize: int) -> np.dtype[np.void]:
    """Return the type of an index with records of so many bytes.

    Raises
    ------
    ValueError
        If there are too few.
    """
    return _type(itemsize - (_type(1).itemsize - 1))


def _type(width: int) -> np.dtype[np.void]:
    if width < 1:
        raise ValueError("the columns of the index differ from the format")
    columns = (f"S{width}", "S8", "<u2", "S10", "S32")
    return np.dtype(list(zip(_FIELDS, columns, strict=True)))


class Index(Mapping[str, IndexRow]):
    """The index of an open file, by path; records become objects on demand.

    Raises
    ------
    ValueError
        If the table has other columns, a path stands twice, or a text is not UTF-8.
    """

    def __init__(self, table: NDArray[np.void]) -> None:
        if table.dtype.names != _FIELDS or table.ndim != 1:
            raise ValueError("the columns of the index differ from the format")
        paths = [path.decode() for path in table["path"].tolist()]
        self._table = table
        self._places = {path: place for place, path in enumerate(paths)}
        if len(self._places) != len(paths):
            raise ValueError("duplicate path in the index")

    def __getitem__(self, path: str) -> IndexRow:
        _, encoding, version, locality, digest = self._table[self._places[path]].item()
        return IndexRow(path, encoding.decode(), version, locality.decode(), digest.decode())

    def __contains__(self, path: object) -> bool:
        return path in self._places

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)

    def number(self, path: str) -> int:
        """Return which row a path has, counted from 0."""
        return self._places[path]

    def children(self, path: str) -> list[str]:
        """Link names directly below ``path``, in file order."""
        return self._children.get(path, [])

    @cached_property
    def _children(self) -> dict[str, list[str]]:
        tree: dict[str, list[str]] = {}
        for path in self._places:
            if path:
                parent, _, link = path.rpartition("/")
                tree.setdefault(parent, []).append(link)
        return tree
