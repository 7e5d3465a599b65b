"""``verify-resume`` on real models: one that resumes exactly, and one that cannot."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import ann_ckpt
from tests.live import exact_model

COMMAND = Path(sys.executable).with_name("ann-ckpt")
SCRIPT = Path(exact_model.__file__)
MINUTES = 60


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return where the model is compiled: once, for the command and for the call."""
    return tmp_path_factory.mktemp("verify")


def verify(model: str, *more: str) -> subprocess.CompletedProcess[str]:
    """Run the command in a shell that knows nothing of this environment's tools."""
    return subprocess.run(
        [COMMAND, "verify-resume", model, "--at", "100ms", "--for", "50ms", *more],
        env={**os.environ, "PATH": os.defpath, "PYTHONPATH": os.fspath(Path(__file__).parents[2])},
        capture_output=True,
        text=True,
        timeout=60 * MINUTES,
        check=False,
    )


def test_an_instrumented_model_is_exact(folder: Path) -> None:
    done = verify(f"{SCRIPT}:build", "--directory", str(folder))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "exact, " in done.stdout
    assert "the same bit for bit" in done.stdout
    saved = ann_ckpt.read(folder / "saved.h5")
    assert saved.time_step == 100
    ring = saved.projections["ring"].dynamics
    assert ring["_delayed_spikes"].size, "nothing was on its way, so that the run showed little"
    recorded = ann_ckpt.read(folder / "resumed.h5").recordings["cells"]
    assert len(recorded["v"]) == 150
    assert len(recorded["spike"])


def test_the_call_says_the_same(folder: Path) -> None:
    report = ann_ckpt.verify_resume(exact_model.build, at=100.0, duration=50.0, directory=folder)
    assert report.ok
    assert report.differing == report.unsteady == report.notes == ()
    arrays = ann_ckpt.read(folder / "resumed.h5")
    assert report.compared > len(arrays.projections["ring"].dynamics)


def test_what_cannot_be_exact_is_named_with_its_size() -> None:
    done = verify(f"{SCRIPT}:plain", "--json")
    assert done.returncode == 1, done.stdout + done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    assert not found["ok"]
    assert found["unsteady"] == []
    first = found["differing"][0]
    assert first["path"] == "populations/two/variables/v"
    assert "the largest difference is" in first["text"]
    said = {note["path"]: note["text"] for note in found["notes"]}
    assert "the spikes on their way" in said["projections/ring"]
    assert said["recordings"].startswith("not compared: ")


def test_a_save_inside_a_call_from_a_pruned_copy_in_two_processes(folder: Path) -> None:
    report = ann_ckpt.verify_resume(
        exact_model.build,
        at=2,
        duration=2,
        run="trial",
        inside=30.0,
        copy="pruned",
        restarts=2,
        directory=folder,
    )
    assert report.ok, report
    steps = [ann_ckpt.read(folder / f"{name}.h5").time_step for name in ("saved", "restart-1", "resumed")]
    assert steps == [100, 105, 140]


@pytest.mark.parametrize("copy", ["exported", "converted"])
@pytest.mark.models
def test_copies_of_a_file_resume_as_it_does(folder: Path, copy: str) -> None:
    report = ann_ckpt.verify_resume(exact_model.build, at=100.0, duration=50.0, copy=copy, directory=folder)
    assert report.ok, report
