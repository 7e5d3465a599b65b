"""A save that goes on while its caller does something else."""

from __future__ import annotations

import atexit
import logging
import os

from ann_ckpt.errors import OptionError
from ann_ckpt.store.lanes import BackgroundLane
from ann_ckpt.store.reports import StoreReport

__all__ = ["BackgroundSave"]

_UNHEARD: set[BackgroundSave] = set()
"""Those whose outcome nobody has asked for."""


class BackgroundSave:
    """A save that goes on while its caller does something else."""

    def __init__(self) -> None:
        self.report: StoreReport | None = None
        """What was saved, once it is."""
        self.seen = False
        """Whether somebody has waited for the outcome."""
        self._lane: BackgroundLane | None = None
        self._process = os.getpid()

    @property
    def lane(self) -> BackgroundLane | None:
        """Who does it; None if it was done by the caller."""
        return self._lane

    @lane.setter
    def lane(self, lane: BackgroundLane) -> None:
        self._lane = lane
        _UNHEARD.add(self)

    @property
    def done(self) -> bool:
        """Whether it has ended, well or not."""
        self._check_process()
        return self._lane is None or not self._lane.busy

    def wait(self) -> StoreReport:
        """Wait for the end and return the report.

        Raises
        ------
        NotWritableError
            If it failed; the store is as it was before.
        OptionError
            In a forked child: only the process that began it knows.
        """
        self._check_process()
        error = self._lane.wait() if self._lane is not None else None
        self.seen = True
        _UNHEARD.discard(self)
        if error is not None:
            raise error
        if self.report is None:
            raise RuntimeError("a save ended without a report")
        return self.report

    def _check_process(self) -> None:
        if self._process != os.getpid():
            raise OptionError(
                "this save goes on in the process that began it",
                details={"found": f"process {os.getpid()}, begun by process {self._process}"},
            )


def _say_what_failed() -> None:
    """An exit handler can raise nothing that anybody would see."""
    for save in list(_UNHEARD):
        if save._process != os.getpid():
            continue
        try:
            save.wait()
        except Exception:
            logging.getLogger("ann_ckpt").exception("a save in the background failed; nobody had asked")


atexit.register(_say_what_failed)
