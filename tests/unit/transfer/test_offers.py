"""What a simulator may offer beyond the protocol: a clock, refusals, values of an object at once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import ann_ckpt
from ann_ckpt import (
    AttributeInfo,
    Connectivity,
    NetworkState,
    PopulationState,
    ProjectionState,
    Selection,
    TypeInfo,
    differences,
)
from ann_ckpt.adapters.simulators import clock_of
from ann_ckpt.demo import DemoNetwork
from ann_ckpt.errors import CorruptFileError, MismatchError, SimulatorError
from ann_ckpt.simulators import (
    Clock,
    HasClock,
    Owner,
    Reading,
    RefusesTimeStep,
    RefusesValues,
    SetsTogether,
)
from ann_ckpt.testing import captured, disturbed, rewired
from ann_ckpt.transfer import LoadPlan, load_into, plan_load


class Whole(DemoNetwork):
    """Takes and judges the values of an object together, and remembers what it was asked."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.asked: list[tuple[str, tuple[str, ...]]] = []
        self.set: list[tuple[str, tuple[str, ...]]] = []
        self.refuses: str | None = None
        self.clock_stands = False

    def refuse_time_step(self, time_step: int) -> str | None:
        return "its clock only runs" if self.clock_stands else None

    def refuse_values(self, stored: Owner, values: Mapping[str, Any]) -> str | None:
        name = getattr(stored, "name", "")
        self.asked.append((name, tuple(values)))
        for array in values.values():
            np.asarray(array)
        return "V_reset is above V_th" if name == self.refuses else None

    def set_attributes(self, stored: PopulationState | ProjectionState, values: Mapping[str, Any]) -> None:
        self.set.append((stored.name, tuple(values)))
        one = (
            self.set_population_attribute
            if isinstance(stored, PopulationState)
            else self.set_projection_attribute
        )
        for name, array in values.items():
            one(stored.name, name, array)


@pytest.fixture
def network() -> Whole:
    made = Whole(side=4, seed=1)
    made.simulate(5)
    return made


def wanted(network: DemoNetwork) -> NetworkState:
    return replace(disturbed(captured(network.read().state)), dynamics={})


@contextmanager
def unchanged(network: DemoNetwork) -> Iterator[None]:
    before = captured(network.read().state)
    yield
    assert not list(differences(before, captured(network.read().state)))


def test_it_offers_all_and_the_least_simulator_nothing(network: Whole) -> None:
    for offer in (HasClock, RefusesTimeStep, RefusesValues, SetsTogether):
        assert isinstance(network, offer)
    assert not isinstance(DemoNetwork(side=2), RefusesTimeStep | RefusesValues | SetsTogether)


def test_the_clock_is_asked_without_a_reading(network: Whole, monkeypatch: pytest.MonkeyPatch) -> None:
    read = clock_of_reading(network)
    monkeypatch.setattr(Whole, "read", lambda *_: pytest.fail("read to learn the time"))
    assert clock_of(network) == Clock(5, 1.0) == read


def clock_of_reading(network: DemoNetwork) -> Clock:
    """As of a simulator that has no clock."""

    class Without:
        def read(self, selection: Selection) -> Reading:
            assert not selection.populations
            assert not selection.projections
            return network.read(selection)

    return clock_of(Without())  # type: ignore[arg-type]


def test_values_are_set_one_object_at_once(network: Whole) -> None:
    state = wanted(network)
    report = load_into(network, Reading(state))
    assert [name for name, _ in network.set] == ["image", "layer", "forward", "lateral"]
    assert dict(network.set)["layer"] == tuple(state.populations["layer"])
    assert "populations/layer/tau" in report.loaded
    assert report.bytes_read == load_into(DemoNetwork(side=4, seed=1), Reading(state)).bytes_read
    now = captured(network.read().state)
    assert not list(differences(state, replace(now, dynamics={})))


