"""Several processes save one network together: a checkpoint is there once all have saved their part."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
from contextlib import ExitStack
from dataclasses import replace
from unittest import mock

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import ann_ckpt
from ann_ckpt import (
    Attribute,
    CheckpointStore,
    Connectivity,
    Locality,
    NetworkState,
    Part,
    PopulationState,
    ProjectionState,
    Retention,
    differences,
)
from ann_ckpt.adapters.protocol import Reading
from ann_ckpt.demo import DemoNetwork
from ann_ckpt.errors import (
    BusyError,
    ConnectivityError,
    LockedError,
    MismatchError,
    NotWritableError,
    OptionError,
    StateError,
)
from ann_ckpt.store.owners.lock import FileLock
from ann_ckpt.store.saving.writer import SeriesWriter
from tests.acceptance.conftest import run
from tests.store.runs import check_any_number_of_parts, state
from tests.store.saver import STEPS
from tests.store.tiny import tiny_blocks
from tests.strategies import networks

__all__ = ["run"]

KILLS = 3
"""In an ordinary run; ``make torture`` runs many times as many."""


def opened(stack: ExitStack, path, ranks: int, **options) -> list[CheckpointStore]:
    return [
        stack.enter_context(CheckpointStore(path, "a", rank=rank, ranks=ranks, **options))
        for rank in range(ranks)
    ]


def undivided(network: NetworkState) -> NetworkState:
    """The network without what cannot be divided."""
    return replace(
        network,
        populations={n: replace(p, dynamics={}) for n, p in network.populations.items()},
        projections={n: replace(p, dynamics={}, order=None) for n, p in network.projections.items()},
        recordings={},
    )


def ascending(network: NetworkState) -> bool:
    return all(np.all(np.diff(p.post_ranks) > 0) for p in network.projections.values())


@settings(max_examples=20, deadline=None)
@given(networks(), st.integers(1, 4), st.randoms())
def test_a_network_is_the_parts_that_it_was_cut_into(network, ranks, shuffled):
    network = undivided(network)
    parts = [network.part(rank, ranks) for rank in range(ranks)]
    shuffled.shuffle(parts)
    parts[0] = replace(parts[0], metadata=network.metadata)
    whole = NetworkState.joined(parts)
    if ascending(network):
        assert not list(differences(whole, network))
    for name, projection in network.projections.items():
        for rank in projection.post_ranks.tolist():
            one, other = projection.dendrite(rank), whole.projections[name].dendrite(rank)
            assert one.pre_ranks.tobytes() == other.pre_ranks.tobytes()
            assert {n: v.tobytes() for n, v in one.values.items()} == {
                n: v.tobytes() for n, v in other.values.items()
            }


@settings(max_examples=4, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(networks(), st.integers(1, 3), st.randoms())
def test_what_processes_saved_together_is_the_network(tmp_path_factory, network, ranks, shuffled):
    path = tmp_path_factory.mktemp("ranks") / "run.ckpt"
    projections = {n: replace(p, order=None) for n, p in network.projections.items()}
    network = replace(network, projections=projections)
    with pytest.MonkeyPatch.context() as monkeypatch, ExitStack() as stack:
        tiny_blocks(monkeypatch)
        stores = opened(stack, path, ranks)
        for _ in range(2):
            shuffled.shuffle(stores)
            for number, store in enumerate(stores):
                before = len(store)
                store.save(network, tag="together")
                assert len(store) == before + (number == ranks - 1)
            with ann_ckpt.open(path) as checkpoint:
                found = checkpoint.state()
                assert checkpoint.tag == "together"
                assert checkpoint.provenance["ranks"] == ranks
            if ascending(network):
                assert not list(differences(found, network))
            assert ann_ckpt.verify(path).ok


def test_parts_of_a_step_share_what_did_not_change_and_make_no_checkpoint_of_another_format(path):
    with ExitStack() as stack:
        stores = opened(stack, path, 4)
        for step in range(3):
            written = sum(store.save(state(step)).bytes_written for store in stores)
            if step == 0:
                everything = written
            else:
                assert 2 * written < everything
            assert not list(differences(ann_ckpt.read(path), state(step)))
        assert [c.time_step for c in stores[0].checkpoints] == [0, 1, 2]
        for shard in path.glob("shards/*.h5"):
            with ann_ckpt.open(shard) as checkpoint:
                assert checkpoint.format_version == (1, 6)
        with ann_ckpt.open(path) as checkpoint:
            assert checkpoint.format_version == (1, 2)
    # Started again by as many processes, nothing is written anew; by another number, values are the same.
    with ExitStack() as stack:
        stores = opened(stack, path, 4)
        assert 2 * sum(store.save(state(3)).bytes_written for store in stores) < everything
    for ranks in (3, 1, 2):
        with ExitStack() as stack:
            for store in opened(stack, path, ranks):
                store.save(state(4 + ranks))
        assert not list(differences(ann_ckpt.read(path), state(4 + ranks)))
    with CheckpointStore(path, "a") as store:
        store.save(state(9))
        assert store.verify().ok
        store.gc()
        assert not list(path.glob("shards/*.h5"))
        assert len(store) == 8
        assert not list(differences(ann_ckpt.read(path), state(9)))


@pytest.mark.parametrize("ranks", [1, 2, 3])
def test_any_number_of_processes_gets_its_part(path, ranks):
    with ExitStack() as stack:
        for store in opened(stack, path, 4):
            store.save(state(7))
    with ann_ckpt.open(path) as checkpoint:
        parts = [checkpoint.state(lazy=True).part(rank, ranks) for rank in range(ranks)]
        for rank, part in enumerate(parts):
            assert not list(differences(part, state(7).part(rank, ranks)))
        assert not list(differences(NetworkState.joined(parts), state(7)))


class Divided(DemoNetwork):
    """The demo network, of which this process has some rows."""

    def __init__(self, rank: int, ranks: int, **options) -> None:
        super().__init__(**options)
        self._share = rank, ranks

    def read(self, selection=ann_ckpt.selection.EVERYTHING) -> Reading:
        return Reading(super().read(selection).state.part(*self._share))

    def set_population_attribute(self, population, attribute, values):
        own = self.read().state.populations[population]
        live = self._populations[population]
        target = np.asarray((live.parameters | live.variables)[attribute].values)
        if target.shape:
            target[own.part.first : own.part.first + own.geometry[0]] = values
        else:
            target[...] = values

    def set_projection_attribute(self, projection, attribute, values):
        live = self._projections[projection]
        own = self.read().state.projections[projection]
        values = np.asarray(values)
        target = np.asarray((live.parameters | live.variables)[attribute].values)
        first = int(live.synapses.connectivity.row_ptr[own.post_ranks[0]])
        if target.shape:
            first = first if attribute == "w" else int(own.post_ranks[0])
            target[first : first + len(values)] = values
        else:
            target[...] = values


def test_load_gives_each_process_of_a_network_its_part(path):
    ran = DemoNetwork(seed=3, side=9)
    with ExitStack() as stack:
        stores = opened(stack, path, 4)
        ran.simulate(30)
        for store in stores:
            store.save(ran)
    for ranks in (1, 2, 3):
        for rank in range(ranks):
            live = Divided(rank, ranks, seed=3, side=9)
            assert ann_ckpt.load(path, network=live, strict=False).bytes_read
            expected = ann_ckpt.read(path).part(rank, ranks)
            found = differences(live.read().state, expected)
            assert not [what for what in found if not what.endswith(("resume", "noise"))]
    with pytest.raises(MismatchError, match="geometry"):
        ann_ckpt.load(path, network=Divided(0, 2, seed=3, side=8))
    resumed = DemoNetwork(seed=3, side=9)
    ann_ckpt.load(path, network=resumed)
    ran.simulate(20)
    resumed.simulate(20)
    assert not list(differences(resumed.read().state, ran.read().state))


def test_a_step_of_which_a_part_is_missing_is_not_there(path):
    with ExitStack() as stack:
        stores = opened(stack, path, 3, wait=0.1)
        for store in stores:
            store.save(state(0))
        stores[0].save(state(1))
        stores[1].save(state(1), background=True)
        stores[1].save(state(2))
        assert len(CheckpointStore(path)) == 1
        assert not list(differences(ann_ckpt.read(path), state(0)))
        # What they need stays, while somebody may still come.
        assert not stores[0].gc().objects
        stores[2].save(state(1))
        assert [c.time_step for c in CheckpointStore(path).checkpoints] == [0, 1]
        stores[0].save(state(2))
        stores[2].save(state(2))
        assert CheckpointStore(path).verify().ok
        assert not list(differences(ann_ckpt.read(path), state(2)))
        stores[0].save(state(3))
        left = list(path.glob("shards/000000000003.*"))
    with ExitStack() as stack:
        kept = left[0].read_bytes()
        stores = opened(stack, path, 3)
        assert not left[0].exists()
        left[0].write_bytes(kept)  # whoever began the start may not have come to remove it yet
        stores[1].save(state(3, seed=1))
        stores[2].save(state(3, seed=1))
        assert len(stores[0]) == 3  # the part of the start before counts no more
        stores[0].save(state(3, seed=1))
        assert not list(differences(ann_ckpt.read(path), state(3, seed=1)))
        assert left[0].read_bytes() == kept


def fails(store: CheckpointStore, network: NetworkState) -> None:
    """Let a save of one process fail after its place in the series is known."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(SeriesWriter, "_write_checkpoint", mock.Mock(side_effect=NotWritableError("no space")))
        with pytest.raises(NotWritableError, match="no space"):
            store.save(network)


