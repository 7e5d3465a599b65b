"""Published models, saved and resumed in a process of their own, into other random draws.

All of them run under ``make models``, those of one time step in one network; two in every run of the tests.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import ann_ckpt
from ann_ckpt import NetworkState
from ann_ckpt.reports import ResumeReport
from tests.models.models import (
    FOUND,
    MODELS,
    NAMES,
    SHORT,
    STEPS,
    TOGETHER,
    check_that_all_moved,
    doubtful,
    model_of,
    times_of,
)

SAMPLE = ("gap_junctions", "hybrid")
RACING = {"short_term_plasticity"}
"""Models with a delay for each spiking synapse, which two threads do not run twice in the same way."""
RACE = "which thread comes first, by which two uninterrupted runs differ too"

pytestmark = [pytest.mark.annarchy, pytest.mark.usefixtures("quick")]


def together(dt: float, folder: Path, build: str = "build", **more: Any) -> tuple[ResumeReport, NetworkState]:
    """Save and resume all models of a step; return the report and what was saved."""
    at, duration = times_of(dt)
    names = [name for step, name in FOUND if float(step) == dt]
    report = ann_ckpt.verify_resume(
        f"{TOGETHER}:{build}",
        at=at,
        duration=duration,
        arguments={"dt": dt, "names": names, **more},
        other={"seed": 2},
        directory=folder,
    )
    saved, ended = (ann_ckpt.read(folder / f"{which}.h5") for which in ("saved", "ended"))
    if build == "build":
        check_that_all_moved(saved, ended)
    else:  # what a schedule shows may be the same at both times, and where it stands cannot be seen
        assert set(names) <= {model_of(path) for path in ann_ckpt.differences(saved, ended)}
    return report, saved


def differing(report: ResumeReport) -> set[str]:
    """Return the models of which something is not the same."""
    return {model_of(note.path) for note in (*report.differing, *report.unsteady, *report.lost)}


@pytest.mark.parametrize("name", SAMPLE)
def test_a_published_model_resumes_exactly(name: str, tmp_path: Path) -> None:
    report = ann_ckpt.verify_resume(
        f"{MODELS}:{name}", at=22.0, duration=33.0, other={"seed": 2}, directory=tmp_path
    )
    assert report.ok, report
    assert report.notes == ()
    saved, ended = (ann_ckpt.read(tmp_path / f"{which}.h5") for which in ("saved", "ended"))
    assert doubtful(saved) == {}
    check_that_all_moved(saved, ended)


@pytest.mark.parametrize("dt", STEPS)
@pytest.mark.models
def test_all_models_of_a_step_resume_exactly(dt: float, tmp_path: Path) -> None:
    recording = dt in SHORT
    report, saved = together(dt, tmp_path, recording=recording)
    assert report.ok, report
    assert report.notes == ()
    assert doubtful(saved) == {}
    of = {one.of for one in saved.recordings.values()}
    assert not recording or of == {f"populations/{name}" for name in saved.populations}


@pytest.mark.parametrize("dt", SHORT)
@pytest.mark.models
def test_two_threads_in_single_precision_are_exact_where_they_do_not_race(dt: float, tmp_path: Path) -> None:
    report, saved = together(dt, tmp_path, threads=2, single=True)
    said = doubtful(saved)
    assert differing(report) <= set(said), report
    assert set(said) == RACING & {model_of(f"populations/{name}") for name in saved.populations}
    assert all(reasons == {RACE} for reasons in said.values()), said


@pytest.mark.parametrize("dt", STEPS)
@pytest.mark.models
def test_without_instrumentation_what_is_called_exact_is(dt: float, tmp_path: Path) -> None:
    report, saved = together(dt, tmp_path, "plain")
    assert differing(report) <= set(doubtful(saved)), report


def test_the_sample_is_among_the_models() -> None:
    assert set(SAMPLE) <= set(NAMES)
    assert len(NAMES) >= 15
