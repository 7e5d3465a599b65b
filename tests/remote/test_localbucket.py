"""Stores behind ``s3://`` on another server than moto's: LocalBucket, which removes objects one by one."""

from __future__ import annotations

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


@pytest.fixture
def base(localbucket: str, tmp_path: Path) -> str:
    return f"{localbucket}/{tmp_path.name}"
