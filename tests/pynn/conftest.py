"""Tests of PyNN, collected where it is installed; ``make test-nest`` makes such an environment."""

from __future__ import annotations

import importlib.util
import os
import warnings
from importlib import import_module
from pathlib import Path

import pytest

BACKENDS = ("nest", "neuron", "brian2")
"""With the simulators that they need; the environment of NEST has all of them."""

if importlib.util.find_spec("pyNN") is None:
    if os.environ.get("ANN_CKPT_NEEDS_NEST"):
        raise pytest.UsageError("this environment was made for PyNN, and it is not installed")
    collect_ignore_glob = ["test_*.py"]
else:
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    with warnings.catch_warnings():
        # They want mpi4py, or a compiler that is not here, and say so.
        warnings.simplefilter("ignore")
        SIMULATORS = {name: import_module(f"pyNN.{name}") for name in BACKENDS}
        import brian2

        brian2.prefs.codegen.target = "numpy"
        for each in SIMULATORS.values():
            each.setup(timestep=0.1)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """PyNN calls what its simulators call outdated."""
    here = Path(__file__).parent
    for item in items:
        if item.path.parent == here:
            for kind in ("UserWarning", "DeprecationWarning", "FutureWarning"):
                item.add_marker(pytest.mark.filterwarnings(f"ignore::{kind}"))


@pytest.fixture(params=BACKENDS)
def sim(request):
    """A backend, set up with nothing in it."""
    found = SIMULATORS[request.param]
    prepare(found)
    return found


@pytest.fixture
def others(sim):
    """The other backends."""
    return [one for one in SIMULATORS.values() if one is not sim]


def prepare(sim) -> None:
    quiet = {"verbosity": "error"} if sim.__name__ == "pyNN.nest" else {}
    sim.setup(timestep=0.1, min_delay=0.2, max_delay=6.0, **quiet)
