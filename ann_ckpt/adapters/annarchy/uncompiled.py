"""What an ANNarchy network declares before it is compiled: names, types and first values."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ann_ckpt.adapters.annarchy.adapt import numbered
from ann_ckpt.adapters.annarchy.describe import Declared, declared, described
from ann_ckpt.model import Locality, TypeInfo

__all__ = ["DeclaredNetwork", "DeclaredObject", "declared_network"]


@dataclass(frozen=True, slots=True, eq=False)
class DeclaredObject:
    """One population or projection."""

    name: str
    kind: TypeInfo
    attributes: tuple[Declared, ...]
    values: dict[str, NDArray[Any]]
    """First values: shape ``()`` where all share one, the geometry for one per neuron.
    Nothing for what has one per dendrite or synapse, whose number is not known yet."""
    geometry: tuple[int, ...] | None
    """None for a projection."""


@dataclass(frozen=True, slots=True, eq=False)
class DeclaredNetwork:
    """All that a network declares."""

    populations: tuple[DeclaredObject, ...]
    projections: tuple[DeclaredObject, ...]
    constants: dict[str, float]
    dt: float


def declared_network(network: Any, net_id: int = 0) -> DeclaredNetwork | None:
    """Return what a network declares; None for anything but a network of a known ANNarchy.

    Parameters
    ----------
    network : ANNarchy.Network or None
        None stands for the network number ``net_id``, as ANNarchy 4.8 keeps them.
    """
    annarchy = sys.modules.get("ANNarchy")
    if annarchy is None or not (network is None or isinstance(network, annarchy.Network)):
        return None
    generation = tuple(str(annarchy.__release__).split(".")[:2])
    if generation == ("5", "0"):
        from ANNarchy.intern.NetworkManager import NetworkManager

        if network is None:
            networks = NetworkManager().get_networks()
            network = numbered(networks, net_id) if 0 <= net_id < len(networks) and networks[net_id] else None
        if network is None:
            return None
        populations, projections = network.get_populations(), network.get_projections()
        constants, dt = network.get_constants(), network.dt
    elif generation == ("4", "8"):
        from ANNarchy.intern import ConfigManagement, GlobalObjects
        from ANNarchy.intern.NetworkManager import NetworkManager

        manager, number = NetworkManager(), net_id if network is None else network.id
        populations = manager.get_populations(net_id=number)
        projections = manager.get_projections(net_id=number)
        constants = GlobalObjects.GlobalObjectManager().get_constants()
        dt = ConfigManagement.get_global_config("dt")
    else:
        return None
    return DeclaredNetwork(
        tuple(_object(p, p.neuron_type, tuple(p.geometry)) for p in populations),
        tuple(_object(p, p.synapse_type, None) for p in projections),
        {str(c.name): float(c.value) for c in constants},
        float(dt),
    )


def _object(owner: Any, kind: Any, geometry: tuple[int, ...] | None) -> DeclaredObject:
    attributes = declared(kind.description)
    return DeclaredObject(
        str(owner.name),
        described(kind, attributes),
        attributes,
        dict(_values(owner.init, attributes, geometry)),
        geometry,
    )


def _values(
    init: Any, attributes: tuple[Declared, ...], geometry: tuple[int, ...] | None
) -> Iterator[tuple[str, NDArray[Any]]]:
    for attribute in attributes:
        shape = () if attribute.locality is Locality.GLOBAL else geometry
        first = init.get(attribute.name)
        if shape is None or first is None:
            continue
        try:
            yield attribute.name, np.array(np.broadcast_to(np.asarray(first, attribute.dtype), shape))
        except (TypeError, ValueError):
            # Drawn at random when the network is compiled, or flat.
            array = np.asarray(first) if isinstance(first, list | np.ndarray) else np.zeros(())
            fits = array.size == np.prod(shape, dtype=int)
            yield attribute.name, array.astype(attribute.dtype).reshape(shape) if fits else np.zeros(shape)
