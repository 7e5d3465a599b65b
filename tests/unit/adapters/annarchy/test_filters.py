"""Projections without synapses of their own, with ANNarchy's objects stood in for."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from ann_ckpt.adapters.annarchy.filters import LiveFilters
from ann_ckpt.model import Connectivity, Exactness, ProjectionState

PLACES = [[0, 0], [0, 1], [1, 0], [1, 1]]


class Bindings:
    def name_of(self, thing: Any) -> str:
        name: str = thing.name
        return name

    def setting(self, key: str) -> str:
        return "float"

    def filters(self, instance: Any) -> Any:
        return instance.w

    def set_filters(self, instance: Any, filters: Any) -> None:
        instance.w = filters

    def filter_places(self, instance: Any) -> Any:
        return instance.pre_coords


def live(**changes: Any) -> tuple[LiveFilters, SimpleNamespace]:
    instance = SimpleNamespace(w=[[1.0, 2.0, 3.0]], pre_coords=PLACES, get_delay=lambda: 2)
    projection = SimpleNamespace(
        name="filter",
        pre=SimpleNamespace(name="a", size=4),
        post=SimpleNamespace(name="b", size=4),
        target="exc",
        cyInstance=instance,
        synapse_type=SimpleNamespace(name="shared", pre_spike=None),
        transmission=True,
        axon_transmission=True,
        update=True,
        plasticity=True,
    )
    vars(instance).update({k: v for k, v in changes.items() if k in vars(instance)})
    vars(projection).update({k: v for k, v in changes.items() if k not in vars(instance)})
    return LiveFilters(Bindings(), projection), projection  # type: ignore[arg-type]


def test_the_state_has_the_filters_in_the_networks_precision() -> None:
    state = live()[0].state()
    assert state.has_only_dynamics
    assert state.delays == 2
    assert state.dynamics["w"].dtype == "f4"
    assert state.dynamics["pre_coords"].shape == (4, 2)
    assert state.resume is not None
    assert state.resume.exactness is Exactness.EXACT


def test_filters_and_flags_are_put_back() -> None:
    saved = live(transmission=False, w=[[4.0, 5.0, 6.0]])[0].state()
    filters, projection = live()
    assert filters.cannot_take(saved) is None
    assert filters.refuse_dynamics(saved) is None
    filters.set_dynamics(saved.dynamics)
    assert projection.cyInstance.w == [[4.0, 5.0, 6.0]]
    assert projection.transmission is False


@pytest.mark.parametrize(
    ("other", "reason"),
    [
        ({"w": [[1.0, 2.0]]}, "w is float32"),
        ({"pre_coords": PLACES[::-1]}, "applied elsewhere"),
        ({"extent": [2, 2]}, "applied elsewhere"),
    ],
)
def test_what_does_not_fit_the_compiled_code_is_refused(other: dict[str, Any], reason: str) -> None:
    saved = live(**({"extent": [1, 1]} if "extent" in other else {}))[0].state()
    refusal = live(**other)[0].refuse_dynamics(saved)
    assert refusal is not None
    assert reason in refusal


def test_a_file_without_them_cannot_be_taken() -> None:
    filters = live()[0]
    state = filters.state()
    without = replace(state, dynamics={n: a for n, a in state.dynamics.items() if n != "w"})
    assert filters.cannot_take(without) == "the file does not have w"


def test_a_pooling_has_no_filters() -> None:
    filters, projection = live(w=None, extent=[2, 2])
    state = filters.state()
    assert "w" not in state.dynamics
    assert state.dynamics["extent"].tolist() == [2.0, 2.0]
    filters.set_dynamics(state.dynamics)
    assert projection.cyInstance.w is None


def test_no_synapses_and_no_other_delay_can_be_put_in_their_place() -> None:
    filters = live()[0]
    state = filters.state()
    one = Connectivity(np.zeros(1, np.int32), np.array([0, 1]), np.zeros(1, np.int32))
    assert filters.refusal(state) is None
    assert "no synapses" in str(filters.refusal(ProjectionState("filter", "a", "b", "exc", one)))
    assert "delay of 2 steps" in str(filters.refusal(replace(state, delays=3)))
    assert "delay of 2 steps" in str(filters.refusal(replace(state, delays=np.zeros(0, np.int32))))
