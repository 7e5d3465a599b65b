"""A save that goes on while its caller does something else."""

from __future__ import annotations

from ann_ckpt.store.lanes import BackgroundLane
from ann_ckpt.store.reports import StoreReport

__all__ = ["BackgroundSave"]


class BackgroundSave:
    """A save that goes on while its caller does something else."""

    def __init__(self) -> None:
        self.report: StoreReport | None = None
        """What was saved, once it is."""
        self.lane: BackgroundLane | None = None
        self.seen = False
        """Whether somebody has waited for the outcome."""

    @property
    def done(self) -> bool:
        """Whether it has ended, well or not."""
        return self.lane is None or not self.lane.busy

    def wait(self) -> StoreReport:
        """Wait for the end and return the report.

        Raises
        ------
        NotWritableError
            If it failed; the store is as it was before.
        """
        error = self.lane.wait() if self.lane is not None else None
        self.seen = True
        if error is not None:
            raise error
        if self.report is None:
            raise RuntimeError("a save ended without a report")
        return self.report
