"""Iterating a store yields its checkpoints and opens none until something is asked of it."""

from __future__ import annotations

import gc
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ann_ckpt import Checkpoint, CheckpointStore
from ann_ckpt.demo import DemoNetwork
from ann_ckpt.errors import CheckpointError, ClosedCheckpointError, PrunedError


@pytest.fixture
def path(tmp_path):
    state = DemoNetwork(seed=1, side=4).read().state
    with CheckpointStore(tmp_path / "run.ckpt", "a") as store:
        for step in range(6):
            store.save(replace(state, time_step=step))
    return tmp_path / "run.ckpt"


def open_files(path):
    gc.collect()  # what nobody refers to holds its file no longer
    links = list(Path("/proc/self/fd").iterdir())
    return sum(os.path.realpath(link).startswith(f"{path}/checkpoints") for link in links)


def test_a_list_of_all_opens_none_and_each_is_a_checkpoint(path):
    store = CheckpointStore(path)
    before = open_files(path)
    all_of_them = list(store)
    assert open_files(path) == before
    assert all(isinstance(c, Checkpoint) and not c.closed for c in all_of_them)
    assert [c.path for c in all_of_them] == [info.path for info in store.checkpoints]
    assert all_of_them[3].time_step == 3
    assert open_files(path) == before + 1
    assert np.array_equal(all_of_them[4].populations["layer"]["r"], store[4].populations["layer"]["r"])
    assert repr(all_of_them[2]) == repr(store[2])
    with all_of_them[5] as last:
        assert last.state().time_step == 5
    for checkpoint in all_of_them:
        checkpoint.close()
    assert open_files(path) == before


def test_a_loop_holds_one_at_a_time(path):
    store = CheckpointStore(path)
    before = open_files(path)
    for step, checkpoint in enumerate(store):
        assert checkpoint.time_step == step
        assert open_files(path) <= before + 2


def test_closed_is_closed_whether_it_was_opened_or_not(path):
    first, second, *_ = CheckpointStore(path)
    assert second.time_step == 1
    for checkpoint in (first, second):
        checkpoint.close()
        checkpoint.close()
        assert checkpoint.closed
        with pytest.raises(ClosedCheckpointError):
            np.asarray(checkpoint.populations["layer"]["r"])


def test_threads_open_it_once(path):
    for checkpoint in CheckpointStore(path):
        before = open_files(path)
        with ThreadPoolExecutor(8) as pool:
            steps = list(pool.map(lambda _, c=checkpoint: c.time_step, range(32)))
        assert len(set(steps)) == 1
        assert open_files(path) == before + 1
        checkpoint.close()


def test_what_is_damaged_or_gone_is_an_error_where_it_is_used(path):
    all_of_them = list(CheckpointStore(path))
    Path(all_of_them[1].path).unlink()
    os.truncate(all_of_them[2].path, 100)
    for _ in range(2):
        with pytest.raises(PrunedError):
            _ = all_of_them[1].time_step
        with pytest.raises(CheckpointError):
            _ = all_of_them[2].populations
    assert [c.time_step for c in CheckpointStore(path) if c.path != all_of_them[2].path] == [0, 3, 4, 5]
    with pytest.raises(AttributeError, match="nonsense"):
        _ = all_of_them[0].nonsense
