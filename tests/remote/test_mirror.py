"""Push and pull: only what is missing travels, and what is interrupted is not to be seen."""

from __future__ import annotations

import itertools
import logging
import re
import shutil
import threading
from datetime import timedelta
from pathlib import Path

import boto3
import numpy as np
import obstore
import pytest

import ann_ckpt
from ann_ckpt import CheckpointStore, NetworkState, PopulationState, uploads
from ann_ckpt.cli.mirror import pull, push
from ann_ckpt.errors import (
    CorruptFileError,
    FileMissingError,
    NotWritableError,
    OptionError,
)
from ann_ckpt.store import mirror
from ann_ckpt.store.buckets import bucket_folder
from tests.acceptance.conftest import _demo_store, store_folder
from tests.store.runs import state

__all__ = ["_demo_store", "store_folder"]

SAVES = 100
SAME = np.arange(8000)


def small(step: int) -> NetworkState:
    """A network of which one large array changes and one does not."""
    changing = np.random.default_rng(step).random(SAME.size)
    return NetworkState(
        populations=[PopulationState("p", SAME.shape, variables={"v": changing, "u": SAME})],
        time_step=step,
    )


@pytest.fixture
def place(bucket, s3, request):
    """An address of its own."""
    name = re.sub(r"\W+", "-", request.node.name)
    return f"s3://bucket/{name}/run.ckpt"


@pytest.fixture
def client(s3):
    return boto3.client(
        "s3",
        endpoint_url=s3["AWS_ENDPOINT_URL"],
        aws_access_key_id="somebody",
        aws_secret_access_key="secret",
        region_name="us-east-1",
    )


@pytest.fixture
def asked(caplog):
    """What the server was asked for since this was called last."""
    caplog.set_level(logging.INFO, "werkzeug")

    def since() -> list[str]:
        said = [r.getMessage() for r in caplog.records if r.name == "werkzeug"]
        caplog.clear()
        found = [re.search(r'"(\w+) (\S+) HTTP', text) for text in said]
        return [f"{one[1]} {one[2]}" for one in found if one is not None]

    return since


def files(path: Path) -> dict[str, bytes]:
    """Everything but the catalog, which tells of inodes."""
    found = {str(p.relative_to(path)): p.read_bytes() for p in path.rglob("*") if p.is_file()}
    return {name: content for name, content in found.items() if name != "catalog"}


def test_only_what_is_missing_travels(place, asked, tmp_path):
    path = tmp_path / "run.ckpt"
    with CheckpointStore(path, "a") as store:
        for step in range(SAVES):
            store.save(small(step))
    first = ann_ckpt.push(path, place)
    assert (len(first.checkpoints), first.objects) == (SAVES, SAVES + 1)
    with CheckpointStore(path, "a") as store:
        written = store.save(small(SAVES), tag="last").bytes_written
    asked()
    second = ann_ckpt.push(path, place)
    requests = asked()
    assert second.checkpoints == (f"{SAVES:012d}",)
    assert (second.objects, second.bytes_sent) == (1, written)
    assert sum(request.startswith("PUT") for request in requests) == 2
    assert len(requests) <= 6
    third = ann_ckpt.push(path, place)
    assert (third.checkpoints, third.objects, third.bytes_sent) == ((), 0, 0)
    assert len(asked()) <= 3
    assert not list(ann_ckpt.differences(ann_ckpt.read(f"{place}@last"), small(SAVES)))


def test_there_and_back_is_the_same(place, tmp_path, asked):
    path, back = tmp_path / "run.ckpt", tmp_path / "back.ckpt"
    with CheckpointStore(path, "a", compression="none") as store:
        for step in range(4):
            store.save(state(step), tag=f"t{step}")
    assert ann_ckpt.push(f"{path}@t1", place).checkpoints == ("000000000001",)
    assert [c.time_step for c in CheckpointStore(path).checkpoints] == [0, 1, 2, 3]
    assert ann_ckpt.push(path, place).checkpoints == ("000000000000", "000000000002", "000000000003")
    assert ann_ckpt.verify(place).ok
    one = ann_ckpt.pull(f"{place}@t2", back)
    assert one.checkpoints == ("000000000002",)
    assert not list(ann_ckpt.differences(ann_ckpt.read(back), state(2)))
    asked()
    ann_ckpt.pull(place, back)
    assert len({r for r in asked() if "/objects/" in r}) + one.objects == len(list(path.glob("objects/*/*")))
    assert files(back) == files(path)
    with CheckpointStore(back, "a") as store:
        store.save(state(4))
    ann_ckpt.push(back, place)
    ann_ckpt.pull(place, path)
    assert files(back) == files(path)
    asked()
    assert ann_ckpt.pull(place, path).checkpoints == ()
    assert len(asked()) <= 3


