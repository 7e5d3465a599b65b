"""What stores do in a bucket, whoever's it is; run with the fixture ``base``, an address there."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest

import ann_ckpt
from ann_ckpt import CheckpointStore, NetworkState, PopulationState, differences

__all__ = [
    "test_a_store_goes_there_and_back",
    "test_one_of_two_writers_is_told",
    "test_processes_save_one_checkpoint",
    "test_what_is_saved_is_read_listed_verified_and_pruned",
]

HOLDS = """
import sys
from ann_ckpt import CheckpointStore
store = CheckpointStore(sys.argv[1], "a")
print("holds", flush=True)
sys.stdin.readline()
"""


def state(step: int) -> NetworkState:
    values = np.random.default_rng(step).random(100_000)
    same = np.arange(100_000.0)
    layer = PopulationState("layer", (100_000,), parameters={"tau": same}, variables={"v": values})
    return NetworkState(populations={"layer": layer}, time_step=step, dt=1.0)


def same(path: str, expected: NetworkState) -> bool:
    with ann_ckpt.open(path) as checkpoint:
        return not list(differences(checkpoint.state(), expected))


def test_what_is_saved_is_read_listed_verified_and_pruned(base):
    with CheckpointStore(f"{base}/run.ckpt", "a") as store:
        reports = [store.save(state(step), tag="first" if step == 1 else None) for step in (1, 2, 3)]
        assert len(reports[2].new) < len(reports[0].new)
    with CheckpointStore(f"{base}/run.ckpt", "a") as store:
        assert [info.time_step for info in store.checkpoints] == [1, 2, 3]
        assert store.verify().ok
        store.prune(keep_last=1)
        assert [info.time_step for info in store.checkpoints] == [1, 3]
    assert same(f"{base}/run.ckpt@first", state(1))
    assert same(f"{base}/run.ckpt", state(3))


def test_one_of_two_writers_is_told(base):
    other = subprocess.Popen(
        [sys.executable, "-c", HOLDS, f"{base}/run.ckpt"],
        env=os.environ,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert other.stdout.readline() == "holds\n"
        with pytest.raises(ann_ckpt.errors.LockedError):
            CheckpointStore(f"{base}/run.ckpt", "a")
    finally:
        other.communicate("\n")
    with CheckpointStore(f"{base}/run.ckpt", "a") as store:
        store.save(state(1))
    assert same(f"{base}/run.ckpt", state(1))


def test_processes_save_one_checkpoint(base):
    whole = state(4)
    stores = [CheckpointStore(f"{base}/job.ckpt", "a", rank=rank, ranks=2) for rank in (0, 1)]
    try:
        for rank, store in enumerate(stores):
            store.save(whole.part(rank, 2))
    finally:
        for store in stores:
            store.close()
    assert same(f"{base}/job.ckpt", whole)


def test_a_store_goes_there_and_back(base, tmp_path):
    with CheckpointStore(tmp_path / "run.ckpt", "a") as store:
        for step in (1, 2):
            store.save(state(step))
    ann_ckpt.push(tmp_path / "run.ckpt", f"{base}/copy.ckpt")
    ann_ckpt.pull(f"{base}/copy.ckpt", tmp_path / "back.ckpt")
    assert same(str(tmp_path / "back.ckpt"), state(2))
    assert ann_ckpt.verify(tmp_path / "back.ckpt").ok
