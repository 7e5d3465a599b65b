"""What a projection that was compiled as usual keeps from Python."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from ann_ckpt.adapters.annarchy.resuming import GENERATOR, RACE, hidden_in_projection, resuming
from ann_ckpt.model import Exactness


def projection(storage: str) -> SimpleNamespace:
    """A rate-coded projection with nothing to hide but how it is stored."""
    description = {"type": "rate", "variables": [], "random_distributions": []}
    return SimpleNamespace(
        synapse_type=SimpleNamespace(description=description),
        max_delay=1,
        uniform_delay=1,
        transmission=True,
        update=True,
        plasticity=True,
        _storage_format=storage,
    )


@pytest.mark.parametrize(
    ("storage", "threads", "hidden"), [("coo", 1, ()), ("coo", 2, (RACE,)), ("lil", 2, ())]
)
def test_threads_that_add_to_one_sum_are_named(storage: str, threads: int, hidden: tuple[str, ...]) -> None:
    assert hidden_in_projection(projection(storage), update_period=1, threads=threads) == hidden


def test_no_barrier_makes_up_for_a_race() -> None:
    assert resuming((GENERATOR,), reseeded=True).exactness is Exactness.RESEEDED
    assert resuming((GENERATOR, RACE), reseeded=True).exactness is Exactness.APPROXIMATE
