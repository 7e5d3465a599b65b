"""Checkpoints opened for lazy reading."""

from ann_ckpt.lazy.array import LazyArray
from ann_ckpt.lazy.checkpoint import Checkpoint, LazyObjects
from ann_ckpt.lazy.population import LazyPopulation
from ann_ckpt.lazy.projection import LazyProjection

__all__ = ["Checkpoint", "LazyArray", "LazyObjects", "LazyPopulation", "LazyProjection"]
