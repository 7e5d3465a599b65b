"""Starts the process that reads an untrusted file, and checks its answer.

The readers of this package are closed, and their limits hold; but numpy, zlib and
scipy are large programs, and a file that finds a hole in one of them should find
itself in a process that can neither write a file nor take the machine's memory, and
whose answer is checked like a file from a stranger (:mod:`~ann_ckpt.adapters.legacy.sandbox.wire`).
"""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Final

from ann_ckpt.adapters.legacy.layouts import check_dt
from ann_ckpt.adapters.legacy.sandbox.wire import receive
from ann_ckpt.adapters.protocol import ForeignFile
from ann_ckpt.errors import FileMissingError, NotReadableError, WorkerCrashedError, WorkerTimeoutError

__all__ = [
    "WorkerLimits",
    "examine_isolated",
    "import_path",
]

_PIECE = 1 << 20
# A worker needs to find its libraries, and nothing else that the environment may hold.
_KEPT: Final = ("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "PATH", "SYSTEMROOT", "TMPDIR")
_SINGLE: Final = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
# The path of this process, so that the worker runs the same package from the same place.
_START: Final = """
import json, sys
sys.path[:] = json.loads(sys.argv.pop(1))
from ann_ckpt.adapters.legacy.sandbox.worker import main
main()
"""


@dataclass(frozen=True, slots=True)
class WorkerLimits:
    """What the process that reads one file may take."""

    memory_bytes: int
    """Address space, libraries included."""
    cpu_seconds: int
    wall_seconds: float

    @classmethod
    def for_size(cls, file_bytes: int) -> WorkerLimits:
        """Return limits that every genuine file of this size stays far below."""
        seconds = 60 + file_bytes // (2 << 20)
        return cls(memory_bytes=(4 << 30) + 8 * file_bytes, cpu_seconds=seconds, wall_seconds=3.0 * seconds)


def examine_isolated(
    path: str | os.PathLike[str],
    *,
    dt: float | None = None,
    encoding: str | None = None,
    limits: WorkerLimits | None = None,
    program: str = "ANNarchy",
) -> ForeignFile:
    """Read a file as the ``examine`` of its program does, in a process of its own.

    Parameters
    ----------
    path : path-like
        The file.
    dt : float, optional
        Length of a step in ms.
    encoding : str, optional
        Of names in files from Python 2.
    limits : WorkerLimits, optional
        By default, by the size of the file.
    program : {"ANNarchy", "Brian2"}
        Whose file it is.

    Raises
    ------
    WorkerCrashedError
        If the worker ends without an answer, or with one that makes no sense.
    WorkerTimeoutError
        If it takes too long.
    CheckpointError
        As reading here would raise.
    """
    dt = check_dt(dt)
    name = os.fspath(path)
    limits = limits or WorkerLimits.for_size(_size(name))
    task = asdict(limits) | {"path": name, "dt": dt, "encoding": encoding, "program": program}
    command = [sys.executable, "-I", "-c", _START, json.dumps(import_path()), json.dumps(task)]
    environment = _SINGLE | {key: os.environ[key] for key in _KEPT if key in os.environ}
    # A program of the working folder must not run, though people have "." on their search path.
    found = environment.get("PATH", os.defpath).split(os.pathsep)
    folders = [folder for folder in found if Path(folder).is_absolute()]
    environment["PATH"] = os.pathsep.join(folders)
    worker = subprocess.Popen(  # noqa: S603 - our own interpreter with our own code
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=environment,
        close_fds=True,
    )
    try:
        answer = _Answer(worker, name, limits)
        return receive(answer.take, name, limits.memory_bytes)
    finally:
        worker.kill()
        worker.wait()
        assert worker.stdout is not None  # noqa: S101 - it was asked for
        worker.stdout.close()


class _Answer:
    """The bytes that a worker sends, as long as it has time."""

    def __init__(self, worker: subprocess.Popen[bytes], name: str, limits: WorkerLimits) -> None:
        self._worker = worker
        self._name = name
        self._limits = limits
        self._deadline = time.monotonic() + limits.wall_seconds

    def take(self, count: int) -> bytes:
        """Return the next ``count`` bytes."""
        data = bytearray()
        while len(data) < count:
            piece = self._piece(min(_PIECE, count - len(data)))
            if not piece:
                raise self._death()
            data += piece
        return data  # type: ignore[return-value] # read like bytes, without a copy

    def _piece(self, count: int) -> bytes:
        pipe: IO[bytes] | None = self._worker.stdout
        assert pipe is not None  # noqa: S101 - it was asked for
        ready, _, _ = select.select([pipe], [], [], max(0.0, self._deadline - time.monotonic()))
        if not ready:
            raise WorkerTimeoutError(
                f"reading the file took over {self._limits.wall_seconds:g} s and was stopped",
                where=self._name,
            )
        return os.read(pipe.fileno(), count)

    def _death(self) -> WorkerCrashedError | WorkerTimeoutError:
        """Say why the worker ended before it had said everything."""
        status = self._worker.wait()
        if status == -signal.SIGXCPU:
            return WorkerTimeoutError(
                f"reading the file took over {self._limits.cpu_seconds} s of CPU time and was stopped",
                where=self._name,
            )
        how = f"by {signal.Signals(-status).name}" if status < 0 else f"with status {status}"
        return WorkerCrashedError(f"the process reading the file ended {how}", where=self._name)


def import_path() -> list[str]:
    """Return where another process finds this package and what it needs, whatever its working folder is.

    An interactive session imports from its working folder, which may be a stranger's by now.
    """
    path = [entry for entry in sys.path if Path(entry).is_absolute()]
    package = os.fspath(Path(__file__).parents[4])
    return path if package in path else [package, *path]


def _size(name: str) -> int:
    try:
        return Path(name).stat().st_size
    except FileNotFoundError as error:
        raise FileMissingError("the file does not exist", where=name) from error
    except OSError as error:
        raise NotReadableError(f"the file cannot be read: {error.strerror}", where=name) from error
