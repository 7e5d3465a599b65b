"""The conformance suite, to be inherited; see :mod:`ann_ckpt.testing`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from ann_ckpt.adapters.live import recordings_of_live, with_recordings
from ann_ckpt.adapters.protocol import (
    Builds,
    CallsBack,
    ExactSimulator,
    HasClock,
    Owner,
    Reading,
    Records,
    RefusesTimeStep,
    RefusesValues,
    SetsTogether,
    Simulator,
)
from ann_ckpt.adapters.simulators import SIMULATORS, clock_of, simulator_for
from ann_ckpt.api import load, save
from ann_ckpt.errors import CorruptFileError, MismatchError, ObjectNotFoundError
from ann_ckpt.model import (
    Array,
    Exactness,
    NetworkState,
    Series,
    differences,
)
from ann_ckpt.model.arrays import identical_values
from ann_ckpt.selection import Selection
from ann_ckpt.testing.states import (
    arrays,
    captured,
    damaged,
    delays_reversed,
    disturbed,
    mapped,
    order_reversed,
    other_texts,
    other_units,
    rewired,
    with_projections,
    with_types,
    without_first_attribute,
)
from ann_ckpt.transfer import load_into

__all__ = ["SimulatorSuite"]

SPECIAL = (np.nan, np.inf, -np.inf, -0.0, 0.0, 1e-30)
"""What arithmetic leaves behind and a detour through text or integers would lose."""


class SimulatorSuite:
    """Tests of one simulator, which a fixture called ``simulator`` supplies."""

    rewirable = True
    """Whether every projection of the network has to accept :func:`rewired` synapses."""

    builds_beside = True
    """Whether a network that ``build`` makes can stand beside the one of the fixture."""

    simulate: Callable[..., None] | None = None
    """A method ``simulate(self, simulator, duration)`` that runs the network for ``duration`` ms. With it,
    running on from a state is tested, and being called between steps."""

    unprepared: Callable[..., object] | None = None
    """A method ``unprepared(self)`` that returns a network as the function of a user's script does, before
    it was compiled, say. With it, ``prepare`` is tested, as it was given to ``register``."""

    def other_values(self, state: NetworkState) -> NetworkState:
        """Return ``state`` with other values; override it where the model does not take any."""
        return disturbed(state)

    # --- reading --------------------------------------------------------------------

    def test_it_is_a_simulator_with_a_name(self, simulator: Simulator) -> None:
        """It has all methods, and says who it is."""
        assert isinstance(simulator, Simulator)
        assert simulator.label.strip()

    def test_there_is_something_to_read(self, simulator: Simulator) -> None:
        """A suite on an empty network proves nothing."""
        state = simulator.read().state
        assert state.populations
        assert state.projections

    def test_reading_twice_gives_the_same(self, simulator: Simulator) -> None:
        """Reading changes nothing, and forgets nothing."""
        first = captured(simulator.read().state)
        assert not list(differences(first, captured(simulator.read().state)))

    def test_arrays_keep_what_they_announce(self, simulator: Simulator) -> None:
        """Shape and type are known before a value is read, and true."""
        for path, array in arrays(simulator.read().state):
            whole = np.asarray(array)
            assert (whole.shape, whole.dtype) == (array.shape, array.dtype), path

    def test_slices_are_parts_of_the_whole(self, simulator: Simulator) -> None:
        """Any slice of the first axis, in any order, is what the whole array has there."""
        rng = np.random.default_rng(0)
        for path, array in arrays(simulator.read().state):
            if not array.shape:
                continue
            whole, n = np.asarray(array), array.shape[0]
            cuts = [(0, n), (n, n), (0, 0), (0, n + 5), *np.sort(rng.integers(0, n + 1, (8, 2))).tolist()]
            for start, stop in cuts:
                part = np.asarray(array[start:stop])
                assert part.dtype == whole.dtype, path
                assert part.tobytes() == whole[start:stop].tobytes(), f"{path}[{start}:{stop}]"

    def test_a_selection_is_obeyed(self, simulator: Simulator) -> None:
        """Nothing is read that was not asked for."""
        state = simulator.read().state
        one = next(iter(state.projections))
        assert not simulator.read(Selection(populations=False)).state.populations
        assert not simulator.read(Selection(projections=False)).state.projections
        assert list(simulator.read(Selection(projections=one)).state.projections) == [one]

    def test_an_unknown_name_is_an_error(self, simulator: Simulator) -> None:
        """A typing mistake is not an empty selection."""
        with pytest.raises(ObjectNotFoundError):
            simulator.read(Selection(populations="no such population"))

    # --- setting --------------------------------------------------------------------

    def test_every_value_can_be_set(self, simulator: Simulator) -> None:
        """What was set is read back bit for bit, in every attribute, with the time step."""
        with _restored(simulator) as before:
            wanted = self.other_values(before)
            report = load_into(simulator, Reading(wanted))
            assert not report.problems
            _assert_is(simulator, wanted)

    def test_special_floats_survive(self, simulator: Simulator) -> None:
        """Not-a-numbers, infinities and the sign of zero are values too."""

        def special(array: Array) -> NDArray[Any]:
            values = np.asarray(array)
            return (
                np.resize(SPECIAL, values.shape).astype(values.dtype) if values.dtype.kind == "f" else values
            )

        with _restored(simulator) as before:
            wanted = mapped(before, special, attributes_only=True)
            if any(reason is not None for reason in _refusals(simulator, wanted)):
                return
            load_into(simulator, Reading(wanted))
            _assert_is(simulator, wanted)

    def test_delays_can_be_set(self, simulator: Simulator) -> None:
        """Delays per synapse may change places, those of pathways too."""
        with _restored(simulator) as before:
            wanted = with_projections(before, delays_reversed)
            load_into(simulator, Reading(wanted))
            _assert_is(simulator, wanted)

    def test_synapses_are_put_back_in_the_order_of_the_simulator(self, simulator: Simulator) -> None:
        """Where it has an order of its own, another one can be set; every synapse keeps its values."""
        with _restored(simulator) as before:
            ordered = [n for n, p in before.projections.items() if p.order is not None and p.n_synapses > 1]
            wanted = with_projections(before, order_reversed)
            report = load_into(simulator, Reading(wanted))
            assert [note.path for note in report.rebuilt] == [f"projections/{name}" for name in ordered]
            _assert_is(simulator, wanted)

    def test_synapses_can_be_replaced(self, simulator: Simulator) -> None:
        """Fewer synapses are put in place, with all their values; then the old ones again."""
        with _restored(simulator) as before:
            wanted = with_projections(before, rewired)
            reasons = {name: simulator.refusal(p) for name, p in wanted.projections.items()}
            assert not (self.rewirable and any(reasons.values())), reasons
            accepted = [name for name, reason in reasons.items() if reason is None]
            report = load_into(simulator, Reading(wanted), selection=Selection(False, accepted))
            # Of one synapse per dendrite, or of none at all, nothing goes away.
            changed = [
                n
                for n in accepted
                if not before.projections[n].connectivity.equals(wanted.projections[n].connectivity)
            ]
            assert len(report.rebuilt) == len(changed)
            now = captured(simulator.read(Selection(False, accepted)).state)
            kept = {name: wanted.projections[name] for name in accepted}
            # What is carried along new synapses is the simulator's own business.
            found = {name: replace(p, dynamics={}) for name, p in now.projections.items()}
            assert not list(differences(replace(now, projections=kept), replace(now, projections=found)))

    def test_a_refusal_is_a_sentence(self, simulator: Simulator) -> None:
        """Delays beyond reason are refused, and the reason is given."""
        projection = next(iter(captured(simulator.read().state).projections.values()))
        far = np.arange(projection.connectivity.n_synapses, dtype=np.int32) + (1 << 20)
        reason = simulator.refusal(replace(projection, delays=far))
        assert reason is None or reason.strip()

    # --- all or nothing -------------------------------------------------------------

    def test_a_strict_load_with_a_problem_changes_nothing(self, simulator: Simulator) -> None:
        """One attribute too many in the network, and the others stay as they are."""
        with _restored(simulator) as before:
            wanted = without_first_attribute(self.other_values(before))
            with pytest.raises(MismatchError) as caught:
                load_into(simulator, Reading(wanted))
            assert len(caught.value.report.missing_in_file) == 1
            assert not list(differences(before, captured(simulator.read().state)))

    def test_a_lenient_load_applies_what_fits(self, simulator: Simulator) -> None:
        """The same without ``strict``: all but that attribute is set."""
        with _restored(simulator) as before:
            wanted = without_first_attribute(self.other_values(before))
            report = load_into(simulator, Reading(wanted), strict=False)
            (missing,) = (note.path for note in report.missing_in_file)
            now = captured(simulator.read().state)
            _, name, lost = missing.split("/")
            assert identical_values(now.populations[name][lost], before.populations[name][lost])
            expected, found = _comparable(simulator, wanted, without_first_attribute(now), carried=False)
            assert not list(differences(expected, found))

    def test_damaged_values_change_nothing(self, simulator: Simulator) -> None:
        """Values that cannot be read stop a load before the first is set."""
        with _restored(simulator) as before:
            wanted = damaged(self.other_values(before))
            with pytest.raises(CorruptFileError):
                load_into(simulator, Reading(wanted))
            assert not list(differences(before, captured(simulator.read().state)))

    def test_it_goes_through_a_file(self, simulator: Simulator, tmp_path: Path) -> None:
        """Saved, changed and loaded, the network is what it was."""
        before = captured(simulator.read().state)
        saved = save(tmp_path / "net.h5", network=simulator)
        assert len(saved.saved) == len(before.populations) + len(before.projections)
        load_into(simulator, Reading(self.other_values(before)))
        loaded = load(tmp_path / "net.h5", network=simulator)
        assert not loaded.problems
        _assert_is(simulator, before)

    # --- types ------------------------------------------------------------------------

    def test_values_of_another_unit_are_a_problem(self, simulator: Simulator) -> None:
        """Where the network says which unit an attribute has, values of another one are not set."""
        with _restored(simulator) as before:
            wanted, units = with_types(self.other_values(before), other_units)
            if not units:
                return
            with pytest.raises(MismatchError) as caught:
                load_into(simulator, Reading(wanted))
            assert units == {n.path for n in caught.value.report.mismatched if n.text.startswith("unit")}
            assert not list(differences(before, captured(simulator.read().state)))

    def test_other_equations_are_noted(self, simulator: Simulator) -> None:
        """They are not problems: values of a model are loaded into a later version of it."""
        with _restored(simulator) as before:
            wanted, objects = with_types(self.other_values(before), other_texts)
            report = load_into(simulator, Reading(wanted))
            assert not report.problems
            assert objects <= {note.path for note in report.notes if "text" in note.text}

    # --- what it may offer besides ---------------------------------------------------

    def test_a_network_can_be_made_from_a_state(self, simulator: Simulator) -> None:
        """What is made and loaded into is the network that was read, which stays as it is."""
        if not (isinstance(simulator, Builds) and self.builds_beside):
            return
        before = captured(simulator.read().state)
        made = simulator_for(simulator.build(before))
        assert made is not simulator
        report = load_into(made, Reading(before))
        assert not report.problems
        _assert_is(made, before)
        assert not list(differences(before, captured(simulator.read().state)))

    def test_a_model_is_made_ready(self, simulator: Simulator, tmp_path: Path) -> None:
        """What a script returns can be simulated and read afterwards; other networks stay as they are."""
        if self.unprepared is None:
            return
        before_it = captured(simulator.read().state)
        ready: Any = SIMULATORS.prepare(self.unprepared(), str(tmp_path / "compiled"))
        made = simulator_for(ready)
        began = clock_of(made)
        ready.simulate(3 * (began.dt or 1.0))
        assert made.read().state.populations
        if began.time_step is not None:
            assert clock_of(made).time_step == began.time_step + 3
        assert not list(differences(before_it, captured(simulator.read().state)))

    def test_the_clock_says_what_a_reading_says(self, simulator: Simulator) -> None:
        """Asked for by itself, or with a reading of nothing, the time is that of the network."""
        state = simulator.read().state
        nothing = simulator.read(Selection(populations=False, projections=False)).state
        assert (nothing.time_step, nothing.dt) == (state.time_step, state.dt)
        if isinstance(simulator, HasClock):
            clock = simulator.clock()
            assert (clock.time_step, clock.dt) == (state.time_step, state.dt)

    def test_its_own_values_and_time_are_not_refused(self, simulator: Simulator) -> None:
        """What was read can be put back."""
        state = captured(simulator.read().state)
        assert not [reason for reason in _refusals(simulator, state) if reason is not None]
        if isinstance(simulator, ExactSimulator):
            for owner in _owners(state):
                if owner.dynamics and simulator.cannot_take(owner) is None:
                    assert simulator.refuse_dynamics(owner) is None

    def test_values_can_be_set_one_by_one(self, simulator: Simulator) -> None:
        """Setting parameters does so, whether or not an object's values can be set at once."""
        with _restored(simulator) as before:
            other = before if isinstance(simulator, SetsTogether) else self.other_values(before)
            for name, population in other.populations.items():
                for attribute in population:
                    simulator.set_population_attribute(name, attribute, population[attribute])
            for name, projection in other.projections.items():
                for attribute in projection:
                    simulator.set_projection_attribute(name, attribute, projection[attribute])
            for name, value in other.constants.items():
                simulator.set_constant(name, np.asarray(value))
            now = captured(simulator.read().state)
            expected, found = _comparable(
                simulator, replace(other, time_step=now.time_step), now, carried=False
            )
            assert not list(differences(expected, found))

    def test_a_run_goes_on_as_it_did(self, simulator: Simulator) -> None:
        """Resumed from what was read, it ends where it ended, bit for bit, where it says so."""
        with _restored(simulator) as before:
            if self.simulate is None or not _is_exact(before, Exactness.EXACT):
                return
            self.simulate(simulator, _span(simulator))
            ended = captured(simulator.read().state)
            load_into(simulator, Reading(before))
            _assert_is(simulator, before)
            self.simulate(simulator, _span(simulator))
            assert not list(differences(ended, captured(simulator.read().state)))

    def test_a_run_goes_on_from_a_barrier_as_it_did(self, simulator: Simulator) -> None:
        """The same where the random generators were reseeded."""
        with _restored(simulator):
            if self.simulate is None or not isinstance(simulator, ExactSimulator):
                return
            simulator.barrier()
            at = captured(simulator.read().state)
            assert at.reseeded is not None
            if not _is_exact(at, Exactness.EXACT, Exactness.RESEEDED):
                return
            self.simulate(simulator, _span(simulator))
            ended = captured(simulator.read().state)
            assert ended.reseeded is None, "it was not reseeded at this step"
            load_into(simulator, Reading(at))
            self.simulate(simulator, _span(simulator))
            assert not list(differences(ended, captured(simulator.read().state)))

    def test_monitors_go_on_as_they_did(self, simulator: Simulator) -> None:
        """What they hold only grows, reading it takes nothing away, and they can be cut back to it.

        Cut back, they record the same once more, where the simulator says that it resumes exactly.
        """
        if self.simulate is None or not isinstance(simulator, Records):
            return
        with _restored(simulator):
            before = _recorded(simulator)
            self.simulate(simulator, _span(simulator))
            ended = _recorded(simulator)
            assert not list(differences(ended, _recorded(simulator)))
            for name, recording in before.recordings.items():
                for variable, series in recording.items():
                    grown = ended.recordings[name][variable]
                    if len(series):
                        _assert_begins(grown, series)
            load_into(simulator, Reading(before), monitors=True)
            found = _recorded(simulator).recordings
            assert not list(differences(replace(before, recordings=found), before))
            self.simulate(simulator, _span(simulator))
            if _is_exact(before, Exactness.EXACT):
                assert not list(differences(ended, _recorded(simulator)))
            load_into(simulator, Reading(before), monitors=True)

    def test_it_calls_between_steps_at_multiples_of_a_period(self, simulator: Simulator) -> None:
        """It does so while it is simulated, until it is asked to stop; what the call raises ends the run."""
        with _restored(simulator) as before:
            if not isinstance(simulator, CallsBack) or self.simulate is None or before.dt is None:
                return
            called: list[int | None] = []
            leave = simulator.call_every(2 * before.dt, lambda: called.append(clock_of(simulator).time_step))
            self.simulate(simulator, 5 * before.dt)
            leave()
            self.simulate(simulator, 4 * before.dt)
            began = before.time_step or 0
            assert called
            assert all(step is not None and step % 2 == 0 for step in called), called
            assert set(range(began + 1, began + 5)) & set(range(0, began + 5, 2)) <= set(called)
            assert all(began <= (step or 0) <= began + 5 for step in called), (
                "called after it was asked to stop"
            )

            def stop() -> None:
                raise _Stopped

            leave = simulator.call_every(before.dt, stop)
            with pytest.raises(_Stopped):
                self.simulate(simulator, 3 * before.dt)
            leave()


