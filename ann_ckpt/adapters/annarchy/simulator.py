"""A compiled ANNarchy network as a source and a sink."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ann_ckpt.adapters.annarchy.bindings import Bindings
from ann_ckpt.adapters.annarchy.classes import known_projection
from ann_ckpt.adapters.annarchy.exactness import GENERATOR, NOT_INSTRUMENTED, resuming
from ann_ckpt.adapters.annarchy.filters import LiveFilters
from ann_ckpt.adapters.annarchy.monitors import clock_is_set, live_monitors
from ann_ckpt.adapters.annarchy.population import LivePopulation
from ann_ckpt.adapters.annarchy.projection import LiveProjection
from ann_ckpt.adapters.annarchy.rng import (
    DEFAULT,
    TWISTERS,
    barrier_seed,
    default_array,
    invalid_generators,
    set_default,
    twister_array,
    twister_texts,
)
from ann_ckpt.adapters.protocol import Clock, Reading
from ann_ckpt.errors import printable
from ann_ckpt.model import Array, NetworkState, PopulationState, ProjectionState, Recording
from ann_ckpt.report import Note
from ann_ckpt.selection import EVERYTHING, Selection

__all__ = [
    "AnnarchySimulator",
    "Every",
]


class Every:
    """What ANNarchy keeps for each ``@every``, on the clock of the whole simulation.

    ANNarchy counts periods from the start of each call to ``simulate``. This counts
    them from time step 0, so that it does not matter how a script cuts its simulation
    into calls: the offset, asked for when one starts, leads to the next multiple.

    Parameters
    ----------
    steps : int
        Period in steps.
    dt : float
        Length of a step in ms.
    time_step : callable
        Returns the steps simulated so far.
    call : callable
        What is called.
    """

    wait = 0.0

    def __init__(self, steps: int, dt: float, time_step: Callable[[], int], call: Callable[[], None]) -> None:
        self._steps = steps
        self._dt = dt
        self._time_step = time_step
        self._call = call

    # ANNarchy cuts these off after dividing by dt; the half step keeps 0.3 / 0.1 from being 2.

    @property
    def period(self) -> float:
        """Period in ms."""
        return (self._steps + 0.5) * self._dt

    @property
    def offset(self) -> float:
        """Time from now to the next multiple of the period, in ms."""
        return (-self._time_step() % self._steps + 0.5) * self._dt

    def func(self, _count: int) -> None:
        """Make the call."""
        self._call()

    def install(self, callbacks: list[Any]) -> Callable[[], None]:
        """Join the network's callbacks; return what leaves them again."""
        callbacks.append(self)

        def leave() -> None:
            callbacks[:] = [c for c in callbacks if c is not self]

        return leave


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
        self._reseeded: int | None = None

    @property
    def label(self) -> str:
        """Name and version, such as ``ANNarchy 5.0.4.1``."""
        return f"ANNarchy {self._bindings.release}"

    @property
    def identity(self) -> object:
        """What no other network has: its first population."""
        return next(iter(self._bindings.populations.values()), self)

    def read(self, selection: Selection = EVERYTHING) -> Reading:
        """Return the selected part of the network, with notes on what cannot be saved.

        What the state says about resuming is not said again in the notes.
        """
        populations = [self._population(n) for n in selection.pick("populations", self._bindings.populations)]
        projections = [self._projection(n) for n in selection.pick("projections", self._bindings.projections)]
        again = self._reseeded is not None
        state = NetworkState(
            populations={p.name: p.state(reseeded=again) for p in populations if p.saveable},
            projections={p.name: p.state(reseeded=again) for p in projections if p.saveable},
            constants={n: np.array(float(c.value)) for n, c in self._bindings.constants.items()},
            time_step=self._bindings.time_step(),
            dt=float(self._bindings.setting("dt")),
            seed=self._bindings.seed,
            dynamics=self._dynamics(),
            resume=resuming(self._hidden(populations, projections), reseeded=again),
            reseeded=self._reseeded,
        )
        return Reading(state, tuple(self._notes(populations, projections)))

    def clock(self) -> Clock:
        """Return the time step, and the length of a step in ms."""
        return Clock(self._bindings.time_step(), float(self._bindings.setting("dt")))

    def _notes(
        self, populations: list[LivePopulation], projections: list[LiveProjection | LiveFilters]
    ) -> Iterator[Note]:
        named_alike = [(p.path, p.name, self._bindings.populations[p.name].name) for p in populations]
        named_alike += [(p.path, p.name, self._bindings.projections[p.name].name) for p in projections]
        for path, name, given in named_alike:
            if name != given:
                yield Note(path, f"ANNarchy named it {printable(given)!r}, as another one; set its name")
        for population in populations:
            yield from population.notes()
        for projection in projections:
            yield from projection.notes()

    # --- what monitors hold -------------------------------------------------------------

    def recordings(self) -> tuple[Mapping[str, Recording], tuple[Note, ...]]:
        """Return what the monitors hold, and notes on what of that cannot be kept."""
        found = [monitor.recording() for monitor in live_monitors(self._bindings).values()]
        return {r.name: r for r, _ in found}, tuple(note for _, notes in found for note in notes)

    def refuse_recording(self, stored: Recording) -> str | None:
        """Say why the monitor of its name cannot hold a recording."""
        return live_monitors(self._bindings)[stored.name].refuse(stored)

    def set_recording(self, stored: Recording) -> None:
        """Let the monitor of its name go on from a recording."""
        live_monitors(self._bindings)[stored.name].set(stored)

    # --- what is carried from step to step ----------------------------------------------

    def _dynamics(self) -> dict[str, Array]:
        found: dict[str, Array] = {}
        if self._has_twisters:
            found[TWISTERS] = twister_array(self._bindings.instance._ann_ckpt_generators())
        if (generator := self._bindings.default_rng) is not None:
            state = default_array(generator)
            if state is not None:
                found[DEFAULT] = state
        return found

    @property
    def _has_twisters(self) -> bool:
        """Whether the generators in C++ can be read and set."""
        return hasattr(self._bindings.instance, "_ann_ckpt_generators")

    def _hidden(
        self, populations: list[LivePopulation], projections: list[LiveProjection | LiveFilters]
    ) -> tuple[str, ...]:
        """What the network has, besides the objects that are in the state, and a state does not."""
        hidden: list[str] = []
        if not self._has_twisters:
            everything = (*self._everything(self._bindings.populations, self._population),)
            everything += (*self._everything(self._bindings.projections, self._projection),)
            if any(GENERATOR in thing.hidden for thing in everything):
                hidden.append(GENERATOR)
        hidden += self._bindings.lost
        generator = self._bindings.default_rng
        if generator is not None and default_array(generator) is None:
            hidden.append(f"default_rng, which is a {type(generator.bit_generator).__name__}")
        # An object that is not there is not resumed.
        there = {thing.path for thing in (*populations, *projections)}
        lacking = [thing.path for thing in (*populations, *projections) if not thing.saveable]
        lacking += [path for path in self._paths() if path not in there]
        if lacking:
            more = f" and {len(lacking) - 1} more" if len(lacking) > 1 else ""
            hidden.append(f"{lacking[0]}{more} of the network's objects")
        return tuple(hidden)

    @staticmethod
    def _everything(names: Iterable[str], made: Callable[[str], Any]) -> Iterator[Any]:
        return (thing for thing in map(made, names) if thing.saveable)

    def _paths(self) -> Iterator[str]:
        yield from (f"populations/{name}" for name in self._bindings.populations)
        yield from (f"projections/{name}" for name in self._bindings.projections)

    def barrier(self) -> None:
        """Reseed the random generators from seed and step; a network loaded from here does the same."""
        self._reseeded = barrier_seed(self._bindings.seed, self._bindings.time_step())
        self.reseed(self._reseeded)

    def reseed(self, seed: int) -> None:
        """Give the random generators in C++ a new seed."""
        self._bindings.reseed(seed)

    def cannot_take(self, stored: NetworkState | PopulationState | ProjectionState) -> str | None:
        """Say why none of what ``stored`` carries can be set in the object of its name."""
        if not isinstance(stored, NetworkState):
            return self._live(stored).cannot_take(stored)  # type: ignore[arg-type]  # of the same kind
        if TWISTERS not in stored.dynamics:
            return None
        if not self._has_twisters:
            return NOT_INSTRUMENTED
        here = len(self._bindings.instance._ann_ckpt_generators())
        there = stored.dynamics[TWISTERS].shape or (0,)
        return f"{there[0]} random generators in the file, {here} here" if there[0] != here else None

    def refuse_dynamics(self, stored: NetworkState | PopulationState | ProjectionState) -> str | None:
        """Say why what ``stored`` carries does not fit the object of its name."""
        if not isinstance(stored, NetworkState):
            return self._live(stored).refuse_dynamics(stored)  # type: ignore[arg-type]  # of the same kind
        return invalid_generators(stored.dynamics)

    def set_dynamics(
        self, stored: NetworkState | PopulationState | ProjectionState, dynamics: Mapping[str, Array]
    ) -> None:
        """Set what is carried from step to step by the object of the name of ``stored``."""
        if not isinstance(stored, NetworkState):
            self._live(stored).set_dynamics(dynamics)
            return
        if TWISTERS in dynamics and self._has_twisters:
            self._bindings.instance._ann_ckpt_set_generators(twister_texts(dynamics[TWISTERS]))
        generator = self._bindings.default_rng
        if DEFAULT in dynamics and generator is not None:
            set_default(generator, dynamics[DEFAULT])

    def _live(
        self, stored: PopulationState | ProjectionState
    ) -> LivePopulation | LiveProjection | LiveFilters:
        if isinstance(stored, PopulationState):
            return self._population(stored.name)
        return self._projection(stored.name)

    def _population(self, name: str) -> LivePopulation:
        return LivePopulation(self._bindings, self._bindings.populations[name])

    def _projection(self, name: str) -> LiveProjection | LiveFilters:
        projection = self._bindings.projections[name]
        known = known_projection(projection)
        made = LiveFilters if known is not None and known.filters else LiveProjection
        return made(self._bindings, projection)

    @staticmethod
    def refuse_fork() -> None:
        """Let a forked child save: reading calls no OpenMP, and touches nothing but memory."""

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
        clock_is_set(self._bindings, time_step)
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
