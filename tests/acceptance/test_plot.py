"""``ann-ckpt plot``: pictures into files, and small ones of characters."""

from __future__ import annotations

import re
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest

import ann_ckpt
from tests.acceptance.conftest import Run


@pytest.mark.parametrize("path", ["projections/forward/w", "populations/layer/r", "projections/lateral"])
def test_without_a_file_a_picture_of_characters(run: Run, demo_file: Path, path: str) -> None:
    answer = run("plot", demo_file, path)
    assert answer.status == 0
    assert path.split("/")[1] in answer.out
    assert len(answer.out.splitlines()) > 15
    assert max(map(len, answer.out.splitlines())) < 90


@pytest.mark.parametrize(
    ("ending", "begins"), [("png", b"\x89PNG"), ("svg", b"<?xml"), ("pdf", b"%PDF"), ("PNG", b"\x89PNG")]
)
def test_into_a_file_of_each_kind(
    run: Run, demo_file: Path, tmp_path: Path, ending: str, begins: bytes
) -> None:
    answer = run("plot", demo_file, "populations/layer/r", "-o", tmp_path / f"r.{ending}")
    assert (answer.status, answer.err) == (0, "")
    assert (tmp_path / f"r.{ending}").read_bytes().startswith(begins)


def test_neurons_are_binned_in_a_file_where_they_are_thousands(run: Run, tmp_path: Path) -> None:
    n = 300
    rows = ann_ckpt.Connectivity(np.arange(n), np.arange(n + 1), np.arange(n, dtype=np.int32))
    one = ann_ckpt.ProjectionState("one", "a", "b", "exc", rows, pre_size=n, post_size=n)
    ann_ckpt.write(ann_ckpt.NetworkState(projections={"one": one}), tmp_path / "net.h5")
    with mpl.rc_context({"svg.fonttype": "none"}):
        assert run("plot", tmp_path / "net.h5", "projections/one", "-o", tmp_path / "a.svg").status == 0
    assert "synapses of a pair" in (tmp_path / "a.svg").read_text()


def test_few_fields_are_drawn_with_characters(run: Run, demo_file: Path) -> None:
    assert "(4 of " in run("plot", demo_file, "projections/forward/w").out


def test_what_can_be_drawn_is_said_where_there_is_nothing(
    run: Run, demo_file: Path, store_folder: Path
) -> None:
    said = run("plot", demo_file, "nothing").err
    assert all(form in said for form in ("populations/NAME", "projections/NAME", "recordings/NAME"))
    assert "recordings" not in run("watch", store_folder, "nothing", "--once").err


def test_a_recording_in_a_store_is_drawn(run: Run, tmp_path: Path) -> None:
    recording = ann_ckpt.Recording("M", of="", series={"v": ann_ckpt.Series(values=np.arange(9.0))})
    with ann_ckpt.CheckpointStore(tmp_path / "run.ckpt", "a") as store:
        store.save(ann_ckpt.NetworkState(time_step=1, dt=1.0, recordings=[recording]))
    answer = run("plot", tmp_path / "run.ckpt", "recordings/M/v")
    assert (answer.status, answer.err) == (0, "")


def test_of_a_store_its_history_too(run: Run, store_folder: Path) -> None:
    assert "simulated time [ms]" in run("plot", store_folder, "projections/forward/w").out
    assert "simulated time" not in run("plot", f"{store_folder}@5", "projections/forward/w").out
    assert "simulated time" not in run("plot", store_folder, "projections/forward").out


def test_what_is_in_the_way_is_said_first(run: Run, demo_file: Path, tmp_path: Path) -> None:
    before = demo_file.read_bytes()
    (tmp_path / "net.png").write_bytes(before)
    answer = run("plot", demo_file, "projections/forward/w", "-o", tmp_path / "net.png")
    assert answer.status != 0
    assert "not a picture" in answer.err
    assert (tmp_path / "net.png").read_bytes() == before
    answer = run("plot", demo_file, "projections/forward/w", "-o", "w.bmp")
    assert ".png, .svg, .pdf" in answer.err
    assert "forward" in run("plot", demo_file, "projections/forwar/w").err


def test_names_from_a_file_cannot_steer_the_terminal(run: Run, tmp_path: Path) -> None:
    name = "a[bold]\x1b[31m<b>"
    layer = ann_ckpt.PopulationState(name, (3, 3), variables={name: np.eye(3)})
    ann_ckpt.write(ann_ckpt.NetworkState(populations={name: layer}), tmp_path / "net.h5")
    answer = run("plot", tmp_path / "net.h5", f"populations/{name}")
    assert answer.status == 0
    assert "\x1b" not in answer.out
    assert "[bold]" in answer.out


def test_the_page_runs_from_top_to_bottom(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    page = (Path(__file__).parents[2] / "docs" / "pictures.md").read_text()
    names: dict[str, object] = {}
    with mpl.rc_context({"backend": "agg", "figure.max_open_warning": 0}):
        for block in re.findall(r"^```python\n(.*?)^```", page, re.MULTILINE | re.DOTALL):
            exec(compile(block, "pictures.md", "exec"), names)
        mpl.pyplot.close("all")
    assert (tmp_path / "turnover.png").stat().st_size > 1000
