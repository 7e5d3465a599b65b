"""Published models, saved and resumed in a process of their own, into other random draws.

All of them run under ``make models``, those of one time step in one network; two in every run of the tests.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

import ann_ckpt
from ann_ckpt import NetworkState
from ann_ckpt.cli.verify import verify_resume_command
from ann_ckpt.reports import ResumeReport
from tests.models.models import (
    FOUND,
    MODELS,
    NAMES,
    STEPS,
    TOGETHER,
    check_that_all_moved,
    doubtful,
    model_of,
    times_of,
)

SAMPLE = ("gap_junctions", "hybrid")
ONE_THREAD = {"bold", "hybrid"}
"""Models that 5.0.4.1 does not compile for more: BOLD monitors, and correlated trains."""
RACING = {"short_term_plasticity", "structural_plasticity"}
"""Models that two threads do not run twice in the same way: a delay for each spiking synapse, synapses that
come and go by chance."""
RACE = "which thread comes first, by which two uninterrupted runs differ too"

EXACT: dict[str, dict[str, Any]] = {"in double precision": {}, "in single precision": {"single": True}}

pytestmark = [pytest.mark.annarchy, pytest.mark.usefixtures("quick")]


def of_step(dt: float, *, without: set[str] | None = None) -> list[str]:
    """Return the models of a step."""
    return [name for step, name in FOUND if float(step) == dt and name not in (without or set())]


def together(
    names: list[str], dt: float, folder: Path, build: str = "build", **more: Any
) -> tuple[ResumeReport, NetworkState]:
    """Save and resume models of a step; return the report and what was saved."""
    at, duration = times_of(dt)
    report = ann_ckpt.verify_resume(
        f"{TOGETHER}:{build}",
        at=at,
        duration=duration,
        arguments={"dt": dt, "names": names, **more},
        other={"seed": 2},
        directory=folder,
    )
    saved, ended = (ann_ckpt.read(folder / f"{which}.h5") for which in ("saved", "ended"))
    check_that_all_moved(saved, ended)
    if build == "build":
        of = {one.of for one in saved.recordings.values()}
        assert of == {f"populations/{name}" for name in saved.populations}
    return report, saved


def differing(report: ResumeReport) -> set[str]:
    """Return the models of which something is not the same."""
    notes = (*report.differing, *report.unsteady, *report.lost)
    # A monitor has the name of what it records.
    return {model_of(note.path.replace("recordings/", "populations/", 1)) for note in notes}


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


@pytest.mark.parametrize("how", EXACT)
@pytest.mark.parametrize("dt", STEPS)
@pytest.mark.models
def test_all_models_of_a_step_resume_exactly(dt: float, how: str, tmp_path: Path) -> None:
    report, saved = together(of_step(dt), dt, tmp_path, **EXACT[how])
    assert report.ok, report
    assert report.notes == ()
    assert doubtful(saved) == {}


@pytest.mark.parametrize("dt", STEPS)
@pytest.mark.models
def test_two_threads_are_exact_where_they_do_not_race(dt: float, tmp_path: Path) -> None:
    names = of_step(dt, without=ONE_THREAD)
    report, saved = together(names, dt, tmp_path, threads=2)
    said = doubtful(saved)
    assert differing(report) <= set(said), report
    assert set(said) == RACING & set(names)
    assert all(reasons == {RACE} for reasons in said.values()), said


@pytest.mark.parametrize("dt", STEPS)
@pytest.mark.models
def test_without_instrumentation_what_is_called_exact_is(dt: float, tmp_path: Path) -> None:
    report, saved = together(of_step(dt), dt, tmp_path, "plain")
    assert differing(report) <= set(doubtful(saved)), report


@pytest.mark.models
def test_another_number_of_threads_resumes_exactly() -> None:
    """Saved with each and resumed with each; a hundred neurons are enough for ANNarchy to share them."""
    given = [f"{MODELS}:coba", "--at", "22ms", "--for", "33ms", "--matrix", "num_threads=1,2", "--json"]
    result = CliRunner().invoke(verify_resume_command, given, standalone_mode=False)
    assert result.return_value == 0, result.output
    found = json.loads(result.output)
    assert [one["how"] for one in found] == [
        f"built with num_threads={saved} then {resumed}" for saved in (1, 2) for resumed in (1, 2)
    ]
    assert [one["notes"] for one in found] == [[]] * 4


def test_the_sample_is_among_the_models() -> None:
    assert set(SAMPLE) <= set(NAMES)
    assert len(NAMES) >= 15
