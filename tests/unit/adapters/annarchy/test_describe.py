from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from ann_ckpt import Locality
from ann_ckpt.adapters.annarchy.describe import declared, described
from ann_ckpt.errors import SimulatorError


def entry(name: str, ctype: str = "double", locality: str = "local", **bounds: object) -> dict[str, Any]:
    return {"name": name, "ctype": ctype, "locality": locality, "bounds": bounds}


def test_attributes_are_what_the_description_says() -> None:
    found = declared(
        {
            "parameters": [entry("tau", locality="global"), entry("kind", "int"), entry("on", "bool")],
            "variables": [entry("r", "float", min="0.0", max="limit"), entry("a", locality="semiglobal")],
        }
    )
    assert [(a.name, a.dtype, a.locality, a.parameter) for a in found] == [
        ("tau", np.float64, Locality.GLOBAL, True),
        ("kind", np.int32, Locality.LOCAL, True),
        ("on", np.bool_, Locality.LOCAL, True),
        ("r", np.float32, Locality.LOCAL, False),
        ("a", np.float64, Locality.SEMIGLOBAL, False),
    ]
    assert [(a.minimum, a.maximum) for a in found if a.name == "r"] == [(0.0, None)], "a name is no number"


def test_hidden_random_numbers_and_repeats_are_left_out() -> None:
    found = declared({"parameters": [entry("w")], "variables": [entry("rand_0"), entry("w")]})
    assert [a.name for a in found] == ["w"]
    assert found[0].parameter


def test_one_weight_for_all_is_global_whatever_is_declared() -> None:
    (w,) = declared({"parameters": [entry("w")], "variables": []}, single_weight=True)
    assert w.locality is Locality.GLOBAL


def test_an_unknown_type_is_an_error() -> None:
    (odd,) = declared({"parameters": [entry("z", "complex")], "variables": []})
    with pytest.raises(SimulatorError, match="'z' has the C type 'complex'"):
        odd.dtype  # noqa: B018


@dataclass
class Parameter:
    """As ANNarchy 5 has it."""

    value: object
    locality: str = "global"
    type: object = float


class Uniform:
    """A distribution with a generator, whose address must not get into a file."""

    def __init__(self) -> None:
        self.min, self.max, self.rng, self._seen = 0.0, 1.0, object(), 3


def test_a_definition_in_dicts_and_lists_becomes_text() -> None:
    kind = SimpleNamespace(
        name="Leaky",
        short_description="Leaks.",
        parameters={"tau": 10.0, "on": Parameter(True, type=bool), "base": Parameter(Uniform(), "local")},
        equations=["tau * dv/dt = -v", "r = pos(v)"],
        refractory=2.0,
        spike=None,
    )
    info = described(kind, ())
    assert (info.name, info.description) == ("Leaky", "Leaks.")
    assert info.texts == {
        "parameters": (
            "tau = 10.0\n"
            "on = True : locality=global, type=bool\n"
            "base = Uniform(min=0.0, max=1.0) : locality=local, type=float"
        ),
        "equations": "tau * dv/dt = -v\nr = pos(v)",
        "refractory": "2.0",
    }


def test_a_definition_in_text_loses_its_indentation_only() -> None:
    kind = SimpleNamespace(
        name="STDP", short_description=None, parameters="\n    tau = 1.0\n    ", pre_spike="g_target += w"
    )
    info = described(kind, ())
    assert info.texts == {"parameters": "tau = 1.0", "pre_spike": "g_target += w"}
    assert info.description == ""
