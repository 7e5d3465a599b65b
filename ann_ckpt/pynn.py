"""Networks of PyNN: names for populations and projections, and networks made from files, on any backend.

    import pyNN.nest as sim
    import ann_ckpt.pynn

    net = ann_ckpt.pynn.network(sim, {"E": E, "I": I}, {"E_to_I": connected})
    ann_ckpt.save("net.h5", network=net)

    import pyNN.neuron
    net = ann_ckpt.pynn.build("net.h5", pyNN.neuron)

PyNN shows connectivity, weights, delays and parameters, and no state.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import ModuleType
from typing import Any

from ann_ckpt.adapters.pynn import PynnNetwork, adapt, built, check_backend
from ann_ckpt.selection import EVERYTHING
from ann_ckpt.store.opening import PathLike, stored_reading

__all__ = ["PynnNetwork", "adapt", "build", "network"]


def network(
    sim: ModuleType, populations: Mapping[str, Any], projections: Mapping[str, Any] | None = None
) -> PynnNetwork:
    """Name populations and projections of PyNN, for every call that takes ``network=``.

    Parameters
    ----------
    sim : module
        The backend: ``pyNN.nest``, ``pyNN.neuron``, ``pyNN.brian2``.
    populations : mapping of str to Population
    projections : mapping of str to Projection, optional
        Between them, or between views of them.

    Raises
    ------
    OptionError
        If something is of another kind or backend, or stands under two names, or a projection begins or ends
        at what has no name.
    SimulatorError
        If the backend was set up anew since something was made.
    """
    return PynnNetwork(sim, populations, {} if projections is None else projections)


def build(filename: PathLike, sim: ModuleType | None = None, **setup: Any) -> PynnNetwork:
    """Make the network of a file with PyNN.

    Parameters
    ----------
    filename : path-like
        As :func:`ann_ckpt.load` takes it: a checkpoint, or a store for its newest one.
    sim : module, optional
        The backend; that which wrote the file by default.
    **setup
        For the backend's ``setup``, which is called with the time step and delays of the file.

    Returns
    -------
    PynnNetwork
        ``.populations[name]`` and ``.projections[name]`` are PyNN's. Its time begins at 0, and variables have
        their initial values.

    Raises
    ------
    OptionError
        If ``sim`` is no backend.
    SimulatorError
        If the file is not of a network of PyNN, or the backend lacks a model, refuses it, or makes something
        else of it.
    MissingExtraError
        Without PyNN, which the extra ``pynn`` brings, or without the backend's simulator.
    CorruptFileError
        If the file is damaged.
    """
    if sim is not None:
        check_backend(sim)
    with stored_reading(filename, EVERYTHING) as reading:
        return built(reading.state, sim, setup)
