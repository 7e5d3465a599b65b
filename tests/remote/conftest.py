"""A network in a file and in a store, behind a web server and behind a real S3 server, both on loopback."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from datetime import timedelta

import numpy as np
import pytest

import ann_ckpt
from ann_ckpt import Connectivity, NetworkState, PopulationState, ProjectionState, remote
from tests.acceptance.conftest import run
from tests.remote.server import Server

__all__ = ["run"]

SIDE, SYNAPSES = 1000, 1050


def network(seed: int = 0, *, time_step: int = 1000) -> NetworkState:
    """Two populations, and a projection whose weights are a little over 8 MB of noise."""
    random = np.random.default_rng(seed)
    ranks = np.concatenate([np.sort(random.permutation(2 * SIDE)[:SYNAPSES]) for _ in range(SIDE)])
    synapses = Connectivity(
        np.arange(SIDE, dtype=np.int32),
        np.arange(SIDE + 1, dtype=np.int64) * SYNAPSES,
        ranks.astype(np.int32),
    )
    populations = [
        PopulationState(
            name, (size,), parameters={"tau": 10.0 + size}, variables={"v": random.standard_normal(size)}
        )
        for name, size in (("in", 2 * SIDE), ("out", SIDE))
    ]
    projection = ProjectionState(
        "ff",
        "in",
        "out",
        "exc",
        synapses,
        parameters={"eta": 0.25},
        variables={"w": random.standard_normal(SIDE * SYNAPSES), "alpha": random.standard_normal(SIDE)},
        delays=2,
        pre_size=2 * SIDE,
        post_size=SIDE,
    )
    return NetworkState(
        populations=populations,
        projections=[projection],
        constants={"g": 0.5},
        time_step=time_step,
        dt=0.1,
        metadata={"who": "me"},
    )


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    """A file, and a store of three checkpoints."""
    path = tmp_path_factory.mktemp("served")
    ann_ckpt.write(network(), path / "net.h5")
    with ann_ckpt.CheckpointStore(path / "run.ckpt", "a") as store:
        store.save(network(), tag="first")
        store.save(network(1, time_step=2000), tag="second")
        store.save(network(1, time_step=3000))
    return path


@pytest.fixture(scope="session")
def served(folder):
    server = Server(folder)
    yield server
    server.stop()


@pytest.fixture
def server(served, monkeypatch):
    """The web server, in order, with patience for fractions of a second."""
    monkeypatch.setattr(remote, "_CLIENT", {"connect_timeout": "2s", "read_timeout": "1s", "timeout": "5s"})
    monkeypatch.setattr(
        remote,
        "_RETRY",
        {
            "max_retries": 1,
            "retry_timeout": timedelta(seconds=5),
            "backoff": {
                "init_backoff": timedelta(milliseconds=1),
                "max_backoff": timedelta(milliseconds=2),
                "base": 2,
            },
        },
    )
    remote._store.cache_clear()
    served.trouble, served.tagged, served.most_at_once = None, True, 0
    served.spent()
    yield served
    served.trouble = None
    remote._store.cache_clear()


@pytest.fixture(scope="session")
def s3(folder):
    """Settings under which the environment leads to the folder in a bucket of a real S3 server."""
    import boto3
    from moto.server import ThreadedMotoServer

    s3_server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    s3_server.start()
    host, port = s3_server.get_host_and_port()
    settings = {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_ALLOW_HTTP": "true",
        "AWS_ACCESS_KEY_ID": "somebody",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_REGION": "us-east-1",
    }
    client = boto3.client(
        "s3",
        endpoint_url=settings["AWS_ENDPOINT_URL"],
        aws_access_key_id="somebody",
        aws_secret_access_key="secret",
        region_name="us-east-1",
    )
    client.create_bucket(Bucket="bucket")
    for path in folder.rglob("*"):
        if path.is_file():
            client.upload_file(str(path), "bucket", f"some where/{path.relative_to(folder)}")
    yield settings
    s3_server.stop()


@pytest.fixture
def bucket(s3, monkeypatch):
    for name, value in s3.items():
        monkeypatch.setenv(name, value)
    return "s3://bucket/some where"


@pytest.fixture(scope="session")
def localbucket_url(tmp_path_factory):
    """A small S3 server, in a process of its own."""
    folder = tmp_path_factory.mktemp("localbucket")
    (folder / "bucket").mkdir()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen(
        [sys.executable, "-m", "localbucket", "--port", str(port), str(folder)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        for _ in range(600):
            with socket.socket() as there:
                if there.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.1)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()


@pytest.fixture
def localbucket(localbucket_url, monkeypatch):
    """A bucket of LocalBucket, which removes objects one by one only."""
    settings = {
        "AWS_ENDPOINT_URL": localbucket_url,
        "AWS_ALLOW_HTTP": "true",
        "AWS_ACCESS_KEY_ID": "somebody",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_REGION": "here",
        "AWS_DISABLE_BULK_DELETE": "true",
    }
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    return "s3://bucket"
