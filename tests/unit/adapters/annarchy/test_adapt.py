"""Which network is meant where none, or a number, is named."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import ann_ckpt
import ann_ckpt.annarchy
from ann_ckpt.adapters.annarchy.adapt import numbered
from ann_ckpt.adapters.annarchy.bindings import by_name
from ann_ckpt.errors import OptionError, SimulatorError


@dataclass
class Network:
    compiled: bool


def test_the_only_one_that_is_compiled_is_meant_where_none_is_named() -> None:
    common, one, raw = Network(False), Network(True), Network(False)
    assert numbered([common, one, raw, None], 0) is one
    assert numbered([Network(True), one], 0).compiled
    assert numbered([common, one], 1) is one
    assert numbered([common, raw], 0) is common


def test_number_0_comes_first_where_it_is_compiled() -> None:
    common, one = Network(True), Network(True)
    assert numbered([common, one], 0) is common


def test_two_have_to_be_told_apart() -> None:
    with pytest.raises(OptionError, match="pass network=net"):
        numbered([Network(False), Network(True), Network(True)], 0)


@pytest.mark.parametrize("number", [2, -1, 1])
def test_a_number_that_no_network_has_is_refused(number: int) -> None:
    with pytest.raises(OptionError, match=f"net_id={number}"):
        numbered([Network(True), None], number)


def test_a_network_in_the_place_of_another_argument_is_told_where_it_belongs(tmp_path: Path) -> None:
    calls = (
        lambda: ann_ckpt.save(tmp_path / "a.h5", Network(True)),  # type: ignore[arg-type]
        lambda: ann_ckpt.save(tmp_path / "a.h5", net_id=Network(True)),  # type: ignore[arg-type]
        lambda: ann_ckpt.save_parameters(tmp_path / "a.json", Network(True)),  # type: ignore[arg-type]
        lambda: ann_ckpt.load_parameters(tmp_path / "a.json", Network(True)),  # type: ignore[arg-type]
    )
    for call in calls:
        with pytest.raises(OptionError, match="pass network=net"):
            call()


@dataclass
class Thing:
    name: str


@given(st.lists(st.sampled_from(["proj0", "proj1", "proj0-2", "proj10", "ff"])))
def test_of_objects_that_annarchy_named_alike_each_has_a_name_of_its_own(names: list[str]) -> None:
    things = [Thing(name) for name in names]
    if any(names.count(name) > 1 for name in ("proj0-2", "ff")):
        with pytest.raises(SimulatorError, match="are called"):
            by_name("projection", things)
        return
    named = by_name("projection", things)
    assert [id(thing) for thing in named.values()] == [id(thing) for thing in things]
    for name, thing in named.items():
        first = next(other for other in things if other.name == thing.name)
        assert (name == thing.name) == (thing is first)
        assert name.startswith(thing.name)


class Raw:
    """A network before it is compiled, by whatever compiles it."""

    def __init__(self, populations: list[str], projections: list[str]) -> None:
        self.get_populations = lambda: [Thing(name) for name in populations]
        self.get_projections = lambda: [Thing(name) for name in projections]


def test_the_same_names_are_told_before_the_network_is_compiled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    compiled: list[object] = []
    monkeypatch.setattr(ann_ckpt.annarchy, "compile_instrumented", lambda net, **_: compiled.append(net))
    with pytest.warns(ann_ckpt.annarchy.SameNameWarning, match="saved as 'proj0-2'") as caught:
        ann_ckpt.annarchy.compile(Raw(["pop0", "pop1"], ["proj0", "proj0"]))
    assert [warning.filename for warning in caught] == [__file__]
    ann_ckpt.annarchy.compile(Raw(["pop0"], ["pop0", "proj0"]))
    with pytest.raises(SimulatorError, match="two populations are called 'a'"):
        ann_ckpt.annarchy.compile(Raw(["a", "a"], []))
    assert len(compiled) == 2
