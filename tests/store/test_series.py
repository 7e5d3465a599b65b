"""What a store promises to the one who saves and looks back."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import ann_ckpt
from ann_ckpt import CheckpointStore, NetworkState, differences
from ann_ckpt.errors import (
    CorruptFileError,
    FileMissingError,
    NotReadableError,
    NotWritableError,
    ObjectNotFoundError,
    OptionError,
    UnrecognisedFileError,
)
from ann_ckpt.store import series
from ann_ckpt.store.catalog import Catalog
from tests.store.runs import state


def same(a: NetworkState, b: NetworkState) -> bool:
    return not list(differences(a, b))


def bytes_of(folder) -> int:
    return sum(p.stat().st_size for p in folder.rglob("*") if p.is_file())


@contextlib.contextmanager
def unread(path):
    """Have the disk fail for one file."""
    real = os.open

    def refuse(name, *rest, **options):
        if os.fspath(name) == str(path):
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return real(name, *rest, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "open", refuse)
        yield


def test_every_checkpoint_reads_back_exactly(store):
    steps = [0, 1, 30, 31, 500]
    for step in steps:
        store.save(state(step))
    for step in steps:
        with store.at(step=step) as checkpoint:
            assert same(checkpoint.state(), state(step))


def test_what_did_not_change_is_linked_and_what_changed_in_part_is_a_delta(store):
    first = store.save(state(1))
    again = store.save(state(2))
    assert "projections/ff/variables/w" in first.new
    assert "projections/ff/variables/w" in again.delta
    assert {"projections/ff/pre_ranks", "projections/ff/delays", "projections/ff/parameters/tau"} <= set(
        again.linked
    )
    assert {"populations/in/variables/r", "projections/ff/variables/w"} == {*again.new, *again.delta}


def test_the_report_counts_the_bytes_that_the_folder_grew(store, path):
    before = 0
    for step in range(4):
        report = store.save(state(step))
        now = bytes_of(path / "objects") + bytes_of(path / "checkpoints")
        assert report.bytes_written == now - before
        before = now


def test_saving_the_same_state_again_writes_a_small_file_only(store):
    large = state(0, scale=8)
    whole = store.save(large)
    again = store.save(large)
    assert not again.new
    assert not again.delta
    assert again.bytes_written < 64 << 10 < whole.bytes_written // 30


def test_a_dendrite_that_grows_rewrites_its_block_only(store):
    before = state(0, scale=8)
    connectivity = before.projections["ff"].connectivity
    grown = connectivity.row_ptr[21]
    w = np.insert(before.projections["ff"]["w"], grown, [7.0])
    pointers = connectivity.row_ptr + (np.arange(connectivity.n_rows + 1) > 20)
    store.save(before)
    projection = ann_ckpt.ProjectionState(
        "ff",
        "in",
        "out",
        "exc",
        ann_ckpt.Connectivity(
            connectivity.post_ranks, pointers, np.insert(np.asarray(connectivity.pre_ranks), grown, [4])
        ),
        variables={"w": ann_ckpt.Attribute(w, ann_ckpt.Locality.LOCAL)},
    )
    plan = {a.path: a for a in store.plan(NetworkState(projections=[projection], time_step=1)).arrays}
    report = store.save(NetworkState(projections=[projection], time_step=1))
    assert set(report.delta) == {"projections/ff/variables/w", "projections/ff/pre_ranks"}
    assert 0 < plan["projections/ff/variables/w"].fresh_bytes < w.nbytes / 3
    with store.latest as checkpoint:
        assert np.array_equal(checkpoint.projections["ff"]["w"], w)


def test_a_plan_says_what_the_save_then_does_and_writes_nothing(store, path):
    store.save(state(0))
    before = sorted(path.rglob("*"))
    plan = store.plan(state(1))
    assert sorted(path.rglob("*")) == before
    assert plan.arrays == store.save(state(1)).arrays
    assert "delta" in str(plan)


def test_identical_arrays_are_stored_once_whatever_they_are_called(store, path):
    values = np.random.default_rng(0).random(50_000)
    twins = [ann_ckpt.PopulationState(n, (50_000,), variables={"r": values}) for n in "ab"]
    store.save(NetworkState(populations=twins, time_step=0))
    assert len(list((path / "objects").glob("*/*.h5"))) == 1


def test_a_writer_that_comes_later_builds_upon_what_is_there(path):
    for step in (1, 2, 3):
        with CheckpointStore(path, "a") as store:
            report = store.save(state(step, scale=16))
    assert "projections/ff/variables/w" in report.delta
    assert "projections/ff/pre_ranks" in report.linked
    assert same(ann_ckpt.read(path), state(3, scale=16))


def test_a_state_from_a_checkpoint_can_be_saved(store, tmp_path):
    store.save(state(0))
    with store.latest as checkpoint:
        report = store.save(checkpoint)
    assert not report.new
    assert len(store) == 2
    with store[1] as copy:
        assert same(copy.state(), state(0))


# --- Order, names, tags -----------------------------------------------------------


def test_checkpoints_stand_in_the_order_in_which_they_were_saved(store):
    for step in (5, 10, 10, 3, 7):
        store.save(state(step))
    assert [c.time_step for c in store] == [5, 10, 10, 3, 7]
    assert [i.name for i in store.checkpoints] == [
        "000000000005",
        "000000000010",
        "000000000010-1",
        "000000000003-2",
        "000000000007-2",
    ]
    assert store.latest.time_step == 7
    assert len(store) == 5


def test_a_state_without_a_step_follows_the_last_one(store):
    store.save(state(4))
    nameless = NetworkState(populations=state(0).populations)
    store.save(nameless)
    store.save(nameless)
    assert [c.time_step for c in store] == [4, None, None]
    with store.at(step=4) as checkpoint:
        assert checkpoint.time_step == 4


def test_by_place_step_time_and_tag(store):
    for step in (0, 100, 200):
        store.save(state(step), tag="middle" if step == 100 else None)
    assert store[0].time_step == 0
    assert store[-1].time_step == store.latest.time_step == 200
    assert store["middle"].time_step == store["100"].time_step == store.at(time_ms=50.0).time_step == 100
    assert store.at(step=200).time_step == 200
    assert "middle" in store
    assert "200" in store
    assert "nothing" not in store
    assert [c.tag for c in store] == [None, "middle", None]


def test_a_place_is_an_integer_of_any_kind_and_nothing_else(store):
    for step in (0, 100):
        store.save(state(step))
    assert store[np.int64(-1)].time_step == 100
    for which in (1.0, None, slice(0, 2)):
        with pytest.raises(TypeError, match="integer") as caught:
            store[which]
        assert isinstance(caught.value, OptionError)
    for moment in ({"step": "5"}, {"step": 5.0}, {"time_ms": "5"}):
        with pytest.raises(TypeError, match="expected") as caught:
            store.at(**moment)
        assert caught.value.where == store.path
    for place in (2, -3, 99):
        with pytest.raises(IndexError, match=f"has no checkpoint number {place}") as caught:
            store[place]
        assert caught.value.details == {"stored": "2 checkpoints"}
        assert caught.value.where == store.path


def test_the_nearest_steps_are_named_once_each(store):
    for step in (10, 10, 12, 20):
        store.save(state(step))
    with pytest.raises(ObjectNotFoundError) as caught:
        store.at(step=11)
    assert caught.value.details["nearest"] == "10, 12, 20"


def test_a_name_means_that_checkpoint_however_many_are_at_its_step(store, tmp_path):
    for learnt in (0, 300, 600):
        store.save(replace(state(learnt), time_step=10))
    for name, learnt in (("000000000010", 0), ("000000000010-1", 300), ("10-2", 600), ("10", 600)):
        with store[name] as checkpoint:
            assert same(checkpoint.state(), replace(state(learnt), time_step=10))
    store.export("000000000010", tmp_path / "first.h5")
    assert same(ann_ckpt.read(tmp_path / "first.h5"), replace(state(0), time_step=10))
    store.prune(keep_last=2)
    with pytest.raises(ObjectNotFoundError, match="000000000010"):
        store["000000000010"]


def test_finding_one_of_many_opens_no_more_files_than_it_has_to(path, monkeypatch):
    with CheckpointStore(path, "a") as store:
        for step in (10, 20, 20, 30, 40):
            store.save(state(step), tag="early" if step == 10 else f"at {step}")
    opened: list[str] = []
    monkeypatch.setattr(
        series, "open_inside", lambda path, *_: opened.append(Path(path).stem) or ann_ckpt.Checkpoint(path)
    )
    for which, looked_at in (
        ("20", ["000000000020-1"]),
        ("000000000020", ["000000000020"]),
        ("at 30", ["000000000030-1"]),
    ):
        opened.clear()
        with ann_ckpt.open(f"{path}@{which}") as found:
            assert Path(found.path).stem == looked_at[-1]
        assert opened == looked_at


def test_a_checkpoint_without_a_step_is_found_by_its_name(store):
    nameless = replace(state(0), time_step=None)
    for _ in range(2):
        store.save(nameless)
    assert "0" not in store
    for info in store.checkpoints:
        with store[info.name] as checkpoint:
            assert checkpoint.path == info.path
    with pytest.raises(ObjectNotFoundError, match="000000000000-1"):
        store["7"]


def test_a_damaged_checkpoint_is_damaged_by_any_of_its_names(store, path):
    store.save(state(3))
    damaged = path / "checkpoints" / "000000000003.h5"
    damaged.write_bytes(damaged.read_bytes()[:100])
    for which in ("3", "000000000003", -1):
        with pytest.raises(CorruptFileError):
            store[which]
    assert "3" in store
    assert "4" not in store


def test_a_checkpoint_that_is_something_else_by_now_is_said_to_be_so_by_path_too(store, path):
    store.save(state(3))
    (path / "checkpoints" / "000000000003.h5").write_bytes(b"something else")
    for name in (path, f"{path}@3"):
        for call in (ann_ckpt.open, ann_ckpt.read):
            with pytest.raises(UnrecognisedFileError, match="not an HDF5 file"):
                call(name)


def test_a_number_that_no_step_can_be_is_not_there(store):
    store.save(state(3))
    for which in ("9" * 30, "9" * 5000, "3-" + "9" * 5000):
        with pytest.raises(ObjectNotFoundError):
            store[which]


def test_what_is_not_there_is_said_with_what_is_near(store):
    with pytest.raises(FileMissingError, match="no checkpoints yet"):
        store.latest  # noqa: B018
    for step in (0, 100, 200):
        store.save(state(step), tag=f"at {step}")
    with pytest.raises(ObjectNotFoundError, match=r"(?s)step 90.*100, 0, 200"):
        store.at(step=90)
    with pytest.raises(ObjectNotFoundError, match=r"(?s)75.0 ms.*nearest"):
        store.at(time_ms=75.0)
    with pytest.raises(ObjectNotFoundError, match="did you mean 'at 100'"):
        store["at 10"]
    with pytest.raises(IndexError):
        store[3]
    with pytest.raises(OptionError, match="either a step or a time"):
        store.at()


def test_a_tag_given_again_names_the_newer_checkpoint(store):
    store.save(state(0), tag="best")
    store.save(state(1), tag="best")
    assert store["best"].time_step == 1


def test_what_cannot_be_read_may_have_the_tag_and_what_is_damaged_has_none(store, path):
    for step in range(3):
        store.save(state(step), tag="best")
    newest = path / "checkpoints" / "000000000002.h5"
    newest.write_bytes(b"no checkpoint")
    assert store["best"].time_step == 1
    with pytest.raises(ObjectNotFoundError):
        store["other"]
    with unread(newest):
        for which in ("best", "other"):
            with pytest.raises(NotReadableError, match="Input/output error"):
                store[which]
            with pytest.raises(NotReadableError):
                which in store  # noqa: B015
    shutil.rmtree(path)
    with pytest.raises(FileMissingError, match="the store does not exist"):
        "best" in store  # noqa: B015


@pytest.mark.parametrize("moment", [{"step": 2}, {"time_ms": 1.0}])
def test_no_older_checkpoint_of_a_moment_stands_in_for_one_that_cannot_be_read(path, moment):
    with CheckpointStore(path, "a") as store:
        for step in (1, 2, 2, 3):
            store.save(state(step))
        older, newer = (path / "checkpoints" / name for name in ("000000000002.h5", "000000000002-1.h5"))
        assert store.at(**moment).path == str(newer)
        (path / "catalog").unlink()
        for one in (older, newer):
            with unread(one):
                for view in (store, CheckpointStore(path)):
                    if one == older:
                        assert view.at(**moment).path == str(newer)
                    else:
                        with pytest.raises(NotReadableError, match="Input/output error") as caught:
                            view.at(**moment)
                        assert caught.value.where == str(newer)
        assert store.at(**moment).path == str(newer)
        newer.write_bytes(newer.read_bytes()[:100])
        with pytest.raises(CorruptFileError) as caught:
            store.at(**moment)
        assert caught.value.where == str(newer)
        newer.unlink()
        assert store.at(**moment).path == str(older)


def test_what_cannot_be_read_may_be_of_any_time_and_what_is_damaged_is_named(store, path):
    for step in (10, 20):
        store.save(state(step))
    newest = path / "checkpoints" / "000000000020.h5"
    (path / "catalog").unlink()
    store = CheckpointStore(path)
    with unread(newest):
        for time_ms in (10.0, 7.0):
            with pytest.raises(NotReadableError, match="Input/output error"):
                store.at(time_ms=time_ms)
        assert store.at(time_ms=5.0).time_step == 10
        with pytest.raises(ObjectNotFoundError):
            store.at(step=11)
    newest.write_bytes(b"no checkpoint")
    with pytest.raises(ObjectNotFoundError) as caught:
        store.at(time_ms=10.0)
    assert caught.value.details == {"nearest": "5.0", "damaged": "000000000020"}
    with pytest.raises(ObjectNotFoundError) as caught:
        store.at(step=11)
    assert caught.value.details == {"nearest": "10"}


def test_an_at_sign_behind_a_plain_file_is_explained(tmp_path):
    path = tmp_path / "net.h5"
    ann_ckpt.write(state(1), path)
    for call in (ann_ckpt.open, ann_ckpt.read, ann_ckpt.verify):
        with pytest.raises(FileMissingError, match="selects a checkpoint of a store"):
            call(f"{path}@1")
    with pytest.raises(FileMissingError) as caught:
        ann_ckpt.open(tmp_path / "nothing@1")
    assert "hint" not in caught.value.details
    ann_ckpt.write(state(2), tmp_path / "net.h5@1.h5")
    with ann_ckpt.open(tmp_path / "net.h5@1.h5") as checkpoint:
        assert same(checkpoint.state(), state(2))


def test_a_step_is_found_without_looking_at_the_other_checkpoints(store, monkeypatch):
    for step in (1, 5, 5, 9):
        store.save(state(step))
    looked_at = []
    look = Catalog.look
    monkeypatch.setattr(
        Catalog, "look", lambda self, slot: (looked_at.append(slot.step), look(self, slot))[1]
    )
    monkeypatch.setattr(Catalog, "all", None)
    with store.at(step=5) as found:
        assert found.path.endswith("000000000005-1.h5")
    assert set(looked_at) == {5}


@pytest.mark.parametrize("tag", ["", "1000", "1000-2", "a@b", "new\nline", "x" * 101])
def test_a_tag_that_could_mean_something_else_is_refused(store, tag):
    with pytest.raises(OptionError, match="cannot be a tag"):
        store.save(state(0), tag=tag)
    assert len(store) == 0


# --- Other files ------------------------------------------------------------------


def test_export_makes_one_file_that_needs_no_store(store, path, tmp_path):
    for step in (0, 1, 2):
        store.save(state(step), tag="one" if step == 1 else None)
    store.export("one", tmp_path / "net.h5")
    (path / "objects").rename(tmp_path / "gone")
    assert same(ann_ckpt.read(tmp_path / "net.h5"), state(1))
    assert ann_ckpt.verify(tmp_path / "net.h5").ok


def test_what_was_exported_can_be_added_with_its_date_origin_and_tag(store, tmp_path):
    store.save(state(1), tag="one", metadata={"who": "me"})
    store.export(-1, tmp_path / "net.h5")
    with CheckpointStore(tmp_path / "other.ckpt", "a") as other:
        report = other.add(tmp_path / "net.h5")
        assert report.tag == "one"
        with store.latest as a, other.latest as b:
            assert same(a.state(), b.state())
            assert (a.created, a.provenance) == (b.created, b.provenance)


def test_metadata_is_kept_beside_the_network(store):
    store.save(state(0), metadata={"run": 3})
    assert store.latest.metadata == {"note": "step 0", "run": 3}


# --- Modes ------------------------------------------------------------------------


def test_reading_needs_a_store_and_saving_makes_one(path):
    for mode in ("r", "prune"):
        with pytest.raises(FileMissingError, match="the store does not exist"):
            CheckpointStore(path, mode)
    CheckpointStore(path, "a").close()
    assert len(CheckpointStore(path)) == 0


def test_a_reader_refuses_to_save_and_says_how_it_was_opened(store, path):
    store.save(state(0))
    for mode in ("r", "prune"):
        with pytest.raises(OptionError, match=f"(?s)cannot be saved to.*{mode}"):
            CheckpointStore(path, mode).save(state(1))
    with pytest.raises(OptionError, match="opened for reading"):
        CheckpointStore(path).prune(keep_last=1)


def test_a_closed_writer_refuses_to_save(path):
    with CheckpointStore(path, "a") as store:
        pass
    with pytest.raises(OptionError, match=r"(?s)cannot be saved to.*closed"):
        store.save(state(0))


def test_beginning_anew_removes_the_old_series(path):
    with CheckpointStore(path, "a", compression="none") as store:
        store.save(state(5))
    with CheckpointStore(path, "w") as store:
        assert len(store) == 0
        assert not list((path / "objects").glob("*/*"))
        store.save(state(1))
    assert same(ann_ckpt.read(path), state(1))


def test_a_folder_of_something_else_is_left_alone(tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work")
    for mode in ("a", "w"):
        with pytest.raises(NotWritableError, match="the path exists and is not a store"):
            CheckpointStore(tmp_path, mode)
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.txt"]


def test_an_unknown_mode_or_compression_is_refused_before_anything_is_made(path):
    with pytest.raises(OptionError, match="'prune'"):
        CheckpointStore(path, "x")
    with pytest.raises(OptionError, match="compression"):
        CheckpointStore(path, "a", compression="rar")
    assert not path.exists()


@pytest.mark.parametrize("compression", ["none", "gzip", "fast", "zstd", "blosc"])
def test_every_compression_reads_back(path, compression):
    with CheckpointStore(path, "a", compression=compression) as store:
        store.save(state(0))
        store.save(state(40))
    with CheckpointStore(path, "a") as store:
        store.save(state(41))
        assert store.verify().ok
        for checkpoint, step in zip(store, (0, 40, 41), strict=True):
            assert same(checkpoint.state(), state(step))
