"""The page about a network or a run: whole, small, safe, and true."""

from __future__ import annotations

import re
import shutil
import tracemalloc
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import ann_ckpt
from ann_ckpt import (
    AttributeInfo,
    CheckpointStore,
    Connectivity,
    NetworkState,
    PopulationState,
    ProjectionState,
    Resume,
    TypeInfo,
)
from ann_ckpt.demo import DemoNetwork
from ann_ckpt.errors import FileMissingError, UnknownFormatError
from ann_ckpt.looking import choice
from ann_ckpt.looking.pictures import Picture
from ann_ckpt.page.report import report_page
from tests.counting import bytes_read
from tests.html import Page

NASTY = "<script>alert(1)</script>\x1b[31m&'\""


def checked(html: str) -> Page:
    """Parse a page: it is whole, asks for nothing, and runs no script but its own."""
    body = html.partition("<body")[2].partition("</body>")[0]
    page = Page("<body" + body + "</body>")
    assert html.startswith("<!doctype html>")
    assert "default-src 'none'; script-src 'sha256-" in html
    assert page.tags.count("script") == 1
    assert "\x1b" not in html
    for name, value in page.attributes:
        assert not name.startswith("on")
        assert name != "src"
        assert name != "href" or re.match(r"#|data:image/png;base64,", value or "")
    assert "url(" not in html
    assert "@import" not in html
    assert len(html) < 5_000_000
    ids = [value for name, value in page.attributes if name == "id"]
    assert len(ids) == len(set(ids))
    return page


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("page") / "run.ckpt"
    network = DemoNetwork(seed=1, side=8)
    with CheckpointStore(path, "w") as store:
        for tag in (None, "half", None):
            store.save(network, tag=tag)
            network.simulate(10)
    return path


def test_a_page_of_a_run_has_all_its_sections(run: Path) -> None:
    page = checked(report_page(run))
    sections = [v for n, v in page.attributes if n == "id" and not (v or "").endswith("-title")]
    assert sections == [
        "content",
        "network",
        "problems",
        "history",
        "changes",
        "populations",
        "projections",
        "types",
        "origin",
    ]
    for words in (
        "3 checkpoints",
        "resumes: exact",
        "no problems found",
        "tau * dr/dt",
        "projections/forward/w",
        "half",
        "time_step 0 became 20",
    ):
        assert words in page.text
    assert page.tags.count("svg") > 20


def test_a_page_of_one_file_has_no_history(run: Path, tmp_path: Path) -> None:
    with CheckpointStore(run) as store:
        store.export("half", tmp_path / "net.h5")
    page = checked(report_page(tmp_path / "net.h5"))
    assert "History" not in page.text
    assert "Changes" not in page.text
    page = checked(report_page(tmp_path / "net.h5", compare=f"{run}@0"))
    assert "time_step 0 became 10" in page.text
    assert "Nothing differs" in checked(report_page(tmp_path / "net.h5", compare=tmp_path / "net.h5")).text


def test_what_cannot_be_compared_is_an_error_and_no_page(run: Path, tmp_path: Path) -> None:
    (tmp_path / "text.h5").write_text("hello")
    with pytest.raises(FileMissingError):
        report_page(run, compare=tmp_path / "missing.h5")
    with pytest.raises(UnknownFormatError):
        report_page(run, compare=tmp_path / "text.h5")


def test_names_are_text(tmp_path: Path) -> None:
    kind = TypeInfo(NASTY, NASTY, {NASTY: NASTY}, {NASTY: AttributeInfo(unit=NASTY, description=NASTY)})
    layer = PopulationState(
        NASTY,
        (4, 4),
        parameters={f"p{NASTY}": 1.0},
        variables={NASTY: np.arange(16.0).reshape(4, 4)},
        neuron_type=kind,
        resume=Resume("approximate", (NASTY,)),
    )
    rows = Connectivity.from_rows([0, 1], [[0, 1], [2]])
    ff = ProjectionState(
        NASTY, NASTY, NASTY, NASTY, rows, variables={NASTY: [1.0, 2.0, 3.0]}, synapse_type=kind
    )
    folder = tmp_path / "<script>.ckpt"
    with CheckpointStore(folder, "w") as store:
        for step in (1, 2):
            state = NetworkState(
                populations={NASTY: layer},
                projections={NASTY: ff},
                constants={NASTY: 1.0},
                metadata={NASTY: NASTY},
                time_step=step,
            )
            store.save(state, tag="<script>alert(1)")
    page = checked(report_page(folder))
    assert "<script>alert(1)" in page.text


def test_problems_are_found_and_the_page_is_made(run: Path, tmp_path: Path) -> None:
    bounded = TypeInfo("T", attributes={"r": AttributeInfo(minimum=0.0, maximum=2.0)})
    layer = PopulationState("layer", (4,), variables={"r": [-1.0, np.nan, 1.0, 5.0]}, neuron_type=bounded)
    ann_ckpt.write(NetworkState(populations={"layer": layer}), tmp_path / "net.h5")
    page = checked(report_page(tmp_path / "net.h5"))
    for words in (
        "problems: 3",
        "1 of 4 values that were looked at are NaN or infinite",
        "values down to -1; its type declares at least 0",
        "values up to 5; its type declares at most 2",
    ):
        assert words in page.text

    damaged = shutil.copytree(run, tmp_path / "run.ckpt")
    oldest = min((damaged / "checkpoints").iterdir())
    oldest.write_bytes(oldest.read_bytes()[:200])
    page = checked(report_page(damaged))
    assert oldest.stem in page.text
    assert "problems: " in page.text
    assert "problems: 0" not in page.text


