"""Both engines find the same, in thousands of files; and neither is asked more than it can bear."""

from __future__ import annotations

import json
import random
import sys
from typing import Any

import pytest

from ann_ckpt.errors import MissingExtraError, OptionError
from ann_ckpt.params import Schema, parse, schema_for, validate
from ann_ckpt.params.api import schema_of
from ann_ckpt.params.calls import extract
from ann_ckpt.params.checking.checker import Checker
from ann_ckpt.params.checking.explain import Nearest
from ann_ckpt.params.description import describe
from tests.unit.params.networks import network

NAMES = ["inp", "inpt", "out", "grid", "ff", "tau", "nb", "on", "noise", "eta", "w", "theta", "K", ""]
SECTIONS = ["populations", "projections", "network", "constants", "population", "$schema", "format_version"]
SCALARS = [0, 1, 1.0, -1, 2.5, 2**31, 2**64, 10**300, -0.0, 1e308, True, False, None, "", "1e3", "x" * 200]


def anything(draw: random.Random, depth: int = 3) -> Any:
    kind = draw.random()
    if depth and kind < 0.2:
        return [anything(draw, depth - 1) for _ in range(draw.choice([0, 1, 2, 3, 4, 6]))]
    if depth and kind < 0.3:
        return {draw.choice(NAMES): anything(draw, depth - 1) for _ in range(3)}
    return draw.choice(SCALARS)


def some_file(draw: random.Random) -> dict[str, Any]:
    """A file that is right, nearly right, or wild."""
    data: dict[str, Any] = extract(describe(network())).data
    for _ in range(draw.randrange(4)):
        section = data.get(draw.choice(SECTIONS))
        owner = section.get(draw.choice(NAMES)) if isinstance(section, dict) else None
        target = draw.choice([data, section, owner])
        if isinstance(target, dict):
            target[draw.choice(SECTIONS if target is data else NAMES)] = anything(draw)
    return data


HAND_WRITTEN = {
    "properties": {
        "network": {
            "required": ["a", "b"],
            "propertyNames": {"maxLength": 3},
            "minProperties": 1,
            "properties": {
                "tau": {
                    "anyOf": [{"type": "string", "minLength": 2}, {"exclusiveMinimum": 0, "type": "number"}]
                },
                "eta": {"enum": [1, "x", [1, 2], None]},
                "nb": {"not": {"type": "integer"}},
                "on": {"not": {}},
                "w": {"if": {"type": "number"}, "then": {"exclusiveMaximum": 1}, "else": {"type": "array"}},
                "inp": {"prefixItems": [{"type": "number"}], "items": {"type": "boolean"}, "maxItems": 2},
                "ff": {"oneOf": [{"type": "number"}, {"minimum": 0}]},
                "K": {"const": 1},
            },
            "dependentRequired": {"K": ["ff"]},
            "dependentSchemas": {"out": {"maxProperties": 2}},
        }
    },
    "type": "object",
}


@pytest.mark.parametrize("target", ["network", "general", "hand-written", "draft 7"])
def test_both_engines_find_the_same(target: str) -> None:
    schema = {
        "network": lambda: schema_of(network()),
        "general": lambda: schema_of(None),
        "hand-written": lambda: Schema.of(HAND_WRITTEN),
        "draft 7": lambda: Schema.of(schema_for(network(), draft=7)),
    }[target]()
    thorough, fast = Checker(schema, engine="jsonschema"), Checker(schema, engine="jsonschema-rs")
    draw = random.Random(target)
    clean = 0
    for _ in range(1000):
        data = some_file(draw)
        if target == "hand-written":
            free = {draw.choice(NAMES): anything(draw) for _ in range(draw.randrange(3))}
            data["network"] = free | {"a": 1, "b": 1}
        file = parse(json.dumps(data))
        findings = thorough.check(file).findings
        assert fast.check(file).findings == findings, data
        assert list(findings) == sorted(findings, key=lambda f: (f.line, f.column))
        clean += not findings
    assert 100 < clean < 900


@pytest.mark.parametrize("engine", ["auto", "jsonschema", "jsonschema-rs"])
def test_an_engine_can_be_named(engine: str) -> None:
    assert validate(parse('{"network": {}}'), engine=engine) == []
    assert [f.rule for f in validate(parse('{"a": {}}'), engine=engine)] == ["P101"]


