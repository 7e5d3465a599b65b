"""The interface of simulators and file readers.

A *source* yields a :class:`~ann_ckpt.NetworkState` whose arrays may be lazy. A
*simulator* is a source that also accepts values. Everything clever (matching names,
sizes and types, deciding what to rebuild, all or nothing) happens once, outside, in
:mod:`ann_ckpt.transfer`; one method reads, one refuses, the others write.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from numpy.typing import NDArray

from ann_ckpt.errors import OptionError, printable
from ann_ckpt.model import Array, NetworkState, PopulationState, ProjectionState, Recording
from ann_ckpt.report import Loss, Note
from ann_ckpt.selection import EVERYTHING, Selection

__all__ = [
    "Builds",
    "CallsBack",
    "Clock",
    "ExactSimulator",
    "ForeignFile",
    "HasClock",
    "MayFork",
    "Owner",
    "Reading",
    "Records",
    "RefusesTimeStep",
    "RefusesValues",
    "Replays",
    "SetsPathwayDelays",
    "SetsTogether",
    "Simulator",
    "Source",
]

Owner = NetworkState | PopulationState | ProjectionState
"""What carries something from step to step."""


@dataclass(frozen=True, slots=True)
class Reading:
    """Result of reading a source: a state, and notes on what could not be represented."""

    state: NetworkState
    notes: tuple[Note, ...] = ()
    """Objects that cannot be saved, units that were assumed, values that the source lost."""


@dataclass(frozen=True, slots=True)
class ForeignFile:
    """A file that another program wrote, read."""

    path: str
    container: str
    """Outermost format of the file: ``pickle``; of ANNarchy's ``pickle``, ``gzip``, ``npz`` or ``mat``."""
    kind: str
    """What it holds: ``network``, or a part of one such as ``projection``; empty if unknown."""
    file_bytes: int
    program: str
    """Who wrote it: ``ANNarchy``, ``Brian2``."""
    versions: str
    """Versions that write such files, such as ``4.5.3 to 4.5.4``."""
    python: str
    """Versions of Python that write such pickles: ``2``, ``3.8 or later``; empty if unknown."""
    reading: Reading
    """What is in it, and notes on what it does not say; of several networks the last one."""
    snapshots: Mapping[str, Reading] = field(default_factory=dict)
    """Networks by the names under which the program stored them, where it names them."""

    def only(self, snapshot: str | None = None) -> ForeignFile:
        """Return the file as if it had one of its snapshots only.

        Parameters
        ----------
        snapshot : str, optional
            Which; needed where there are several.

        Raises
        ------
        OptionError
            If there is none of that name, or none is named and there are several.
        """
        if snapshot is None and len(self.snapshots) < 2:
            return self
        if snapshot is None or snapshot not in self.snapshots:
            there = ", ".join(printable(name, 60) for name in self.snapshots) or "none that has a name"
            wanted = "several snapshots" if snapshot is None else f"no snapshot {printable(snapshot)!r}"
            raise OptionError(
                f"the file has {wanted}",
                details={
                    "stored": there,
                    "hint": "snapshot= names one; a store, run.ckpt, takes all that are converted",
                },
                where=self.path,
            )
        reading = self.snapshots[snapshot]
        return replace(self, reading=reading, snapshots={snapshot: reading})

    @property
    def lost(self) -> tuple[Note, ...]:
        """What the file should hold and does not."""
        return tuple(note for note in self.reading.notes if isinstance(note, Loss))

    @property
    def notes(self) -> tuple[Note, ...]:
        """What no such file says, and what was assumed instead."""
        return tuple(note for note in self.reading.notes if not isinstance(note, Loss))

    def origin(self) -> dict[str, Any]:
        """Return where a state comes from that was read of this file, ready for its metadata."""
        return {
            "file": Path(self.path).name,
            "container": self.container,
            "kind": self.kind,
            self.program.lower(): self.versions,
            "python": self.python,
            "notes": [[note.path, note.text] for note in self.reading.notes],
            **({"snapshot": next(iter(self.snapshots))} if len(self.snapshots) == 1 else {}),
        }


class Source(Protocol):
    """Something that yields a network's state."""

    def read(self, selection: Selection = EVERYTHING) -> Reading:
        """Return the selected part of the network.

        Arrays may be lazy; they stay valid until the source is closed or, for a live
        network, until it is simulated further or changed.
        """


