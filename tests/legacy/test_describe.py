"""What is said about the writer of each file in the collection is true of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from ann_ckpt.adapters.legacy import examine
from ann_ckpt.cli.info import describe_foreign
from tests.legacy import truth

FILES = [path for path in truth.files() if truth.completed(path)]


def numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))


@pytest.mark.parametrize("path", FILES, ids=truth.label)
def test_the_writer_is_among_the_versions_named(path: Path) -> None:
    net = truth.net_of(path)
    found = describe_foreign(examine(path, dt=net.dt))
    first, _, last = found["versions"].partition(" to ")
    last = last or first
    assert numbers(first) <= net.version
    # "4.6.10" stands for all its corrections, "5.0" for all of its line.
    assert net.version[: len(numbers(last))] <= numbers(last)
    if found["python"]:
        assert (found["python"] == "2") == net.facts["env"]["python"].startswith("2")


@pytest.mark.parametrize("path", [p for p in FILES if p.stem.startswith("net")], ids=truth.label)
def test_a_network_is_described_whole(path: Path) -> None:
    net = truth.net_of(path)
    found = describe_foreign(examine(path, dt=net.dt))
    assert found["kind"] == "network"
    assert found["file_bytes"] == path.stat().st_size
    synapses = {p["name"]: p["nb_synapses"] for p in net.projections if p["saveable"]}
    assert {p["name"]: p["synapses"] for p in found["projections"]} == synapses
    assert any("no version of ANNarchy saves dt" in note["text"] for note in found["notes"])
