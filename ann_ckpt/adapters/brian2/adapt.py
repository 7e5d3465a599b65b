"""From what a user hands over to a simulator: a network, or the objects around the call."""

from __future__ import annotations

import sys
from types import MethodType
from typing import TYPE_CHECKING, Any

from ann_ckpt.adapters.brian2.content import outside_frame, where_made
from ann_ckpt.errors import SimulatorError

if TYPE_CHECKING:
    from ann_ckpt.adapters.brian2.simulator import BrianSimulator

__all__ = ["adapt", "prepare"]


def adapt(network: object | None, _net_id: int) -> BrianSimulator | None:
    """Return the simulator for a network of Brian2, or None if this is not one.

    Brian2 is never imported here: whoever has a network of it has imported it.

    Parameters
    ----------
    network : brian2.Network or None
        None stands for the magic network: all objects that are visible where the user stands.
    _net_id : int
        Brian2 numbers no networks.

    Raises
    ------
    SimulatorError
        If the network is one of C++ standalone mode, which is not in memory, or only objects of one.
    """
    brian2 = sys.modules.get("brian2")
    if brian2 is None:
        return None
    things = network if isinstance(network, list | tuple | set) else [network]
    if any(isinstance(thing, brian2.BrianObject) for thing in things):
        raise SimulatorError(
            f"a {type(network).__name__} is not a network of Brian2",
            details={"hint": "make a Network of all objects, and pass it as network="},
        )
    if not (network is None or isinstance(network, brian2.Network)):
        return None
    from brian2.core.magic import MagicNetwork
    from brian2.devices.device import RuntimeDevice

    from ann_ckpt.adapters.brian2.simulator import BrianSimulator

    if network is None or isinstance(network, MagicNetwork):
        network = _magic(brian2, asked_for=network is not None)
        if network is None:
            return None
    if not isinstance(brian2.get_device(), RuntimeDevice):
        raise SimulatorError(
            "the network runs in C++ standalone mode, where its values are not in memory",
            details={"hint": "a network in runtime mode is saved and loaded like this"},
        )
    return BrianSimulator(network)


def _magic(brian2: Any, *, asked_for: bool) -> Any:
    """Let the magic network collect its objects as it does when it is run; None if there are none."""
    frame, depth = outside_frame()
    network = brian2.magic_network
    visible = {} if frame is None else {**frame.f_globals, **frame.f_locals}
    if not asked_for and not any(isinstance(thing, brian2.BrianObject) for thing in visible.values()):
        return None
    try:
        network._update_magic_objects(level=depth)
    except brian2.MagicError as error:
        raise SimulatorError(
            f"Brian2 does not know what belongs to the network: {error}",
            details={"hint": "make a Network, and pass it as network="},
        ) from error
    return network


def prepare(network: Any, _directory: str) -> Any:
    """Give a network of Brian2 a method ``simulate(ms)``; None if this is not one.

    Constants that equations name are looked up in the module that made the objects.
    """
    brian2 = sys.modules.get("brian2")
    if brian2 is None or not isinstance(network, brian2.Network):
        return None

    def simulate(self: Any, duration: float) -> None:
        self.run(duration * brian2.ms, namespace=dict(where_made(self.objects)))

    network.simulate = MethodType(simulate, network)
    return network
