"""What is open in one process arrives open in another: by path and digest, never by its values."""

from __future__ import annotations

import copy
import multiprocessing
import operator
import os
import pickle
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import ann_ckpt
from ann_ckpt import LazyArray, NetworkState
from ann_ckpt.errors import ChangedFileError, ClosedCheckpointError, FileMissingError, OptionError
from ann_ckpt.format.bytes import FileBytes
from tests.golden.networks import complete

FILES = ["net.h5", "run.ckpt"]


@pytest.fixture(params=FILES)
def path(request, tmp_path):
    ann_ckpt.write(complete(), tmp_path / request.param)
    return tmp_path / request.param


@pytest.fixture
def opened(path):
    with ann_ckpt.open(path) as checkpoint:
        yield checkpoint


def parts(checkpoint):
    """Everything that is pickled by path and digest."""
    dense, grid = checkpoint.projections["dense"], checkpoint.populations["grid"]
    return [checkpoint, checkpoint.projections, checkpoint.populations, dense, grid, dense["w"], grid["r"]]


def test_a_pickle_has_a_few_hundred_bytes(opened, path):
    things = parts(opened)
    before = opened.bytes_read
    for thing in things:
        assert len(pickle.dumps(thing)) < 350 + len(str(path))
    assert opened.bytes_read == before


def test_what_arrives_is_what_was_sent(opened):
    for thing in parts(opened):
        arrived = pickle.loads(pickle.dumps(thing))
        assert repr(arrived) == repr(thing)
        assert type(arrived) is type(thing)
    projection = pickle.loads(pickle.dumps(opened.projections["dense"]))
    np.testing.assert_array_equal(
        projection.dendrite(100)["w"], opened.projections["dense"].dendrite(100)["w"]
    )
    groups = pickle.loads(pickle.dumps(projection.variables))
    np.testing.assert_array_equal(groups["w"].values, projection["w"])
    grid = opened.populations["grid"]
    for changed in (grid.in_memory(), replace(grid, name="other")):
        population = pickle.loads(pickle.dumps(changed))
        assert population.name == changed.name
        assert isinstance(population["r"], type(changed["r"]))
        np.testing.assert_array_equal(population["r"], grid["r"])


def test_states_with_lazy_arrays_are_pickled_without_values(opened):
    state = pickle.loads(pickle.dumps(opened.state(lazy=True)))
    assert isinstance(state.projections["dense"]["w"], LazyArray)
    assert list(ann_ckpt.differences(state, complete())) == []


def test_a_copy_lives_on_when_the_checkpoint_is_closed(path):
    with ann_ckpt.open(path) as checkpoint:
        weights = checkpoint.projections["dense"]["w"]
        again, other, mine = copy.deepcopy(weights), pickle.loads(pickle.dumps(weights)), np.asarray(weights)
        arrived = pickle.loads(pickle.dumps(checkpoint))
    arrived.close()
    for array in (again, other):
        np.testing.assert_array_equal(array, mine)
    with pytest.raises(ClosedCheckpointError):
        pickle.dumps(weights)
    with pytest.raises(ClosedCheckpointError):
        pickle.dumps(checkpoint)


def test_arrays_that_arrive_one_by_one_share_the_open_file(opened):
    pickles = [pickle.dumps(opened.projections["dense"]["w"]) for _ in range(20)]
    before = len(list(Path("/proc/self/fd").iterdir()))
    arrays = [pickle.loads(one) for one in pickles]
    assert len(list(Path("/proc/self/fd").iterdir())) <= before + 1
    assert len({id(array._reader) for array in arrays}) == 1


def test_a_file_that_changed_is_refused(opened, path):
    pickles = [pickle.dumps(thing) for thing in parts(opened)]
    kept = pickle.loads(pickles[-2])
    changed = NetworkState(populations=complete().populations, time_step=7)
    if path.suffix == ".h5":
        ann_ckpt.write(changed, path)
    else:
        ann_ckpt.write(changed, path.with_name("other.h5"))
        path.with_name("other.h5").replace(opened.path)
    for one in pickles:
        with pytest.raises(ChangedFileError, match="not the one that was pickled"):
            pickle.loads(one)
    assert len(kept) == 40_000  # what was open stays so
    kept[:3]
    Path(opened.path).unlink()
    with pytest.raises(FileMissingError):
        pickle.loads(pickles[0])


def test_a_checkpoint_on_no_disk_is_refused(path, tmp_path):
    if path.suffix == ".h5":
        inner = FileBytes(os.open(path, os.O_RDONLY), "memory")

        class Remote:
            path, size = "memory", inner.size
            read, read_into, expect = inner.read, inner.read_into, inner.expect
            closed = distant = False

            def close(self) -> None:
                inner.close()

        with (
            ann_ckpt.Checkpoint(path, Remote()) as checkpoint,
            pytest.raises(OptionError, match="not on a disk"),
        ):
            pickle.dumps(checkpoint)


def test_a_store_arrives_for_reading(tmp_path):
    with ann_ckpt.CheckpointStore(tmp_path / "run.ckpt", mode="a") as store:
        store.save(complete(), tag="first")
        arrived = pickle.loads(pickle.dumps(store))
        assert (arrived.mode, arrived.path, len(arrived)) == ("r", store.path, 1)
        with arrived["first"] as checkpoint:
            assert checkpoint.tag == "first"
        with pytest.raises(OptionError):
            arrived.save(complete())
        (waiting,) = arrived
        with pickle.loads(pickle.dumps(waiting)) as checkpoint:
            assert checkpoint.time_step == complete().time_step
        store.save(complete(), tag="second")
        assert len(arrived) == 2


def test_spawned_processes_read_from_one_open_checkpoint(tmp_path):
    for name in FILES:
        ann_ckpt.write(complete(), tmp_path / name)
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        for name in FILES:
            with ann_ckpt.open(tmp_path / name) as checkpoint:
                weights = checkpoint.projections["dense"]["w"]
                assert pool.map(np.mean, [weights] * 4, chunksize=1) == [np.mean(weights)] * 4
                take = operator.itemgetter("w")
                for arrived in pool.map(take, [checkpoint.projections["dense"]] * 2):
                    np.testing.assert_array_equal(arrived, weights)
                assert pool.map(operator.attrgetter("time_step"), [checkpoint]) == [checkpoint.time_step]


def test_forked_processes_read_while_threads_do(opened):
    weights = opened.projections["dense"]["w"]
    expected = np.asarray(weights)
    with ThreadPoolExecutor(4) as threads, multiprocessing.get_context("fork").Pool(2) as pool:
        sums = threads.map(lambda n: float(np.sum(weights[n::7])), range(50))
        found = pool.map(weights.__getitem__, [slice(n, None, 11) for n in range(20)])
        for n, part in enumerate(found):
            np.testing.assert_array_equal(part, expected[n::11])
        assert list(sums) == [float(np.sum(expected[n::7])) for n in range(50)]
