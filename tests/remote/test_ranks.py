"""Several processes save one network together to a bucket: what they do in a folder, they do there."""

from __future__ import annotations

import itertools
import os
import random
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import replace
from datetime import timedelta
from unittest import mock

import obstore
import pytest
from obstore.exceptions import GenericError
from obstore.store import MemoryStore

import ann_ckpt
from ann_ckpt import CheckpointStore, NetworkState, Retention, differences, remote
from ann_ckpt.errors import LockedError, NotReadableError, NotWritableError, StateError
from ann_ckpt.paths import address_of
from ann_ckpt.store.buckets import bucket_folder
from ann_ckpt.store.buckets.bucket_ranks import BucketRank
from ann_ckpt.store.owners import lease
from ann_ckpt.uploads import put
from tests.remote.test_mirror import client, place
from tests.remote.test_mirror import small as changed
from tests.remote.test_saving import PAST, at_request, keys, other_process, requests_of
from tests.store.conftest import zygote
from tests.store.runs import check_any_number_of_parts, state
from tests.store.saver import STEPS

__all__ = ["at_request", "client", "other_process", "place", "zygote"]

KILLS = 2
"""In an ordinary run; ``make torture`` runs 50."""
RANKS = 2


@pytest.fixture
def memory(monkeypatch, request) -> str:
    """A bucket in memory, for what needs very many requests."""
    made = MemoryStore()
    monkeypatch.setattr(remote, "_store", lambda *_: made)
    return f"s3://bucket/{request.node.name}.ckpt"


def opened(stack: ExitStack, place: str, ranks: int = RANKS, **options) -> list[CheckpointStore]:
    return [
        stack.enter_context(CheckpointStore(place, "a", rank=rank, ranks=ranks, **options))
        for rank in range(ranks)
    ]


def small(step: int) -> NetworkState:
    return state(step, scale=1)


LIST = obstore.list


def below(memory: str, folder: str) -> list[str]:
    """What is in a folder, whatever the test does with requests."""
    made = remote._store("s3", "bucket", "", ())
    prefix = f"{memory.removeprefix('s3://bucket/')}/{folder}"
    return [one["path"] for some in LIST(made, prefix) for one in some]


def some_of_all(rounds: int) -> Iterator[int]:
    """Numbers of requests: all with ``--rounds``, else every third."""
    return itertools.count(step=1 if rounds > 1 else 3)


def steps_in(place: str) -> list[int | None]:
    return [info.time_step for info in CheckpointStore(place).checkpoints]


def check(place: str, steps: list[int]) -> None:
    """What is there is what was saved."""
    assert steps_in(place) == steps
    for step in steps:
        assert not list(differences(ann_ckpt.read(f"{place}@{step}"), changed(step)))
    assert ann_ckpt.verify(place).ok


# --- One network ----------------------------------------------------------------------


def test_what_processes_saved_together_is_the_network(place, client):
    with ExitStack() as stack:
        stores = opened(stack, place, 4)
        for step in range(2):
            for rank in random.Random(step).sample(range(4), 4):
                assert steps_in(place) == list(range(step))
                stores[rank].save(small(step), tag=f"t{step}")
            assert not list(differences(ann_ckpt.read(place), small(step)))
    for ranks in (1, 2, 3):
        with ann_ckpt.open(f"{place}@t1") as checkpoint:
            assert checkpoint.provenance["ranks"] == 4
            parts = [checkpoint.state(lazy=True).part(rank, ranks) for rank in range(ranks)]
            for rank, part in enumerate(parts):
                assert not list(differences(part, small(1).part(rank, ranks)))
            assert not list(differences(NetworkState.joined(parts), small(1)))
    assert ann_ckpt.verify(place).ok
    # What is left are the shards of the newest checkpoint, for the next start.
    assert {key.partition(".")[0] for key in keys(client, place, "shards/")} == {"000000000001"}


def test_what_did_not_change_is_not_sent_again(memory):
    with ExitStack() as stack:
        stores = opened(stack, memory)
        everything = sum(store.save(small(0)).bytes_written for store in stores)
        assert 3 * sum(store.save(small(1)).bytes_written for store in stores) < 2 * everything
    with ExitStack() as stack:  # started again
        stores = opened(stack, memory)
        assert 3 * sum(store.save(small(2)).bytes_written for store in stores) < 2 * everything
    with CheckpointStore(memory, "a") as store:  # alone
        store.save(small(3))
    with ExitStack() as stack:
        for store in opened(stack, memory, 3):
            store.save(small(4))
    for step in range(5):
        assert not list(differences(ann_ckpt.read(f"{memory}@{step}"), small(step)))


