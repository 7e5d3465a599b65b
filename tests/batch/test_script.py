"""The script that ``ann-ckpt batch-script`` prints, run with stand-ins for Slurm's commands."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import example, given, settings
from hypothesis import strategies as st

import ann_ckpt
from ann_ckpt.cli.batch_script import batch_script
from ann_ckpt.demo import DemoNetwork
from ann_ckpt.errors import OptionError
from tests.batch.standins import (
    LAST,
    PAGE,
    SLOW_DISK,
    Jobs,
    assert_finished,
    blocks,
    ended,
    job_script,
    run_script,
    stop,
)

SYSTEMS = ("slurm", "pbs", "sge", "lsf")
MINUTES = ("slurm", "--time", "10min")


@pytest.fixture
def jobs(tmp_path: Path) -> Jobs:
    return Jobs(tmp_path)


def printed(*arguments: str) -> str:
    """What the command prints, in this process."""
    answer = CliRunner().invoke(batch_script, arguments, catch_exceptions=False)
    assert answer.exit_code == 0, answer.output
    return answer.output


def test_the_page_shows_what_the_command_in_it_prints() -> None:
    (line,) = (line for line in PAGE.splitlines() if line.startswith("    ann-ckpt batch-script slurm"))
    arguments = shlex.split(line.partition(">")[0])[2:]
    assert [block for block in blocks("bash") if "SBATCH" in block] == [printed(*arguments)]


def test_a_job_that_is_signalled_saves_is_requeued_and_ends_as_if_it_had_not_been(jobs: Jobs) -> None:
    jobs.write("run.py", run_script(pause=0.005))
    script = job_script(*MINUTES)
    job = jobs.start(script)
    jobs.wait_for_steps(job)
    assert stop(job)[0] == 75
    assert jobs.requeued == ["requeue 7"]
    assert ended(jobs.start(script, SLURM_RESTART_COUNT="1"))[0] == 0
    assert jobs.requeued == ["requeue 7"]
    assert_finished(jobs.folder / "run.ckpt")


def test_one_task_of_an_array_is_requeued_alone(jobs: Jobs) -> None:
    jobs.write("run.py", run_script(seed="int(sys.argv[1])", pause=0.005))
    script = job_script(*MINUTES, "--array", "1-4", command=(sys.executable, "run.py", "{task}"))
    numbers = {"SLURM_ARRAY_JOB_ID": "40"}
    tasks = [
        jobs.start(script, SLURM_JOB_ID=str(40 + n), SLURM_ARRAY_TASK_ID=str(n), **numbers)
        for n in (1, 2, 3, 4)
    ]
    jobs.wait_for_steps(tasks[2], "run-3.ckpt")
    tasks[2].send_signal(signal.SIGUSR1)
    assert [ended(task)[0] for task in tasks] == [0, 0, 75, 0]
    assert jobs.requeued == ["requeue 40_3"]
    again = jobs.start(script, SLURM_JOB_ID="43", SLURM_ARRAY_TASK_ID="3", SLURM_RESTART_COUNT="1", **numbers)
    assert ended(again)[0] == 0
    for n in (1, 2, 3, 4):
        assert_finished(jobs.folder / f"run-{n}.ckpt", seed=n)


def test_a_signal_at_the_very_end_of_the_run_changes_no_status_but_to_start_it_again(jobs: Jobs) -> None:
    lines = "for i in range(20):\n    os.kill(os.getppid(), signal.SIGUSR1)\n"
    jobs.write(
        "run.py", f"import os, signal\nsignal.signal(signal.SIGUSR1, signal.SIG_IGN)\n{lines}os._exit(3)\n"
    )
    script = job_script(*MINUTES)
    statuses = [ended(jobs.start(script))[0] for _ in range(3)]
    assert set(statuses) <= {3, 75}
    assert len(jobs.requeued) == statuses.count(75)


@pytest.mark.parametrize("ending", ["sys.exit(3)", "os.kill(os.getpid(), signal.SIGKILL)", "sys.exit(75)"])
def test_the_status_of_the_run_is_the_status_of_the_job(jobs: Jobs, ending: str) -> None:
    jobs.write("run.py", f"import os, signal, sys\n{ending}\n")
    status, _ = ended(jobs.start(job_script(*MINUTES)))
    assert status == {"sys.exit(3)": 3, "sys.exit(75)": 75}.get(ending, 137)
    assert jobs.requeued == []


def test_a_signal_before_the_run_listens_requeues_it(jobs: Jobs) -> None:
    jobs.write("run.py", "import sys, time\nprint('up', flush=True)\ntime.sleep(60)\n")
    job = jobs.start(job_script(*MINUTES))
    assert job.stdout is not None
    assert job.stdout.readline() == "up\n"
    assert stop(job)[0] == 138
    assert jobs.requeued == ["requeue 7"]


def test_a_signal_before_the_run_is_started_requeues_it_at_once(jobs: Jobs) -> None:
    jobs.write("run.py", "open('started', 'w')")
    assert ended(jobs.start(job_script(*MINUTES, "--setup", 'kill -USR1 "$$"'))) == (75, "")
    assert jobs.requeued == ["requeue 7"]
    assert not (jobs.folder / "started").exists()


def test_a_cancelled_job_saves_and_is_not_requeued(jobs: Jobs) -> None:
    jobs.write("run.py", run_script(pause=0.005))
    job = jobs.start(job_script(*MINUTES, "--no-srun"))
    jobs.wait_for_steps(job)
    assert stop(job, signal.SIGTERM)[0] == 75
    assert jobs.requeued == []
    assert ended(jobs.start(job_script(*MINUTES, "--no-srun")))[0] == 0
    assert_finished(jobs.folder / "run.ckpt")


def test_a_job_that_is_cancelled_after_the_signal_is_not_requeued(jobs: Jobs) -> None:
    jobs.write(
        "run.py",
        """
