"""The printed script on a real Slurm of one node; `make batch`."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ann_ckpt import CheckpointStore
from tests.batch.slurm import Slurm, missing, wait_for
from tests.batch.standins import LAST, LENGTH, SLOW_DISK, assert_finished, job_script, run_script

pytestmark = pytest.mark.batch

HUNGRY = """
import os
if "SLURM_RESTART_COUNT" not in os.environ:
    from ann_ckpt.demo import DemoNetwork
    _simulate = DemoNetwork.simulate
    def _eat(self, duration):
        _simulate(self, 100)
        self.food = b"x" * (1 << 30)
        _simulate(self, duration - 100)
    DemoNetwork.simulate = _eat
"""


@pytest.fixture(scope="module")
def slurm() -> Iterator[Slurm]:
    assert not missing(), f"make batch needs Debian's slurm-wlm and munge, and root; missing: {missing()}"
    folder = Path(tempfile.mkdtemp(prefix="slurm-"))
    try:
        with Slurm(folder) as running:
            yield running
    finally:
        shutil.rmtree(folder)


class Run:
    """A folder with run.py and job scripts, for one test."""

    def __init__(self, slurm: Slurm, folder: Path) -> None:
        self.slurm = slurm
        self.folder = folder
        self.count = 0

    def submit(
        self,
        *options: str,
        command: tuple[str, ...] = (sys.executable, "run.py"),
        limit: str = "10min",
        sbatch: tuple[str, ...] = (),
        **script: object,
    ) -> str:
        """Write both scripts and hand the job in."""
        self.count += 1
        (self.folder / "run.py").write_text(run_script(**({"pause": 0.02} | script)))  # type: ignore[arg-type]
        job = self.folder / f"job{self.count}.sh"
        job.write_text(job_script("slurm", "--time", limit, *options, command=command))
        return self.slurm.submit(job, *sbatch)

    def wait_for(self, name: str) -> None:
        """Wait for a file that a run makes."""
        wait_for(f"{name} in {self.said()}", (self.folder / name).exists)

    def signal(self, job: str) -> None:
        """Send what the time limit sends."""
        self.slurm.ask("scancel", "--signal=USR1", "--batch", job)

    def said(self) -> str:
        """All that the jobs printed."""
        return "".join(path.read_text() for path in sorted(self.folder.glob("*.out")))

    def finishes(self, job: str, store: str = "run.ckpt", *, restarts: int = 1, seed: int = 1) -> None:
        """The job was started again so often and has ended well, like the run that was not interrupted."""
        if restarts:
            self.slurm.start_again(job, restarts)
        assert self.slurm.ended(job) == "COMPLETED 0:0", self.said()
        assert self.slurm.field(job, "Restarts") == str(restarts)
        assert_finished(self.folder / store, seed=seed)
        assert CheckpointStore(self.folder / store).verify().ok


@pytest.fixture
def run(slurm: Slurm, tmp_path: Path) -> Run:
    return Run(slurm, tmp_path)


def test_the_time_limit_comes_and_the_job_goes_on(run: Run) -> None:
    job = run.submit("--lead", "45s", limit="2min", pause=0.25)
    for restarts in (1, 2, 3):  # the second start may be signalled, too
        run.slurm.start_again(job, restarts)
        run.slurm.wait_for(job, "COMPLETED", "PENDING")
        if run.slurm.field(job, "JobState") == "COMPLETED":
            break
    run.finishes(job, restarts=restarts)
    assert run.said().count("ann_ckpt: SIGUSR1: saved step") == restarts


@pytest.mark.parametrize("srun", ["--srun", "--no-srun"])
def test_a_signal_is_heard_with_and_without_srun(run: Run, srun: str) -> None:
    job = run.submit(srun)
    run.wait_for("run.ckpt.steps")
    run.signal(job)
    run.finishes(job)
    assert run.said().count("leaving with status 75") == 1


def test_a_job_that_is_preempted_goes_on(run: Run) -> None:
    job = run.submit("--option", "--cpus-per-task=8")
    run.wait_for("run.ckpt.steps")
    urgent = run.folder / "urgent.sh"
    urgent.write_text("#!/bin/bash\nsleep 2\n")
    other = run.slurm.submit(urgent, "--partition=urgent", "--cpus-per-task=8", "--time=1")
    assert run.slurm.ended(other) == "COMPLETED 0:0"
    run.finishes(job)
    assert "ann_ckpt: SIGTERM: saved step" in run.said()


@pytest.mark.parametrize("how", [(), ("--signal=KILL", "--full")])
def test_a_job_that_is_cancelled_in_the_middle_of_a_save_loses_nothing(
    run: Run, how: tuple[str, ...]
) -> None:
    job = run.submit(before=SLOW_DISK, length=LENGTH)
    run.wait_for("saving")
    run.wait_for("run.ckpt.steps")
    (run.folder / "saving").unlink()
    run.signal(job)
    run.wait_for("saving")
    run.slurm.ask("scancel", *how, job)
    assert run.slurm.ended(job).partition(" ")[0] in {"CANCELLED", "FAILED"}
    assert run.slurm.field(job, "Restarts") == "0"
    run.finishes(run.submit(), restarts=0)


def test_a_job_that_runs_out_of_memory_has_failed_and_goes_on_when_it_is_requeued(run: Run) -> None:
    job = run.submit("--option", "--mem=300M", before=HUNGRY)
    state = run.slurm.ended(job)
    assert state.partition(" ")[0] in {"FAILED", "OUT_OF_MEMORY", "CANCELLED"}, state
    run.slurm.ask("scontrol", "requeue", job)
    run.finishes(job)


def test_of_an_array_of_four_the_signalled_task_alone_is_requeued(run: Run) -> None:
    array = run.submit(
        "--array", "1-4", command=(sys.executable, "run.py", "{task}"), seed="int(sys.argv[1])"
    )
    run.wait_for("run-3.ckpt.steps")
    run.signal(f"{array}_3")
    run.finishes(f"{array}_3", "run-3.ckpt", seed=3)
    for n in (1, 2, 4):
        run.finishes(f"{array}_{n}", f"run-{n}.ckpt", restarts=0, seed=n)


def test_a_restart_on_another_host_takes_the_lock_over_and_says_so(run: Run) -> None:
    inner = f"hostname node-${{SLURM_RESTART_COUNT:-0}}; echo $$ > pid; exec {sys.executable} run.py"
    job = run.submit("--no-srun", command=("unshare", "-u", "bash", "-c", inner), pause=0.1)
    run.wait_for("run.ckpt.steps")
    os.kill(int((run.folder / "pid").read_text()), signal.SIGKILL)
    assert run.slurm.ended(job) == "FAILED 137:0"
    assert '"node-0"' in (run.folder / "run.ckpt" / "lock").read_text()
    run.slurm.ask("scontrol", "requeue", job)
    run.finishes(job)
    assert "on host node-0, since" in run.said()
    assert f"Slurm job {job}: this is restart 1 of the same job" in run.said()


def test_of_two_jobs_on_one_store_the_second_learns_of_the_first(run: Run) -> None:
    first = run.submit(pause=0.2)
    run.wait_for("run.ckpt.steps")
    second = run.submit("--name", "second", "--store", "run.ckpt")
    assert run.slurm.ended(second) == "FAILED 1:0"
    said = (run.folder / f"second-{second}.out").read_text()
    assert f"Slurm job {first}" in said
    assert said.index("ann_ckpt.errors.LockedError") > 0
    assert len(said.splitlines()) <= 12, said
    run.finishes(first, restarts=0)


def test_a_task_with_another_seed_does_not_go_on_in_the_store_of_the_first(run: Run) -> None:
    run.finishes(run.submit(), restarts=0)
    other = run.submit("--name", "other", "--store", "run.ckpt", seed="2")
    assert run.slurm.ended(other) == "FAILED 1:0"
    said = (run.folder / f"other-{other}.out").read_text()
    assert "seed:    1 in the checkpoint, 2 in this network" in said
    assert "another_run=True" in said
    assert_finished(run.folder / "run.ckpt")


@pytest.mark.parametrize("before", ["", "import time; time.sleep(4)"])
def test_a_signal_two_seconds_after_the_start_requeues_the_job(run: Run, before: str) -> None:
    job = run.submit("--no-srun" if before else "--srun", before=before)
    run.slurm.wait_for(job, "RUNNING")
    time.sleep(2)
    run.signal(job)
    run.finishes(job)


def test_a_signal_during_the_last_save_lets_it_finish(run: Run) -> None:
    job = run.submit(before=LAST.format(seconds=4))
    run.wait_for("last")
    run.signal(job)
    run.finishes(job)
    assert f"step {LENGTH} was saved before; leaving with status 75" in run.said()
