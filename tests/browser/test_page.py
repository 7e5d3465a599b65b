"""Pages and notebooks in a real browser, driven as a person would."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Browser, Page

import ann_ckpt
from ann_ckpt import CheckpointStore, NetworkState, PopulationState
from ann_ckpt.demo import DemoNetwork
from ann_ckpt.page.report import report_page

HERE = Path(__file__).parent
NASTY = "<script>document.title='taken'</script><img src=x onerror=\"document.title='taken'\">\x1b[31m"
WIDTHS = [1400, 400]


@pytest.fixture(scope="session")
def axe(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The source of axe-core, installed as the lock file has it."""
    folder = tmp_path_factory.mktemp("axe")
    for name in ("package.json", "package-lock.json"):
        shutil.copy(HERE / name, folder)
    npm = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--no-update-notifier"]
    done = subprocess.run(npm, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return (folder / "node_modules" / "axe-core" / "axe.min.js").read_text()


@pytest.fixture(scope="session")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of a run."""
    folder = tmp_path_factory.mktemp("page")
    network = DemoNetwork(seed=1, side=8)
    with CheckpointStore(folder / "run.ckpt", "w") as store:
        for tag in (None, "half", None, None):
            store.save(network, tag=tag)
            network.simulate(30)
    (folder / "run.html").write_text(report_page(folder / "run.ckpt"))
    return folder / "run.html"


@contextmanager
def opened(browser: Browser, path: Path, **options: Any) -> Iterator[Page]:
    """Open a page; it must not complain, nor ask for anything."""
    context = browser.new_context(**options)
    page = context.new_page()
    said: list[str] = []
    asked: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    page.goto(path.as_uri())
    yield page
    assert said == []
    assert [url for url in asked if not url.startswith("data:")] == [path.as_uri()]
    context.close()


def outside(page: Page) -> list[str]:
    """What is wider than the screen, and texts of pictures that are outside of them."""
    found: list[str] = page.evaluate(
        """() => {
          const wide = document.documentElement.scrollWidth > window.innerWidth
            ? ["the page: " + document.documentElement.scrollWidth] : [];
          for (const text of document.querySelectorAll("svg text")) {
            const inner = text.getBoundingClientRect();
            const outer = text.closest("svg").getBoundingClientRect();
            if (inner.width && (inner.left < outer.left - 1 || inner.right > outer.right + 1
                || inner.top < outer.top - 1 || inner.bottom > outer.bottom + 1)) wide.push(text.textContent);
          }
          return wide;
        }"""
    )
    return found


def broken_labels(page: Page) -> list[str]:
    """Words before a line that do not fit on one line."""
    found: list[str] = page.evaluate(
        """() => [...document.querySelectorAll("tbody th")].filter(label => {
          const range = document.createRange();
          range.selectNodeContents(label);
          return !label.textContent.includes(" ") && range.getClientRects().length > 1;
        }).map(label => label.textContent)"""
    )
    return found


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", WIDTHS)
def test_a_page_is_readable(browser: Browser, axe: str, written: Path, width: int, scheme: Any) -> None:
    size = {"width": width, "height": 900}
    with opened(browser, written, viewport=size, color_scheme=scheme) as page:
        assert outside(page) == []
        assert broken_labels(page) == []
        page.evaluate(axe)
        found = page.evaluate("() => axe.run()")
        serious = [v for v in found["violations"] if v["impact"] in ("serious", "critical")]
        assert [(v["id"], [n["html"][:200] for n in v["nodes"]][:3]) for v in serious] == []


@pytest.mark.parametrize("width", WIDTHS)
def test_the_keyboard_moves_the_slider_and_chooses(browser: Browser, written: Path, width: int) -> None:
    with opened(browser, written, viewport={"width": width, "height": 900}) as page:
        slider = page.locator("input[type=range]").first
        article = page.locator("article:has(input[type=range])").first
        frames = article.locator("[data-frame]")
        assert [frame.is_visible() for frame in frames.all()] == [False, False, False, True]
        assert "90 ms" in article.locator("output").inner_text()
        slider.focus()
        page.keyboard.press("Home")
        page.keyboard.press("ArrowRight")
        assert [frame.is_visible() for frame in frames.all()] == [False, True, False, False]
        assert "30 ms" in article.locator("output").inner_text()
        assert "half" in article.locator("output").inner_text()
        choose = page.get_by_label("Show").nth(1)
        choose.focus()
        page.keyboard.press("ArrowDown")
        page.keyboard.press("ArrowDown")
        shown = page.locator("article[data-of=projections]").all()
        assert choose.input_value() == "1"
        assert [article.is_visible() for article in shown] == [False, True]
        choose.select_option("")
        assert all(article.is_visible() for article in shown)
        page.keyboard.press("Control+Home")
        page.get_by_role("link", name="Projections", exact=True).click()
        assert page.locator("#projections").bounding_box()["y"] < 900  # type: ignore[index]


def test_a_page_prints_whole_whatever_is_chosen(browser: Browser, written: Path) -> None:
    with opened(browser, written, viewport={"width": 1400, "height": 900}, color_scheme="dark") as page:
        page.get_by_label("Show").nth(1).select_option("0")
        page.emulate_media(media="print")
        assert all(article.is_visible() for article in page.locator("article").all())
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
        assert page.pdf(format="A4").startswith(b"%PDF")


def test_a_page_is_whole_without_scripts(browser: Browser, written: Path) -> None:
    size = {"width": 400, "height": 900}
    with opened(browser, written, viewport=size, java_script_enabled=False) as page:
        assert all(article.is_visible() for article in page.locator("article").all())
        assert not page.locator("input[type=range]").first.is_visible()
        assert not page.get_by_label("Show").first.is_visible()
        assert page.locator("svg:visible").count() > 20


def test_names_from_a_file_do_nothing(browser: Browser, tmp_path: Path) -> None:
    layer = PopulationState(NASTY, (4, 4), variables={NASTY: np.eye(4)})
    state = NetworkState(populations={NASTY: layer}, metadata={NASTY: NASTY}, time_step=1)
    for name in ("net.h5", "old.h5"):
        ann_ckpt.write(state, tmp_path / name)
    page_file = tmp_path / "net.html"
    page_file.write_text(report_page(tmp_path / "net.h5", compare=tmp_path / "old.h5"))
    with opened(browser, page_file, viewport={"width": 400, "height": 900}) as page:
        assert page.title() == "net.h5"
        assert page.locator("img").count() == 0
        assert "<script>document.title='taken'</script>" in page.locator("#populations").inner_text()
        assert "Nothing differs" in page.locator("#changes").inner_text()
        assert outside(page) == []


CELLS = """
import ann_ckpt
ckpt = ann_ckpt.open({path!r})
ckpt
---
ckpt.projections["forward"]
---
ckpt.populations["layer"]
---
ckpt.projections["forward"]["w"]
---
ann_ckpt.CheckpointStore({path!r})
---
ann_ckpt.diff({path!r} + "@0", {path!r})
"""


def test_a_notebook_shows_what_cells_end_in(browser: Browser, written: Path, tmp_path: Path) -> None:
    cells = CELLS.format(path=str(written.parent / "run.ckpt")).strip().split("---\n")
    notebook = {
        "cells": [
            {"cell_type": "code", "execution_count": None, "metadata": {}, "outputs": [], "source": cell}
            for cell in cells
        ],
        "metadata": {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}},
        "nbformat": 4,
        "nbformat_minor": 4,
    }
    (tmp_path / "look.ipynb").write_text(json.dumps(notebook))
    words = ["-m", "nbconvert", "--to", "html", "--execute", "look.ipynb"]
    done = subprocess.run([sys.executable, *words], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    context = browser.new_context(viewport={"width": 1000, "height": 900})
    page = context.new_page()
    page.route("http*://**", lambda route: route.abort())
    page.goto((tmp_path / "look.html").as_uri(), wait_until="domcontentloaded")
    assert page.locator(".ac").count() == len(cells)
    assert page.locator(".ac svg").count() >= 8
    # Whatever the style of the notebook says of tables.
    aligned = "cells => [...new Set(cells.map(cell => getComputedStyle(cell).textAlign))]"
    assert page.locator(".ac td:not(.n), .ac th:not(.n)").evaluate_all(aligned) == ["left"]
    assert page.locator(".ac .n").evaluate_all(aligned) == ["right"]
    assert outside(page) == []
    assert page.screenshot(path=tmp_path / "look.png", full_page=True).startswith(b"\x89PNG")
    context.close()
