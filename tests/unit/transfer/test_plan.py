from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from ann_ckpt import (
    Attribute,
    Connectivity,
    Locality,
    NetworkState,
    PopulationState,
    ProjectionState,
    Selection,
)
from ann_ckpt.adapters.protocol import Reading
from ann_ckpt.errors import ObjectNotFoundError
from ann_ckpt.reports import Note
from ann_ckpt.transfer import LoadPlan, plan_load
from ann_ckpt.transfer.actions import Connect, SetDelays, SetPathwayDelays

ROWS = [[0, 2], [1], [0, 1, 3]]


def population(name: str = "a", geometry: tuple[int, ...] = (2, 2), **changes: Any) -> PopulationState:
    given = {"parameters": {"tau": 10.0}, "variables": {"r": np.arange(4.0).reshape(geometry)}}
    return PopulationState(name, geometry, **{**given, **changes})


def projection(name: str = "ff", rows: list[list[int]] = ROWS, **changes: Any) -> ProjectionState:
    synapses = Connectivity.from_rows([0, 1, 2], rows)
    n = synapses.n_synapses
    given: dict[str, Any] = {
        "pre": "a",
        "post": "b",
        "target": "exc",
        "connectivity": synapses,
        "parameters": {"eta": 0.1, "alpha": np.arange(3.0)},
        "variables": {"w": np.arange(float(n))},
        "delays": 1,
        "pre_size": 4,
        "post_size": 3,
    }
    return ProjectionState(name, **{**given, **changes})


def network(**changes: Any) -> NetworkState:
    given: dict[str, Any] = {
        "populations": [population()],
        "projections": [projection()],
        "constants": {"gain": 2.0},
        "time_step": 7,
        "dt": 0.5,
    }
    return NetworkState(**{**given, **changes})


def never(projection: ProjectionState) -> str | None:
    raise AssertionError("asked about a projection that does not differ")


def always(projection: ProjectionState) -> str | None:
    return None


def plan(
    stored: NetworkState,
    live: NetworkState | None = None,
    *,
    refusal: Callable[[ProjectionState], str | None] = never,
    selection: Selection = Selection(),  # noqa: B008  frozen
) -> LoadPlan:
    return plan_load(Reading(stored), Reading(live or network()), selection=selection, refusal=refusal)


def paths(notes: Iterable[Note]) -> list[str]:
    return [note.path for note in notes]


def texts(notes: Iterable[Note]) -> str:
    return "; ".join(note.text for note in notes)


def test_equal_states_set_everything_and_the_clock_last() -> None:
    made = plan(network(time_step=99))
    assert [action.path for action in made.actions] == [
        "constants/gain",
        "populations/a/tau",
        "populations/a/r",
        "projections/ff/eta",
        "projections/ff/alpha",
        "projections/ff/w",
        "time_step",
    ]
    assert (made.problems, made.cast, made.rebuilt, made.notes) == ((), (), (), ())
    assert made.nbytes == 8 * (1 + 1 + 4 + 1 + 3 + 6)


def test_a_plan_prints() -> None:
    text = str(plan(network(), network(populations=[population(), population("z")])))
    assert "7 actions, 1 problem" in text
    assert "set projections/ff/w (float64 (6,))" in text
    assert "problem: populations/z: the file has no population 'z'" in text


def test_every_problem_is_found_at_once() -> None:
    stored = network(
        dt=1.0,
        populations=[population(variables={"r": np.zeros((2, 2)), "old": 1.0}), population("gone")],
        projections=[projection(target="inh", pre="c")],
        constants={"lost": 1.0},
    )
    made = plan(stored, network(projections=[projection(), projection("new")]))
    assert paths(made.mismatched) == ["dt", "projections/ff", "projections/ff"]
    assert set(paths(made.missing_in_network)) == {"constants/lost", "populations/gone", "populations/a/old"}
    assert set(paths(made.missing_in_file)) == {"constants/gain", "projections/new"}
    assert made.problems == made.missing_in_file + made.missing_in_network + made.mismatched
    assert "pre is 'c' in the file, 'a' in the network" in texts(made.mismatched)


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"variables": {"r": 1.0}}, "global in the file, local in the network"),
        ({"parameters": {"tau": np.ones((2, 2))}}, "local in the file, global in the network"),
        ({"variables": {"r": np.full((2, 2), 1e300)}}, "float64 in the file, float32 in the network: 1e+300"),
    ],
)
def test_attributes_that_do_not_fit(changes: dict[str, Any], text: str) -> None:
    live = population(variables={"r": np.zeros((2, 2), np.float32)})
    made = plan(network(populations=[population(**changes)]), network(populations=[live]))
    assert text in texts(made.mismatched)


