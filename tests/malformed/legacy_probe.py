"""Reads every file of a folder, each in a child of its own, and says what became of it.

Run as ``python -m tests.malformed.legacy_probe FOLDER``; writes one JSON object.
"""

from __future__ import annotations

import json
import os
import resource
import sys
from pathlib import Path
from typing import Any

import numpy as np
import scipy.io  # imported here, so that no child pays for it

from ann_ckpt.adapters.legacy import read

CPU_SECONDS = 20
assert np.zeros(1).size == 1 == len([scipy.io])


def resident_mib() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**20


def peak_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def outcome(path: Path) -> dict[str, Any]:
    before = resident_mib()
    try:
        read(path)
    except Exception as error:  # noqa: BLE001 - which one is the question
        said = {"classes": [cls.__name__ for cls in type(error).__mro__], "text": str(error)}
    else:
        said = {"classes": ["nothing raised"], "text": ""}
    return said | {"mib": peak_mib() - before}


def in_a_child(path: Path) -> dict[str, Any]:
    """Read one file where it can do no harm; a child that dies gives its signal."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))
        os.write(writing, json.dumps(outcome(path)).encode()[:60_000])
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        answer = pipe.read()
    _, status = os.waitpid(child, 0)
    if status or not answer:
        return {"classes": [f"died of {os.waitstatus_to_exitcode(status)}"], "text": "", "mib": 0}
    return dict(json.loads(answer))


def main(folder: Path) -> None:
    os.chdir(folder)
    found = {}
    for path in sorted(folder.glob("*.bin")):
        found[path.name] = in_a_child(path) | {"left behind": sorted(p.name for p in folder.glob("ran*"))}
    sys.stdout.write(json.dumps(found))


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve())
