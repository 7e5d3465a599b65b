"""Networks as objects, several in one process."""

from __future__ import annotations

from tests.live.conftest import Run


def test_each_network_is_read_and_set_by_itself(run: Run) -> None:
    """Constants made for all networks are set in one of them only; numbers reach the same objects."""
    answers = run("two_networks")
    assert answers["gains"] == [9.0, 1.5, 1.5]
    assert answers["steps"] == [5, 0]
    assert answers["by number"] == answers["by object"]


def test_the_seed_is_the_networks_own(run: Run) -> None:
    assert run("seed_of", network="rate", seed=5) == 5
