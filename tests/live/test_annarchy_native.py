"""Files that the installed ANNarchy writes by itself, loaded into the network that wrote them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.live.conftest import Run


@pytest.mark.parametrize("name", ["net.npz", "net.data", "net.txt.gz"])
def test_every_attribute_comes_back(run: Run, tmp_path: Path, name: str) -> None:
    """But for the constants, which no such file holds."""
    answer = run("native", network="rate", path=str(tmp_path / name))
    assert answer["differences"] == ["constants/gain"]
    assert answer["rebuilt"] == []
    assert "constants" in {note["path"] for note in answer["notes"]}


def test_ragged_delays_come_back(run: Run, tmp_path: Path) -> None:
    """ANNarchy itself cannot load this file again."""
    assert run("native", network="delays", path=str(tmp_path / "net.data"))["differences"] == []