def test_requests_of_a_save_do_not_grow_with_the_number_of_processes(memory, at_request):
    counts = {}
    for ranks in (2, 3):
        with ExitStack() as stack:
            stores = opened(stack, f"{memory[:-5]}-{ranks}.ckpt", ranks)
            for step in (0, 1):
                counts[ranks] = [
                    requests_of(lambda store=store, step=step: store.save(changed(step)), at_request)
                    for store in stores
                ]
    assert counts[2][0] == counts[3][0] == counts[3][1] == 6
    # Who comes last reads each shard in one request.
    assert counts[3][-1] - counts[2][-1] == 1


def test_what_can_never_be_complete_is_told_and_what_fails_costs_no_later_one(memory, caplog, monkeypatch):
    with ExitStack() as stack:
        stores = opened(stack, memory)
        for step in (1, 1, 2, 3):
            stores[0].save(changed(step))
        for step in range(1, 6):
            assert not caplog.records
            stores[1].save(changed(step))
        assert steps_in(memory) == [1]
        told = [r.getMessage().split(" will never")[0] for r in caplog.records]
        assert told == [f"checkpoint 00000000000{step}" for step in (2, 3, 4, 5)]
        assert all("rank 0 of 2" in r.getMessage() for r in caplog.records)
    with ExitStack() as stack:
        stores = opened(stack, memory)
        for number, step in enumerate((5, 5, 6)):
            stores[0].save(changed(step))
            with monkeypatch.context() as patch:
                if number == 1:
                    patch.setattr(BucketRank, "publish", mock.Mock(side_effect=NotWritableError("none")))
                    with pytest.raises(NotWritableError):
                        stores[1].save(changed(step))
                else:
                    stores[1].save(changed(step))
    assert steps_in(memory) == [1, 5, 6]


# --- Who saves ------------------------------------------------------------------------


def test_of_two_processes_of_one_rank_one_wins_and_the_other_is_told(place, other_process):
    with ExitStack() as stack:
        stores = opened(stack, place)
        other_process()
        for rank in range(RANKS):
            with pytest.raises(
                LockedError, match=f"2 processes save .* together; rank {rank} is process {os.getpid()}"
            ):
                CheckpointStore(place, "a", rank=rank, ranks=RANKS, wait=0.0)
        for store in stores:
            store.save(changed(0))
        stores[0].close()
        with CheckpointStore(place, "a", rank=0, ranks=RANKS) as again:  # that has closed it
            again.save(changed(1))
            stores[1].save(changed(1))
        # What it has saved before it closed the store counts, and is not saved over.
        stores[1].save(changed(2))
    check(place, [0, 1])


def test_who_comes_back_knows_of_which_steps_it_has_saved_its_part(memory):
    with ExitStack() as stack:
        stores = opened(stack, memory)
        stores[0].save(changed(5))
        stores[0].close()
        again = stack.enter_context(CheckpointStore(memory, "a", rank=0, ranks=RANKS))
        assert again.save(changed(5)).name == "000000000005-1"
        stores[1].save(changed(5))
        stores[1].save(changed(5))
    assert [info.name for info in CheckpointStore(memory).checkpoints] == ["000000000005", "000000000005-1"]


def test_who_saves_alone_and_who_saves_together_exclude_each_other(memory, other_process, monkeypatch):
    with ExitStack() as stack:
        opened(stack, memory)
        with pytest.raises(LockedError, match="2 processes save to the store together; rank 0 is process"):
            CheckpointStore(memory, "a")
        with pytest.raises(LockedError, match="2 processes save to the store together"):
            CheckpointStore(memory, "a", rank=2, ranks=3, wait=0.0)
    with CheckpointStore(memory, "a"):
        other_process()
        with pytest.raises(LockedError, match="another process saves to the store: process"):
            CheckpointStore(memory, "a", rank=0, ranks=2, wait=0.0)
    with ExitStack() as stack:
        opened(stack, memory, 3)


