"""A budget on the real clock: ten minutes, with saves of 10 ms to 2 s."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from itertools import repeat

import numpy as np
import pytest

from ann_ckpt.demo import DemoNetwork
from ann_ckpt.store.timing.autosave import Periodic
from ann_ckpt.store.timing.pacing import Pace

SECONDS = 600.0
BUDGET = 0.02


class Sleeper:
    """A store whose saves take a given time."""

    path = "run.ckpt"
    reason: str | None = None
    saved_step: int | None = None
    busy = False

    def __init__(self, costs: Iterator[float]) -> None:
        self.costs = costs
        self.spent = 0.0
        self.saves = 0

    def save(self, network: DemoNetwork, *, background: bool) -> None:
        assert not background
        began = time.monotonic()
        time.sleep(next(self.costs))
        self.spent += time.monotonic() - began
        self.saves += 1
        self.saved_step = network.time_step

    def _has_saved(self, _network: DemoNetwork, step: int | None) -> bool:
        return step == self.saved_step

    def heed_signals(self) -> None:
        """Nobody listens."""

    def settle(self) -> None:
        """Nothing is saved in the background."""


def mixed() -> Iterator[float]:
    """From 10 ms to 2 s, in no order."""
    rng = np.random.default_rng(1)
    while True:
        yield float(np.exp(rng.uniform(np.log(0.01), np.log(2.0))))


def share(store: Sleeper, seconds: float = SECONDS) -> float:
    """Run so long in steps of some ms; the share of the time that saves took."""
    net = DemoNetwork(side=2)
    began = time.monotonic()
    with Periodic(store, net, None, Pace(overhead=BUDGET, left=lambda: None), 1.0):
        while time.monotonic() < began + seconds:
            net.simulate(1)
            time.sleep(0.01)
    return store.spent / (time.monotonic() - began)


def test_a_store_that_only_sleeps_is_saved_to() -> None:
    store = Sleeper(repeat(0.0))
    share(store, seconds=0.1)
    assert store.saves > 0


@pytest.mark.batch
def test_saves_of_10_ms_to_2_s_take_2_percent_of_ten_minutes() -> None:
    costs: dict[str, Callable[[], Iterator[float]]] = {
        "10 ms": lambda: repeat(0.01),
        "100 ms": lambda: repeat(0.1),
        "700 ms": lambda: repeat(0.7),
        "2 s": lambda: repeat(2.0),
        "mixed": mixed,
    }
    shares: dict[str, float] = {}
    threads = [
        threading.Thread(target=lambda name=name, make=make: shares.update({name: share(Sleeper(make()))}))
        for name, make in costs.items()
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(shares) == len(costs)
    assert all(0.016 <= value <= 0.024 for value in shares.values()), shares