def test_another_engine_is_refused() -> None:
    with pytest.raises(OptionError, match="expected"):
        validate(parse("{}"), engine="ajv")


def test_without_the_fast_engine_the_other_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "jsonschema_rs", None)
    assert [f.rule for f in validate(parse('{"a": {}}'))] == ["P101"]
    with pytest.raises(MissingExtraError, match="jsonschema-rs"):
        validate(parse("{}"), engine="jsonschema-rs")


@pytest.mark.parametrize("engine", ["jsonschema", "jsonschema-rs"])
def test_an_array_that_is_wrong_throughout_is_bounded(engine: str) -> None:
    file = parse(json.dumps({"populations": {"p": {"a": ["x"] * 200_000}}}))
    (finding,) = validate(file, engine=engine)
    assert finding.message.endswith("; at least 99 more like it in this array")


def test_a_file_that_is_wrong_throughout_is_bounded() -> None:
    file = parse(json.dumps({"network": {f"k{i}": [] for i in range(30_000)}}))
    checked = Checker(schema_of(None)).check(file, limit=50)
    assert [f.column for f in checked.findings] == sorted(f.column for f in checked.findings)
    assert len(checked.findings) == 50
    assert checked.dropped >= 9_950


def test_ten_thousand_wrong_names_take_no_longer_than_people_wait() -> None:
    schema = Schema.of(
        {
            "properties": {
                "constants": {
                    "properties": {f"k{i}": {} for i in range(10_000)},
                    "additionalProperties": False,
                }
            }
        }
    )
    file = parse(json.dumps({"constants": {f"x{i}": 1 for i in range(10_000)}}))
    findings = Checker(schema).check(file, limit=10_000).findings
    assert len(findings) == 10_000
    assert sum(bool(f.suggestions) for f in findings) <= 30


def test_no_message_floods_a_terminal() -> None:
    name = "n" * 100_000
    control = "\x1b[2J\x07\u202e"
    text = json.dumps(
        {
            name: {},
            "populations": {name: {}, control: {}, "inp": {name: 1, control: 2, "tau": name, "nb": control}},
            "network": {control: [], name: {}},
            "format_version": name,
        }
    )
    findings = validate(parse(text), network())
    assert len(findings) == 10
    for finding in findings:
        assert finding.message.isprintable()
        assert len(finding.message) < 300
        assert len(finding.pointer) <= 1000


LIMITS = [0, 100, 127, 128, 200, -128, -129, 0.5]


@pytest.mark.parametrize("engine", ["jsonschema", "jsonschema-rs"])
@pytest.mark.parametrize("ctype", ["int8_t", "uint8_t", "float", "double"])
def test_an_array_is_within_the_range_where_each_value_is(engine: str, ctype: str) -> None:
    noted = {"type": ["number", "array"], "x-ann": {"ctype": ctype}}
    schema = Schema.of(
        {
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "properties": {"constants": {"additionalProperties": noted}},
        }
    )

    def found(value: Any) -> set[str]:
        file = parse(json.dumps({"constants": {"a": value}}))
        return {f.rule for f in validate(file, schema, engine=engine)}

    values = [*LIMITS, 2**24 + 1, -(2**24) - 1, 2**53 + 1, -(2**53) - 1, 3e38, -4e38]
    alone = {value: found(value) for value in values}
    assert set().union(*alone.values()) == {"double": {"P401"}, "float": {"P203", "P401"}}.get(
        ctype, {"P203"}
    )
    for value in values:
        assert found([0, value]) == found([value]) == found([value, value, 1]) == alone[value]


@pytest.mark.parametrize("engine", ["jsonschema", "jsonschema-rs"])
def test_what_a_schema_rules_out_is_found(engine: str) -> None:
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "properties": {"network": {"not": {"required": ["seed"]}}},
    }
    assert validate(parse('{"network": {"a": 1}}'), schema, engine=engine) == []
    assert [f.rule for f in validate(parse('{"network": {"seed": 1}}'), schema, engine=engine)] == ["P206"]


def test_suggestions_end_with_the_thousandth_name() -> None:
    nearest = Nearest()
    assert {nearest.to("inptu", ["input"]) for _ in range(1000)} == {("input",)}
    assert nearest.to("inptu", ["input"]) == ()
