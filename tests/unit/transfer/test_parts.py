"""Parts of a network: attributes, one population, dendrites."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import ann_ckpt
from ann_ckpt import Connectivity, NetworkState, Selection, differences
from ann_ckpt.adapters.protocol import Reading
from ann_ckpt.demo import DemoNetwork
from ann_ckpt.errors import MismatchError, ObjectNotFoundError, OptionError
from ann_ckpt.testing import captured, disturbed
from ann_ckpt.transfer import load_into
from tests.unit.transfer.test_plan import always, network, paths, plan, population, projection


def attributes(state: NetworkState) -> list[str]:
    objects = {f"populations/{n}": p for n, p in state.populations.items()}
    objects |= {f"projections/{n}": p for n, p in state.projections.items()}
    return [f"{path}/{name}" for path, thing in objects.items() for name in thing]


def demo(seed: int, steps: int = 5) -> DemoNetwork:
    made = DemoNetwork(side=4, seed=seed)
    made.simulate(steps)
    return made


ALL = attributes(DemoNetwork(side=4, seed=1).read().state)


@settings(max_examples=25)
@given(st.sets(st.sampled_from(ALL), min_size=1))
def test_loading_some_attributes_changes_those_and_nothing_else(chosen: set[str]) -> None:
    """Into the same synapses, so that nothing has to be rebuilt."""
    per_object: dict[str, list[str]] = {path.rpartition("/")[0]: [] for path in ALL}
    for path in chosen:
        per_object[path.rpartition("/")[0]].append(path.rpartition("/")[2])
    live = demo(1)
    before = captured(live.read().state)
    stored = disturbed(before)
    report = load_into(live, Reading(stored), selection=Selection(attributes=per_object))
    after = captured(live.read().state)
    assert not report.problems
    assert set(report.loaded) == chosen
    moved = {p.replace("/parameters/", "/").replace("/variables/", "/") for p in differences(before, after)}
    assert moved <= chosen
    left = {p.replace("/parameters/", "/").replace("/variables/", "/") for p in differences(stored, after)}
    assert not left & chosen


@pytest.mark.parametrize("name", ["part.h5", "part.ckpt"])
def test_a_part_is_saved_and_loaded_by_the_same_words(name: str, tmp_path: Path) -> None:
    saved, live = demo(1, 9), demo(1, 3)
    wanted: dict[str, Any] = {"layer": "r", "lateral": ["w"], "forward": []}
    report = ann_ckpt.save(tmp_path / name, network=saved, attributes=wanted)
    assert any("attributes that were not selected" in note.text for note in report.skipped)
    with ann_ckpt.open(tmp_path / name) as checkpoint:
        assert list(checkpoint.populations["layer"]) == ["r"]
        assert list(checkpoint.projections["lateral"]) == ["w"]
        assert list(checkpoint.projections["forward"]) == []
        assert not checkpoint.populations["layer"].dynamics
        assert str(checkpoint.resume) == "approximate: attributes that were not selected"
    loaded = ann_ckpt.load(tmp_path / name, network=live, attributes=wanted)
    assert {"populations/layer/r", "projections/lateral/w"} <= set(loaded.loaded)
    assert not loaded.problems
    assert np.array_equal(
        live.read().state.populations["layer"]["r"], saved.read().state.populations["layer"]["r"]
    )
    assert live.read().state.time_step == 3


def test_an_attribute_that_was_asked_for_has_to_be_there() -> None:
    stored = network(populations=[population(), population("c", variables={})])
    live = network(populations=[population(), population("c")])
    made = plan(stored, live, selection=Selection(attributes=["r", "w", "tau"]))
    assert paths(made.missing_in_file) == ["populations/c/r"]
    assert not plan(stored, live, selection=Selection(attributes=["w", "tau"])).problems
    with pytest.raises(ObjectNotFoundError, match="attributes="):
        network().select(Selection(attributes="rr"))


def test_the_file_of_one_population_is_loaded_into_a_network_of_many(tmp_path: Path) -> None:
    saved, live = demo(1, 9), demo(2, 3)
    (name, *_) = saved.read().state.populations
    before = captured(live.read().state)
    ann_ckpt.save(tmp_path / "one.h5", [name], False, network=saved)
    report = ann_ckpt.load(tmp_path / "one.h5", network=live)
    assert not report.problems
    assert all(path.startswith(f"populations/{name}/") for path in report.loaded)
    after = captured(live.read().state)
    assert all(path.startswith(f"populations/{name}/") for path in differences(before, after))
    assert after.time_step == 3
    alone = network(populations=[population()], projections=[])
    assert plan(alone, alone).actions[-1].path == "time_step"


def test_floats_of_the_other_precision_are_taken_over_and_said() -> None:
    doubles = demo(1).read().state
    layer = doubles.populations["layer"]
    singles = {n: np.asarray(a, np.float32) for n, a in layer.dynamics.items() if a.dtype == np.float64}
    state = replace(
        doubles,
        populations={**doubles.populations, "layer": replace(layer, dynamics={**layer.dynamics, **singles})},
    )
    live = demo(1, 2)
    report = load_into(live, Reading(state))
    cast = {note.path for note in report.cast}
    assert cast == {f"populations/layer/dynamics/{name}" for name in singles}
    found = live.read().state.populations["layer"].dynamics
    for name, values in singles.items():
        assert found[name].dtype == np.float64
        assert np.array_equal(found[name], values)


def test_whole_numbers_are_not_taken_for_floats_of_another_precision() -> None:
    doubles = demo(1).read().state
    layer = doubles.populations["layer"]
    whole = {n: np.asarray(a).astype(np.int64) for n, a in layer.dynamics.items() if a.dtype == np.float64}
    assert whole
    dynamics = {**layer.dynamics, **whole}
    state = replace(doubles, populations={**doubles.populations, "layer": replace(layer, dynamics=dynamics)})
    report = load_into(demo(1, 2), Reading(state), strict=False)
    assert not [note for note in report.cast if "dynamics" in note.path]


def test_an_old_file_of_one_object_says_what_it_does_not_know() -> None:
    alone = network(populations=[population()], projections=[], constants={}, time_step=None, dt=None)
    made = plan(alone)
    assert not made.problems
    assert "the file does not know the time step; it stays at 7" in {note.text for note in made.notes}


# --- dendrites ---


def rows_of(state: NetworkState, name: str = "ff") -> dict[int, list[float]]:
    ff = state.projections[name]
    ptr = ff.connectivity.row_ptr
    return {int(r): np.asarray(ff["w"])[ptr[i] : ptr[i + 1]].tolist() for i, r in enumerate(ff.post_ranks)}


@settings(max_examples=25)
@given(st.data())
def test_only_the_chosen_dendrites_are_set(data: Any) -> None:
    live = demo(1)
    before = captured(live.read().state)
    stored = disturbed(before)
    ranks = data.draw(st.lists(st.sampled_from(before.projections["lateral"].post_ranks.tolist())))
    selection = Selection(False, "lateral", rows={"lat*": ranks})
    report = load_into(live, Reading(stored), selection=selection)
    assert not report.problems
    now, then, want = (rows_of(s, "lateral") for s in (live.read().state, before, stored))
    assert now == {rank: want[rank] if rank in ranks else then[rank] for rank in then}


def made(stored: Any, live: Any, ranks: list[int]) -> Any:
    return plan(
        network(projections=[stored]),
        network(projections=[live]),
        selection=Selection(rows={"ff": ranks}),
        refusal=always,
    )


def test_dendrites_are_found_by_their_ranks_and_need_the_same_synapses() -> None:
    live = projection()
    other = replace(
        projection(
            rows=[[0, 1, 3], [0, 2], [1]], parameters={"eta": 0.3, "alpha": np.array([7.0, 8.0, 9.0])}
        ),
        connectivity=Connectivity.from_rows([2, 0, 1], [[0, 1, 3], [0, 2], [3]]),
    )
    fits = made(other, live, [2, 0])
    assert not fits.problems
    values = {
        action.name: np.asarray(action.values).tolist()
        for action in fits.actions
        if hasattr(action, "projection")
    }
    assert values == {"w": [3.0, 4.0, 2.0, 0.0, 1.0, 2.0], "alpha": [8.0, 1.0, 7.0]}
    assert "projections/ff/eta" in paths(fits.notes)
    assert "other synapses" in made(other, live, [1]).mismatched[0].text
    assert not [action for action in made(other, live, [0, 1]).actions if hasattr(action, "projection")]
    assert "the file has no dendrite of rank 5" in made(other, live, [5]).mismatched[0].text


@pytest.mark.parametrize(
    ("stored", "live", "fits"),
    [
        (1, 1, True),
        (1, 2, False),
        (2, np.full(6, 2), True),
        (np.array([1, 1, 2, 2, 2, 2]), np.array([1, 1, 3, 2, 2, 2]), True),
        (np.array([1, 2, 2, 2, 2, 2]), np.array([1, 1, 2, 2, 2, 2]), False),
        (None, 3, True),
    ],
)
def test_chosen_dendrites_need_the_same_delays(stored: Any, live: Any, fits: bool) -> None:
    found = made(projection(delays=stored), projection(delays=live), [0, 2])
    assert bool(found.mismatched) is not fits


@pytest.mark.parametrize(
    ("stored", "live", "fits"),
    [
        (0.1, 0.1, True),
        (0.1, 0.2, False),
        (np.linspace(0, 1, 6), np.linspace(0, 1, 6), True),
        (np.array([1, 2, 3, 3, 3, 3]), np.array([1, 2, 4, 3, 3, 3]), False),
        (np.array([1, 1, 1, 2, 1, 1]), np.array([1, 1, 1, 3, 1, 1]), True),
        (np.full(6, 0.5), 0.5, True),
    ],
)
def test_chosen_dendrites_need_the_same_delays_of_pathways(stored: Any, live: Any, fits: bool) -> None:
    ours, theirs = (
        projection(rows=[[0, 1, 3], [0], [2, 3]], pathway_delays={"up": d}) for d in (stored, live)
    )
    found = made(ours, theirs, [0, 2])
    assert paths(found.mismatched) == ([] if fits else ["projections/ff/pathway_delays/up"])
    assert bool([action for action in found.actions if hasattr(action, "projection")]) is fits


def test_rows_of_what_is_not_there_are_an_error() -> None:
    with pytest.raises(ObjectNotFoundError, match="rows="):
        plan(network(), selection=Selection(rows={"fb": [0]}))


def test_a_whole_load_says_what_a_part_would_not(tmp_path: Path) -> None:
    saved = demo(1)
    ann_ckpt.save(tmp_path / "part.h5", network=saved, attributes={"layer": "r"})
    with pytest.raises(MismatchError):
        ann_ckpt.load(tmp_path / "part.h5", network=demo(2))


@settings(max_examples=15)
@given(ranks=st.sets(st.integers(0, 15), min_size=1), into_store=st.booleans())
def test_a_file_of_some_dendrites_says_so_and_loads_into_those_only(
    tmp_path_factory: pytest.TempPathFactory, ranks: set[int], into_store: bool
) -> None:
    place = tmp_path_factory.mktemp("rows") / ("part.ckpt" if into_store else "part.h5")
    live = demo(1)
    before = captured(live.read().state)
    report = ann_ckpt.save(
        place, projections="lateral", populations=False, network=live, rows={"lat*": ranks}
    )
    whole = len(ranks) == 16
    assert whole or "dendrites that were not selected" in str(report.skipped)
    with ann_ckpt.open(place) as ckpt:
        part = ckpt.projections["lateral"]
        assert part.partial is not whole
        assert part.post_ranks[:].tolist() == sorted(ranks)
        for rank in ranks:
            kept, own = part.dendrite(rank), before.projections["lateral"].dendrite(rank)
            for name in ("w", "eta"):
                np.testing.assert_array_equal(kept[name], own[name])
            np.testing.assert_array_equal(kept.pre_ranks, own.pre_ranks)
            np.testing.assert_array_equal(kept.delays, own.delays)
    load_into(live, Reading(disturbed(before)))
    other = captured(live.read().state)
    found = ann_ckpt.load(place, network=live)
    assert whole or "the others stay as they are" in str(found.notes)
    after, then, now = (rows_of(s, "lateral") for s in (live.read().state, other, before))
    assert after == {rank: now[rank] if rank in ranks else then[rank] for rank in now}
    assert {path for path in differences(other, live.read().state) if "lateral" not in path} <= {"resume"}


def test_a_part_that_cannot_be_saved_is_refused_before_anything_happens(tmp_path: Path) -> None:
    live = demo(1)
    before = captured(live.read().state)
    for rows, fact in (
        ({"latral": [0]}, "did you mean 'lateral'"),
        ({"lateral": [0, 99]}, "'lateral' has no dendrite for neuron 99"),
    ):
        for source in (live, before):
            with pytest.raises(ObjectNotFoundError, match=fact):
                ann_ckpt.save(tmp_path / "part.h5", network=source, rows=rows)
        with pytest.raises(ObjectNotFoundError, match=fact):
            ann_ckpt.save(tmp_path / "part.h5", network=live, rows=rows, barrier=True)
    with pytest.raises(OptionError, match="rows="):
        ann_ckpt.save(tmp_path / "part.h5", network=live, rows=[0])
    for name in ("part.npz", "part"):
        with pytest.raises(OptionError, match="part of a projection"):
            ann_ckpt.save(tmp_path / name, network=live, rows={"lateral": [0]})
    assert not list(tmp_path.iterdir())
    assert list(differences(before, live.read().state)) == []


def test_attributes_and_dendrites_are_chosen_together(tmp_path: Path) -> None:
    live = demo(1)
    rows, only = {"lateral": [2]}, {"lateral": "w"}
    ann_ckpt.save(tmp_path / "part.h5", False, "lateral", network=live, rows=rows, attributes=only)
    part = ann_ckpt.read(tmp_path / "part.h5").projections["lateral"]
    assert list(part) == ["w"]
    assert part.resume is not None
    assert part.resume.reasons == ("attributes that were not selected", "dendrites that were not selected")
    wanted = {path: value.copy() for path, value in rows_of(live.read().state, "lateral").items()}
    load_into(live, Reading(disturbed(captured(live.read().state))))
    ann_ckpt.load(tmp_path / "part.h5", network=live, attributes=only)
    found = rows_of(live.read().state, "lateral")
    assert found[2] == wanted[2]
    assert found[3] != wanted[3]


NONE = "none of its populations and projections fits: time step and constants stay as they are"
PART = "only a part is loaded: time step and constants stay as they are"


@pytest.mark.parametrize("change", ["one unknown", "two unknown", "one of another size"])
def test_the_clock_stays_where_nothing_fits(change: str) -> None:
    """Whatever the reason and however many: delay queues and constants of a network are those of its time."""
    live = demo(1, 20)
    state = captured(demo(2).read().state)
    strange = {n: population(n) for n in ("x", "y")}
    state = {
        "one unknown": NetworkState(populations=[strange["x"]], time_step=777, dt=1.0),
        "two unknown": NetworkState(populations=list(strange.values()), time_step=777, dt=1.0),
        "one of another size": NetworkState(
            populations=[population("layer"), strange["x"]], time_step=777, dt=1.0
        ),
    }[change]
    state = replace(state, constants={name: np.int32(9) for name in live.read().state.constants})
    before = captured(live.read().state)
    report = load_into(live, Reading(state), strict=False)
    now = captured(live.read().state)
    assert report.problems
    assert (now.time_step, report.moved) == (20, None)
    assert {NONE, PART} & {note.text for note in report.notes}
    assert {n: float(np.asarray(a)) for n, a in now.constants.items()} == {
        n: float(np.asarray(a)) for n, a in before.constants.items()
    }
    for name, mine in before.populations.items():
        for key, values in mine.dynamics.items():
            assert np.array_equal(now.populations[name].dynamics[key], values, equal_nan=True), key
    assert not [path for path in report.loaded if path.startswith(("time_step", "constants"))]
    assert not [note for note in report.cast if note.path.startswith("constants")]


@pytest.mark.parametrize("change", ["one more", "one less"])
def test_the_clock_moves_where_something_fits(change: str) -> None:
    live = demo(1, 20)
    state = captured(demo(2).read().state)
    state = {
        "one more": replace(state, populations={**state.populations, "x": population("x")}, time_step=777),
        "one less": replace(state, projections={}, time_step=777),
    }[change]
    report = load_into(live, Reading(state), strict=False)
    assert report.problems
    assert report.moved == (20, 777)
    assert live.read().state.time_step == 777


def test_a_clock_that_moves_is_told() -> None:
    live = demo(1, 20)
    state = captured(live.read().state)
    report = load_into(live, Reading(replace(state, time_step=777)))
    assert report.moved == (20, 777)
    assert report.headline().endswith("0 problems, time step 20 -> 777")
    again = load_into(live, Reading(replace(state, time_step=777)))
    assert again.moved is None
    assert again.headline().endswith("0 problems")
