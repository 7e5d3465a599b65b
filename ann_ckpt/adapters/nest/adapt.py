"""From what a user hands over to a simulator, and from a state to a network."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ann_ckpt.adapters.nest.network import NestNetwork
from ann_ckpt.model import NetworkState

if TYPE_CHECKING:
    from ann_ckpt.adapters.nest.simulator import NestSimulator

__all__ = ["adapt", "build"]


def adapt(network: object | None, _net_id: int) -> NestSimulator | None:
    """Return the simulator for a named network of NEST, or None if this is not one.

    Parameters
    ----------
    network : NestNetwork or None
        A kernel names nothing, so that there is none without being told.
    _net_id : int
        NEST has one kernel.
    """
    if not isinstance(network, NestNetwork):
        return None
    from ann_ckpt.adapters.nest.simulator import NestSimulator

    return NestSimulator(network)


def build(state: NetworkState, *, replay: bool = True) -> NestNetwork:
    """Make the network of a state in an empty kernel; see :func:`ann_ckpt.nest.build`."""
    from ann_ckpt.adapters.nest.building import built

    return built(state, again=replay)
