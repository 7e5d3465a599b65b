"""The command line as people use it: arguments in, text and an exit status out."""

from __future__ import annotations

import gzip
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import ann_ckpt
from ann_ckpt import CheckpointStore, Connectivity, NetworkState, PopulationState, ProjectionState
from ann_ckpt.cli import main
from ann_ckpt.demo import DemoNetwork


@dataclass(frozen=True)
class Answer:
    """What a command said."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Run = Callable[..., Answer]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Run ``ann-ckpt`` in this process."""

    def call(*arguments: object) -> Answer:
        capsys.readouterr()
        with pytest.raises(SystemExit) as left:
            main([str(argument) for argument in arguments])
        said = capsys.readouterr()
        assert isinstance(left.value.code, int)
        return Answer(left.value.code, said.out, said.err)

    return call


@pytest.fixture
def shell(tmp_path: Path) -> Run:
    """Run a line in bash, in a process of its own and the test's folder, ``ann-ckpt`` in its PATH."""
    home = tmp_path / "home"
    (home / ".config" / "fish" / "completions").mkdir(parents=True)
    scripts = Path(sys.executable).parent
    environment = os.environ | {"HOME": str(home), "PATH": f"{scripts}{os.pathsep}{os.environ['PATH']}"}

    def call(line: str) -> Answer:
        done = subprocess.run(
            ["bash", "-o", "pipefail", "-c", line],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        return Answer(done.returncode, done.stdout, done.stderr)

    return call


@pytest.fixture(scope="session")
def _demo_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    network = DemoNetwork(seed=1)
    network.simulate(10)
    path = tmp_path_factory.mktemp("demo") / "demo.h5"
    ann_ckpt.write(network.read().state, path)
    return path


@pytest.fixture
def demo_file(_demo_checkpoint: Path, tmp_path: Path) -> Path:
    """A checkpoint ``demo.h5`` of the demo network after 10 ms, in the test's folder."""
    return Path(shutil.copy(_demo_checkpoint, tmp_path))


@pytest.fixture(scope="session")
def _demo_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    network = DemoNetwork(seed=1)
    path = tmp_path_factory.mktemp("store") / "run.ckpt"
    with CheckpointStore(path, "a") as store:
        for steps, tag in ((0, None), (5, None), (5, "trained"), (5, None)):
            network.simulate(steps)
            store.save(network, tag=tag)
    return path


@pytest.fixture
def store_folder(_demo_store: Path, tmp_path: Path) -> Path:
    """A store ``run.ckpt`` of the demo network at steps 0, 5, 10 and 15, the third ``trained``."""
    return Path(shutil.copytree(_demo_store, tmp_path / "run.ckpt"))


@pytest.fixture
def sweep(store_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder ``sweep`` of two stores; what is remembered of it lies beside it."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(store_folder.parent / "cache"))
    folder = store_folder.parent / "sweep"
    for name in ("run-1.ckpt", "run-2.ckpt"):
        shutil.copytree(store_folder, folder / name)
    return folder


@pytest.fixture
def old_files(tmp_path: Path) -> Path:
    """Files as ANNarchy writes them, two here and three in ``old/``, ``stored.pkl``, ``circuit``."""
    synapses = Connectivity.from_rows([0, 2], [[0, 1], [2]])
    ff = ProjectionState(
        "ff", "in", "out", "exc", synapses, delays=np.array([1, 2, 3]), variables={"w": [0.5, 0.25, 0.125]}
    )
    state = NetworkState(
        populations={
            "in": PopulationState("in", (3,), parameters={"tau": 10.0}, variables={"r": np.arange(3.0)}),
            "out": PopulationState("out", (4,), variables={"r": np.zeros(4)}),
        },
        projections={"ff": ff},
        time_step=40,
        dt=0.5,
    )
    (tmp_path / "old" / "deep").mkdir(parents=True)
    for name in ("2016.data", "trained.npz", "old/a.txt.gz", "old/deep/a.mat", "old/deep/a.data"):
        ann_ckpt.save(tmp_path / name, network=state)
    stored = Path(__file__).parents[1] / "legacy" / "brian2" / "stored-2.11.pkl.gz"
    (tmp_path / "stored.pkl").write_bytes(gzip.decompress(stored.read_bytes()))
    ann_ckpt.export(state, tmp_path / "circuit", format="sonata")
    return tmp_path


@pytest.fixture
def model_script(tmp_path: Path) -> Path:
    """A script ``model.py`` whose ``build`` returns a network, in the test's folder."""
    script = tmp_path / "model.py"
    script.write_text(
        "from ann_ckpt.demo import DemoNetwork\n\ndef build(threads=1):\n    return DemoNetwork(side=4)\n\n"
        "def trial(net):\n    net.simulate(2)\n"
    )
    return script
