"""What goes, what stays, and that the space comes back."""

from __future__ import annotations

import errno
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import ann_ckpt
from ann_ckpt import CheckpointStore, Retention, differences
from ann_ckpt.errors import CorruptFileError, OptionError
from ann_ckpt.store import pruning
from tests.store.dying import dying
from tests.store.runs import state


def disk(path: Path) -> int:
    return sum(
        p.stat().st_size for folder in ("objects", "checkpoints") for p in (path / folder).rglob("*.h5")
    )


def refuse(*_: object, **__: object) -> None:
    raise OSError(errno.EROFS, "Read-only file system")


def test_the_space_is_back(store, path):
    for step in range(0, 600, 30):
        store.save(state(step))
    before = disk(path)
    report = store.prune(keep_last=1)
    assert report.bytes_freed == before - disk(path)
    whole = sum(a.nbytes for a in store.latest.arrays.values())
    assert disk(path) < 2 * whole < before / 4
    assert not list(differences(store.latest.state(), state(570)))


def test_a_dry_run_says_the_same_and_removes_nothing(store, path):
    for step in (0, 30, 60, 90):
        store.save(state(step))
    before = sorted(path.rglob("*"))
    planned = store.prune(keep_last=2, dry_run=True)
    assert sorted(path.rglob("*")) == before
    done = store.prune(keep_last=2)
    assert (planned.removed, planned.objects, planned.bytes_freed) == (
        done.removed,
        done.objects,
        done.bytes_freed,
    )
    assert "would remove 2 of 4" in str(planned)
    assert "removed 2 of 4" in str(done)


def test_a_reader_may_ask_what_would_go(store, path):
    store.save(state(0))
    store.save(state(1))
    assert CheckpointStore(path).prune(keep_last=1, dry_run=True).removed == ("000000000000",)
    assert len(store) == 2


def test_the_store_applies_its_own_rules_after_each_save(path):
    rules = Retention(keep_last=2, keep_every=100)
    with CheckpointStore(path, "a", retention=rules) as store:
        reports = [store.save(state(step)) for step in range(0, 300, 30)]
        assert [c.time_step for c in store] == [0, 120, 210, 240, 270]
        assert reports[-1].pruned == ()
        assert [name for r in reports for name in r.pruned] == [
            f"{step:012d}" for step in (30, 60, 90, 150, 180)
        ]
        assert store.gc(dry_run=True).objects == 0
        for checkpoint in store:
            assert not list(differences(checkpoint.state(), state(checkpoint.time_step)))


def test_the_caller_may_open_what_it_decides_upon(store):
    for loss in (0, 1, 0, 1, 1):
        store.save(replace(state(7), metadata={"loss": loss}))
    store.prune(keep=lambda info: store[info.name].metadata["loss"] == 0)
    assert [(c.time_step, c.metadata["loss"]) for c in store] == [(7, 0), (7, 0), (7, 1)]


def test_the_caller_may_decide(store):
    for step in range(5):
        store.save(state(step), metadata={"loss": abs(step - 2)})
    store.prune(keep=lambda info: store[info.name].metadata["loss"] == 0)
    assert [c.time_step for c in store] == [2, 4]


def test_pruning_without_a_rule_is_refused(store):
    store.save(state(0))
    with pytest.raises(OptionError, match="no retention rule"):
        store.prune()


def test_nothing_is_removed_while_a_checkpoint_cannot_be_read(store, path):
    for step in (0, 30, 60):
        store.save(state(step))
    damaged = path / "checkpoints" / "000000000030.h5"
    damaged.write_bytes(damaged.read_bytes()[:1000])
    before = sorted(path.rglob("*.h5"))
    with pytest.raises(CorruptFileError, match="unknown which objects"):
        store.prune(keep_last=1)
    with pytest.raises(CorruptFileError):
        store.gc()
    assert sorted(path.rglob("*.h5")) == before
    store.retention = Retention(keep_last=1)
    assert "nothing was pruned" in str(store.save(state(90)))
    damaged.unlink()
    assert len(store.save(state(120)).pruned) == 3


def test_garbage_is_what_no_checkpoint_needs(store, path):
    store.save(state(0))
    stray = path / "objects" / "ff" / f"{'f' * 32}.h5"
    stray.parent.mkdir(exist_ok=True)
    stray.write_bytes(b"x" * 100)
    (path / "objects" / ".new-7.tmp").write_bytes(b"x")
    assert store.gc(dry_run=True).objects == 1
    assert stray.exists()
    report = store.gc()
    assert (report.objects, report.bytes_freed, report.removed) == (1, 100, ())
    assert not stray.exists()
    assert not list(path.rglob("*.tmp"))
    assert store.verify().ok


