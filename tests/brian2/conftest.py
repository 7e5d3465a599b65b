"""Tests of Brian2, collected where it is installed; ``make test-brian2`` makes such environments."""

from __future__ import annotations

import importlib.util
import os
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

if importlib.util.find_spec("brian2") is None:
    if os.environ.get("ANN_CKPT_NEEDS_BRIAN2"):
        raise pytest.UsageError("this environment was made for Brian2, and it is not installed")
    collect_ignore_glob = ["test_*.py"]
else:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what it says when it is imported is its own business
        import brian2


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Do not take Brian2's own use of other packages for errors of ours."""
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.filterwarnings(r"ignore:::(brian2|pyparsing|numpy|sympy)\b"))


@pytest.fixture(autouse=True)
def numpy_code() -> Iterator[None]:
    """Run without a compiler, quietly, unless a test asks for one, in steps of 0.1 ms."""
    brian2.prefs.codegen.target = "numpy"
    brian2.BrianLogger.log_level_error()
    brian2.defaultclock.dt = 0.1 * brian2.ms
    yield
    brian2.defaultclock.dt = 0.1 * brian2.ms
