"""Live networks of PyNN 0.13, on any of its backends, read and set through PyNN's own calls."""

from ann_ckpt.adapters.pynn.building import built
from ann_ckpt.adapters.pynn.network import PynnNetwork, check_backend
from ann_ckpt.adapters.pynn.simulator import adapt

__all__ = ["PynnNetwork", "adapt", "built", "check_backend"]