def test_another_geometry_is_one_problem_not_many() -> None:
    made = plan(network(populations=[population(geometry=(4,))]))
    assert paths(made.mismatched) == ["populations/a"]
    assert texts(made.mismatched) == "geometry (4,) in the file, (2, 2) in the network"


def test_casts_are_named() -> None:
    stored = population(parameters={"tau": 3.0}, variables={"r": np.full((2, 2), 0.1)})
    live = population(parameters={"tau": np.int32(1)}, variables={"r": np.zeros((2, 2), np.float32)})
    made = plan(network(populations=[stored]), network(populations=[live]))
    assert [str(note) for note in made.cast] == [
        "populations/a/tau: float64 in the file, int32 in the network",
        "populations/a/r: float64 in the file, float32 in the network, rounded",
    ]
    assert not made.problems
    values = {action.path: np.asarray(action.arrays[0]) for action in made.actions if action.arrays}
    assert values["populations/a/tau"].dtype == np.int32
    assert values["populations/a/r"].dtype == np.float32


# --- synapses -------------------------------------------------------------------------


def test_other_synapses_are_rebuilt_with_the_weights_and_then_given_their_values() -> None:
    stored = projection(rows=[[0], [3], [1, 2]])
    made = plan(network(projections=[stored]), refusal=always)
    about = [action for action in made.actions if action.path.startswith("projections")]
    assert isinstance(about[0], Connect)
    assert about[0].loads == ("projections/ff/w",)
    assert [action.path for action in about[1:]] == ["projections/ff/eta", "projections/ff/alpha"]
    assert texts(made.rebuilt) == "4 synapses in 3 dendrites, in place of 6 in 3"


def test_a_refusal_to_rebuild_is_a_problem_and_sets_nothing() -> None:
    stored = projection(rows=[[0], [3], [1, 2]])
    made = plan(network(projections=[stored]), refusal=lambda p: "it is carved in stone")
    assert "it is carved in stone" in texts(made.mismatched)
    assert not [action for action in made.actions if action.path.startswith("projections")]


def test_ranks_beyond_the_population_are_refused_before_the_simulator_is_asked() -> None:
    # The populations have 4 and 3 neurons.
    for posts, rows, said in (
        ([0, 1, 2], [[0], [8], [1, 2]], "pre ranks from 0 to 8"),
        ([0, 1, 2], [[0], [4], [1, 2]], "pre ranks from 0 to 4"),
        ([0, 1, 8], ROWS, "post rank 8"),
        ([0, 1, 3], ROWS, "post rank 3 in a population of 3"),
    ):
        stored = projection(
            connectivity=Connectivity.from_rows(posts, rows),
            variables={"w": np.zeros(sum(map(len, rows)))},
            pre_size=None,
            post_size=None,
        )
        assert said in texts(plan(network(projections=[stored])).mismatched)


def stacked(base: int, middle: int) -> NetworkState:
    """Synapses onto synapses onto synapses: the last of each ends at the last of those below."""

    def layer(name: str, post: str, rank: int, size: int, post_size: int | None) -> ProjectionState:
        given = {"post": post, "post_size": post_size, "parameters": {}, "variables": {"w": 1.0}}
        return projection(name, connectivity=Connectivity.from_rows([rank], [range(size)]), **given)

    return network(
        projections=[
            layer("ff", "b", 0, base, 3),
            layer("on_ff", "ff", base - 1, middle, None),
            layer("on_top", "on_ff", middle - 1, 1, None),
        ]
    )


