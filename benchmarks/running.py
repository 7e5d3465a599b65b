"""Measuring a case: workers are started, told what to do in turn, and their answers collected."""

from __future__ import annotations

import contextlib
import json
import math
import os
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path
from typing import Any, Self

from benchmarks.harness import Case, Role, Scale, remove
from benchmarks.results import Result, Row, judge

__all__ = ["FOLDER", "ROOT", "WorkerDiedError", "WorkerProcess", "measure", "take_turn"]

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / "build" / "bench"
"""Where files are made unless told otherwise: on the disk of the checkout, not in memory."""

Say = Callable[[str], None]


class WorkerDiedError(Exception):
    """A worker ended before it answered."""


class WorkerProcess:
    """One worker for one case, as a context manager.

    Parameters
    ----------
    tree : Path
        Folder with ``ann_ckpt/`` and ``benchmarks/`` to run.
    """

    def __init__(self, case: Case, scale: Scale, folder: Path, *, tree: Path = ROOT) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._log = folder / "worker.log"
        # -P: whatever stands in the current folder must not shadow the tree.
        self._command = [sys.executable, "-P", "-m", "benchmarks.worker", case.key, scale.name, str(folder)]
        # ANNarchy compiles with the programs that stand first in PATH.
        programs = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
        self._environment = {**os.environ, "PYTHONPATH": str(tree), "PATH": programs}
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            with contextlib.suppress(BrokenPipeError):
                self._process.communicate()

    def ask(self, do: str, **arguments: Any) -> dict[str, Any]:
        """Give one order and wait for the answer; starts the process if none is running.

        Raises
        ------
        WorkerDiedError
            If the process ended instead; the next order starts another one.
        """
        process = self._process = self._process or self._start()
        assert process.stdin is not None
        assert process.stdout is not None
        with contextlib.suppress(BrokenPipeError):
            process.stdin.write(json.dumps({"do": do, **arguments}) + "\n")
            process.stdin.flush()
        line = process.stdout.readline()
        if not line:
            self._process = None
            last = self._log.read_text(errors="replace").strip().splitlines()[-1:]
            raise WorkerDiedError(f"the process ended with {process.wait()}: {''.join(last)[:100]}")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def _start(self) -> subprocess.Popen[str]:
        with self._log.open("ab") as log:
            return subprocess.Popen(
                self._command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                env=self._environment,
            )


def measure(
    case: Case,
    scale: Scale,
    folder: Path,
    *,
    rounds: int | None = None,
    memory: bool = True,
    say: Say = lambda _: None,
) -> Result:
    """Measure one case.

    Files are prepared in one process, the memory of each contender is taken in one of
    its own, and then all take their turns in a last one: A B A B. Taking memory and the
    first turn warm up, and their time counts only where it was long.

    Parameters
    ----------
    folder : Path
        Made, filled and removed again; on the disk that is to be measured.
    rounds : int, optional
        How often each contender runs; as the scale says if not given.
    memory : bool
        Whether peak memory is taken, at the price of one more run each.
    say : callable, optional
        Told in a few words what happens now.
    """
    began = time.perf_counter()
    try:
        rows, memorable = _prepare(case, scale, folder, say)
        if memory:
            _take_memory(case, scale, folder, rows, memorable, say)
        _take_turns(case, scale, folder, rows, rounds or scale.rounds, say)
    except WorkerDiedError as death:
        rows = {"nobody": Row("nobody", Role.OURS, problem=str(death))}
    finally:
        remove(folder)
    result = Result(case.key, case.title, case.nbytes, case.series, case.axis, case.x, rows)
    result.goals = judge(case, result)
    result.took = time.perf_counter() - began
    return result


def _prepare(case: Case, scale: Scale, folder: Path, say: Say) -> tuple[dict[str, Row], set[str]]:
    """Return a row for each contender, and the names of those whose memory is of interest."""
    with WorkerProcess(case, scale, folder) as worker:
        who = worker.ask("who")
        rows = {name: Row(name, Role(c["role"]), problem=c["problem"]) for name, c in who.items()}
        for row in _able(rows):
            say(f"{row.name}: preparing")
            _take(worker, row, "prepare")
    return rows, {name for name, c in who.items() if c["memory"]}


def _take_memory(
    case: Case, scale: Scale, folder: Path, rows: Mapping[str, Row], wanted: Collection[str], say: Say
) -> None:
    for row in _able(rows):
        if row.name not in wanted:
            row.seconds.append(None)
            continue
        say(f"{row.name}: memory")
        with WorkerProcess(case, scale, folder) as worker:
            take_turn(worker, row, counts=False, check=True, alone=True, long=scale.patience)


def _take_turns(
    case: Case, scale: Scale, folder: Path, rows: Mapping[str, Row], rounds: int, say: Say
) -> None:
    spent = {name: sum(row.counted) for name, row in rows.items()}
    with WorkerProcess(case, scale, folder) as worker:
        for turn in range(rounds + 1):
            for row in _able(rows):
                if spent[row.name] > scale.patience:
                    row.seconds.append(None)
                    continue
                say(f"{row.name}: turn {turn} of {rounds}")
                check = turn == 0 and row.memory is None  # else it was checked where that was taken
                spent[row.name] += take_turn(worker, row, counts=turn > 0, check=check, long=scale.patience)


def take_turn(
    worker: WorkerProcess,
    row: Row,
    *,
    counts: bool,
    check: bool = False,
    alone: bool = False,
    long: float = math.inf,
) -> float:
    """Run a contender once and put the figures into its row.

    Parameters
    ----------
    counts : bool
        Whether this turn is more than a warming up.
    check : bool
        Whether to see that the result is right.
    alone : bool
        Whether no other runs in this process, so that memory is that of one call.
    long : float
        Seconds from which on a turn counts anyhow: it needed no warming up.

    Returns
    -------
    float
        Seconds that it took, with what it went on doing in the background.
    """
    if row.problem:
        return 0.0
    answer = _take(worker, row, "run", check=check, once=alone)
    if row.problem:
        return 0.0
    whole = max([answer["seconds"], *answer["beside"].values()])
    counts = counts or whole > long
    row.seconds.append(answer["seconds"] if counts else None)
    if counts:
        for what, seconds in answer["beside"].items():
            row.beside.setdefault(what, []).append(seconds)
    row.file, row.read, row.written = (answer[what] for what in ("file", "read", "written"))
    if alone or answer["measured"]:
        row.memory = max(row.memory or 0, answer["memory"])
    return whole


def _able(rows: Mapping[str, Row]) -> Iterator[Row]:
    return (row for row in rows.values() if not row.problem)


def _take(worker: WorkerProcess, row: Row, do: str, **arguments: Any) -> dict[str, Any]:
    """Give an order about one contender; whatever goes wrong becomes its problem."""
    try:
        answer = worker.ask(do, name=row.name, **arguments)
    except WorkerDiedError as death:
        answer = {"problem": str(death)}
    row.problem = answer.get("problem", "")
    return answer
