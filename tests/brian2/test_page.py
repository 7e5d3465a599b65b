"""The code of docs/brian2.md runs."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

PAGE = (Path(__file__).parents[2] / "docs" / "brian2.md").read_text()
BLOCKS = re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("block", BLOCKS)
def test_a_block_runs(block, tmp_path, monkeypatch):
    """Each is a script of its own; the page is "brian2.md"."""
    monkeypatch.chdir(tmp_path)
    names = {"__name__": "script"}
    exec(compile(block, "brian2.md", "exec"), names)
    assert names["net"].t_ == 0.1
