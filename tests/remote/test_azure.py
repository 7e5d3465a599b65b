"""Stores behind ``az://`` on Azurite, Microsoft's server for tests: as with S3."""

from __future__ import annotations

import base64
import hashlib
import hmac
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from email.utils import formatdate
from pathlib import Path

import pytest

from tests.remote.any_bucket import (
    test_a_store_goes_there_and_back,
    test_one_of_two_writers_is_told,
    test_processes_save_one_checkpoint,
    test_what_is_saved_is_read_listed_verified_and_pruned,
)

__all__ = [
    "test_a_store_goes_there_and_back",
    "test_one_of_two_writers_is_told",
    "test_processes_save_one_checkpoint",
    "test_what_is_saved_is_read_listed_verified_and_pruned",
]

pytestmark = pytest.mark.azurite

VERSION = "3.35.0"
ACCOUNT = "devstoreaccount1"
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
"""Everybody's: it stands in Azurite's documentation."""
CONTAINER = "box"


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