def test_objects_that_are_gone_are_a_problem(tmp_path: Path) -> None:
    with CheckpointStore(tmp_path / "run.ckpt", "w") as store:
        store.save(DemoNetwork(side=12))
    for item in (tmp_path / "run.ckpt" / "objects").rglob("*.h5"):
        item.unlink()
    page = checked(report_page(tmp_path / "run.ckpt"))
    assert re.search(r"problems: [1-9]", page.text)


def test_what_only_an_older_checkpoint_needs_and_is_gone_is_a_problem(tmp_path: Path) -> None:
    path, seen = tmp_path / "run.ckpt", []
    with CheckpointStore(path, "w") as store:
        for step in range(3):
            values = np.random.default_rng(step).random(20_000)
            layer = PopulationState("layer", (20_000,), variables={"r": values})
            store.save(NetworkState(populations={"layer": layer}, time_step=step))
            seen.append(set((path / "objects").rglob("*.h5")))
    assert "no problems found" in checked(report_page(path)).text
    for item in seen[1] - seen[0]:
        item.unlink()
    page = checked(report_page(path))
    assert "problems: 1" in page.text
    assert "000000000001: populations/layer/r" in page.text
    assert "1 could not be read" in page.text


def test_a_large_network_is_read_in_part(tmp_path: Path) -> None:
    n_rows, each = 8000, 1000
    pre = np.tile(np.arange(each, dtype=np.int32), n_rows)
    rows = Connectivity(np.arange(n_rows), np.arange(n_rows + 1) * each, pre)
    w = np.random.default_rng(1).random(n_rows * each)
    ff = ProjectionState("ff", "in", "out", "exc", rows, variables={"w": w, "trace": w[::-1]})
    populations = {"in": PopulationState("in", (20, 50)), "out": PopulationState("out", (n_rows,))}
    state = NetworkState(populations=populations, projections={"ff": ff}, time_step=1)
    ann_ckpt.write(state, tmp_path / "net.h5")
    ann_ckpt.write(state, tmp_path / "old.h5")
    del state, ff, w, pre, rows
    tracemalloc.start()
    with bytes_read() as count:
        html = report_page(tmp_path / "net.h5", compare=tmp_path / "old.h5")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    page = checked(html)
    assert count.total < 64 << 20
    assert peak < 200 << 20
    assert "a sample" in page.text
    assert "only samples of them are compared" in page.text


def test_many_objects_are_counted_and_the_page_stays_small(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ann_ckpt.page.report._FULL", 100_000)
    populations = {
        f"p{i}": PopulationState(
            f"p{i}", (20, 20), variables={"r": np.random.default_rng(i).random((20, 20))}
        )
        for i in range(60)
    }
    ann_ckpt.write(NetworkState(populations=populations), tmp_path / "net.h5")
    html = report_page(tmp_path / "net.h5")
    page = checked(html)
    assert "40 of 60 are shown" in page.text
    assert re.search(r"\d+ pictures left out", page.text)
    assert len(html) < 250_000


def test_what_is_beyond_the_first_objects_is_not_called_good(tmp_path: Path) -> None:
    populations = {
        f"p{i:02}": PopulationState(f"p{i:02}", (2,), variables={"r": [0.0, 1.0]}) for i in range(41)
    }
    last = PopulationState(
        "p40", (2,), variables={"r": [np.nan, 1.0]}, resume=Resume("approximate", ("rounded",))
    )
    numbers: dict[str, float] = {f"c{i}": 1.0 for i in range(45)}
    state = NetworkState(populations=populations | {"p40": last}, constants=numbers, metadata={**numbers})
    ann_ckpt.write(state, tmp_path / "net.h5")
    page = checked(report_page(tmp_path / "net.h5"))
    assert "resumes: approximate" in page.text
    assert "p40: rounded" in page.text
    assert "no problems found in the first 40" in page.text
    assert "attributes of each, the first 40 were looked at" in page.text
    assert page.text.count("40 of 45 are shown") == 2


def test_of_a_population_no_more_is_drawn_than_is_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    values = {f"v{i:02}": np.full((8, 8), float(i)) for i in range(12)}
    layer = PopulationState("layer", (8, 8), parameters={"a": 1.0}, variables=values)
    ann_ckpt.write(NetworkState(populations={"layer": layer}), tmp_path / "net.h5")
    drawn = []

    def counted(checkpoint: Any, path: str, *more: Any) -> list[Picture]:
        drawn.append(path)
        return choice.pictures(checkpoint, path, *more)

    monkeypatch.setattr("ann_ckpt.page.report.choice", SimpleNamespace(pictures=counted))
    html = report_page(tmp_path / "net.h5")
    assert drawn == [f"populations/layer/v0{i}" for i in range(5)]
    assert checked(html).tags.count("figure") == 5


def test_one_population_with_many_attributes_is_read_in_part(tmp_path: Path) -> None:
    values = {f"v{i}": np.random.default_rng(i).random((1000, 500)) for i in range(20)}
    layer = PopulationState("layer", (1000, 500), variables=values)
    ann_ckpt.write(NetworkState(populations={"layer": layer}), tmp_path / "net.h5")
    with bytes_read() as count:
        report_page(tmp_path / "net.h5")
    assert count.total < 64 << 20
