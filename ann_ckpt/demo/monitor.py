"""A monitor of the demo network: what it recorded, and how that goes into a checkpoint and back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ann_ckpt.model import Recording, Series

__all__ = ["DemoMonitor"]


class DemoMonitor:
    """Records the rates ``r`` of a population, and each ``onset``: a rate that rises above a level.

    Made by ``DemoNetwork.monitor``.

    Parameters
    ----------
    name : str
        Of the monitor.
    population : str
        Whose rates.
    variables : sequence of str
        ``r``, ``onset``, or both.
    period : int
        Steps between two samples of the rates.
    level : float
        What a rate has to exceed.
    """

    def __init__(
        self, name: str, population: str, variables: Sequence[str], period: int, level: float
    ) -> None:
        self.name, self.population = name, population
        self.settings: dict[str, Any] = {"period": period, "level": level}
        self.paused = False
        self._holds: dict[str, dict[str, list[NDArray[Any]]]] = {variable: {} for variable in variables}
        self.get()

    def record(self, step: int, before: NDArray[np.float64], now: NDArray[np.float64]) -> None:
        """Take the rates of one step, shape ``(size,)``, and those of the step before."""
        if self.paused:
            return
        if "r" in self._holds and step % self.settings["period"] == 0:
            self._add("r", times=np.array([step]), values=now[np.newaxis].copy())
        if "onset" in self._holds:
            ranks = np.flatnonzero((before <= self.settings["level"]) & (now > self.settings["level"]))
            self._add("onset", times=np.full(ranks.size, step), ranks=ranks)

    def get(self) -> dict[str, Series]:
        """Return what was recorded, and drop it."""
        held = self.held()
        for kept in self._holds.values():
            kept.clear()
        return held

    def held(self) -> dict[str, Series]:
        """Return what was recorded since the last :meth:`get`."""
        return {
            variable: Series(**{name: np.concatenate(parts) for name, parts in kept.items()})
            for variable, kept in self._holds.items()
            if kept
        }

    def recording(self) -> Recording:
        """Return what was recorded as a checkpoint has it."""
        nothing = Series(times=np.empty(0, np.int64), values=np.empty(0))
        held = self.held()
        return Recording(
            self.name,
            of=f"populations/{self.population}",
            series={variable: held.get(variable, nothing) for variable in self._holds},
            settings=self.settings,
            carried={"paused": self.paused},
        )

    def go_on_from(self, stored: Recording) -> None:
        """Hold what a checkpoint has, and nothing else."""
        self.paused = stored.carried["paused"]
        for variable, series in stored.items():
            self._holds[variable].clear()
            if len(series):
                self._add(variable, **{name: np.array(array) for name, array in series.arrays})

    def _add(self, variable: str, **arrays: NDArray[Any]) -> None:
        for name, array in arrays.items():
            self._holds[variable].setdefault(name, []).append(array)