@pytest.mark.parametrize(
    ("chosen", "rebuilt", "withdrawn"),
    [
        (True, ["projections/ff", "projections/on_ff", "projections/on_top"], []),
        (["ff", "on_ff"], [], ["projections/ff", "projections/on_ff"]),
        (["ff"], [], ["projections/ff"]),
        (["on_ff"], [], ["projections/on_ff"]),
    ],
)
def test_nothing_is_rebuilt_that_would_leave_synapses_at_synapses_that_there_are_not(
    chosen: bool | list[str], rebuilt: list[str], withdrawn: list[str]
) -> None:
    made = plan(stacked(2, 2), stacked(4, 3), refusal=always, selection=Selection(projections=chosen))
    assert paths(made.rebuilt) == rebuilt
    assert [action.path for action in made.actions if isinstance(action, Connect)] == rebuilt
    assert sorted(paths(made.mismatched)) == withdrawn
    assert not any(action.path.startswith(tuple(withdrawn)) for action in made.actions if withdrawn)


def test_only_what_fits_is_offered_to_a_rebuild() -> None:
    seen = []

    def refusal(offered: ProjectionState) -> str | None:
        seen.append(set(offered))
        return None

    stored = projection(rows=[[0], [3], [1, 2]], parameters={"eta": np.arange(3.0), "beta": 1.0})
    made = plan(network(projections=[stored]), refusal=refusal)
    assert seen == [{"w"}]
    assert paths(made.notes) == ["projections/ff/alpha"]
    assert "initial value" in texts(made.notes)


def test_a_view_must_select_the_same_neurons() -> None:
    def ends(stored: list[int] | None, live: list[int] | None) -> str:
        views = [None if v is None else np.array(v) for v in (stored, live)]
        made = plan(
            network(projections=[projection(pre_view=views[0])]),
            network(projections=[projection(pre_view=views[1])]),
        )
        return texts(made.mismatched)

    assert ends([0, 1, 2, 3], [0, 1, 2, 3]) == ""
    assert ends([0, 1, 3], [0, 1, 2, 3]) == "pre_view selects other neurons in the file than in the network"
    assert ends([0, 1, 2, 3], None) == "pre_view selects other neurons in the file than in the network"
    assert ends(None, [0, 1, 2, 3]) == "", "an old file names the whole population"
    assert ends(None, [0, 1, 2]) == "pre_view of the network leaves out neurons that the file connects"


# --- delays ---------------------------------------------------------------------------


@pytest.mark.parametrize("stored", [5, np.arange(1, 7)])
def test_delays_that_differ_are_set(stored: int | np.ndarray) -> None:
    made = plan(network(projections=[projection(delays=stored)]), refusal=always)
    (action,) = (a for a in made.actions if isinstance(a, SetDelays))
    assert np.array_equal(action.delays, stored)
    assert action.arrays == (() if isinstance(stored, int) else (action.delays,))


def test_delays_of_another_integer_type_are_the_same() -> None:
    made = plan(
        network(projections=[projection(delays=np.arange(1, 7, dtype=np.int64))]),
        network(projections=[projection(delays=np.arange(1, 7, dtype=np.int32))]),
    )
    assert not [a for a in made.actions if isinstance(a, SetDelays)]


def test_delays_that_are_refused_leave_the_values_to_be_set() -> None:
    made = plan(network(projections=[projection(delays=500)]), refusal=lambda p: "too long")
    assert paths(made.mismatched) == ["projections/ff/delays"]
    assert "projections/ff/w" in [action.path for action in made.actions]


def test_delays_in_steps_of_another_length_are_not_believed() -> None:
    made = plan(network(dt=0.1, projections=[projection(delays=5)]))
    assert paths(made.mismatched) == ["dt"]
    assert "time_step" not in [action.path for action in made.actions]
    assert not [a for a in made.actions if isinstance(a, SetDelays)]


# --- old files ------------------------------------------------------------------------


