"""Files that ANNarchy itself wrote, from 4.1 to 5.0."""

from ann_ckpt.adapters.legacy.detect import Container
from ann_ckpt.adapters.legacy.oldfile import OldFile
from ann_ckpt.adapters.legacy.reading import detect, examine, read

__all__ = ["Container", "OldFile", "detect", "examine", "read"]