def _recorded(simulator: Simulator) -> NetworkState:
    """The state with recordings, in memory."""
    reading = with_recordings(simulator.read(), recordings_of_live(simulator))
    copied = {
        name: replace(r, series={v: Series(**{n: np.array(a) for n, a in s.arrays}) for v, s in r.items()})
        for name, r in reading.state.recordings.items()
    }
    return captured(replace(reading.state, recordings=copied))


def _assert_begins(grown: Series, series: Series) -> None:
    """Assert that the first records of a series are those of another one."""
    first = grown[: len(series)]
    assert dict(first.arrays).keys() == dict(series.arrays).keys()
    for name, array in series.arrays:
        assert identical_values(getattr(first, name), array), name


class _Stopped(Exception):  # noqa: N818  (it is not an error)
    """Raised by a call between two steps."""


def _span(simulator: Simulator) -> float:
    """Return the time of a few steps in ms."""
    return 7 * (clock_of(simulator).dt or 1.0)


def _owners(state: NetworkState) -> Iterator[Owner]:
    yield state
    yield from state.populations.values()
    yield from state.projections.values()


def _is_exact(state: NetworkState, *kinds: Exactness) -> bool:
    """Whether everything in a state says that resuming from it is of one of these kinds."""
    return all(owner.resume is not None and owner.resume.exactness in kinds for owner in _owners(state))