def test_what_an_old_file_does_not_know_stays_as_it_is() -> None:
    stored = network(
        time_step=None, dt=None, constants={}, projections=[projection(delays=None, pre_size=None)]
    )
    made = plan(stored, network(projections=[projection(delays=4)]))
    assert not made.problems
    assert paths(made.notes) == ["constants", "projections/ff/delays", "time_step"]
    assert "time_step" not in [action.path for action in made.actions]


def test_a_locality_that_is_not_known_is_taken_from_the_network() -> None:
    stored = population(variables={"r": Attribute(np.arange(4.0), Locality.UNKNOWN)})
    made = plan(network(populations=[stored]))
    (values,) = (a.arrays[0] for a in made.actions if a.path == "populations/a/r")
    assert np.asarray(values).tolist() == [[0.0, 1.0], [2.0, 3.0]], "flat values take the geometry"
    odd = population(variables={"r": Attribute(np.arange(5.0), Locality.UNKNOWN)})
    assert "shape (5,) in the file, (2, 2) in the network" in texts(
        plan(network(populations=[odd])).mismatched
    )


def test_one_value_for_each_dendrite_is_one_for_all_where_they_agree() -> None:
    live = network(projections=[projection(parameters={"eta": 0.5})])
    for values, fits in (([2.0, 2.0, 2.0], True), ([2.0, 3.0, 2.0], False), ([0.0, -0.0, 0.0], False)):
        stored = projection(parameters={"eta": Attribute(np.array(values), Locality.SEMIGLOBAL)})
        made = plan(network(projections=[stored]), live)
        given = [np.asarray(a.arrays[0]) for a in made.actions if a.path == "projections/ff/eta"]
        assert [value.tolist() for value in given] == ([2.0] if fits else [])
        assert paths(made.cast) == (["projections/ff/eta"] if fits else [])
        assert paths(made.mismatched) == ([] if fits else ["projections/ff/eta"])


def test_an_object_saved_alone_says_nothing_about_the_others() -> None:
    dt = network().dt  # which somebody may have given for the delays of such a file
    for alone in (
        NetworkState(populations=[population()]),
        NetworkState(projections=[projection()]),
        NetworkState(projections=[projection()], dt=dt),
    ):
        made = plan(alone)
        assert not made.problems
        assert len(made.actions) == len(next(iter((*alone.populations.values(), *alone.projections.values())))
                                         .attributes)  # fmt: skip


# --- selection ------------------------------------------------------------------------


def test_what_is_not_selected_is_no_problem_and_the_clock_stays() -> None:
    stored = network(populations=[population("other")], constants={}, time_step=3)
    made = plan(stored, selection=Selection(populations=False, projections="f*"))
    assert not made.problems
    assert {action.path.split("/")[1] for action in made.actions} == {"ff"}
    assert "only a part" in texts(made.notes)


def test_a_selected_name_that_only_one_side_has_is_a_problem() -> None:
    live = network(projections=[projection(), projection("new")])
    made = plan(network(), live, selection=Selection(False, ["new", "ff"]))
    assert paths(made.missing_in_file) == ["projections/new"]
    with pytest.raises(ObjectNotFoundError, match="'old'"):
        plan(network(), live, selection=Selection(False, ["old"]))


@pytest.mark.parametrize("stored", [["a1"], ["a1", "a3"]])
def test_what_the_file_lacks_of_a_glob_is_a_problem_however_much_it_has(stored: list[str]) -> None:
    live = network(populations=[population(name) for name in ("a1", "a2", "a3", "b")], projections=[])
    made = plan(
        network(populations=[population(name) for name in stored], projections=[]),
        live,
        selection=Selection(["a*"], False),
    )
    lacking = [f"populations/{name}" for name in ("a1", "a2", "a3") if name not in stored]
    assert paths(made.missing_in_file) == lacking


def test_an_object_saved_alone_may_be_named() -> None:
    assert not plan(NetworkState(populations=[population()]), selection=Selection("a")).problems


