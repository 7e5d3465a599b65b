"""The blocks of the page on reading over a network run, against a real S3 server."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

import ann_ckpt

PAGE = Path(__file__).parents[2] / "docs" / "remote.md"
BLOCKS = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("block", range(len(BLOCKS)))
def test_a_block_of_the_page_runs(block, bucket, folder, tmp_path, monkeypatch):
    shutil.copytree(folder / "run.ckpt", tmp_path / "run.ckpt")
    monkeypatch.chdir(tmp_path)
    assert PAGE.name == "remote.md"
    code = BLOCKS[block].replace("s3://bucket", bucket)
    exec(compile(code, "remote.md", "exec"), {"ann_ckpt": ann_ckpt})