@runtime_checkable
class Simulator(Source, Protocol):
    """A live, compiled network: it can be read, and it accepts values.

    Callers check names, shapes, geometry and types first. Every method below is only
    called with what :meth:`read` and :meth:`refusal` declared acceptable.
    """

    @property
    def label(self) -> str:
        """Name and version for reports and provenance, such as ``ANNarchy 5.0.4.1``."""

    def refusal(self, projection: ProjectionState) -> str | None:
        """Return why ``projection`` cannot replace the live projection of its name, or None.

        Asked before anything is changed, for stored connectivity and delays that
        differ from the live ones. None means that :meth:`connect` and
        :meth:`set_delays` will succeed.
        """

    def set_time_step(self, time_step: int) -> None:
        """Set the number of steps simulated so far; called after all attributes, for whole networks.

        What the network still carries from its own past and no attribute shows, such as
        spikes on their way, belongs to another time: drop it.
        """

    def set_constant(self, name: str, value: NDArray[Any]) -> None:
        """Set a network constant from an array of shape ``()``."""

    def set_population_attribute(self, population: str, attribute: str, values: Array) -> None:
        """Set one attribute: shape ``()`` if global, the population's geometry if local."""

    def set_projection_attribute(self, projection: str, attribute: str, values: Array) -> None:
        """Set one attribute: shape ``()``, ``(n_rows,)`` or ``(n_synapses,)``.

        Rows and synapses stand in the order of the live network's connectivity, which
        is the stored one by now. ``values`` may be lazy and larger than memory: take
        it in slices.
        """

    def set_delays(self, projection: str, delays: int | Array) -> None:
        """Set delays in steps: one for all synapses, or one per synapse, rows in order."""

    def connect(self, projection: ProjectionState) -> None:
        """Replace the live projection's synapses, with their weights, delays and order.

        :attr:`~ann_ckpt.ProjectionState.order` is not None only where the live projection has an
        order too: the simulator keeps the synapses in it from now on. Delays that the state does not
        know stay what they are. Attributes that it holds are set next; those that it lacks start from
        their initial values.
        """


@dataclass(frozen=True, slots=True)
class Clock:
    """Where in time a network stands; None for what it does not know."""

    time_step: int | None
    """Steps simulated so far."""
    dt: float | None
    """Length of a step in ms."""


@runtime_checkable
class HasClock(Protocol):
    """What a simulator may offer beyond :class:`Simulator`: its time, without a reading.

    Without it, :meth:`Simulator.read` is called with a selection of nothing, between any two steps
    at which a checkpoint may be due.
    """

    def clock(self) -> Clock:
        """Return what a reading would say at this moment."""


@runtime_checkable
class RefusesTimeStep(Protocol):
    """What a simulator may offer beyond :class:`Simulator`: to say that its clock cannot be set."""

    def refuse_time_step(self, time_step: int) -> str | None:
        """Say why :meth:`Simulator.set_time_step` cannot be called with this; None if it will succeed.

        A refusal is noted in the report, and everything else is loaded.
        """


@runtime_checkable
class RefusesValues(Protocol):
    """What a simulator may offer beyond :class:`Simulator`: to look at values before anything is set."""

    def refuse_values(self, stored: Owner, values: Mapping[str, Array]) -> str | None:
        """Say why the values cannot be set in the live object of the name of ``stored``; None if they can.

        Parameters
        ----------
        stored : NetworkState, PopulationState or ProjectionState
            Whose they are; the network's are its constants.
        values : mapping
            All attributes that would be set, in the live shapes and types; of a projection in the order
            of the stored synapses. Arrays may be lazy.
        """


@runtime_checkable
class SetsTogether(Protocol):
    """What a simulator may offer beyond :class:`Simulator`: to take all values of one object at once."""

    def set_attributes(self, stored: PopulationState | ProjectionState, values: Mapping[str, Array]) -> None:
        """Set attributes of the live object of the name of ``stored``.

        Called by loading in place of :meth:`Simulator.set_population_attribute` and
        :meth:`Simulator.set_projection_attribute`, with what they would get one by one.
        """


