"""Run one job in a process of its own: ``python -m tests.live.worker JOB ARGUMENTS RESULT``.

Networks live in workers, never in the test process: a load is tried in another process
than the save, a crash of the simulator is one failed test, and ANNarchy 4.8 has only
one network to a process.
"""

from __future__ import annotations

import json
import sys
import warnings
from pathlib import Path


def main() -> None:
    """Call the job with its arguments and leave what it returns, as JSON."""
    job, arguments, result = sys.argv[1:]
    warnings.filterwarnings("error", module=r"ann_ckpt(\..*)?")
    from tests.live import jobs

    answer = getattr(jobs, job)(**json.loads(arguments))
    Path(result).write_text(json.dumps(answer))


if __name__ == "__main__":
    main()
