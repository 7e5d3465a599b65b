"""What a process knows of the batch job that it runs in."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ann_ckpt.errors import OptionError
from ann_ckpt.store.owners import job as jobs
from ann_ckpt.store.owners.job import END, Job, duration, seconds_left

SLURM = {"SLURM_JOB_ID": "43", "SLURM_ARRAY_JOB_ID": "40", "SLURM_ARRAY_TASK_ID": "3"}


@pytest.fixture(autouse=True)
def _outside(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Outside of any job, and without any batch system."""
    for name in (
        *SLURM,
        "SLURM_RESTART_COUNT",
        "SLURM_JOB_END_TIME",
        END,
        "PBS_JOBID",
        "LSB_JOBID",
        "JOB_ID",
    ):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")


def command(folder: Path, name: str, text: str) -> None:
    (folder / name).write_text(f"#!/bin/sh\n{text}\n")
    (folder / name).chmod(0o755)


@pytest.mark.parametrize(
    ("environment", "expected", "lookup"),
    [
        ({}, None, ""),
        ({"SLURM_JOB_ID": "7"}, Job("slurm", "7", None, 0), "squeue -j 7"),
        (SLURM | {"SLURM_RESTART_COUNT": "2"}, Job("slurm", "40_3", "3", 2), "squeue -j 40_3"),
        (
            {"PBS_JOBID": "7[2].host", "PBS_ARRAY_INDEX": "2"},
            Job("pbs", "7[2].host", "2", 0),
            "qstat '7[2].host'",
        ),
        (
            {"JOB_ID": "7", "SGE_TASK_ID": "undefined", "RESTARTED": "1"},
            Job("sge", "7", None, 1),
            "qstat -j 7",
        ),
        ({"JOB_ID": "7", "SGE_TASK_ID": "2"}, Job("sge", "7.2", "2", 0), "qstat -j 7.2"),
        ({"JOB_ID": "7"}, None, ""),
        ({"LSB_JOBID": "7", "LSB_JOBINDEX": "0"}, Job("lsf", "7", None, 0), "bjobs 7"),
        ({"LSB_JOBID": "7", "LSB_JOBINDEX": "2"}, Job("lsf", "7[2]", "2", 0), "bjobs '7[2]'"),
    ],
)
def test_each_system_says_it_in_its_own_way(
    environment: dict[str, str], expected: Job | None, lookup: str
) -> None:
    found = Job.current(environment)
    assert found == expected
    if found is not None:
        assert found.lookup == lookup
        assert Job.from_dict(json.loads(json.dumps(found.to_dict()))) == found


def test_pbs_is_asked_how_often_it_has_started_a_job(tmp_path: Path) -> None:
    jobs._pbs_restarts.cache_clear()
    command(tmp_path, "qstat", "echo '    run_count = 3'")
    assert Job.current({"PBS_JOBID": "8.host"}) == Job("pbs", "8.host", None, 2)
    jobs._pbs_restarts.cache_clear()


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda s: st.lists(s) | st.dictionaries(st.sampled_from(["system", "id", "task", "restart"]), s),
    )
)
def test_anything_may_stand_in_a_lock_file(found: object) -> None:
    made = Job.from_dict(found)
    assert made is None or made.name.isprintable()


def test_a_job_replaces_only_its_own_earlier_starts() -> None:
    job = Job("slurm", "7", None, 1)
    assert job.replaces(Job("slurm", "7", None, 0))
    for other in (
        None,
        job,
        Job("slurm", "7", None, 2),
        Job("slurm", "8", None, 0),
        Job("pbs", "7", None, 0),
    ):
        assert not job.replaces(other)


@pytest.mark.parametrize(
    ("told", "seconds"),
    [
        ("1-02:03:04", 93784),
        ("2:03:04", 7384),
        ("3:04", 184),
        ("UNLIMITED", None),
        ("INVALID", None),
        ("", None),
    ],
)
def test_slurm_is_asked_for_the_time_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, told: str, seconds: float | None
) -> None:
    command(tmp_path, "squeue", f'[ "$3" = 7 ] && echo "{told}"')
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    assert seconds_left() == seconds


def test_the_environment_knows_where_the_system_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    assert seconds_left() is None
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    monkeypatch.setenv("SLURM_JOB_END_TIME", str(time.time() + 500))
    assert seconds_left() == pytest.approx(500, abs=60)
    monkeypatch.setenv(END, str(time.time() + 900))
    assert seconds_left() == pytest.approx(900, abs=60)
    monkeypatch.setenv(END, "nonsense")
    assert seconds_left() == pytest.approx(500, abs=60)


def test_pbs_and_lsf_are_asked_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    command(
        tmp_path,
        "qstat",
        "echo '  Resource_List.walltime = 10:00:00'; echo '  resources_used.walltime = 01:00:01'",
    )
    command(tmp_path, "bjobs", "echo '0:30 L'")
    monkeypatch.setenv("LSB_JOBID", "7")
    assert seconds_left() == 1800
    monkeypatch.setenv("PBS_JOBID", "9.host")
    assert seconds_left() == 9 * 3600 - 1


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("24:00:00", 86400),
        ("1-00:00:01", 86401),
        ("90min", 5400),
        ("2.5 h", 9000),
        ("1d", 86400),
        (12.5, 12.5),
    ],
)
def test_durations_have_a_unit(text: str | float, seconds: float) -> None:
    assert duration(text) == seconds


@pytest.mark.parametrize(
    "text",
    ["", "90", "10:00", "1-00:00", "-1h", "0s", "h", 0, -1.0, float("nan"), float("inf"), [1], None, True],
)
def test_what_could_mean_several_is_no_duration(text: object) -> None:
    with pytest.raises(OptionError, match="is not a duration"):
        duration(text)  # type: ignore[arg-type]
