"""Live networks of Brian2, versions 2.9 to 2.11, read and written in Brian's own arrays."""

from ann_ckpt.adapters.brian2.adapt import adapt, prepare

__all__ = ["adapt", "prepare"]
