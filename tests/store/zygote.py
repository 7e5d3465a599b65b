"""Starts processes of :mod:`tests.store.saver` quickly: each is a fork of one that has imported everything.

As a module, it reads lines ``path log role first`` and answers each with the number of
the new process.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from tests.store.saver import run

ROOT = Path(__file__).parents[2]


class Zygote:
    """The other end: starts and kills."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.store.zygote"],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._children: set[int] = set()

    def start(self, path: Path, log: Path, role: str, first: int = 0) -> int:
        """Start a process and return its number."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{path} {log} {role} {first}\n")
        self._process.stdin.flush()
        child = int(self._process.stdout.readline())
        self._children.add(child)
        return child

    def kill(self, child: int) -> None:
        """Kill a process and wait until it is gone."""
        self._children.remove(child)
        try:
            os.kill(child, signal.SIGKILL)
        except ProcessLookupError:
            return
        while Path(f"/proc/{child}").exists():
            time.sleep(0.001)

    def close(self) -> None:
        """Kill everything that is left."""
        for child in list(self._children):
            self.kill(child)
        self._process.kill()
        self._process.communicate()


def main() -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    for line in sys.stdin:
        path, log, role, first = line.split()
        child = os.fork()
        if child == 0:
            run(path, log, role, int(first))
        sys.stdout.write(f"{child}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
