"""A process that runs contenders of one case when it is told to.

Orders come as JSON lines on standard input, answers go as JSON lines to what was standard
output when it started; whatever the libraries print goes to standard error instead. So a
peer that crashes takes its case along and nothing else, and memory is that of one
contender alone.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import resource
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from benchmarks.harness import SCALES, Case, Contender, Measured, size_of

__all__ = ["Worker", "peak", "start_of_peak"]

_ACCOUNT = Path("/proc/self/io")
_STATUS = Path("/proc/self/status")
_CLAIMED_AT_ONCE = 64 << 20
_MANY_PAGES = 64 << 20
_SETTLING = 3.0
"""Seconds after which pages that were freed have gone back to the host."""
_BRIEF_TURN = 0.05
"""Seconds that a turn of brief calls lasts at least."""
_FORGET_PEAK = Path("/proc/self/clear_refs")


class Worker:
    """One case with its contenders."""

    def __init__(self, case: Case, folder: Path) -> None:
        self._contenders = {c.name: c for c in case.contenders(folder)}
        self._case = case
        self._needed: dict[str, int] = {}
        """Bytes of pages that each contender took in its last turn: for its files, and for itself."""
        self._scratch = folder / "scratch"
        self._turn = _BRIEF_TURN if case.brief else 0.0

    def who(self) -> dict[str, Any]:
        """Every contender with its role, what keeps it from taking part, and whether its memory counts."""
        return {
            c.name: {
                "role": c.role,
                "problem": f"not installed: {', '.join(c.missing)}" if c.missing else "",
                "memory": c.memory,
            }
            for c in self._contenders.values()
        }

    def prepare(self, name: str) -> dict[str, Any]:
        """Make the files that a contender reads."""
        self._contenders[name].prepare()
        return {}

    def run(self, name: str, *, check: bool = False, once: bool = False) -> dict[str, Any]:
        """One turn: a timed run, or as many as fill a while if they are brief and not wanted once.

        ``memory`` in the answer is that of this contender only in a process where no other ran, or where it
        is ``measured`` by the run itself.
        """
        contender = self._contenders[name]
        with self._around(contender):
            resident = start_of_peak()
            read, written = _transferred()
            calls = 0
            began = time.perf_counter()
            while True:
                result = contender.run()
                calls += 1
                seconds = time.perf_counter() - began
                if once or seconds >= self._turn:
                    break
                del result
            memory = peak() - resident
            itself, beside = isinstance(result, Measured), {}
            if itself:
                seconds, calls, beside = result.seconds, 1, dict(result.beside)
                memory = max(memory, result.memory)
            read_after, written_after = _transferred()
            grown = _grown(written, written_after, 1)
            if grown is not None:
                self._needed[name] = grown + memory
            if check and contender.check is not None:
                contender.check(result)
            del result
            size = size_of(contender.product) if contender.product is not None else None
        return {
            "seconds": seconds / calls,
            "beside": beside,
            "measured": itself,
            "memory": memory,
            "file": size,
            "read": _grown(read, read_after, calls),
            "written": _grown(written, written_after, calls),
        }

    @contextlib.contextmanager
    def _around(self, contender: Contender) -> Iterator[None]:
        contender.before()
        gc.collect()
        os.sync()  # what an earlier run left to be written must not be paid for by this one
        if self._case.writes:
            self._have_pages(self._needed.get(contender.name, self._case.nbytes))
        try:
            yield
        finally:
            contender.after()

    def _have_pages(self, needed: int) -> None:
        """See to it that a run waits neither for pages of its own nor because of those that others freed.

        On a virtual machine, pages that are free go back to the host after a while, which
        stops everything meanwhile; so whoever needs few waits until that is over.
        """
        if needed >= _MANY_PAGES:
            _claim_memory(self._scratch, 2 * needed)
        elif self._case.nbytes >= _MANY_PAGES:
            time.sleep(_SETTLING)


def _claim_memory(path: Path, nbytes: int) -> None:
    """Have more free pages at hand than a run is going to take for its file.

    On a virtual machine, memory that was free for a while belongs to the host again, and
    whoever is the first to touch it waits for it: a second a GiB, many times what is measured.
    (Reading needs few new pages, and is slower for a while after so many were freed.)
    """
    block = bytes(min(nbytes, _CLAIMED_AT_ONCE))  # large, as the kernel caches large writes in large pages
    with path.open("wb", buffering=0) as file:
        while file.tell() < nbytes:
            file.write(block)
    path.unlink()


def _transferred() -> tuple[int | None, int | None]:
    """Bytes this process has read and written by system calls, where the system counts them."""
    if not _ACCOUNT.exists():
        return None, None
    lines = dict(line.split(": ") for line in _ACCOUNT.read_text().splitlines())
    return int(lines["rchar"]), int(lines["wchar"])


def _grown(before: int | None, after: int | None, calls: int) -> int | None:
    return None if before is None or after is None else (after - before) // calls


def start_of_peak() -> int:
    """Forget the peak so far, where the system can; return resident bytes from which it will grow."""
    if not _FORGET_PEAK.exists():
        return peak()
    _FORGET_PEAK.write_text("5")
    return _status("VmRSS")


def peak() -> int:
    """Return the most bytes that were resident since :func:`start_of_peak`."""
    # Linux hands the parent's peak on to ru_maxrss of a child; VmHWM is this process's own.
    if _STATUS.exists():
        return _status("VmHWM")
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024


def _status(field: str) -> int:
    lines = dict(line.split(":", 1) for line in _STATUS.read_text().splitlines())
    return int(lines[field].split()[0]) * 1024


def _answer(orders: Worker, order: dict[str, Any]) -> dict[str, Any]:
    call: Callable[..., dict[str, Any]] = getattr(orders, order.pop("do"))
    try:
        return call(**order)
    except Exception as error:  # noqa: BLE001  (whatever a contender raises belongs in the table)
        traceback.print_exc()
        return {"problem": f"{type(error).__name__}: {error}".splitlines()[0][:120]}


def main() -> None:
    """Take orders until standard input ends: ``worker.py CASE SCALE FOLDER``."""
    from benchmarks.catalogue import find

    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    key, scale, folder = sys.argv[1:]
    worker = Worker(find(key, SCALES[scale]), Path(folder))
    for line in sys.stdin:
        print(json.dumps(_answer(worker, json.loads(line))), file=answers)


if __name__ == "__main__":
    main()
