"""What a finding says, where it points, and what it suggests."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from ann_ckpt import NetworkState, PopulationState, differences
from ann_ckpt.params import (
    RULES,
    Finding,
    ParameterFileWarning,
    Schema,
    Severity,
    apply,
    diff,
    parse,
    schema_for,
    validate,
)
from tests.unit.params.networks import network

INP = "/populations/inp"


def inp(**values: Any) -> dict[str, Any]:
    """A file about population ``inp``."""
    return {"populations": {"inp": values}}


def only(data: Any, target: Any = None, **options: Any) -> Finding:
    (finding,) = validate(parse(json.dumps(data)), target or network(), **options)
    return finding


@pytest.mark.parametrize(
    ("data", "rule", "pointer", "message"),
    [
        (
            {"population": {}},
            "P101",
            "/population",
            "unknown section 'population' (did you mean 'populations'?)",
        ),
        ({"x": 1}, "P101", "/x", "unknown section 'x'"),
        (
            {"populations": {"inpt": {"tau": 1}}},
            "P102",
            "/populations/inpt",
            "unknown population 'inpt' (did you mean 'inp'?)",
        ),
        (
            {"populations": {"ff": {}}},
            "P102",
            "/populations/ff",
            "unknown population 'ff'; it is one of the projections",
        ),
        (
            {"projections": {"inp": {}}},
            "P103",
            "/projections/inp",
            "unknown projection 'inp'; it is one of the populations",
        ),
        (
            inp(Tau=1),
            "P104",
            f"{INP}/Tau",
            "population 'inp' has no parameter 'Tau' (did you mean 'tau'?)",
        ),
        (
            {"projections": {"ff": {"eat": 1}}},
            "P104",
            "/projections/ff/eat",
            "projection 'ff' has no parameter 'eat' (did you mean 'eta'?)",
        ),
        ({"constants": {"k": 1}}, "P105", "/constants/k", "unknown constant 'k' (did you mean 'K'?)"),
        (
            inp(tau="1e3"),
            "P201",
            f"{INP}/tau",
            "expected a number, found the text '1e3'",
        ),
        (
            inp(tau=True),
            "P201",
            f"{INP}/tau",
            "expected a number, found true",
        ),
        (
            inp(tau=[1, 2, 3]),
            "P201",
            f"{INP}/tau",
            "expected a number, found an array of 3",
        ),
        (
            inp(nb=2.5),
            "P201",
            f"{INP}/nb",
            "expected a whole number, found 2.5",
        ),
        (
            inp(on=1),
            "P201",
            f"{INP}/on",
            "expected true or false, found 1",
        ),
        (
            inp(noise="x"),
            "P201",
            f"{INP}/noise",
            "expected a number or an array, found the text 'x'",
        ),
        (
            inp(noise=[0, 0, None, 0]),
            "P201",
            f"{INP}/noise/2",
            "expected a number, found null",
        ),
        ({"populations": {"inp": None}}, "P201", "/populations/inp", "expected an object, found null"),
        ({"populations": []}, "P201", "/populations", "expected an object, found an array of 0"),
        (
            {"network": {"a": {"b": 1}}},
            "P201",
            "/network/a",
            "expected null, true or false, a number or a text, found an object",
        ),
        (
            inp(noise=[1, 1]),
            "P202",
            f"{INP}/noise",
            "expected 4 values, one for each neuron; found 2",
        ),
        (
            {"projections": {"ff": {"theta": [1]}}},
            "P202",
            "/projections/ff/theta",
            "expected 2 values, one for each dendrite; found 1",
        ),
        (
            {"projections": {"ff": {"w": [1] * 5}}},
            "P202",
            "/projections/ff/w",
            "expected 4 values, one for each synapse; found 5",
        ),
        (
            {"populations": {"grid": {"noise": [[1, 2, 3], [1, 2]]}}},
            "P202",
            "/populations/grid/noise/1",
            "expected 3 values; found 2",
        ),
        (
            inp(nb=2**31),
            "P203",
            f"{INP}/nb",
            "2147483648 is beyond the range of the C type int",
        ),
        (
            {"projections": {"ff": {"w": [0.5, 2**53 + 1, 2**53 + 3, -(2**53) - 1]}}},
            "P401",
            "/projections/ff/w/1",
            "9007199254740993 has more digits than the C type double keeps; 2 more like it in this array",
        ),
        (
            {"projections": {"ff": {"eta": -1e-50}}},
            "P401",
            "/projections/ff/eta",
            "-1e-50 is too small for the C type float and is set as 0",
        ),
        (
            {"projections": {"ff": {"eta": -1e39}}},
            "P203",
            "/projections/ff/eta",
            "-1e+39 is beyond the range of the C type float",
        ),
        (
            inp(tau=-0.5),
            "P204",
            f"{INP}/tau",
            "-0.5 is below the minimum 0 ms",
        ),
        (
            inp(noise=[0, 0, 0, 2]),
            "P204",
            f"{INP}/noise/3",
            "2 is above the maximum 1",
        ),
        ({"format_version": 2}, "P205", "/format_version", "expected 1, found 2"),
        (
            {"constants": {"K": 2**53 + 1}},
            "P401",
            "/constants/K",
            "9007199254740993 has more digits than the C type double keeps",
        ),
    ],
)
def test_what_is_said(data: Any, rule: str, pointer: str, message: str) -> None:
    finding = only(data)
    assert (finding.rule, finding.pointer, finding.message) == (rule, pointer, message)
    assert finding.severity is RULES[rule].severity


@pytest.mark.parametrize(
    "data",
    [
        {},
        {"populations": {}, "projections": {}, "network": {}, "constants": {}},
        {"populations": {"inp": {"nb": 1.0, "tau": 1, "on": False}}},
        {"populations": {"inp": {"noise": [0, 0.5, 1, -3]}, "grid": {"noise": [1] * 6}}},
        {"populations": {"grid": {"noise": [[1, 2, 3], [4, 5, 6]]}, "inp": {"noise": 0.5}}},
        {"projections": {"ff": {"w": 1, "theta": [1, 2], "eta": 3.4e38}}},
        {"network": {"a": None, "b": True, "c": "text", "d": 1e300, "": 2**200}},
        {"$schema": "./net.schema.json", "format_version": 1},
    ],
)
def test_what_is_right_has_no_finding(data: Any) -> None:
    assert validate(parse(json.dumps(data)), network()) == []


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"populations": {"inp": {"noise": 1}}}, "'noise' has one value per neuron"),
        ({"projections": {"ff": {"w": 1}}}, "'w' has one value per synapse"),
        ({"projections": {"ff": {"theta": [1, 2]}}}, "'theta' has one value per dendrite"),
    ],
)
def test_what_is_not_global_is_a_finding_if_asked(data: Any, message: str) -> None:
    assert validate(parse(json.dumps(data)), network()) == []
    finding = only(data, global_only=True)
    assert finding.rule == "P301"
    assert finding.message == f"{message}; only global parameters are loaded here"
    assert finding.column == json.dumps(data).index(f'"{finding.pointer.split("/")[3]}"') + 1


def test_an_array_is_not_global_whatever_the_schema_says() -> None:
    (finding,) = validate(parse('{"populations": {"p": {"a": [1]}}}'), None, global_only=True)
    assert finding.rule == "P301"


def test_suggestions_are_the_nearest_names() -> None:
    assert only({"populations": {"gird": {}}}).suggestions == ("grid",)
    assert only({"populations": {"xyz": {}}}).suggestions == ()


def test_findings_stand_in_the_order_of_the_file() -> None:
    text = (
        '{"network": {"a": []},\n"populations": {"x": {}, "inp": {"z": NaN, "tau": "1"}}, "populations": 1}'
    )
    findings = validate(parse(text), network())
    assert [(f.line, f.column) for f in findings] == sorted((f.line, f.column) for f in findings)
    assert [f.rule for f in findings] == ["P201", "P102", "P104", "P008", "P201", "P007"]


def test_a_value_that_was_refused_is_not_reported_twice() -> None:
    (finding,) = validate(parse('{"populations": {"inp": {"tau": NaN, "noise": [0, 0, 0, 0]}}}'), network())
    assert finding.rule == "P008"


def test_the_first_of_two_equal_names_is_checked() -> None:
    text = '{"populations": {"inp": {"tau": "a", "tau": "b"}}}'
    assert [f.rule for f in validate(parse(text), network())] == ["P201", "P007"]


def test_the_limit_keeps_the_first() -> None:
    file = parse(json.dumps({"network": {f"k{i}": [] for i in range(20)}}))
    assert [f.pointer for f in validate(file, limit=2)] == ["/network/k0", "/network/k1"]


@pytest.mark.parametrize(
    ("schema", "value", "rule", "message"),
    [
        ({"required": ["a"]}, {}, "P106", "the name 'a' is missing here"),
        ({"additionalProperties": False}, {"a": 1}, "P107", "unknown name 'a'"),
        (
            {"prefixItems": [True], "items": False},
            [1, 2],
            "P206",
            "the schema's 'items' refuses an array of 2",
        ),
        ({"properties": {"a": {"enum": [1, "x"]}}}, {"a": 2}, "P205", 'expected 1 or "x", found 2'),
        (
            {"properties": {"a": {"maxLength": 1}}},
            {"a": "xy"},
            "P206",
            "the schema's 'maxLength' refuses the text 'xy'",
        ),
        ({"properties": {"a": {"exclusiveMinimum": 0}}}, {"a": 0}, "P204", "0 is not above 0"),
        ({"properties": {"a": {"minItems": 2}}}, {"a": []}, "P202", "expected at least 2 values; found 0"),
        (
            {"properties": {"a": {"minItems": 1, "maxItems": 2}}},
            {"a": []},
            "P202",
            "expected 1 to 2 values; found 0",
        ),
        (
            {"properties": {"a": {"oneOf": [{"type": "number"}, {"minimum": 0}]}}},
            {"a": 1},
            "P206",
            "1 fits more than one alternative of the schema",
        ),
    ],
)
def test_a_schema_of_somebody_else(schema: Any, value: Any, rule: str, message: str) -> None:
    finding = only({"network": value}, Schema.of({"properties": {"network": schema}}))
    assert (finding.rule, finding.message) == (rule, message)


def test_a_finding_prints_as_one_line() -> None:
    finding = only({"constants": {"k": 1}})
    assert str(finding) == "<text>:1:16: error[P105] unknown constant 'k' (did you mean 'K'?)"
    assert finding.to_dict() == {
        "rule": "P105",
        "severity": "error",
        "path": "<text>",
        "pointer": "/constants/k",
        "line": 1,
        "column": 16,
        "end_column": 19,
        "message": "unknown constant 'k' (did you mean 'K'?)",
        "suggestions": ["K"],
        "related": [],
    }


def test_only_errors_ask_for_an_exit_status() -> None:
    warning = only({"constants": {"K": 2**53 + 1}})
    assert (warning.severity, warning.exit_status) == (Severity.WARNING, 0)
    assert replace(warning, severity=Severity.ERROR).exit_status == 1
    assert all(r.status for r in RULES.values())


def test_a_global_variable_is_known_and_not_set() -> None:
    """ANNarchy writes its value into every parameter file."""
    state = NetworkState(
        populations=[PopulationState("p", (2,), parameters={"a": 1.0}, variables={"g": 0.0, "r": [0.0, 0.0]})]
    )
    for schema in (state, schema_for(state), schema_for(state, draft=7)):
        finding = only({"populations": {"p": {"a": 2, "g": 3.0}}}, schema)
        assert (finding.rule, finding.severity) == ("P403", "warning")
        assert finding.message == "'g' is a variable, which no parameter file sets"
        finding = only({"populations": {"p": {"r": 1.0}}}, schema)
        assert (finding.rule, finding.suggestions) == ("P104", ())
        assert finding.message == "'r' is a variable of population 'p'; files set parameters only"
    file = parse('{"populations": {"p": {"a": 2, "g": 3.0}}}')
    with pytest.warns(ParameterFileWarning, match="'g' is a variable"):
        changed = apply(file, state)
    assert list(differences(state, changed)) == ["populations/p/parameters/a"]
    assert diff(file, changed) == []
