"""The process that reads a file on behalf of another: ``python -m ann_ckpt.adapters.legacy.sandbox.worker``.

It gives up what it does not need before it looks at the file: memory and time beyond
a limit, writing to files, leaving a core. Then it reads, writes the answer to its
standard output as :mod:`~ann_ckpt.adapters.legacy.sandbox.wire` has it, and ends.
"""

from __future__ import annotations

import json
import resource
import sys
from typing import Final

import scipy.io  # noqa: F401 - imported while memory is not limited yet

from ann_ckpt.adapters.legacy import brian2, examine
from ann_ckpt.adapters.legacy.sandbox.wire import send, send_error
from ann_ckpt.errors import CheckpointError, printable

__all__ = [
    "main",
]

_READERS: Final = {"ANNarchy": examine, "Brian2": brian2.examine}
_GRACE = 5
"""Seconds between the signal that says whose fault it was and the one that ends all."""


def main() -> None:
    """Read the file that the first argument, a JSON object, asks for."""
    task = json.loads(sys.argv[1])
    confine(task["memory_bytes"], task["cpu_seconds"])
    try:
        found = _READERS[task["program"]](task["path"], dt=task["dt"], encoding=task["encoding"])
    except CheckpointError as error:
        error.details = {key: printable(value, 1000) for key, value in error.details.items()}
        send_error(error, sys.stdout.buffer)
    else:
        send(found, sys.stdout.buffer)
    sys.stdout.flush()


def confine(memory_bytes: int, cpu_seconds: int) -> None:
    """Limit this process, for good."""
    limits = {
        resource.RLIMIT_AS: (memory_bytes, memory_bytes),
        resource.RLIMIT_CPU: (cpu_seconds, cpu_seconds + _GRACE),
        resource.RLIMIT_FSIZE: (0, 0),
        resource.RLIMIT_CORE: (0, 0),
        resource.RLIMIT_NPROC: (0, 0),
    }
    for which, bounds in limits.items():
        _, hard = resource.getrlimit(which)
        resource.setrlimit(which, bounds if hard == resource.RLIM_INFINITY else _below(hard, bounds))


def _below(hard: int, bounds: tuple[int, int]) -> tuple[int, int]:
    return min(bounds[0], hard), min(bounds[1], hard)


if __name__ == "__main__":
    main()
