"""Networks of Brian2 in every call that takes ``network=``, and those of C++ standalone mode.

    import ann_ckpt

    ann_ckpt.save("net.h5", network=net)

Brian2 itself is imported neither here nor by ``ann_ckpt``: whoever has a network of it has done so.
"""

from __future__ import annotations

import os
from typing import Any

from ann_ckpt.adapters.brian2 import adapt, prepare
from ann_ckpt.api import load
from ann_ckpt.model import NetworkState
from ann_ckpt.report import LoadReport

__all__ = ["adapt", "capture", "insert", "prepare"]


def capture(device: Any) -> NetworkState:
    """Return the state in which a C++ standalone program ended.

    It is written like any other: ``ann_ckpt.write(capture(device), "net.h5")``. Exact with Brian2 2.11, but
    for one normal number that programs keep and do not leave behind; the state says so where any are drawn.

    Parameters
    ----------
    device : brian2.devices.cpp_standalone.device.CPPStandaloneDevice
        ``brian2.device``, after its program has run to the end.

    Raises
    ------
    SimulatorError
        If it has not, has several networks, or was built with OpenMP.
    """
    from ann_ckpt.adapters.brian2.standalone import captured

    return captured(device)


def insert(device: Any, path: str | os.PathLike[str], *, network: Any = None) -> LoadReport:
    """Let the next build of a C++ standalone network begin with a stored state.

    Call it before the first ``run``, with the same network: its objects are compared with the file, and
    what the program would have set by then, synapses included, is replaced.

    Parameters
    ----------
    device : brian2.devices.cpp_standalone.device.CPPStandaloneDevice
        ``brian2.device``.
    path : path-like
        A checkpoint, in a store or not.
    network : brian2.Network, optional
        Which, where a process has several.

    Raises
    ------
    MismatchError
        If the file does not fit the network; the program is as it was.
    SimulatorError
        If a run is part of the program already, there are several networks, or OpenMP is on.
    """
    from ann_ckpt.adapters.brian2.standalone import NextBuild, network_of

    return load(path, network=NextBuild(*network_of(device, network, ran=False)))
