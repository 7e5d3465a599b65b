"""Every hostile sample is refused in the right class, does nothing, and takes little."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from ann_ckpt.adapters.legacy import read
from tests.malformed.legacy_containers import SAMPLES

ROOT = Path(__file__).parents[2]
NAMES = list(SAMPLES)
MEMORY_MIB = 150
"""What reading one sample may take; the largest is 2 MB, the bombs promise hundreds."""


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """What became of each sample, by name; each was read in a process of its own."""
    folder = tmp_path_factory.mktemp("hostile")
    for index, (_, make) in enumerate(SAMPLES.values()):
        (folder / f"{index:03}.bin").write_bytes(make())
    done = subprocess.run(
        [sys.executable, "-m", "tests.malformed.legacy_probe", str(folder)],
        cwd=ROOT,
        env=os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
        capture_output=True,
        check=True,
    )
    found = json.loads(done.stdout)
    return {name: found[f"{index:03}.bin"] for index, name in enumerate(NAMES)}


@pytest.mark.parametrize("name", NAMES)
def test_sample_is_refused(name: str, outcomes: dict[str, dict[str, Any]]) -> None:
    found = outcomes[name]
    assert SAMPLES[name][0].__name__ in found["classes"], found["text"]
    assert "where:" in found["text"]
    assert found["text"].isprintable() or "\n" in found["text"]
    assert found["left behind"] == []
    assert found["mib"] < MEMORY_MIB


def test_a_sample_that_runs_would_be_noticed(tmp_path: Path) -> None:
    """The samples do what they say: Python's own reader falls for one of them."""
    path = tmp_path / "x.bin"
    path.write_bytes(SAMPLES["calls system of posix"][1]())
    code = "import pickle, sys; pickle.load(open(sys.argv[1], 'rb'))"
    subprocess.run([sys.executable, "-c", code, str(path)], cwd=tmp_path, check=True)
    assert (tmp_path / "ran").exists()


def test_control_characters_do_not_reach_the_terminal(tmp_path: Path) -> None:
    path = tmp_path / "x.bin"
    path.write_bytes(b"\x80\x04c\x1b]0;title\x07\nname\x1b[2J\n.")
    with pytest.raises(ValueError, match="refers to") as caught:
        read(path)
    assert "\x1b" not in str(caught.value)
    assert "\x07" not in str(caught.value)
