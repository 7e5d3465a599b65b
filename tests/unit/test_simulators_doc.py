"""The simulator that docs/simulators.md shows is one, and so is the way it is tested."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import ann_ckpt
from ann_ckpt.adapters.simulators import SIMULATORS, simulator_for
from ann_ckpt.simulators import (
    Builds,
    CallsBack,
    ExactSimulator,
    HasClock,
    Records,
    RefusesTimeStep,
    RefusesValues,
    Replays,
    SetsPathwayDelays,
    SetsTogether,
    Simulator,
)
from ann_ckpt.testing import SimulatorSuite

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "simulators.md").read_text()
BLOCKS = re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


def run(*blocks: str) -> dict[str, Any]:
    names: dict[str, Any] = {}
    for block in blocks:
        exec(block, names)
    return names


@pytest.fixture(scope="module")
def simulator() -> Simulator:
    made = run(BLOCKS[0])["Ring"]()
    made.simulate(3)
    return made


class TestRing(SimulatorSuite):
    """The suite, on the text."""

    def simulate(self, simulator: Any, duration: float) -> None:
        simulator.simulate(round(duration))


class TestNoisyRing(TestRing):
    """The suite, on the extended text."""

    @pytest.fixture
    def simulator(self) -> Simulator:
        made = run(BLOCKS[0], BLOCKS[2])["NoisyRing"]()
        made.simulate(3)
        return made


def test_the_extended_one_offers_what_the_page_says() -> None:
    ring = run(BLOCKS[0], BLOCKS[2])["NoisyRing"]()
    for offer in (ExactSimulator, CallsBack, HasClock, RefusesValues):
        assert isinstance(ring, offer)


def test_the_extended_one_is_saved_while_it_runs_and_resumes_exactly(tmp_path: Path) -> None:
    made = run(BLOCKS[0], BLOCKS[2])["NoisyRing"]
    ring, again = made(seed=1), made(seed=1)
    with ann_ckpt.CheckpointStore(tmp_path / "run.ckpt", mode="a") as store, store.every(5, network=ring):
        ring.simulate(12)
    with ann_ckpt.CheckpointStore(tmp_path / "run.ckpt", mode="a") as store:
        report = ann_ckpt.load(f"{tmp_path}/run.ckpt@10", network=again)
        assert [info.time_step for info in store.checkpoints] == [5, 10]
    assert report.notes == ()
    again.simulate(2)
    assert not list(ann_ckpt.differences(ring.read().state, again.read().state))


def test_the_page_names_every_public_name_and_method() -> None:
    for name in ann_ckpt.simulators.__all__:
        assert name in PAGE or name in {"Adapt", "Build", "Prepare", "Owner"}, name
    for protocol in (
        Simulator,
        ExactSimulator,
        CallsBack,
        HasClock,
        RefusesTimeStep,
        RefusesValues,
        Replays,
        SetsTogether,
        SetsPathwayDelays,
        Records,
        Builds,
    ):
        for method in (m for m in vars(protocol) if not m.startswith("_")):
            assert f"`{method}" in PAGE, method


@pytest.mark.parametrize("page", ["simulators.md", "joining.md", "index.md"])
def test_a_page_counts_the_methods_right(page: str) -> None:
    methods = [
        name
        for cls in (Simulator, *Simulator.__bases__)
        for name, member in vars(cls).items()
        if callable(member) and not name.startswith("_")
    ]
    words = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
    text = " ".join((ROOT / "docs" / page).read_text().split())
    assert re.findall(r"(\w+) methods[^.]{0,40}?(?:, the protocol|, and tests| and a label)", text) == [
        words[len(methods)]
    ]


def test_it_is_saved_and_loaded_as_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    run(*BLOCKS[:2])
    assert (tmp_path / "ring.h5").exists()


def test_it_is_registered_and_tested_as_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SIMULATORS, "_adapters", {})
    names = run(BLOCKS[0], *BLOCKS[2:])
    assert SIMULATORS.names == ("Ring",)
    assert simulator_for(names["RingNetwork"]()).label == "Ring 1.0"
    assert issubclass(names["TestRing"], SimulatorSuite)


USE = """
import sys
import ann_ckpt

network = ann_ckpt.read  # nobody's
try:
    ann_ckpt.save("x.h5", network=network)
except ann_ckpt.errors.SimulatorError as error:
    assert "Ring" in error.details["known"], error
import ring
saved = ann_ckpt.save("ring.h5", network=ring.RingNetwork(5))
ann_ckpt.load("ring.h5", network=ring.RingNetwork(5))
print(*saved.saved, ann_ckpt.open("ring.h5").provenance["simulator"])
"""


def test_it_is_installed_as_a_package(tmp_path: Path) -> None:
    """As on a user's machine: a wheel is unpacked, and a new process finds its entry point."""
    site = tmp_path / "site"
    info = site / "ring-1.0.dist-info"
    info.mkdir(parents=True)
    (site / "ring.py").write_text("\n".join(BLOCKS[i] for i in (0, 3)))
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: ring\nVersion: 1.0\n")
    (table,) = re.findall(r"^```toml\n\[project\.entry-points\.(.*?)\n```$", PAGE, re.MULTILINE | re.DOTALL)
    (info / "entry_points.txt").write_text("[" + table.replace('"', ""))
    path = os.pathsep.join([str(site), *filter(None, [os.environ.get("PYTHONPATH"), str(ROOT)])])
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", USE],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == "populations/neurons projections/next Ring 1.0\n"
