"""Workers of dask read for themselves: the lines of docs/cluster.md, and what the client reads meanwhile."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

import ann_ckpt
from ann_ckpt import Connectivity, NetworkState, PopulationState, ProjectionState
from ann_ckpt.format.bytes import FileBytes

PAGE = (Path(__file__).parents[2] / "docs" / "cluster.md").read_text(encoding="utf-8")
BLOCKS = [part.partition("```")[0] for part in PAGE.split("```python\n")[1:]]
ROWS = Connectivity(np.arange(400), np.arange(401) * 400, np.tile(np.arange(400, dtype=np.int32), 400))
NAMES = [f"p{n}" for n in range(4)]


def network(changed=()):
    """Four projections of 1.3 MB of weights each; of those that changed, one weight did."""
    rng = np.random.default_rng(1)
    projections = []
    for name in NAMES:
        weights = rng.random(ROWS.n_synapses)
        weights[77_000] += name in changed
        projections.append(ProjectionState(name, "q", "q", "exc", ROWS, variables={"w": weights}))
    return NetworkState(populations=[PopulationState("q", (400,))], projections=projections)


@pytest.fixture
def client_bytes(monkeypatch):
    """Bytes that this process has read from files of ours, whatever asked for them."""
    total = [0]
    read_into = FileBytes.read_into

    def counted(self, buffer, offset):
        done = read_into(self, buffer, offset)
        total[0] += done
        return done

    monkeypatch.setattr(FileBytes, "read_into", counted)
    return total


def test_two_workers_read_and_the_client_does_not(tmp_path, monkeypatch, client_bytes):
    for name, changed in (("monday.h5", ()), ("friday.h5", ("p1", "p3"))):
        ann_ckpt.write(network(changed), tmp_path / name, compression="none")
    monkeypatch.chdir(tmp_path)
    names = {"__name__": "__main__"}
    *lines, last = BLOCKS
    try:
        for block in lines:
            exec(block, names)
        client, before = names["client"], names["before"]
        weights = {name: network().projections[name]["w"] for name in NAMES}
        assert names["rows"] == [(n, weights[n].mean(), weights[n].std()) for n in NAMES]
        assert names["mean"] == pytest.approx(weights["p0"].mean())
        assert names["changed"] == ["projections/p1/w", "projections/p3/w"]
        assert client_bytes[0] < 64 << 10
        assert len(client.run(os.getpid)) == 2
        np.asarray(before.projections["p0"]["w"])
        assert client_bytes[0] > 1 << 20  # the count would have seen it
    finally:
        exec(last, names)
