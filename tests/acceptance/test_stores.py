"""Stores and comparing from the command line."""

from __future__ import annotations

import io
import json
import os
import shutil
import socket
from pathlib import Path

import numpy as np
import pytest

import ann_ckpt
from ann_ckpt import CheckpointStore, differences
from ann_ckpt.demo import DemoNetwork
from ann_ckpt.errors import LockedError, OutsideStoreError
from ann_ckpt.store.owners.lock import FileLock
from tests.acceptance.conftest import Run
from tests.acceptance.test_verify import flip_a_byte_of


def disk(store: Path) -> int:
    return sum(p.stat().st_size for p in store.rglob("*.h5"))


# --- log --------------------------------------------------------------------------


def test_log_has_a_line_for_each_checkpoint(run: Run, store_folder: Path) -> None:
    answer = run("log", store_folder)
    assert (answer.status, answer.err) == (0, "")
    lines = answer.out.splitlines()
    assert [line.split()[:2] for line in lines[1:5]] == [
        ["000000000000", "0"],
        ["000000000005", "5"],
        ["000000000010", "10"],
        ["000000000015", "15"],
    ]
    assert lines[3].endswith("trained")
    assert lines[5].startswith("4 checkpoints, ")
    assert len(lines) == 6


def test_what_checkpoints_added_is_what_the_store_takes(run: Run, store_folder: Path) -> None:
    rows = run("log", store_folder, "--json").json
    assert sum(row["bytes_added"] for row in rows) == disk(store_folder)
    assert rows[0]["bytes_added"] > max(row["bytes_added"] for row in rows[1:])
    assert [row["tag"] for row in rows] == [None, None, "trained", None]
    assert run("log", store_folder, "--last", 2, "--json").json == rows[-2:]


def test_log_says_which_checkpoint_cannot_be_read(run: Run, store_folder: Path) -> None:
    damaged = store_folder / "checkpoints" / "000000000005.h5"
    damaged.write_bytes(damaged.read_bytes()[:3000])
    answer = run("log", store_folder)
    assert answer.status == 0
    (line,) = (line for line in answer.out.splitlines() if line.startswith("000000000005"))
    assert "cut" in line or "trunc" in line or "short" in line, line
    assert run("log", store_folder, "--json").json[1]["problem"]


def test_log_says_why_a_checkpoint_was_saved(run: Run, store_folder: Path) -> None:
    assert {row["saved"] for row in run("log", store_folder, "--json").json} == {None}
    net = DemoNetwork(seed=1)
    with CheckpointStore(store_folder, "a") as store:
        store.resume(net, another_run=True)
        store.every(5, network=net)
        net.simulate(6)
    reason = run("log", store_folder, "--last", 1, "--json").json[0]["saved"]
    assert reason
    lines = run("log", store_folder).out.splitlines()
    assert "saved" in lines[0]
    assert reason in lines[-2]


def test_log_of_what_is_no_store_says_so(run: Run, demo_file: Path, store_folder: Path) -> None:
    places = {
        demo_file: "found:   a file",
        f"{store_folder}@5": "the store does not exist",
        "absent.ckpt": "the store does not exist",
        demo_file.parent: "no store.json",
    }
    for place, said in places.items():
        answer = run("log", place)
        assert answer.status == 3
        assert said in answer.err
    (store_folder / "store.json").unlink()
    assert "not complete" in run("log", store_folder).err


# --- diff -------------------------------------------------------------------------


def test_diff_says_what_changed_and_by_how_much(run: Run, store_folder: Path) -> None:
    answer = run("diff", f"{store_folder}@0", f"{store_folder}@trained")
    assert (answer.status, answer.err) == (0, "")
    assert "time_step 0 became 10" in answer.out
    assert "projections/forward/w: " in answer.out
    document = run("diff", f"{store_folder}@0", f"{store_folder}@trained", "--json").json
    expected = ann_ckpt.diff(f"{store_folder}@0", f"{store_folder}@trained")
    assert document["changed"] == [
        {"path": c.path, "compared": c.compared, "changed": c.changed, "largest": c.largest}
        | {"mean": c.mean, "text": c.text, "unit": c.unit, "beyond": c.beyond}
        for c in expected.changed
    ]
    assert document["same"] is False


