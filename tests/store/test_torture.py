"""kill -9 while saving, pruning and sweeping, over and over."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest

from ann_ckpt import CheckpointStore, differences
from tests.store.runs import state
from tests.store.saver import SCALE

KILLS = 14
"""Of each kind, in an ordinary run; ``make torture`` runs many times as many."""

pytestmark = pytest.mark.torture


def said(log: Path) -> list[int]:
    text = log.read_text() if log.exists() else ""
    assert "FAILED" not in text, text
    return [int(line) for line in text.split()]


def check(path: Path, acknowledged: list[int], *, all_stay: bool) -> int:
    """Check what a kill left; return the newest step, -1 if there is none."""
    store = CheckpointStore(path)
    infos = store.checkpoints
    assert [info.problem for info in infos] == [None] * len(infos)
    steps = [info.time_step for info in infos]
    assert steps == sorted(set(steps))
    if all_stay:
        assert set(acknowledged) <= set(steps)
    elif acknowledged:
        assert steps[-1] >= acknowledged[-1]
    for info in infos[-2:]:
        with store[info.name] as checkpoint:
            assert not list(differences(checkpoint.state(), state(info.time_step, scale=SCALE)))
    return steps[-1] if steps else -1


@pytest.mark.parametrize("what", ["plain", "retention", "background"])
def test_killed_savers_lose_nothing_that_was_committed(path, tmp_path, zygote, rounds, what):
    rng = np.random.default_rng(sum(what.encode()))
    log, newest, committed = tmp_path / "log", -1, []
    CheckpointStore(path, "a").close()
    for attempt in range(KILLS * rounds):
        before = len(said(log))
        child = zygote.start(path, log, what, newest + 1)
        if attempt % 3 == 0:  # let some of them get somewhere, whatever the machine
            while len(said(log)) < before + 3:
                time.sleep(0.001)
        time.sleep(rng.uniform(0, 0.2))
        zygote.kill(child)
        steps = said(log)[before:]
        # In the background, a step is said when its save has begun and the one before has ended.
        committed += steps[:-1] if what == "background" else steps
        if what == "background":  # which ends when the child of the killed one has
            CheckpointStore(path, "a").close()
        newest = check(path, committed, all_stay=what != "retention")
        if attempt % 10 == 9:
            assert CheckpointStore(path).verify().ok
    assert newest >= KILLS * rounds // 3
    with CheckpointStore(path, "a") as store:
        store.save(state(newest + 1, scale=SCALE))
        assert store.gc(dry_run=True).objects == 0
        assert not list(path.rglob("*.tmp"))
        assert store.verify().ok


def test_killed_pruners_take_nothing_that_stays(path, tmp_path, zygote, rounds):
    rng = np.random.default_rng(0)
    saved, pruned = tmp_path / "saved", tmp_path / "pruned"
    saver = zygote.start(path, saved, "plain")
    while not said(saved):
        time.sleep(0.001)
    for attempt in range(KILLS * rounds):
        child = zygote.start(path, pruned, "prune")
        if attempt % 3 == 0:
            before = len(said(pruned))
            while len(said(pruned)) == before:
                time.sleep(0.001)
        time.sleep(rng.uniform(0, 0.2))
        zygote.kill(child)
        acknowledged = said(saved)
        assert check(path, acknowledged, all_stay=False) >= acknowledged[-1]
    zygote.kill(saver)
    assert sum(said(pruned)) > 0
    with CheckpointStore(path, "a") as store:
        store.save(state(said(saved)[-1] + 5, scale=SCALE))
        assert store.verify().ok
        assert store.gc(dry_run=True).objects == 0
