"""What a network has besides its objects: random generators, and calls at multiples of a time."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ann_ckpt import NetworkState
from ann_ckpt.adapters.annarchy.exactness import NOT_INSTRUMENTED
from ann_ckpt.adapters.annarchy.rng import (
    TWISTERS,
    default_array,
    invalid_generators,
    set_default,
    twister_array,
    twister_texts,
)
from ann_ckpt.adapters.annarchy.simulator import AnnarchySimulator, Every

TEXT = " ".join(map(str, range(625)))


@given(seed=st.integers(0, 2**32), halves=st.integers(0, 3))
def test_a_generator_of_numpy_goes_on_from_its_state(seed: int, halves: int) -> None:
    """An odd number of small draws leaves it half a word to give out."""
    one, other = np.random.default_rng(seed), np.random.default_rng(0)
    for _ in range(halves):
        one.integers(0, 1 << 32, dtype=np.uint32)
    state = default_array(one)
    assert state is not None
    assert invalid_generators({"default_rng": state}) is None
    set_default(other, state)
    assert (
        one.integers(0, 1 << 32, 5, dtype=np.uint32).tolist()
        == other.integers(0, 1 << 32, 5, dtype=np.uint32).tolist()
    )
    assert one.random(3).tolist() == other.random(3).tolist()


def test_another_generator_of_numpy_is_not_kept() -> None:
    assert default_array(np.random.Generator(np.random.MT19937(1))) is None


def simulator(generators: int | None) -> AnnarchySimulator:
    """Return a network with so many generators in C++, or one that does not give them out."""
    found = {} if generators is None else {"_ann_ckpt_generators": lambda: [TEXT] * generators}
    return AnnarchySimulator(SimpleNamespace(instance=SimpleNamespace(**found)))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("here", "reason"),
    [(2, None), (1, "2 random generators in the file, 1 here"), (None, NOT_INSTRUMENTED)],
)
def test_generators_are_taken_by_as_many(here: int | None, reason: str | None) -> None:
    stored = NetworkState(dynamics={TWISTERS: twister_array([TEXT, TEXT])})
    assert simulator(here).cannot_take(stored) == reason
    assert simulator(here).cannot_take(NetworkState()) is None
    assert twister_texts(stored.dynamics[TWISTERS]) == [TEXT, TEXT]


@given(steps=st.integers(1, 50), now=st.integers(0, 500), dt=st.sampled_from([0.1, 0.5, 1.0]))
def test_calls_come_at_multiples_however_a_simulation_is_cut(steps: int, now: int, dt: float) -> None:
    every = Every(steps, dt, lambda: now, lambda: None)
    # ANNarchy cuts them off to steps.
    assert (now + int(every.offset / dt)) % steps == 0
    assert int(every.offset / dt) < steps
    assert int(every.period / dt) == steps


def test_a_call_leaves_alone() -> None:
    callbacks: list[object] = ["mine"]
    called: list[int] = []
    first, second = (Every(5, 1.0, lambda: 0, lambda n=n: called.append(n)) for n in (1, 2))
    leave = first.install(callbacks)
    second.install(callbacks)
    leave()
    assert callbacks == ["mine", second]
    second.func(0)
    assert called == [2]
