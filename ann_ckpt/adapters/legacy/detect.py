"""What a file is, by its first bytes; its name says nothing.

Up to 4.6.5 a ``.npz`` was a pickle, and ``save_connectivity`` wrote a pickle under
every extension.
"""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Final

__all__ = ["HEAD_BYTES", "Container", "container_of"]

HEAD_BYTES: Final = 128
"""How many first bytes :func:`container_of` wants to see."""

_MAT_VERSION: Final = frozenset({b"\x00\x01IM", b"\x01\x00MI"})
# Protocols 0 and 1 begin with a dict, which every file of ANNarchy's is.
_OLD_PICKLE: Final = re.compile(rb"\(d(?:p\d+\n|q.|r....)?|\}(?:[qrp(.]|$)", re.DOTALL)


class Container(StrEnum):
    """The outermost format of a file."""

    PICKLE = "pickle"
    GZIP = "gzip"
    NPZ = "npz"
    MAT = "mat"


def container_of(head: bytes) -> Container | None:
    """Return the format of a file from its first :data:`HEAD_BYTES` bytes, or None."""
    if head.startswith(b"\x1f\x8b"):
        return Container.GZIP
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return Container.NPZ
    if head[124:128] in _MAT_VERSION:
        return Container.MAT
    if head.startswith(b"\x80") and head[1:2] <= b"\x05" and len(head) > 1:
        return Container.PICKLE
    return Container.PICKLE if _OLD_PICKLE.match(head) else None
