"""One saves, one prunes, four read, all at once."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from ann_ckpt import CheckpointStore, differences
from ann_ckpt.errors import ObjectNotFoundError, PrunedError
from ann_ckpt.format.shared import objects
from tests.store.runs import state

SECONDS = 6
ROOT = Path(__file__).parents[2]
REFUSED = """
import sys, ann_ckpt
from ann_ckpt import CheckpointStore
from ann_ckpt.errors import LockedError
from tests.store.runs import state
for call in (
    lambda: CheckpointStore(sys.argv[1], "a"),
    lambda: CheckpointStore(sys.argv[1], "w"),
    lambda: ann_ckpt.save(sys.argv[1], network=state(2)),
):
    try:
        call()
    except LockedError as error:
        assert "another process saves to the store" in str(error), error
        assert "ann-ckpt unlock" in str(error), error
    else:
        sys.exit("not refused")
"""


@pytest.mark.torture
def test_no_read_fails_or_mixes_states_while_one_saves_and_another_prunes(path, tmp_path, zygote, rounds):
    CheckpointStore(path, "a").close()
    logs = {role: tmp_path / role for role in ("plain", "prune", "read", "hold")}

    def words(role: str) -> list[str]:
        return logs[role].read_text().split("\n")[:-1] if logs[role].exists() else []

    zygote.start(path, logs["plain"], "plain")
    while len(words("plain")) < 3:
        time.sleep(0.01)
    for role in ("prune", "read", "read", "hold", "hold"):
        zygote.start(path, logs[role], role)
    deadline = time.monotonic() + SECONDS * rounds
    while time.monotonic() < deadline or not all(len(words(role)) >= 3 for role in logs):
        assert all("FAILED" not in words(role) for role in logs), "\n".join(
            "\n".join(words(role)) for role in logs
        )
        time.sleep(0.05)
    zygote.close()
    assert sum(map(int, words("prune"))) > 0
    with CheckpointStore(path, "prune") as store:
        assert store.verify().ok


def test_a_reader_keeps_a_checkpoint_that_is_pruned_under_it_until_it_closes(store):
    store.save(state(1))
    store.save(state(500))
    checkpoint = store[0]
    first = np.asarray(checkpoint.projections["ff"]["w"][:10])
    assert store.prune(keep_last=1).objects > 0
    with checkpoint:
        assert not list(differences(checkpoint.state(), state(1)))
        assert np.array_equal(first, state(1).projections["ff"]["w"][:10])


def test_a_reader_that_has_read_no_array_yet_is_told_that_the_checkpoint_was_pruned(store):
    store.save(state(1))
    store.save(state(500))
    checkpoint = store[0]
    store.prune(keep_last=1)
    with checkpoint:
        assert checkpoint.time_step == 1
        assert checkpoint.metadata == {"note": "step 1"}
        with pytest.raises(PrunedError, match="pruned while it was open"):
            np.asarray(checkpoint.projections["ff"]["w"])


def test_with_very_many_objects_only_those_at_work_are_open(store, monkeypatch):
    monkeypatch.setattr(objects, "_HELD", 2)
    store.save(state(1))
    store.save(state(500))
    with store[0] as checkpoint:
        assert not list(differences(checkpoint.state(), state(1)))
        np.asarray(checkpoint.projections["ff"]["w"])
        store.prune(keep_last=1)
        with pytest.raises(PrunedError):
            np.asarray(checkpoint.projections["ff"]["w"])


def test_a_second_process_may_not_write_and_may_prune(store, path):
    store.save(state(1))
    refused = subprocess.run(
        [sys.executable, "-c", REFUSED, path],
        check=False,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert (refused.returncode, refused.stderr) == (0, "")
    store.save(state(2))
    with CheckpointStore(path, "prune") as pruner:
        assert pruner.prune(keep_last=1).removed == ("000000000001",)
    report = store.save(state(3))
    assert "projections/ff/pre_ranks" in report.linked


def test_a_save_waits_for_a_pruner_to_finish(store, path):
    store.save(state(1))
    pruner = CheckpointStore(path, "prune")
    pruner._change.acquire()
    threading.Timer(0.3, pruner._change.release).start()
    store.save(state(2))
    assert not pruner._change.held
    assert len(store) == 2


def test_readers_see_what_was_added_since_they_opened_the_store(store, path):
    reader = CheckpointStore(path)
    assert len(reader) == 0
    store.save(state(1), tag="here")
    assert reader["here"].time_step == reader.latest.time_step == 1
    store.save(state(2), tag="here")
    assert reader["here"].time_step == 2
    store.prune(keep_last=1)
    with pytest.raises(ObjectNotFoundError):
        reader.at(step=1)
    assert [c.time_step for c in reader] == [2]


def test_readers_need_no_right_to_write(store, path):
    store.save(state(1))
    store.close()
    folders = [path, *(p for p in path.rglob("*") if p.is_dir())]
    for folder in folders:
        folder.chmod(0o555)
    try:
        before = sorted(path.rglob("*"))
        with CheckpointStore(path) as reader:
            assert not list(differences(reader.latest.state(), state(1)))
            assert reader.verify().ok
        assert sorted(path.rglob("*")) == before
    finally:
        for folder in folders:
            folder.chmod(0o755)


def test_copies_that_take_the_objects_first_are_whole(store, path, tmp_path):
    import shutil

    store.save(state(1))
    copy = Path(
        shutil.copytree(path, tmp_path / "copy.ckpt", ignore=shutil.ignore_patterns("checkpoints", "lock*"))
    )
    shutil.copytree(path / "checkpoints", copy / "checkpoints")
    assert CheckpointStore(copy).verify().ok
