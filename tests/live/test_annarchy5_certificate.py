"""A file says that resuming is exact only where it is, and the reports say what the file says."""

from __future__ import annotations

from typing import Any

import pytest

import ann_ckpt
from ann_ckpt import Exactness, NetworkState
from tests.live.conftest import Run

OWN = "whatever a Own keeps beside its attributes"
KEPT = "the second number that its normal distributions keep for the next draw"


@pytest.fixture(scope="session")
def plain(run: Run, tmp_path_factory: pytest.TempPathFactory) -> tuple[NetworkState, dict[str, Any]]:
    """Compiled as usual, saved with a barrier."""
    saved = tmp_path_factory.mktemp("plain") / "saved.h5"
    report = run("certificate_jobs.certificates", saved=str(saved))
    return ann_ckpt.read(saved), report


@pytest.fixture(scope="session")
def seen(run: Run, tmp_path_factory: pytest.TempPathFactory) -> tuple[NetworkState, dict[str, Any]]:
    """The same with the instrumentation."""
    saved = tmp_path_factory.mktemp("seen") / "saved.h5"
    report = run("certificate_jobs.instrumented_certificates", saved=str(saved))
    return ann_ckpt.read(saved), report


Case = tuple[NetworkState, dict[str, Any]]


def test_each_hidden_thing_is_named(plain: Case) -> None:
    state, _ = plain
    generator = "the state of the random generator"
    populations = {name: p.resume.reasons for name, p in state.populations.items()}
    assert populations == {
        "a": (),
        "b": (),
        "cells": ("the spikes of the last step", "when each neuron spiked last (t_last)"),
        "own": (OWN,),
    }
    projections = {name: p.resume.reasons for name, p in state.projections.items()}
    assert projections == {
        "jitter": (generator, KEPT),
        "late": ("when its neurons spiked last (t_pre, t_post)",),
    }


def test_no_barrier_makes_up_for_a_number_that_a_distribution_keeps(plain: Case) -> None:
    state, _ = plain
    assert state.projections["jitter"].resume.exactness is Exactness.APPROXIMATE
    assert state.resume.exactness is Exactness.RESEEDED


def test_what_the_instrumentation_shows_is_exact_and_a_class_of_the_users_is_not(seen: Case) -> None:
    state, _ = seen
    owners = {f"populations/{n}": p for n, p in state.populations.items()}
    owners |= {f"projections/{n}": p for n, p in state.projections.items()} | {"": state}
    said = {path: owner.resume.reasons for path, owner in owners.items() if owner.resume.reasons}
    assert said == {"populations/own": (OWN,)}


@pytest.mark.parametrize("case", ["plain", "seen"])
def test_the_report_says_what_the_file_says(case: str, request: pytest.FixtureRequest) -> None:
    state, report = request.getfixturevalue(case)
    owners = {f"populations/{n}": p for n, p in state.populations.items()}
    owners |= {f"projections/{n}": p for n, p in state.projections.items()} | {"": state}
    doubts = {p: o.resume for p, o in owners.items() if o.resume.exactness is Exactness.APPROXIMATE}
    expected = {path: f"resuming is {resume}" for path, resume in doubts.items()}
    assert {note["path"]: note["text"] for note in report["skipped"]} == expected


@pytest.mark.parametrize("case", ["plain", "seen"])
def test_a_network_whose_code_was_taken_over_by_its_copy_is_refused(
    case: str, request: pytest.FixtureRequest
) -> None:
    """Its clock goes on with the copy, and its values stand still."""
    _, report = request.getfixturevalue(case)
    copied = report["copied"]
    assert len(copied["refused"]) == 2
    assert all("Network.copy()" in text for text in copied["refused"])
    assert not copied["written"]
    assert copied["same"]