def test_diff_can_be_asked_for_a_status(run: Run, store_folder: Path, demo_file: Path) -> None:
    assert run("diff", demo_file, demo_file, "--exit-code").status == 0
    assert run("diff", demo_file, store_folder, "--exit-code").status == 1
    assert run("diff", demo_file, store_folder).status == 0


def test_diff_of_some_objects_leaves_the_others_out(run: Run, store_folder: Path) -> None:
    found = run("diff", f"{store_folder}@0", store_folder, "--populations", "l*", "--json").json
    paths = [change["path"].split("/") for change in found["changed"]]
    assert {group for group, *_ in paths} == {"dynamics", "populations", "projections"}
    assert {path[1][0] for path in paths if path[0] == "populations"} == {"l"}


def test_what_cannot_be_found_is_an_error_of_its_own(run: Run, store_folder: Path) -> None:
    answer = run("diff", f"{store_folder}@trainde", store_folder)
    assert answer.status == 3
    assert "did you mean 'trained'" in answer.err


# --- export and add ---------------------------------------------------------------


@pytest.mark.parametrize("which", ["", "@5", "@trained", "@000000000015"])
def test_an_exported_checkpoint_stands_alone(
    run: Run, store_folder: Path, tmp_path: Path, which: str
) -> None:
    expected = ann_ckpt.read(f"{store_folder}{which}")
    document = run("export", f"{store_folder}{which}", tmp_path / "net.h5", "--json").json
    store_folder.rename(tmp_path / "gone")
    assert not list(differences(ann_ckpt.read(tmp_path / "net.h5"), expected))
    assert document["bytes_written"] == (tmp_path / "net.h5").stat().st_size
    assert run("verify", tmp_path / "net.h5").status == 0


def test_export_keeps_to_the_compression_asked_for(run: Run, store_folder: Path, tmp_path: Path) -> None:
    for compression in ("none", "gzip"):
        run("export", store_folder, tmp_path / f"{compression}.h5", "--compression", compression)
    sizes = [(tmp_path / f"{c}.h5").stat().st_size for c in ("none", "gzip")]
    assert sizes[0] > sizes[1]


def test_export_rewrites_a_file(run: Run, demo_file: Path, tmp_path: Path) -> None:
    answer = run("export", demo_file, tmp_path / "net.h5", "--compression", "gzip")
    assert answer.status == 0
    assert not list(differences(ann_ckpt.read(demo_file), ann_ckpt.read(tmp_path / "net.h5")))


def test_files_are_added_in_order_and_shared(run: Run, store_folder: Path, tmp_path: Path) -> None:
    for step in (0, 5):
        run("export", f"{store_folder}@{step}", tmp_path / f"{step}.h5")
    answer = run("add", tmp_path / "new.ckpt", tmp_path / "0.h5", tmp_path / "5.h5")
    assert (answer.status, answer.err) == (0, "")
    assert "saved 000000000000" in answer.out
    assert [row["time_step"] for row in run("log", tmp_path / "new.ckpt", "--json").json] == [0, 5]
    assert not list(differences(ann_ckpt.read(tmp_path / "new.ckpt"), ann_ckpt.read(tmp_path / "5.h5")))
    (document,) = run("add", tmp_path / "new.ckpt", tmp_path / "5.h5", "--tag", "again", "--json").json
    assert (document["name"], document["tag"]) == ("000000000005-1", "again")


def test_one_tag_is_for_one_file(run: Run, demo_file: Path, tmp_path: Path) -> None:
    answer = run("add", tmp_path / "new.ckpt", demo_file, demo_file, "--tag", "both")
    assert answer.status == 2
    assert "names one checkpoint" in answer.err
    assert not (tmp_path / "new.ckpt").exists()


