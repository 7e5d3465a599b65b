"""Every benchmark is well formed: what its goals speak of takes part in it."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.catalogue import every_case, find, select
from benchmarks.harness import SCALES, Case, Role
from benchmarks.running import measure
from benchmarks.states import KINDS

TINY = SCALES["tiny"]
CASES = every_case(TINY)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.key)
def test_goals_name_contenders_of_their_case(case: Case, tmp_path: Path) -> None:
    names = [contender.name for contender in case.contenders(tmp_path)]
    assert len(set(names)) == len(names)
    for goal in case.goals:
        assert {goal.what, goal.over, goal.minus} - {None} <= set(names), goal.text


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.key)
def test_describing_a_case_makes_no_files(case: Case, tmp_path: Path) -> None:
    roles = {contender.role for contender in case.contenders(tmp_path)}
    assert Role.OURS in roles
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("scale", SCALES.values(), ids=lambda scale: scale.name)
def test_keys_are_unique_at_each_scale(scale) -> None:
    assert {case.key for case in every_case(scale)} >= {"full-save/random/none", "ten-dendrites/adjacent"}


def test_every_kind_of_state_is_tried() -> None:
    assert set(SCALES["tiny"].kinds) == set(KINDS)
    assert set(SCALES["full"].kinds) < set(KINDS)


def test_selecting_by_beginning_and_by_glob() -> None:
    assert {case.key for case in select(CASES, ["open/"])} == {case.key for case in select(CASES, ["open/*"])}
    assert select(CASES, []) == CASES
    with pytest.raises(LookupError, match="no case matches 'nonsense'"):
        select(CASES, ["nonsense"])


@pytest.mark.slow
def test_pauses_are_measured_while_arrays_change(tmp_path: Path) -> None:
    case = find("pause/arrays-1-MiB", TINY)
    rows = measure(case, TINY, tmp_path / "run", rounds=1, memory=False).rows
    assert not [row.problem for row in rows.values() if row.problem]
    for row in rows.values():
        assert row.time is not None
        assert len(row.beside["until on disk"]) == len(row.counted)
        assert row.beside["until on disk"][0] >= row.counted[0]
    assert rows["limit: fork"].beside["a step meanwhile"]
    assert "a step meanwhile" not in rows["pickle"].beside
    assert "ann_ckpt in the background, forked" in rows


@pytest.mark.slow
def test_a_case_is_measured_from_start_to_end(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    result = measure(find("open/1-MiB", TINY), TINY, folder, rounds=2)
    for row in result.rows.values():
        assert not row.problem
        assert row.time is not None
        assert row.memory is not None
        assert row.file
        assert row.read
    assert [outcome.value is None for outcome in result.goals] == [False]
    assert not folder.exists()