def _refusals(simulator: Simulator, state: NetworkState) -> Iterator[str | None]:
    """Yield what a simulator says of the time, and of the values of each object."""
    if isinstance(simulator, RefusesTimeStep) and state.time_step is not None:
        yield simulator.refuse_time_step(state.time_step)
    if isinstance(simulator, RefusesValues):
        yield simulator.refuse_values(state, state.constants)
        for population in state.populations.values():
            yield simulator.refuse_values(population, {n: population[n] for n in population})
        for projection in state.projections.values():
            yield simulator.refuse_values(projection, {n: projection[n] for n in projection})


def _comparable(
    simulator: Simulator, wanted: NetworkState, now: NetworkState, *, carried: bool = True
) -> tuple[NetworkState, NetworkState]:
    """Return two states without what the simulator does not take back, or without all that it carries."""
    step = wanted.time_step
    if step is not None and isinstance(simulator, RefusesTimeStep) and simulator.refuse_time_step(step):
        wanted = replace(wanted, time_step=now.time_step)
    exact = simulator if carried and isinstance(simulator, ExactSimulator) else None

    def without(state: NetworkState) -> NetworkState:
        def kept(owner: Owner) -> dict[str, Array]:
            return dict(owner.dynamics) if exact is not None and exact.cannot_take(owner) is None else {}

        return replace(
            state,
            populations={n: replace(p, dynamics=kept(p)) for n, p in state.populations.items()},
            projections={n: replace(p, dynamics=kept(p)) for n, p in state.projections.items()},
            dynamics=kept(state),
            resume=None,  # what the simulator did, such as setting a constant, may be against it
        )

    return without(wanted), without(now)


def _assert_is(simulator: Simulator, wanted: NetworkState) -> None:
    """Compare the network with what it was to be."""
    expected, found = _comparable(simulator, wanted, captured(simulator.read().state))
    differing = list(differences(expected, found))
    assert not differing, differing


@contextmanager
def _restored(simulator: Simulator) -> Iterator[NetworkState]:
    """Hand out the present state and put it back afterwards."""
    before = captured(simulator.read().state)
    try:
        yield before
    finally:
        load_into(simulator, Reading(before))