def test_what_a_dead_writer_left_counts_as_freed(store, path):
    store.save(state(0))
    before = disk(path)
    with dying(store, 21) as mortal:
        store.save(state(500))
    assert mortal.dead
    left = disk(path) - before
    with CheckpointStore(path, "a") as again:
        planned = again.gc(dry_run=True)
        done = again.gc()
        assert planned.objects == done.objects > 0
        assert planned.bytes_freed == done.bytes_freed == left
        assert disk(path) == before
        assert "removed the leftovers" not in str(again.save(state(1)))


def test_a_sweep_that_the_disk_refuses_leaves_the_store_usable(store, path, monkeypatch):
    store.save(state(0))
    with dying(store, 21):
        store.save(state(500))
    with CheckpointStore(path, "a") as again:
        with monkeypatch.context() as patch:
            patch.setattr("os.unlink", refuse)
            assert "leftovers of an interrupted save were not removed" in str(again.save(state(1)))
        assert "removed the leftovers" in str(again.save(state(1)))


def test_what_a_dead_writer_left_is_swept_by_the_next_save(store, path):
    store.save(state(0))
    with dying(store, 12) as mortal:
        store.save(state(500))
    assert mortal.dead
    litter = [p for p in path.rglob("*") if p.is_file()]
    with CheckpointStore(path, "a") as again:
        assert len(again) == 1
        report = again.save(state(0))
        assert "removed the leftovers" in str(report)
        assert len([p for p in path.rglob("*") if p.is_file()]) <= len(litter)
        assert again.gc(dry_run=True).objects == 0
        assert not list(path.rglob("*.tmp"))


def test_an_array_that_shrank_and_stays_gives_its_space_back(store, path):
    def save(n: int, step: int) -> int:
        values = np.random.default_rng(0).random(n)
        population = ann_ckpt.PopulationState("p", (n,), variables={"r": values})
        store.save(ann_ckpt.NetworkState(populations=[population], time_step=step))
        store.prune(keep_last=1)
        return sum(file.stat().st_size for file in (path / "objects").rglob("*.h5"))

    save(400_000, 1)
    save(65_536, 2)
    assert save(65_536, 3) < 2 * 65_536 * 8
    assert store.verify().ok


def test_objects_stay_while_the_folder_of_checkpoints_is_elsewhere(path, tmp_path):
    with CheckpointStore(path, "a") as store:
        store.save(state(30))
    (path / "checkpoints").rename(tmp_path / "elsewhere")
    with CheckpointStore(path, "prune") as store:
        for dry_run in (True, False):
            with pytest.raises(CorruptFileError, match="no folder of checkpoints"):
                store.gc(dry_run=dry_run)
        (damage,) = store.verify().damaged
        assert "no folder of checkpoints" in damage.text
    (tmp_path / "elsewhere").rename(path / "checkpoints")
    with CheckpointStore(path) as store:
        assert store.verify().ok
        assert not list(differences(store.latest.state(), state(30)))


@pytest.mark.parametrize("wait", ["1", -1.0, float("nan")])
def test_a_wait_is_a_number_of_seconds(path, wait):
    with pytest.raises(OptionError, match="wait is a number of seconds"):
        CheckpointStore(path, "a", wait=wait)
    assert not path.exists()


@pytest.mark.parametrize("mode", ["prune", "a"])
@pytest.mark.parametrize("interrupted", ["remove", "collect"])
def test_what_an_interrupted_prune_left_is_removed_by_the_next_save(path, monkeypatch, mode, interrupted):
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    with CheckpointStore(path, "a") as store:
        for step in (0, 300, 600):
            store.save(state(step))
    with CheckpointStore(path, mode) as store:
        with monkeypatch.context() as patch:
            patch.setattr(pruning, interrupted, interrupt)
            with pytest.raises(KeyboardInterrupt):
                store.prune(keep_last=1)
        if mode == "a":
            assert "removed the leftovers" in store.save(state(600)).notes[0].text
    with CheckpointStore(path, "a") as store:
        if mode == "prune":
            assert "removed the leftovers" in store.save(state(600)).notes[0].text
        assert store.gc(dry_run=True).objects == 0
        assert store.verify().ok
