"""docs/glossary.md defines each term once, and the documents use the terms."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
GLOSSARY = (ROOT / "docs" / "glossary.md").read_text()
TERMS = re.findall(r"^\*\*(.+?)\*\*:", GLOSSARY, re.MULTILINE)
OTHERS = [ROOT / "README.md", *(p for p in sorted((ROOT / "docs").glob("*.md")) if p.name != "glossary.md")]
LINKING = [page for page in OTHERS if "glossary.md" in page.read_text()]


def test_each_term_is_defined_once() -> None:
    assert TERMS
    assert len(set(TERMS)) == len(TERMS)
    assert GLOSSARY.count("**") == 2 * len(TERMS), "bold is for the terms that are defined"


def test_each_term_occurs_in_a_document_that_links_to_the_glossary() -> None:
    text = " ".join(" ".join(page.read_text().lower().split()) for page in LINKING)
    assert [term for term in TERMS if term not in text] == []


def test_the_readme_and_the_specifications_link_to_it() -> None:
    linking = {page.name for page in LINKING}
    assert {
        "README.md",
        "architecture.md",
        "exact-resume.md",
        "format.md",
        "simulators.md",
        "store.md",
    } <= linking


def test_a_range_of_entries_is_called_by_the_words_of_the_glossary() -> None:
    for page in OTHERS:
        if page.name not in ("benchmarks.md", "parameters.md"):
            assert re.findall(r"\bstretch(?:es)?\b", page.read_text()) == [], page
