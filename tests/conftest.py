"""Settings shared by all tests."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# Short and the same every time; `--hypothesis-profile=long` searches for new examples.
settings.register_profile("ci", max_examples=60, derandomize=True, deadline=None)
settings.register_profile(
    "long", max_examples=2000, deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("ci")

# A shell that starts something in the background ignores Ctrl-C for it; tests send themselves one.
signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--rounds",
        type=int,
        default=1,
        metavar="N",
        help="run the tests marked torture and fuzz with N times as many kills and mutants",
    )
    parser.addoption(
        "--calls",
        type=int,
        default=1,
        metavar="N",
        help="inject each fault at N system calls of each operation, spread evenly; 0 for every call",
    )
    parser.addoption(
        "--bits",
        default="1/1",
        metavar="K/N",
        help="flip the K-th of N shares of all bits, so that several runs together flip each",
    )
    parser.addoption(
        "--soak",
        type=float,
        default=5.0,
        metavar="SECONDS",
        help="how long one saves, one prunes and others read in tests/store/test_soak.py",
    )


@pytest.fixture(scope="session")
def rounds(pytestconfig: pytest.Config) -> int:
    """How many times the usual number of kills or mutants to try."""
    return int(pytestconfig.getoption("--rounds"))


@pytest.fixture(scope="session")
def calls(pytestconfig: pytest.Config) -> int | None:
    """At how many system calls of each operation a fault is injected; None for every one."""
    return int(pytestconfig.getoption("--calls")) or None


@pytest.fixture(scope="session")
def share(pytestconfig: pytest.Config) -> slice:
    """Which of all batches of bits this run flips."""
    number, of = map(int, str(pytestconfig.getoption("--bits")).split("/"))
    return slice(number - 1, None, of)


def pytest_ignore_collect(collection_path: Path) -> bool | None:
    """Look for doctests in the package only: what helps the tests may need a simulator to be imported."""
    helper = collection_path.suffix == ".py" and not collection_path.name.startswith("test_")
    return True if helper else None
