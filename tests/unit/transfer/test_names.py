"""Names of a file in terms of the network."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import ann_ckpt
from ann_ckpt import NetworkState, PopulationState, differences
from ann_ckpt.demo import DemoNetwork
from ann_ckpt.errors import MismatchError, ObjectNotFoundError, OptionError
from ann_ckpt.transfer.names import renamed, shifted
from tests.unit.transfer.test_plan import plan, population, projection

NAMES = st.text("ab0*/", max_size=3)


def network(*populations: PopulationState, projections: Any = ()) -> NetworkState:
    return NetworkState(populations=populations, projections=projections)


@given(st.lists(NAMES, unique=True, max_size=4))
def test_names_and_back_is_no_change(names: list[str]) -> None:
    """Plain names go before globs, whatever characters they hold."""
    state = network(*(population(name) for name in names))
    there = {name: f"new {number}" for number, name in enumerate(names)}
    other = renamed(state, there)
    assert list(other.populations) == list(there.values())
    assert not list(differences(state, renamed(other, {new: old for old, new in there.items()})))


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ({}, ["exc1", "exc2", "in"]),
        ({"exc*": "E*"}, ["E1", "E2", "in"]),
        ({"e*c*": "*/*"}, ["x/1", "x/2", "in"]),
        ({"*": "old *"}, ["old exc1", "old exc2", "old in"]),
        ({"*": "*'", "exc1": "a"}, ["a", "exc2'", "in'"]),
        ({"exc?": "q"}, None),
        ({"exc1": "exc2", "exc2": "exc1"}, ["exc2", "exc1", "in"]),
        ({"populations/in": "out"}, ["exc1", "exc2", "out"]),
        ({"*": "old *", "populations/in": "out"}, ["old exc1", "old exc2", "out"]),
    ],
)
def test_globs_carry_over_what_they_match(names: dict[str, str], expected: list[str] | None) -> None:
    state = network(population("exc1"), population("exc2"), population("in"))
    if expected is None:
        with pytest.raises(ObjectNotFoundError, match="names="):
            renamed(state, names)
    else:
        assert list(renamed(state, names).populations) == expected


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ({"exc1": "exc2"}, "two objects of the file would be called 'exc2'"),
        ({"exc*": "E"}, r"has 0 \*, and the name that it replaces 1"),
        ({"exc1": 3}, "takes a mapping"),
        ("exc1", "takes a mapping"),
    ],
)
def test_what_cannot_be_meant_is_refused(names: Any, message: str) -> None:
    with pytest.raises(OptionError, match=message):
        renamed(network(population("exc1"), population("exc2")), names)


def test_projections_follow_their_ends() -> None:
    state = network(population("a"), projections=[projection("ff"), projection("a")])
    other = renamed(state, {"a": "A", "b": "B"})
    assert [(p.pre, p.post) for p in other.projections.values()] == [("A", "B")] * 2
    assert list(other.projections) == ["ff", "A"]
    only = renamed(state, {"projections/a": "A"})
    assert (list(only.populations), list(only.projections)) == (["a"], ["ff", "A"])
    assert only.projections["ff"].pre == "a"


def numbered(numbers: list[int], kinds: list[str]) -> NetworkState:
    """Populations with automatic names; of each kind one geometry."""
    sizes = {kind: (size + 1,) for size, kind in enumerate("xyz")}
    return network(
        *(
            PopulationState(f"pop{n}", sizes[k], variables={"r": np.zeros(sizes[k])})
            for n, k in zip(numbers, kinds, strict=True)
        )
    )


@given(st.lists(st.sampled_from("xyz"), min_size=1, max_size=5), st.data())
def test_a_network_with_one_more_object_is_seen_through(kinds: list[str], data: Any) -> None:
    place = data.draw(st.integers(0, len(kinds)))
    more = [*kinds[:place], data.draw(st.sampled_from("xyz")), *kinds[place:]]
    stored, live = numbered([*range(len(kinds))], kinds), numbered([*range(len(more))], more)
    names = shifted(stored, live)
    assert all(
        stored.populations[old].geometry == live.populations[new].geometry for old, new in names.items()
    )
    whole = [names.get(name, name) for name in stored.populations]
    assert len(set(whole)) == len(whole)
    assert [live.populations[name].geometry for name in whole] == [
        p.geometry for p in stored.populations.values()
    ]


def test_nothing_is_suggested_where_more_than_numbers_differ() -> None:
    assert shifted(numbered([0, 1], ["x", "y"]), numbered([0, 1], ["y", "z"])) == {}
    assert shifted(numbered([0], ["x"]), numbered([0], ["x"])) == {}
    other = network(population("in", (2, 2)), population("out", (2, 2)))
    assert shifted(other, renamed(other, {"in": "a"})) == {}


def test_projections_are_seen_through_the_populations_that_were() -> None:
    stored = network(
        population("pop0"), projections=[projection("proj0", pre="pop0", post="b"), projection("proj1")]
    )
    live = renamed(stored, {"pop0": "pop1", "proj0": "proj2", "proj1": "proj3"})
    expected = {"pop0": "pop1", "proj0": "proj2", "proj1": "proj3"}
    assert shifted(stored, live) == expected
    made = plan(stored, live)
    assert made.problems
    assert made.renaming == expected
    assert f"only automatic numbers differ; try names={expected}" in {n.text for n in made.notes}
    assert not plan(renamed(stored, expected), live).problems
    assert not plan(renamed(stored, expected), live).renaming


def onto(name: str, below: str) -> Any:
    return projection(name, post=below, post_size=None)


@pytest.mark.parametrize("old", ["synapses", "projections/synapses", "syn*s"])
def test_synapses_that_others_end_at_take_those_along(old: str) -> None:
    state = network(population(), projections=[projection("synapses"), onto("on", "synapses")])
    other = renamed(state, {old: "new"} if "*" not in old else {old: "new*"})
    below, above = other.projections.values()
    assert below.name != "synapses"
    assert (above.name, above.pre, above.post) == ("on", "a", below.name)


def test_a_projection_called_as_its_population_is_not_taken_for_it() -> None:
    state = network(projections=[projection("b")])
    assert renamed(state, {"projections/b": "new"}).projections["new"].post == "b"
    assert renamed(state, {"populations/b": "new"}).projections["b"].post == "new"


def test_synapses_at_synapses_are_seen_through() -> None:
    stored = network(population(), projections=[projection("synapses"), onto("synapses_1", "synapses")])
    live = network(population(), projections=[projection("synapses_4"), onto("synapses_5", "synapses_4")])
    names = shifted(stored, live)
    assert names == {"synapses": "synapses_4", "synapses_1": "synapses_5"}
    assert not list(differences(renamed(stored, names), live))


def test_a_file_is_loaded_under_other_names(tmp_path: Any) -> None:
    saved = DemoNetwork(side=4, seed=1)
    saved.simulate(5)
    state = saved.read().state
    ann_ckpt.write(renamed(state, {"*": "old *"}), tmp_path / "net.h5")
    network = DemoNetwork(side=4, seed=2)
    with pytest.raises(MismatchError):
        ann_ckpt.load(tmp_path / "net.h5", network=network)
    report = ann_ckpt.load(tmp_path / "net.h5", network=network, names={"old *": "*"})
    assert not report.problems
    assert list(differences(state, network.read().state)) == ["seed"]


def test_a_selection_has_the_names_of_the_file(tmp_path: Any) -> None:
    saved, network = DemoNetwork(side=4, seed=1), DemoNetwork(side=4, seed=2)
    saved.simulate(5)
    state = saved.read().state
    name = next(iter(state.populations))
    ann_ckpt.write(renamed(state, {name: "old"}), tmp_path / "net.h5")
    report = ann_ckpt.load(tmp_path / "net.h5", ["old"], False, network=network, names={"old": name})
    assert report.loaded
    assert all(path.startswith(f"populations/{name}/") for path in report.loaded)


def test_rows_have_the_names_of_the_file(tmp_path: Any) -> None:
    saved, network = DemoNetwork(side=4, seed=1), DemoNetwork(side=4, seed=1)
    saved.simulate(5)
    one, other = saved.read().state.projections
    swapped = {f"projections/{one}": other, f"projections/{other}": one}
    before = DemoNetwork(side=4, seed=1).read().state
    ann_ckpt.write(renamed(saved.read().state, swapped), tmp_path / "net.h5")
    post = int(before.projections[one].post_ranks[0])
    # The file has each by the name of the other; of the second no dendrite is loaded.
    ann_ckpt.load(
        tmp_path / "net.h5", False, network=network, names=swapped, rows={other: [post], f"{one[:-1]}?": []}
    )
    now = network.read().state
    for name in (one, other):
        w, was = (np.asarray(state.projections[name]["w"]) for state in (now, before))
        first = slice(*now.projections[name].row_ptr[:2].tolist())
        changed = w != was
        assert changed[first].any() == (name == one)
        changed[first] = False
        assert not changed.any()
    with pytest.raises(ObjectNotFoundError, match="rows="):
        ann_ckpt.load(
            tmp_path / "net.h5", network=network, names={f"projections/{one}": "new"}, rows={"new": [post]}
        )


def test_rows_of_what_only_the_file_has_are_its_finding(tmp_path: Any) -> None:
    saved, network = DemoNetwork(side=4, seed=1), DemoNetwork(side=4, seed=2)
    one, other = saved.read().state.projections
    ann_ckpt.write(saved.read().state, tmp_path / "net.h5")
    report = ann_ckpt.load(
        tmp_path / "net.h5",
        False,
        network=network,
        strict=False,
        names={f"projections/{other}": "a[b]*"},
        rows={"*": [0]},
    )
    assert [note.path for note in report.missing_in_network] == ["projections/a[b]*"]
    assert all(path.startswith(f"projections/{one}/") for path in report.loaded)
