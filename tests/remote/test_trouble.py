"""A server that fails, stalls, truncates or changes the object: an error, never a wrong value."""

from __future__ import annotations

import os
import time

import numpy as np
import pytest

import ann_ckpt
from ann_ckpt.errors import (
    ChangedFileError,
    CheckpointError,
    CorruptFileError,
    FileMissingError,
    NotReadableError,
    UnknownFormatError,
)
from tests.remote import server as servers
from tests.remote.conftest import network

WEIGHTS = "projections/ff/variables/w"
TROUBLES = {
    servers.failing: (NotReadableError, "the server does not give the object"),
    servers.denying: (NotReadableError, "denies access"),
    servers.gone: (FileMissingError, "the object"),
    servers.stalling: (NotReadableError, "does not answer in time"),
    servers.truncating: (NotReadableError, "the server does not give the object"),
    servers.ignoring: (NotReadableError, "ranges of bytes"),
    servers.shifting: (NotReadableError, "the server"),
    servers.shortening: (NotReadableError, "the server"),
}


@pytest.mark.parametrize("trouble", TROUBLES, ids=lambda trouble: trouble.__name__)
def test_trouble_from_the_beginning(server, trouble):
    server.trouble = trouble
    kind, words = TROUBLES[trouble]
    with pytest.raises(kind, match=words) as caught, ann_ckpt.open(f"{server.url}/net.h5") as checkpoint:
        list(checkpoint.populations)
    assert server.url in str(caught.value)


@pytest.mark.parametrize("trouble", TROUBLES, ids=lambda trouble: trouble.__name__)
def test_trouble_with_values(server, trouble):
    kind, words = TROUBLES[trouble]
    with ann_ckpt.open(f"{server.url}/net.h5") as checkpoint:
        array = checkpoint.arrays[WEIGHTS]
        array[:10]
        server.trouble = trouble
        with pytest.raises(kind, match=words):
            np.asarray(array)
        server.trouble = None  # and nothing of it is kept, once the requests beside the first have failed too
        while checkpoint._reader._file.file._flying:
            time.sleep(0.01)
        assert np.asarray(array).tobytes() == network().projections["ff"].variables["w"].values.tobytes()


@pytest.mark.parametrize("trouble", TROUBLES, ids=lambda trouble: trouble.__name__)
def test_trouble_at_any_request(server, trouble):
    """Whatever HDF5 or anybody else was asking for just then, the word is about the server."""
    kind, words = TROUBLES[trouble]
    for number in range(0, 100, 4 if trouble is servers.stalling else 1):
        count = -1

        def one(*asked, number=number):
            nonlocal count
            count += 1
            return count >= number and trouble(*asked)

        server.trouble = one
        try:
            ann_ckpt.read(f"{server.url}/small.h5")
        except kind as error:
            assert words in error.fact  # noqa: PT017
        else:
            assert count < number
            break
    else:
        raise AssertionError


def test_without_credentials_that_is_said(server, monkeypatch):
    """obstore asks the machine for its role then, here a server that has none to give."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_METADATA_ENDPOINT", server.url)
    server.trouble = servers.denying
    with pytest.raises(NotReadableError, match="no credentials for s3://") as caught:
        ann_ckpt.open("s3://bucket/net.h5")
    assert "credentials come from the environment" in str(caught.value)


@pytest.fixture(autouse=True)
def small(folder):
    """A file that is larger than what opening brings."""
    state = network()
    populations = list(state.populations.values())
    rng = np.random.default_rng(0)
    path = folder / "small.h5"
    if not path.exists():
        more = [
            ann_ckpt.PopulationState(f"p{n}", (9000,), variables={"v": rng.standard_normal(9000)})
            for n in range(6)
        ]
        ann_ckpt.write(ann_ckpt.NetworkState(populations=[*populations, *more], time_step=1), path)
    return path


def test_wrong_bytes_are_noticed(server):
    with ann_ckpt.open(f"{server.url}/net.h5") as checkpoint:
        array = checkpoint.arrays[WEIGHTS]
        array[:10]
        server.trouble = servers.flipping
        with pytest.raises(CorruptFileError):
            np.asarray(array)
        with pytest.raises(CorruptFileError):
            array[500_000:500_010]


@pytest.mark.parametrize("tags", ["entity tags", "weak entity tags", "no entity tags"])
def test_an_object_that_changes_in_between(server, folder, tags):
    server.tagged, server.weak = tagged, weak = tags != "no entity tags", tags == "weak entity tags"
    path = folder / "changing.h5"
    ann_ckpt.write(network(), path)
    with ann_ckpt.open(f"{server.url}/changing.h5") as checkpoint:
        array = checkpoint.arrays[WEIGHTS]
        array[:10]
        first, *others = server.asked
        assert first.match is None
        assert others
        assert all((one.match is not None) == (tagged and not weak) for one in others)
        ann_ckpt.write(network(5), path)
        # Without tags, one of the same size is told by its digests only.
        with pytest.raises(ChangedFileError if tagged else (ChangedFileError, CorruptFileError)):
            np.asarray(array)
        with pytest.raises((ChangedFileError, CorruptFileError)):
            ann_ckpt.Checkpoint.state(checkpoint)
        path.unlink()
        with pytest.raises(FileMissingError, match="removed while it was open"):
            np.asarray(array)


def test_a_failure_that_passes_is_not_noticed(server):
    failures = 1

    def once(*asked):
        nonlocal failures
        failures -= 1
        return failures >= 0 and servers.failing(*asked)

    server.trouble = once
    with ann_ckpt.open(f"{server.url}/net.h5") as checkpoint:
        assert checkpoint.time_step == 1000


@pytest.mark.parametrize(("place", "count"), [((0, 10), 9), ((8, 18), 10), ((0, 9), 9)])
def test_whatever_the_library_hands_out_is_held_against_what_was_asked(server, monkeypatch, place, count):
    class Answer:
        meta = {"size": 10, "e_tag": None, "version": None, "last_modified": 0}  # noqa: RUF012
        range = place

        def bytes(self) -> bytes:
            return b"x" * count

    monkeypatch.setattr("obstore.get", lambda *_, **__: Answer())
    with pytest.raises(NotReadableError, match="other bytes than it was asked for"):
        ann_ckpt.open(f"{server.url}/net.h5")


def test_nobody_listens(server):
    with pytest.raises(NotReadableError, match="the server does not give the object"):
        ann_ckpt.open("http://127.0.0.1:9/net.h5")


def test_what_is_no_checkpoint_is_said_to_be_none(server, folder):
    (folder / "text.h5").write_bytes(b"hello" * 50_000)
    (folder / "empty.h5").write_bytes(b"")
    with pytest.raises(UnknownFormatError, match="not an HDF5 file"):
        ann_ckpt.open(f"{server.url}/text.h5")
    with pytest.raises(CheckpointError):
        ann_ckpt.open(f"{server.url}/empty.h5")


def test_a_file_that_is_cut_is_said_to_be(server, folder):
    (folder / "cut.h5").write_bytes((folder / "net.h5").read_bytes()[:-2_000_000])
    with pytest.raises(CorruptFileError, match="truncated"):
        ann_ckpt.open(f"{server.url}/cut.h5")


def test_a_bucket_says_what_is_missing(bucket, monkeypatch):
    with pytest.raises(FileMissingError):
        ann_ckpt.open(f"{bucket}/missing.h5")
    with pytest.raises((FileMissingError, NotReadableError)):
        ann_ckpt.open("s3://nobodys/net.h5")
