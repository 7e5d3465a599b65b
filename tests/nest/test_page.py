"""The code of docs/nest.md runs."""

from __future__ import annotations

import pytest

from tests.pages import blocks, run


@pytest.mark.usefixtures("kernel")
@pytest.mark.parametrize("block", blocks("nest.md"))
def test_a_block_runs(block, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert run(block, "nest.md")["net"].time in (100.0, 110.0, 150.0)
