"""Which checkpoints go."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ann_ckpt import CheckpointStore, Retention
from ann_ckpt.errors import OptionError
from ann_ckpt.reports import CheckpointInfo
from ann_ckpt.store.names import Slot


def info(step: int, tag: str | None = None, *, round_: int = 0, problem: str | None = None) -> CheckpointInfo:
    slot = Slot(round_, step)
    return CheckpointInfo(slot.name, slot, "", step, step * 1.0, tag, "", 0, {}, problem)


def left(rules: Retention, infos: list[CheckpointInfo]) -> list[int]:
    gone = rules.doomed(infos)
    return [i.slot.step for i in infos if i not in gone]


RUN = [info(step) for step in range(0, 1000, 100)]


def test_the_last_ones_stay():
    assert left(Retention(keep_last=3), RUN) == [700, 800, 900]
    assert left(Retention(keep_last=99), RUN) == list(range(0, 1000, 100))


def test_the_first_of_every_stretch_of_steps_stays_and_the_newest():
    assert left(Retention(keep_every=300), RUN) == [0, 300, 600, 900]
    assert left(Retention(keep_every=250), RUN) == [0, 300, 500, 800, 900]


def test_a_run_that_went_back_is_counted_anew():
    again = [*RUN, *(info(step, round_=1) for step in (300, 400, 500))]
    assert left(Retention(keep_every=500), again) == [0, 500, 300, 500]


def test_what_a_tag_names_stays_unless_told_otherwise():
    infos = [info(0, "start"), info(1, "best"), info(2), info(3, "best"), info(4)]
    assert left(Retention(keep_last=1), infos) == [0, 3, 4]
    assert left(Retention(keep_last=1, keep_tags=False), infos) == [4]


def test_the_caller_may_decide_and_is_asked_only_about_what_would_go():
    asked = []

    def even(checkpoint):
        asked.append(checkpoint.time_step)
        return checkpoint.time_step % 200 == 0

    assert left(Retention(keep_last=2, keep=even), RUN) == [0, 200, 400, 600, 800, 900]
    assert asked == list(range(0, 800, 100))


def test_what_cannot_be_read_stays():
    assert left(Retention(keep_last=1), [info(0, problem="cut"), info(1), info(2)]) == [0, 2]


@pytest.mark.parametrize(
    "rules", [{}, {"keep_tags": True}, {"keep_last": 0}, {"keep_every": -5}, {"keep": 3}]
)
def test_rules_that_say_nothing_or_nonsense_are_refused(rules):
    with pytest.raises(OptionError):
        Retention(**rules)


@given(
    st.lists(st.tuples(st.integers(0, 50), st.sampled_from([None, "a", "b"])), max_size=20),
    st.none() | st.integers(1, 5),
    st.integers(1, 20),
    st.booleans(),
)
def test_pruning_twice_is_pruning_once_and_the_newest_always_stays(entries, last, every, tags):
    infos, slot = [], None
    for step, tag in entries:
        slot = Slot.after(slot, step)
        infos.append(info(step, tag, round_=slot.round))
    rules = Retention(keep_last=last, keep_every=every, keep_tags=tags)
    kept = [i for i in infos if i not in rules.doomed(infos)]
    assert rules.doomed(kept) == []
    assert infos[-1:] == kept[-1:]
    assert kept[-(last or 1) :] == infos[-(last or 1) :]


@pytest.mark.parametrize("rule", ["keep_last", "keep_every"])
@pytest.mark.parametrize("number", [2.5, 3.0, "3", [3]])
def test_a_number_of_checkpoints_or_steps_is_whole(rule, number):
    with pytest.raises(OptionError, match=f"(?s){rule}=.*a whole number"):
        Retention(**{rule: number})


@pytest.mark.parametrize("rules", [3, "keep_last=3", {"keep_last": 3}])
def test_a_store_takes_nothing_else_for_rules(tmp_path: Path, rules: object) -> None:
    with pytest.raises(OptionError, match=r"Retention\(keep_last=3\)"):
        CheckpointStore(tmp_path / "run.ckpt", "a", retention=rules)  # type: ignore[arg-type]
    assert not list(tmp_path.iterdir())
