"""``ann-ckpt report``: one page, written whole, and anew with each checkpoint."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np

import ann_ckpt
from ann_ckpt.demo import DemoNetwork
from tests.acceptance.conftest import Run


def test_a_page_is_written(run: Run, store_folder: Path, demo_file: Path, tmp_path: Path) -> None:
    answer = run("report", store_folder, "-o", tmp_path / "run.html")
    assert (answer.status, answer.err) == (0, "")
    assert "<title>run.ckpt" in (tmp_path / "run.html").read_text()
    answer = run("report", demo_file, "-o", tmp_path / "demo.html", "--compare", f"{store_folder}@0")
    assert answer.status == 0
    assert "run.ckpt@0" in (tmp_path / "demo.html").read_text()


def test_an_array_as_a_constant_is_shown_by_its_size(run: Run, tmp_path: Path) -> None:
    constants = {"k": np.arange(3.0), "tau": 2.5}
    ann_ckpt.write(ann_ckpt.NetworkState(constants=constants), tmp_path / "net.h5")
    assert run("report", tmp_path / "net.h5", "-o", tmp_path / "net.html").status == 0
    assert "3 values" in (tmp_path / "net.html").read_text()
    with ann_ckpt.open(tmp_path / "net.h5") as checkpoint:
        assert "k = 3 values, tau = 2.5" in checkpoint._repr_html_()


def test_no_checkpoint_is_overwritten(run: Run, demo_file: Path) -> None:
    before = demo_file.read_bytes()
    answer = run("report", demo_file, "-o", demo_file)
    assert answer.status != 0
    assert "not a page" in answer.err
    assert demo_file.read_bytes() == before


def test_only_a_store_is_followed(run: Run, demo_file: Path, tmp_path: Path) -> None:
    answer = run("report", demo_file, "-o", tmp_path / "demo.html", "--follow")
    assert "not a store" in answer.err
    assert not (tmp_path / "demo.html").exists()


def test_the_page_follows_a_run(store_folder: Path, tmp_path: Path) -> None:
    page = tmp_path / "run.html"
    words = ["report", str(store_folder), "-o", str(page), "--follow", "--poll", "0.05"]
    process = subprocess.Popen(
        [sys.executable, "-c", "from ann_ckpt.cli import main; main()", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        assert "run.html" in process.stdout.readline()
        assert "step 20" not in page.read_text()
        network = DemoNetwork(seed=1)
        network.simulate(20)
        with ann_ckpt.CheckpointStore(store_folder, "a") as store:
            store.save(network)
        assert "run.html" in process.stdout.readline()
        assert "step 20" in page.read_text()
    finally:
        process.terminate()
        process.communicate()
