"""Stores in a bucket do what folders do, for one writer, and show nothing of a save that did not end."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import signal
import subprocess
import sys
import textwrap
import threading
import weakref
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import obstore
import pytest
from obstore.exceptions import GenericError

import ann_ckpt
from ann_ckpt import CheckpointStore, Retention
from ann_ckpt.demo import DemoNetwork
from ann_ckpt.errors import (
    CheckpointError,
    FileMissingError,
    LockedError,
    NotReadableError,
    NotWritableError,
    OptionError,
)
from ann_ckpt.paths import address_of
from ann_ckpt.store.buckets import bucket_folder
from ann_ckpt.store.owners import lease
from tests.remote.test_mirror import asked, client, place, small
from tests.remote.test_reading import contents
from tests.store.runs import state

__all__ = ["asked", "client", "place"]

CALLS = ("put", "list", "list_with_delimiter", "delete", "get", "head")
PAST = timedelta(days=-1)


@pytest.fixture
def other_process(monkeypatch) -> Callable[[], None]:
    """What is opened from now on knows nothing of stores that are open already, as another process."""

    def apart() -> None:
        monkeypatch.setattr(bucket_folder, "_OPEN", weakref.WeakValueDictionary())

    return apart


@pytest.fixture
def takes_over(monkeypatch, other_process, place) -> Callable[[], CheckpointStore]:
    """Open the store as another process would, once the lease of the one before has run out."""

    def take() -> CheckpointStore:
        other_process()
        with monkeypatch.context() as patch:
            patch.setattr(lease, "_LASTS", PAST)
            return CheckpointStore(place, "a")

    return take


@pytest.fixture
def at_request(monkeypatch) -> Iterator[Callable[[Callable[[int, str, Callable[[], object]], object]], None]]:
    """Have each request made by a function, which gets its number, its call, and what makes it."""
    real = {name: getattr(obstore, name) for name in CALLS}

    def install(do: Callable[[int, str, Callable[[], object]], object] | None) -> None:
        count = iter(range(10**6))

        def wrapped(name: str) -> Callable[..., object]:
            return lambda *args, **kwargs: (
                real[name](*args, **kwargs)
                if do is None
                else do(next(count), name, lambda: real[name](*args, **kwargs))
            )

        for name in CALLS:
            monkeypatch.setattr(obstore, name, wrapped(name))

    yield install
    install(None)


def keys(client, place: str, folder: str = "") -> set[str]:
    prefix = f"{place.removeprefix('s3://bucket/')}/{folder}"
    found = client.list_objects_v2(Bucket="bucket", Prefix=prefix).get("Contents", [])
    return {one["Key"].removeprefix(prefix) for one in found}


def requests_of(save: Callable[[], object], at_request) -> int:
    made = []
    at_request(lambda number, _, make: (made.append(number), make())[1])
    save()
    at_request(None)
    return len(made)


# --- What a folder does ---------------------------------------------------------------


def test_it_is_the_store_that_a_folder_is(place, tmp_path, run):
    path = tmp_path / "run.ckpt"
    steps = [0, 1, 3, 2, 2]
    for target in (path, place):
        with CheckpointStore(target, "a") as store:
            for number, step in enumerate(steps[:3]):
                store.save(state(step), tag=f"t{number % 2}", metadata={"n": number})
        with CheckpointStore(target, "a") as store:
            for step in steps[3:]:
                store.save(state(step))
    here, there = CheckpointStore(path), CheckpointStore(place)
    assert there.path == place
    assert len(there) == len(here) == len(steps)
    for one, two in zip(here, there, strict=True):
        assert contents(one)[0] == contents(two)[0]
        assert (one.time_step, one.tag, one.state().metadata) == (
            two.time_step,
            two.tag,
            two.state().metadata,
        )
    for which in ("t0", "t1", "2", "000000000002-1", 0, -1):
        with here[which] as one, there[which] as two:
            assert contents(one)[0] == contents(two)[0]
    assert [info.to_dict() | {"created": ""} for info in here.checkpoints] == [
        info.to_dict() | {"created": ""} for info in there.checkpoints
    ]
    assert "t0" in there
    assert "t7" not in there
    assert there.at(step=3).time_step == 3
    assert there.verify().ok
    there.export("t0", tmp_path / "t0.h5")
    assert ann_ckpt.diff(tmp_path / "t0.h5", f"{path}@t0").same
    rows = [json.loads(run("log", target, "--json").out) for target in (path, place)]
    assert [row["name"] for row in rows[0]] == [row["name"] for row in rows[1]]


def test_only_what_is_new_travels(place, asked):
    with CheckpointStore(place, "a") as store:
        store.save(small(0))
        asked()
        report = store.save(small(1))
        requests = asked()
        assert sum("PUT" in one and "/objects/" in one for one in requests) == 1
        assert len(requests) == 6
        asked()
        store.save(small(1))
        assert len(asked()) == 5
    with CheckpointStore(place, "a", retention=Retention(keep_last=2)) as store:
        store.save(small(2))
        asked()
        store.save(small(3))
        assert len(asked()) == 6 + 7
    assert report.path == f"{place}/checkpoints/000000000001.h5"
    assert report.bytes_written < 80_000


def test_a_run_goes_on_from_where_it_was(place, tmp_path):
    whole = DemoNetwork(seed=3, side=6)
    whole.simulate(60)
    for target in (tmp_path / "run.ckpt", place):
        net = DemoNetwork(seed=3, side=6)
        with CheckpointStore(target, "a", retention=Retention(keep_last=2)) as store:
            assert store.resume(net) is None
            with store.every(10.0, network=net, background="copy"):
                net.simulate(35)
        again = DemoNetwork(seed=3, side=6)
        with CheckpointStore(target, "a") as store:
            assert [info.time_step for info in store.checkpoints] == [20, 30]
            report = store.resume(again)
            assert report is not None
            again.simulate(30)
            pending = store.save_in_background(again)
            pending.wait()
            assert pending.way == ("copy" if target is place else pending.way)
        assert not list(ann_ckpt.differences(again.read().state, whole.read().state))


def test_the_calls_and_commands_that_write_take_addresses(place, tmp_path, run):
    assert ann_ckpt.save(f"{place}@start", network=state(0)).tag == "start"
    ann_ckpt.write(state(5), tmp_path / "net.h5")
    for words in (
        ("add", place, tmp_path / "net.h5", "--tag", "added"),
        ("prune", place, "--keep-last", 1, "--dry-run"),
        ("gc", place),
        ("verify", place),
        ("info", f"{place}@added"),
        ("export", f"{place}@added", tmp_path / "back.h5"),
    ):
        answer = run(*words)
        assert (answer.status, answer.err) == (0, ""), words
    assert ann_ckpt.diff(tmp_path / "back.h5", tmp_path / "net.h5").same
    assert run("unlock", place).status != 0
    with CheckpointStore(place, "w") as store:
        assert len(store) == 0
        store.save(state(9))
    assert [info.time_step for info in CheckpointStore(place).checkpoints] == [9]


def test_what_cannot_be_is_refused(place, bucket):
    with pytest.raises(FileMissingError, match="the store does not exist"):
        CheckpointStore(place)
    for address in (f"{place}@tag", f"{bucket}/net.h5"):
        with pytest.raises(OptionError, match="not that of a store"):
            CheckpointStore(address, "a")
    with CheckpointStore(place, "a") as store, pytest.raises(OptionError, match="the store is in a bucket"):
        store.save_in_background(state(0), way="fork")


# --- What a server must do ------------------------------------------------------------


def test_a_server_without_conditional_put_is_refused(place, monkeypatch, client):
    real = obstore.put

    def put(*args, mode=None, **more):
        return real(*args, **more)

    monkeypatch.setattr(obstore, "put", put)
    with pytest.raises(NotWritableError, match=r"replaces objects(.|\n)*If-None-Match"):
        CheckpointStore(place, "a")
    assert keys(client, place) == set()


@pytest.mark.parametrize("change", [lambda found: [], lambda found: [one | {"e_tag": None} for one in found]])
def test_a_server_that_does_not_list_is_refused(place, monkeypatch, client, change):
    real = obstore.list
    monkeypatch.setattr(obstore, "list", lambda *args, **more: [change(some) for some in real(*args, **more)])
    with pytest.raises(NotWritableError, match="does not list an object that was just put"):
        CheckpointStore(place, "a")
    assert keys(client, place) == set()


# --- One writer -----------------------------------------------------------------------


def test_of_two_writers_one_wins_and_the_other_is_told(place, other_process):
    with CheckpointStore(place, "a") as first:
        first.save(state(0))
        with CheckpointStore(place, "a") as same_process:
            same_process.save(state(1))
        other_process()
        with pytest.raises(LockedError, match=f"process {os.getpid()} on host"):
            CheckpointStore(place, "a")
        first.save(state(2))
    with CheckpointStore(place, "a", wait=5.0) as second:
        assert len(second) == 3


def test_who_waits_gets_it_as_soon_as_it_is_free(place, other_process, monkeypatch):
    first = CheckpointStore(place, "a")
    other_process()
    monkeypatch.setattr(lease.time, "sleep", lambda _: first.close())
    with CheckpointStore(place, "a", wait=60.0) as second:
        second.save(state(0))


def test_a_lease_that_was_taken_over_cannot_commit(place, takes_over, client):
    first = CheckpointStore(place, "a")
    first.save(state(0))
    with takes_over() as second:
        with pytest.raises(LockedError, match="another process has taken it"):
            first.save(state(1))
        with pytest.raises(LockedError):
            first.save(state(1))
        assert len(second) == 1
        second.save(state(1))
        first.close()
        second.save(state(2))
    assert [info.time_step for info in CheckpointStore(place).checkpoints] == [0, 1, 2]
    assert ann_ckpt.verify(place).ok
    assert keys(client, place, "writers/") == {"00000002", "00000002.closed"}


def test_the_race_between_looking_and_putting_is_lost_by_one(place, takes_over, at_request):
    """Another process comes before each request: it sees the checkpoint, or there never is one."""
    outcomes = set()
    with CheckpointStore(place, "a") as store:
        store.save(small(0))
    for number in itertools.count():
        first = CheckpointStore(place, "a")
        step = 10 * (number + 1)
        seen = []

        def come(at: int, _: str, make: Callable[[], object], number=number, seen=seen) -> object:
            if at == number:
                at_request(None)
                with takes_over() as second:
                    seen.append([info.time_step for info in second.checkpoints])
                    second.save(small(5))
            return make()

        at_request(come)
        try:
            first.save(small(step))
            committed = True
        except LockedError:
            committed = False
        at_request(None)
        there = [info.time_step for info in CheckpointStore(place).checkpoints]
        assert (step in there) == committed
        if seen:
            assert (step in seen[0]) == committed
        outcomes.add((bool(seen), committed))
        first.close()
        if not seen:
            break
    assert ann_ckpt.verify(place).ok
    assert outcomes == {(True, False), (True, True), (False, True)}


def test_no_name_is_used_that_a_late_put_may_still_take(place, takes_over, at_request, client):
    """A process is stopped just before it puts a checkpoint, and goes on after all is over."""
    first = CheckpointStore(place, "a")

    def come(_: int, name: str, make: Callable[[], object]) -> object:
        if name == "put" and any(".0000" in key for key in keys(client, place, "writers/")):
            at_request(None)
            for _ in range(3):
                with takes_over() as store:
                    store.save(small(1))
        return make()

    at_request(come)
    with pytest.raises(LockedError):
        first.save(small(1))
    assert [info.name for info in CheckpointStore(place).checkpoints] == [
        f"000000000001-{number}" for number in (1, 2, 3)
    ]
    first.close()


def test_a_lease_is_renewed_while_it_is_held(place, other_process, monkeypatch, client):
    monkeypatch.setattr(lease, "_LASTS", timedelta(seconds=0.04))
    renewed = threading.Event()
    real = lease.put

    def put(address, content):
        real(address, content)
        if address.key.endswith("writers/00000001"):
            renewed.set()

    monkeypatch.setattr(lease, "put", put)
    with CheckpointStore(place, "a") as store:
        assert renewed.wait(60)
        monkeypatch.setattr(lease, "_LASTS", timedelta(seconds=120))
        other_process()
        with pytest.raises(LockedError):
            CheckpointStore(place, "a")
        store.save(small(0))
    assert not [t for t in threading.enumerate() if t.name == "ann_ckpt-lease" and t.join(60) is not None]


def test_a_lease_that_ran_out_and_was_not_taken_goes_on(place, monkeypatch):
    with CheckpointStore(place, "a") as store:
        monkeypatch.setattr(lease, "_LASTS", PAST)
        store.save(small(0))
        assert len(store) == 1


def test_a_later_start_of_the_same_job_takes_over_at_once(place, other_process, monkeypatch):
    for name, value in {"SLURM_JOB_ID": "47", "SLURM_RESTART_COUNT": "0"}.items():
        monkeypatch.setenv(name, value)
    first = CheckpointStore(place, "a")
    other_process()
    with pytest.raises(LockedError, match="Slurm job 47"):
        CheckpointStore(place, "a")
    monkeypatch.setenv("SLURM_RESTART_COUNT", "1")
    with CheckpointStore(place, "a") as second:
        second.save(small(0))
        with pytest.raises(LockedError):
            first.save(small(0))
    first.close()


def test_of_two_that_come_at_once_one_gets_it(place, at_request, other_process, client):
    """Another one takes the number between the look and the put."""
    with CheckpointStore(place, "a"):
        pass
    others = []

    def come(_: int, name: str, make: Callable[[], object]) -> object:
        if name == "put" and not others and "00000001.closed" in keys(client, place, "writers/"):
            at_request(None)
            mine, theirs = bucket_folder._OPEN, weakref.WeakValueDictionary()
            bucket_folder._OPEN = theirs
            others.append(CheckpointStore(place, "a"))
            bucket_folder._OPEN = mine
        return make()

    other_process()
    monkeypatched = lease.check_server  # asked already, so that the first put is that of the lease
    folder = bucket_folder.BucketFolder.of(address_of(place), writable=True)
    folder.lease.clock = monkeypatched(folder.bucket.address)
    at_request(come)
    with pytest.raises(LockedError, match="another process saves"):
        CheckpointStore(place, "a")
    at_request(None)
    others[0].save(small(0))
    others[0].close()


def test_a_number_that_is_free_again_is_not_taken_for_the_last_one(place, at_request, takes_over):
    """A process is stopped between its look and its put, while two others come and go."""
    with CheckpointStore(place, "a"):
        pass

    def come(_: int, name: str, make: Callable[[], object]) -> object:
        if name == "put":
            at_request(None)
            for _ in range(2):
                takes_over().close()
        return make()

    folder = bucket_folder.BucketFolder.of(address_of(place), writable=True)
    folder.check_writable()  # so that the first put is that of the lease
    at_request(come)
    with CheckpointStore(place, "a") as store:
        store.save(small(0))


def test_no_two_saves_give_an_object_the_same_name(place, asked):
    with CheckpointStore(place, "a") as store:
        asked()
        for step in (0, 1, 0):
            store.save(small(step))
        put = [one for one in asked() if one.startswith("PUT") and "/objects/" in one]
    assert len(put) == len(set(put)) == 4


def test_a_checkpoint_that_was_not_answered_for_cannot_come_later(place, at_request, client):
    def fail(_: int, name: str, make: Callable[[], object]) -> object:
        if name == "put" and "00000001.000000000001" in keys(client, place, "writers/"):
            raise GenericError("the network is down")
        return make()

    with CheckpointStore(place, "a") as store:
        at_request(fail)
        with pytest.raises(NotWritableError, match="the network is down"):
            store.save(small(1))
        at_request(None)
        store.save(small(2))
        assert [info.time_step for info in store.checkpoints] == [2]
        key = f"{place.removeprefix('s3://bucket/')}/checkpoints/000000000001.h5"
        assert client.head_object(Bucket="bucket", Key=key)["ContentLength"] == 0
        assert keys(client, place, "writers/") == {"00000001"}


def test_a_signal_saves_and_a_forked_child_leaves_the_lease_alone(place):
    net = DemoNetwork(seed=3, side=4)
    with CheckpointStore(place, "a") as store, store.on_signal(signal.SIGUSR1, network=net, exit_status=None):
        net.simulate(5)
        signal.raise_signal(signal.SIGUSR1)
        store.checkpoint_if_asked()
        assert [info.time_step for info in store.checkpoints] == [5]
        child = os.fork()
        if child == 0:
            store.close()
            os._exit(0)
        os.waitpid(child, 0)
        net.simulate(1)
        store.save(net)


# --- Crashes and failures -------------------------------------------------------------


def test_of_a_save_that_is_killed_at_any_request_nothing_is_seen(
    place, takes_over, at_request, client, monkeypatch
):
    with CheckpointStore(place, "a") as store:
        store.save(small(0))
    ends: list[str] = []
    for number in itertools.count():
        store = CheckpointStore(place, "a")
        before = len(store)

        def die(at: int, name: str, make: Callable[[], object], number=number) -> object:
            if at >= number:
                ends.append(name)
                raise KeyboardInterrupt
            return make()

        at_request(die)
        died = len(ends)
        with contextlib.suppress(KeyboardInterrupt):
            store.save(small(number + 1))
        at_request(None)
        # Once the checkpoint is put, only the announcement of it is left to be removed.
        complete = len(ends) == died or ends[died] == "delete"
        with takes_over() as second:
            assert len(second) == before + complete
            assert second.gc().objects == 0
            second.save(small(number + 100))
            assert not list(ann_ckpt.differences(second.latest.state(), small(number + 100)))
        store.close()
        if len(ends) == died:
            break
    assert set(ends) >= {"get", "list", "put", "delete"}
    assert ann_ckpt.verify(place).ok
    monkeypatch.setattr(bucket_folder, "GRACE", PAST)
    with CheckpointStore(place, "prune") as store:
        assert store.gc().objects > 0
        needed = {name for info in store.checkpoints for name in info.objects}
    assert {Path(key).stem for key in keys(client, place, "objects/")} == needed
    assert ann_ckpt.verify(place).ok


SCRIPT = """
import os, signal
import obstore
from ann_ckpt import CheckpointStore
from tests.remote.test_mirror import small