def test_what_fails_in_one_process_costs_that_checkpoint_and_no_other(path, caplog):
    steps = [10, 20, 20, 30, 5, 5, 40]
    with ExitStack() as stack:
        stores = opened(stack, path, 2)
        for number, step in enumerate(steps):
            stores[0].save(state(step, seed=number))
            (fails if number in (2, 4) else CheckpointStore.save)(stores[1], state(step, seed=number))
            if number == 4:
                stores[1].save(state(step, seed=number))  # tried again, it is the same one
    assert [info.name[7:] for info in CheckpointStore(path).checkpoints] == [
        "00010", "00020", "00030-1", "00005-2", "00005-3", "00040-3"
    ]  # fmt: skip
    for name, number in (("10", 0), ("20", 1), ("30-1", 3), ("5-2", 4), ("5-3", 5), ("40-3", 6)):
        assert not list(differences(ann_ckpt.read(f"{path}@{name}"), state(steps[number], seed=number)))
    (told,) = (r.getMessage() for r in caplog.records if "never be complete" in r.getMessage())
    assert "checkpoint 000000000020-1 " in told
    assert "rank 1 of 2" in told


def test_what_can_never_be_complete_is_told_and_what_is_late_is_not(path, caplog):
    with ExitStack() as stack:
        stores = opened(stack, path, 3)
        for store in stores:
            for step in (1, 2, 2, 3):
                store.save(state(step))
        assert len(CheckpointStore(path)) == 4
        assert not caplog.records
        stores[0].save(state(3))  # nobody else does
        for step in (4, 5):
            for store in stores:
                store.save(state(step))
        assert len(CheckpointStore(path)) == 4
    told = {r.getMessage().split(" will never")[0] for r in caplog.records}
    assert told == {f"checkpoint 00000000000{step}-1" for step in (4, 5)}
    assert all("rank 0 of 3" in r.getMessage() for r in caplog.records)
    with ExitStack() as stack:
        for store in opened(stack, path, 3):
            store.save(state(6))
    assert [info.time_step for info in CheckpointStore(path).checkpoints][4:] == [6]


