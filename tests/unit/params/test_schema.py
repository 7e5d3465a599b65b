"""The schemas that are generated, and the ones that are published."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema_rs
import numpy as np
import pytest
from hypothesis import given
from jsonschema import Draft7Validator, Draft202012Validator

from ann_ckpt import Attribute, AttributeInfo, Locality, NetworkState, PopulationState, TypeInfo
from ann_ckpt.errors import OptionError
from ann_ckpt.params import parse, schema_for, validate
from ann_ckpt.params.schema.generate import GENERAL_SCHEMA, dump_json
from tests.strategies import networks
from tests.unit.params.networks import network

ROOT = Path(__file__).parents[3]


def objects_in(schema: Any) -> Any:
    """Every subschema that describes an object."""
    if isinstance(schema, dict):
        if schema.get("type") == "object":
            yield schema
        for value in schema.values():
            yield from objects_in(value)
    elif isinstance(schema, list):
        for value in schema:
            yield from objects_in(value)


def test_nothing_but_exact_names_is_allowed() -> None:
    schema = schema_for(network())
    free = (schema["properties"]["network"], schema["properties"]["$ignore"]["anyOf"][1])
    own = [s for m in schema["properties"]["populations"]["properties"].values() for s in m.get("allOf", ())]
    strict = [s for s in objects_in(schema) if s not in (*free, *own)]
    assert all(s["additionalProperties"] is False for s in strict)
    assert len(strict) > 5
    assert list(schema["properties"]["populations"]["properties"]) == ["grid", "inp", "out"]


def test_a_type_is_defined_once() -> None:
    schema = schema_for(network())
    members = schema["properties"]["populations"]["properties"]
    assert members["inp"]["$ref"] == members["out"]["$ref"] == "#/$defs/LIF"
    assert list(schema["$defs"]) == ["Grid", "LIF", "STDP"]


def test_what_a_parameter_says() -> None:
    lif = schema_for(network())["$defs"]["LIF"]["properties"]
    assert lif["tau"] == {
        "anyOf": [{"type": "number", "minimum": 0}, {"type": "string", "minLength": 3}],
        "description": "Time constant [ms]",
        "x-ann": {"ctype": "double", "locality": "global", "size": 1, "unit": "ms"},
    }
    assert lif["nb"]["type"] == "integer"
    assert lif["on"] == {
        "type": "boolean",
        "default": True,
        "description": "One bool for all",
        "x-ann": {"ctype": "bool", "locality": "global", "size": 1},
    }
    assert lif["noise"]["oneOf"] == [
        {"type": "number", "maximum": 1},
        {"type": "array", "items": {"type": "number", "maximum": 1}, "minItems": 4, "maxItems": 4},
    ]
    assert lif["noise"]["x-ann"] == {"ctype": "double", "locality": "local", "size": 4}


def test_what_populations_of_one_type_have_for_themselves() -> None:
    members = schema_for(network())["properties"]["populations"]["properties"]
    assert members["inp"]["allOf"] == [{"type": "object", "properties": {"tau": {"default": 10.0}}}]
    assert members["out"]["allOf"] == [{"type": "object", "properties": {"tau": {"default": 20.0}}}]


def test_lengths_that_differ_stand_with_the_population() -> None:
    made = [
        PopulationState(n, (size,), parameters={"a": np.zeros(size)}, neuron_type=TypeInfo("T"))
        for n, size in (("p", 2), ("q", 3))
    ]
    schema = schema_for(NetworkState(populations=made))
    assert list(schema["$defs"]) == ["T"]
    (own,) = schema["properties"]["populations"]["properties"]["q"]["allOf"]
    assert own["properties"]["a"] == {
        "anyOf": [{"type": "array", "minItems": 3, "maxItems": 3}, {"type": "number"}],
        "x-ann": {"size": 3},
    }


def test_an_array_may_have_the_populations_axes() -> None:
    noise = schema_for(network())["$defs"]["Grid"]["properties"]["noise"]
    flat, nested = noise["oneOf"][1:]
    assert (flat["minItems"], flat["maxItems"]) == (6, 6)
    assert (nested["minItems"], nested["items"]["minItems"]) == (2, 3)


def test_types_of_one_name_and_another_form_are_numbered() -> None:
    made = [
        PopulationState("p", (2,), parameters={"a": 1.0}, neuron_type=TypeInfo("a type/with %signs")),
        PopulationState("q", (2,), parameters={"b": 1.0}, neuron_type=TypeInfo("a type/with %signs")),
        PopulationState("r", (2,), parameters={"b": 1.0}),
    ]
    schema = schema_for(NetworkState(populations=made))
    assert list(schema["$defs"]) == [
        "a_type_with_signs",
        "a_type_with_signs-2",
        "neuron",
    ]
    assert schema["$defs"]["a_type_with_signs"]["title"] == "a type/with %signs"


def test_a_default_that_json_cannot_write_is_left_out() -> None:
    state = NetworkState(populations=[PopulationState("p", (2,), parameters={"a": np.nan, "b": np.inf})])
    properties = schema_for(state)["$defs"]["neuron"]["properties"]
    assert "default" not in properties["a"]
    assert "default" not in properties["b"]


def test_a_bound_that_the_current_value_breaks_is_no_bound() -> None:
    info = TypeInfo("T", attributes={"a": AttributeInfo("double", minimum=0.0, maximum=1.0)})
    state = NetworkState(populations=[PopulationState("p", (2,), parameters={"a": 5.0}, neuron_type=info)])
    assert schema_for(state)["$defs"]["T"]["properties"]["a"] == {
        "type": "number",
        "minimum": 0,
        "default": 5.0,
        "description": "One double for all",
        "x-ann": {"ctype": "double", "locality": "global", "size": 1},
    }


def test_only_single_values_are_read() -> None:
    class Unread:
        shape = (4,)
        dtype = np.dtype(float)

        def __getitem__(self, key: Any) -> Any:
            raise AssertionError("read")

        def __array__(self, dtype: Any = None, *, copy: bool | None = None) -> Any:
            raise AssertionError("read")

    lazy = Attribute(Unread(), Locality.LOCAL)
    state = NetworkState(populations=[PopulationState("p", (4,), parameters={"a": lazy, "b": 1.0})])
    assert schema_for(state)["$defs"]["neuron"]["properties"]["b"]["default"] == 1.0


@given(networks())
def test_generated_schemas_are_schemas(state: NetworkState) -> None:
    Draft202012Validator.check_schema(schema_for(state))
    Draft7Validator.check_schema(schema_for(state, draft="7"))
    assert jsonschema_rs.meta.is_valid(schema_for(state))


@given(networks())
def test_generated_schemas_ask_for_nothing_costly(state: NetworkState) -> None:
    text = json.dumps(schema_for(state)["$defs"])
    for keyword in ('"pattern":', '"multipleOf":', '"patternProperties":'):
        assert keyword not in text.replace('"default":', "")


def test_the_older_draft_says_the_same_in_its_own_words() -> None:
    schema = schema_for(network(), draft=7)
    assert schema["$schema"] == "http://json-schema.org/draft-07/schema#"
    assert "$defs" not in schema
    assert schema["properties"]["populations"]["properties"]["inp"] == {
        "allOf": [
            {"type": "object", "properties": {"tau": {"default": 10.0}}},
            {"$ref": "#/definitions/LIF"},
        ]
    }


def test_another_draft_is_refused() -> None:
    with pytest.raises(OptionError, match="draft is 4"):
        schema_for(network(), draft=4)


def many(size: int) -> NetworkState:
    """Populations whose values all differ."""
    return NetworkState(
        populations=[
            PopulationState(
                f"pop{i}",
                (10,),
                parameters=dict.fromkeys(("tau", "a", "b", "c"), i + 0.5),
                neuron_type=TypeInfo("LIF"),
            )
            for i in range(size)
        ]
    )


@pytest.mark.parametrize("draft", ["2020-12", "7"])
def test_values_of_a_large_network_stand_with_their_population(draft: str) -> None:
    few = schema_for(many(1000), draft=draft)["properties"]["populations"]["properties"]["pop7"]
    lot = schema_for(many(1001), draft=draft)["properties"]["populations"]["properties"]["pop7"]
    assert "default" not in few
    assert lot["default"] == {"tau": 7.5, "a": 7.5, "b": 7.5, "c": 7.5}
    file = parse('{"populations": {"pop7": {"tau": 1, "x": 1}}}')
    assert [f.rule for f in validate(file, schema_for(many(1001), draft=draft))] == ["P104"]


def test_ten_thousand_populations_make_less_than_a_megabyte() -> None:
    assert len(dump_json(schema_for(many(10_000)))) < 1_000_000


@pytest.mark.parametrize("name", ["params-1", "report-1"])
def test_published_schemas_are_schemas(name: str) -> None:
    schema = json.loads((ROOT / "schemas" / f"{name}.schema.json").read_text())
    Draft202012Validator.check_schema(schema)
    assert schema["$id"] == f"urn:ann-ckpt:{name}"


def test_the_published_general_schema_is_the_one_in_use() -> None:
    assert (ROOT / "schemas" / "params-1.schema.json").read_text() == dump_json(GENERAL_SCHEMA)


@given(networks())
def test_the_text_of_a_schema_is_ascii_and_reads_back(state: NetworkState) -> None:
    schema = schema_for(state)
    text = dump_json(schema)
    assert text.isascii()
    assert json.loads(text) == schema
