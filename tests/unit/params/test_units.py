"""Quantities become numbers in the unit that the model states."""

from __future__ import annotations

import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ann_ckpt import AttributeInfo, NetworkState, PopulationState, TypeInfo
from ann_ckpt.errors import ParameterFileError
from ann_ckpt.params import apply, parse, schema_for, validate
from ann_ckpt.params.checking import units
from ann_ckpt.params.file import from_object

UNITS = {
    "tau": "ms",
    "E_L": "mV",
    "I": "pA",
    "g": "nS/cm^2",
    "n": "ms",
    "steps": "steps",
    "bare": "",
    "R": "Ohm",
}


def net() -> NetworkState:
    kind = TypeInfo(
        "T", attributes={n: AttributeInfo("int" if n == "n" else "double", "", u) for n, u in UNITS.items()}
    )
    parameters: dict[str, Any] = dict.fromkeys(UNITS, 1.0)
    return NetworkState(populations=[PopulationState("p", (2,), parameters=parameters, neuron_type=kind)])


def about(name: str, value: Any) -> Any:
    return from_object({"populations": {"p": {name: value}}}, path="p.json")


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("tau", "10 ms", 10.0),
        ("tau", "0.01 s", 10.0),
        ("tau", "1.1 s", 1100.0),
        ("tau", "0.0011 s", 1.1),
        ("tau", "300us", 0.3),
        ("tau", "1e-2 s", 10.0),
        ("E_L", "-0.07 V", -70.0),
        ("I", "0.2 nA", 200.0),
        ("g", "1 mS/cm^2", 1e6),
        ("n", "2 s", 2000),
        ("steps", "5 steps", 5),
        ("R", "2 kOhm", 2000.0),
    ],
)
def test_a_quantity_is_the_number_that_it_says(name: str, text: str, value: float) -> None:
    file = about(name, text)
    assert validate(file, net()) == []
    assert validate(file, schema_for(net())) == []
    assert validate(file, schema_for(net(), draft=7)) == []
    changed = apply(file, net()).populations["p"].parameters[name].values
    assert float(changed[()]) == value


@pytest.mark.parametrize(
    ("name", "text", "rule", "message"),
    [
        ("tau", "10 mV", "P207", "expected ms, found mV"),
        ("tau", "10 parrots", "P207", "the unit 'parrots' is not known; give a plain number"),
        ("tau", "10", "P201", "expected a number, found the text '10'"),
        ("tau", "ms", "P201", "expected a number, found the text 'ms'"),
        ("tau", "10**9**9 ms", "P201", "expected a number, found the text '10**9**9 ms'"),
        ("tau", "1e999 ms", "P009", "1e999 is beyond the range of a double"),
        ("tau", "1e308 Ms", "P009", "'1e308 Ms' is beyond the range of a double in ms"),
        ("steps", "5 ms", "P207", "the model's unit 'steps' is not known; give a plain number"),
        ("bare", "5 ms", "P207", "'5 ms' has a unit and the parameter has none; give a plain number"),
        ("n", "1.5 us", "P201", "expected a whole number, found 0.0015"),
    ],
)
def test_a_quantity_that_does_not_fit_is_one_finding(name: str, text: str, rule: str, message: str) -> None:
    (finding,) = validate(about(name, text), net())
    assert (finding.rule, finding.message, finding.pointer) == (rule, message, f"/populations/p/{name}")
    with pytest.raises(ParameterFileError):
        apply(about(name, text), net())


def test_a_quantity_of_an_unknown_name_is_an_unknown_name() -> None:
    assert [f.rule for f in validate(about("tua", "10 ms"), net())] == ["P104"]


def test_without_pint_the_models_own_unit_is_understood(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pint", None)
    units._pint.cache_clear()
    units._known.cache_clear()
    try:
        assert validate(about("tau", "10 ms"), net()) == []
        (finding,) = validate(about("tau", "10 s"), net())
        assert "pip install 'ann_ckpt[units]'" in finding.message
    finally:
        units._pint.cache_clear()


@given(st.text(st.sampled_from("0123456789.e-+*/^() msVkn%°"), max_size=60))
def test_any_text_is_a_number_or_a_finding(text: str) -> None:
    findings = validate(about("tau", text), net())
    assert len(findings) <= 1


def test_the_position_is_that_of_the_text() -> None:
    (finding,) = validate(parse('{"populations": {\n "p": {"tau": "10 mV"}}}'), net())
    assert (finding.line, finding.column, finding.end_column) == (2, 15, 22)