def test_processes_of_the_start_before_are_refused(path, monkeypatch):
    with ExitStack() as stack:
        monkeypatch.setenv("SLURM_JOB_ID", "4711")
        stale = opened(stack, path, 2)
        stale[0].save(state(0))
        monkeypatch.setenv("SLURM_RESTART_COUNT", "1")
        fresh = CheckpointStore(path, "a", rank=1, ranks=2)
        stack.enter_context(fresh)
        with pytest.raises(LockedError, match="started again without this one"):
            stale[0].save(state(1))
        with pytest.raises(LockedError):
            stale[1].save(state(0))
        fresh.save(state(0))
        assert len(fresh) == 0
        again = stack.enter_context(CheckpointStore(path, "a", rank=0, ranks=2))
        again.save(state(0))
        assert len(fresh) == 1


HOLDS = """
import sys
from ann_ckpt import CheckpointStore
store = CheckpointStore(sys.argv[1], "a", rank=1, ranks=2)
print("holds", flush=True)
sys.stdin.readline()
"""


def test_who_comes_back_after_it_was_killed_begins_the_next_start(path):
    with CheckpointStore(path, "a", rank=0, ranks=2) as other:
        command = [sys.executable, "-c", HOLDS, str(path)]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as killed:
            assert killed.stdout.readline() == "holds\n"
            killed.kill()
        with (
            CheckpointStore(path, "a", rank=1, ranks=2),
            pytest.raises(LockedError, match="started again without this one"),
        ):
            other.save(state(0))


