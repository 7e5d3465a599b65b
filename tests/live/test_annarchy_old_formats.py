"""The old formats, written here and loaded by the installed ANNarchy itself, in its own process."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.live.conftest import Run

SUFFIXES = ("data", "txt.gz", "npz")


@pytest.mark.parametrize("network", ["rate", "spike"])
def test_annarchy_loads_what_is_written_for_it(run: Run, tmp_path: Path, network: str) -> None:
    truth = str(tmp_path / "truth.h5")
    paths = [str(tmp_path / f"net.{suffix}") for suffix in SUFFIXES]
    run("legacy_jobs.write", network=network, steps=40, truth=truth, paths=paths)
    assert run("legacy_jobs.unlike_before", network=network, path=paths[0], truth=truth)["differs"]
    for path in paths:
        assert run("legacy_jobs.load_by_itself", network=network, path=path, truth=truth) == []


def test_what_has_no_place_is_said(run: Run, tmp_path: Path) -> None:
    said = run(
        "legacy_jobs.write",
        network="rate",
        steps=10,
        truth=str(tmp_path / "truth.h5"),
        paths=[str(tmp_path / "net.mat")],
    )
    assert any("constants cannot be stored" in note for note in said[0])


@pytest.mark.parametrize("suffix", ["data", "txt.gz", "npz", "mat"])
def test_projections_are_built_from_connectivity_files(run: Run, tmp_path: Path, suffix: str) -> None:
    """With dt = 0.5 ms, so that steps and milliseconds differ; ragged, uniform and no delays."""
    truth = str(tmp_path / "truth.h5")
    run("legacy_jobs.save_connectivity", folder=str(tmp_path), truth=truth)
    assert run("legacy_jobs.from_file", folder=str(tmp_path), truth=truth, suffix=suffix) == []