def test_of_new_synapses_the_weights_are_set_once(network: Whole) -> None:
    state = wanted(network)
    lateral = rewired(state.projections["lateral"])
    load_into(network, Reading(replace(state, projections={**state.projections, "lateral": lateral})))
    assert "w" in dict(network.asked)["lateral"], "refused or taken with the other values"
    assert "w" not in dict(network.set)["lateral"], "connect has set them"
    assert not list(
        differences(
            NetworkState(projections=[lateral]),
            NetworkState(projections=[captured(network.read().state).projections["lateral"]]),
        )
    )


@pytest.mark.parametrize("owner", ["", "layer", "lateral"])
@pytest.mark.parametrize("other_synapses", [False, True])
def test_refused_values_change_nothing(network: Whole, owner: str, other_synapses: bool) -> None:
    network.refuses = owner
    state = wanted(network)
    if other_synapses:
        state = replace(state, projections={n: rewired(p) for n, p in state.projections.items()})
    with unchanged(network), pytest.raises(MismatchError) as caught:
        load_into(network, Reading(state))
    (problem,) = caught.value.report.mismatched
    assert problem.text == "the values cannot be set: V_reset is above V_th"
    assert problem.path.rpartition("/")[2] == (owner or "constants")


@pytest.mark.parametrize("owner", ["", "layer", "lateral"])
def test_a_lenient_load_leaves_the_refused_object(network: Whole, owner: str) -> None:
    network.refuses = owner
    before = captured(network.read().state)
    state = wanted(network)
    state = replace(state, projections={n: rewired(p) for n, p in state.projections.items()})
    load_into(network, Reading(state), strict=False)
    now = captured(network.read().state)
    for group in ("populations", "projections"):
        for name, kept in getattr(now, group).items():
            expected = getattr(before if name == owner else state, group)[name]
            assert not list(
                differences(
                    NetworkState(**{group: [replace(kept, dynamics={})]}),
                    NetworkState(**{group: [replace(expected, dynamics={})]}),
                )
            ), name
    assert float(np.asarray(now.constants["period"])) == float(
        np.asarray((before if owner == "" else state).constants["period"])
    )


def test_values_that_cannot_be_read_to_be_judged_change_nothing(network: Whole) -> None:
    class Damaged:
        shape, dtype = (4, 4), np.dtype(float)

        def __getitem__(self, key: Any) -> Any:
            raise CorruptFileError("damaged")

        def __array__(self, dtype: Any = None, *, copy: bool | None = None) -> Any:
            raise CorruptFileError("damaged")

    state = wanted(network)
    layer = state.populations["layer"]
    layer = replace(layer, variables={**layer.variables, "r": Damaged()})
    with unchanged(network), pytest.raises(CorruptFileError):
        load_into(network, Reading(replace(state, populations={**state.populations, "layer": layer})))


def test_a_clock_that_cannot_be_set_is_noted_and_the_rest_is_loaded(network: Whole) -> None:
    network.clock_stands = True
    state = wanted(network)
    report = load_into(network, Reading(state))
    (note,) = (note for note in report.notes if note.path == "time_step")
    assert note.text == f"{state.time_step} in the file cannot be set, it stays at 5: its clock only runs"
    assert "time_step" not in report.loaded
    now = captured(network.read().state)
    assert now.time_step == 5
    assert list(differences(replace(state, time_step=5), replace(now, dynamics={}))) == []


# --- units and equations --------------------------------------------------------------


def typed(unit: str | None, texts: Mapping[str, str] | None = None, *, kind: str = "LIF") -> TypeInfo | None:
    return None if unit is None else TypeInfo(kind, "", texts or {}, {"v": AttributeInfo(unit=unit)})


def planned(stored: TypeInfo | None, live: TypeInfo | None) -> LoadPlan:
    def state(kind: TypeInfo | None) -> NetworkState:
        synapses = Connectivity.from_rows([0], [[0, 1]])
        return NetworkState(
            populations=[PopulationState("a", (2,), variables={"v": np.ones(2), "u": 0.5}, neuron_type=kind)],
            projections=[
                ProjectionState(
                    "p", "a", "a", "exc", synapses, variables={"v": np.ones(2)}, synapse_type=kind
                )
            ],
            time_step=1,
        )

    return plan_load(Reading(state(stored)), Reading(state(live)), refusal=lambda _: None)


