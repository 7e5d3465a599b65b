"""Synapses for a projection that is not compiled yet: what its populations do not have is refused."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from ann_ckpt import Connectivity, ProjectionState
from ann_ckpt.adapters.annarchy.building import build
from ann_ckpt.errors import ConnectivityError, SimulatorError


def projection(*, view: bool = False) -> SimpleNamespace:
    """What is looked at before anything is set; there is nothing here that could be set."""
    pre, post = SimpleNamespace(name="a", size=4), SimpleNamespace(name="b", size=3)
    if view:
        post = SimpleNamespace(population=post, name="b", size=1)
    return SimpleNamespace(name="ff", initialized=False, pre=pre, post=post)


def stored(posts: list[int], rows: list[list[int]]) -> ProjectionState:
    connectivity = Connectivity.from_rows(posts, rows)
    return ProjectionState("ff", "a", "b", "exc", connectivity, variables={"w": np.ones(2)})


@pytest.mark.parametrize("view", [False, True])
@pytest.mark.parametrize(
    ("posts", "rows", "said"),
    [
        ([0, 3], [[0], [1]], "post-synaptic neuron 3(.|\\n)*ranks below 3, the size of 'b'"),
        ([9, 1], [[0], [1]], "post-synaptic neuron 9"),
        ([0, 2], [[0], [4]], "pre-synaptic neuron 4(.|\\n)*ranks below 4, the size of 'a'"),
    ],
)
def test_a_rank_that_a_population_does_not_have_is_refused_first(
    posts: list[int], rows: list[list[int]], said: str, view: bool
) -> None:
    target = projection(view=view)
    before = vars(target).copy()
    with pytest.raises(ConnectivityError, match=said):
        build(target, stored(posts, rows))
    assert vars(target) == before


def test_a_compiled_projection_is_refused() -> None:
    target = projection()
    target.initialized = True
    with pytest.raises(SimulatorError, match="compiled already"):
        build(target, stored([0, 2], [[0], [3]]))
