"""Saving while the caller goes on."""

from __future__ import annotations

import errno
import os
import threading
import time
from contextlib import ExitStack

import numpy as np
import pytest

import ann_ckpt
from ann_ckpt import CheckpointStore, NetworkState, PopulationState, differences
from ann_ckpt.errors import NotWritableError
from ann_ckpt.reports import BackgroundSave
from ann_ckpt.store.saving import batch
from ann_ckpt.store.saving.background import BackgroundExecutor
from tests.store.runs import state


@pytest.fixture
def slow_disk(monkeypatch, tmp_path):
    """A disk that answers when the file is there, in this process and its children."""
    answer = tmp_path / "answer"
    real = batch.fsync_file

    def fsync(path):
        for _ in range(6000):
            if answer.exists():
                return real(path)
            time.sleep(0.01)
        raise AssertionError("nobody let the disk answer")

    monkeypatch.setattr(batch, "fsync_file", fsync)
    yield answer
    answer.touch()


@pytest.fixture(params=["fork", "copy"])
def way(request):
    """Who writes; other tests may have left threads behind that have nothing to do with us."""
    return request.param


def test_it_returns_before_the_disk_does_and_is_committed_when_it_is_done(store, slow_disk, way):
    pending = store.save_in_background(state(0), way=way)
    assert isinstance(pending, BackgroundSave)
    assert pending.way == way
    assert not pending.done
    assert len(store) == 0
    slow_disk.touch()
    report = pending.wait()
    assert pending.done
    assert report == pending.report
    assert not list(differences(store.latest.state(), state(0)))


def test_what_the_caller_changes_meanwhile_is_not_in_it(store, slow_disk, way):
    values, small = np.random.default_rng(0).random(500_000), np.arange(10.0)
    net = NetworkState(
        populations=[
            PopulationState("p", values.shape, variables={"r": values}),
            PopulationState("q", small.shape, variables={"r": small}),
        ],
        time_step=0,
    )
    expected = values.copy(), small.copy()
    store.save(net, background=way)
    values += 1
    small += 1
    slow_disk.touch()
    store.close()
    with ann_ckpt.open(store.path) as checkpoint:
        assert np.array_equal(checkpoint.populations["p"]["r"], expected[0])
        assert np.array_equal(checkpoint.populations["q"]["r"], expected[1])


def test_the_next_save_waits_for_it_and_builds_upon_it(store, way):
    for step in (1, 2, 3, 4):
        pending = store.save(state(step), background=way)
    report = pending.wait()
    assert "projections/ff/pre_ranks" in report.linked
    for checkpoint, step in zip(store, (1, 2, 3, 4), strict=True):
        assert not list(differences(checkpoint.state(), state(step)))


def fail(store, way="copy") -> None:
    with pytest.MonkeyPatch.context() as patch:

        def fsync(path):
            raise OSError(errno.EIO, os.strerror(errno.EIO))

        patch.setattr(batch, "fsync_file", fsync)
        pending = store.save(state(7), background=way)
        assert pending.executor is not None
        pending.executor.wait()


@pytest.mark.parametrize("call", ["save", "plan", "prune", "resume", "close"])
def test_a_failure_surfaces_at_the_next_call(path, call, way):
    store = CheckpointStore(path, "a")
    store.save(state(0))
    fail(store, way)
    calls = {
        "save": lambda: store.save(state(8)),
        "plan": lambda: store.plan(state(8)),
        "prune": lambda: store.prune(keep_last=1),
        "resume": lambda: store.resume(object()),
        "close": store.close,
    }
    with pytest.raises(NotWritableError, match="Input/output error"):
        calls[call]()
    if call != "close":
        store.save(state(9))  # it was said once; now the store works again
        assert [c.time_step for c in store] == [0, 9]
        store.close()
    assert CheckpointStore(path).verify().ok


def test_a_failure_surfaces_at_the_end_of_a_block(path):
    store = CheckpointStore(path, "a")
    fail(store)
    with pytest.raises(NotWritableError, match="Input/output error"), store:
        pass


def test_a_failure_does_not_hide_the_exception_that_ends_a_block(path):
    store = CheckpointStore(path, "a")
    fail(store)
    with pytest.raises(ZeroDivisionError) as caught, store:
        raise ZeroDivisionError
    assert "a save in the background had failed, too" in caught.value.__notes__[0]


def test_whoever_waited_for_a_failure_is_not_told_again(path):
    with CheckpointStore(path, "a") as store:
        fail(store)
        pending = store._background
        with pytest.raises(NotWritableError):
            pending.wait()
        store.save(state(1))


def test_what_waits_is_bounded_and_the_caller_waits_for_what_goes_beyond():
    gate, done = threading.Event(), []
    with ExitStack() as cleanup:
        executor = BackgroundExecutor(cleanup, at_most=100)
        executor.do(lambda: gate.wait(60), 60)
        executor.do(lambda: done.append("second"), 40)
        blocked = threading.Thread(target=lambda: executor.do(lambda: done.append("third"), 1))
        blocked.start()
        blocked.join(0.2)
        assert blocked.is_alive()
        gate.set()
        blocked.join(60)
        assert not blocked.is_alive()
        executor.close()
    assert executor.wait() is None
    assert done == ["second", "third"]


def test_a_single_job_larger_than_the_bound_is_taken_when_nothing_else_waits():
    done = []
    with ExitStack() as cleanup:
        executor = BackgroundExecutor(cleanup, at_most=10)
        executor.do(lambda: done.append(1), 1000)
        executor.do(lambda: done.append(2), 1000)
        executor.close()
    assert executor.wait() is None
    assert done == [1, 2]


def test_jobs_after_one_that_failed_are_not_done_and_cleanup_learns_of_it():
    done, left = [], []
    with pytest.raises(ZeroDivisionError), ExitStack() as cleanup:
        cleanup.push(lambda kind, error, trace: left.append(kind))
        executor = BackgroundExecutor(cleanup)
        executor.do(lambda: 1 / 0)
        while executor.busy:
            pass
        executor.do(lambda: done.append(1))
    assert done == []
    assert left == [ZeroDivisionError]
