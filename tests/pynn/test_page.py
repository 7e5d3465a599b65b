"""The code of docs/pynn.md runs."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

PAGE = (Path(__file__).parents[2] / "docs" / "pynn.md").read_text()
BLOCKS = re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("block", BLOCKS)
def test_a_block_runs(block, tmp_path, monkeypatch):
    """Each is a script of its own."""
    monkeypatch.chdir(tmp_path)
    names = {"__name__": "script"}
    exec(compile(block, "pynn.md", "exec"), names)
    assert names["net"].time == 0.0
