"""A network of Brian2 as a source and a sink."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any
from weakref import WeakKeyDictionary, WeakSet

import numpy as np
import xxhash
from numpy.typing import NDArray

from ann_ckpt.adapters.brian2.content import Content, outside_frame, where_made
from ann_ckpt.adapters.brian2.describe import functions_from_outside, says_it_keeps_a_state
from ann_ckpt.adapters.brian2.live import ACTIVE, EXACT
from ann_ckpt.adapters.brian2.mapping import NETWORK_TIME, TWISTER, invalid_random
from ann_ckpt.adapters.brian2.monitors import BrianMonitor
from ann_ckpt.adapters.brian2.population import LiveGroup
from ann_ckpt.adapters.brian2.projection import LiveSynapses
from ann_ckpt.adapters.brian2.random_numbers import get_random, reseed, set_random
from ann_ckpt.adapters.protocol import Clock, Owner, Reading
from ann_ckpt.errors import SimulatorError, printable
from ann_ckpt.model import (
    Array,
    Exactness,
    NetworkState,
    PopulationState,
    ProjectionState,
    Recording,
    Resume,
)
from ann_ckpt.report import Loss, Note
from ann_ckpt.selection import EVERYTHING, Selection

__all__ = ["TESTED", "BrianSimulator"]

TESTED = ((2, 9), (2, 11))
"""First and last version of Brian2 of which what it keeps to itself is known."""

_DT = "dt."
_TIMES = "times."
_CALLS: WeakKeyDictionary[Any, WeakSet[Any]] = WeakKeyDictionary()
"""The operations by which each network calls us."""
_RESEEDED: WeakKeyDictionary[Any, tuple[int, float]] = WeakKeyDictionary()
"""Seed of the last barrier of a network, and the time of it."""


class BrianSimulator:
    """Reads and writes the live arrays themselves, never through Brian's store and restore.

    Meets :class:`~ann_ckpt.adapters.protocol.ExactSimulator`, :class:`~ann_ckpt.adapters.protocol.Records`
    and :class:`~ann_ckpt.adapters.protocol.MayFork`.

    Parameters
    ----------
    network : brian2.Network
        The magic network has to know its objects.
    """

    def __init__(self, network: Any) -> None:
        self._network = network
        self._objects = set(network.objects)
        self._ignored = frozenset(_CALLS.get(network, ()))
        self._content = Content.of(self._objects, self._ignored)
        self._records = False
        """Whether recordings were asked for before a reading, which need not say then that they are left."""
        self._parts: dict[str, LiveGroup | LiveSynapses] = {}
        """Looked at so far, until the network is read again."""

    @property
    def label(self) -> str:
        """Name and version, such as ``Brian2 2.11.0``."""
        return f"Brian2 {self._version}"

    @property
    def identity(self) -> object:
        """The network, of which there may be several simulators."""
        return self._network

    @property
    def _version(self) -> str:
        import brian2

        return str(brian2.__version__)

    @property
    def _tested(self) -> bool:
        version = tuple(int(part) for part in self._version.split(".")[:2] if part.isdigit())
        return TESTED[0] <= version <= TESTED[1]

    @property
    def _device(self) -> Any:
        from brian2 import get_device

        return get_device()

    # --- reading ------------------------------------------------------------------------

    def read(self, selection: Selection = EVERYTHING) -> Reading:
        """Return the selected part of the network, with notes on what is not saved."""
        content = self._content
        self._parts.clear()
        outside = _outside()
        part = EXACT if self._tested else self._resuming({}, {})
        populations = {
            n: self._population(n).state(outside, part)
            for n in selection.pick("populations", content.populations)
        }
        projections = {
            n: self._projection(n).state(outside, part)
            for n in selection.pick("projections", content.projections)
        }
        clock, resume = self.clock(), self._resuming(populations, projections)
        state = NetworkState(
            populations=populations,
            projections=projections,
            constants={_DT + name: np.array(c.dt_) for name, c in self._clocks() if hasattr(c, "dt_")},
            dynamics=self._dynamics(),
            resume=resume,
            reseeded=self._seed_of_barrier(),
            time_step=clock.time_step,
            dt=clock.dt,
        )
        notes = tuple(self._notes())
        self._records = False
        return Reading(state, notes)

    def clock(self) -> Clock:
        """Return the step of the reference clock that the network's time is in, and its length in ms."""
        return Clock(self._step(), float(self._content.reference.dt_) * 1000.0)

    def _step(self) -> int:
        return int(self._content.reference._calc_timestep(self._network.t_))

    def _time_of_step(self, step: int) -> float:
        """Time in s as the clock has it; the network's own is the sum of all runs."""
        return float(step * float(self._content.reference.dt_))

    def _clocks(self) -> Iterator[tuple[str, Any]]:
        """Yield what runs on another clock than the network's, with that clock."""
        yield from sorted(self._content.clocks.items())

    def _resuming(
        self, populations: Mapping[str, PopulationState], projections: Mapping[str, ProjectionState]
    ) -> Resume:
        content = self._content
        if not self._tested:
            low, high = (".".join(map(str, version)) for version in TESTED)
            what = (
                f"all but attributes: Brian2 {self._version} is none of the tested versions {low} to {high}"
            )
            return Resume(Exactness.APPROXIMATE, (what,))
        reasons = [f"what Python code in {printable(name)} keeps" for name in content.python]
        functions = self._stateful_functions(populations, projections)
        reasons += [f"what the function {printable(name)} keeps" for name in functions]
        left = [f"populations/{n}" for n in content.populations if n not in populations]
        left += [f"projections/{n}" for n in content.projections if n not in projections]
        if left:
            more = f" and {len(left) - 1} more" if len(left) > 1 else ""
            reasons.append(f"{left[0]}{more} of the network's objects")
        return Resume(Exactness.APPROXIMATE, tuple(reasons)) if reasons else EXACT

    def _stateful_functions(
        self, populations: Mapping[str, PopulationState], projections: Mapping[str, ProjectionState]
    ) -> list[str]:
        """Return which functions that the network calls are declared to keep a state."""
        content = self._content
        described = [(content.populations[n], p.neuron_type) for n, p in populations.items()]
        described += [(content.projections[n], p.synapse_type) for n, p in projections.items()]
        described += [(thing, None) for thing in content.inputs.values()]
        called = [found for thing, kind in described if (found := functions_from_outside(thing, kind))]
        outside = {**where_made(self._objects), **_outside()} if called else {}
        return sorted(
            {
                name
                for found in called
                for name, given in found.items()
                if says_it_keeps_a_state(outside.get(name) if given is None else given)
            }
        )

    def _notes(self) -> Iterator[Note]:
        from brian2 import Network

        content = self._content
        for name, monitor in {} if self._records else content.monitors.items():
            can = self._tested and BrianMonitor.knows(monitor)
            said = "saved with monitors=True only" if can else "not saved"
            yield Note(f"monitors/{name}", f"what a monitor has recorded is {said}")
        others = [n for n in Network.__instances__() if n() is not None and n() is not self._network]
        if self._tested and any(network().t_ > 0 for network in others):
            yield Note("", "random numbers are of the process; another network in it draws from them too")

    def _dynamics(self) -> dict[str, Array]:
        if not self._tested:
            return {}
        found: dict[str, Array] = dict(get_random(self._device))
        found[NETWORK_TIME] = np.array(self._network.t_ - self._time_of_step(self._step()))
        for name, clock in self._clocks():
            if not hasattr(clock, "dt_"):
                found[_TIMES + name] = np.array(clock.variables["times"].get_value())
        found[ACTIVE] = np.array([thing.active for thing in self._flagged()], np.bool_)
        return found

    def _flagged(self) -> list[Any]:
        """Inputs and operations, in the order in which Brian names them if nobody does."""
        things = [*self._content.inputs.items(), *self._content.operations.items()]
        return [thing for name, thing in sorted(things, key=lambda named: (len(named[0]), named[0]))]

    def _population(self, name: str) -> LiveGroup:
        part = self._parts.get(name)
        if not isinstance(part, LiveGroup):
            thing = self._content.populations[name]
            part = self._parts[name] = self._group(thing, exact=self._tested, ignored=self._ignored)
        return part

    def _projection(self, name: str) -> LiveSynapses:
        part = self._parts.get(name)
        if not isinstance(part, LiveSynapses):
            part = self._parts[name] = self._synapses(
                self._content.projections[name],
                exact=self._tested,
                ignored=self._ignored,
                dt=float(self._content.reference.dt_),
            )
        return part

    def _group(self, thing: Any, **options: Any) -> LiveGroup:
        return LiveGroup(thing, **options)

    def _synapses(self, thing: Any, **options: Any) -> LiveSynapses:
        return LiveSynapses(thing, **options)

    def _live(self, stored: PopulationState | ProjectionState) -> LiveGroup | LiveSynapses:
        made = self._population if isinstance(stored, PopulationState) else self._projection
        return made(stored.name)

    @staticmethod
    def refuse_fork() -> None:
        """Let a forked child save: what is read later are arrays in memory, without compiled code."""

    # --- setting ------------------------------------------------------------------------

    def refusal(self, projection: ProjectionState) -> str | None:
        """Say why ``projection`` cannot be put in place of the live one of its name."""
        return self._projection(projection.name).refusal(projection)

    def refuse_values(self, stored: Owner, values: Mapping[str, Array]) -> str | None:
        """Say that a clock has another step in the file than here."""
        if not isinstance(stored, NetworkState):
            return None
        clocks = {_DT + name: clock for name, clock in self._clocks()}
        for name, value in values.items():
            there, here = float(np.asarray(value)), float(clocks[name].dt_)
            if there != here:
                who = printable(name.removeprefix(_DT))
                return f"{who} has steps of {there * 1e3:g} ms in the file, {here * 1e3:g} ms in the network"
        return None

    def set_constant(self, name: str, value: NDArray[Any]) -> None:
        """Do nothing: constants are lengths of steps, and those of the file are those of the network."""

    def set_population_attribute(self, population: str, attribute: str, values: Array) -> None:
        """Set one attribute of a group."""
        self._population(population).set(attribute, values)

    def set_projection_attribute(self, projection: str, attribute: str, values: Array) -> None:
        """Set one attribute of synapses."""
        self._projection(projection).set(attribute, values)

    def set_delays(self, projection: str, delays: int | Array) -> None:
        """Set the delays of the first pathway in steps."""
        self._projection(projection).set_delays(delays)

    def set_pathway_delays(self, projection: str, delays: Mapping[str, Array]) -> None:
        """Set delays of pathways in s."""
        self._projection(projection).set_pathway_delays(delays)

    def connect(self, projection: ProjectionState) -> None:
        """Replace the synapses of a projection, and count anew where others end at them."""
        self._projection(projection.name).connect(projection)
        for name, other in self._content.projections.items():
            if projection.name in (other.source.name, other.target.name) and other._connect_called:
                self._projection(name).count()

    def set_time_step(self, time_step: int) -> None:
        """Set the clocks, and drop spikes that are on their way."""
        for name in self._content.projections:
            self._projection(name).forget()
        for name in self._content.populations:
            self._population(name).forget()
        self._set_time(self._time_of_step(time_step))

    def _set_time(self, seconds: float) -> None:
        from brian2 import second

        self._network.t_ = seconds
        for clock in {id(c): c for c in (self._content.reference, *self._content.clocks.values())}.values():
            if hasattr(clock, "_set_t_update_dt"):
                # A dt that was set since the last run would have to divide the time as the one before
                # did; the dt of the file is this one, and its time was never counted in the other.
                clock._old_dt = None
                clock._set_t_update_dt(target_t=seconds * second)
            else:
                clock.set_interval(seconds * second, seconds * second)

    # --- what monitors hold -------------------------------------------------------------

    def recordings(self) -> tuple[Mapping[str, Recording], tuple[Note, ...]]:
        """Return what the monitors hold, and notes on what of that cannot be kept."""
        if not self._tested:
            raise SimulatorError(f"monitors=True: {self.label} is not a tested version")
        self._records = True
        found: dict[str, Recording] = {}
        notes: list[Note] = []
        for name, monitor in self._content.monitors.items():
            if BrianMonitor.knows(monitor):
                found[name], more = BrianMonitor(monitor).recording()
                notes += more
            else:
                what = f"what a {type(monitor).__name__} has recorded is not saved"
                notes.append(Loss(f"recordings/{name}", what))
        return found, tuple(notes)

    def refuse_recording(self, stored: Recording) -> str | None:
        """Say why the monitor of its name cannot hold a recording."""
        return BrianMonitor(self._content.monitors[stored.name]).refuse(stored)

    def set_recording(self, stored: Recording) -> None:
        """Let the monitor of its name go on from a recording."""
        BrianMonitor(self._content.monitors[stored.name]).set(stored)

    # --- what is carried from step to step ----------------------------------------------

    def cannot_take(self, stored: Owner) -> str | None:
        """Say that this version of Brian2 is not known."""
        return None if self._tested else f"{self.label} is not a tested version"

    def refuse_dynamics(self, stored: Owner) -> str | None:
        """Say why what ``stored`` carries does not fit the object of its name."""
        if isinstance(stored, ProjectionState):
            return self._projection(stored.name).refuse(stored)
        if isinstance(stored, PopulationState):
            return self._population(stored.name).refuse_dynamics(stored.dynamics)
        return invalid_random(stored.dynamics) or next(self._faults(stored.dynamics), None)

    def _faults(self, dynamics: Mapping[str, Array]) -> Iterator[str]:
        here = self._dynamics()
        for name, array in dynamics.items():
            if name.startswith("random."):
                continue
            if name not in here:
                yield f"the network has nothing for {printable(name)}"
            elif array.dtype != here[name].dtype or array.shape != here[name].shape:
                yield f"{printable(name)} is another kind of value in the file than here"
            elif name == NETWORK_TIME and not abs(float(np.asarray(array))) <= self._content.reference.dt_:
                yield f"{name} is more than a step"
            elif name.startswith(_TIMES) and not np.array_equal(np.asarray(array), np.asarray(here[name])):
                yield f"{printable(name.removeprefix(_TIMES))} runs at other times in the file than here"

    def set_dynamics(self, stored: Owner, dynamics: Mapping[str, Array]) -> None:
        """Set what the object of the name of ``stored`` carries."""
        if not isinstance(stored, NetworkState):
            self._live(stored).set_dynamics(dynamics)
            return
        if NETWORK_TIME in dynamics and (beyond := float(np.asarray(dynamics[NETWORK_TIME]))):
            self._set_time(self._time_of_step(self._step()) + beyond)
        if TWISTER in dynamics:
            set_random(self._device, dynamics)
        if ACTIVE in dynamics:
            for thing, active in zip(self._flagged(), np.asarray(dynamics[ACTIVE]).tolist(), strict=True):
                thing.active = active

    def barrier(self) -> None:
        """Reseed the process's random numbers from their state and the time; states say so until then."""
        now = np.asarray(get_random(self._device)[TWISTER])
        words = [xxhash.xxh3_64_intdigest(now.tobytes()), self.clock().time_step or 0]
        seed = int(np.random.SeedSequence(words).generate_state(1)[0])
        self.reseed(seed)
        _RESEEDED[self._network] = (seed, self._network.t_)

    def reseed(self, seed: int) -> None:
        """Give the process's random numbers a new seed."""
        reseed(self._device, seed)
        _RESEEDED[self._network] = (seed, self._network.t_)

    def _seed_of_barrier(self) -> int | None:
        seed, when = _RESEEDED.get(self._network, (None, None))
        return seed if when == self._network.t_ else None

    # --- calls between steps ------------------------------------------------------------

    def call_every(self, period: float, call: Callable[[], None]) -> Callable[[], None]:
        """Call before each step at a multiple of ``period`` ms, not after the last one.

        Brian asks which objects there are when a run begins.
        """
        from brian2 import NetworkOperation
        from brian2.core.magic import MagicNetwork

        network, reference = self._network, self._content.reference
        steps = max(1, round(period / (float(reference.dt_) * 1000.0)))
        now = reference.variables["timestep"].get_value()

        def perhaps() -> None:
            if now[0] % steps == 0:
                call()

        operation = NetworkOperation(perhaps, clock=reference, when="before_start", order=-(2**30))
        operation.add_to_magic_network = operation.invalidates_magic_network = False
        _CALLS.setdefault(network, WeakSet()).add(operation)
        self._ignored |= {operation}
        self._parts.clear()
        # The magic network looks for its objects at each run, and for what they contain.
        magic = isinstance(network, MagicNetwork)
        host = next(iter(self._content.populations.values()), None) if magic else None
        if host is None:
            network.objects.add(operation)
        else:
            host.contained_objects.append(operation)

        def leave() -> None:
            if host is None:
                network.objects.discard(operation)
            elif operation in host.contained_objects:
                host.contained_objects.remove(operation)
            operation.active = False
            _CALLS[network].discard(operation)
            self._ignored -= {operation}

        return leave


def _outside() -> dict[str, Any]:
    """Return what equations find where the user stands."""
    frame, _ = outside_frame()
    return {} if frame is None else {**frame.f_globals, **frame.f_locals}