def test_a_second_writer_is_told_who_holds_the_store(run: Run, demo_file: Path, store_folder: Path) -> None:
    other = FileLock(store_folder / "lock", "saves to the store")
    other.acquire()
    answer = run("add", store_folder, demo_file)
    other.release()
    assert "since" in answer.err
    assert "process" in answer.err
    assert answer.status not in (0, 1, 2)


# --- prune and gc -----------------------------------------------------------------


def test_a_dry_run_says_what_pruning_then_does(run: Run, store_folder: Path) -> None:
    rules = ("--keep-last", 1)
    before = disk(store_folder)
    planned = run("prune", store_folder, *rules, "--dry-run", "--json").json
    assert disk(store_folder) == before
    assert run("prune", store_folder, *rules, "--dry-run").out.splitlines()[1:] == [
        "  000000000000",
        "  000000000005",
    ]
    done = run("prune", store_folder, *rules, "--json").json
    assert done == planned | {"dry_run": False}
    assert before - disk(store_folder) == done["bytes_freed"] > 0
    assert [row["tag"] for row in run("log", store_folder, "--json").json] == ["trained", None]
    assert run("verify", store_folder).status == 0


def test_tags_stay_unless_they_need_not(run: Run, store_folder: Path) -> None:
    run("prune", store_folder, "--keep-last", 1, "--no-keep-tags")
    assert [row["time_step"] for row in run("log", store_folder, "--json").json] == [15]


def test_pruning_goes_on_beside_a_writer(run: Run, store_folder: Path) -> None:
    with CheckpointStore(store_folder, "a") as store:
        assert run("prune", store_folder, "--keep-every", 10).status == 0
        store.save(store[-1])
        assert [c.time_step for c in store] == [0, 10, 15, 15]


def test_pruning_needs_a_rule(run: Run, store_folder: Path) -> None:
    answer = run("prune", store_folder)
    assert answer.status == 2
    assert "no retention rule given" in answer.err


def test_garbage_is_counted_and_removed(run: Run, store_folder: Path) -> None:
    stray = store_folder / "objects" / "ff" / f"{'f' * 32}.h5"
    stray.parent.mkdir(exist_ok=True)
    stray.write_bytes(b"x" * 2048)
    assert "1 object, 2.0 KiB" in run("gc", store_folder, "--dry-run").out
    assert stray.exists()
    assert run("gc", store_folder, "--json").json["bytes_freed"] == 2048
    assert not stray.exists()
    assert "0 objects" in run("gc", store_folder).out


# --- verify -----------------------------------------------------------------------


def test_verify_checks_every_checkpoint_of_a_store(run: Run, store_folder: Path) -> None:
    answer = run("verify", store_folder)
    assert (answer.status, answer.err) == (0, "")
    assert "intact" in answer.out
    largest = max((store_folder / "objects").glob("*/*.h5"), key=lambda p: p.stat().st_size)
    flip_a_byte_of(largest, "values")
    answer = run("verify", store_folder)
    assert answer.status == 5
    assert largest.stem in answer.out
    (document,) = run("verify", store_folder, "--json").json
    assert document["ok"] is False
    assert all("000000" in note["path"] for note in document["damaged"])


def test_a_missing_object_is_damage_and_its_name_is_said(run: Run, store_folder: Path) -> None:
    largest = max((store_folder / "objects").glob("*/*.h5"), key=lambda p: p.stat().st_size)
    largest.unlink()
    answer = run("verify", store_folder)
    assert answer.status == 5
    assert largest.stem in answer.out


# --- unlock -----------------------------------------------------------------------


def left_on(host: str, store: Path, name: str = "lock") -> Path:
    lock = store / name
    holder = {
        "host": host,
        "pid": 4242,
        "since": "2026-11-22T10:00:00+00:00",
        "purpose": "saves to the store",
    }
    lock.write_text(json.dumps(holder))
    return lock


