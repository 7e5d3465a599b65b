"""Tests of NEST, collected where it is installed; ``make test-nest`` makes such an environment."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterator

import pytest

if importlib.util.find_spec("nest") is None:
    if os.environ.get("ANN_CKPT_NEEDS_NEST"):
        raise pytest.UsageError("this environment was made for NEST, and it is not installed")
    collect_ignore_glob = ["test_*.py"]
else:
    # Threads that wait for each other in a loop take the machine from everybody.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    import nest


def quiet() -> None:
    nest.ResetKernel()
    nest.verbosity = nest.VerbosityLevel.ERROR


@pytest.fixture
def kernel() -> Iterator[None]:
    """An empty kernel, before and after."""
    quiet()
    yield
    quiet()
