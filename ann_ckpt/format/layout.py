"""All names in the file format, their escaping, and the index: one record per stored object.

Nothing here touches a file. ``docs/format.md`` says the same in words. One table is read and written
at once, where attributes on thousands of datasets would each cost as much as the dataset.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ann_ckpt.errors import StateError, printable

__all__ = [
    "FORMAT",
    "NAME_BYTES",
    "SUFFIXES",
    "VERSION",
    "Index",
    "IndexRow",
    "escape",
    "index_table",
    "index_type",
    "object_path",
    "unescape",
]

FORMAT = "ann_ckpt"
VERSION = (1, 6)
"""Major and minor. A reader takes any minor version of its major one."""
PLAIN_VERSION = (1, 2)
"""Written where nothing that came later is in a file."""
SUFFIXES = (".h5", ".hdf5")

# Root: attributes and datasets.
A_FORMAT = "format"
A_VERSION = "format_version"
A_CREATED = "created"
A_TIME_STEP = "time_step"
A_DT = "dt"
A_SEED = "seed"
A_RESEEDED = "reseeded"
A_INDEX_DIGEST = "index_digest"
A_HEADER_DIGEST = "header_digest"
A_TAG = "tag"
INDEX = "index"
METADATA = "metadata"
PROVENANCE = "provenance"
RESUME = "resume"
RESUME_NETWORK = "network"

# Groups of the root.
POPULATIONS = "populations"
PROJECTIONS = "projections"
CONSTANTS = "constants"
TYPES = "types"
RECORDINGS = "recordings"

# Inside one population or projection.
A_TYPE = "type"
A_GEOMETRY = "geometry"
A_PART = "part"
A_PRE = "pre"
A_POST = "post"
A_TARGET = "target"
A_PRE_SIZE = "pre_size"
A_POST_SIZE = "post_size"
A_DELAY = "delay_steps"
A_PARTIAL = "partial"
A_ROWS = "rows"
ROWS_ALL = "all"
ROWS_ASCENDING = "ascending"
ROWS_ANY = "any"
PARAMETERS = "parameters"
VARIABLES = "variables"
DYNAMICS = "dynamics"
GLOBALS = {
    PARAMETERS: "global_parameters",
    VARIABLES: "global_variables",
    DYNAMICS: "global_dynamics",
}
POST_RANKS = "post_ranks"
ROW_PTR = "row_ptr"
PRE_RANKS = "pre_ranks"
DELAYS = "delays"
PATHWAY_DELAYS = "pathway_delays"
ORDER = "order"
PRE_VIEW = "pre_view"
POST_VIEW = "post_view"

# Inside one recording.
ABOUT = "about"
RANKS = "ranks"
SERIES = "series"
TIMES = "times"
VALUES = "values"

# Digests of the blocks of large arrays.
DIGESTS = "digests"
DIGESTS_ARRAYS = "digests/arrays"
DIGESTS_BLOCKS = "digests/blocks"

# Only in a store: arrays whose values lie in objects, and the objects.
SHARED = "shared"
SHARED_OBJECTS = "shared/objects"
SHARED_ARRAYS = "shared/arrays"
SHARED_PIECES = "shared/pieces"
SHARED_BLOCKS = "shared/blocks"
OBJECT_FORMAT = "ann_ckpt object 1"
OBJECT_VALUES = "values"
STORE_FILE = "store.json"
"""Beside the folders of checkpoints and objects."""
OBJECTS = "objects"

# Rows by which a trailer knows datasets that are not in the index.
INDEX_ROW = 2**32 - 1
OBJECT_ROW = 0

# Encodings that the index names; each has its own version.
E_ARRAY = "array"
E_GLOBALS = "globals"
E_TEXT = "text"
E_GROUP = "group"
E_SHARED = "shared"
E_TABLE = "table"
E_VALUES = (E_ARRAY, E_GLOBALS, E_SHARED)
"""Those of the network's values."""


class Encoding(NamedTuple):
    """What reader and writer know of an encoding; each has a table of how it goes about it."""

    version: int
    """The one that is written."""
    with_axes: int = 0
    """The one that is written for attributes of which each value is an array, so that readers who would
    take its axes for others refuse it; 0 where there is none."""
    blocks_since: float = math.inf
    """Version from which on parts of it have digests of their own."""

    @property
    def newest(self) -> int:
        """The last version that is read."""
        return max(self.version, self.with_axes)


ENCODINGS = {
    E_ARRAY: Encoding(2, with_axes=3, blocks_since=2),
    E_GLOBALS: Encoding(1),
    E_TEXT: Encoding(1),
    E_GROUP: Encoding(1),
    E_SHARED: Encoding(1, with_axes=2),
    E_TABLE: Encoding(1),
}
UNKNOWN_ENCODING = Encoding(0)
"""Of a later version of the format."""

ROOT_ATTRIBUTES = frozenset((A_FORMAT, A_VERSION, A_CREATED, A_TIME_STEP, A_DT, A_SEED, A_RESEEDED, A_TAG))
"""Those that the index has a digest of; others may be added by anybody."""
GROUP_ATTRIBUTES = frozenset(
    (A_TYPE, A_GEOMETRY, A_PART, A_PRE, A_POST, A_TARGET, A_PRE_SIZE, A_POST_SIZE, A_DELAY, A_ROWS, A_PARTIAL)
)
"""The same for all other groups."""

NAME_BYTES = 16 << 10
"""Longest escaped name."""

_ESCAPED = re.compile(r"%([0-9A-F]{2})")
_EMPTY = "%"


@lru_cache(1024)  # the same few names stand in object after object
def escape(name: str) -> str:
    """Return ``name`` as one HDF5 link name; :func:`unescape` undoes it exactly.

    ``/``, ``%`` and control characters become ``%XX``; so do the dots of a name that
    is nothing but dots. The empty name becomes a lone ``%``.

    Examples
    --------
    >>> escape("a/b"), escape(".."), escape("50%"), escape(""), escape("v.1")
    ('a%2Fb', '%2E%2E', '50%25', '%', 'v.1')

    Raises
    ------
    StateError
        If the name is too long to be stored.
    """
    if not name:
        return _EMPTY
    dots = set(name) == {"."}
    link = "%2E" * len(name) if dots else re.sub(r"[/%\x00-\x1f]", lambda m: f"%{ord(m.group()):02X}", name)
    if len(link.encode()) > NAME_BYTES:
        raise StateError(
            f"the name {printable(name, 40)!r} has {len(name)} characters",
            details={"expected": f"at most {NAME_BYTES} bytes, escaped"},
        )
    return link


def unescape(link: str) -> str:
    """Return the name that a link name stands for.

    Raises
    ------
    ValueError
        If ``link`` is nothing that :func:`escape` makes.
    """
    name = "" if link == _EMPTY else _ESCAPED.sub(lambda m: chr(int(m.group(1), 16)), link)
    if escape(name) != link:
        raise ValueError(f"{link!r} is not an escaped name")
    return name


def object_path(name: str) -> str:
    """Path of an object relative to the checkpoint files that refer to it.

    Examples
    --------
    >>> object_path("c0ffee")
    '../objects/c0/c0ffee.h5'
    """
    return f"../objects/{name[:2]}/{name}.h5"


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
        for column in ("encoding", "locality", "digest"):
            if not table[column].tobytes().isascii():
                for text in table[column].tolist():
                    text.decode()
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
