"""A run that saves as it goes, is killed in the middle of a save, and ends as if nothing had happened."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

import ann_ckpt
from ann_ckpt import CheckpointStore, NetworkState
from tests.live.conftest import Run

STEPS = [50 * n for n in range(1, 21)]


@dataclass(frozen=True)
class Straight:
    """The run that was never interrupted."""

    store: Path
    ended: Path
    calls: int
    """How many calls of its twelfth save changed the disk."""


@pytest.fixture(scope="module")
def straight(run: Run, tmp_path_factory: pytest.TempPathFactory) -> Straight:
    folder = tmp_path_factory.mktemp("straight")
    store, ended = folder / "run.ckpt", folder / "ended.h5"
    calls = run("store_jobs.straight", path=str(store), ended=str(ended))
    return Straight(store, ended, calls)


def differences(a: NetworkState, b: NetworkState) -> list[str]:
    """Where two states differ, but for the seeds with which two networks were built."""
    return [path for path in ann_ckpt.differences(a, b) if path != "seed"]


def test_every_period_is_saved_and_shares_what_it_can(straight: Straight) -> None:
    with CheckpointStore(straight.store) as store:
        assert [info.time_step for info in store.checkpoints] == STEPS
        assert all(info.objects for info in store.checkpoints)
        first, last = store[0].state(), store.latest.state()
        ranks = store[0]._layout("projections/learning/pre_ranks").objects
        assert store.latest._layout("projections/learning/pre_ranks").objects == ranks
        assert store.verify().ok
    assert "projections/learning/variables/w" in differences(first, last)
    assert differences(last, ann_ckpt.read(straight.ended)) == []


@pytest.mark.parametrize("part", [0.0, 0.3, 0.6, 0.9, 1.0])
def test_a_run_killed_while_it_saves_ends_like_one_that_was_not(
    run: Run, straight: Straight, tmp_path: Path, part: float
) -> None:
    path, ended = tmp_path / "run.ckpt", tmp_path / "ended.h5"
    assert run("store_jobs.killed", path=str(path), last=int(part * (straight.calls - 1))) == -9
    with CheckpointStore(path) as store:
        left = [info.time_step for info in store.checkpoints]
        assert left in (STEPS[:11], STEPS[:12])
        assert store.verify().ok
    step, notes = run("store_jobs.resumed", path=str(path), ended=str(ended))
    assert (step, notes) == (left[-1], [])
    assert differences(ann_ckpt.read(ended), ann_ckpt.read(straight.ended)) == []
    with CheckpointStore(path) as store, CheckpointStore(straight.store) as other:
        assert [info.time_step for info in store.checkpoints] == STEPS
        for mine, its in zip(store, other, strict=True):
            assert differences(mine.state(), its.state()) == []
        assert store.gc(dry_run=True).objects == 0


@pytest.mark.torture
@pytest.mark.parametrize("threads", [1, 2])
def test_what_a_child_saves_while_the_network_is_simulated_on_is_what_was_at_the_fork(
    run: Run, tmp_path: Path, threads: int, rounds: int
) -> None:
    path, inline = tmp_path / "run.ckpt", tmp_path / "inline.ckpt"
    period = 1.0 if rounds > 1 else 50.0
    saves, ways = run("store_jobs.forked", path=str(path), inline=str(inline), threads=threads, period=period)
    assert (saves, ways) == (int(1000 / period), ["fork"])
    with CheckpointStore(path) as store, CheckpointStore(inline) as other:
        assert len(store) == len(other) == saves
        for mine, its in zip(store, other, strict=True):
            assert differences(mine.state(), its.state()) == []
