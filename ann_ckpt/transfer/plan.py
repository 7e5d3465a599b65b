"""Plans a load: compares the stored with the live state and collects every problem.

Nothing here touches a network or a disk beyond reading arrays, so that a plan can be
made, printed and tested without a simulator.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from ann_ckpt.adapters.protocol import (
    ExactSimulator,
    Owner,
    Reading,
    Records,
    RefusesTimeStep,
    Replays,
    SetsTogether,
)
from ann_ckpt.errors import printable
from ann_ckpt.model import Array, Exactness, Locality, NetworkState, PopulationState, Recording
from ann_ckpt.report import Note, count
from ann_ckpt.selection import EVERYTHING, Selection
from ann_ckpt.transfer.actions import (
    Action,
    Reseed,
    SetAttributes,
    SetConstant,
    SetDynamics,
    SetPopulationAttribute,
    SetRecording,
    SetTimeStep,
)
from ann_ckpt.transfer.fitting import LoadFindings, fitting_attributes, fitting_values, refused_values
from ann_ckpt.transfer.names import shifted
from ann_ckpt.transfer.synapses import Refusal, keep_ends, plan_projection

__all__ = [
    "LoadPlan",
    "plan_dynamics",
    "plan_load",
]


def plan_dynamics(
    findings: LoadFindings, stored: NetworkState, live: NetworkState, exact: ExactSimulator | None
) -> None:
    """Plan to set the dynamics, and note where a resumed run will not be exact.

    Parameters
    ----------
    findings : LoadFindings
        Takes actions and reports; those of everything else are in it.
    stored, live : NetworkState
        What a file holds, and the network.
    exact : ExactSimulator or None
        None if the simulator takes nothing back.
    """
    if stored.reseeded is not None and exact is not None:
        findings.do(Reseed("reseeded", exact, stored.reseeded))
    replayed = isinstance(exact, Replays) and exact.replays(stored)
    for path, owner, present in _owners(stored, live):
        _doubts(findings, path, owner, present, exact, replayed=replayed)
        _plan(findings, path, owner, present, exact)


def _plan(
    findings: LoadFindings, path: str, stored: Owner, live: Owner, exact: ExactSimulator | None
) -> None:
    if not stored.dynamics:
        return
    stored = _of_this_precision(findings, path, stored, live)
    reason = "this simulator takes none of it back" if exact is None else exact.cannot_take(stored)
    if exact is None or reason is not None:
        findings.note(path, f"the dynamics in the file are not used: {reason}")
        return
    if (fault := exact.refuse_dynamics(stored)) is not None:
        findings.mismatch(f"{path}/dynamics".lstrip("/"), fault)
        return
    findings.do(SetDynamics(f"{path}/dynamics".lstrip("/"), exact, stored))
    if left := [name for name in live.dynamics if name not in stored.dynamics]:
        findings.note(path, f"the file does not have {', '.join(left)}; kept as it is")


def _of_this_precision(findings: LoadFindings, path: str, stored: Owner, live: Owner) -> Owner:
    """Return an object whose dynamics have the floats of the network, as its attributes do."""
    found: dict[str, Array] = {}
    for name, array in stored.dynamics.items():
        here = live.dynamics[name].dtype if name in live.dynamics else array.dtype
        if here != array.dtype and here.kind == array.dtype.kind == "f":
            fit = fitting_values(findings, f"{path}/dynamics/{name}".lstrip("/"), array, here)
            found[name] = array if fit is None else fit
    return replace(stored, dynamics={**stored.dynamics, **found}) if found else stored


def _doubts(
    findings: LoadFindings,
    path: str,
    stored: Owner,
    live: Owner,
    exact: ExactSimulator | None,
    *,
    replayed: bool,
) -> None:
    """Say why resuming will not be exact, if it will not: what was not kept, and what cannot be put back."""
    said = stored.resume
    known = () if said is None else said.reasons
    made_up = exact is not None and said is not None and said.exactness is Exactness.RESEEDED
    if known and not made_up:
        findings.note(path, f"the file says that resuming is {said}")
    lost = [reason for reason in (live.resume.reasons if live.resume else ()) if reason not in known]
    if lost and not replayed:
        findings.note(path, f"a resumed run may differ, because this cannot be restored: {', '.join(lost)}")


def _owners(stored: NetworkState, live: NetworkState) -> Iterator[tuple[str, Owner, Owner]]:
    """Yield the network and each object that both sides have."""
    yield "", stored, live
    for name, population in stored.populations.items():
        if name in live.populations:
            yield f"populations/{name}", population, live.populations[name]
    for name, projection in stored.projections.items():
        if name in live.projections:
            yield f"projections/{name}", projection, live.projections[name]


@dataclass(frozen=True, slots=True)
class LoadPlan:
    """Actions of a load, in order, and its problems."""

    actions: tuple[Action, ...]
    cast: tuple[Note, ...] = ()
    rebuilt: tuple[Note, ...] = ()
    missing_in_file: tuple[Note, ...] = ()
    missing_in_network: tuple[Note, ...] = ()
    mismatched: tuple[Note, ...] = ()
    notes: tuple[Note, ...] = ()
    renaming: Mapping[str, str] = field(default_factory=dict)
    """Names that would make the file fit, where only automatic numbers differ."""

    @property
    def problems(self) -> tuple[Note, ...]:
        """Problems that make a strict load fail."""
        return self.missing_in_file + self.missing_in_network + self.mismatched

    @property
    def nbytes(self) -> int:
        """Bytes of the values that will be handed over."""
        return sum(action.nbytes for action in self.actions)

    def __str__(self) -> str:
        lines = [f"{count(len(self.actions), 'action')}, {count(len(self.problems), 'problem')}"]
        lines += [f"  {action}" for action in self.actions]
        lines += [f"  problem: {problem}" for problem in self.problems]
        return "\n".join(lines)


def plan_load(
    stored: Reading,
    live: Reading,
    *,
    selection: Selection = EVERYTHING,
    refusal: Refusal,
    exact: ExactSimulator | None = None,
    offers: object = None,
    monitors: bool = False,
) -> LoadPlan:
    """Compare a stored state with a live one and plan what to set.

    Parameters
    ----------
    stored : Reading
        What a file holds. Only the arrays that have to be compared are read.
    live : Reading
        All of the live network, or all of the selected part.
    selection : Selection
        Which populations and projections; what it leaves out is not a problem. The time
        step and the constants belong to the whole network and are set only with it: not if
        others are selected, or none of the file's populations and projections fits.
    refusal : callable
        The simulator's answer to synapses and delays that differ from its own.
    exact : ExactSimulator, optional
        The simulator, if it takes back what it carries from step to step. That is set
        with the whole network only: a part is not resumed.
    offers : object, optional
        The simulator, asked for what else it may offer beyond the protocol.
    monitors : bool
        Whether its monitors go on from the recordings of the file; ``live`` has theirs.

    Raises
    ------
    ObjectNotFoundError
        If the selection names what neither side has.
    """
    findings = LoadFindings()
    stored = Reading(stored.state.only_attributes(selection), stored.notes)
    live = Reading(live.state.only_attributes(selection, strict=False), live.notes)
    _Planner(stored.state, live.state, selection, refusal, exact, offers, findings, monitors).run()
    # Automatic names have changed places only where something does not fit.
    unfit = findings.mismatched or findings.missing_in_network or findings.missing_in_file
    renaming = shifted(stored.state, live.state) if unfit else {}
    if renaming:
        findings.note("", f"only automatic numbers differ; try names={renaming}")
    return LoadPlan(
        renaming=renaming,
        actions=tuple(findings.actions),
        cast=tuple(findings.cast),
        rebuilt=tuple(findings.rebuilt),
        missing_in_file=tuple(findings.missing_in_file),
        missing_in_network=tuple(findings.missing_in_network),
        mismatched=tuple(findings.mismatched),
        notes=(*stored.notes, *findings.notes, *_about_selected(stored.state, live, selection)),
    )


def _about_selected(stored: NetworkState, live: Reading, selection: Selection) -> Iterator[Note]:
    """Yield the notes of the live side, but for those on objects that it has and nobody selected."""
    others: list[str] = []
    for group in ("populations", "projections"):
        there = getattr(live.state, group)
        chosen = set(selection.pick(group, {**getattr(stored, group), **there}))
        others += [f"{group}/{name}" for name in there if name not in chosen]
    for note in live.notes:
        if not any(note.path == other or note.path.startswith(f"{other}/") for other in others):
            yield note


@dataclass(frozen=True, slots=True)
class _Planner:
    stored: NetworkState
    live: NetworkState
    selection: Selection
    refusal: Refusal
    exact: ExactSimulator | None
    offers: object
    findings: LoadFindings = field(repr=False)
    monitors: bool = False

    def run(self) -> None:
        """Look at each selected object; what belongs to the whole network is set with the whole file."""
        same_clock = self._dt()
        whole = self.selection.is_whole and not self._is_one_of_many
        if whole:
            self._constants()
        constants = len(self.findings.actions)
        self._populations()
        self._projections(same_clock=same_clock)
        if whole and not self._nothing_fits:
            self._time_step(same_clock=same_clock)
            if not self.findings.mismatched:
                plan_dynamics(self.findings, self.stored, self.live, self.exact)
            elif any(owner.dynamics for _, owner, _ in _owners(self.stored, self.live)):
                self.findings.note("", "the dynamics in the file are not used: something else does not fit")
            if isinstance(self.offers, Records) and self.monitors:
                self._recordings(self.offers)
        else:
            del self.findings.actions[:constants]
            self.findings.cast = [n for n in self.findings.cast if not n.path.startswith("constants/")]
            what = "none of its populations and projections fits" if whole else "only a part is loaded"
            self.findings.note("", f"{what}: time step and constants stay as they are")
            if self.monitors:
                self.findings.mismatch("recordings", f"{what}: monitors stay as they are")

    @property
    def _nothing_fits(self) -> bool:
        """Whether the file has populations or projections, and none is loaded: it is of another network."""
        problems = {note.path for note in (*self.findings.missing_in_network, *self.findings.mismatched)}
        objects = {f"populations/{name}" for name in self.stored.populations}
        objects |= {f"projections/{name}" for name in self.stored.projections}
        return bool(objects) and objects <= problems

    def _dt(self) -> bool:
        """Whether a step means the same on both sides, as far as is known."""
        if self.stored.dt is None or self.live.dt is None or self.stored.dt == self.live.dt:
            return True
        self.findings.mismatch("dt", f"{self.stored.dt} ms in the file, {self.live.dt} ms in the network")
        return False

    def _time_step(self, *, same_clock: bool) -> None:
        if self.stored.time_step is None:
            now = self.live.time_step
            self.findings.note("time_step", f"the file does not know the time step; it stays at {now}")
        elif same_clock:
            step, offers = self.stored.time_step, self.offers
            reason = offers.refuse_time_step(step) if isinstance(offers, RefusesTimeStep) else None
            if reason is None:
                self.findings.do(SetTimeStep("time_step", step))
            else:
                text = f"{step} in the file cannot be set, it stays at {self.live.time_step}: {reason}"
                self.findings.note("time_step", text)

    def _constants(self) -> None:
        # ANNarchy's own files never have any, and neither do checkpoints converted from them.
        if not self.stored.constants:
            if self.live.constants:
                self.findings.note("constants", "the file has no constants; they stay as they are")
            return
        self._each("constants", "constant", self.stored.constants, self.live.constants)
        found: dict[str, Array] = {}
        for name, value in self.stored.constants.items():
            if name not in self.live.constants:
                continue
            dtype = self.live.constants[name].dtype
            values = fitting_values(self.findings, f"constants/{name}", value, dtype)
            if values is not None:
                found[name] = values
        if not refused_values(self.findings, "constants", self.stored, found, self.offers):
            for name, values in found.items():
                self.findings.do(SetConstant(f"constants/{name}", name, values))

    def _populations(self) -> None:
        for name in self._common("populations", "population", self.stored.populations, self.live.populations):
            self._population(self.stored.populations[name], self.live.populations[name])

    def _population(self, stored: PopulationState, live: PopulationState) -> None:
        path = f"populations/{stored.name}"
        if (stored.geometry, stored.part) != (live.geometry, live.part):
            there, here = (f"{p.geometry}{f', {p.part}' if p.part else ''}" for p in (stored, live))
            self.findings.mismatch(path, f"geometry {there} in the file, {here} in the network")
            return
        shapes = {Locality.GLOBAL: (), Locality.LOCAL: live.geometry}
        fits = fitting_attributes(self.findings, path, stored, live, shapes)
        values = {name: attribute.values for name, attribute in fits.items()}
        if refused_values(self.findings, path, stored, values, self.offers):
            return
        if values and isinstance(self.offers, SetsTogether):
            self.findings.do(SetAttributes(path, self.offers, stored, values))
            return
        for name, array in values.items():
            self.findings.do(SetPopulationAttribute(f"{path}/{name}", name, array, stored.name))

    def _recordings(self, taker: Records) -> None:
        """Plan what monitors hold, once everything else is set."""
        self._each("recordings", "monitor", self.stored.recordings, self.live.recordings)
        for name, stored in self.stored.recordings.items():
            live = self.live.recordings.get(name)
            if live is None:
                continue
            path = f"recordings/{name}"
            before = len(self.findings.mismatched)
            for what in _unlike(stored, live):
                self.findings.mismatch(path, what)
            if len(self.findings.mismatched) == before:
                reason = taker.refuse_recording(stored)
                if reason is None:
                    self.findings.do(SetRecording(path, taker, stored))
                else:
                    self.findings.mismatch(path, reason)

    def _projections(self, *, same_clock: bool) -> None:
        known = {**self.stored.projections, **self.live.projections}
        self.selection.check_rows(known)
        for name in self._common("projections", "projection", self.stored.projections, self.live.projections):
            plan_projection(
                self.findings,
                self.stored.projections[name],
                self.live.projections[name],
                refusal=self.refusal,
                offers=self.offers,
                same_clock=same_clock,
                rows=self.selection.pick_rows(name, known),
            )
        keep_ends(self.findings, self.live)

    def _common(
        self, group: str, noun: str, stored: Mapping[str, object], live: Mapping[str, object]
    ) -> list[str]:
        """Return the selected names that both sides have, and report the others."""
        # A glob asks for all that it matches, on either side, and may have left one object of the file.
        named = not isinstance(getattr(self.selection, group), bool)
        others = () if self._is_alone and not named else live
        candidates = [*stored, *(name for name in others if name not in stored)]
        chosen = self.selection.pick(group, candidates)
        self._each(group, noun, [n for n in chosen if n in stored], [n for n in chosen if n in live])
        return [name for name in chosen if name in stored and name in live]

    def _each(self, group: str, noun: str, stored: Iterable[str], live: Iterable[str]) -> None:
        here, there = list(stored), list(live)
        for name in here:
            if name not in there:
                self.findings.not_in_network(
                    f"{group}/{name}", f"the network has no {noun} {printable(name)!r}"
                )
        for name in there:
            if name in here:
                continue
            if group == "projections" and self.live.projections[name].has_only_dynamics:
                # Older files have none of these.
                self.findings.note(
                    f"{group}/{name}", "the file does not have its filters; they stay as they are"
                )
            else:
                self.findings.not_in_file(f"{group}/{name}", f"the file has no {noun} {printable(name)!r}")

    @property
    def _is_alone(self) -> bool:
        """Whether the file has one object, so that the others are none of its business."""
        return len(self.stored.populations) + len(self.stored.projections) == 1

    @property
    def _is_one_of_many(self) -> bool:
        """Whether that object alone was saved, at some time of a network that has more of them."""
        objects = len(self.live.populations) + len(self.live.projections)
        return self._is_alone and self.stored.time_step is not None and objects > 1


def _unlike(stored: Recording, live: Recording) -> Iterator[str]:
    """Yield in words how a monitor differs from the one whose recording it would go on from."""
    if stored.of != live.of:
        yield f"of {printable(stored.of)} in the file, of {printable(live.of)} in the network"
    if list(stored) != list(live):
        there, here = (", ".join(map(printable, recording)) or "nothing" for recording in (stored, live))
        yield f"records {there} in the file, {here} in the network"
    theirs, ours = (None if r.ranks is None else r.ranks.tolist() for r in (stored, live))
    if theirs != ours:
        sizes = ["all neurons" if ranks is None else f"{len(ranks)} neurons" for ranks in (theirs, ours)]
        yield f"{sizes[0]} in the file, {'others' if len(set(sizes)) == 1 else sizes[1]} in the network"
    for name in (*stored.settings, *(name for name in live.settings if name not in stored.settings)):
        asked, has = stored.settings.get(name), live.settings.get(name)
        if asked != has:
            yield f"{printable(name)} {printable(asked)} in the file, {printable(has)} in the network"
