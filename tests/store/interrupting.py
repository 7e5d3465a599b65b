"""A process that is interrupted at one line after another of a save, as by ^C, and goes on saving."""

from __future__ import annotations

import contextlib
import faulthandler
import linecache
import os
import sys
from pathlib import Path
from types import FrameType
from typing import Any

import ann_ckpt
from ann_ckpt import CheckpointStore, differences
from tests.store.runs import state

PACKAGE = Path(ann_ckpt.__file__).parent
LOOKED_AT = (f"{PACKAGE / 'store'}{os.sep}", f"{PACKAGE / 'threads.py'}")
"""Where threads are started and locks taken."""
LONGEST = 30.0
"""Seconds after which a step hangs."""


class Lines:
    """Counts lines as they are run by this thread, and raises at one of them."""

    def __init__(self, stop: int | None = None) -> None:
        self.count = 0
        self.where = ""
        self._stop = stop

    def __call__(self, frame: FrameType, event: str, _: object) -> Any:
        return self._line if frame.f_code.co_filename.startswith(LOOKED_AT) else None

    def _line(self, frame: FrameType, event: str, _: object) -> Any:
        if event == "line" and not _at_no_call(frame):
            self.count += 1
            if self.count == self._stop:
                self.where = f"{frame.f_code.co_filename}:{frame.f_lineno}"
                raise KeyboardInterrupt
        return self._line


def _at_no_call(frame: FrameType) -> bool:
    """Whether a line is that of a ``try``, or of a ``with`` that is left: there, Python heeds no signal."""
    return linecache.getline(frame.f_code.co_filename, frame.f_lineno).lstrip().startswith(("try:", "with "))


def save(path: str, step: int, way: str, lines: Lines) -> None:
    """Save once, with the lines counted, and close the store."""
    with CheckpointStore(path, "a") as store:
        sys.settrace(lines)
        try:
            if way == "caller":
                store.save(state(step, scale=1))
            else:
                store.save_in_background(state(step, scale=1), way=way)
        finally:
            sys.settrace(None)


def main(path: str, way: str, times: int) -> None:
    """Interrupt so many saves, each at another line as far as there are, and save once more after each."""
    counted = Lines()
    save(path, 0, way, counted)
    stops = sorted({1 + number * counted.count // times for number in range(times)})
    for step, stop in enumerate(stops, 1):
        faulthandler.dump_traceback_later(LONGEST, exit=True)
        lines = Lines(stop)
        with contextlib.suppress(KeyboardInterrupt):
            save(path, 2 * step - 1, way, lines)
        sys.stderr.write(f"{lines.where}\n")  # in front of what hangs after it
        with CheckpointStore(path, "a") as store:
            store.save(state(2 * step, scale=1))
            found = list(differences(store.latest.state(), state(2 * step, scale=1)))
            assert not found, (lines.where, found)
    faulthandler.cancel_dump_traceback_later()
    assert ann_ckpt.verify(path).ok
    sys.stdout.write(f"{len(stops)} {counted.count}")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
