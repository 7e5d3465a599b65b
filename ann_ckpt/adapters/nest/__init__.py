"""Live networks of NEST 3, read and set through NEST's own public calls."""

from ann_ckpt.adapters.nest.adapt import adapt, build
from ann_ckpt.adapters.nest.network import NestNetwork

__all__ = ["NestNetwork", "adapt", "build"]
