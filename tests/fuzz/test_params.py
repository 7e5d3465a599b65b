"""Parameter files damaged at random, and texts that grow: findings, never an exception, never a hang."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.fuzz.params_shapes import SHAPES

ROOT = Path(__file__).parents[2]
PROBE = (sys.executable, "-W", "error", "-m", "tests.fuzz.params_probe")
MUTANTS, MANY = 2000, 25_000
"""Mutants in one round, alone and with more rounds: 20 rounds make 500,000."""


def probe(*arguments: str) -> Any:
    done = subprocess.run(
        [*PROBE, *arguments],
        cwd=ROOT,
        env=os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{arguments}: {done.stderr[-3000:]}"
    return json.loads(done.stdout)


@pytest.mark.fuzz
def test_mutants_are_findings(rounds: int) -> None:
    count = MUTANTS if rounds == 1 else MANY
    outcomes: dict[str, int] = {}
    for number in range(rounds):
        for rule, found in probe("mutants", str(number * count), str(count)).items():
            outcomes[rule] = outcomes.get(rule, 0) + found
    # Mutants that are all unreadable, or all clean, would show nothing.
    assert {"clean", "P001", "P002", "P101", "P104"} <= outcomes.keys()
    assert sum(outcomes.values()) == rounds * count


def test_there_are_sixty_shapes() -> None:
    assert len(SHAPES) >= 60


@pytest.mark.fuzz
def test_a_text_that_grows_is_checked_in_the_time_of_its_length(rounds: int) -> None:
    """Time with the square of the length would be hours here; the process may take some minutes."""
    if rounds == 1:
        probe("shapes", "16000", *SHAPES)
        return
    for name in SHAPES:
        probe("shapes", "1024000", name)
