"""^C anywhere in a save: nothing waits for ever, no lock stays, and the next save is whole."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.store.interrupting import LONGEST

ROOT = Path(__file__).parents[2]


@pytest.mark.torture
@pytest.mark.parametrize("way", ["caller", "copy", "fork"])
def test_a_save_may_be_interrupted_at_any_line(tmp_path: Path, rounds: int, way: str) -> None:
    times = 24 if rounds == 1 else 200 * rounds
    ended = subprocess.run(
        [sys.executable, "-m", "tests.store.interrupting", str(tmp_path / "run.ckpt"), way, str(times)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=LONGEST * times,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    stops, lines = map(int, ended.stdout.split())
    assert stops == min(times, lines)
    assert not list((tmp_path / "run.ckpt").glob("lock*"))