def test_a_start_lives_as_long_as_one_of_its_processes(memory, other_process, monkeypatch):
    """The one that began it has gone, and has not renewed it for long."""
    with ExitStack() as stack:
        stores = opened(stack, memory)
        stores[0].close()
        real = lease.stored_below

        def aged(folder):
            old = timedelta(days=1) if folder.key.endswith("/writers") else timedelta(0)
            return [one._replace(modified=one.modified - old) for one in real(folder)]

        monkeypatch.setattr(lease, "stored_below", aged)
        with pytest.raises(LockedError, match="together"):
            CheckpointStore(memory, "a")
        stack.enter_context(CheckpointStore(memory, "a", rank=0, ranks=RANKS)).save(changed(0))
        stores[1].save(changed(0))
        check(memory, [0])


@pytest.mark.parametrize("why", ["job", "time", "death"])
def test_processes_of_the_start_before_are_refused(memory, monkeypatch, other_process, why):
    monkeypatch.setenv("SLURM_JOB_ID", "47")
    with ExitStack() as stack:
        stale = opened(stack, memory)
        for store in stale:
            store.save(changed(0))
        stale[0].save(changed(1))
        other_process()
        if why == "job":
            monkeypatch.setenv("SLURM_RESTART_COUNT", "1")
        elif why == "death":
            monkeypatch.setattr(lease, "process_alive", lambda _: False)
        with monkeypatch.context() as patch:
            if why == "time":
                patch.setattr(lease, "_LASTS", PAST)
            fresh = stack.enter_context(CheckpointStore(memory, "a", rank=1, ranks=RANKS, wait=0.0))
        monkeypatch.setattr(lease, "process_alive", lambda _: True)
        fresh.save(changed(1))
        assert steps_in(memory) == [0]  # the part of the start before counts no more
        for store in stale:
            with pytest.raises(LockedError, match="started again without this one"):
                store.save(changed(1))
        for store in stale:
            store.close()
        again = stack.enter_context(CheckpointStore(memory, "a", rank=0, ranks=RANKS, wait=0.0))
        again.save(changed(1))
        check(memory, [0, 1])


@pytest.mark.torture
def test_who_comes_at_any_request_fences_who_was_there(
    memory, monkeypatch, other_process, at_request, rounds
):
    """A new start comes before each request of who comes last: it sees the checkpoint, or nobody does."""
    ends = set()
    for number in some_of_all(rounds):
        place = f"{memory[:-5]}-{number}.ckpt"
        with ExitStack() as stack:
            stores = opened(stack, place)
            for store in stores:
                store.save(changed(0))
            stores[0].save(changed(1))
            fresh: list[CheckpointStore] = []
            seen: list[int] = []

            def begin(place=place, stack=stack, fresh=fresh, seen=seen) -> None:
                other_process()
                with monkeypatch.context() as patch:
                    patch.setattr(lease, "_LASTS", PAST)
                    fresh.append(stack.enter_context(CheckpointStore(place, "a", rank=0, ranks=RANKS)))
                fresh.append(stack.enter_context(CheckpointStore(place, "a", rank=1, ranks=RANKS)))
                seen.extend(steps_in(place))

            def come(at: int, _: str, make: Callable[[], object], number=number, begin=begin) -> object:
                if at == number:
                    at_request(None)
                    begin()
                return make()

            at_request(come)
            with suppress(LockedError):
                stores[1].save(changed(1))
            at_request(None)
            if not fresh:
                assert steps_in(place) == [0, 1]
                break
            assert steps_in(place) == seen
            ends.add(len(seen))
            with pytest.raises(LockedError):
                stores[1].save(changed(2))
            for store in fresh:
                store.save(changed(2))
            check(place, [*seen, 2])
    assert ends == {1, 2}


# --- What goes wrong ------------------------------------------------------------------


@pytest.mark.torture
def test_of_a_step_that_one_has_not_ended_nothing_is_seen(
    memory, monkeypatch, other_process, at_request, rounds
):
    """Who comes last dies at each request of its save in turn."""
    ends: list[str] = []
    for number in some_of_all(rounds):
        place = f"{memory[:-5]}-{number}.ckpt"
        with ExitStack() as stack:
            stores = opened(stack, place)
            for store in stores:
                store.save(changed(0))
            stores[0].save(changed(1))

            def die(at: int, name: str, make: Callable[[], object], number=number) -> object:
                if at >= number:
                    ends.append(name)
                    raise KeyboardInterrupt
                return make()

            died = len(ends)
            at_request(die)
            with suppress(KeyboardInterrupt):
                stores[1].save(changed(1))
            at_request(None)
            there = steps_in(place)
            assert there in ([0], [0, 1])
            if len(ends) == died:
                assert there == [0, 1]
                break
            other_process()
            with monkeypatch.context() as patch:
                patch.setattr(lease, "_LASTS", PAST)
                fresh = [CheckpointStore(place, "a", rank=1, ranks=RANKS)]
            fresh.append(CheckpointStore(place, "a", rank=0, ranks=RANKS))
            for store in fresh:
                store.save(changed(3))
                assert store.gc().objects == 0
                store.close()
            check(place, [*there, 3])
    assert set(ends) >= ({"get", "list", "put", "delete"} if rounds > 1 else {"list"})


