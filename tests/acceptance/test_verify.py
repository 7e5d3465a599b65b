"""verify finds damage, names it, and says so in the exit status."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

from tests.acceptance.conftest import Run


def flip_a_byte_of(path: Path, dataset: str) -> None:
    """Damage the stored bytes of one dataset, in the middle."""
    raw = bytearray(path.read_bytes())
    with h5py.File(path) as file:
        stored = file[dataset]
        if stored.chunks:
            chunk = stored.id.get_chunk_info(0)
            place = chunk.byte_offset + chunk.size // 2
        else:
            place = raw.index(stored[()].tobytes()) + stored.nbytes // 2
    raw[place] ^= 0x10
    path.write_bytes(raw)


def test_an_intact_file_is_intact(run: Run, demo_file: Path) -> None:
    answer = run("verify", demo_file)
    assert answer.status == 0
    assert "intact" in answer.out
    assert answer.err == ""


@pytest.mark.parametrize(
    "dataset",
    ["projections/forward/variables/w", "populations/layer/variables/r", "projections/lateral/pre_ranks"],
)
def test_damage_is_named(run: Run, demo_file: Path, dataset: str) -> None:
    flip_a_byte_of(demo_file, dataset)
    answer = run("verify", demo_file)
    assert answer.status == 5
    assert dataset in answer.out
    (document,) = run("verify", demo_file, "--json").json
    assert document["ok"] is False
    assert [note["path"] for note in document["damaged"]] == [dataset]


def test_every_file_is_checked_and_the_worst_status_is_returned(
    run: Run, demo_file: Path, tmp_path: Path
) -> None:
    text = tmp_path / "text.h5"
    text.write_text("not HDF5 at all, but long enough to hold a superblock" * 20)
    answer = run("verify", text, demo_file, tmp_path / "absent.h5")
    assert answer.status >= 4
    assert "intact" in answer.out
    assert answer.err.count("error[") == 2
    documents = run("verify", text, demo_file, "--json").json
    assert [d["ok"] for d in documents] == [False, True]
    assert documents[0]["error"] == "unrecognised-file"


def test_values_swapped_with_plain_hdf5_are_found(run: Run, demo_file: Path) -> None:
    with h5py.File(demo_file, "r+") as file:
        file["populations/layer/variables/r"][0, 0] = np.pi
    answer = run("verify", demo_file)
    assert answer.status == 5
    assert "populations/layer/variables/r" in answer.out


def test_the_progress_bar_shows_on_a_terminal_only(demo_file: Path) -> None:
    command = [sys.executable, "-c", "from ann_ckpt.cli import main; main()", "verify", str(demo_file)]
    piped = subprocess.run(command, capture_output=True, text=True, check=True)
    assert piped.stderr == ""
    controller, terminal = pty.openpty()
    environment = os.environ | {"TERM": "xterm"}
    subprocess.run(command, stdout=subprocess.PIPE, stderr=terminal, env=environment, check=True)
    os.close(terminal)
    assert b"verifying" in os.read(controller, 1 << 16)
    os.close(controller)


def test_damage_that_is_at_no_array_is_said_without_a_path(run: Run, demo_file: Path) -> None:
    with demo_file.open("rb+") as file:
        file.truncate(demo_file.stat().st_size - 1)
    answer = run("verify", demo_file)
    assert answer.status == 5
    assert answer.out.splitlines()[1].startswith("  the trailer")
