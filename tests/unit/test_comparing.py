"""Where two runs differ, and by how much: every bit counts, and the first record is named."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from ann_ckpt import NetworkState, PopulationState, Recording, Series
from ann_ckpt.report import Note
from ann_ckpt.resume.comparing import count_arrays, unlike
from ann_ckpt.resume.run import _digest


def network(v: Any = (0.0, 1.0, 2.0), **more: Any) -> NetworkState:
    return NetworkState(populations=[PopulationState("p", (3,), variables={"v": np.asarray(v)})], **more)


def recorded(**series: Series) -> NetworkState:
    return network(recordings=[Recording("m", of="populations/p", series=series)])


def samples(times: list[int], values: Any) -> Series:
    return Series(times=np.array(times), values=np.asarray(values, np.float64))


def notes(a: NetworkState, b: NetworkState) -> list[str]:
    return [note.text for note in unlike(a, b).notes]


@pytest.mark.parametrize(
    ("other", "expected"),
    [
        ((-0.0, 1.0, 2.0), "1 values differ, the largest difference is 0 at [0]"),
        ((0.0, np.nan, 2.5), "2 values differ, the largest difference is inf at [1]"),
        ((0.0, 1.5, 2.25), "2 values differ, the largest difference is 0.5 at [1]"),
        (np.arange(3, dtype=np.float32), "float64 (3,) and float32 (3,)"),
    ],
)
def test_a_bit_is_enough(other: Any, expected: str) -> None:
    assert unlike(network(), network(other)) == ((Note("populations/p/variables/v", expected),), "")


def test_numbers_that_are_none_are_the_same_if_their_bits_are() -> None:
    assert notes(network((np.nan, 1.0, 2.0)), network((np.nan, 1.0, 2.0))) == []


def test_what_is_on_one_side_only_differs() -> None:
    found = unlike(network(constants={"g": 1.0}), network()).notes
    assert [(note.path, note.text) for note in found] == [("constants", "not the same")]


def test_some_things_are_not_looked_at() -> None:
    a, b = network(metadata={"run": 1}, seed=1), network(metadata={"run": 2}, seed=2)
    assert [note.path for note in unlike(a, b).notes] == ["seed"]
    assert unlike(a, b, ignored=("seed",)).notes == ()


@pytest.mark.parametrize("name", ["seed", "resume", "metadata", "recordings"])
def test_what_only_has_such_a_name_is_looked_at(name: str) -> None:
    def called(value: float) -> NetworkState:
        given: Any = {"dynamics": {name: np.array([value])}}
        carried = PopulationState(name, (1,), parameters={name: value}, **given)
        return NetworkState(populations=[carried], constants={name: value}, **given)

    paths = [note.path for note in unlike(called(1.0), called(2.0), ignored=("seed", "reseeded")).notes]
    inside = f"populations/{name}"
    assert paths == [
        f"constants/{name}",
        f"dynamics/{name}",
        f"{inside}/parameters/{name}",
        f"{inside}/dynamics/{name}",
    ]


def test_of_all_that_was_recorded_the_first_that_differs_is_named() -> None:
    a = recorded(r=samples([3, 5, 7], [0, 0, 0]), v=samples([4, 6], [0, 0]))
    b = recorded(r=samples([3, 5, 7], [0, 0, 1]), v=samples([4, 6], [0, -0.0]))
    found = unlike(a, b)
    assert found.first == "recordings/m/v, at step 6"
    assert [note.text for note in found.notes] == [
        "the first that differs is of step 7; 1 values differ, the largest difference is 1 at [2]",
        "the first that differs is of step 6; 1 values differ, the largest difference is 0 at [1]",
    ]


def test_the_step_is_that_of_the_record_also_where_a_record_has_many_values() -> None:
    a = recorded(v=samples([2, 4, 6], np.zeros((3, 2, 2))))
    changed = np.zeros((3, 2, 2))
    changed[1, 1, 0] = 1.0
    assert unlike(a, recorded(v=samples([2, 4, 6], changed))).first == "recordings/m/v, at step 4"


def test_records_that_are_lacking_or_twice_are_counted() -> None:
    a, b = recorded(v=samples([1, 2, 3], [0, 0, 0])), recorded(v=samples([1, 2], [0, 0]))
    assert notes(a, b) == ["3 and 2 records, the first that differs is of step 3"]
    assert notes(b, a) == ["2 and 3 records, the first that differs is of step 3"]


def test_what_has_no_steps_differs_without_one() -> None:
    a, b = (recorded(v=Series(values=np.array([0.0, x]))) for x in (1.0, 2.0))
    assert unlike(a, b).first == "recordings/m/v"
    assert notes(a, b)[0].startswith("the first that differs is number 1; ")
    lone = replace(a, recordings={})
    assert unlike(a, lone) == ((Note("recordings/m", "not the same"),), "recordings/m")


def test_all_arrays_are_counted() -> None:
    assert count_arrays(recorded(v=samples([1], [0.0]))) == count_arrays(network()) + 2
    assert count_arrays(network(constants={"g": 1.0})) == count_arrays(network()) + 1


def test_what_is_looked_at_step_by_step_is_of_a_kind_and_a_shape() -> None:
    kinds = [np.zeros(4, np.int32), np.zeros(4, np.float32), np.zeros((2, 2), np.int32), np.zeros(2)]
    assert len({_digest(values) for values in kinds}) == len(kinds)
    assert _digest(np.arange(8)[::2]) == _digest(np.array([0, 2, 4, 6]))


def test_large_integers_that_differ_are_apart() -> None:
    a, b = (network(constants={"g": np.array(2**53 + more)}) for more in (0, 1))
    assert notes(a, b) == ["1 values differ, the largest difference is 1"]
