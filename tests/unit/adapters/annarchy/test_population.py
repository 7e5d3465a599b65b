"""Populations of which Python alone has a part, with ANNarchy's objects stood in for."""

from __future__ import annotations

import json
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from ann_ckpt.adapters.annarchy.population import LivePopulation


class HomogeneousCorrelatedSpikeTrains(SimpleNamespace):
    """Taken for ANNarchy's own."""

    __module__ = "ANNarchy.inputs.SpikeTrains"


def live(**numbers: Any) -> tuple[LivePopulation, HomogeneousCorrelatedSpikeTrains]:
    about = json.dumps({"base": "", "members": {}, "rows": []})
    description = {
        "attributes": [],
        "parameters": [],
        "variables": [],
        "local": [],
        "semiglobal": [],
        "global": [],
    }
    population = HomogeneousCorrelatedSpikeTrains(
        name="correlated",
        geometry=(5,),
        size=5,
        cyInstance=SimpleNamespace(_ann_ckpt=lambda: about),
        neuron_type=SimpleNamespace(name="n", description=description),
        **{"rates": [10.0, 30.0], "corr": [0.3, 0.5], "tau": 10.0} | numbers,
    )
    return LivePopulation(SimpleNamespace(name_of=lambda thing: thing.name), population), population  # type: ignore[arg-type]


def test_numbers_that_only_python_has_are_kept_and_put_back() -> None:
    saved = live(rates=[400.0, 20.0], tau=7.0)[0].state()
    assert saved.dynamics["python.rates"].tolist() == [400.0, 20.0]
    there, population = live()
    assert there.cannot_take(saved) is None
    assert there.refuse_dynamics(saved) is None
    there.set_dynamics(saved.dynamics)
    assert (population.rates, population.corr, population.tau) == ([400.0, 20.0], [0.3, 0.5], 7.0)


@pytest.mark.parametrize(
    ("name", "values", "said"),
    [
        ("rates", np.ones((1, 2)), "python.rates is float64 (1, 2), not float64 (2,)"),
        ("rates", np.ones(3), "python.rates is float64 (3,), not float64 (2,)"),
        ("rates", np.ones(2, np.int64), "python.rates is int64 (2,), not float64 (2,)"),
        ("corr", np.array(0.5), "python.corr is float64 (), not float64 (2,)"),
        ("tau", np.ones(1), "python.tau is float64 (1,), not float64 ()"),
    ],
)
def test_such_numbers_of_another_shape_or_type_are_refused(name: str, values: np.ndarray, said: str) -> None:
    there, _ = live()
    state = there.state()
    other = replace(state, dynamics={**state.dynamics, f"python.{name}": values})
    assert there.refuse_dynamics(other) == said