@pytest.mark.parametrize("again", [False, True])
def test_what_an_interrupted_push_left_is_sent_again_only_if_it_may_be_removed(
    place, tmp_path, monkeypatch, client, again
):
    path = tmp_path / "run.ckpt"
    with CheckpointStore(path, "a") as store:
        store.save(state(0))
    ann_ckpt.push(path, place)
    key = place.removeprefix("s3://bucket/") + "/checkpoints/000000000000.h5"
    client.delete_object(Bucket="bucket", Key=key)
    monkeypatch.setattr("ann_ckpt.store.mirror._FRESH", timedelta(hours=-1 if again else 1))
    assert ann_ckpt.push(path, place).objects == (len(list(path.glob("objects/*/*"))) if again else 0)


@pytest.mark.parametrize("after", [0, 1, 4])
def test_an_interrupted_push_shows_nothing_and_goes_on(place, tmp_path, monkeypatch, after):
    path = tmp_path / "run.ckpt"
    with CheckpointStore(path, "a") as store:
        store.save(state(0))
    real, done = obstore.put, []

    def put(store, key, content, **options):
        if "/objects/" in key:
            done.append(key)
            if len(done) > after:
                raise KeyboardInterrupt
        return real(store, key, content, **options)

    monkeypatch.setattr(obstore, "put", put)
    with pytest.raises(KeyboardInterrupt):
        ann_ckpt.push(path, place)
    monkeypatch.setattr(obstore, "put", real)
    with pytest.raises(FileMissingError):
        ann_ckpt.open(place)
    ann_ckpt.push(path, place)
    assert not list(ann_ckpt.differences(ann_ckpt.read(place), state(0)))


def test_two_stores_that_differ_are_refused(place, tmp_path):
    for name, seed in (("a", 0), ("b", 1)):
        with CheckpointStore(tmp_path / f"{name}.ckpt", "a") as store:
            store.save(state(5, seed=seed))
    ann_ckpt.push(tmp_path / "a.ckpt", place)
    with pytest.raises(NotWritableError, match="both stores have a checkpoint 000000000005"):
        ann_ckpt.push(tmp_path / "b.ckpt", place)
    with pytest.raises(NotWritableError, match="both stores have a checkpoint 000000000005"):
        ann_ckpt.pull(place, tmp_path / "b.ckpt")
    assert not list(ann_ckpt.differences(ann_ckpt.read(tmp_path / "b.ckpt"), state(5, seed=1)))


def test_a_checkpoint_that_somebody_else_puts_meanwhile_stays(place, tmp_path, monkeypatch, client):
    path = tmp_path / "run.ckpt"
    with CheckpointStore(path, "a") as store:
        store.save(state(0))
    key = place.removeprefix("s3://bucket/") + "/checkpoints/000000000000.h5"
    real = uploads.put

    def put(address, content):
        client.put_object(Bucket="bucket", Key=key, Body=b"theirs")
        real(address, content)

    monkeypatch.setattr("ann_ckpt.store.mirror.put", put)
    with pytest.raises(NotWritableError, match="both stores have"):
        ann_ckpt.push(path, place)
    assert client.get_object(Bucket="bucket", Key=key)["Body"].read() == b"theirs"


def test_a_server_that_replaces_what_it_should_not_is_refused(place, tmp_path, monkeypatch):
    path = tmp_path / "run.ckpt"
    with CheckpointStore(path, "a") as store:
        store.save(state(0))
    real = obstore.put

    def put(store, key, content, mode=None, **options):
        return real(store, key, content, **options)

    monkeypatch.setattr(obstore, "put", put)
    with pytest.raises(NotWritableError, match="replaces objects"):
        ann_ckpt.push(path, place)
    with pytest.raises(FileMissingError):
        ann_ckpt.open(place)


def test_an_object_that_is_cut_in_the_bucket_is_not_fetched(place, tmp_path, client):
    path, back = tmp_path / "run.ckpt", tmp_path / "back.ckpt"
    with CheckpointStore(path, "a") as store:
        store.save(state(0))
    ann_ckpt.push(path, place)
    some = sorted(path.glob("objects/*/*"))[2]
    key = f"{place.removeprefix('s3://bucket/')}/{some.relative_to(path)}"
    client.put_object(Bucket="bucket", Key=key, Body=some.read_bytes()[:-100])
    with pytest.raises(CorruptFileError, match="cut"):
        ann_ckpt.pull(place, back)
    assert len(CheckpointStore(back)) == 0
    assert not list(back.rglob("*.tmp"))
    client.put_object(Bucket="bucket", Key=key, Body=some.read_bytes())
    ann_ckpt.pull(place, back)
    assert CheckpointStore(back).verify().ok
    with CheckpointStore(back, "a") as store:
        assert store.gc(dry_run=True).objects == 0


