"""A callback between two steps, by the mechanism of ANNarchy's own ``every``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

__all__ = ["Every"]


class Every:
    """What ANNarchy keeps for each ``@every``, on the clock of the whole simulation.

    ANNarchy counts periods from the start of each call to ``simulate``. This counts
    them from time step 0, so that it does not matter how a script cuts its simulation
    into calls: the offset, asked for when one starts, leads to the next multiple.

    Parameters
    ----------
    steps : int
        Period in steps.
    dt : float
        Length of a step in ms.
    time_step : callable
        Returns the steps simulated so far.
    call : callable
        What is called.
    """

    wait = 0.0

    def __init__(self, steps: int, dt: float, time_step: Callable[[], int], call: Callable[[], None]) -> None:
        self._steps = steps
        self._dt = dt
        self._time_step = time_step
        self._call = call

    # ANNarchy cuts these off after dividing by dt; the half step keeps 0.3 / 0.1 from being 2.

    @property
    def period(self) -> float:
        """Period in ms."""
        return (self._steps + 0.5) * self._dt

    @property
    def offset(self) -> float:
        """Time from now to the next multiple of the period, in ms."""
        return (-self._time_step() % self._steps + 0.5) * self._dt

    def func(self, _count: int) -> None:
        """Make the call."""
        self._call()

    def install(self, callbacks: list[Any]) -> Callable[[], None]:
        """Join the network's callbacks; return what leaves them again."""
        callbacks.append(self)

        def leave() -> None:
            callbacks[:] = [c for c in callbacks if c is not self]

        return leave
