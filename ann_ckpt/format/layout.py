"""Every name on disk, once: groups, datasets, attributes, the version, escaping.

Nothing here touches a file. ``docs/format.md`` says the same in words.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "FORMAT",
    "SUFFIXES",
    "VERSION",
    "IndexRow",
    "escape",
    "index_rows",
    "index_table",
    "unescape",
]

FORMAT = "ann_ckpt"
VERSION = (1, 0)
"""Major and minor. A reader takes any minor version of its major one."""
SUFFIXES = (".h5", ".hdf5")

# Root: attributes and datasets.
A_FORMAT = "format"
A_VERSION = "format_version"
A_CREATED = "created"
A_TIME_STEP = "time_step"
A_DT = "dt"
A_SEED = "seed"
A_INDEX_DIGEST = "index_digest"
INDEX = "index"
METADATA = "metadata"
PROVENANCE = "provenance"

# Groups of the root.
POPULATIONS = "populations"
PROJECTIONS = "projections"
CONSTANTS = "constants"
TYPES = "types"

# Inside one population or projection.
A_NAME = "name"
A_TYPE = "type"
A_GEOMETRY = "geometry"
A_PRE = "pre"
A_POST = "post"
A_TARGET = "target"
A_PRE_SIZE = "pre_size"
A_POST_SIZE = "post_size"
A_DELAY = "delay_steps"
A_ROWS = "rows"
ROWS_ALL = "all"
ROWS_ASCENDING = "ascending"
ROWS_ANY = "any"
PARAMETERS = "parameters"
VARIABLES = "variables"
GLOBALS = {PARAMETERS: "global_parameters", VARIABLES: "global_variables"}
POST_RANKS = "post_ranks"
ROW_PTR = "row_ptr"
PRE_RANKS = "pre_ranks"
DELAYS = "delays"
PRE_VIEW = "pre_view"
POST_VIEW = "post_view"

# Encodings that the index names; each has its own version.
E_ARRAY = "array"
E_GLOBALS = "globals"
E_TEXT = "text"
E_GROUP = "group"
ENCODINGS = {E_ARRAY: 1, E_GLOBALS: 1, E_TEXT: 1, E_GROUP: 1}

_ESCAPED = re.compile(r"%([0-9A-F]{2})")
_EMPTY = "%"


def escape(name: str) -> str:
    """Return ``name`` as one HDF5 link name; :func:`unescape` undoes it exactly.

    ``/``, ``%`` and control characters become ``%XX``; so do the dots of a name that
    is nothing but dots. The empty name becomes a lone ``%``.

    Examples
    --------
    >>> escape("a/b"), escape(".."), escape("50%"), escape(""), escape("v.1")
    ('a%2Fb', '%2E%2E', '50%25', '%', 'v.1')
    """
    if not name:
        return _EMPTY
    if set(name) == {"."}:
        return "%2E" * len(name)
    return re.sub(r"[/%\x00-\x1f]", lambda m: f"%{ord(m.group()):02X}", name)


def unescape(link: str) -> str:
    """Return the true name behind a link name.

    Raises
    ------
    ValueError
        If ``link`` is nothing that :func:`escape` makes.
    """
    name = "" if link == _EMPTY else _ESCAPED.sub(lambda m: chr(int(m.group(1), 16)), link)
    if escape(name) != link:
        raise ValueError(f"{link!r} is no escaped name")
    return name


@dataclass(frozen=True, slots=True)
class IndexRow:
    """What the index says of one stored array, text or group."""

    path: str
    """From the root, without a leading slash; empty for the root itself."""
    encoding: str
    version: int
    locality: str
    """``global``, ``semiglobal``, ``local``, ``unknown``; empty for structure."""
    digest: str
    """XXH3-128 of the value bytes (of the attributes, for a group), 32 hex digits."""


_FIELDS = ("path", "encoding", "version", "locality", "digest")


def index_table(rows: list[IndexRow]) -> NDArray[np.void]:
    """Return the index as a structured array of fixed-length fields, shape ``(n,)``."""
    encoded = [
        (r.path.encode(), r.encoding.encode(), r.version, r.locality.encode(), r.digest.encode())
        for r in rows
    ]
    width = max((len(row[0]) for row in encoded), default=0)
    dtype = [
        ("path", f"S{max(1, width)}"),
        ("encoding", "S8"),
        ("version", "<u2"),
        ("locality", "S10"),
        ("digest", "S32"),
    ]
    return np.array(encoded, dtype=dtype)


def index_rows(table: NDArray[np.void]) -> list[IndexRow]:
    """Return the rows of a table that :func:`index_table` made.

    Raises
    ------
    ValueError
        If the table has other fields, or a text is not UTF-8.
    """
    if table.dtype.names != _FIELDS or table.ndim != 1:
        raise ValueError("the index has other columns than the format says")
    columns = [
        table[f].tolist() if f == "version" else [v.decode() for v in table[f].tolist()] for f in _FIELDS
    ]
    return [IndexRow(*row) for row in zip(*columns, strict=True)]