def test_a_differing_unit_is_a_problem_and_the_values_stay() -> None:
    made = planned(typed("volt"), typed("amp"))
    text = "unit 'volt' in the file, 'amp' in the network"
    assert [(p.path, p.text) for p in made.mismatched] == [
        ("populations/a/v", text),
        ("projections/p/v", text),
    ]
    assert [action.path for action in made.actions] == ["populations/a/u", "time_step"]


@pytest.mark.parametrize(
    ("stored", "live"),
    [("mV", "mV"), ("mV", ""), ("", "mV"), (None, "mV"), ("mV", None), (None, None), ("nA / ms", "nA/ms")],
)
def test_a_side_that_names_no_unit_is_believed(stored: str | None, live: str | None) -> None:
    made = planned(typed(stored), typed(live))
    assert made.problems == ()
    assert made.notes == ()


def test_differing_equations_are_a_note() -> None:
    stored = typed("", {"equations": "dv/dt = -v", "reset": "v = 0", "only": "1", "parameters": "tau = 1"})
    live = typed("", {"equations": "dv/dt = -2*v", "reset": "v  =  0\n", "parameters": "tau = 2"})
    made = planned(stored, live)
    assert made.problems == ()
    text = "the file has another text for 'equations' than the network"
    assert [(n.path, n.text) for n in made.notes] == [("populations/a", text), ("projections/p", text)]


def test_of_an_object_without_attributes_nothing_is_set() -> None:
    bare = NetworkState(populations=[PopulationState("a", (2,))], time_step=1)
    made = plan_load(Reading(bare), Reading(bare), refusal=lambda _: None, offers=Whole(side=4))
    assert [action.path for action in made.actions] == ["time_step"]


def test_parameters_are_asked_about_and_set_by_object(network: Whole, tmp_path) -> None:
    path = tmp_path / "p.json"
    path.write_text(
        '{"populations": {"layer": {"tau": 7.0, "noise": 0.25}}, "projections": {"lateral": {"eta": 0.5}},'
        ' "constants": {"period": 99.0}}'
    )
    before = captured(network.read().state)
    for refuses in ("lateral", ""):
        network.refuses = refuses
        with pytest.raises(SimulatorError, match=r"nothing was changed(.|\n)*V_reset is above V_th"):
            ann_ckpt.params.apply(path, network)
        assert not network.set
        assert not list(differences(before, captured(network.read().state)))
    network.refuses, network.asked = None, []
    ann_ckpt.params.apply(path, network)
    assert network.asked == [("layer", ("tau", "noise")), ("lateral", ("eta",)), ("", ("period",))]
    assert network.set == [("layer", ("tau", "noise")), ("lateral", ("eta",))]
    now = network.read().state
    assert float(np.asarray(now.populations["layer"]["noise"])) == 0.25
    assert float(np.asarray(now.projections["lateral"]["eta"])) == 0.5
    assert float(np.asarray(now.constants["period"])) == 99.0


def test_parameters_of_an_object_that_cannot_be_set_at_once_are_put_back(network: Whole, tmp_path) -> None:
    path = tmp_path / "p.json"
    path.write_text('{"populations": {"layer": {"tau": 7.0, "noise": 0.25}, "image": {"sigma": 2.0}}}')
    before = captured(network.read().state)
    take = network.set_population_attribute

    def refuse(population: str, attribute: str, values: Any) -> None:
        if attribute == "sigma" and float(np.asarray(values)) == 2.0:
            raise ValueError("no")
        take(population, attribute, values)

    network.set_population_attribute = refuse  # type: ignore[method-assign]
    with pytest.raises(SimulatorError, match="the 2 set before it were put back"):
        ann_ckpt.params.apply(path, network)
    assert not list(differences(before, captured(network.read().state)))
