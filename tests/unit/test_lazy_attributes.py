"""Attributes in a file are made when they are asked for, and behave like the dictionary of all of them."""

from __future__ import annotations

import sys

import numpy as np
import pytest

import ann_ckpt
from ann_ckpt import Attribute, Connectivity, Locality, NetworkState, PopulationState, ProjectionState
from ann_ckpt.errors import AttributeNotFoundError, ClosedCheckpointError
from ann_ckpt.lazy import attributes
from ann_ckpt.lazy.array import LazyArray

MANY = {f"a{i}": Attribute(np.arange(12.0) * i, Locality.LOCAL) for i in range(200)}
ROWS = Connectivity(np.arange(4), np.array([0, 3, 6, 9, 12]), np.tile(np.arange(3), 4))


@pytest.fixture
def path(tmp_path):
    given = {"parameters": {"tau": 2.0}, "variables": MANY, "dynamics": {"d": 1.0}}
    state = NetworkState(
        populations=[PopulationState("q", (12,), **given)],
        projections=[ProjectionState("p", "q", "q", "exc", ROWS, **given)],
    )
    ann_ckpt.write(state, tmp_path / "many.h5")
    return tmp_path / "many.h5"


@pytest.fixture
def made(monkeypatch):
    """Paths of the arrays that were made."""
    paths: list[str] = []

    class Noted(LazyArray):
        def __init__(self, reader, path) -> None:
            paths.append(path)
            super().__init__(reader, path)

    monkeypatch.setattr(attributes, "LazyArray", Noted)
    return paths


@pytest.mark.parametrize("group", ["populations", "projections"])
def test_only_the_attribute_that_is_asked_for_is_made(path, made, group):
    with ann_ckpt.open(path) as ckpt:
        (owner,) = getattr(ckpt, group).values()
        assert made == []
        assert "a7" in owner
        assert "b" not in owner
        assert list(owner) == ["tau", *MANY]
        assert (len(owner.variables), list(owner.variables)) == (200, list(MANY))
        assert made == []
        np.testing.assert_array_equal(owner["a7"], MANY["a7"].values)
        owner["a7"]
        assert [place.rpartition("/")[2] for place in made] == ["a7"]


@pytest.mark.parametrize("group", ["populations", "projections"])
def test_a_group_behaves_like_the_dictionary_of_all(path, group):
    with ann_ckpt.open(path) as ckpt:
        (owner,) = getattr(ckpt, group).values()
        for one in (owner.parameters, owner.variables, owner.dynamics):
            everything = {name: one[name] for name in one}
            assert one == everything
            assert everything == one
            assert repr(one) == repr(everything)
            assert one | {"more": 1} == everything | {"more": 1}
            assert {"more": 1} | one == {"more": 1} | everything
            assert list({"more": 1} | one) == ["more", *everything]
            assert [one.get(name) for name in one] == list(everything.values())
            with pytest.raises(KeyError, match="nothing"):
                one["nothing"]
            with pytest.raises(TypeError):
                one | 3
        assert owner.attributes == owner.parameters | owner.variables
        with pytest.raises(AttributeNotFoundError, match="nothing"):
            owner["nothing"]


def test_a_lazy_population_is_the_population_that_was_saved(path):
    with ann_ckpt.open(path) as ckpt:
        population = ckpt.populations["q"]
        assert isinstance(population, ann_ckpt.LazyPopulation)
        assert isinstance(population, PopulationState)
        assert (population.name, population.geometry, population.size) == ("q", (12,), 12)
        for lazy in (True, False):
            state = population.state(lazy=lazy)
            assert type(state) is PopulationState
            assert repr(state) == repr(population)
            assert isinstance(state["a1"], LazyArray) == lazy
            for name in population:
                assert state.attribute(name).locality == population.attribute(name).locality
                np.testing.assert_array_equal(state[name], population[name])
    unread = ann_ckpt.open(path)
    population = unread.populations["q"]
    unread.close()
    with pytest.raises(ClosedCheckpointError):
        population["a1"]


def test_opening_a_projection_enters_few_modules(path):
    """What lists names has read the index; from there, only what says what a projection is."""
    entered = set()

    def note(frame, event, _):
        if event == "call":
            entered.add(frame.f_globals.get("__name__", ""))

    with ann_ckpt.open(path) as ckpt:
        assert list(ckpt.projections) == ["p"]
        before = sys.getprofile()
        sys.setprofile(note)
        try:
            ckpt.projections["p"]
        finally:
            sys.setprofile(before)
    ours = {name for name in entered if name.startswith("ann_ckpt")}
    assert len(ours) <= 10, sorted(ours)
