"""Saved in one process, loaded in another, continued: not one bit differs, whatever the network carries."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import ann_ckpt
from ann_ckpt import Exactness
from tests.live.conftest import Run, once

NETWORKS = ("rate", "spike", "growing", "threads")


@dataclass(frozen=True)
class Run_:
    """Files on the way, and what the calls reported."""

    saved: Path
    ended: Path
    """The uninterrupted network, some steps later."""
    loaded: Path
    """Another network right after loading ``saved``."""
    resumed: Path
    """That one, as many steps later."""
    loading: dict[str, Any]


@pytest.fixture(scope="session")
def journey(run: Run, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Run_]:
    def of(network: str) -> Run_:
        folder = tmp_path_factory.mktemp(f"exact-{network}")
        saved, ended, loaded, resumed = (folder / f"{n}.h5" for n in ("saved", "ended", "loaded", "resumed"))
        run("exact_jobs.record", network=network, saved=str(saved), ended=str(ended))
        loading = run(
            "exact_jobs.resume", network=network, saved=str(saved), loaded=str(loaded), ended=str(resumed)
        )
        return Run_(saved, ended, loaded, resumed, loading)

    return once(of)


def differences(a: Path, b: Path) -> list[str]:
    """Where two files differ, but for the seeds with which two networks were built."""
    return [path for path in ann_ckpt.differences(ann_ckpt.read(a), ann_ckpt.read(b)) if path != "seed"]


@pytest.mark.parametrize("network", NETWORKS)
def test_all_that_is_carried_arrives(journey: Callable[[str], Run_], network: str) -> None:
    way = journey(network)
    assert differences(way.saved, way.loaded) == []
    assert differences(way.saved, way.ended) != []


@pytest.mark.parametrize("network", NETWORKS)
def test_it_continues_without_a_difference(journey: Callable[[str], Run_], network: str) -> None:
    way = journey(network)
    assert differences(way.ended, way.resumed) == []
