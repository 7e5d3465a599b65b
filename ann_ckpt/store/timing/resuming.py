"""Resuming: the newest intact checkpoint of a store, if the same run saved it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from itertools import zip_longest
from typing import Any

from ann_ckpt.adapters.protocol import Reading, Simulator
from ann_ckpt.errors import (
    CorruptFileError,
    FileMissingError,
    FormatVersionError,
    MismatchError,
    PrunedError,
    UnknownFormatError,
    UnsafeFileError,
    printable,
)
from ann_ckpt.model import NetworkState
from ann_ckpt.report import LoadReport, Note
from ann_ckpt.store.owners.job import Job
from ann_ckpt.store.summary import CheckpointInfo, open_inside
from ann_ckpt.transfer import load_into

__all__ = ["load_newest"]

_DAMAGED = (CorruptFileError, UnsafeFileError, UnknownFormatError, FileMissingError, PrunedError)


def load_newest(
    simulator: Simulator,
    infos: Iterable[CheckpointInfo],
    where: str,
    *,
    another_run: bool,
    monitors: bool = False,
) -> tuple[LoadReport, int | None] | None:
    """Load the newest intact checkpoint; None if the store is empty.

    Parameters
    ----------
    simulator : Simulator
        The live, compiled network.
    infos : iterable of CheckpointInfo
        The series, newest first.
    where : str
        The store, for messages.
    another_run : bool
        Also one that another run saved.
    monitors : bool
        Monitors go on from its recordings.

    Returns
    -------
    report, time_step
        Damaged checkpoints that were passed over are among the report's notes.

    Raises
    ------
    CorruptFileError
        If there are checkpoints and all of them are damaged; nothing was changed.
    MismatchError
        If the newest intact one does not fit the network, or is of another run; nothing was changed.
    """
    passed: list[Note] = []
    for info in infos:
        try:
            with open_inside(info.path, info.file_bytes) as checkpoint:
                reading = Reading(checkpoint.state(lazy=True))
                if not another_run:
                    _refuse_another_run(simulator, reading.state, checkpoint.provenance, info.path)
                report = load_into(simulator, reading, path=info.path, monitors=monitors)
                return replace(report, notes=(*passed, *report.notes)), checkpoint.time_step
        except FormatVersionError:
            raise  # intact, and newer than this package: not to be passed over
        except MismatchError as error:
            if error.report is not None:  # what fits is loaded by load, which has options for that
                error.details["hint"] = f"ann_ckpt.load can do more: {error.details.get('hint', '')}"
            raise
        except _DAMAGED as error:
            passed.append(Note(info.name, f"skipped: {error.fact}"))
    if passed:
        raise CorruptFileError(
            "no checkpoint of the store can be loaded",
            details={note.path: note.text for note in passed},
            where=where,
        )
    return None


def _refuse_another_run(
    simulator: Simulator, stored: NetworkState, provenance: Mapping[str, Any], where: str
) -> None:
    live = simulator.read().state
    found = {}
    if None not in (stored.seed, live.seed) and stored.seed != live.seed:
        found["seed"] = f"{stored.seed} in the checkpoint, {live.seed} in this network"
    there, here = Job.from_dict(provenance.get("job")), Job.current()
    tasks = [None if job is None else job.task for job in (there, here)]
    if None not in tasks and tasks[0] != tasks[1]:
        found["task"] = f"{printable(tasks[0], 40)} saved the checkpoint, this is {printable(tasks[1], 40)}"
    found |= _other_texts(stored, live)
    if found:
        raise MismatchError(
            "the newest checkpoint is of another run",
            details=found | {"hint": "another_run=True resumes from it all the same"},
            where=where,
        )


def _other_texts(stored: NetworkState, live: NetworkState) -> dict[str, str]:
    """Return where the equations of the two differ, with the first lines that do."""
    pairs = [
        *(
            (name, population.neuron_type, live.populations[name].neuron_type)
            for name, population in stored.populations.items()
            if name in live.populations
        ),
        *(
            (name, projection.synapse_type, live.projections[name].synapse_type)
            for name, projection in stored.projections.items()
            if name in live.projections
        ),
    ]
    found = {}
    for name, there, here in pairs:
        if there is None or here is None:
            continue
        for part in sorted(there.texts.keys() & here.texts.keys()):
            lines = zip_longest(_lines(there.texts[part]), _lines(here.texts[part]), fillvalue="")
            for one, two in lines:
                if one != two:
                    shown = f"{printable(one)!r} in the checkpoint, {printable(two)!r} in this network"
                    found[printable(f"{name}, {part}", 80)] = shown
                    break
    return found


def _lines(text: str) -> list[str]:
    """Lines without what only lays them out."""
    return [" ".join(words) for line in text.splitlines() if (words := line.split())]
