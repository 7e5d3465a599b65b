"""Resolves ``network=``: a live network, a state, or an open checkpoint."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from ann_ckpt.adapters.protocol import ExactSimulator, Reading, Records, Simulator
from ann_ckpt.adapters.simulators import simulator_for
from ann_ckpt.errors import OptionError, printable
from ann_ckpt.lazy import Checkpoint
from ann_ckpt.model import Exactness, NetworkState, Recording
from ann_ckpt.model.state import recordings_of
from ann_ckpt.report import Note
from ann_ckpt.selection import Selection

__all__ = ["live_reading", "recordings_of_live", "with_recordings"]

Recordings = tuple[Mapping[str, Recording], tuple[Note, ...]]


def live_reading(
    network: Any,
    net_id: int,
    selection: Selection,
    *,
    barrier: bool = False,
    metadata: Mapping[str, Any] | None = None,
    monitors: bool = False,
) -> tuple[Reading, str | None]:
    """Resolve ``network=`` to a reading and the label of its simulator.

    Parameters
    ----------
    barrier : bool
        Reseed the running network first; whoever loads the reading reseeds in the same way.
    metadata : mapping, optional
        Added to what the state itself has.
    monitors : bool
        With what monitors of a live network hold. A state and a checkpoint keep what they have.

    Raises
    ------
    OptionError
        If ``barrier`` and there is nothing running that could be reseeded; if ``monitors`` and the
        simulator does not read its monitors.
    """
    reading, origin = _reading(network, net_id, selection, barrier=barrier, monitors=monitors)
    if metadata:
        together = {**reading.state.metadata, **metadata}
        reading = Reading(replace(reading.state, metadata=together), reading.notes)
    return reading, origin


def recordings_of_live(simulator: Simulator) -> Recordings:
    """Return what the monitors of a live network hold, and notes on what cannot be kept.

    Raises
    ------
    OptionError
        If the simulator does not read its monitors.
    SimulatorError
        If it cannot read those of this network.
    """
    if not isinstance(simulator, Records):
        raise OptionError(f"monitors=True: monitors of {printable(simulator.label)} are not supported")
    return simulator.recordings()


def with_recordings(reading: Reading, found: Recordings) -> Reading:
    """Return a reading with those recordings that are of its objects."""
    recordings, notes = found
    state = reading.state
    chosen = recordings_of(recordings, state.populations, state.projections)
    return Reading(replace(state, recordings=chosen), (*reading.notes, *notes))


def _reading(
    network: Any, net_id: int, selection: Selection, *, barrier: bool, monitors: bool
) -> tuple[Reading, str | None]:
    if barrier and isinstance(network, NetworkState | Checkpoint):
        raise OptionError("barrier=True needs a live network")
    if isinstance(network, NetworkState):
        return Reading(network.select(selection).only_rows(selection)), None
    if isinstance(network, Checkpoint):
        part = network.state(selection, lazy=True).only_attributes(selection).only_rows(selection)
        return Reading(part), network.provenance.get("simulator")
    simulator = simulator_for(network, net_id)
    # Before anything happens to the network: a barrier reseeds it.
    found = recordings_of_live(simulator) if monitors else None
    if barrier:
        if not isinstance(simulator, ExactSimulator):
            raise OptionError(f"barrier=True: {printable(simulator.label)} cannot be reseeded")
        _part(simulator.read(selection), selection)
        simulator.barrier()
    reading = simulator.read(selection)
    if found is not None:
        reading = with_recordings(reading, found)
    state = _part(reading, selection)
    return Reading(state, (*reading.notes, *_doubts(state))), simulator.label


def _part(reading: Reading, selection: Selection) -> NetworkState:
    """Return the selected part of what a simulator read.

    Raises
    ------
    ObjectNotFoundError
        If the selection names what is not there.
    """
    return reading.state.only_attributes(selection).only_rows(selection)


def _doubts(state: NetworkState) -> Iterator[Note]:
    """Yield what a state says against resuming exactly from it, as the file will say it too."""
    said = {"": state.resume} | {f"populations/{name}": p.resume for name, p in state.populations.items()}
    said |= {f"projections/{name}": p.resume for name, p in state.projections.items()}
    for path, resume in said.items():
        if resume is not None and resume.exactness is Exactness.APPROXIMATE:
            yield Note(path, f"resuming is {resume}")
