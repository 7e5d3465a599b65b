"""The code of docs/nest.md runs."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

PAGE = (Path(__file__).parents[2] / "docs" / "nest.md").read_text()
BLOCKS = re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("block", BLOCKS)
def test_a_block_runs(block, tmp_path, monkeypatch, kernel, capsys):
    """Each is a script of its own."""
    monkeypatch.chdir(tmp_path)
    names = {"__name__": "script"}
    exec(compile(block, "nest.md", "exec"), names)
    assert names["net"].time in (100.0, 110.0, 150.0)
