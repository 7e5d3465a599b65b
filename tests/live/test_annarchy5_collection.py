"""Files that older versions wrote, in a live network of this one; the collection says what they hold."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.live.conftest import Run

# Before 4.6.7 delays are not in the file: synapses that have their own cannot be put in place of others.
PICKLES = {
    "4.5.4/rate": ["4.5.4/rate"],
    "4.6.4/rate": ["4.6.4/rate"],
    "5.0.4.1/rate": ["4.6.10.1/rate", "4.7.2.6/rate", "4.8.2.7/rate"],
}
CONNECTIVITY = [["4.5.4/spike", 2], ["4.6.10.1/spike", 2], ["4.8.2.7/spike", 2], ["5.0.4.1/spike", 2]]


@pytest.mark.parametrize("host", PICKLES)
def test_old_pickles_are_what_they_were(run: Run, tmp_path: Path, host: str) -> None:
    """Converted first; ragged, dense and single weights, views, delays, other synapses than before."""
    found = run("legacy_jobs.rescue", host=host, folders=PICKLES[host], workplace=str(tmp_path))
    assert found == {folder: [] for folder in PICKLES[host]}


def test_connectivity_files_of_every_version_build_a_projection(run: Run) -> None:
    """With dt = 0.5 ms and delays for each synapse: in steps before 5.0, in ms since."""
    found = run("legacy_jobs.from_every_version", sources=CONNECTIVITY, size=[20, 80], dt=0.5)
    assert found == {folder: [] for folder, _ in CONNECTIVITY}
