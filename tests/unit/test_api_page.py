"""docs/api.md names everything public, as the code has it now."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

import ann_ckpt
from docs import api


def entries(page: str) -> list[str]:
    """The lines of a page up to the words on each entry: names, signatures, results."""
    return [line.split("`: ")[0] for line in page.splitlines() if line.lstrip().startswith(("- ", "## "))]


def test_the_page_has_the_names_and_signatures_of_the_code() -> None:
    assert entries(api.PAGE.read_text()) == entries(api.page()), "`make api` writes the page anew"


@pytest.mark.parametrize("name", api.MODULES)
def test_every_public_name_has_its_line(name: str) -> None:
    section = api.page().split(f"\n## {name}\n")[1].split("\n## ")[0]
    for public in api.public_names(importlib.import_module(name)):
        assert any(f"`{public}" in line for line in section.splitlines() if line.startswith("- ")), public


def test_builtins_that_are_public_are_named_too() -> None:
    assert "open" in api.public_names(ann_ckpt)
    assert "compile" in api.public_names(ann_ckpt.annarchy)


def test_the_readme_leads_to_the_page() -> None:
    assert "(docs/api.md)" in (Path(api.__file__).parent.parent / "README.md").read_text()
