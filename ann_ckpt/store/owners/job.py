"""The batch job that this process runs in: its number, its restarts, the time it has left.

Slurm, PBS, SGE and LSF say who they are in the environment. Only the Slurm part was tried on
the real thing; the others follow the manuals of OpenPBS, Grid Engine and Spectrum LSF.
"""

from __future__ import annotations

import functools
import math
import os
import re
import shlex
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Real
from typing import Any

from ann_ckpt.errors import OptionError, printable

__all__ = ["END", "LEAD", "Job", "duration", "environment_seconds", "seconds_left"]

END = "ANN_CKPT_END"
"""Environment: when the job is killed, in seconds since 1970; ``ann-ckpt batch-script`` sets it."""
LEAD = "ANN_CKPT_LEAD"
"""Environment: seconds from the signal to the kill; set likewise."""
_ASKING = 20.0
"""Seconds that a batch system gets for an answer."""
_UNITS = {"s": 1, "min": 60, "h": 3600, "d": 86400}
_LOOKUP = {"slurm": "squeue -j", "pbs": "qstat", "sge": "qstat -j", "lsf": "bjobs"}
_TITLE = {"slurm": "Slurm", "pbs": "PBS", "sge": "SGE", "lsf": "LSF"}


@dataclass(frozen=True, slots=True)
class Job:
    """One job, or one task of an array of jobs."""

    system: str
    """``slurm``, ``pbs``, ``sge`` or ``lsf``."""
    id: str
    """As the system's own commands take it: ``4711``, or ``4711_3`` for a task of Slurm's."""
    task: str | None
    """Index within an array; None outside of one."""
    restart: int
    """How often the job was started again."""

    @staticmethod
    def current(environment: Mapping[str, str] = os.environ) -> Job | None:
        """Return the job of this process; None outside of any."""
        for find in (_slurm, _pbs, _lsf, _sge):
            if (job := find(environment)) is not None:
                return job
        return None

    @staticmethod
    def from_dict(found: Any) -> Job | None:
        """Return what :meth:`to_dict` wrote; None for anything else, which a lock file may hold."""
        if not isinstance(found, dict):
            return None
        system, number, task, restart = (found.get(key) for key in ("system", "id", "task", "restart"))
        if not isinstance(system, str) or not isinstance(number, str):
            return None
        if system not in _LOOKUP or not re.fullmatch(r"[\w.\[\]-]{1,80}", number):
            return None
        task = task if isinstance(task, str) else None
        return Job(system, number, task, restart if type(restart) is int else 0)

    def to_dict(self) -> dict[str, Any]:
        """Return everything as JSON can hold it."""
        return {"system": self.system, "id": self.id, "task": self.task, "restart": self.restart}

    @property
    def name(self) -> str:
        """``Slurm job 4711_3``, with how often it was started again."""
        again = f", restart {self.restart}" if self.restart else ""
        return f"{_TITLE[self.system]} job {self.id}{again}"

    @property
    def lookup(self) -> str:
        """The command that shows it."""
        return f"{_LOOKUP[self.system]} {shlex.quote(self.id)}"

    def replaces(self, other: Job | None) -> bool:
        """Whether ``other`` is an earlier start of this very job, which its system has ended."""
        return (
            other is not None
            and (self.system, self.id) == (other.system, other.id)
            and self.restart > other.restart
        )


def _slurm(environment: Mapping[str, str]) -> Job | None:
    number = environment.get("SLURM_JOB_ID")
    if not number:
        return None
    array, task = environment.get("SLURM_ARRAY_JOB_ID"), environment.get("SLURM_ARRAY_TASK_ID")
    restart = _count(environment.get("SLURM_RESTART_COUNT"))
    return Job("slurm", f"{array}_{task}" if array and task else number, task or None, restart)


def _pbs(environment: Mapping[str, str]) -> Job | None:
    number = environment.get("PBS_JOBID")
    if not number:
        return None
    task = environment.get("PBS_ARRAY_INDEX") or environment.get("PBS_ARRAYID")
    return Job("pbs", number, task or None, _pbs_restarts(number))


def _sge(environment: Mapping[str, str]) -> Job | None:
    number = environment.get("JOB_ID")
    if not number or "SGE_TASK_ID" not in environment:  # JOB_ID alone may be anybody's
        return None
    task = environment["SGE_TASK_ID"]
    indexed = task != "undefined"
    restart = _count(environment.get("RESTARTED"))
    return Job("sge", f"{number}.{task}" if indexed else number, task if indexed else None, restart)


