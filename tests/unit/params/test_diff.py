"""What differs between parameter files and networks."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given

import ann_ckpt
from ann_ckpt import NetworkState, PopulationState
from ann_ckpt.errors import ParameterFileError
from ann_ckpt.params import ParameterFile, apply, diff, parse
from ann_ckpt.params.calls import dump_parameters, extract
from ann_ckpt.params.description import describe
from tests.strategies import networks
from tests.unit.params.networks import network


def file(data: Any) -> ParameterFile:
    return parse(json.dumps(data))


def lines(a: Any, b: Any) -> list[str]:
    return [str(d) for d in diff(a, b)]


def test_two_files() -> None:
    a = {"populations": {"p": {"x": 1, "y": 2, "on": True}}, "network": {"s": "a"}}
    b = {"populations": {"p": {"x": 1.5, "z": 2, "on": 1}}, "network": {"s": "a"}, "constants": {"K": 1}}
    assert lines(file(a), file(b)) == [
        "~ populations/p/x: 1 -> 1.5",
        "- populations/p/y: 2",
        "~ populations/p/on: true -> 1",
        "+ populations/p/z: 2",
        "+ constants/K: 1",
    ]
    assert diff(file(a), file(b))[0].to_dict() == {
        "pointer": "/populations/p/x",
        "kind": "changed",
        "before": 1,
        "after": 1.5,
    }


def test_equal_numbers_are_equal_however_they_are_written() -> None:
    assert (
        diff(file({"network": {"a": 1, "b": [1, 2.0]}}), file({"network": {"a": 1.0, "b": [1.0, 2]}})) == []
    )


def test_order_and_empty_sections_do_not_matter() -> None:
    a = {"populations": {"p": {"x": 1}, "q": {}}, "network": {}}
    assert diff(file(a), file({"populations": {"p": {"x": 1}}})) == []


def test_a_file_and_a_network() -> None:
    data = extract(describe(network())).data
    assert diff(file(data), network()) == []
    data["populations"]["inp"]["tau"] = 11
    data["populations"]["inp"]["noise"] = 0
    data["projections"]["ff"]["w"] = [1, 1, 1, 2]
    data["projections"]["ff"]["theta"] = [1, 1, 1]
    del data["constants"]["K"]
    assert lines(file(data), network()) == [
        "~ populations/inp/tau: 11 -> 10.0",
        "~ projections/ff/w: 1 of 4 values differ: [3] 2 -> 1.0",
        "~ projections/ff/theta: 3 values -> 2 values",
        "+ constants/K: 0.25",
    ]


def test_of_a_float32_array_only_what_differs_is_told() -> None:
    """A file has the digits of the float32, not of the float64 that it becomes."""
    state = NetworkState(
        populations=[PopulationState("p", (3,), parameters={"x": np.array([0.1, 0.2, 0.3], np.float32)})]
    )
    data = extract(describe(state)).data
    assert diff(file(data), state) == []
    data["populations"]["p"]["x"] = [0.1, 0.25, 0.3]
    assert lines(file(data), state) == ["~ populations/p/x: 1 of 3 values differ: [1] 0.25 -> 0.2"]


def test_a_quantity_beside_a_network_is_a_number_in_the_unit_of_the_model() -> None:
    file = parse(
        '{"populations": {"inp": {"tau": "0.01 s"}, "out": {"tau": "0.03 s"}}, "network": {"a": "1 s"}}'
    )
    (changed,) = diff(network(), file, overlay=True)
    assert str(changed) == "~ populations/out/tau: 20.0 -> 30.0"
    unfit = parse('{"populations": {"inp": {"tau": "3 mV"}}}')
    assert [d.after for d in diff(network(), unfit, overlay=True)] == ["3 mV"]


def test_two_networks_differ_in_arrays_too() -> None:
    other = apply(parse('{"populations": {"inp": {"noise": 0.5, "on": false}}}'), network())
    assert lines(network(), other) == [
        "~ populations/inp/on: true -> false",
        "~ populations/inp/noise: 4 of 4 values differ: [0] 0.0 -> 0.5, [1] 0.0 -> 0.5, [2] 0.0 -> 0.5, ...",
    ]


def test_values_that_json_cannot_write_are_compared_too() -> None:
    a = NetworkState(populations=[PopulationState("p", (1,), parameters={"x": np.nan})])
    b = NetworkState(populations=[PopulationState("p", (1,), parameters={"x": np.inf})])
    assert diff(a, a) == []
    assert lines(a, b) == ["~ populations/p/x: nan -> inf"]


@given(networks())
def test_a_network_does_not_differ_from_itself_or_its_file(state: NetworkState) -> None:
    assert diff(state, state) == []
    left = {d.kind for d in diff(parse(dump_parameters(extract(describe(state)).data)), state)}
    assert left <= {"added"}  # what JSON cannot write
    assert diff(state, replace(state, metadata={})) == []


def test_paths_and_checkpoints(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{"constants": {"K": 1}}')
    ann_ckpt.write(network(), tmp_path / "net.h5")
    with ann_ckpt.open(tmp_path / "net.h5") as checkpoint:
        assert "~ constants/K: 1 -> 0.25" in lines(tmp_path / "a.json", checkpoint)
        assert diff(checkpoint, network()) == []


def test_a_file_that_cannot_be_read_cannot_be_compared() -> None:
    with pytest.raises(ParameterFileError) as caught:
        diff(parse("{"), file({}))
    assert [f.rule for f in caught.value.findings] == ["P001"]


def test_names_are_escaped() -> None:
    (difference,) = diff(file({}), file({"network": {"\x1b[2J": 1}}))
    assert str(difference) == "+ network/\\x1b[2J: 1"


@pytest.mark.parametrize("given", [[2, 2.5, 2], 2.5, True, [2**53 + 1, 2, 2], [2, 2]])
def test_numbers_that_an_integer_cannot_have_are_no_numbers_of_it(given: Any) -> None:
    state = NetworkState(populations=[PopulationState("p", (3,), parameters={"n": np.array([2, 2, 2])})])
    assert diff(file({"populations": {"p": {"n": given}}}), state)
    for same in ([2, 2.0, 2], 2, 2.0):
        assert not diff(file({"populations": {"p": {"n": same}}}), state)


@pytest.mark.parametrize("values", ['"tau": NaN', '"tau": 10.0, "tau": 11.0', '"tau": 1e999'])
def test_a_file_whose_values_are_refused_is_compared_with_nothing(values: str) -> None:
    file = parse(f'{{"populations": {{"inp": {{{values}}}}}}}')
    for sides in ((file, network()), (network(), file)):
        with pytest.raises(ParameterFileError, match="not well formed"):
            diff(*sides)


def test_what_a_file_says_moves_no_cursor() -> None:
    (found,) = diff({"network": {"a": "\x1b[31m values"}}, {})
    assert str(found) == r"- network/a: \x1b[31m values"
