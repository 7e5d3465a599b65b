"""The conformance suite on real networks."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from ann_ckpt.testing import SimulatorSuite
from tests.live.conftest import Run, once

TESTS = sorted(name for name in dir(SimulatorSuite) if name.startswith("test_"))


@pytest.fixture(scope="session")
def results(run: Run) -> Callable[[str], dict[str, str]]:
    return once(lambda network: run("conform", network=network))


@pytest.mark.parametrize("test", TESTS)
@pytest.mark.parametrize("network", ["rate", "spike", "delays", "single"])
def test_annarchy_conforms(results: Callable[[str], dict[str, str]], network: str, test: str) -> None:
    assert not results(network)[test], results(network)[test]
