"""``verify-resume`` names each thing that a load leaves out, and each that is changed behind a file's back.

All of it runs under ``make models``, a part in every run of the tests.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

from tests.live.conftest import Run, once

NETWORKS = ("growing", "inputs", "spike")


@pytest.fixture(scope="session")
def checked(run: Run) -> Callable[[str], dict[str, Any]]:
    """Leave out all of a network, one after the other, and change all that there is to be changed."""
    return once(lambda network: run("left_out_jobs.checked", network=network, left_out=None, changed=None))


def names_member(answer: dict[str, Any], name: str) -> bool:
    """Whether the check failed and named a member, the lengths of whose lists have a name of their own.

    A load that is refused says why.
    """
    found = {path.rpartition("/")[2].removesuffix(".sizes") for path in answer["named"]}
    refused = not found and f"its {name} is " in answer["said"]
    return not answer["ok"] and (name in found or refused)


def names_owner(answer: dict[str, Any], owner: str) -> bool:
    return not answer["ok"] and any(path.startswith(f"{owner}/") for path in answer["named"])


def test_some_that_are_left_out_or_changed_are_named(run: Run) -> None:
    left_out, changed = ["_pruning_period", "_update", "_sum_exc", "rng"], ["a synapse"]
    answers = run("left_out_jobs.checked", network="growing", left_out=left_out, changed=changed)
    assert answers["nothing"]["ok"], answers["nothing"]
    assert [n for n in left_out if not names_member(answers["left out"][n], n)] == []
    assert "as soon as it is loaded" in answers["left out"]["_sum_exc"]["said"]
    assert names_owner(answers["changed"]["a synapse"], answers["of"]["a synapse"])


@pytest.mark.models
@pytest.mark.parametrize("network", NETWORKS)
def test_nothing_is_named_where_nothing_goes_wrong(checked: Callable[[str], Any], network: str) -> None:
    assert checked(network)["nothing"]["named"] == []


@pytest.mark.models
def test_each_member_that_is_left_out_is_named(checked: Callable[[str], Any]) -> None:
    """Each that the adapter keeps: one that joins them needs a network here in which it can be missed."""
    named = {
        name
        for network in NETWORKS
        for name, answer in checked(network)["left out"].items()
        if names_member(answer, name)
    }
    members = checked(NETWORKS[0])["members"]
    assert [m for m in members if not any(re.fullmatch(m, n) for n in named)] == []


@pytest.mark.models
@pytest.mark.parametrize("network", NETWORKS)
def test_each_change_behind_the_back_of_a_file_is_named(checked: Callable[[str], Any], network: str) -> None:
    answers = checked(network)
    unseen = [w for w, answer in answers["changed"].items() if not names_owner(answer, answers["of"][w])]
    assert unseen == []
