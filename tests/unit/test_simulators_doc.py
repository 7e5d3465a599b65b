"""The simulator that docs/simulators.md shows is one, and so is the way it is tested."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from ann_ckpt.adapters.protocol import Simulator
from ann_ckpt.adapters.simulators import SIMULATORS
from ann_ckpt.testing import SimulatorSuite

BLOCKS = re.findall(
    r"^```python\n(.*?)^```$",
    (Path(__file__).parents[2] / "docs" / "simulators.md").read_text(),
    re.MULTILINE | re.DOTALL,
)


def run(*blocks: str) -> dict[str, Any]:
    names: dict[str, Any] = {}
    for block in blocks:
        exec(block, names)
    return names


@pytest.fixture(scope="module")
def simulator() -> Simulator:
    made = run(BLOCKS[0])["Ring"]()
    made.simulate(3)
    return made


class TestRing(SimulatorSuite):
    """The suite, on the text."""


def test_it_is_saved_and_loaded_as_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    run(*BLOCKS[:2])
    assert (tmp_path / "ring.h5").exists()


def test_it_is_registered_and_tested_as_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SIMULATORS, "_adapters", {})
    names = run(BLOCKS[0], *BLOCKS[2:])
    assert SIMULATORS.names == ("Ring",)
    assert issubclass(names["TestRing"], SimulatorSuite)
