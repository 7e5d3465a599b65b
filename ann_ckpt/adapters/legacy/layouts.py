"""Converts a document of any ANNarchy version to a network state."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TypeVar

from ann_ckpt.adapters.legacy.delays import find_step
from ann_ckpt.adapters.legacy.objects import Draft, connectivity_draft, population, projection_draft
from ann_ckpt.adapters.legacy.streams import Budget
from ann_ckpt.adapters.legacy.values import OldDocument, Table, check_text, names, text, whole
from ann_ckpt.adapters.legacy.versions import NETWORK_ENTRIES, NOT_SAVED, TableKind, kind_of_table
from ann_ckpt.adapters.protocol import Reading
from ann_ckpt.errors import CorruptFileError, OptionError, StateError, UnrecognisedFileError, printable
from ann_ckpt.model import NetworkState, PopulationState
from ann_ckpt.model.plain import step_length
from ann_ckpt.report import Loss, Note

_T = TypeVar("_T")

__all__ = [
    "check_dt",
    "interpret",
]


def check_dt(dt: float | None) -> float | None:
    """Return the length of a step in ms; raise :class:`OptionError` if it is no positive number."""
    try:
        return step_length(dt)
    except StateError as error:
        shown = printable(dt, 40)
        raise OptionError(f"dt={shown} is not a valid time step; expected a positive number of ms") from error


def interpret(document: OldDocument, budget: Budget, *, dt: float | None, name: str) -> Reading:
    """Return the network, or the part of one, that a document describes.

    Parameters
    ----------
    document : OldDocument
        What the container held.
    budget : Budget
        What reading this file may still use.
    dt : float, optional
        Length of a step in ms, where the caller knows it.
    name : str
        What to call a single object whose name the file does not hold.

    Raises
    ------
    CorruptFileError
        If the entries contradict each other, or are not a network's at all.
    """
    table = document.content
    kind = kind_of_table(table) if isinstance(table, dict) else None
    if not isinstance(table, dict) or kind is None:
        raise UnrecognisedFileError(
            "the file holds no ANNarchy network, population, projection or connectivity"
        )
    try:
        reading = _Interpreter(document, budget, name).read(table, kind, dt)
    except StateError as error:
        raise CorruptFileError(error.fact, details=error.details) from error
    return reading


class _Interpreter:
    """Collects the objects and the notes of one document."""

    def __init__(self, document: OldDocument, budget: Budget, name: str) -> None:
        self._budget = budget
        self._matlab = document.container == "mat"
        self._fallback = name
        self._populations: dict[str, PopulationState] = {}
        self._drafts: dict[str, Draft] = {}
        self._notes: list[Note] = []
        if "guessed-encoding" in document.traits:
            self._note("some names are not UTF-8 and were taken for Latin-1; encoding= can name another")

    def read(self, table: Table, kind: TableKind, dt: float | None) -> Reading:
        time_step = None
        if kind is TableKind.NETWORK:
            time_step = self._network(table)
        else:
            self._object(table, kind, self._own_name(table))
        step = find_step((d.delays for d in self._drafts.values() if d.delays is not None), dt)
        if step is not None:
            self._note(
                f"delays are in ms in the file; they became steps with dt = {step.dt:g} ms, {step.reason}"
            )
        length = step.dt if step is not None else dt
        sizes = {population.name: population.size for population in self._populations.values()}
        projections = {name: draft.state(length, sizes) for name, draft in self._drafts.items()}
        for draft in self._drafts.values():
            self._notes += draft.notes
        state = NetworkState(
            populations=self._populations, projections=projections, time_step=time_step, dt=length
        )
        return Reading(state, tuple(self._notes))

    def _network(self, table: Table) -> int | None:
        tables = {
            key: entry for key, entry in table.items() if isinstance(entry, dict) and key != "obj_names"
        }
        listed = self._listed(table)
        for key, entry in tables.items():
            kind = kind_of_table(entry)
            if kind not in (TableKind.POPULATION, TableKind.PROJECTION):
                self._lost("is neither a population nor a projection; left out", key)
                continue
            # In a MATLAB file the key is an identifier that may only resemble the name.
            name = text(entry["name"], "a name") if self._matlab and "name" in entry else key
            if name in self._populations or name in self._drafts:
                raise CorruptFileError(f"two objects have the name {printable(name)!r}")
            self._object(entry, kind, name)
        for key in sorted(table.keys() - tables.keys() - NETWORK_ENTRIES):
            self._lost("is neither a population nor a projection; left out", key)
        self._populations = _in_order(listed["populations"], self._populations)
        self._drafts = _in_order(listed["projections"], self._drafts)
        self._report_lost(listed)
        if "time_step" in table and "obj_names" not in table:
            self._lost(
                "the file ends before the list of its objects: ANNarchy did not finish it, some are missing"
            )
        self._note(NOT_SAVED)
        time_step = table.get("time_step")
        if time_step is None or isinstance(time_step, dict):
            self._note("the file does not hold the time step; 4.6.0 was the first to save it")
            return None
        return whole(time_step, "time_step")

    def _listed(self, table: Table) -> dict[str, tuple[str, ...]]:
        listed = table.get("obj_names")
        groups = listed if isinstance(listed, dict) else {}
        return {group: names(groups, group) for group in ("populations", "projections")}

    def _object(self, table: Table, kind: TableKind, name: str) -> None:
        try:
            check_text(name)
            if kind is TableKind.POPULATION:
                self._populations[name], notes = population(table, name, self._budget, matlab=self._matlab)
                self._notes += notes
            elif kind is TableKind.PROJECTION:
                self._drafts[name] = projection_draft(table, name, self._budget, matlab=self._matlab)
            else:
                self._drafts[name] = connectivity_draft(table, name, self._budget, matlab=self._matlab)
        except (CorruptFileError, StateError) as error:
            error.details.setdefault("object", printable(name))
            raise

    def _own_name(self, table: Table) -> str:
        if "name" in table:
            return text(table["name"], "the name")
        self._note(f"the file does not name the object; it is called {self._fallback!r} after the file")
        return self._fallback

    def _report_lost(self, listed: dict[str, tuple[str, ...]]) -> None:
        """Say which objects the file lists and does not hold."""
        present: dict[str, Mapping[str, object]] = {
            "populations": self._populations,
            "projections": self._drafts,
        }
        other: dict[str, Mapping[str, object]] = {
            "populations": self._drafts,
            "projections": self._populations,
        }
        for group, group_names in listed.items():
            for name in group_names:
                if name in present[group]:
                    continue
                if name in other[group]:
                    what = "was overwritten in the file by the projection of the same name"
                else:
                    what = "is listed in the file but not there"
                self._lost(what, f"{group}/{name}")

    def _lost(self, what: str, path: str = "") -> None:
        self._notes.append(Loss(path, what))

    def _note(self, what: str, path: str = "") -> None:
        self._notes.append(Note(path, what))


def _in_order(first: Iterable[str], present: dict[str, _T]) -> dict[str, _T]:
    """Return all present objects: the listed ones first, in the order of the list."""
    order = dict.fromkeys((*(name for name in first if name in present), *present))
    return {name: present[name] for name in order}
