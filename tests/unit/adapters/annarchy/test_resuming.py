"""What a projection that was compiled as usual keeps from Python."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from ann_ckpt.adapters.annarchy.exactness import GENERATOR, KEPT_NUMBER, RACE, hidden_in_projection, resuming
from ann_ckpt.adapters.annarchy.v5 import Nanobind
from ann_ckpt.model import Exactness


class Projection(SimpleNamespace):
    """Taken for ANNarchy's own."""

    __module__ = "ANNarchy.core.Projection"


def projection(storage: str) -> Projection:
    """A rate-coded projection with nothing to hide but how it is stored."""
    description = {"type": "rate", "variables": [], "random_distributions": []}
    return Projection(
        synapse_type=SimpleNamespace(description=description),
        max_delay=1,
        uniform_delay=1,
        transmission=True,
        axon_transmission=True,
        update=True,
        plasticity=True,
        _storage_format=storage,
    )


def test_a_projection_that_does_not_say_when_it_learns_always_does() -> None:
    """Those of BOLD monitors, compiled as usual."""
    bindings = Nanobind.__new__(Nanobind)
    assert bindings.update_period(object()) == 1
    assert bindings.update_period(SimpleNamespace(_update_period=3)) == 3


@pytest.mark.parametrize(
    ("storage", "threads", "hidden"), [("coo", 1, ()), ("coo", 2, (RACE,)), ("lil", 2, ())]
)
def test_threads_that_add_to_one_sum_are_named(storage: str, threads: int, hidden: tuple[str, ...]) -> None:
    assert hidden_in_projection(projection(storage), update_period=1, threads=threads) == hidden


def test_no_barrier_makes_up_for_a_race() -> None:
    assert resuming((GENERATOR,), reseeded=True).exactness is Exactness.RESEEDED
    assert resuming((GENERATOR, RACE), reseeded=True).exactness is Exactness.APPROXIMATE


def test_growth_by_chance_names_the_generator() -> None:
    grown = projection("lil")
    grown.synapse_type.description["pruning"] = {
        "eq": "t - t_pre > 5.0",
        "bounds": {"proba": "0.5"},
        "rd": None,
    }
    assert hidden_in_projection(grown, update_period=1, threads=1) == (
        "when its neurons spiked last (t_pre)",
        GENERATOR,
        "its schedule of pruning and creating",
    )


@pytest.mark.parametrize(
    ("dist", "kept"),
    [("Normal", True), ("LogNormal", True), ("Gamma", True), ("New", True), ("Uniform", False)],
)
def test_a_distribution_that_draws_in_pairs_is_named(dist: str, kept: bool) -> None:
    noisy = projection("lil")
    noisy.synapse_type.description["random_distributions"] = [{"name": "rand_0", "dist": dist}]
    hidden = hidden_in_projection(noisy, update_period=1, threads=1)
    assert hidden == ((GENERATOR, KEPT_NUMBER) if kept else (GENERATOR,))


def test_what_is_not_listed_is_named() -> None:
    """Derived from a class that is known, with a part in its type that is not."""

    class Mine(Projection):
        pass

    mine = Mine(**vars(projection("lil")))
    mine.synapse_type.description["dreams"] = "w"
    assert hidden_in_projection(mine, update_period=1, threads=1) == (
        "whatever a Mine keeps beside its attributes",
        "what dreams in its type makes of it",
    )


def test_a_spike_that_no_axon_carries_is_a_flag() -> None:
    quiet = projection("lil")
    quiet.axon_transmission = False
    assert hidden_in_projection(quiet, update_period=1, threads=1) == (
        "its learning flags (see enable_learning)",
    )