real = obstore.put

def put(store, key, content, **options):
    if "/checkpoints/000000000001" in key:
        os.kill(os.getpid(), signal.SIGKILL)
    return real(store, key, content, **options)

obstore.put = put
store = CheckpointStore({place!r}, "a")
store.save(small(0))
store.save(small(1))
"""


def test_a_killed_process_leaves_the_store_to_the_next_one_at_once(place, client, tmp_path):
    died = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(SCRIPT).format(place=place)],
        check=False,
        env={**os.environ, "PYTHONPATH": os.fspath(Path(__file__).parents[2]), "TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert died.returncode == -signal.SIGKILL, died.stderr
    assert {"00000001", "00000001.000000000001"} == keys(client, place, "writers/")
    with CheckpointStore(place, "a") as store:
        assert [info.time_step for info in store.checkpoints] == [0]
        store.save(small(1))
    assert not list(ann_ckpt.differences(ann_ckpt.read(place), small(1)))


@pytest.mark.parametrize("answered", [False, True])
def test_what_the_network_loses_is_said_and_nothing_is_lost(place, at_request, answered):
    """Each request fails in turn, before the server does anything or after it."""
    with CheckpointStore(place, "a") as store:
        store.save(small(0))
        total = requests_of(lambda: store.save(small(1)), at_request)
        saved, said = {0, 1}, []
        for number in range(total):
            step = number + 10

            def fail(at: int, name: str, make: Callable[[], object], number=number) -> object:
                if at != number:
                    return make()
                if answered:
                    make()
                raise GenericError("the network is down")

            at_request(fail)
            try:
                store.save(small(step))
                saved.add(step)
            except (NotWritableError, NotReadableError) as error:
                said.append(str(error))
            at_request(None)
            store.save(small(step + 100))
            saved.add(step + 100)
            there = {info.time_step for info in store.checkpoints}
            assert saved <= there <= saved | ({step} if answered else set())
            saved = there
        assert all("the network is down" in text and place[5:] in text for text in said)
        assert len(said) >= total - 2
        for checkpoint in store:
            with checkpoint:
                assert not list(ann_ckpt.differences(checkpoint.state(), small(checkpoint.time_step)))
        assert store.verify().ok


def test_an_answer_that_is_lost_does_not_undo_a_checkpoint(place, at_request):
    """The transport repeats a request whose answer it did not get; then the checkpoint is there already."""
    with CheckpointStore(place, "a") as store:

        def twice(_: int, name: str, make: Callable[[], object]) -> object:
            if name == "put":
                make()
            return make()

        at_request(twice)
        store.save(small(0))
        at_request(None)
        assert len(store) == 1


def test_a_checkpoint_that_somebody_else_puts_is_not_ours(place, at_request, client):
    key = f"{place.removeprefix('s3://bucket/')}/checkpoints/000000000000.h5"

    def come(_: int, name: str, make: Callable[[], object]) -> object:
        if name == "put":
            client.put_object(Bucket="bucket", Key=key, Body=b"theirs")
        return make()

    with CheckpointStore(place, "a") as store:
        at_request(come)
        with pytest.raises(NotWritableError, match="another process has put a checkpoint 000000000000"):
            store.save(small(0))
        at_request(None)
    assert client.get_object(Bucket="bucket", Key=key)["Body"].read() == b"theirs"


# --- Pruning --------------------------------------------------------------------------


def test_who_reads_is_not_disturbed_by_who_prunes(place, other_process, monkeypatch, client):
    with CheckpointStore(place, "a") as store:
        for step in range(4):
            store.save(state(step))
    reader = ann_ckpt.open(f"{place}@0")
    before = keys(client, place, "objects/")
    with CheckpointStore(place, "a") as writer:
        other_process()
        with CheckpointStore(place, "prune") as pruner:
            report = pruner.prune(keep_last=2)
            assert (len(report.removed), report.objects) == (2, 0)
            writer.save(state(4))
            assert pruner.gc().objects == 0
        assert keys(client, place, "objects/") >= before
        assert not list(ann_ckpt.differences(reader.state(), state(0)))
        reader.close()
        # A day after that, it goes: the objects are older then, and so is the note of them.
        monkeypatch.setattr(bucket_folder, "GRACE", PAST)
        with CheckpointStore(place, "prune") as pruner:
            planned = pruner.gc(dry_run=True).objects
            assert pruner.gc().objects == planned > 0
            assert keys(client, place, "pruned/") == set()
        monkeypatch.setattr(bucket_folder, "GRACE", timedelta(hours=24))
        writer.save(state(5))
    assert ann_ckpt.verify(place).ok
    assert [info.time_step for info in CheckpointStore(place).checkpoints] == [2, 3, 4, 5]


def test_who_goes_through_a_history_passes_over_what_is_pruned_meanwhile(place):
    with CheckpointStore(place, "a") as store:
        for step in range(3):
            store.save(small(step))
        newest_first = store._catalog.newest_first()
        found = [next(newest_first).time_step]
        CheckpointStore(place, "prune").prune(keep_last=1)
        assert len(store) == 1  # another thread may ask, too
        found += [info.time_step for info in newest_first]
    assert found == [2]


def test_objects_of_a_removed_checkpoint_stay_for_the_grace_however_old_they_are(
    place, monkeypatch, client, other_process
):
    with CheckpointStore(place, "a") as store:
        store.save(small(0))
        store.save(small(1))
    before = keys(client, place, "objects/")
    old = {"objects": timedelta(days=3)}
    real = bucket_folder.stored_below

    def aged(folder):
        age = old.get(folder.key.rpartition("/")[2], timedelta(0))
        return [one._replace(modified=one.modified - age) for one in real(folder)]

    monkeypatch.setattr(bucket_folder, "stored_below", aged)
    with CheckpointStore(place, "prune") as store:
        assert store.prune(keep_last=1).removed == ("000000000000",)
    other_process()
    with CheckpointStore(place, "prune") as store:
        assert store.gc().objects == 0
        assert keys(client, place, "objects/") == before
        old["pruned"] = timedelta(days=2)
        assert store.gc().objects == 1
    assert ann_ckpt.verify(place).ok


def test_a_save_that_takes_longer_than_its_objects_are_safe_is_not_committed(place, monkeypatch):
    with CheckpointStore(place, "a") as store:
        monkeypatch.setattr(bucket_folder, "GRACE", PAST)
        with pytest.raises(NotWritableError, match="sending took so long"):
            store.save(small(0))
        assert len(store) == 0


@pytest.fixture(params=["monotonic", "time"])
def asleep(monkeypatch, request) -> Callable[[float], None]:
    """Let so many seconds pass on one of the clocks, while the other one stands still."""
    clocks = SimpleNamespace(seconds=0.0, monotonic=lambda: 1000.0, time=lambda: 2000.0)
    setattr(clocks, request.param, lambda: 3000.0 + clocks.seconds)
    monkeypatch.setattr(bucket_folder, "time", clocks)
    return lambda seconds: setattr(clocks, "seconds", clocks.seconds + seconds)


def test_what_is_sent_while_the_machine_sleeps_is_too_old(place, monkeypatch, asleep):
    real = bucket_folder.put
    with CheckpointStore(place, "a") as store:
        for seconds in (3600.0, 13 * 3600.0):
            with monkeypatch.context() as patch, contextlib.ExitStack() as told:
                patch.setattr(bucket_folder, "put", lambda *args, s=seconds: (asleep(s), real(*args)))
                if seconds > 12 * 3600:
                    told.enter_context(pytest.raises(NotWritableError, match="sending took so long"))
                store.save(small(int(seconds)))
        assert len(store) == 1


def test_who_slept_while_removing_removes_nothing_more(place, monkeypatch, asleep, client):
    with CheckpointStore(place, "a") as store:
        for step in range(2):
            store.save(small(step))
    monkeypatch.setattr(bucket_folder, "GRACE", PAST)
    with CheckpointStore(place, "prune") as store:
        store.prune(keep_last=1)
        before, real = keys(client, place, "objects/"), bucket_folder.put
        with monkeypatch.context() as patch:
            patch.setattr(bucket_folder, "put", lambda *args: (real(*args), asleep(1900.0)))
            with pytest.raises(NotWritableError, match="removing took so long"):
                store.gc()
        assert keys(client, place, "objects/") == before
        store.gc()
        assert len(keys(client, place, "objects/")) < len(before)


def test_nothing_stays_on_this_machine(place, tmp_path, monkeypatch):
    monkeypatch.setattr(bucket_folder.tempfile, "tempdir", str(tmp_path))
    with CheckpointStore(place, "a") as store:
        store.save(small(0))
        assert not list(tmp_path.rglob("*.h5"))
        with pytest.raises(CheckpointError):
            store.save(small(1), populations="none of that name")
    del store
    assert list(tmp_path.iterdir()) == []
    assert np.array_equal(ann_ckpt.read(place).populations["p"].variables["u"].values, np.arange(8000))