def test_what_cannot_be_sent_or_fetched_is_said(place, bucket, server, tmp_path, run):
    path = tmp_path / "run.ckpt"
    with CheckpointStore(path, "a") as store:
        store.save(state(0))
        with pytest.raises(FileMissingError):
            ann_ckpt.pull(place, tmp_path / "none.ckpt")
    assert not (tmp_path / "none.ckpt").exists()
    for target in (tmp_path / "other.ckpt", f"{place}@tag", "s3://bucket/net.h5", f"{server.url}/new.ckpt"):
        with pytest.raises(OptionError, match="nothing is sent there"):
            ann_ckpt.push(path, target)
    with pytest.raises(OptionError, match="nothing is fetched from there"):
        ann_ckpt.pull(path, tmp_path / "other.ckpt")
    with pytest.raises(FileMissingError):
        ann_ckpt.push(tmp_path / "none.ckpt", place)
    assert run("push", path, place).status == 0
    assert run("pull", place, tmp_path / "back.ckpt", "--json").json["checkpoints"] == ["000000000000"]
    assert "0 new checkpoints" in run("push", path, place).out
    (next(path.glob("checkpoints/*"))).write_bytes(b"")
    with pytest.raises(CorruptFileError, match="cannot be read"):
        ann_ckpt.push(path, place)
    shutil.rmtree(path)


def test_the_examples_of_the_help_work(bucket, store_folder, run, monkeypatch):
    monkeypatch.chdir(store_folder.parent)
    lines = [line for command in (push, pull) for line, _ in command.examples]
    assert len(lines) == 4
    for line in lines:
        answer = run(*line.split()[1:])
        assert (answer.status, answer.err) == (0, "")


@pytest.mark.parametrize("when", ["before", "listed", "noted", "looked"])
def test_a_store_may_be_pushed_while_somebody_prunes(place, tmp_path, monkeypatch, when):
    """An object that was old and unneeded is needed again, just as it is about to be removed."""
    with CheckpointStore(tmp_path / "run.ckpt", "a") as store:
        store.save(small(0))
        store.save(small(1))
    ann_ckpt.push(f"{tmp_path}/run.ckpt@0", place)
    ann_ckpt.push(tmp_path / "run.ckpt", place)
    monkeypatch.setattr(mirror, "_POLL", 0.01)
    monkeypatch.setattr(mirror, "_FRESH", timedelta(days=-1))
    sent, at_the_end, looks = set(), threading.Event(), itertools.count()
    put, others, objects = mirror.put, mirror.being_removed, bucket_folder.BucketFolder._objects
    listed = bucket_folder.stored_below
    old = timedelta(days=3)

    def sending(address, path):
        put(address, path)
        sent.add(address.name.removesuffix(".h5"))

    def at_last(*args):
        found = others(*args)
        at_the_end.set()
        return found

    def aged(folder):
        """Notes of what was pruned are old."""
        age = old if folder.key.endswith("pruned") else timedelta(0)
        return [one._replace(modified=one.modified - age) for one in listed(folder)]

    def looking(folder):
        """What was not sent just now is old; called before and after it is noted what will go."""
        look = next(looks)
        if (when, look) == ("noted", 1):
            begin()
        found = {n: (size, at - old * (n not in sent)) for n, (size, at) in objects(folder).items()}
        if (when, look) in (("listed", 0), ("looked", 1)):
            begin()
        return found

    pushing = threading.Thread(target=ann_ckpt.push, args=(tmp_path / "run.ckpt", place))

    def begin() -> None:
        pushing.start()
        assert at_the_end.wait(60)

    with CheckpointStore(place, "prune") as pruner:
        pruner.prune(keep_last=1)
        monkeypatch.setattr(mirror, "put", sending)
        monkeypatch.setattr(mirror, "being_removed", at_last)
        monkeypatch.setattr(bucket_folder, "stored_below", aged)
        monkeypatch.setattr(bucket_folder.BucketFolder, "_objects", looking)
        if when == "before":
            begin()
        assert pruner.gc().objects == (when != "before")
    pushing.join(60)
    assert not pushing.is_alive()
    assert [info.time_step for info in CheckpointStore(place).checkpoints] == [0, 1]
    assert ann_ckpt.verify(place).ok
    assert not list(ann_ckpt.differences(ann_ckpt.read(f"{place}@0"), small(0)))
