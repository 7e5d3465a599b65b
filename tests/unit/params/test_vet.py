"""A schema is believed only when it can be evaluated, in bounded time, without fetching."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator, SchemaError

from ann_ckpt.errors import SchemaUnusableError
from ann_ckpt.params import Schema, parse, schema_for, validate
from ann_ckpt.params.schema.generate import GENERAL_SCHEMA
from tests.strategies import networks

DRAFT7 = "http://json-schema.org/draft-07/schema#"


def refusal(text: str, tmp_path: Path) -> SchemaUnusableError:
    path = tmp_path / "net.schema.json"
    path.write_text(text)
    with pytest.raises(SchemaUnusableError) as caught:
        Schema.load(path)
    assert {f.rule for f in caught.value.findings} == {"P501"}
    assert {f.path for f in caught.value.findings} == {str(path)}
    return caught.value


def doubling(levels: int) -> dict[str, Any]:
    """A small schema in which one value meets ``2 ** levels`` subschemas."""
    twice = {f"d{i}": {"allOf": [{"$ref": f"#/$defs/d{i + 1}"}] * 2} for i in range(levels)}
    return {"$ref": "#/$defs/d0", "$defs": {**twice, f"d{levels}": {}}}


def chain(length: int) -> dict[str, Any]:
    return {"$ref": "#/$defs/d0", "$defs": {f"d{i}": {"$ref": f"#/$defs/d{i + 1}"} for i in range(length)}}


UNUSABLE: dict[str, tuple[Any, str]] = {
    "remote reference": ({"$ref": "https://example.org/a.json"}, "leaves the document"),
    "file reference": ({"properties": {"a": {"$ref": "other.json#/x"}}}, "leaves the document"),
    "absolute file": ({"items": {"$ref": "file:///etc/passwd"}}, "leaves the document"),
    "reference by anchor": ({"$ref": "#here"}, "leaves the document"),
    "reference to nothing": ({"$ref": "#/$defs/none"}, "leads nowhere"),
    "reference through a number": ({"$ref": "#/title/x", "title": "t"}, "leads nowhere"),
    "reference that is no text": ({"$ref": 3}, "not a text"),
    "reference to itself": ({"$ref": "#"}, "refers to itself"),
    "cycle": (
        {"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}},
        "refers to itself",
    ),
    "recursion through members": ({"additionalProperties": {"$ref": "#"}}, "refers to itself"),
    "long chain": (chain(5000), "levels deep"),
    "exponential": (doubling(40), "millions"),
    "pattern": ({"pattern": "^(a+)+$"}, "pattern is refused"),
    "pattern below": ({"properties": {"a": {"patternProperties": {"^(a+)+$": {}}}}}, "is refused"),
    "multipleOf": ({"multipleOf": 0.1}, "multipleOf is refused"),
    "nested id": ({"properties": {"a": {"$id": "https://example.org"}}}, "$id below the top"),
    "nested draft": ({"$defs": {"a": {"$schema": DRAFT7}}}, "$schema below the top"),
    "other draft": ({"$schema": "http://json-schema.org/draft-04/schema#"}, "is not known"),
    "draft that is no text": ({"$schema": 7}, "is not known"),
    "unknown type": ({"type": "float"}, "type is not"),
    "type twice": ({"type": ["number", "number"]}, "type is not"),
    "bound that is a text": ({"minimum": "0"}, "minimum is not a number"),
    "bound that is a bool": ({"maximum": True}, "maximum is not a number"),
    "length that is negative": ({"minItems": -1}, "minItems is not"),
    "properties that are a list": ({"properties": []}, "not an object of schemas"),
    "alternatives that are empty": ({"oneOf": []}, "not a list of schemas"),
    "subschema that is a number": ({"properties": {"a": 3}}, "a schema is an object"),
    "required that repeats": ({"required": ["a", "a"]}, "required is not"),
    "member that is false": ({"properties": {"a": False}}, "false is refused here"),
    "enum that is no list": ({"enum": {}}, "enum is not"),
    "constant that engines disagree on": ({"const": 1e300}, "const is not"),
    "tuple": ({"$schema": DRAFT7, "items": [{}]}, "a schema is an object"),
    "a list": ([], "a schema is an object"),
    "a number": (3, "a schema is an object"),
}


@pytest.mark.parametrize("kind", UNUSABLE)
def test_an_unusable_schema_is_refused_with_a_reason(kind: str, tmp_path: Path) -> None:
    schema, reason = UNUSABLE[kind]
    error = refusal(json.dumps(schema, indent=1), tmp_path)
    assert any(reason in f.message for f in error.findings), error.findings
    assert reason in str(error)
    with pytest.raises(SchemaUnusableError):
        Schema.of(schema)


@pytest.mark.parametrize(
    "text",
    ["", "{", "nothing", '{"a": NaN}', '{"type": "object", "type": "array"}', '{"properties": ' * 3000],
)
def test_what_is_no_json_is_no_schema(text: str, tmp_path: Path) -> None:
    refusal(text, tmp_path)


def test_bytes_that_are_no_text_are_no_schema(tmp_path: Path) -> None:
    path = tmp_path / "s.json"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(SchemaUnusableError):
        Schema.load(path)


def test_a_refusal_points_into_the_schema(tmp_path: Path) -> None:
    error = refusal('{\n  "properties": {\n    "a": {"minimum": "0"}\n  }\n}', tmp_path)
    (finding,) = error.findings
    assert (finding.line, finding.column, finding.pointer) == (3, 22, "/properties/a/minimum")


def test_every_reason_is_given(tmp_path: Path) -> None:
    error = refusal('{"type": "float", "minimum": "0", "pattern": "a"}', tmp_path)
    assert len(error.findings) == 3


@pytest.mark.parametrize(
    "schema", [True, {}, GENERAL_SCHEMA, {"$comment": "x", "x-mine": [3], "format": "email"}]
)
def test_a_usable_schema_is_taken(schema: Any) -> None:
    assert validate(parse('{"network": {"a": 1}}'), Schema.of(schema)) == []


def test_a_schema_that_is_false_refuses_everything() -> None:
    (finding,) = validate(parse('{"network": {}}'), Schema.of(False))
    assert finding.rule == "P206"


def test_what_stands_beside_a_reference_counts_in_one_draft_only() -> None:
    beside = {"$ref": "#/definitions/a", "maxProperties": 0, "definitions": {"a": {}}}
    file = parse('{"network": {}}')
    assert [f.rule for f in validate(file, beside)] == ["P206"]
    assert validate(file, {"$schema": DRAFT7, **beside}) == []
    assert validate(file, {"$schema": DRAFT7, **beside, "pattern": "x"}) == []


@given(networks(), st.sampled_from(["2020-12", "7"]))
def test_whatever_is_generated_is_usable(state: Any, draft: str) -> None:
    assert Schema.of(schema_for(state, draft=draft)).draft == draft


KEYWORDS = st.sampled_from(
    [
        "type",
        "minimum",
        "minItems",
        "required",
        "enum",
        "const",
        "properties",
        "items",
        "oneOf",
        "title",
        "not",
    ]
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 3) | st.sampled_from(["number", "object", "x"]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(KEYWORDS, inner, max_size=3),
    max_leaves=6,
)


@given(st.dictionaries(KEYWORDS, VALUES, max_size=4))
def test_what_is_taken_is_a_schema_for_the_metaschema_too(schema: dict[str, Any]) -> None:
    try:
        Schema.of(schema)
    except SchemaUnusableError:
        return
    try:
        Draft202012Validator.check_schema(schema)
    except SchemaError as error:
        raise AssertionError(f"{schema} was taken") from error
