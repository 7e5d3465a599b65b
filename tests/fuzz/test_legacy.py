"""Mutants of genuine files: nothing but our two errors comes out, and nothing hangs or dies."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MUTANTS = 1000
PROBE = (sys.executable, "-W", "error", "-m", "tests.fuzz.legacy_probe")


@pytest.mark.fuzz
def test_mutants_are_read_or_refused(tmp_path: Path, rounds: int) -> None:
    outcomes: dict[str, int] = {}
    for round_ in range(rounds):
        done = subprocess.run(
            [*PROBE, str(round_ * MUTANTS), str(MUTANTS), str(tmp_path)],
            cwd=ROOT,
            env=os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"mutant {last(tmp_path)} killed its reader: {done.stderr}"
        found = json.loads(done.stdout)
        assert found["bad"] == []
        for name, count in found["outcomes"].items():
            outcomes[name] = outcomes.get(name, 0) + count
    # Mutants that are all refused at once, or all read, would show nothing.
    assert min(outcomes["read"], outcomes["CorruptFileError"], outcomes["UnsafeFileError"]) > MUTANTS // 100


def last(folder: Path) -> str:
    """The mutant that was being read last."""
    current = folder / "current"
    return current.read_text() if current.exists() else "none"
