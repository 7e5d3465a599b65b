"""What every simulator that joins has to do, as tests to inherit.

A package that writes a :class:`~ann_ckpt.adapters.protocol.Simulator` subclasses
:class:`SimulatorSuite` in its own tests and supplies one pytest fixture::

    from ann_ckpt.testing import SimulatorSuite

    @pytest.fixture(scope="module")
    def simulator():
        return MySimulator(a_network_with_a_bit_of_everything())

    class TestMySimulator(SimulatorSuite):
        pass

Every test leaves the network as it found it, so that one that is costly to build serves
them all. For readable failures call ``pytest.register_assert_rewrite("ann_ckpt.testing")``
in ``conftest.py`` before the import.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from ann_ckpt.adapters.protocol import Reading, Simulator
from ann_ckpt.api import load, save
from ann_ckpt.errors import CorruptFileError, MismatchError, ObjectNotFoundError
from ann_ckpt.model import Array, Attribute, Connectivity, NetworkState, PopulationState, ProjectionState
from ann_ckpt.model.compare import differences, identical_values
from ann_ckpt.selection import Selection
from ann_ckpt.transfer import load_into

__all__ = [
    "SimulatorSuite",
    "captured",
    "disturbed",
    "rewired",
]

Members = Mapping[str, PopulationState] | Mapping[str, ProjectionState]
SPECIAL = (np.nan, np.inf, -np.inf, -0.0, 0.0, 1e-30)
"""What arithmetic leaves behind and a detour through text or integers would lose."""


def captured(state: NetworkState) -> NetworkState:
    """Return a state with every array copied into memory, apart from the live network."""
    return _mapped(state, lambda array: np.array(np.asarray(array)))


def disturbed(state: NetworkState, *, seed: int = 0) -> NetworkState:
    """Return a state of the same structure in which every value is another one."""
    rng = np.random.default_rng(seed)

    def another(array: Array) -> NDArray[Any]:
        values = np.asarray(array)
        if values.dtype.kind == "b":
            return np.array(~values)
        if values.dtype.kind == "f":
            return np.array(values + rng.uniform(0.5, 1.5, values.shape), values.dtype)
        return np.array(np.where(values > 0, values - 1, values + 1), values.dtype)

    step = None if state.time_step is None else state.time_step + 17
    return replace(_mapped(captured(state), another, attributes_only=True), time_step=step)


def rewired(projection: ProjectionState) -> ProjectionState:
    """Return a projection with every third synapse gone, but the first of each dendrite.

    What remains keeps its order, so that no way of storing synapses has a reason to refuse.
    """
    synapses = projection.connectivity
    kept = np.arange(synapses.n_synapses) % 3 != 2
    kept[synapses.row_ptr[:-1][synapses.row_sizes > 0]] = True
    row_ptr = np.concatenate(([0], np.cumsum(kept)))[synapses.row_ptr]
    connectivity = Connectivity(synapses.post_ranks, row_ptr, np.asarray(synapses.pre_ranks)[kept])
    every = (synapses.n_synapses,)

    def remaining(attributes: Mapping[str, Attribute]) -> dict[str, Attribute]:
        return {
            name: Attribute(np.asarray(a.values)[kept], a.locality) if a.values.shape == every else a
            for name, a in attributes.items()
        }

    delays = projection.delays
    return replace(
        projection,
        connectivity=connectivity,
        parameters=remaining(projection.parameters),
        variables=remaining(projection.variables),
        delays=delays if delays is None or isinstance(delays, int) else np.asarray(delays)[kept],
    )


class SimulatorSuite:
    """Tests of one simulator, which a fixture called ``simulator`` supplies."""

    rewirable = True
    """Whether every projection of the network has to accept :func:`rewired` synapses."""

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
        for path, array in _arrays(simulator.read().state):
            whole = np.asarray(array)
            assert (whole.shape, whole.dtype) == (array.shape, array.dtype), path

    def test_slices_are_parts_of_the_whole(self, simulator: Simulator) -> None:
        """Any slice of the first axis, in any order, is what the whole array has there."""
        rng = np.random.default_rng(0)
        for path, array in _arrays(simulator.read().state):
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
            wanted = disturbed(before)
            report = load_into(simulator, Reading(wanted))
            assert not report.problems
            assert not list(differences(wanted, captured(simulator.read().state)))

    def test_special_floats_survive(self, simulator: Simulator) -> None:
        """Not-a-numbers, infinities and the sign of zero are values too."""

        def special(array: Array) -> NDArray[Any]:
            values = np.asarray(array)
            return (
                np.resize(SPECIAL, values.shape).astype(values.dtype) if values.dtype.kind == "f" else values
            )

        with _restored(simulator) as before:
            wanted = _mapped(before, special, attributes_only=True)
            load_into(simulator, Reading(wanted))
            assert not list(differences(wanted, captured(simulator.read().state)))

    def test_delays_can_be_set(self, simulator: Simulator) -> None:
        """Delays per synapse may change places."""
        with _restored(simulator) as before:
            wanted = _with_projections(before, _delays_reversed)
            load_into(simulator, Reading(wanted))
            assert not list(differences(wanted, captured(simulator.read().state)))

    def test_synapses_can_be_replaced(self, simulator: Simulator) -> None:
        """Fewer synapses are put in place, with all their values; then the old ones again."""
        with _restored(simulator) as before:
            wanted = _with_projections(before, rewired)
            reasons = {name: simulator.refusal(p) for name, p in wanted.projections.items()}
            assert not (self.rewirable and any(reasons.values())), reasons
            accepted = [name for name, reason in reasons.items() if reason is None]
            report = load_into(simulator, Reading(wanted), selection=Selection(False, accepted))
            assert len(report.rebuilt) == len(accepted)
            now = captured(simulator.read(Selection(False, accepted)).state)
            kept = {name: wanted.projections[name] for name in accepted}
            assert not list(differences(replace(now, projections=kept), now))

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
            wanted = _without_first_attribute(disturbed(before))
            with pytest.raises(MismatchError) as caught:
                load_into(simulator, Reading(wanted))
            assert len(caught.value.report.missing_in_file) == 1
            assert not list(differences(before, captured(simulator.read().state)))

    def test_a_lenient_load_applies_what_fits(self, simulator: Simulator) -> None:
        """The same without ``strict``: all but that attribute is set."""
        with _restored(simulator) as before:
            wanted = _without_first_attribute(disturbed(before))
            report = load_into(simulator, Reading(wanted), strict=False)
            (missing,) = (note.path for note in report.missing_in_file)
            now = captured(simulator.read().state)
            _, name, lost = missing.split("/")
            assert identical_values(now.populations[name][lost], before.populations[name][lost])
            assert not list(differences(wanted, _without_first_attribute(now)))

    def test_damaged_values_change_nothing(self, simulator: Simulator) -> None:
        """Values that cannot be read stop a load before the first is set."""
        with _restored(simulator) as before:
            wanted = _damaged(disturbed(before))
            with pytest.raises(CorruptFileError):
                load_into(simulator, Reading(wanted))
            assert not list(differences(before, captured(simulator.read().state)))

    def test_it_goes_through_a_file(self, simulator: Simulator, tmp_path: Path) -> None:
        """Saved, changed and loaded, the network is what it was."""
        before = captured(simulator.read().state)
        saved = save(tmp_path / "net.h5", network=simulator)
        assert len(saved.saved) == len(before.populations) + len(before.projections)
        load_into(simulator, Reading(disturbed(before)))
        loaded = load(tmp_path / "net.h5", network=simulator)
        assert not loaded.problems
        assert not list(differences(before, captured(simulator.read().state)))


@contextmanager
def _restored(simulator: Simulator) -> Iterator[NetworkState]:
    """Hand out the present state and put it back afterwards."""
    before = captured(simulator.read().state)
    try:
        yield before
    finally:
        load_into(simulator, Reading(before))


def _mapped(
    state: NetworkState, change: Callable[[Array], Array], *, attributes_only: bool = False
) -> NetworkState:
    """Return ``state`` with each array changed; connectivity and delays only if asked for."""

    def attributes(group: Mapping[str, Attribute]) -> dict[str, Attribute]:
        return {name: Attribute(change(a.values), a.locality) for name, a in group.items()}

    def population(p: PopulationState) -> PopulationState:
        return replace(p, parameters=attributes(p.parameters), variables=attributes(p.variables))

    def projection(p: ProjectionState) -> ProjectionState:
        changed = replace(p, parameters=attributes(p.parameters), variables=attributes(p.variables))
        if attributes_only:
            return changed
        synapses = p.connectivity
        return replace(
            changed,
            connectivity=Connectivity(synapses.post_ranks, synapses.row_ptr, change(synapses.pre_ranks)),
            delays=p.delays if p.delays is None or isinstance(p.delays, int) else change(p.delays),
        )

    return replace(
        state,
        populations={name: population(p) for name, p in state.populations.items()},
        projections={name: projection(p) for name, p in state.projections.items()},
        constants={name: change(value) for name, value in state.constants.items()},
    )


def _with_projections(
    state: NetworkState, change: Callable[[ProjectionState], ProjectionState]
) -> NetworkState:
    return replace(state, projections={name: change(p) for name, p in state.projections.items()})


def _delays_reversed(projection: ProjectionState) -> ProjectionState:
    if projection.delays is None or isinstance(projection.delays, int):
        return projection
    return replace(projection, delays=np.asarray(projection.delays)[::-1].copy())


def _without_first_attribute(state: NetworkState) -> NetworkState:
    name, population = next((n, p) for n, p in state.populations.items() if p.attributes)
    lost = next(iter(population))
    fewer = replace(
        population,
        parameters={n: a for n, a in population.parameters.items() if n != lost},
        variables={n: a for n, a in population.variables.items() if n != lost},
    )
    return replace(state, populations={**state.populations, name: fewer})


def _damaged(state: NetworkState) -> NetworkState:
    """Return a state whose last value per synapse or neuron cannot be read."""
    name, population = next((n, p) for n, p in reversed(list(state.populations.items())) if p.variables)
    attribute = list(population.variables)[-1]
    broken = Attribute(_Unreadable(population[attribute]), population.attribute(attribute).locality)
    variables = {**population.variables, attribute: broken}
    return replace(state, populations={**state.populations, name: replace(population, variables=variables)})


class _Unreadable:
    """An array in a damaged file."""

    def __init__(self, array: Array) -> None:
        self.shape = array.shape
        self.dtype = array.dtype

    def __getitem__(self, key: Any) -> NDArray[Any]:
        raise CorruptFileError("the values differ from their digest")

    def __array__(self, dtype: Any = None, *, copy: bool | None = None) -> NDArray[Any]:
        raise CorruptFileError("the values differ from their digest")


def _arrays(state: NetworkState) -> Iterator[tuple[str, Array]]:
    """Yield every array with its path."""
    for name, population in state.populations.items():
        for attribute in population:
            yield f"populations/{name}/{attribute}", population[attribute]
    for name, projection in state.projections.items():
        yield f"projections/{name}/pre_ranks", projection.connectivity.pre_ranks
        if projection.delays is not None and not isinstance(projection.delays, int):
            yield f"projections/{name}/delays", projection.delays
        for attribute in projection:
            yield f"projections/{name}/{attribute}", projection[attribute]
    for name, value in state.constants.items():
        yield f"constants/{name}", value
