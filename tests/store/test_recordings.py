"""Recordings in a store: a commit appends what is new, and every checkpoint reads as it was saved."""

from __future__ import annotations

import numpy as np
import pytest

import ann_ckpt
from ann_ckpt import CheckpointStore, NetworkState, Recording, Series
from ann_ckpt.store.saving.placement import INLINE_BYTES

WIDTH = 50
RNG = np.random.default_rng(5)


def state(values: np.ndarray, step: int) -> NetworkState:
    times = np.arange(len(values), dtype=np.int64)
    events = Series(times=times, ranks=(times * 7 % WIDTH).astype(np.int32))
    series = {"v": Series(times=times, values=values), "spike": events}
    return NetworkState(recordings=[Recording("m", of="", series=series)], time_step=step)


def test_most_commits_write_what_is_new_and_nothing_else(tmp_path):
    commits, records = 100, 250
    data = RNG.random((commits * records, WIDTH))
    entry = data[0].nbytes + 8 + 8 + 4  # values, times twice, ranks
    total, more = 0, 0
    with CheckpointStore(tmp_path / "run.ckpt", "a", compression="none") as store:
        for commit in range(1, commits + 1):
            report = store.save(state(data[: commit * records], commit))
            fresh = sum(array.fresh_bytes for array in report.arrays)
            total += fresh
            more += fresh > records * entry + 4 * INLINE_BYTES
        assert more <= 12
        assert total < 2.5 * data.nbytes
        pieces = [len(store.latest._layout(path).pieces) for path in _paths(store)]
        assert max(pieces) <= 80
        for commit, ckpt in enumerate(store, start=1):
            v = ckpt.recordings["m"]["v"]
            assert v.values.shape[0] == commit * records
            if commit % 20 == 0:
                assert np.array_equal(np.asarray(v.values), data[: commit * records])
        assert store.verify().ok


def _paths(store: CheckpointStore) -> list[str]:
    return [path for path in store.latest.arrays if path.startswith("recordings/") and "values" in path]


def test_reading_a_few_records_reads_their_blocks(tmp_path):
    data = RNG.random((40_000, WIDTH))
    with CheckpointStore(tmp_path / "run.ckpt", "a", compression="none") as store:
        for n in (10_000, 25_000, 40_000):
            store.save(state(data[:n], n))
        with store.latest as ckpt:
            part = ckpt.recordings["m"]["v"].between(20_000, 20_100)
            assert np.array_equal(part.values, data[20_000:20_100])
            assert ckpt.bytes_read < data.nbytes / 4


@pytest.mark.parametrize("seed", range(4))
def test_whatever_becomes_of_a_recording_each_checkpoint_reads_as_it_was_saved(tmp_path, seed):
    """Grown, emptied, cut back, changed in the middle, of another type, gone and back."""
    rng = np.random.default_rng(seed)
    values = rng.random((0, WIDTH))
    saved: list[NetworkState] = []
    with CheckpointStore(tmp_path / "run.ckpt", "a", compression="none") as store:
        for step in range(60):
            kind = rng.choice(["grow"] * 8 + ["empty", "cut", "change", "type", "gone"])
            if kind == "grow":
                more = rng.random((int(rng.integers(0, 1500)), WIDTH)).astype(values.dtype)
                values = np.concatenate((values, more))
            elif kind == "empty":
                values = values[:0]
            elif kind == "cut":
                values = values[: len(values) // 2]
            elif kind == "change" and len(values):
                values = values.copy()
                values[rng.integers(len(values))] += 1
            elif kind == "type":
                values = values.astype(np.float32 if values.dtype == np.float64 else np.float64)
            saved.append(state(values, step) if kind != "gone" else NetworkState(time_step=step))
            store.save(saved[-1])
            if rng.random() < 0.1:
                store.prune(keep=lambda checkpoint, since=step - 5: checkpoint.time_step >= since)
                saved = [kept for kept in saved if (kept.time_step or 0) >= step - 5]
        for expected, ckpt in zip(saved, store, strict=True):
            assert list(ann_ckpt.differences(expected, ckpt.state())) == []
        assert store.verify().ok


@pytest.mark.parametrize("group", ["recordings", "dynamics"])
def test_an_array_grows_by_values_that_it_has_already(tmp_path, group):
    """Blocks that are alike are as many objects as there are: no range of one is in an array twice."""
    states = []
    for n in (1, 2, 3, 5):
        zeros = np.zeros(n << 15)
        recordings = [Recording("m", of="", series={"v": Series(values=zeros)})]
        made = {"recordings": recordings} if group == "recordings" else {"dynamics": {"x": zeros}}
        states.append(NetworkState(**made, time_step=n))
    with CheckpointStore(tmp_path / "run.ckpt", "a") as store:
        for made in states:
            store.save(made)
        for expected, ckpt in zip(states, store, strict=True):
            assert list(ann_ckpt.differences(expected, ckpt.state())) == []
        assert store.verify().ok
