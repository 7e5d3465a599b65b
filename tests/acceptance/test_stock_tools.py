"""Stock HDF5 tools, knowing nothing of this package, print what it wrote."""

from __future__ import annotations

import re
import subprocess

import numpy as np
import pytest

import ann_ckpt
from tests.golden.networks import complete


def tool(*command: object) -> str:
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert not re.search(r"(?i)error|unable", done.stderr), done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    path = tmp_path_factory.mktemp("stock") / "net.h5"
    ann_ckpt.write(complete(), path)
    return path


def test_h5ls_shows_the_hierarchy(path):
    listed = tool("h5ls", "-r", path)
    for line in (
        r"/populations/layer/variables/r\s+Dataset \{200\}",
        r"/projections/dense/pre_ranks\s+Dataset \{40000\}",
        r"/projections/dense/variables/w\s+Dataset \{40000\}",
    ):
        assert re.search(line, listed)


def test_h5dump_prints_the_whole_file(path):
    assert "FAILED" not in tool("h5dump", path)


def test_h5dump_prints_the_values(path):
    printed = tool("h5dump", "-y", "-w", "40", "-m", "%.17g", "-d", "/projections/dense/variables/w", path)
    values = re.search(r"DATA \{(.*?)\}", printed, re.DOTALL).group(1)
    found = np.array([float(v) for v in values.replace(",", " ").split()])
    assert np.array_equal(found, complete().projections["dense"]["w"])


def test_h5dump_names_the_single_parameters(path):
    printed = tool("h5dump", "-d", "/projections/one weight/global_parameters", path)
    assert '"w"' in printed
    assert re.search(r"\{\s*2\s*\}", printed)