def test_who_prunes_waits_for_each_rank_that_saves(path):
    with ExitStack() as stack:
        for store in opened(stack, path, 2):
            store.save(state(0))
        with FileLock(path / "shards" / "lock.change.1", "saves") as saving:
            saving.acquire()
            with (
                CheckpointStore(path, "prune", wait=0.1) as pruner,
                pytest.raises(LockedError),
            ):
                pruner.gc()
        with CheckpointStore(path, "prune") as pruner:
            pruner.gc()
        assert not list(differences(ann_ckpt.read(path), state(0)))


def test_who_saves_together_and_who_saves_alone_exclude_each_other(path, run):
    with ExitStack() as stack:
        opened(stack, path, 2)
        with pytest.raises(LockedError, match="several processes save to the store together; rank 0"):
            CheckpointStore(path, "a")
        with pytest.raises(LockedError, match="2 processes save to the store together"):
            CheckpointStore(path, "a", rank=2, ranks=3)
        assert "lock.1" in run("unlock", path).out
    with CheckpointStore(path, "a"), pytest.raises(LockedError, match="to the store alone"):
        CheckpointStore(path, "a", rank=0, ranks=2)
    with ExitStack() as stack:
        opened(stack, path, 3)


def test_who_begins_anew_is_refused_before_anything_is_removed(path):
    with ExitStack() as stack:
        for store in opened(stack, path, 2):
            store.save(state(0))
        with pytest.raises(LockedError, match="several processes save to the store together"):
            CheckpointStore(path, "w")
        assert not list(differences(ann_ckpt.read(path), state(0)))
        assert ann_ckpt.verify(path).ok


@pytest.mark.parametrize(("rank", "ranks"), [(0, None), (None, 2), (2, 2), (-1, 2), (True, 2), (0, 10**7)])
def test_ranks_that_cannot_be(path, rank, ranks):
    with pytest.raises(OptionError, match="rank"):
        CheckpointStore(path, "a", rank=rank, ranks=ranks)
    assert not path.exists()


@pytest.mark.parametrize("mode", ["r", "w", "prune"])
def test_ranks_are_for_saving(path, mode):
    CheckpointStore(path, "a").close()
    with pytest.raises(OptionError, match="mode='a'"):
        CheckpointStore(path, mode, rank=0, ranks=2)


