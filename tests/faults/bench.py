"""One fault after another, each in a copy of what its operation begins with, judged by a fresh process."""

from __future__ import annotations

import errno
import os
import shutil
import signal
import zlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any, Self

from tests.faults.shim import COUNTED, Action, Fault, Kind, build
from tests.faults.zygote import Zygote

__all__ = ["Bench"]


class Bench:
    """Performs operations with faults.

    Parameters
    ----------
    folder : Path
        Where it works; a folder in memory, best of all.
    counts : Counter
        Takes how many faults were injected, and what their callers were told.
    """

    def __init__(self, folder: Path, counts: Counter[str]) -> None:
        self.counts = counts
        self._folder = folder
        self._faulty = Zygote(build())
        self._plain = Zygote()
        self._calls: dict[str, dict[Kind, int]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._faulty.close()
        self._plain.close()

    def prepared(self, operation: str) -> Path:
        """Return a folder that an operation begins with; made once."""
        folder = self._folder / operation / "begin"
        if not folder.exists():
            folder.mkdir(parents=True)
            _expect(self._plain.do("prepare", operation=operation, folder=folder), operation)
        return folder

    def calls(self, operation: str, kinds: Kind) -> int:
        """Return how many calls of some kinds an operation makes when all goes well."""
        if operation not in self._calls:
            work = self._copy(operation)
            told = self._faulty.do("perform", operation=operation, folder=work, fault=asdict(COUNTED))
            _expect(told, operation)
            _expect(self._plain.do("judge", operation=operation, folder=work, outcome=told), operation)
            self._calls[operation] = {Kind(int(kind)): count for kind, count in told["seen"].items()}
        return sum(count for kind, count in self._calls[operation].items() if kind & kinds)

    def numbers(self, operation: str, fault: Fault, sample: int | None) -> Iterator[int]:
        """Yield the calls to try: so many, spread evenly, or all until a run meets none."""
        if sample is None:
            yield from range(1 << 30)
        else:
            step = max(1, self.calls(operation, fault.kinds) // sample)
            yield from (
                zlib.crc32(f"{operation} {fault.name}".encode()) % step + i * step for i in range(sample)
            )

    def inject(self, operation: str, fault: Fault, number: int) -> str | None:
        """Perform an operation with one fault; return what was wrong: "", or None if no call met it."""
        work = self._copy(operation)
        told = self._faulty.do(
            "perform", operation=operation, folder=work, fault=asdict(fault), number=number
        )
        if told["status"] == -signal.SIGKILL and fault.kills and not told.get("foreign"):
            told |= {"kind": "killed", "first": "", "met": 1}
        elif told["status"] or told["foreign"]:
            self.counts["crashed" if told["status"] < 0 else "foreign error"] += 1
            return _text(told)
        elif not told["met"]:
            return None
        self.counts[f"{'kill' if fault.kills else 'fault'}: {told['kind']}"] += 1
        refused = told["first"].startswith(("unlink", "rmdir", "remove"))
        told["may_litter"] = refused or bool(fault.persistent and fault.kinds & Kind.UNLINK)
        judged = self._plain.do("judge", operation=operation, folder=work, outcome=told)
        if judged["status"] or judged["foreign"]:
            self.counts["wrong"] += 1
            return f"{told['first']} -> {told['kind']}: {told.get('message')}\n{_text(judged)}"
        return ""

    def fill_up(self, operation: str, mount: Path, room: int) -> str:
        """Perform an operation on a small file system with so much room left; return what was wrong."""
        work, filler = mount / "work", mount / "filler"
        begin = self.prepared(operation)
        shutil.rmtree(work, ignore_errors=True)
        filler.unlink(missing_ok=True)
        shutil.copytree(begin, work)
        system = os.statvfs(mount)
        filler.write_bytes(bytes(max(0, system.f_bavail * system.f_bsize - room)))
        told = self._plain.do("perform", operation=operation, folder=work, fault=None)
        filler.unlink()
        if told["status"] or told["foreign"]:
            self.counts["crashed" if told["status"] < 0 else "foreign error"] += 1
            return _text(told)
        self.counts[f"full disk: {told['kind']}"] += 1
        judged = self._plain.do("judge", operation=operation, folder=work, outcome=told)
        if judged["status"] or judged["foreign"]:
            self.counts["wrong"] += 1
            return f"{told['kind']}: {told.get('message')}\n{_text(judged)}"
        return ""

    def misread(self, reading: str, fault: Fault, number: int) -> str | None:
        """Read with one fault; return what was wrong: "", or None if no call met it."""
        folder = self._folder / reading
        if not folder.exists():
            folder.mkdir()
            _expect(self._plain.do("prepare_reading", reading=reading, folder=folder), reading)
        told = self._faulty.do("read", reading=reading, folder=folder, fault=asdict(fault), number=number)
        if told["status"] or told["foreign"]:
            self.counts["crashed" if told["status"] < 0 else "wrong"] += 1
            return _text(told)
        if not told["met"]:
            return None
        self.counts[f"read: {told['kind']}"] += 1
        if told["kind"] == "failed":
            true = told["code"] == "not-readable" or told["message"].startswith("error[not-readable]")
            if fault.action == Action.CUT or fault.error == errno.EINTR or not true:
                return f"{told['first']} -> {told['message']}"
        return ""

    def _copy(self, operation: str) -> Path:
        begin = self.prepared(operation)
        work = begin.with_name("work")
        shutil.rmtree(work, ignore_errors=True)
        shutil.copytree(begin, work)
        return work


def _text(told: dict[str, Any]) -> str:
    return "\n".join([f"status {told['status']}", *told.get("foreign", ()), told["stderr"][-3000:]])


def _expect(told: dict[str, Any], operation: str) -> None:
    assert not told["status"], f"{operation}: {_text(told)}"
    assert not told["foreign"], f"{operation}: {_text(told)}"
