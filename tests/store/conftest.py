"""Stores for tests: in a temporary folder, with blocks small enough for small networks."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ann_ckpt import CheckpointStore
from tests.store.tiny import tiny_blocks


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every array of more than 64 bytes be shared, in blocks of a few values."""
    tiny_blocks(monkeypatch)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "run.ckpt"


@pytest.fixture
def store(path: Path) -> Iterator[CheckpointStore]:
    with CheckpointStore(path, "a") as opened:
        yield opened
