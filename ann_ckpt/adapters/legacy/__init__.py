"""Files that ANNarchy itself wrote, from 4.1 to 5.0."""

from ann_ckpt.adapters.legacy.reading import detect, examine, read
from ann_ckpt.adapters.legacy.streams import Container
from ann_ckpt.adapters.legacy.writing import SUFFIXES, write

__all__ = [
    "SUFFIXES",
    "Container",
    "detect",
    "examine",
    "read",
    "write",
]
