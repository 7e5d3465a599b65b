"""A Slurm of one node: munge, controller and node daemon in a folder, without systemd or accounting."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Self

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "srun", "scontrol", "squeue", "scancel")
LONG = 240.0
"""Seconds after which something that should have happened has not; Slurm itself is slow at times."""

CONFIGURATION = """
ClusterName=one
SlurmctldHost={host}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CredType=cred/munge
SlurmUser=root
SlurmdUser=root
SlurmctldPort={controller}
SlurmdPort={node}
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
SlurmdSpoolDir={folder}/spool
StateSaveLocation={folder}/state
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
SwitchType=switch/none
ReturnToService=2
SchedulerType=sched/backfill
SchedulerParameters=sched_interval=2,bf_interval=2,batch_sched_delay=0
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
DefMemPerCPU=400
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=task=1
JobAcctGatherParams=OverMemoryKill
AccountingStorageType=accounting_storage/none
JobCompType=jobcomp/none
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
SlurmdParameters=config_overrides
KillWait=20
MinJobAge=3600
InactiveLimit=0
NodeName={host} CPUs=8 RealMemory=8000 State=UNKNOWN
PartitionName=usual Nodes={host} Default=YES MaxTime=60 PriorityTier=1 PreemptMode=REQUEUE GraceTime=20
PartitionName=urgent Nodes={host} MaxTime=60 PriorityTier=9 PreemptMode=OFF
"""


def missing() -> list[str]:
    """Programs that are not installed here; for the daemons one has to be root, too."""
    return [*(name for name in PROGRAMS if not shutil.which(name)), *([] if os.geteuid() == 0 else ["root"])]


def wait_for(what: str, ready: Callable[[], object], seconds: float = LONG) -> None:
    """Wait until something is so."""
    end = time.monotonic() + seconds
    while not ready():
        if time.monotonic() > end:
            raise AssertionError(f"after {seconds:g} s still not: {what}")
        time.sleep(0.1)


class Slurm:
    """The daemons; a context manager.

    Parameters
    ----------
    folder : Path
        For sockets, logs and state; short, because paths of sockets are.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._daemons: list[subprocess.Popen[bytes]] = []
        self.environment = {k: v for k, v in os.environ.items() if not k.startswith("SLURM")}
        self.environment["SLURM_CONF"] = os.fspath(folder / "slurm.conf")

    def __enter__(self) -> Self:
        self.folder.chmod(0o755)
        for name in ("spool", "state"):
            (self.folder / name).mkdir()
        host = socket.gethostname().partition(".")[0]
        ports = dict(zip(("controller", "node"), _free_ports(2), strict=True))
        (self.folder / "slurm.conf").write_text(CONFIGURATION.format(folder=self.folder, host=host, **ports))
        key = self.folder / "munge.key"
        key.write_bytes(os.urandom(128))
        key.chmod(0o400)
        options = [f"--socket={self.folder}/munge.socket", f"--pid-file={self.folder}/munge.pid"]
        options += [f"--log-file={self.folder}/munge.log", f"--seed-file={self.folder}/munge.seed"]
        try:
            self._start("munged", "--foreground", "--force", f"--key-file={key}", *options)
            wait_for("munge", (self.folder / "munge.socket").exists, 20)
            self._start("slurmctld", "-D", "-c")
            self._start("slurmd", "-D")
            wait_for("a node that waits for jobs", lambda: "idle" in self.ask("sinfo", "-h", "-o", "%T"), 60)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(Exception):
            jobs = self.ask("squeue", "-h", "-o", "%A").split()
            if jobs:
                self.ask("scancel", "-s", "KILL", *jobs)
                self.ask("scancel", *jobs)
                wait_for("the end of all jobs", lambda: not self.ask("squeue", "-h"), 60)
        for daemon in reversed(self._daemons):
            daemon.send_signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                daemon.wait(20)
            daemon.kill()
            daemon.wait()

    def _start(self, *command: str) -> None:
        with (self.folder / f"{command[0]}.out").open("wb") as out:
            self._daemons.append(
                subprocess.Popen(
                    command, env=self.environment, stdout=out, stderr=out, start_new_session=True
                )
            )

    def ask(self, *command: str, **environment: str) -> str:
        """What a command of Slurm prints."""
        done = subprocess.run(
            command, env=self.environment | environment, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise AssertionError(f"{command}: {done.stdout}{done.stderr}")
        return done.stdout

    def submit(self, script: Path, *options: str) -> str:
        """Hand in a script; answer the number of the job."""
        return self.ask("sbatch", "--parsable", f"--chdir={script.parent}", *options, str(script)).strip()

    def field(self, job: str, name: str) -> str:
        """One field of what Slurm knows of a job."""
        found = re.search(rf"\b{name}=(\S+)", self.ask("scontrol", "show", "job", job))
        return found[1] if found else ""

    def wait_for(self, job: str, *states: str) -> None:
        """Wait until a job is in one of the states."""
        try:
            wait_for(f"job {job} {' or '.join(states)}", lambda: self.field(job, "JobState") in states)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.ask('scontrol', 'show', 'job', job)}") from None

    def start_again(self, job: str, restarts: int) -> None:
        """Wait until a job is requeued, and spare it most of the two minutes that Slurm lets it wait then."""
        early = time.monotonic() + 600

        def started() -> bool:
            if self.field(job, "Restarts") != str(restarts):
                return False
            state = self.field(job, "JobState")
            if state != "PENDING":
                return state in {"RUNNING", "COMPLETED"}  # what it failed with before may still be shown
            nonlocal early
            early = min(early, time.monotonic() + 8)  # until then its node may still clear up behind it
            with contextlib.suppress(AssertionError):
                if time.monotonic() > early:
                    self.ask("scontrol", "update", f"JobId={job}", "StartTime=now")
            return False

        wait_for(f"restart {restarts} of job {job}", started)

    def ended(self, job: str) -> str:
        """Wait for the end of a job that is not requeued; answer its state and ``status:signal``."""
        self.wait_for(
            job, "COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", "OUT_OF_MEMORY", "PREEMPTED", "NODE_FAIL"
        )
        return f"{self.field(job, 'JobState')} {self.field(job, 'ExitCode')}"


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
