"""A compiled ANNarchy network as a source and a sink."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ann_ckpt.adapters.annarchy.bindings import Bindings
from ann_ckpt.adapters.annarchy.calling import Every
from ann_ckpt.adapters.annarchy.population import LivePopulation
from ann_ckpt.adapters.annarchy.projection import LiveProjection
from ann_ckpt.adapters.protocol import Reading
from ann_ckpt.model import Array, NetworkState, ProjectionState
from ann_ckpt.report import Note
from ann_ckpt.selection import EVERYTHING, Selection

__all__ = ["AnnarchySimulator"]


class AnnarchySimulator:
    """Reads and writes the live objects themselves, never through ANNarchy's save and load.

    Meets :class:`~ann_ckpt.adapters.protocol.Simulator`.

    Parameters
    ----------
    bindings : Bindings
        A compiled network of any generation of ANNarchy.
    """

    def __init__(self, bindings: Bindings) -> None:
        self._bindings = bindings

    @property
    def label(self) -> str:
        """Name and version, such as ``ANNarchy 5.0.4.1``."""
        return f"ANNarchy {self._bindings.release}"

    def read(self, selection: Selection = EVERYTHING) -> Reading:
        """Return the selected part of the network, with notes on what cannot be saved.

        A network without a note on resuming continues exactly after loading.
        """
        populations = [self._population(n) for n in selection.pick("populations", self._bindings.populations)]
        projections = [self._projection(n) for n in selection.pick("projections", self._bindings.projections)]
        state = NetworkState(
            populations={p.name: p.state() for p in populations if p.saveable},
            projections={p.name: p.state() for p in projections if p.saveable},
            constants={n: np.array(float(c.value)) for n, c in self._bindings.constants.items()},
            time_step=self._bindings.time_step(),
            dt=float(self._bindings.setting("dt")),
            seed=self._bindings.seed,
        )
        return Reading(state, tuple(self._notes(populations, projections)))

    @staticmethod
    def _notes(populations: list[LivePopulation], projections: list[LiveProjection]) -> Iterator[Note]:
        for population in populations:
            yield from population.notes()
        for projection in projections:
            yield from projection.notes()

    def _population(self, name: str) -> LivePopulation:
        return LivePopulation(self._bindings, self._bindings.populations[name])

    def _projection(self, name: str) -> LiveProjection:
        return LiveProjection(self._bindings, self._bindings.projections[name])

    def call_every(self, period: float, call: Callable[[], None]) -> Callable[[], None]:
        """Call between two steps whenever the simulated time is a multiple of ``period`` ms.

        ANNarchy does so during ``simulate``, not during ``step`` or ``simulate_until``.
        """
        dt = float(self._bindings.setting("dt"))
        every = Every(max(1, round(period / dt)), dt, self._bindings.time_step, call)
        return every.install(self._bindings.callbacks)

    def refusal(self, projection: ProjectionState) -> str | None:
        """Say why ``projection`` cannot be put in place of the live one of its name."""
        return self._projection(projection.name).refusal(projection)

    def set_time_step(self, time_step: int) -> None:
        """Set the clock, and drop what is on its way in the network from another time."""
        has_run = self._bindings.time_step() > 0
        for population in map(self._population, self._bindings.populations):
            population.forget()
        for projection in map(self._projection, self._bindings.projections):
            if projection.saveable:
                projection.forget(has_run=has_run)
        self._bindings.set_time_step(time_step)

    def set_constant(self, name: str, value: NDArray[Any]) -> None:
        """Set a constant in this network only."""
        self._bindings.set_constant(name, float(value))

    def set_population_attribute(self, population: str, attribute: str, values: Array) -> None:
        """Set one attribute of a population."""
        self._population(population).set(attribute, values)

    def set_projection_attribute(self, projection: str, attribute: str, values: Array) -> None:
        """Set one attribute of a projection, row by row."""
        self._projection(projection).set(attribute, values)

    def set_delays(self, projection: str, delays: int | Array) -> None:
        """Set delays in steps."""
        self._projection(projection).set_delays(delays)

    def connect(self, projection: ProjectionState) -> None:
        """Replace the live projection's synapses, with their weights and delays."""
        self._projection(projection.name).connect(projection)
