"""Stores behind ``gs://`` on fake-gcs-server: as with S3."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.remote.any_bucket import (
    test_a_store_goes_there_and_back,
    test_one_of_two_writers_is_told,
    test_processes_save_one_checkpoint,
    test_what_is_saved_is_read_listed_verified_and_pruned,
)
from tests.remote.google import google_server

__all__ = [
    "test_a_store_goes_there_and_back",
    "test_one_of_two_writers_is_told",
    "test_processes_save_one_checkpoint",
    "test_what_is_saved_is_read_listed_verified_and_pruned",
]


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with google_server("bucket") as url:
        yield url


@pytest.fixture
def base(server: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    account = {"gcs_base_url": server, "disable_oauth": True}
    account |= dict.fromkeys(("client_email", "private_key", "private_key_id"), "")
    monkeypatch.setenv("GOOGLE_SERVICE_ACCOUNT_KEY", json.dumps(account))
    monkeypatch.setenv("GOOGLE_ALLOW_HTTP", "true")
    return f"gs://bucket/{tmp_path.name}"