@runtime_checkable
class SetsPathwayDelays(Protocol):
    """What a simulator may offer beyond :class:`Simulator`, where synapses have several delays."""

    def set_pathway_delays(self, projection: str, delays: Mapping[str, Array]) -> None:
        """Set delays by the name of their pathway, of the live types: steps or seconds.

        Each has the shape ``()`` for all synapses or ``(n_synapses,)``, rows in order. Called as
        :meth:`Simulator.set_delays` is, after :meth:`Simulator.refusal` said None.
        """


@runtime_checkable
class Builds(Protocol):
    """What a simulator may offer beyond :class:`Simulator`: to make a network from a state."""

    def build(self, state: NetworkState) -> object:
        """Return a new network with the populations and projections of ``state``, as users hold one.

        It need not depend on ``self``: a class or static method will do. Arrays may be lazy. The values
        are loaded into the network afterwards, and synapses that differ are replaced, so that the
        state's own synapses are the best ones to begin with.

        Raises
        ------
        SimulatorError
            If no such network can be made.
        """


@runtime_checkable
class Records(Protocol):
    """What a simulator may offer beyond :class:`Simulator`: to read and set what its monitors hold.

    A recording is what its monitor holds at this instant; emptying one is the user's business, and
    reading never does. It only grows at its end while the simulation goes on, so that a store writes
    what is new. The state of :meth:`Simulator.read` has no recordings; they are asked for here.
    """

    def recordings(self) -> tuple[Mapping[str, Recording], tuple[Note, ...]]:
        """Return what all monitors of the network hold, by name, and notes on what cannot be kept.

        Names are the same in a network that the same script makes again. Arrays may be lazy; they stay
        valid until the network is simulated further, or a monitor is emptied. ``of`` has the names of
        the state.

        Raises
        ------
        SimulatorError
            If none of it can be read or set, and what would have to be different.
        """

    def refuse_recording(self, stored: Recording) -> str | None:
        """Return why the live monitor of the name of ``stored`` cannot hold it, or None if it can.

        Asked before anything is changed, and only where both have the same owner, ranks, variables and
        settings.
        """

    def set_recording(self, stored: Recording) -> None:
        """Let the live monitor hold ``stored`` and nothing else, and go on from there; called last of all.

        Arrays may be lazy and larger than memory: take them in slices.
        """


@runtime_checkable
class CallsBack(Protocol):
    """Optional interface: a simulator that supports calls between time steps."""

    def call_every(self, period: float, call: Callable[[], None]) -> Callable[[], None]:
        """Call ``call`` between two steps whenever the simulated time is a multiple of ``period`` ms.

        The state may be read then. Whatever ``call`` raises ends the simulation. The
        returned function ends the calls.
        """


@runtime_checkable
class MayFork(Protocol):
    """What a simulator may offer beyond :class:`Simulator`: to be read in a forked child.

    Then the simulation goes on while the child saves what was at the moment of the fork. The child
    has the memory of the process and no thread but the one that forked; it only reads.
    """

    def refuse_fork(self) -> str | None:
        """Say why a reading that was begun before a fork cannot be finished in the child; None if it can."""


@runtime_checkable
class ExactSimulator(Simulator, Protocol):
    """Optional interface: a simulator whose dynamics can be restored, for an exact resume.

    A *stored* owner stands for the live one: the network, or the object of its name. By
    the time of :meth:`set_dynamics` the live one has the stored attributes, synapses and
    delays.
    """

    def cannot_take(self, stored: Owner) -> str | None:
        """Return why the dynamics of ``stored`` cannot be restored at all, or None."""

    def refuse_dynamics(self, stored: Owner) -> str | None:
        """Return why :meth:`set_dynamics` cannot take the dynamics of ``stored``, or None if it can."""

    def set_dynamics(self, stored: Owner, dynamics: Mapping[str, Array]) -> None:
        """Set the dynamics of ``stored``, under the simulator's own names; arrays may be lazy."""

    def reseed(self, seed: int) -> None:
        """Give the random generators of the whole network a new seed."""

    def barrier(self) -> None:
        """Reseed from the network's seed and time step, and say so in every state read from now on."""


@runtime_checkable
class Replays(Protocol):
    """What an :class:`ExactSimulator` may offer: to go through the end of the saved run once more.

    Then what the live network says of itself is no reason against resuming exactly; what the file says is.
    """

    def replays(self, stored: NetworkState) -> bool:
        """Whether setting the network's dynamics does so for this state."""
