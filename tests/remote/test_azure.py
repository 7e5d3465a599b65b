"""Stores behind ``az://`` on Azurite, Microsoft's server for tests: as with S3."""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from email.utils import formatdate
from pathlib import Path

import numpy as np
import pytest

import ann_ckpt
from ann_ckpt import CheckpointStore, NetworkState, PopulationState, differences

pytestmark = pytest.mark.azurite

VERSION = "3.35.0"
ACCOUNT = "devstoreaccount1"
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
"""Everybody's: it stands in Azurite's documentation."""
CONTAINER = "box"

HOLDS = """
import sys
from ann_ckpt import CheckpointStore
store = CheckpointStore(sys.argv[1], "a")
print("holds", flush=True)
sys.stdin.readline()
"""


def make_container(port: int) -> None:
    """Make it by Azure's own request, which obstore does not have."""
    kind = "application/octet-stream"
    headers = {"x-ms-date": formatdate(usegmt=True), "x-ms-version": "2021-08-06"}
    listed = "".join(f"{name}:{value}\n" for name, value in sorted(headers.items()))
    text = (
        "PUT" + 5 * "\n" + kind + 7 * "\n" + listed + f"/{ACCOUNT}/{ACCOUNT}/{CONTAINER}\nrestype:container"
    )
    digest = hmac.new(base64.b64decode(KEY), text.encode(), hashlib.sha256).digest()
    headers |= {"Content-Type": kind}
    headers["Authorization"] = f"SharedKey {ACCOUNT}:{base64.b64encode(digest).decode()}"
    url = f"http://127.0.0.1:{port}/{ACCOUNT}/{CONTAINER}?restype=container"
    with urllib.request.urlopen(urllib.request.Request(url, b"", headers, method="PUT")) as answer:
        assert answer.status == 201


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """Azurite on loopback, with an empty container."""
    folder = tmp_path_factory.mktemp("azurite")
    npm = f"npm install --no-audit --no-fund --no-update-notifier azurite@{VERSION}"
    done = subprocess.run(npm.split(), cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        number = free.getsockname()[1]
    server = subprocess.Popen(
        [
            *("node_modules/.bin/azurite-blob", "--silent", "--skipApiVersionCheck", "--disableTelemetry"),
            *("--location", "data", "--blobPort", str(number)),
        ],
        cwd=folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        for _ in range(600):
            with socket.socket() as there:
                if there.connect_ex(("127.0.0.1", number)) == 0:
                    break
            time.sleep(0.1)
        make_container(number)
        yield number
    finally:
        server.terminate()
        server.wait()


@pytest.fixture
def base(port: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    monkeypatch.setenv("AZURE_STORAGE_USE_EMULATOR", "true")
    monkeypatch.setenv("AZURITE_BLOB_STORAGE_URL", f"http://127.0.0.1:{port}")
    return f"az://{CONTAINER}/{tmp_path.name}"


def state(step: int) -> NetworkState:
    values = np.random.default_rng(step).random(100_000)
    same = np.arange(100_000.0)
    layer = PopulationState("layer", (100_000,), parameters={"tau": same}, variables={"v": values})
    return NetworkState(populations={"layer": layer}, time_step=step, dt=1.0)


def same(path: str, expected: NetworkState) -> bool:
    with ann_ckpt.open(path) as checkpoint:
        return not list(differences(checkpoint.state(), expected))


def test_what_is_saved_is_read_listed_verified_and_pruned(base):
    with CheckpointStore(f"{base}/run.ckpt", "a") as store:
        reports = [store.save(state(step), tag="first" if step == 1 else None) for step in (1, 2, 3)]
        assert len(reports[2].new) < len(reports[0].new)
    with CheckpointStore(f"{base}/run.ckpt", "a") as store:
        assert [info.time_step for info in store.checkpoints] == [1, 2, 3]
        assert store.verify().ok
        store.prune(keep_last=1)
        assert [info.time_step for info in store.checkpoints] == [1, 3]
    assert same(f"{base}/run.ckpt@first", state(1))
    assert same(f"{base}/run.ckpt", state(3))


def test_one_of_two_writers_is_told(base):
    other = subprocess.Popen(
        [sys.executable, "-c", HOLDS, f"{base}/run.ckpt"],
        env=os.environ,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert other.stdout.readline() == "holds\n"
        with pytest.raises(ann_ckpt.errors.LockedError):
            CheckpointStore(f"{base}/run.ckpt", "a")
    finally:
        other.communicate("\n")
    with CheckpointStore(f"{base}/run.ckpt", "a") as store:
        store.save(state(1))
    assert same(f"{base}/run.ckpt", state(1))


def test_processes_save_one_checkpoint(base):
    whole = state(4)
    stores = [CheckpointStore(f"{base}/job.ckpt", "a", rank=rank, ranks=2) for rank in (0, 1)]
    try:
        for rank, store in enumerate(stores):
            store.save(whole.part(rank, 2))
    finally:
        for store in stores:
            store.close()
    assert same(f"{base}/job.ckpt", whole)


def test_a_store_goes_there_and_back(base, tmp_path):
    with CheckpointStore(tmp_path / "run.ckpt", "a") as store:
        for step in (1, 2):
            store.save(state(step))
    ann_ckpt.push(tmp_path / "run.ckpt", f"{base}/copy.ckpt")
    ann_ckpt.pull(f"{base}/copy.ckpt", tmp_path / "back.ckpt")
    assert same(str(tmp_path / "back.ckpt"), state(2))
    assert ann_ckpt.verify(tmp_path / "back.ckpt").ok