def test_unlock_of_a_store_that_nobody_holds(run: Run, store_folder: Path) -> None:
    answer = run("unlock", store_folder)
    assert (answer.status, answer.err) == (0, "")
    assert answer.out == "the store is not locked\n"
    assert run("unlock", store_folder, "--json").json["locks"] == []


def test_unlock_explains_and_without_agreement_removes_nothing(run: Run, store_folder: Path) -> None:
    lock = left_on("node17", store_folder)
    answer = run("unlock", store_folder)
    assert answer.status == 10
    assert "process 4242 on host node17, since 2026-11-22T10:00:00+00:00 (saves to the store)" in answer.out
    assert "cannot be known from here" in answer.out
    assert "--yes" in answer.err
    assert lock.exists()
    document = run("unlock", store_folder, "--json")
    assert document.status == 10
    assert document.json["locks"] == [
        {
            "file": str(lock),
            "host": "node17",
            "pid": 4242,
            "since": "2026-11-22T10:00:00+00:00",
            "purpose": "saves to the store",
            "alive": None,
            "job": None,
        }
    ]
    assert document.json["removed"] == []
    assert lock.exists()


@pytest.mark.parametrize("option", ["--yes", "--force"])
def test_unlock_removes_what_another_host_left(run: Run, store_folder: Path, option: str) -> None:
    left_on("node17", store_folder)
    left_on("node17", store_folder, "lock.change")
    answer = run("unlock", store_folder, option)
    assert (answer.status, answer.err) == (0, "")
    assert "removed lock\n" in answer.out
    assert "removed lock.change\n" in answer.out
    assert not list(store_folder.glob("lock*"))
    with CheckpointStore(store_folder, "a") as store:
        store.gc()


def test_the_message_of_a_lock_leads_to_unlock(run: Run, store_folder: Path, demo_file: Path) -> None:
    left_on("node17", store_folder)
    answer = run("add", store_folder, demo_file)
    assert answer.status == 10
    assert f"`ann-ckpt unlock {store_folder}`" in answer.err
    assert run("unlock", store_folder, "--yes", "--json").json["removed"] == ["lock"]
    assert run("add", store_folder, demo_file).status == 0


def test_unlock_says_that_a_process_of_this_host_is_dead(run: Run, store_folder: Path) -> None:
    left_on(socket.gethostname(), store_folder)
    answer = run("unlock", store_folder, "--yes")
    assert answer.status == 0
    assert "is no longer running" in answer.out


def test_unlock_takes_a_lock_from_the_living_by_force_only(run: Run, store_folder: Path) -> None:
    with CheckpointStore(store_folder, "a") as store:
        answer = run("unlock", store_folder, "--yes")
        assert answer.status == 10
        assert "that process lives" in answer.out
        assert "--force" in answer.err
        assert (store_folder / "lock").exists()
        assert run("unlock", store_folder, "--force").status == 0
        assert not (store_folder / "lock").exists()
        with pytest.raises(LockedError, match="was removed while it was open"):
            store.plan(store.latest)


def test_a_store_that_is_moved_while_it_is_open_is_called_that(store_folder: Path, tmp_path: Path) -> None:
    with CheckpointStore(store_folder, "a") as store:
        state = store.latest.state()
        store_folder.rename(tmp_path / "elsewhere.ckpt")
        with pytest.raises(LockedError, match="was moved or removed while it was open"):
            store.save(state)


@pytest.mark.parametrize(("agreed", "status"), [(True, 0), (False, 10)])
def test_unlock_asks_on_a_terminal(
    run: Run, store_folder: Path, monkeypatch: pytest.MonkeyPatch, agreed: bool, status: int
) -> None:
    lock = left_on("node17", store_folder)
    monkeypatch.setattr("sys.stdin", io.StringIO("y\n" if agreed else "n\n"))
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    answer = run("unlock", store_folder)
    assert answer.status == status
    assert "Remove lock?" in answer.err
    assert lock.exists() is not agreed


