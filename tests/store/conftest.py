"""A store in a temporary folder, and processes that use it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ann_ckpt import CheckpointStore
from tests.store.zygote import Zygote


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "run.ckpt"


@pytest.fixture
def store(path: Path) -> Iterator[CheckpointStore]:
    with CheckpointStore(path, "a") as opened:
        yield opened


@pytest.fixture
def zygote() -> Iterator[Zygote]:
    made = Zygote()
    yield made
    made.close()
