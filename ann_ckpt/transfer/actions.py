"""The actions of a load plan: each is one call to a simulator."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from ann_ckpt.adapters.protocol import (
    ExactSimulator,
    Owner,
    Records,
    SetsPathwayDelays,
    SetsTogether,
    Simulator,
)
from ann_ckpt.errors import printable
from ann_ckpt.model import (
    Array,
    Attribute,
    Connectivity,
    PopulationState,
    ProjectionState,
    Recording,
    nbytes,
)

__all__ = [
    "Action",
    "Connect",
    "Reseed",
    "SetAttributes",
    "SetConstant",
    "SetDelays",
    "SetDynamics",
    "SetPathwayDelays",
    "SetPopulationAttribute",
    "SetProjectionAttribute",
    "SetRecording",
    "SetTimeStep",
    "Watch",
]

Watch = Callable[[Array], Array]
"""Wraps an array so that somebody learns how much of it has been taken."""


@dataclass(frozen=True, slots=True, eq=False)
class Action(ABC):
    """One call to a simulator."""

    path: str
    """What is set: ``projections/ff/w``."""

    @property
    def arrays(self) -> tuple[Array, ...]:
        """The values handed over."""
        return ()

    @property
    def loads(self) -> tuple[str, ...]:
        """Paths that a report lists as loaded."""
        return (self.path,)

    @property
    def nbytes(self) -> int:
        """Bytes of all values handed over."""
        return sum(nbytes(array) for array in self.arrays)

    @abstractmethod
    def apply(self, simulator: Simulator, watch: Watch) -> None:
        """Make the call."""

    def __str__(self) -> str:
        shapes = ", ".join(f"{array.dtype} {array.shape}" for array in self.arrays)
        return f"{self._verb} {printable(self.path)}" + (f" ({shapes})" if shapes else "")

    @property
    def _verb(self) -> str:
        return "set"


@dataclass(frozen=True, slots=True, eq=False)
class SetTimeStep(Action):
    """Set the clock."""

    time_step: int

    def apply(self, simulator: Simulator, watch: Watch) -> None:
        """Make the call."""
        simulator.set_time_step(self.time_step)


@dataclass(frozen=True, slots=True, eq=False)
class _SetValues(Action):
    """Set one thing from one array."""

    name: str
    values: Array

    @property
    def arrays(self) -> tuple[Array, ...]:
        """The values handed over."""
        return (self.values,)


@dataclass(frozen=True, slots=True, eq=False)
class SetConstant(_SetValues):
    """Set a network constant."""

    def apply(self, simulator: Simulator, watch: Watch) -> None:
        """Make the call."""
        simulator.set_constant(self.name, np.asarray(watch(self.values)))


@dataclass(frozen=True, slots=True, eq=False)
class SetPopulationAttribute(_SetValues):
    """Set one attribute of a population."""

    population: str

    def apply(self, simulator: Simulator, watch: Watch) -> None:
        """Make the call."""
        simulator.set_population_attribute(self.population, self.name, watch(self.values))


@dataclass(frozen=True, slots=True, eq=False)
class SetProjectionAttribute(_SetValues):
    """Set one attribute of a projection."""

    projection: str

    def apply(self, simulator: Simulator, watch: Watch) -> None:
        """Make the call."""
        simulator.set_projection_attribute(self.projection, self.name, watch(self.values))


@dataclass(frozen=True, slots=True, eq=False)
class SetAttributes(Action):
    """Set all attributes of one object at once."""

    together: SetsTogether
    stored: PopulationState | ProjectionState
    values: Mapping[str, Array]

    @property
    def arrays(self) -> tuple[Array, ...]:
        """The values handed over."""
        return tuple(self.values.values())

    @property
    def loads(self) -> tuple[str, ...]:
        """Paths that a report lists as loaded."""
        return tuple(f"{self.path}/{name}" for name in self.values)

    def apply(self, simulator: Simulator, watch: Watch) -> None:
        """Make the call."""
        self.together.set_attributes(self.stored, {name: watch(a) for name, a in self.values.items()})


@dataclass(frozen=True, slots=True, eq=False)
class SetDelays(Action):
    """Set the delays of a projection that keeps its synapses."""

    projection: str
    delays: int | Array

    @property
    def arrays(self) -> tuple[Array, ...]:
        """The values handed over."""
        return () if isinstance(self.delays, int) else (self.delays,)

    def apply(self, simulator: Simulator, watch: Watch) -> None:
        """Make the call."""
        delays = self.delays if isinstance(self.delays, int) else watch(self.delays)
        simulator.set_delays(self.projection, delays)


@dataclass(frozen=True, slots=True, eq=False)
class SetPathwayDelays(Action):
    """Set delays of pathways of a projection that keeps its synapses."""

    taker: SetsPathwayDelays
    projection: str
    delays: Mapping[str, Array]

    @property
    def arrays(self) -> tuple[Array, ...]:
        """The values handed over."""
        return tuple(self.delays.values())

    @property
    def loads(self) -> tuple[str, ...]:
        """Paths that a report lists as loaded."""
        return tuple(f"{self.path}/{name}" for name in self.delays)

    def apply(self, simulator: Simulator, watch: Watch) -> None:
        """Make the call."""
        self.taker.set_pathway_delays(self.projection, {n: watch(a) for n, a in self.delays.items()})


@dataclass(frozen=True, slots=True, eq=False)
class Reseed(Action):
    """Reseed the random generators as the saved network was."""

    exact: ExactSimulator
    seed: int

    def apply(self, simulator: Simulator, watch: Watch) -> None:
        """Make the call."""
        self.exact.reseed(self.seed)


@dataclass(frozen=True, slots=True, eq=False)
class SetDynamics(Action):
    """Set the dynamics of one object, or of the network."""

    exact: ExactSimulator
    stored: Owner

    @property
    def arrays(self) -> tuple[Array, ...]:
        """The values handed over."""
        return tuple(self.stored.dynamics.values())

    @property
    def loads(self) -> tuple[str, ...]:
        """Paths that a report lists as loaded."""
        return tuple(f"{self.path}/{name}" for name in self.stored.dynamics)

    def apply(self, simulator: Simulator, watch: Watch) -> None:
        """Make the call."""
        self.exact.set_dynamics(self.stored, {n: watch(a) for n, a in self.stored.dynamics.items()})


@dataclass(frozen=True, slots=True, eq=False)
class SetRecording(Action):
    """Let a monitor go on from what it recorded."""

    taker: Records
    stored: Recording

    @property
    def arrays(self) -> tuple[Array, ...]:
        """The values handed over."""
        return tuple(array for series in self.stored.values() for _, array in series.arrays)

    def apply(self, simulator: Simulator, watch: Watch) -> None:
        """Make the call."""
        watched = {
            variable: replace(series, **{name: watch(array) for name, array in series.arrays})
            for variable, series in self.stored.items()
        }
        self.taker.set_recording(replace(self.stored, series=watched))


@dataclass(frozen=True, slots=True, eq=False)
class Connect(Action):
    """Replace the synapses of a projection, with their weights and delays."""

    projection: ProjectionState
    """Only what fits; the other attributes are set by actions of their own."""

    @property
    def arrays(self) -> tuple[Array, ...]:
        """The values handed over."""
        synapses, delays = self.projection.connectivity, self.projection.delays
        perhaps = () if delays is None or isinstance(delays, int) else (delays,)
        weights = (self.projection["w"],) if "w" in self.projection else ()
        order = () if self.projection.order is None else (self.projection.order,)
        pathways = self.projection.pathway_delays.values()
        return (
            synapses.post_ranks,
            synapses.row_ptr,
            synapses.pre_ranks,
            *weights,
            *perhaps,
            *pathways,
            *order,
        )

    @property
    def loads(self) -> tuple[str, ...]:
        """Paths that a report lists as loaded."""
        return (f"{self.path}/w",) if "w" in self.projection else ()

    def apply(self, simulator: Simulator, watch: Watch) -> None:
        """Make the call."""
        state = self.projection
        synapses = state.connectivity
        watched = replace(
            state,
            connectivity=Connectivity(synapses.post_ranks, synapses.row_ptr, watch(synapses.pre_ranks)),
            parameters={name: self._watched(name, a, watch) for name, a in state.parameters.items()},
            variables={name: self._watched(name, a, watch) for name, a in state.variables.items()},
            delays=state.delays
            if state.delays is None or isinstance(state.delays, int)
            else watch(state.delays),
            pathway_delays={name: watch(delays) for name, delays in state.pathway_delays.items()},
            order=None if state.order is None else watch(state.order),
        )
        simulator.connect(watched)

    @staticmethod
    def _watched(name: str, attribute: Attribute, watch: Watch) -> Attribute:
        """Only the weights are taken by this call."""
        return Attribute(watch(attribute.values), attribute.locality) if name == "w" else attribute

    @property
    def _verb(self) -> str:
        return "rebuild"
