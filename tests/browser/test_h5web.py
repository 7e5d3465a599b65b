"""h5web itself, built as its documentation says, in a browser: what docs/tools.md says of it."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Browser, Page, expect

import ann_ckpt
from ann_ckpt import CheckpointStore, NetworkState, PopulationState

HERE = Path(__file__).parent / "h5web"
# Random bytes, whose chunks are stored with the filters masked.
CODE = np.random.default_rng(0).integers(0, 1 << 31, 50_000)
RATES = np.arange(50_000) / 8

pytestmark = pytest.mark.h5web


@pytest.fixture(scope="module")
def viewer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page with h5web in it, from the packages that the lock file has."""
    folder = tmp_path_factory.mktemp("h5web")
    for file in HERE.iterdir():
        shutil.copy(file, folder)
    npm = "npm ci --legacy-peer-deps --ignore-scripts --no-audit --no-fund --no-update-notifier"
    build = "node_modules/.bin/esbuild page.jsx --bundle --jsx=automatic --minify --outfile=page.js"
    for command in (npm, build):
        done = subprocess.run(command.split(), cwd=folder, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
    (folder / "page.html").write_text(
        '<!doctype html><meta charset="utf-8"><link rel="stylesheet" href="page.css">'
        '<body><script src="page.js"></script></body>'
    )
    return folder / "page.html"


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A file with the default compression, one for every tool, a checkpoint in a store, the same exported."""
    folder = tmp_path_factory.mktemp("files")
    layer = PopulationState("layer", CODE.shape, variables={"code": CODE, "r": RATES})
    state = NetworkState(populations={"layer": layer}, time_step=3, dt=1.0)
    ann_ckpt.write(state, folder / "auto.h5")
    ann_ckpt.write(state, folder / "gzip.h5", compression="gzip")
    with CheckpointStore(folder / "run.ckpt", "w") as store:
        store.save(state)
        inside = Path(store.checkpoints[-1].path)
    ann_ckpt.export(folder / "run.ckpt", folder / "exported.h5")
    return {name: folder / f"{name}.h5" for name in ("auto", "gzip", "exported")} | {"store": inside}


@contextmanager
def shown(browser: Browser, viewer: Path, file: Path, variable: str) -> Iterator[Page]:
    """A variable of the population, chosen in the tree of a file that was picked."""
    context = browser.new_context(viewport={"width": 1300, "height": 800})
    page = context.new_page()
    page.goto(viewer.as_uri())
    page.set_input_files("input[type=file]", file)
    for name in ("populations", "layer", "variables", variable):
        page.get_by_role("treeitem", name=name, exact=True).click()
    yield page
    context.close()


@pytest.mark.parametrize("name", ["auto", "gzip", "exported"])
@pytest.mark.parametrize(("variable", "values"), [("code", CODE), ("r", RATES)])
def test_values_of_a_file_are_shown(
    browser: Browser, viewer: Path, files: dict[str, Path], name: str, variable: str, values: np.ndarray
) -> None:
    with shown(browser, viewer, files[name], variable) as page:
        page.get_by_role("tab", name="Matrix").click()
        cells = page.get_by_role("gridcell")
        expect(cells.first).to_be_visible()
        said = np.array([float(cell) for cell in cells.all_inner_texts()])
    assert said.size > 10
    assert np.allclose(said, values[: said.size], rtol=1e-3)


def test_of_a_checkpoint_in_a_store_groups_are_shown_and_no_shared_values(
    browser: Browser, viewer: Path, files: dict[str, Path]
) -> None:
    with shown(browser, viewer, files["store"], "r") as page:
        expect(page.get_by_text("Nothing to display")).to_be_visible()
        assert page.get_by_role("gridcell").count() == 0
