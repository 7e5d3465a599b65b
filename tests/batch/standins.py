"""Stand-ins for Slurm's commands, and the script and the run that docs/store.md shows."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

from ann_ckpt import CheckpointStore, NetworkState, differences
from ann_ckpt.demo import DemoNetwork

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "store.md").read_text()
LENGTH = 400
"""Steps of a run."""
COMMANDS = {
    "srun": 'exec "$@"',
    "scontrol": '[ "$1" = show ] && cat preempted.txt 2>/dev/null || echo "$*" >> scontrol.log',
    "squeue": "cat squeue.txt 2>/dev/null",
}


SLOW_DISK = """
import os, time
_fsync = os.fsync
def _slow(descriptor):
    open("saving", "w").close()
    time.sleep(0.5)
    _fsync(descriptor)
os.fsync = _slow
"""
LAST = """
import time
import ann_ckpt
_save = ann_ckpt.CheckpointStore.save
def _slow(self, *args, **options):
    if options.get("tag") == "end":
        open("last", "w").close()
        time.sleep({seconds})
    return _save(self, *args, **options)
ann_ckpt.CheckpointStore.save = _slow
"""


def blocks(language: str) -> list[str]:
    """The code blocks of the page."""
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


def run_script(*, seed: str = "1", before: str = "", length: int = LENGTH, pause: float = 0.0) -> str:
    """The page's run.py, for a shorter run of a smaller network that is started with ``python run.py``.

    Parameters
    ----------
    seed : str
        An expression.
    before : str
        Lines that come first.
    length : int
        Steps.
    pause : float
        Seconds that each step takes at least, so that a signal finds it running.
    """
    (text,) = (block for block in blocks("python") if "ANN_CKPT_STORE" in block)
    assert text.count("DemoNetwork(seed=1)") == 1
    assert text.count("3_600_000.0") == 1
    text = text.replace("DemoNetwork(seed=1)", f"Slow(seed={seed}, side=4)").replace(
        "3_600_000.0", f"{length}.0"
    )
    slow = f"""
import os, sys, time
sys.path.insert(0, {os.fspath(ROOT)!r})
with open("pid", "w") as out:
    print(os.getpid(), file=out)
from ann_ckpt.demo import DemoNetwork
class Slow(DemoNetwork):
    def _call_back(self):
        super()._call_back()
        time.sleep({pause})
        if self.time_step % 10 == 0:
            with open(os.environ["ANN_CKPT_STORE"] + ".steps", "a") as out:
                print(self.time_step, file=out)
"""
    return f"{slow}{before}\n{text}"


def job_script(*options: str, command: tuple[str, ...] = (sys.executable, "run.py")) -> str:
    """What ``ann-ckpt batch-script`` prints."""
    line = [
        sys.executable,
        "-c",
        "from ann_ckpt.cli import main; main()",
        "batch-script",
        *options,
        "--",
        *command,
    ]
    return subprocess.run(line, cwd=ROOT, capture_output=True, text=True, check=True).stdout


class Jobs:
    """A folder in which scripts run as jobs of a Slurm that is not there."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        bin_folder = folder / "bin"
        bin_folder.mkdir()
        for name, line in COMMANDS.items():
            (bin_folder / name).write_text(f"#!/bin/bash\n{line}\n")
            (bin_folder / name).chmod(0o755)
        own = {k: v for k, v in os.environ.items() if not k.startswith(("SLURM", "ANN_CKPT"))}
        self.environment = own | {"PATH": f"{bin_folder}:{os.environ['PATH']}"}

    def write(self, name: str, text: str) -> Path:
        path = self.folder / name
        path.write_text(text)
        return path

    def start(self, script: str, **variables: str) -> subprocess.Popen[str]:
        """Start a script as ``sbatch`` would, with Slurm's variables."""
        return subprocess.Popen(
            ["bash", self.write(f"job-{len(list(self.folder.iterdir()))}.sh", script)],
            cwd=self.folder,
            env=self.environment | {"SLURM_JOB_ID": "7"} | variables,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def wait_for(self, job: subprocess.Popen[str], name: str) -> None:
        """Wait for a file that the run in a job makes."""
        end = time.monotonic() + 60
        while not (self.folder / name).exists():
            assert job.poll() is None, job.communicate()[0]
            assert time.monotonic() < end
            time.sleep(0.02)
        (self.folder / name).unlink()

    def wait_for_steps(self, job: subprocess.Popen[str], store: str = "run.ckpt") -> None:
        """Wait until the run in a job has made its first steps."""
        self.wait_for(job, f"{store}.steps")

    @property
    def requeued(self) -> list[str]:
        """What Slurm was told."""
        log = self.folder / "scontrol.log"
        lines = log.read_text().splitlines() if log.exists() else []
        return [line for line in lines if not line.startswith("show")]


def ended(job: subprocess.Popen[str]) -> tuple[int, str]:
    """Exit status and output of a job."""
    output, _ = job.communicate(timeout=120)
    return job.returncode, output


def stop(job: subprocess.Popen[str], number: signal.Signals = signal.SIGUSR1) -> tuple[int, str]:
    """Send a signal to the shell of a job, as Slurm does; exit status and output."""
    job.send_signal(number)
    return ended(job)


def uninterrupted(length: int = LENGTH, seed: int = 1) -> NetworkState:
    """The state of the run at its end."""
    net = DemoNetwork(seed=seed, side=4)
    net.simulate(length)
    return net.read().state


def assert_finished(path: Path, *, length: int = LENGTH, seed: int = 1) -> None:
    """The newest checkpoint has every bit of the uninterrupted run."""
    with CheckpointStore(path).latest as latest:
        assert latest.time_step == length
        assert not list(differences(latest.state(), uninterrupted(length, seed)))