@pytest.mark.torture
@pytest.mark.parametrize("answered", [False, True])
def test_what_the_network_loses_is_said_and_the_next_steps_are_saved(memory, at_request, answered, rounds):
    """Each request of who comes last fails in turn, before the server does anything or after it."""
    with ExitStack() as stack:
        stores = opened(stack, memory)
        said: list[str] = []
        for number in some_of_all(rounds):
            step = 2 * number
            stores[0].save(changed(step))

            def fail(at: int, _: str, make: Callable[[], object], number=number) -> object:
                if at != number:
                    return make()
                if answered:
                    make()
                raise GenericError("the network is down")

            at_request(fail)
            try:
                stores[1].save(changed(step))
                done = True
            except (NotWritableError, NotReadableError) as error:
                said.append(str(error))
                done = False
            at_request(None)
            for store in stores:
                store.save(changed(step + 1))
            there = steps_in(memory)
            assert step + 1 in there
            assert step in there or not done
            if done and number > 14:
                break
    assert len(said) >= 3
    assert all("the network is down" in text for text in said)
    check(memory, there)


def test_several_may_make_the_same_checkpoint(memory, at_request, other_process):
    """Both see that all is there, and the other one is faster."""
    with ExitStack() as stack:
        stores = opened(stack, memory)
        stores[0].save(changed(0))
        twice: list[int] = []

        def faster(_: int, name: str, make: Callable[[], object]) -> object:
            if name == "put" and stores[0]._assembly.folder.ready([]) and not twice:
                twice.append(1)
                stores[0]._assembly.complete("000000000000", wait=0.0)
            return make()

        at_request(faster)
        stores[1].save(changed(0))
        at_request(None)
        assert twice
        assert not [store for store in stores if store._assembly.has_committed is False]
        for store in stores:
            store.save(changed(1))
        check(memory, [0, 1])


def test_what_somebody_else_has_put_in_its_place_is_not_taken_for_it(memory, at_request):
    made = remote._store("s3", "bucket", "", ())
    key = memory.removeprefix("s3://bucket/")

    def come(_: int, name: str, make: Callable[[], object]) -> object:
        if name == "put" and any(".0000" in path for path in below(memory, "writers")):
            at_request(None)
            obstore.put(made, f"{key}/checkpoints/000000000000.h5", theirs)
        return make()

    with CheckpointStore("s3://bucket/other.ckpt", "a") as other:
        other.save(changed(0))
    another = bytes(obstore.get(made, "other.ckpt/checkpoints/000000000000.h5").bytes())
    for theirs, said in (  # noqa: B007  (what the function above puts)
        (b"theirs", "is no checkpoint"),
        (another, "another process has put a checkpoint"),
    ):
        with ExitStack() as stack:
            stores = opened(stack, memory)
            stores[0].save(changed(0))
            at_request(come)
            with pytest.raises(NotWritableError, match=said):
                stores[1].save(changed(0))
        obstore.delete(made, below(memory, ""))


def test_a_disagreement_is_told_to_who_comes_last(memory):
    with ExitStack() as stack:
        stores = opened(stack, memory)
        stores[0].save(replace(changed(0), dt=0.25))
        with pytest.raises(StateError, match="differ in dt"):
            stores[1].save(changed(0))
        assert steps_in(memory) == []
        for store in stores:
            store.save(changed(1))
        check(memory, [1])


# --- Removing -------------------------------------------------------------------------


