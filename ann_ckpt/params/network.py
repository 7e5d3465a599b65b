"""What ``network=`` may be, seen as a state."""

from __future__ import annotations

from typing import Any

from ann_ckpt.adapters.protocol import Simulator
from ann_ckpt.adapters.simulators import simulator_for
from ann_ckpt.lazy import Checkpoint
from ann_ckpt.model import NetworkState

__all__ = ["live_of", "state_of"]


def state_of(network: Any, net_id: int = 0) -> NetworkState:
    """Return a state whose arrays are read when somebody asks for them.

    Parameters
    ----------
    network : NetworkState, Checkpoint, live network or None
        None stands for the simulator's global network of number ``net_id``.

    Raises
    ------
    SimulatorError
        If it is none of these.
    """
    if isinstance(network, NetworkState):
        return network
    if isinstance(network, Checkpoint):
        return network.state(lazy=True)
    return simulator_for(network, net_id).read().state


def live_of(network: Any, net_id: int = 0) -> Simulator | None:
    """Return the simulator behind a live network; None for what cannot be changed in place."""
    if isinstance(network, NetworkState | Checkpoint):
        return None
    return simulator_for(network, net_id)
