"""Runs a program in a terminal of its own."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import struct
import subprocess
import sys
import termios
import time
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Said:
    """What a terminal has shown, and how the program ended."""

    text: str
    status: int


def in_terminal(
    command: list[str],
    *,
    cwd: Path,
    rows: int = 24,
    columns: int = 100,
    prompt: str = "",
    typed: bytes = b"",
    **variables: str,
) -> Said:
    """Run a program to its end, and type when it shows its prompt."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {name: value for name, value in os.environ.items() if name not in ("LINES", "COLUMNS")}
    environment |= {"PATH": path, "TERM": "xterm", "PYTHONUTF8": "1"} | variables
    process = subprocess.Popen(
        command, stdin=theirs, stdout=theirs, stderr=theirs, cwd=cwd, env=environment, start_new_session=True
    )
    os.close(theirs)
    said, end = b"", time.monotonic() + 60
    while time.monotonic() < end:
        if select.select([ours], [], [], 0.1)[0]:
            try:
                said += os.read(ours, 65536)
            except OSError:  # the other end has gone
                break
            if typed and prompt.encode() in said:
                os.write(ours, typed)
                typed = b""
        elif process.poll() is not None:
            break
    process.kill()
    status = process.wait()
    os.close(ours)
    return Said(said.decode(errors="replace"), status)
