"""Names of checkpoints, and what a path with a store in it means."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

import ann_ckpt
from ann_ckpt import CheckpointStore, NetworkState
from ann_ckpt.errors import (
    CorruptFileError,
    FileMissingError,
    FormatVersionError,
    ObjectNotFoundError,
    SimulatorError,
    UnknownFormatError,
)
from ann_ckpt.store.names import Slot
from ann_ckpt.store.opening import store_target


@given(st.lists(st.none() | st.integers(0, 2**62), max_size=12))
def test_names_tell_the_order_of_saving(steps):
    slots: list[Slot] = []
    for step in steps:
        slots.append(Slot.after(slots[-1] if slots else None, step))
    assert slots == sorted(set(slots))
    assert [Slot.parse(slot.name) for slot in slots] == slots
    assert [slot.step for slot, step in zip(slots, steps, strict=True) if step is not None] == [
        step for step in steps if step is not None
    ]


@pytest.mark.parametrize(
    "name", ["", "1000", "000000001000-", "000000001000-0", "000000001000-01", "0000000001000", "x", "-1"]
)
def test_other_names_are_no_checkpoints(name):
    assert Slot.parse(name) is None


def test_a_rising_run_has_plain_names():
    assert Slot.after(Slot(0, 999), 1000).name == "000000001000"


@pytest.fixture
def run(tmp_path):
    path = tmp_path / "run.ckpt"
    for step in (100, 200):
        state = NetworkState(constants={"g": step}, time_step=step)
        ann_ckpt.save(f"{path}@tag {step}", network=state)
    return path


def test_saving_to_a_path_that_ends_like_a_store_makes_one_and_adds_to_it(run):
    assert [c.time_step for c in CheckpointStore(run)] == [100, 200]
    ann_ckpt.write(NetworkState(time_step=300), run)
    assert len(CheckpointStore(run)) == 3


def test_what_cannot_be_saved_makes_no_store(tmp_path):
    with pytest.raises(SimulatorError):
        ann_ckpt.save(tmp_path / "folder" / "new.ckpt", network=object())
    assert list(tmp_path.iterdir()) == []


def test_everything_that_takes_a_path_takes_one_into_a_store(run, tmp_path):
    assert ann_ckpt.open(run).time_step == 200
    assert ann_ckpt.open(f"{run}@100").time_step == 100
    assert ann_ckpt.read(f"{run}@tag 200").time_step == 200
    assert ann_ckpt.verify(f"{run}@100").checked < ann_ckpt.verify(run).checked
    ann_ckpt.save(run, network=NetworkState(time_step=150))
    assert ann_ckpt.open(run).time_step == ann_ckpt.open(f"{run}@150-1").time_step == 150
    file = run / "checkpoints" / "000000000100.h5"
    assert ann_ckpt.open(file).time_step == 100


def test_what_is_not_there_is_said(run, tmp_path):
    with pytest.raises(ObjectNotFoundError, match=r"(?s)run.ckpt has no checkpoint '300'.*tag 200"):
        ann_ckpt.open(f"{run}@300")
    with pytest.raises(ObjectNotFoundError, match="did you mean 'tag 100'"):
        ann_ckpt.open(f"{run}@tag 10")
    with pytest.raises(FileMissingError):
        ann_ckpt.open(tmp_path / "nothing.ckpt@100")
    with (
        CheckpointStore(tmp_path / "empty.ckpt", "a"),
        pytest.raises(FileMissingError, match="no checkpoints yet"),
    ):
        ann_ckpt.open(tmp_path / "empty.ckpt")


def test_a_file_with_an_at_in_its_name_is_itself(run, tmp_path):
    odd = tmp_path / "run.ckpt@100"
    ann_ckpt.write(NetworkState(time_step=7), tmp_path / "x.h5")
    (tmp_path / "x.h5").rename(odd)
    assert ann_ckpt.open(odd).time_step == 7
    home = tmp_path / "me@home"
    home.mkdir()
    ann_ckpt.write(NetworkState(time_step=8), home / "net.h5")
    assert ann_ckpt.open(home / "net.h5").time_step == 8
    ann_ckpt.save(home / "run.ckpt", network=NetworkState(time_step=9))
    assert ann_ckpt.open(f"{home / 'run.ckpt'}@9").time_step == 9


@pytest.mark.parametrize(
    ("path", "target"),
    [
        ("a.h5", None),
        ("a.ckpt", ("a.ckpt", None)),
        ("a.ckpt@b", ("a.ckpt", "b")),
        ("a.ckpt/x.h5", None),
        ("a@b.h5", None),
    ],
)
def test_what_saving_to_a_path_means_where_nothing_is_yet(path, target):
    assert store_target(path) == target


def test_any_folder_may_be_a_store(tmp_path):
    CheckpointStore(tmp_path / "results", "a").close()
    ann_ckpt.save(tmp_path / "results", network=NetworkState(time_step=1))
    assert ann_ckpt.open(tmp_path / "results").time_step == 1


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("", CorruptFileError),
        ("{", CorruptFileError),
        ("[]", UnknownFormatError),
        ('{"format": "other"}', UnknownFormatError),
        ('{"format": "ann_ckpt store", "version": 99}', FormatVersionError),
    ],
)
def test_settings_that_are_none_are_refused(run, text, error):
    (run / "store.json").write_text(text)
    for mode in ("r", "a"):
        with pytest.raises(error):
            CheckpointStore(run, mode)


@pytest.mark.parametrize(
    ("path", "target"),
    [
        ("run.ckpt/", ("run.ckpt", None)),
        ("sub/run.ckpt//", ("sub/run.ckpt", None)),
        ("sub/run.ckpt@b", ("sub/run.ckpt", "b")),
        ("run.ckpt@1/net.h5", None),
        ("run.ckpt@1/other.ckpt", ("run.ckpt@1/other.ckpt", None)),
        ("run.ckpt@1/other.ckpt@b", ("run.ckpt@1/other.ckpt", "b")),
    ],
)
@pytest.mark.parametrize("exists", [False, True])
def test_the_last_part_of_a_path_says_what_is_meant(tmp_path, monkeypatch, path, target, exists):
    monkeypatch.chdir(tmp_path)
    if exists:
        (tmp_path / "run.ckpt@1").mkdir()
        (tmp_path / "sub" / "run.ckpt").mkdir(parents=True)
        (tmp_path / "run.ckpt").mkdir()
    assert store_target(path) == target


@pytest.mark.parametrize("path", ["run.ckpt/", "run.ckpt", "new/run.ckpt/"])
@pytest.mark.parametrize("exists", [False, True])
def test_an_empty_folder_or_a_slash_means_a_store(tmp_path, path, exists):
    if exists:
        (tmp_path / path).mkdir(parents=True)
    ann_ckpt.save(f"{tmp_path}/{path}", network=NetworkState(time_step=3))
    ann_ckpt.save(f"{tmp_path}/{path}", network=NetworkState(time_step=4))
    assert [c.time_step for c in CheckpointStore(f"{tmp_path}/{path}").checkpoints] == [3, 4]


def test_a_file_in_a_folder_with_an_at_is_that_file(run, tmp_path):
    folder = tmp_path / "run.ckpt@1"
    folder.mkdir()
    ann_ckpt.save(folder / "net.h5", network=NetworkState(time_step=7))
    assert [p.name for p in folder.iterdir()] == ["net.h5"]
    assert len(CheckpointStore(run)) == 2
    assert ann_ckpt.open(folder / "net.h5").time_step == 7
    with pytest.raises(FileMissingError, match="the file does not exist"):
        ann_ckpt.open(folder / "other.h5")


def test_a_tag_with_a_slash_is_still_found_where_no_folder_is_meant(run):
    with CheckpointStore(run, "a") as store:
        store.save(NetworkState(time_step=300), tag="night/1")
    assert ann_ckpt.open(f"{run}@night/1").time_step == 300