def _lsf(environment: Mapping[str, str]) -> Job | None:
    number = environment.get("LSB_JOBID")
    if not number:
        return None
    task = environment.get("LSB_JOBINDEX", "0")
    restart = int(environment.get("LSB_RESTART") == "Y")
    return Job("lsf", f"{number}[{task}]" if task != "0" else number, task if task != "0" else None, restart)


def _count(text: str | None) -> int:
    return int(text) if text and text.isdecimal() and len(text) < 10 else 0


@functools.cache
def _pbs_restarts(number: str) -> int:
    """PBS says it in no variable: its first run is number 1."""
    found = re.search(r"run_count\s*=\s*(\d{1,9})\b", _ask("qstat", "-f", number))
    return max(0, int(found[1]) - 1) if found else 0


# --- Time -------------------------------------------------------------------------


def seconds_left() -> float | None:
    """Return how long the job of this process may still run; None if nobody says.

    Slurm, PBS and LSF are asked; where they do not answer, the environment is.
    """
    job = Job.current()
    asked = None
    if job is not None:
        asked = {"slurm": _slurm_left, "pbs": _pbs_left, "lsf": _lsf_left}.get(job.system, _nobody)(job.id)
    if asked is not None:
        return asked
    for name in (END, "SLURM_JOB_END_TIME"):
        if (end := environment_seconds(name)) is not None:
            return end - time.time()
    return None


def environment_seconds(name: str) -> float | None:
    """Return a variable of the environment that holds a number of seconds; None if it does not."""
    try:
        value = float(os.environ.get(name, ""))
    except ValueError:
        return None
    return value if math.isfinite(value) and value >= 0 else None


def _slurm_left(number: str) -> float | None:
    return _clock(_ask("squeue", "--noheader", "--jobs", number, "--format", "%L").strip())


def _pbs_left(number: str) -> float | None:
    told = _ask("qstat", "-f", number)
    limit, used = (
        re.search(rf"{name}\.walltime\s*=\s*(\S+)", told) for name in ("Resource_List", "resources_used")
    )
    allowed = None if limit is None else _clock(limit[1])
    spent = 0.0 if used is None else _clock(used[1])
    return None if allowed is None or spent is None else allowed - spent


def _lsf_left(number: str) -> float | None:
    hours = re.match(r"\s*(\d+):(\d+)\s", _ask("bjobs", "-noheader", "-o", "time_left", number))
    return 3600.0 * int(hours[1]) + 60.0 * int(hours[2]) if hours else None


def _nobody(_number: str) -> float | None:
    return None


def _ask(*command: str) -> str:
    """Return what a command of the batch system prints; nothing if it does not work."""
    try:
        done = subprocess.run(  # noqa: S603 - its own commands, with a number that it gave out
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_ASKING,
            check=False,
        )
    except (OSError, subprocess.SubprocessError, ValueError):
        return ""
    return done.stdout if done.returncode == 0 else ""


def _clock(text: str) -> float | None:
    """Seconds of ``[days-][hours:]minutes:seconds``; None for anything else, such as ``UNLIMITED``."""
    found = re.fullmatch(r"(?:(\d{1,6})-)?(?:(\d{1,6}):)?(\d{1,6}):(\d{1,2})", text)
    if found is None:
        return None
    days, hours, minutes, seconds = (int(part or 0) for part in found.groups())
    return float(((24 * days + hours) * 60 + minutes) * 60 + seconds)


def duration(text: str | float) -> float:
    """Return a duration in seconds.

    Parameters
    ----------
    text : str or float
        ``1-12:00:00`` or ``24:00:00`` as batch systems have it, ``90min``, ``2.5h``; a number is seconds.

    Raises
    ------
    OptionError
        If it is none of these, or not above 0.
    """
    value: float | None
    if isinstance(text, str):
        unit = re.fullmatch(r"(\d{1,9}(?:\.\d{1,9})?)\s*(s|min|h|d)", text.strip())
        # Of two numbers with one colon each system makes something else.
        clock = text.count(":") == 2 and _clock(text.strip())
        value = float(unit[1]) * _UNITS[unit[2]] if unit else clock or None
    else:
        value = float(text) if isinstance(text, Real) and not isinstance(text, bool) else None
    if value is None or not 0 < value < math.inf:
        raise OptionError(
            f"{printable(text)!r} is not a duration",
            details={"expected": "such as 24:00:00, 1-12:00:00, 90min, 2.5h, or a number of seconds"},
        )
    return value
