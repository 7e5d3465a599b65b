"""The code of docs/brian2.md runs."""

from __future__ import annotations

import pytest

from tests.pages import blocks, run


@pytest.mark.parametrize("block", blocks("brian2.md"))
def test_a_block_runs(block, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert run(block, "brian2.md")["net"].t_ == 0.1
