"""A network made in an empty kernel, from a state."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ann_ckpt.adapters.nest.keeping import LastSteps
from ann_ckpt.adapters.nest.kernel import kernel, node_ids
from ann_ckpt.adapters.nest.network import NestNetwork
from ann_ckpt.adapters.nest.nodes import POSITION, NestNodes, move
from ann_ckpt.adapters.nest.replay import replay
from ann_ckpt.adapters.nest.simulator import METADATA
from ann_ckpt.adapters.nest.synapses import WEIGHT, differ
from ann_ckpt.errors import CheckpointError, SimulatorError, printable
from ann_ckpt.model import Locality, NetworkState, PopulationState, ProjectionState

__all__ = ["built", "stable_order"]

_AT_ONCE = 1 << 20
"""Synapses in one call of Connect, whose arrays are copied."""
_EXTREMES = ("min_delay", "max_delay")
_REFUSALS = (AttributeError, TypeError, KeyError, ValueError)
"""What NEST's functions raise, besides its own errors, where names or values are not theirs."""
_FAST = {"delay", "receptor_type", "weight"}
"""What NEST takes with each synapse, and not as a value of its model."""


def built(state: NetworkState, *, again: bool = True) -> NestNetwork:
    """Make the network of a state: nodes in the order of their numbers, then synapses by source.

    NEST sorts synapses by source when it simulates. Connected in that order they stay as they are, so that
    several between the same neurons keep theirs.

    Parameters
    ----------
    state : NetworkState
    again : bool
        Go through what was kept of the last milliseconds once more.

    Raises
    ------
    SimulatorError
        If the kernel is not empty, the state is not of NEST, a model is not known here, or NEST refuses it.
    """
    nest = kernel()
    if nest.network_size:
        raise SimulatorError(
            f"the kernel has {nest.network_size} nodes, and a network is made in an empty one",
            details={"hint": "nest.ResetKernel() empties it"},
        )
    about = state.metadata.get(METADATA)
    if not isinstance(about, Mapping) or not isinstance(about.get("nodes"), Mapping):
        raise SimulatorError("the state does not say of which models of NEST it is")
    try:
        _prepare(nest, state, about)
        nodes = _nodes(nest, state, about["nodes"])
        devices = [name for name in about.get("devices", ()) if name in nodes]
        network = NestNetwork({}, {})  # nothing to be checked: all was made here
        network.populations.update({n: c for n, c in nodes.items() if n not in devices})
        network.devices.update({n: nodes[n] for n in devices})
        for population in state.populations.values():
            _set(network, population)
        if state.time_step is not None:
            move(network, state.time_step)
        for model, projections in _by_model(state).items():
            _connect(nest, nodes, model, projections)
        if again:
            _replay(network, state)
    except BaseException as error:
        nest.ResetKernel()  # half a network would be in the way of the next try
        if isinstance(error, CheckpointError) or not isinstance(error, (*_REFUSALS, nest.NESTError)):
            raise
        raise SimulatorError(
            f"NEST cannot make this network: {printable(str(error), 300)}",
            details={"kernel": "it is empty again"},
        ) from error
    return network


def _replay(network: NestNetwork, state: NetworkState) -> None:
    """Go through what was kept of the last milliseconds."""
    if (fault := LastSteps.refuse(state.dynamics, network.populations, state.time_step or 0)) is not None:
        raise SimulatorError(f"what was kept to be replayed cannot be: {fault}")
    if (window := LastSteps.of(state.dynamics)) is not None:
        replay(network, state, window)
        for nodes in network.devices.values():
            first = nodes[0].get()
            if first["element_type"] == "recorder" and first["record_to"] == "memory":
                nodes.n_events = 0


def _prepare(nest: Any, state: NetworkState, about: Mapping[str, Any]) -> None:
    """Give the kernel the settings that the network was made with."""
    wanted = dict(about.get("kernel", {}))
    extremes = {name: wanted.pop(name) for name in _EXTREMES if name in wanted}
    if state.dt is not None:
        wanted["resolution"] = state.dt
    wanted = {name: value for name, value in wanted.items() if getattr(nest, name) != value}
    if wanted:
        nest.set(**wanted)
    if state.seed:
        nest.rng_seed = state.seed
    if len(extremes) == len(_EXTREMES) and state.projections:
        nest.set(**extremes)


def _nodes(nest: Any, state: NetworkState, about: Mapping[str, Any]) -> dict[str, Any]:
    """Create all nodes in the order of their numbers, on which it depends which thread has a neuron."""
    if lost := [name for name in state.populations if name not in about]:
        raise SimulatorError(f"the state does not say of which model {printable(lost[0])!r} is")
    ranges = sorted((first, last, name) for name in state.populations for first, last in about[name]["runs"])
    done: dict[str, Any] = {}
    for first, last, name in ranges:
        one, population = about[name], state.populations[name]
        if one["model"] not in nest.node_models:
            if one["base"] not in nest.node_models:
                raise SimulatorError(f"NEST has no model {printable(one['base'])!r} here")
            nest.CopyModel(one["base"], one["model"])
        given = dict(one.get("options", {}))
        if "record_from" in one:
            given["record_from"] = list(one["record_from"])
        before = 0 if name not in done else len(done[name])
        positions = None
        if POSITION in population:
            places = np.asarray(population[POSITION])[before : before + last - first + 1]
            positions = nest.spatial.free(places.tolist())
        made = nest.Create(one["model"], last - first + 1, given or None, positions)
        done[name] = made if name not in done else done[name] + made
    for name, nodes in done.items():
        if len(nodes) != state.populations[name].size:
            raise SimulatorError(f"{printable(name)!r} has other neurons than the state says")
    return {name: done[name] for name in state.populations}


