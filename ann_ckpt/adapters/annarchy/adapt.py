"""From what a user hands over to a simulator: which ANNarchy, which network, compiled or not."""

from __future__ import annotations

import sys
from typing import Any

from ann_ckpt.adapters.annarchy.bindings import Bindings
from ann_ckpt.adapters.annarchy.instrument import compile_instrumented
from ann_ckpt.adapters.annarchy.simulator import AnnarchySimulator
from ann_ckpt.adapters.annarchy.v5 import Nanobind
from ann_ckpt.adapters.annarchy.v48 import Cython
from ann_ckpt.errors import OptionError, SimulatorError, printable

__all__ = ["adapt", "numbered", "prepare"]

SUPPORTED = "4.8 and 5.0"


def adapt(network: object | None, net_id: int) -> AnnarchySimulator | None:
    """Return the simulator for an ANNarchy network, or None if this is not one.

    ANNarchy is never imported here: whoever has a network of it has imported it.

    Parameters
    ----------
    network : ANNarchy.Network or None
        None stands for the network number ``net_id``.
    net_id : int
        0 is the global network.

    Raises
    ------
    SimulatorError
        If the network is not compiled, or ANNarchy is of a version that is not known
        or compiled for a GPU.
    OptionError
        If there is no network of that number.
    """
    annarchy = sys.modules.get("ANNarchy")
    if annarchy is None or not (network is None or isinstance(network, annarchy.Network)):
        return None
    release = str(annarchy.__release__)
    generation = tuple(release.split(".")[:2])
    if generation == ("5", "0"):
        bindings = _nanobind(release, network, net_id)
    elif generation == ("4", "8"):
        bindings = _cython(release, net_id if network is None else network.id)
    else:
        raise SimulatorError(f"ANNarchy {printable(release)} is not known; {SUPPORTED} are")
    if bindings.setting("paradigm") != "openmp":
        raise SimulatorError(
            f"the network is compiled for {printable(bindings.setting('paradigm'))}",
            details={"expected": "a network compiled for the CPU (paradigm openmp)"},
        )
    if not bindings.is_stepped:
        raise SimulatorError(
            "the network can no longer be simulated: Network.copy() made another one over its compiled code",
            details={"hint": "simulate() steps the copy, whichever network it is called on; use the copy"},
        )
    return AnnarchySimulator(bindings)


def prepare(network: Any, directory: str) -> Any:
    """Compile an ANNarchy network that is not, with the instrumentation; None if this is not one."""
    annarchy = sys.modules.get("ANNarchy")
    if annarchy is None or not isinstance(network, annarchy.Network):
        return None
    if not getattr(network, "compiled", True):
        compile_instrumented(network, directory=directory, silent=True)
    return network


def _nanobind(release: str, network: Any, net_id: int) -> Bindings:
    from ANNarchy.intern.NetworkManager import NetworkManager

    if network is None:
        network = numbered(NetworkManager().get_networks(), net_id)
    if not network.compiled:
        raise _not_compiled()
    return Nanobind(release, network)


def numbered(networks: list[Any], net_id: int) -> Any:
    """Return the network of a number; for 0, where nothing is compiled, the only one that is.

    Number 0 is the network of those who make none, and what is meant where none is named.
    """
    network = networks[net_id] if 0 <= net_id < len(networks) else None
    if network is None:
        raise _no_such_network(net_id)
    if net_id == 0 and not network.compiled:
        compiled = [other for other in networks if other is not None and other.compiled]
        if len(compiled) > 1:
            raise OptionError(
                f"{len(compiled)} networks are compiled, and none is named",
                details={"hint": "pass network=net"},
            )
        return compiled[0] if compiled else network
    return network


def _cython(release: str, net_id: int) -> Bindings:
    from ANNarchy.intern.NetworkManager import NetworkManager

    manager = NetworkManager()
    if not 0 <= net_id < len(manager) or manager.get_network_dict(net_id) is None:
        raise _no_such_network(net_id)
    if not manager.is_compiled(net_id=net_id):
        raise _not_compiled()
    return Cython(release, net_id)


def _no_such_network(net_id: int) -> OptionError:
    return OptionError(f"net_id={net_id}: ANNarchy has no network of that number")


def _not_compiled() -> SimulatorError:
    return SimulatorError(
        "the network is not compiled", details={"hint": "call compile() before saving or loading"}
    )
