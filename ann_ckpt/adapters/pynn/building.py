"""A network made with PyNN, from a state, on the backend that wrote it or on another one."""

from __future__ import annotations

from collections.abc import Mapping
from types import ModuleType
from typing import Any

import numpy as np

from ann_ckpt.adapters.pynn.network import PynnNetwork, pynn
from ann_ckpt.adapters.pynn.simulator import DELAY, INITIAL, METADATA, WEIGHT, PynnSimulator, as_given, close
from ann_ckpt.errors import CheckpointError, SimulatorError, printable
from ann_ckpt.model import NetworkState, PopulationState, ProjectionState

__all__ = ["built"]

_BACKENDS = ("pyNN.brian2", "pyNN.nest", "pyNN.neuron")


def built(
    state: NetworkState, sim: ModuleType | None = None, options: Mapping[str, Any] | None = None
) -> PynnNetwork:
    """Make the network of a state; see :func:`ann_ckpt.pynn.build`.

    Raises
    ------
    SimulatorError
        If the state is not of PyNN, or the backend lacks a model, refuses it, or makes something else.
    """
    about = state.metadata.get(METADATA)
    if not isinstance(about, Mapping) or not isinstance(about.get("synapses"), Mapping) or state.dt is None:
        raise SimulatorError("the state does not say of which models of PyNN it is")
    backend: Any = _backend(about) if sim is None else sim
    labels = {group: about.get("labels", {}).get(group, {}) for group in ("populations", "projections")}
    try:
        given = {n: float(about[n]) for n in ("min_delay", "max_delay") if n in about}
        backend.setup(**{"timestep": state.dt, **given, **(options or {})})
        populations = {
            n: _population(backend, one, labels["populations"].get(n)) for n, one in state.populations.items()
        }
        projections = {
            n: _projection(
                backend, one, about["synapses"][n], populations, labels["projections"].get(n), state.dt
            )
            for n, one in state.projections.items()
        }
        network = PynnNetwork(backend, populations, projections)
        _compare(network, state)
    except CheckpointError:
        raise
    except Exception as error:
        why = printable(f"{type(error).__name__}: {error}", 300)
        raise SimulatorError(f"{backend.__name__} cannot make this network: {why}") from error
    return network


def _backend(about: Mapping[str, Any]) -> Any:
    name = about.get("backend")
    if name not in _BACKENDS:
        raise SimulatorError(
            f"the state is of the backend {printable(str(name), 60)!r}",
            details={"hint": "say on which one the network is to be made", "known": ", ".join(_BACKENDS)},
        )
    return pynn(str(name))


def _model(sim: Any, name: object) -> Any:
    """Return a standard model of a backend; other names are not looked at."""
    found = getattr(sim, name, None) if isinstance(name, str) else None
    if not isinstance(found, type) or not issubclass(found, pynn("pyNN.standardmodels").StandardModelType):
        raise SimulatorError(f"{sim.__name__} has no standard model {printable(str(name), 60)!r}")
    return found


def _population(sim: Any, stored: PopulationState, label: str | None) -> Any:
    if stored.neuron_type is None:
        raise SimulatorError(f"{printable(stored.name)!r} does not say of which model it is")
    values = {name: as_given(np.asarray(stored[name])) for name in stored}
    cell = _model(sim, stored.neuron_type.name)(
        **{n: v for n, v in values.items() if not n.startswith(INITIAL)}
    )
    population = sim.Population(stored.size, cell, label=label or stored.name)
    if initial := {n.removeprefix(INITIAL): v for n, v in values.items() if n.startswith(INITIAL)}:
        population.initialize(**initial)
    return population


def _projection(
    sim: Any,
    stored: ProjectionState,
    about: Mapping[str, Any],
    populations: Mapping[str, Any],
    label: str | None,
    dt: float,
) -> Any:
    parts = {
        n: _model(sim, one["class"])(**one["parameters"])
        for n, one in about.items()
        if n.endswith("_dependence")
    }
    synapse = _model(sim, about["class"])(**about["parameters"], **parts)
    rows = stored.connectivity
    post = np.repeat(rows.post_ranks, rows.row_sizes)
    ms = stored[DELAY] if DELAY in stored else np.asarray(1 if stored.delays is None else stored.delays) * dt
    columns = (rows.pre_ranks, post, stored[WEIGHT], ms)
    table = np.stack([np.broadcast_to(np.asarray(one, np.float64), post.shape) for one in columns], axis=1)
    return sim.Projection(
        populations[stored.pre],
        populations[stored.post],
        sim.FromListConnector(table, column_names=("weight", "delay")),
        synapse,
        receptor_type=stored.target,
        label=label or stored.name,
    )


def _compare(network: PynnNetwork, state: NetworkState) -> None:
    """Look at what became of the state: not all that a backend takes does it use as it is."""
    simulator = PynnSimulator(network)
    here = simulator.read().state
    for name, stored in state.projections.items():
        made = here.projections[name]
        if not made.connectivity.equals(stored.connectivity):
            raise SimulatorError(
                f"{simulator.label} made other synapses of {printable(name)!r} than the file has"
            )
        if stored.delays is not None and not np.array_equal(stored.delays, np.asarray(made.delays)):
            raise SimulatorError(
                f"{simulator.label} made other delays of {printable(name)!r} than the file has"
            )
        wanted = np.asarray(stored[WEIGHT])
        if not close(wanted, made[WEIGHT]):
            simulator.set_attributes(stored, {WEIGHT: wanted})
    here = simulator.read().state
    for group, live in ((state.populations, here.populations), (state.projections, here.projections)):
        for name, one in group.items():
            # What a backend does not show cannot be compared.
            shown = [n for n in one if n in live[name]]
            if wrong := [n for n in shown if not close(np.asarray(one[n]), live[name][n])]:
                raise SimulatorError(
                    f"{simulator.label} made other values of {printable(name)!r}: {', '.join(wrong)}"
                )