def test_all_retain_the_same(path):
    with ExitStack() as stack:
        stores = opened(stack, path, 3, retention=Retention(keep_last=2, keep_every=4))
        for step in range(9):
            for store in stores:
                store.save(state(step), background=True)
        for store in stores:
            store.close()
    store = CheckpointStore(path, "a")
    assert [c.time_step for c in store.checkpoints] == [0, 4, 7, 8]
    assert store.verify().ok
    assert store.gc(dry_run=True).objects == 0
    assert not list(path.rglob("*.tmp"))
    store.close()


def test_a_rule_that_fails_when_the_store_is_closed_leaves_no_lock(path):
    with ExitStack() as stack:
        stores = opened(stack, path, 2, retention=Retention(keep=lambda _: 1 // 0))
        for step in range(2):
            stores[0].save(state(step))
            with FileLock(path / "shards" / "lock.change.0", "saves") as saving:
                saving.acquire()
                stores[1].save(state(step))
        with pytest.raises(ZeroDivisionError):
            stores[1].close()
        assert not (path / "shards" / "lock.1").exists()
        with pytest.raises(OptionError, match="closed"):
            stores[1].save(state(2))


def test_a_save_is_one_although_there_is_no_lock_for_removing(path, caplog):
    with ExitStack() as stack:
        stores = opened(stack, path, 2, retention=Retention(keep_last=1))
        (path / "shards" / "lock.start").mkdir()
        for step in range(2):
            for store in stores:
                assert store.save(state(step)).time_step == step
        assert len(stores[0]) == 2
        assert "nothing was pruned" in caplog.text
        (path / "shards" / "lock.start").rmdir()
    assert len(CheckpointStore(path)) == 1


def test_a_rule_that_saves_is_told_so_by_each_of_several(path):
    with ExitStack() as stack:
        stores = opened(stack, path, 2, retention=Retention(keep=lambda _: stores[1].save(state(9))))
        for step in range(2):
            stores[0].save(state(step))
            if step == 0:
                stores[1].save(state(step))
        with pytest.raises(BusyError):
            stores[1].save(state(1))


def parts_of(*ranges, **options) -> list[NetworkState]:
    return [
        NetworkState(
            populations=[PopulationState("p", (last - first, 2), part=Part(first, 5), **options)], time_step=1
        )
        for first, last in ranges
    ]


def projection(*post: int, **options) -> ProjectionState:
    rows = Connectivity.from_rows(post, [[0, 1]] * len(post))
    return ProjectionState("ff", "p", "p", "exc", rows, **{"pre_size": 10, "post_size": 10} | options)


def test_parts_that_make_up_nothing_are_refused():
    assert NetworkState.joined(parts_of((3, 5), (0, 3))).populations["p"].geometry == (5, 2)
    for ranges in ([(0, 3)], [(0, 3), (2, 5)], [(0, 2), (3, 5)], [(1, 5)]):
        with pytest.raises(StateError, match="do not make up the whole"):
            NetworkState.joined(parts_of(*ranges))
    one, other = parts_of((0, 3), (3, 5))
    for what, match in (
        ({"time_step": 2}, "differ in time_step"),
        ({"constants": {"g": 1.0}}, "different constants"),
        ({"populations": [PopulationState("p", (5, 2))]}, "whole in some parts"),
    ):
        with pytest.raises(StateError, match=match):
            NetworkState.joined([one, replace(other, **what)])
    some = [
        [projection(0, 1), projection(1, 7)],
        [projection(0, delays=1), projection(7, delays=2)],
        [replace(projection(0), target="inh"), projection(7)],
        [projection(0, parameters={"a": 1.0}), projection(7, parameters={"a": 2.0})],
        [projection(0, parameters={"a": 1.0}), projection(7, variables={"a": 1.0})],
        [
            projection(0, variables={"a": Attribute(np.zeros(2, "f4"), Locality.LOCAL)}),
            projection(7, variables={"a": Attribute(np.zeros(2), Locality.LOCAL)}),
        ],
    ]
    for a, b in some:
        with pytest.raises((StateError, ConnectivityError)):
            NetworkState.joined([replace(one, projections=[a]), replace(other, projections=[b])])
    with pytest.raises(StateError, match="cannot be cut"):
        one.part(0, 2)
    with pytest.raises(StateError, match="there is no rank"):
        NetworkState().part(2, 2)


def test_a_disagreement_is_told_to_who_comes_last(path):
    with ExitStack() as stack:
        stores = opened(stack, path, 2)
        stores[0].save(replace(state(0), dt=0.25))
        with pytest.raises(StateError, match="differ in dt"):
            stores[1].save(state(0))
        assert len(stores[0]) == 0
        for store in stores:
            store.save(state(1))
        assert [c.time_step for c in stores[0].checkpoints] == [1]


@pytest.mark.torture
def test_one_of_four_is_killed_at_random(path, tmp_path, zygote, rounds):
    numbers = random.Random(4)
    CheckpointStore(path, "a").close()
    newest, seen = -1, set()
    for attempt in range(KILLS * rounds):
        logs = [tmp_path / f"{attempt}.{rank}" for rank in range(4)]
        children = [zygote.start(path, log, f"rank-{rank}-of-4", newest + 1) for rank, log in enumerate(logs)]
        victim = numbers.randrange(4)
        steps = numbers.randrange(STEPS - 2)

        def words(log):
            return log.read_text().split("\n") if log.exists() else []

        while len(words(logs[victim])) <= steps and "FAILED" not in words(logs[victim]):
            time.sleep(0.002)
        time.sleep(numbers.uniform(0, 0.05))
        zygote.kill(children[victim])
        others = [log for log in logs if log is not logs[victim]]
        while not all({"done", "FAILED"} & set(words(log)) for log in others):
            time.sleep(0.005)
        for child in children:
            if child is not children[victim]:
                zygote.kill(child)
        assert not [log.read_text() for log in logs if "FAILED" in log.read_text()]
        store = CheckpointStore(path)
        infos = store.checkpoints
        found = [info.time_step for info in infos]
        assert found == sorted(set(found))
        assert [info.problem for info in infos] == [None] * len(infos)
        assert found == list(range(found[0], found[-1] + 1)) if found else True
        newest = found[-1] if found else -1
        for info in infos:
            if (info.time_step not in seen and info.time_step % 5 == 0) or info is infos[-1]:
                with store[info.name] as checkpoint:
                    whole, expected = checkpoint.state(lazy=True), state(info.time_step, scale=1)
                    assert not list(differences(whole, expected))
                    check_any_number_of_parts(whole, expected)
                seen.add(info.time_step)
    assert newest >= KILLS * rounds
    assert CheckpointStore(path).verify().ok
    with CheckpointStore(path, "a") as store:
        store.gc()
        assert store.verify().ok
        assert store.gc(dry_run=True).objects == 0
        assert not list(path.rglob("*.tmp"))
        assert not list(path.glob("shards/*.h5"))


def test_who_has_a_lock_and_has_not_joined_yet_is_of_no_start(path):
    with ExitStack() as stack:
        opened(stack, path, 2)
    note, start = path / "shards" / "rank.1", path / "shards" / "start.json"
    before = start.read_text()
    # Rank 1 has been there as another process, and another one has its lock just now.
    note.write_text(json.dumps(json.loads(note.read_text()) | {"pid": str(os.getppid())}))
    with FileLock(path / "shards" / "lock.1", "saves to the store") as lock:
        lock.acquire()
        with CheckpointStore(path, "a", rank=0, ranks=2):
            assert start.read_text() != before
