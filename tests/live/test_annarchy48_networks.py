"""The one global network, and those copied from it."""

from __future__ import annotations

from pathlib import Path

from tests.live.conftest import Run


def test_the_global_network_and_a_copy_are_two(run: Run) -> None:
    answers = run("global_and_copy")
    assert answers["steps"] == [5, 0]
    assert answers["by number"] == answers["by object"] == 0
    assert answers["rates differ"]


def test_the_seed_is_the_one_that_was_set(run: Run) -> None:
    assert run("seed_of", network="rate", seed=5) == 5


def test_a_constant_that_was_changed_in_vain_is_named(run: Run, tmp_path: Path) -> None:
    """``Constant.set`` does not reach the global network; loading does."""
    before, after, loaded = run("constant_changed", network="rate", saved=str(tmp_path / "net.h5"))
    assert before == loaded == ""
    assert "approximate: whether Constant.set of gain reached the network" in after
