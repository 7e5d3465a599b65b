"""When to save by the clock on the wall: after some minutes, within a budget, before the time is up."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from ann_ckpt.arguments import number
from ann_ckpt.errors import OptionError
from ann_ckpt.store.owners.job import LEAD, environment_seconds, seconds_left

__all__ = ["Pace"]

_LOG = logging.getLogger("ann_ckpt")
_MARGIN = 60.0
"""Seconds before the end by which everything is saved, where nobody says more; Slurm counts in minutes."""
_ASK_AGAIN = 600.0
"""Seconds after which the batch system is asked anew: a limit may be changed while the job runs."""
_RECENT = 0.5
"""Weight of the last save when the next one's cost is estimated."""


class Pace:
    """Says when a save is due; several rules may be given.

    Parameters
    ----------
    minutes : float, optional
        Save when so much time has passed since the last save.
    overhead : float, optional
        Share of the run's time that saves may take, above 0 and below 1: save as often as that allows.
    walltime : float, optional
        Seconds that the process may run from now on; what the batch system says comes first.
    clock : callable
        Seconds on a clock that does not stand still.
    left : callable
        Seconds that the batch system gives the job from now on, or None.

    Raises
    ------
    OptionError
        If a number is out of its range.
    """

    def __init__(
        self,
        *,
        minutes: float | None = None,
        overhead: float | None = None,
        walltime: float | None = None,
        clock: Callable[[], float] = time.monotonic,
        left: Callable[[], float | None] = seconds_left,
    ) -> None:
        for name, given in {"minutes": minutes, "overhead": overhead}.items():
            if given is not None:
                number(name, given)
        if minutes is not None and not minutes > 0:
            raise OptionError(f"minutes={minutes}: expected a time above 0")
        if overhead is not None and not 0 < overhead < 1:
            raise OptionError(f"overhead={overhead}: expected a share such as 0.02, above 0 and below 1")
        self._minutes = minutes
        self._overhead = overhead
        self._clock = clock
        self._left = left
        self._began = self._last = clock()
        self._spent = 0.0
        self._next = 0.0
        self._longest = 0.0
        self._end = None if walltime is None else self._began + walltime
        self._asked = -float("inf")
        self._warned = False

    def due(self) -> str | None:
        """Return why to save now; None if there is no need."""
        now = self._clock()
        return self._out_of_time(now) or self._minutes_up(now) or self._affordable(now)

    def saved(self, seconds: float | None) -> None:
        """Take note of a save that took so long and has just ended; None: that somebody else had saved."""
        self._last = self._clock()
        if seconds is None:
            return
        self._spent += seconds
        # The first one writes everything, so it says little about the next.
        self._next = seconds if self._next == 0 else _RECENT * seconds + (1 - _RECENT) * self._next
        self._longest = max(self._longest, seconds)
        lead = environment_seconds(LEAD)
        if self._end is not None and lead is None and seconds > _MARGIN and not self._warned:
            self._warned = True
            _LOG.warning(
                "the last save took %.0f s: it has to begin that long before the time is up", seconds
            )

    def _minutes_up(self, now: float) -> str | None:
        if self._minutes is None or now - self._last < 60 * self._minutes:
            return None
        return f"{self._minutes:g} minutes since the last save"

    def _affordable(self, now: float) -> str | None:
        """The share at the end of the next save, if it is begun now, must be within the budget."""
        if self._overhead is None:
            return None
        share = self._overhead * (now + self._next - self._began)
        if self._spent + self._next > share:
            return None
        return f"saves take no more than {100 * self._overhead:g} % of the run"

    def _out_of_time(self, now: float) -> str | None:
        """Save once when the end is near, and again only if there is time for another."""
        end = self._deadline(now)
        if end is None:
            return None
        lead = max(environment_seconds(LEAD) or 0.0, _MARGIN)
        left = end - now
        begin = max(lead + self._next, 2 * self._longest)
        if left > begin or end - self._last <= begin + 1e-9:
            return None
        return f"{max(left, 0.0):.0f} s of the job's time are left"

    def _deadline(self, now: float) -> float | None:
        if now - self._asked >= _ASK_AGAIN:
            self._asked = now
            left = self._left()
            if left is not None:
                self._end = now + left
        return self._end
