"""A store in a temporary folder, and processes that use it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from ann_ckpt import CheckpointStore
from ann_ckpt.store.saving import forked
from tests.store.zygote import Zygote


@pytest.fixture(autouse=True)
def own_threads_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """Other tests may have left threads behind, such as servers, which would keep these from forking.

    Threads that a test starts count, and so do threads that Python did not start.
    """
    real, before = forked.others_at_work, threading.enumerate()

    def own() -> list[str]:
        left = {thread.name for thread in before if thread.is_alive()}
        return [name for name in real() if name not in left]

    monkeypatch.setattr(forked, "others_at_work", own)


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