def test_a_lock_that_changes_hands_while_somebody_is_asked_stays(
    run: Run, store_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock = left_on("node17", store_folder)

    def agree(*_: object, **__: object) -> bool:
        left_on("node18", store_folder)
        return True

    monkeypatch.setattr("ann_ckpt.cli.store._agreed", agree)
    answer = run("unlock", store_folder)
    assert answer.status == 10
    assert "taken by another process" in answer.err
    assert lock.exists()


def test_unlock_of_what_is_no_store_says_so(run: Run, demo_file: Path) -> None:
    for place, said in ((demo_file, "the path is not a store"), ("absent.ckpt", "the store does not exist")):
        answer = run("unlock", place)
        assert answer.status == 3
        assert said in answer.err


def test_unlock_survives_a_lock_that_is_none(run: Run, store_folder: Path) -> None:
    (store_folder / "lock").write_text('{"host": ["\\u001b"], "pid": {}, "since": null}')
    answer = run("unlock", store_folder, "--yes")
    assert answer.status == 0
    assert "\x1b" not in answer.out
    os.mkfifo(store_folder / "lock")
    answer = run("unlock", store_folder, "--yes")
    assert answer.status == 9
    assert (store_folder / "lock").exists()


def test_a_checkpoint_taken_out_of_its_store_says_so(run: Run, store_folder: Path) -> None:
    taken = store_folder.parent / "taken.h5"
    shutil.copy(store_folder / "checkpoints" / "000000000005.h5", taken)
    for command, *further in (("verify",), ("show", "projections/forward/w")):
        answer = run(command, taken, *further)
        assert answer.status == 3
        assert "error[outside-store]: the checkpoint was moved out of its store" in answer.err
        assert "ann-ckpt export" in answer.err
        assert "DAMAGED" not in answer.out
    assert "are in the store that this file was taken from" in run("info", taken).out
    assert run("info", taken, "--json").json["objects"] == "not here"
    with pytest.raises(OutsideStoreError), ann_ckpt.open(taken) as checkpoint:
        np.asarray(checkpoint.projections["forward"]["w"])
    with pytest.raises(OutsideStoreError):
        ann_ckpt.read(taken)
    inside = run("info", f"{store_folder}@5").out
    assert "before sharing, ann-ckpt export" in inside
    assert run("export", f"{store_folder}@5", store_folder.parent / "whole.h5").status == 0
    assert run("verify", store_folder.parent / "whole.h5").status == 0
    assert "export" not in run("info", store_folder.parent / "whole.h5").out


def test_an_object_that_is_gone_from_a_store_is_damage(run: Run, store_folder: Path) -> None:
    for path in (store_folder / "objects").rglob("*.h5"):
        path.unlink()
    answer = run("verify", store_folder)
    assert answer.status == 5
    assert "is missing" in answer.out


def test_nothing_is_added_where_one_of_the_files_is_missing(
    run: Run, store_folder: Path, demo_file: Path, tmp_path: Path
) -> None:
    before = len(CheckpointStore(store_folder))
    for store in (tmp_path / "new.ckpt", store_folder):
        answer = run("add", store, demo_file, tmp_path / "missing.h5", "--json")
        assert (answer.status, answer.out) == (3, "")
    assert not (tmp_path / "new.ckpt").exists()
    assert len(CheckpointStore(store_folder)) == before


def test_a_lock_that_stays_is_where_the_store_is_whatever_its_name(run: Run, store_folder: Path) -> None:
    named = store_folder.rename(store_folder.parent / "run[a].ckpt")
    with CheckpointStore(named, "a"):
        answer = run("unlock", named)
    assert answer.status == LockedError.exit_status
    assert f"where:   {named}\n" in answer.err