def test_names_from_a_file_cannot_move_the_cursor() -> None:
    made = plan(network(populations=[population(), population("\x1b[2J")]))
    assert "\x1b" not in texts(made.missing_in_network)
    assert "\x1b" not in str(made)


def test_notes_of_both_sides_are_handed_on() -> None:
    made = plan_load(
        Reading(network(), (Note("x", "assumed"),)),
        Reading(network(), (Note("y", "hidden"),)),
        refusal=never,
    )
    assert paths(made.notes) == ["x", "y"]


def test_connect_takes_the_weights_only() -> None:
    stored = projection(rows=[[0], [3], [1, 2]], delays=np.array([1, 2, 3, 4]))
    made = plan(network(projections=[stored]), refusal=always)
    (action,) = (a for a in made.actions if isinstance(a, Connect))
    assert action.nbytes == sum(a.nbytes for a in map(np.asarray, action.arrays))
    assert len(action.arrays) == 5
    without = replace(action, projection=replace(stored, variables={}, delays=None))
    assert (without.loads, len(without.arrays)) == ((), 3)


def test_notes_on_what_is_not_selected_are_left_out() -> None:
    live = Reading(
        network(projections=[projection(), projection("other")]),
        tuple(
            Note(path, "hidden") for path in ("populations/a", "projections/ff", "projections/other/w", "")
        ),
    )
    stored = Reading(network(projections=[projection(), projection("other")]))
    made = plan_load(stored, live, selection=Selection(False, "ff"), refusal=never)
    assert paths(made.notes)[1:] == ["projections/ff", ""]


SECONDS = np.array([0.1, 0.2, 0.3, 0.4, 0.5, 0.6])


class Pathways:
    """What a simulator offers that has several delays of a synapse."""

    def set_pathway_delays(self, projection: str, delays: Any) -> None:
        raise AssertionError("planning sets nothing")


def planned(
    stored: ProjectionState,
    live: ProjectionState,
    *,
    refusal: Callable[[ProjectionState], str | None] = always,
    offers: object = None,
) -> LoadPlan:
    sides = [Reading(network(projections=[p])) for p in (stored, live)]
    return plan_load(*sides, refusal=refusal, offers=offers)


def test_delays_of_pathways_are_set_where_they_differ() -> None:
    live = projection(pathway_delays={"pre": 3, "post": SECONDS, "same": SECONDS})
    stored = projection(pathway_delays={"pre": 3, "post": SECONDS[::-1].copy(), "same": SECONDS})
    made = planned(stored, live, offers=Pathways())
    (action,) = (a for a in made.actions if isinstance(a, SetPathwayDelays))
    assert list(action.delays) == ["post"]
    assert action.loads == ("projections/ff/pathway_delays/post",)
    assert not made.problems
    refused = planned(stored, live, offers=Pathways(), refusal=lambda _: "too long")
    assert paths(refused.mismatched) == ["projections/ff/pathway_delays"]
    assert "cannot set them: post" in texts(planned(stored, live).mismatched)
    assert not planned(live, live, refusal=never, offers=Pathways()).problems


def test_delays_of_pathways_that_do_not_fit_are_reported() -> None:
    live = projection(pathway_delays={"pre": 3, "post": SECONDS})
    stored = projection(pathway_delays={"pre": 0.003, "other": 1})
    made = planned(stored, live, offers=Pathways())
    assert texts(made.mismatched) == "seconds in the file, steps in the network"
    assert paths(made.missing_in_network) == ["projections/ff/pathway_delays/other"]
    assert "projections/ff/pathway_delays/post" in paths(made.notes)
    assert not [a for a in made.actions if isinstance(a, SetPathwayDelays)]


def test_steps_of_pathways_are_not_believed_where_a_step_has_another_length() -> None:
    live = network(projections=[projection(pathway_delays={"pre": 3, "post": SECONDS})])
    stored = network(projections=[projection(pathway_delays={"pre": 4, "post": SECONDS + 1})], dt=0.25)
    made = plan_load(Reading(stored), Reading(live), refusal=always, offers=Pathways())
    (action,) = (a for a in made.actions if isinstance(a, SetPathwayDelays))
    assert list(action.delays) == ["post"]


