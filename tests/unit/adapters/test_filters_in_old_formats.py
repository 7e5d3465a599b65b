"""Old formats have no place for a projection whose filters are all that it has."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import ann_ckpt
from ann_ckpt import Connectivity, NetworkState, PopulationState, ProjectionState


def network() -> NetworkState:
    nothing = Connectivity(np.empty(0, np.int32), np.zeros(1, np.int64), np.empty(0, np.int32))
    filters = ProjectionState("filter", "a", "a", "exc", nothing, dynamics={"w": np.eye(3)})
    return NetworkState(populations=[PopulationState("a", (3,))], projections=[filters], time_step=0, dt=1.0)


@pytest.mark.parametrize("name", ["net.npz", "net.data"])
def test_it_is_left_out_and_named(tmp_path: Path, name: str) -> None:
    report = ann_ckpt.save(tmp_path / name, network=network())
    assert report.saved == ("populations/a",)
    assert [str(note) for note in report.skipped] == [
        "projections/filter: not saved: these formats have no place for filters"
    ]
    ann_ckpt.convert(tmp_path / name, tmp_path / "back.h5")
    assert not ann_ckpt.read(tmp_path / "back.h5").projections


def test_a_checkpoint_keeps_it_readable_in_parts(tmp_path: Path) -> None:
    ann_ckpt.save(tmp_path / "net.h5", network=network())
    with ann_ckpt.open(tmp_path / "net.h5") as checkpoint:
        filters = checkpoint.projections["filter"].dynamics["w"]
        assert filters[1:2].tolist() == [[0.0, 1.0, 0.0]]
    assert list(ann_ckpt.differences(ann_ckpt.read(tmp_path / "net.h5"), network())) == []
