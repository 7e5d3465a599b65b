"""A process that has imported everything and does each job in a fork of itself; and its other end.

As a module, it reads jobs from standard input, a line of JSON each, and answers each with what became of
it. Forks that perform something end as every interpreter does: what goes wrong at the end is seen, too.
"""

from __future__ import annotations

import faulthandler
import gc
import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import threading
import time
import traceback
import warnings
from pathlib import Path
from typing import Any, Self

ROOT = Path(__file__).parents[2]
LIMIT = 60.0
"""Seconds after which a job hangs."""


class Zygote:
    """Does jobs, each in a process of its own.

    Parameters
    ----------
    preload : Path, optional
        A library that stands in front of libc.
    """

    def __init__(self, preload: Path | None = None) -> None:
        own = {
            "PYTHONPATH": str(ROOT),
            "OPENBLAS_NUM_THREADS": "1",  # no thread may be alive where a process forks
            **({} if preload is None else {"LD_PRELOAD": str(preload)}),
        }
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.zygote"],
            cwd=tempfile.gettempdir(),
            env={**os.environ, **own},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def do(self, job: str, **arguments: Any) -> dict[str, Any]:
        """Do one job; return its answer with ``status``, the exit status, and ``stderr``.

        The answer is empty if the process was killed or crashed.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"job": job, **arguments}, default=str) + "\n")
        self._process.stdin.flush()
        return dict(json.loads(self._process.stdout.readline()))

    def close(self) -> None:
        self._process.kill()
        self._process.communicate()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def main() -> None:
    from tests.faults.jobs import JOBS, warm_up

    warnings.simplefilter("error")
    warm_up()
    assert threading.active_count() == 1, threading.enumerate()
    gc.collect()
    gc.freeze()  # what is here already is nothing that a fork has to clean up
    answers = os.fdopen(os.dup(1), "w")
    for line in sys.stdin:
        job = json.loads(line)
        reading, writing = os.pipe()
        with tempfile.TemporaryFile() as errors:
            child = os.fork()
            if child == 0:
                os.close(reading)
                os.dup2(errors.fileno(), 1)
                os.dup2(errors.fileno(), 2)
                name = job.pop("job")
                _answer(JOBS[name], job, writing)
                if name in ("perform", "read"):
                    return  # and the interpreter ends
                os._exit(0)
            os.close(writing)
            found, status = _wait(child, reading)
            errors.seek(0)
            said = errors.read().decode(errors="replace")
        answers.write(json.dumps({**found, "status": status, "stderr": said}) + "\n")
        answers.flush()


def _answer(job: Any, arguments: dict[str, Any], writing: int) -> None:
    """Do a job and write what it returns; whatever nobody caught is in ``foreign``."""
    faulthandler.enable()
    faulthandler.dump_traceback_later(LIMIT * 0.9)
    foreign: list[str] = []
    sys.unraisablehook = lambda args: foreign.append(
        f"ignored in {args.object!r}: " + "".join(traceback.format_exception(args.exc_value))
    )
    threading.excepthook = lambda args: foreign.append(
        "in a thread: " + "".join(traceback.format_exception(args.exc_value))  # type: ignore[arg-type]
    )
    found: dict[str, Any] = {}
    try:
        found = job(**arguments)
    except BaseException:  # noqa: BLE001  whatever it is, the test reads it
        foreign.append(traceback.format_exc())
    with os.fdopen(writing, "w") as answer:
        json.dump({**found, "foreign": foreign}, answer)
    faulthandler.cancel_dump_traceback_later()


def _wait(child: int, reading: int) -> tuple[dict[str, Any], int]:
    """Return a process's answer and exit status; kill it if it hangs."""
    deadline = time.monotonic() + LIMIT
    text = b""
    while select.select([reading], [], [], max(0.0, deadline - time.monotonic()))[0]:
        part = os.read(reading, 1 << 16)
        if not part:
            break
        text += part
    os.close(reading)
    while True:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            found = json.loads(text) if text else {}
            return found, os.waitstatus_to_exitcode(status)
        if time.monotonic() > deadline:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            return {"foreign": [f"hangs: not done after {LIMIT} s"]}, -signal.SIGKILL
        time.sleep(0.0005)


if __name__ == "__main__":
    main()