def test_synapses_in_another_order_are_put_back_in_theirs() -> None:
    stored, live = projection(order=[5, 4, 3, 2, 1, 0]), projection(order=np.arange(6))
    made = planned(stored, live)
    (action,) = (a for a in made.actions if isinstance(a, Connect))
    assert np.array_equal(action.projection.order, stored.order)
    assert "in another order" in texts(made.rebuilt)
    assert not made.problems
    assert not planned(stored, stored, refusal=never).rebuilt


def test_an_order_is_used_where_both_sides_have_one() -> None:
    some, none = projection(order=np.arange(6)[::-1]), projection()
    for stored, live in ((some, none), (none, some)):
        made = planned(stored, live, refusal=never)
        assert paths(made.notes) == ["projections/ff/order"]
        assert not made.rebuilt
        assert not made.problems
    fewer = projection(rows=[[0], [1], [3]], order=[2, 1, 0])
    (action,) = (a for a in planned(fewer, none).actions if isinstance(a, Connect))
    assert action.projection.order is None


def test_an_order_that_a_file_made_up_is_a_problem() -> None:
    class Lazy:
        def __init__(self, values: list[int]) -> None:
            self.values = np.array(values)
            self.shape, self.dtype = self.values.shape, self.values.dtype

        def __getitem__(self, key: Any) -> Any:
            return self.values[key]

        def __array__(self, dtype: Any = None, *, copy: bool | None = None) -> Any:
            return self.values

    for values in ([0, 1, 2, 3, 4, 4], [0, 1, 2, 3, 4, 6], [-1, 0, 1, 2, 3, 4]):
        made = planned(projection(order=Lazy(values)), projection(order=np.arange(6)), refusal=never)
        assert "not a permutation" in texts(made.mismatched)


def test_values_that_are_arrays_fit_those_of_the_same_axes() -> None:
    def both(k: int, rows: list[list[int]] = ROWS, dtype: type = np.float64) -> ProjectionState:
        n = sum(map(len, rows))
        variables = {"w": np.arange(float(n)), "x": np.ones((n, k), dtype)}
        return projection(
            rows=rows,
            variables=variables,
            parameters={"g": Attribute(np.ones(k), Locality.GLOBAL), "row": np.ones((3, k))},
        )

    assert not planned(both(2), both(2), refusal=never).problems
    assert paths(planned(both(2), both(2, dtype=np.float32), refusal=never).cast) == ["projections/ff/x"]
    assert not planned(both(2, [[0], [1], [3, 2]]), both(2)).problems
    made = planned(both(3), both(2), refusal=never)
    assert sorted(paths(made.mismatched)) == [f"projections/ff/{name}" for name in ("g", "row", "x")]
    population_made = plan(
        network(populations=[population(variables={"r": np.zeros((2, 2, 3))})]),
        network(populations=[population(variables={"r": np.zeros((2, 2))})]),
    )
    assert "shape (2, 2, 3) in the file, (2, 2) in the network" in texts(population_made.mismatched)


def test_rebuilding_takes_orders_and_pathways_too_which_are_checked_and_counted() -> None:
    live = projection(order=np.arange(6), pathway_delays={"post": SECONDS})
    stored = projection(order=np.arange(6)[::-1].copy(), pathway_delays={"post": SECONDS * 2})
    (action,) = (a for a in planned(stored, live, offers=Pathways()).actions if isinstance(a, Connect))
    wanted = [stored.order, stored.pathway_delays["post"]]
    assert all(any(array is one for one in action.arrays) for array in wanted)
    watched: list[Any] = []

    class Takes:
        def connect(self, given: ProjectionState) -> None:
            assert np.array_equal(given.order, stored.order)
            assert np.array_equal(given.pathway_delays["post"], SECONDS * 2)

    def watch(array: Any) -> Any:
        watched.append(array)
        return array

    action.apply(Takes(), watch)  # type: ignore[arg-type]
    assert all(any(array is one for one in watched) for array in wanted)