import signal, time
came = []
for number in (signal.SIGUSR1, signal.SIGTERM):
    signal.signal(number, lambda number, _: came.append(number))
print("up", flush=True)
while signal.SIGUSR1 not in came:
    time.sleep(0.01)
print("asked", flush=True)
while signal.SIGTERM not in came:
    time.sleep(0.01)
raise SystemExit(75)
""",
    )
    job = jobs.start(job_script(*MINUTES))
    assert job.stdout is not None
    job.stdout.readline()
    job.send_signal(signal.SIGUSR1)
    job.stdout.readline()
    assert stop(job, signal.SIGTERM)[0] == 75
    assert jobs.requeued == []


def test_a_preempted_job_saves_and_is_requeued(jobs: Jobs) -> None:
    jobs.write("run.py", "import time\nprint('up', flush=True)\ntime.sleep(60)\n")
    jobs.write(
        "preempted.txt", "   PreemptEligibleTime=2026-11-28T00:11:35 PreemptTime=2026-11-28T00:11:38\n"
    )
    job = jobs.start(job_script(*MINUTES))
    assert job.stdout is not None
    job.stdout.readline()
    assert stop(job, signal.SIGTERM)[0] == 143
    assert jobs.requeued == ["requeue 7"]


def test_a_kill_in_the_middle_of_the_save_loses_nothing(jobs: Jobs) -> None:
    jobs.write("run.py", run_script(pause=0.005, before=SLOW_DISK))
    job = jobs.start(job_script(*MINUTES))
    jobs.wait_for_steps(job)
    job.send_signal(signal.SIGUSR1)
    jobs.wait_for(job, "saving")
    for process in map(int, (jobs.folder / "pid").read_text().split()):
        os.kill(process, signal.SIGKILL)
    assert ended(job)[0] == 137
    assert jobs.requeued == []
    jobs.write("run.py", run_script())
    assert ended(jobs.start(job_script(*MINUTES)))[0] == 0
    assert_finished(jobs.folder / "run.ckpt")


def test_a_signal_during_the_last_save_lets_it_finish(jobs: Jobs) -> None:
    jobs.write("run.py", run_script(before=LAST.format(seconds=0.5), length=20))
    job = jobs.start(job_script(*MINUTES))
    jobs.wait_for(job, "last")
    status, said = stop(job)
    assert (status, jobs.requeued) == (75, ["requeue 7"])
    assert "ann_ckpt: SIGUSR1: step 20 was saved before; leaving with status 75" in said
    assert ended(jobs.start(job_script(*MINUTES), SLURM_RESTART_COUNT="1"))[0] == 0
    assert_finished(jobs.folder / "run.ckpt", length=20)


def test_a_store_that_another_job_has_is_named_with_it_and_a_restart_elsewhere_takes_it_over(
    jobs: Jobs,
) -> None:
    elsewhere = (
        "import socket; socket.gethostname = lambda: 'node-' + os.environ.get('SLURM_RESTART_COUNT', '0')"
    )
    jobs.write("run.py", run_script(pause=0.05, before=elsewhere))
    script = job_script(*MINUTES)
    first = jobs.start(script)
    jobs.wait_for_steps(first)
    process = int((jobs.folder / "pid").read_text())
    status, said = ended(jobs.start(script, SLURM_JOB_ID="8"))
    assert status == 1
    message = said[said.index("ann_ckpt.errors.LockedError") :].splitlines()
    assert len(message) == 3
    assert "on host node-0, since" in message[0]
    assert message[0].endswith("Slurm job 7")
    assert len(said.splitlines()) <= 10
    os.kill(process, signal.SIGKILL)
    assert ended(first)[0] == 137
    status, said = ended(jobs.start(script, SLURM_RESTART_COUNT="1"))
    assert status == 0
    assert "on host node-0, since" in said
    assert "Slurm job 7: this is restart 1 of the same job" in said
    assert_finished(jobs.folder / "run.ckpt")


def test_another_seed_in_the_same_store_is_refused(jobs: Jobs) -> None:
    jobs.write("run.py", run_script(length=20))
    assert ended(jobs.start(job_script(*MINUTES)))[0] == 0
    jobs.write("run.py", run_script(length=20, seed="2"))
    status, said = ended(jobs.start(job_script(*MINUTES)))
    assert status == 1
    assert "seed:    1 in the checkpoint, 2 in this network" in said
    assert "another_run=True" in said


# --- What is printed --------------------------------------------------------------


@pytest.mark.parametrize("system", SYSTEMS)
@pytest.mark.parametrize("array", [(), ("--array", "1-4")])
def test_every_script_is_one_for_the_shell(system: str, array: tuple[str, ...]) -> None:
    more = ("--module", "gcc/12", "--setup", "source env", "--option", "X y", "--lead", "2min")
    text = printed(system, "--time", "1-00:00:00", *array, *more, "--", "python", "run.py")
    assert subprocess.run(["bash", "-n"], input=text, text=True, check=False).returncode == 0
    assert text.startswith("#!/bin/bash\n#")
    assert "module load gcc/12\nsource env\n" in text
    assert "ANN_CKPT_LEAD=120\n" in text
    assert "+ 86400))" in text
    assert ("not tried" in text) == (system != "slurm")
    assert ("${task}.ckpt" in text) == bool(array)


@settings(max_examples=10)
@example(["hi!{task}", "b{store}!x", "$(false)", "!!"])
@given(st.lists(st.text(st.characters(blacklist_categories=("C", "Zl", "Zp", "Zs")), max_size=9), min_size=1))
def test_words_of_the_command_reach_it_as_they_are(words: list[str]) -> None:
    line = printed(*MINUTES, "--no-srun", "--", "printf", "%s\\n", "{task}x", *words)
    (command,) = (part for part in line.splitlines() if part.endswith(" & run=$!"))
    told = subprocess.run(
        ["bash", "-c", f"task=5 ANN_CKPT_STORE=s ANN_CKPT_BUILD=b; {command}; wait"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    meant = [
        w.replace("{task}", "5").replace("{store}", "s").replace("{build}", "b") for w in ["{task}x", *words]
    ]
    assert told == "".join(f"{word}\n" for word in meant)


@pytest.mark.parametrize(
    ("arguments", "fact"),
    [
        (("--time", "soon"), "'soon' is not a duration"),
        (("--time", "10:00"), "'10:00' is not a duration"),
        (("--time", "0min"), "'0min' is not a duration"),
        (("--time", "5min"), "the signal may come when the job starts"),
        (("--time", "1h", "--name", "a b"), "--name takes letters"),
        (("--time", "1h", "--array", "1-4; rm"), "--array takes a range"),
        (("--time", "1h", "--array", "1-4", "--store", "one.ckpt"), "all tasks would have the same --store"),
        (("--time", "1h", "--array", "1-4", "--build", "one"), "all tasks would have the same --build"),
        (("--time", "1h", "--option", "a\nb"), "--option takes one line of text"),
    ],
)
def test_what_would_make_a_wrong_script_is_refused(arguments: tuple[str, ...], fact: str) -> None:
    with pytest.raises(OptionError, match=fact):
        CliRunner().invoke(batch_script, ["slurm", *arguments, "--", "run"], catch_exceptions=False)


def test_every_block_of_the_page_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ANN_CKPT_STORE", "long.ckpt")
    with ann_ckpt.CheckpointStore("run.ckpt", "a") as store:
        net = DemoNetwork(side=4)
        for _ in range(2):
            net.simulate(500)
            store.save(net)
    net.simulate(1)
    names: dict[str, object] = {"ann_ckpt": ann_ckpt, "net": net}
    pages = blocks("python")
    assert len(pages) == 3
    for block in pages:
        exec(block.replace("3_600_000.0", "100.0").replace("seed=1", "seed=1, side=4"), names)
    assert [info.tag for info in ann_ckpt.CheckpointStore("long.ckpt").checkpoints] == ["end"]


def test_words_with_a_placeholder_keep_their_exclamation_marks() -> None:
    line = printed("slurm", "--time", "1h", "--array", "1-3", "--no-srun", "--", "echo", "hi!{task}")
    assert '"hi!${task}"' in line