def test_all_retain_the_same_and_who_prunes_leaves_what_may_become_a_checkpoint(
    memory, monkeypatch, other_process
):
    with ExitStack() as stack:
        stores = opened(stack, memory, retention=Retention(keep_last=2, keep_every=4))
        for step in range(7):
            for store in stores:
                store.save(changed(step), background=True)
        for store in stores:
            store.settle()
        check(memory, [0, 4, 5, 6])
        stores[0].save(changed(7))
        monkeypatch.setattr(bucket_folder, "GRACE", PAST)  # everything is old, the shard of step 7 too
        with CheckpointStore(memory, "prune") as pruner:
            pruner.prune(keep_last=1)
            assert pruner.gc().objects > 0  # of what was pruned
            assert pruner.gc().objects == 0
        monkeypatch.setattr(bucket_folder, "GRACE", timedelta(hours=24))
        stores[1].save(changed(7))
        check(memory, [6, 7])


def test_what_others_put_among_the_claims_hinders_nobody(memory):
    put(address_of(f"{memory}/shards/ranks/notes.txt"), b"of somebody else")
    with ExitStack() as stack:
        for store in opened(stack, memory):
            store.save(changed(0))
    check(memory, [0])
    assert len(below(memory, "shards/ranks")) == 1


def test_what_a_start_leaves_that_has_ended_goes_with_the_next_one_or_with_gc(memory, monkeypatch):
    with ExitStack() as stack:
        stores = opened(stack, memory)
        for store in stores:
            store.save(changed(0))
        stores[0].save(changed(1))
        assert len(below(memory, "shards/ranks")) == RANKS
    assert below(memory, "shards/ranks") == []
    assert len(below(memory, "shards")) == RANKS + 1
    with ExitStack() as stack:
        stores = opened(stack, memory)
        assert len([key for key in below(memory, "shards") if key.endswith(".h5")]) == RANKS
        for store in stores:
            store.save(changed(2))
    with CheckpointStore(memory, "a") as store:
        monkeypatch.setattr(bucket_folder, "GRACE", PAST)
        assert store.gc().objects == 1  # of rank 0, at step 1
        assert below(memory, "shards") == []
    check(memory, [0, 2])


# --- Kills ----------------------------------------------------------------------------


@pytest.mark.torture
def test_one_of_four_is_killed_at_random(localbucket, tmp_path, zygote, rounds):
    place = f"{localbucket}/killed.ckpt"
    numbers = random.Random(4)
    newest, seen = -1, 0
    kills = max(KILLS, 5 * rounds // 2)
    for attempt in range(kills):
        logs = [tmp_path / f"{attempt}.{rank}" for rank in range(4)]
        children = [
            zygote.start(place, log, f"rank-{rank}-of-4", newest + 1) for rank, log in enumerate(logs)
        ]
        victim, steps = numbers.randrange(4), numbers.randrange(STEPS - 2)

        def words(log):
            return log.read_text().split("\n") if log.exists() else []

        while len(words(logs[victim])) <= steps and "FAILED" not in words(logs[victim]):
            time.sleep(0.01)
        time.sleep(numbers.uniform(0, 0.1))
        zygote.kill(children[victim])
        others = [rank for rank in range(4) if rank != victim]
        while not all({"done", "FAILED"} & set(words(logs[rank])) for rank in others):
            time.sleep(0.02)
        for rank in others:
            zygote.kill(children[rank])
        assert not [log.read_text() for log in logs if "FAILED" in log.read_text()]
        infos = CheckpointStore(place).checkpoints
        found = [info.time_step for info in infos]
        assert [info.problem for info in infos] == [None] * len(infos)
        assert found == list(range(found[0], found[-1] + 1))
        said = newest + steps
        assert found[-1] >= said - (said % 3 == 0)  # those go on in the background after they were said
        newest = found[-1]
        for info in {infos[seen % len(infos)].name, infos[-1].name}:
            with CheckpointStore(place)[info] as checkpoint:
                whole, expected = checkpoint.state(lazy=True), small(checkpoint.time_step)
                assert not list(differences(whole, expected))
                check_any_number_of_parts(whole, expected)
        seen += 7
    assert newest >= kills
    assert ann_ckpt.verify(place).ok


def test_ranks_step_over_a_name_that_was_given_up(memory):
    """An empty object stands where an earlier start announced a checkpoint, and did not put it."""
    with ExitStack() as stack:
        stores = opened(stack, memory)
        for store in stores:
            store.save(small(1000))
        put(address_of(f"{memory}/checkpoints/000000002000.h5"), b"")
    with ExitStack() as stack:
        stores = opened(stack, memory)
        for store in stores:
            store.save(small(2000))
        assert [info.name for info in stores[0].checkpoints] == ["000000001000", "000000002000-1"]
        assert not list(differences(stores[0].latest.state(), small(2000)))
