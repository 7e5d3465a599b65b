"""Run one job in a process of its own: ``python -m tests.live.worker JOB ARGUMENTS RESULT``.

A job is a function of :mod:`tests.live.jobs`, or of another module beside it: ``exact_jobs.record``.

Networks live in workers, never in the test process: a load is tried in another process
than the save, a crash of the simulator is one failed test, and ANNarchy 4.8 has only
one network to a process.
"""

from __future__ import annotations

import importlib
import json
import sys
import warnings
from pathlib import Path


def main() -> None:
    """Call the job with its arguments and leave what it returns, as JSON."""
    job, arguments, result = sys.argv[1:]
    warnings.filterwarnings("error", module=r"ann_ckpt(\..*)?")
    module, _, function = job.rpartition(".")
    jobs = importlib.import_module(f"tests.live.{module or 'jobs'}")
    answer = getattr(jobs, function)(**json.loads(arguments))
    Path(result).write_text(json.dumps(answer))


if __name__ == "__main__":
    main()
