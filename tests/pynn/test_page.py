"""The code of docs/pynn.md runs."""

from __future__ import annotations

import pytest

from tests.pages import blocks, run


@pytest.mark.parametrize("block", blocks("pynn.md"))
def test_a_block_runs(block, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert run(block, "pynn.md")["net"].time == 0.0
