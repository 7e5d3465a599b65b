"""A small plastic network in plain numpy, and a tour of this package around it."""

from ann_ckpt.demo.network import DemoNetwork

__all__ = ["DemoNetwork"]