def _set(network: NestNetwork, stored: PopulationState) -> None:
    """Give nodes their values; what NEST refuses is an error of its own, and the kernel is emptied."""
    NestNodes(network, stored.name).set({name: stored[name] for name in stored})
    if not stored.dynamics:
        return
    live = NestNodes(network, stored.name)
    if (why := live.refuse_dynamics(stored.dynamics)) is not None:
        raise SimulatorError(f"populations/{printable(stored.name)}: {why}")
    live.set_dynamics(stored.dynamics)


def _connect(nest: Any, nodes: Mapping[str, Any], model: str, projections: list[ProjectionState]) -> None:
    """Connect all synapses of one model, by source.

    NEST sorts the synapses of a model by source before it simulates, and those between the same neurons may
    change places. What is sorted already stays as it is.
    """
    if model not in nest.synapse_models:
        raise SimulatorError(
            f"NEST has no synapse model {printable(model)!r} here",
            details={"hint": "nest.CopyModel, as the script did that made the network"},
        )
    ids = {name: node_ids(collection).astype(np.uint32) for name, collection in nodes.items()}
    rows = [one.connectivity for one in projections]
    pre = _joined([ids[p.pre][np.asarray(r.pre_ranks)] for p, r in zip(projections, rows, strict=True)])
    post = _joined(
        [np.repeat(ids[p.post][r.post_ranks], r.row_sizes) for p, r in zip(projections, rows, strict=True)]
    )
    common, same, columns = _values(nest, projections)
    if common:
        nest.SetDefaults(model, common)
    order = None if np.all(pre[1:] >= pre[:-1]) else stable_order(pre)
    if same and "weight" in columns:
        # By its sign some models judge their bounds.
        same["weight"] = columns["weight"][0].item()
    before = {name: nest.GetDefaults(model)[name] for name in same}
    if same:
        nest.SetDefaults(model, same)
    try:
        for start in range(0, pre.size, _AT_ONCE):
            part = slice(start, start + _AT_ONCE) if order is None else order[start : start + _AT_ONCE]
            given = {name: values[part] for name, values in columns.items()}
            nest.Connect(pre[part], post[part], "one_to_one", {**given, "synapse_model": model})
    finally:
        if same:
            nest.SetDefaults(model, before)


def _values(
    nest: Any, projections: list[ProjectionState]
) -> tuple[dict[str, Any], dict[str, Any], dict[str, NDArray[Any]]]:
    """Return what synapses of one model are given, by NEST's names.

    Returns
    -------
    common : dict
        What all synapses of the model in the kernel share.
    same : dict
        What each synapse has for itself, and all have the same of. NEST takes it as a default in no time, and
        in arrays in a microsecond for each synapse.
    columns : dict of arrays, shape (synapses,)
        All else.
    """
    common: dict[str, Any] = {}
    parts: dict[str, list[NDArray[Any]]] = {}
    for number, one in enumerate(projections):
        given: dict[str, NDArray[Any]] = {}
        if receptor := int(one.target or 0):
            given["receptor_type"] = np.array(receptor)
        if one.delays is not None:
            given["delay"] = np.asarray(one.delays) * float(nest.resolution)
        for name, attribute in one.attributes.items():
            theirs, values = "weight" if name == WEIGHT else name, np.asarray(attribute.values)
            if attribute.locality is Locality.GLOBAL:
                common[theirs] = values.item()
            else:
                given[theirs] = values
        for name in given.keys() | parts.keys():
            values = given.get(name, np.zeros(()))
            missing = [np.zeros(p.n_synapses) for p in projections[:number]]
            parts.setdefault(name, missing).append(np.broadcast_to(values, (one.n_synapses,)))
    same, columns = {}, {}
    for name, arrays in parts.items():
        first = [array[:1] for array in arrays if array.size]
        if name not in _FAST and first and not any(np.any(differ(array, first[0])) for array in arrays):
            same[name] = first[0].item()
        else:
            columns[name] = _joined(arrays)
    return common, same, columns


def _joined(parts: list[NDArray[Any]]) -> NDArray[Any]:
    return np.concatenate(parts) if len(parts) > 1 else parts[0]


def stable_order(numbers: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return what ``np.argsort(numbers, kind="stable")`` does, in a fifth of the time.

    Parameters
    ----------
    numbers : array, shape (n,)
        From 0 to 2**32 - 1. numpy sorts those of 16 bits without comparing them, so that there are two turns.
    """
    order: NDArray[np.int64] = np.argsort(numbers.astype(np.uint16), kind="stable")
    if np.any(upper := (numbers >> 16).astype(np.uint16)):
        order = order[np.argsort(upper[order], kind="stable")]
    return order


def _by_model(state: NetworkState) -> dict[str, list[ProjectionState]]:
    found: dict[str, list[ProjectionState]] = {}
    for stored in state.projections.values():
        if stored.synapse_type is None:
            raise SimulatorError(f"{printable(stored.name)!r} does not say of which model it is")
        found.setdefault(stored.synapse_type.name, []).append(stored)
    return found
