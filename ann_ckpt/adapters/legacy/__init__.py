"""Files that ANNarchy itself wrote, from 4.1 to 5.0."""

from ann_ckpt.adapters.legacy.describe import describe
from ann_ckpt.adapters.legacy.detect import Container
from ann_ckpt.adapters.legacy.reading import detect, read

__all__ = ["Container", "describe", "detect", "read"]
