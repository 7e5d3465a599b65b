"""What has to hold for every network and every file."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from ann_ckpt import NetworkState, differences
from ann_ckpt.errors import ParameterFileError
from ann_ckpt.params import apply, parse, schema_for, validate
from ann_ckpt.params.calls import dump_parameters, extract
from ann_ckpt.params.description import SECTIONS, describe
from tests.strategies import networks, parameter_networks

Path = tuple[str, ...]


def extracted(state: NetworkState) -> dict[str, Any]:
    return extract(describe(state)).data


def values_in(data: dict[str, Any]) -> list[Path]:
    """Paths of all parameters and constants."""
    found = [(s, n, p) for s in SECTIONS for n, values in data[s].items() for p in values]
    return [*found, *(("constants", n) for n in data["constants"])]


def put(data: dict[str, Any], path: Path, value: Any) -> dict[str, Any]:
    """A copy of ``data`` with another value at ``path``."""
    copy = json.loads(json.dumps(data))
    *above, last = path
    owner = copy
    for step in above:
        owner = owner[step]
    owner[last] = value
    return copy


def renamed(data: dict[str, Any], path: Path, name: str) -> dict[str, Any]:
    """A copy of ``data`` with another name at ``path``, in the same place."""
    copy = json.loads(json.dumps(data))
    *above, last = path
    owner = copy
    for step in above:
        owner = owner[step]
    members = [(name if key == last else key, value) for key, value in owner.items()]
    owner.clear()
    owner.update(members)
    return copy


def the_only_finding(data: dict[str, Any], state: NetworkState) -> tuple[str, str, str]:
    """Rule of the one finding, the text that it points at, and its pointer."""
    text = dump_parameters(data)
    (finding,) = validate(parse(text), state)
    line = text.splitlines()[finding.line - 1]
    return finding.rule, line[finding.column - 1 : finding.end_column - 1], finding.pointer


@given(networks())
def test_what_is_extracted_is_valid(state: NetworkState) -> None:
    text = dump_parameters(extracted(state))
    assert validate(parse(text), state) == []
    assert validate(parse(text), schema_for(state)) == []
    assert validate(parse(text), schema_for(state, draft=7)) == []
    assert validate(parse(text)) == []


@given(networks())
def test_applying_what_was_extracted_changes_nothing(state: NetworkState) -> None:
    assert list(differences(state, apply(parse(dump_parameters(extracted(state))), state))) == []


@given(networks())
def test_a_schema_is_a_function_of_the_network(state: NetworkState) -> None:
    backwards = NetworkState(
        populations=list(state.populations.values())[::-1],
        projections=list(state.projections.values())[::-1],
        constants=dict(list(state.constants.items())[::-1]),
        dt=state.dt,
    )
    assert json.dumps(schema_for(state)) == json.dumps(schema_for(backwards))


@given(parameter_networks(), st.data())
def test_a_wrong_name_is_found_where_it_stands(state: NetworkState, data: st.DataObject) -> None:
    content = extracted(state)
    paths = values_in(content)
    owners = [(s, n) for s in SECTIONS for n in content[s]]
    sections = [("populations",), ("projections",), ("constants",)]
    path = data.draw(st.sampled_from([*paths, *owners, *sections]))
    name = data.draw(st.text(st.characters(exclude_categories=["Cs"]), max_size=8))
    known = content
    for step in path[:-1]:
        known = known[step]
    assume(name not in known)
    # The network may know a name that is in no file, such as that of values for each synapse.
    if path[0] == "constants":
        assume(name not in state.constants)
    elif len(path) > 1:
        objects = getattr(state, path[0])
        assume(name not in (objects if len(path) == 2 else objects[path[1]].parameters))
    if len(path) == 1:
        assume(name not in {"$schema", "$ignore", "format_version", "network"})
        rule = "P101"
    elif len(path) == 2:
        rule = {"populations": "P102", "projections": "P103", "constants": "P105"}[path[0]]
    else:
        rule = "P104"
    found, text, pointer = the_only_finding(renamed(content, path, name), state)
    assert (found, text) == (rule, json.dumps(name))
    assert pointer.split("/")[1:-1] == [step.replace("~", "~0").replace("/", "~1") for step in path[:-1]]


@given(parameter_networks(), st.data())
def test_a_wrong_type_is_found_where_it_stands(state: NetworkState, data: st.DataObject) -> None:
    content = extracted(state)
    paths = values_in(content)
    assume(paths)
    path = data.draw(st.sampled_from(paths))
    boolean = isinstance(value_at(content, path), bool)
    wrong = data.draw(st.sampled_from(["1e3", None, {}, [1], 2 if boolean else True]))
    rule, text, _ = the_only_finding(put(content, path, wrong), state)
    assert rule == "P201"
    assert json.dumps(wrong).startswith(text[:1])


@given(parameter_networks(), st.data())
def test_a_wrong_length_is_found_where_it_stands(state: NetworkState, data: st.DataObject) -> None:
    network = describe(state)
    local = [
        (o.section, o.name, p.name)
        for o in network.objects()
        for p in o.parameters.values()
        if not p.is_global and p.ctype.json == "number"
    ]
    assume(local)
    section, owner, name = data.draw(st.sampled_from(local))
    size = network.parameter(section, owner, name).size
    wrong = data.draw(st.integers(0, 2 * size + 2).filter(lambda n: n != size))
    content = extracted(state)
    content[section][owner][name] = [0.5] * wrong
    rule, text, pointer = the_only_finding(content, state)
    assert rule == "P202"
    assert text.startswith("[")
    assert pointer.count("/") == 3


@given(parameter_networks(), st.data())
def test_a_value_beyond_its_bounds_is_found_where_it_stands(state: NetworkState, data: st.DataObject) -> None:
    network = describe(state)
    bounded = [
        (o.section, o.name, p.name)
        for o in network.objects()
        for p in o.parameters.values()
        if p.is_global and p.info.minimum is not None and p.ctype.json != "boolean"
    ]
    assume(bounded)
    path = data.draw(st.sampled_from(bounded))
    parameter = network.parameter(*path)
    above = parameter.info.maximum is not None and data.draw(st.booleans())
    limit = parameter.info.maximum if above else parameter.info.minimum
    wrong = int(limit) + 1 + 5 if above else int(limit) - 1 - 5
    rule, text, _ = the_only_finding(put(extracted(state), path, wrong), state)
    assert (rule, text) == ("P204", str(wrong))


@given(parameter_networks(), st.data())
def test_applying_is_all_or_nothing(state: NetworkState, data: st.DataObject) -> None:
    content = extracted(state)
    paths = values_in(content)
    assume(len(paths) > 1)
    good, bad = data.draw(st.permutations(paths))[:2]
    value = value_at(content, good)
    changed = put(content, good, not value if isinstance(value, bool) else value + 1)
    before = json.dumps(content)
    with pytest.raises(ParameterFileError) as caught:
        apply(parse(dump_parameters(put(changed, bad, "wrong"))), state)
    assert [f.rule for f in caught.value.findings if f.pointer.endswith(pointer_end(bad))] == ["P201"]
    assert json.dumps(extracted(state)) == before


def pointer_end(path: Path) -> str:
    return "/" + path[-1].replace("~", "~0").replace("/", "~1")


def value_at(data: Any, path: Path) -> Any:
    for step in path:
        data = data[step]
    return data


@given(st.data())
@settings(max_examples=200)
def test_both_engines_find_the_same(data: st.DataObject) -> None:
    """Files that are nearly right, and files that are anything."""
    state = data.draw(parameter_networks())
    content = extracted(state)
    for _ in range(data.draw(st.integers(0, 3))):
        paths = values_in(content)
        if paths:
            content = put(content, data.draw(st.sampled_from(paths)), data.draw(JSON))
    content = data.draw(st.sampled_from([content, data.draw(st.dictionaries(SECTION_NAMES, JSON))]))
    file = parse(json.dumps(content))
    for target in (state, None):
        assert validate(file, target, engine="jsonschema") == validate(file, target, engine="jsonschema-rs")


SECTION_NAMES = st.sampled_from(
    ["populations", "projections", "network", "constants", "$schema", "format_version"]
)
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=3),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=2), inner, max_size=3),
    max_leaves=8,
)
