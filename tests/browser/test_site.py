"""The documentation as a site: it builds without a warning, and is read and searched without a network."""

from __future__ import annotations

import functools
import http.server
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)]
    environment = os.environ | {"NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
def address(site: Path) -> Iterator[str]:
    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            """Nothing."""

    with http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), functools.partial(Quiet, directory=str(site))
    ) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


def test_every_page_is_there_and_linked_from_the_first(site: Path) -> None:
    first = (site / "index.html").read_text()
    pages = {path.with_suffix(".html").name for path in (ROOT / "docs").glob("*.md")} - {"index.html"}
    assert [page for page in sorted(pages) if f'href="{page}"' not in first] == []
    assert [page for page in sorted(pages) if not (site / page).is_file()] == []
    assert not (site / "gallery.py").exists()


def test_docstrings_are_pages(site: Path) -> None:
    for page, name in (("ann_ckpt", "ann_ckpt.save"), ("plot", "ann_ckpt.plot.receptive_fields")):
        text = (site / "reference" / f"{page}.html").read_text()
        assert f'id="{name}"' in text
        assert ":class:" not in text


@pytest.mark.parametrize("width", [1400, 400])
@pytest.mark.parametrize("page", ["index", "simulating", "pictures", "reference/plot"])
def test_a_page_fits_and_asks_nobody(browser: Browser, address: str, page: str, width: int) -> None:
    context = browser.new_context(viewport={"width": width, "height": 900})
    opened = context.new_page()
    said: list[str] = []
    asked: list[str] = []
    opened.on("console", lambda message: said.append(message.text))
    opened.on("request", lambda request: asked.append(request.url))
    opened.goto(f"{address}/{page}.html")
    opened.wait_for_load_state("networkidle")
    assert said == []
    assert [url for url in asked if not url.startswith((address, "data:", "blob:"))] == []
    assert opened.evaluate("document.documentElement.scrollWidth") <= width
    context.close()


def test_search_finds_a_function(browser: Browser, address: str) -> None:
    context = browser.new_context(viewport={"width": 1400, "height": 900})
    page = context.new_page()
    page.goto(f"{address}/index.html")
    page.get_by_placeholder("Search").fill("receptive_fields")
    expect(page.locator(".md-search-result__link").first).to_be_visible(timeout=30_000)
    assert "reference/plot.html" in " ".join(
        str(link.get_attribute("href")) for link in page.locator(".md-search-result__link").all()
    )
    context.close()
