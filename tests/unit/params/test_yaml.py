"""YAML carries the model of JSON, and nothing that JSON could not say."""

from __future__ import annotations

import json
import sys
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from ann_ckpt.errors import MissingExtraError
from ann_ckpt.params import ParameterFile, parse
from ann_ckpt.params.text.json import DEEPEST
from tests.unit.params.test_json import places

# PyYAML cannot write every text that YAML could hold.
TEXT = st.text("abcxyzÄ雪 /~:#'\"\\_-.0123456789<>&*!|%@`,?{}[]\n\t", max_size=6)
# PyYAML would tag a float with an exponent, because it does not read one as such.
FLOATS = st.integers(-(10**6), 10**6).map(lambda n: n / 8)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**20), 10**20) | FLOATS | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=20,
)


def read(text: str) -> ParameterFile:
    return parse(text, path="params.yaml")


def found(text: str) -> list[tuple[str, int, int]]:
    return [(f.rule, f.line, f.column) for f in read(text).findings]


@given(st.dictionaries(TEXT, JSON, max_size=4))
def test_json_is_yaml_and_means_the_same(value: dict[str, Any]) -> None:
    text = json.dumps(value)
    assert repr(read(text).data) == repr(parse(text).data)


@given(st.dictionaries(TEXT, JSON, max_size=4), st.booleans())
def test_what_pyyaml_writes_reads_back(value: dict[str, Any], flow: bool) -> None:
    text = yaml.dump(value, Dumper=Quoting, default_flow_style=flow, allow_unicode=True, sort_keys=False)
    file = read(text)
    assert file.findings == ()
    assert repr(file.data) == repr(value)
    assert file.document is not None
    for path, expected in places(value):
        start, end = file.document.span_of(path)
        if path and not isinstance(expected, dict | list | str):
            assert json.loads(text[start:end]) == expected


class Quoting(yaml.SafeDumper):
    """Writes texts in double quotes, numbers as JSON does, and no aliases."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


Quoting.add_representer(str, lambda d, s: d.represent_scalar("tag:yaml.org,2002:str", s, style='"'))
Quoting.add_representer(float, lambda d, x: d.represent_scalar("tag:yaml.org,2002:float", json.dumps(x)))


@pytest.mark.parametrize(
    ("scalar", "value"),
    [
        ("1", 1),
        ("-0.5", -0.5),
        ("1e3", 1000.0),
        ("true", True),
        ("False", False),
        ("null", None),
        ("~", None),
        ("", None),
        ('"1"', "1"),
        ("'true'", "true"),
        ("plain text", "plain text"),
        ("2001-01-01", "2001-01-01"),
        ("1.5.2", "1.5.2"),
    ],
)
def test_a_plain_scalar_is_a_number_where_json_has_one(scalar: str, value: Any) -> None:
    file = read(f"network:\n  a: {scalar}\n")
    assert repr(file.section("network")["a"]) == repr(value)
    assert file.findings == ()


@pytest.mark.parametrize(
    "scalar", ["yes", "Off", "n", "010", "0x1F", "0o17", "+1", ".5", "1.", "1_000", "12:30"]
)
def test_what_other_readers_take_for_more_is_a_text_with_a_warning(scalar: str) -> None:
    file = read(f"network:\n  a: {scalar}\n")
    assert file.section("network")["a"] == scalar
    (finding,) = file.findings
    assert (finding.rule, finding.severity, finding.line, finding.column) == ("P402", "warning", 2, 6)


def test_names_are_texts_whatever_they_look_like() -> None:
    file = read("populations:\n  p:\n    on: true\n    1: 2\n    null: 3\n")
    assert file.section("populations")["p"] == {"on": True, "1": 2, "null": 3}


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("a: &x 1\nb: 2\n", (1, 4)),
        ("a: 1\nb: *x\n", (2, 4)),
        ("a: !!str 1\n", (1, 4)),
        ("a: !mine {b: 1}\n", (1, 4)),
        ("a:\n  <<: {b: 1}\n", (2, 3)),
        ("a: 1\n---\nb: 2\n", (2, 1)),
        ("? [a, b]\n: 1\n", (1, 3)),
        ("? {a: {b: 1}}\n: 1\n", (1, 3)),
        ("&k a: 1\n", (1, 1)),
    ],
)
def test_what_lets_one_place_stand_for_another_is_refused(text: str, place: tuple[int, int]) -> None:
    assert found(text)[0] == ("P013", *place)
    assert {rule for rule, _, _ in found(text)} == {"P013"}


def test_a_quoted_merge_key_is_a_name() -> None:
    assert read('"<<": {}\n').data == {"<<": {}}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: 1\na: 2\n", ("P007", 2, 1)),
        ("a: .nan\n", ("P008", 1, 4)),
        ("a: [1, -.INF]\n", ("P008", 1, 8)),
        ("a: 1e999\n", ("P009", 1, 4)),
        (f"a: 1{'0' * 400}\n", ("P010", 1, 4)),
        ("a: [1\n", ("P001", 1, 4)),
        ("a: b: c\n", ("P001", 1, 5)),
        ("\ta: 1\n", ("P001", 1, 1)),
        ("é: \x07\n", ("P001", 1, 4)),
        ("# nothing\n", ("P004", 1, 1)),
        ("- 1\n", ("P011", 1, 1)),
        ("just words\n", ("P011", 1, 1)),
        ("%YAML 2.0\n---\na: 1\n", ("P001", 1, 1)),
    ],
)
def test_what_is_wrong_is_found_where_it_stands(text: str, expected: tuple[str, int, int]) -> None:
    assert found(text) == [expected]


def test_what_is_nested_beyond_hope_is_not_read_on() -> None:
    """A hundred thousand levels would take the parser minutes; one finding is all that is said."""
    assert [rule for rule, _, _ in found("[" * 100_000)] == ["P006"]


@pytest.mark.parametrize("depth", [DEEPEST + 1, 900])
def test_what_is_nested_too_deeply_is_stepped_over(depth: int) -> None:
    text = f"a: {'[' * depth}{']' * depth}\nb: .nan\n"
    assert found(text) == [("P006", 1, 3 + DEEPEST), ("P008", 2, 4)]


def test_aliases_do_not_multiply() -> None:
    lines = ["a0: &a0 [x, x]"] + [f"a{i}: &a{i} [*a{i - 1}, *a{i - 1}]" for i in range(1, 60)]
    file = read("\n".join(lines))
    assert {f.rule for f in file.findings} == {"P013"}
    assert file.data["a59"] == [None, None]


def test_positions_of_indented_values() -> None:
    file = read("populations:\n  inp:\n    tau: 10.0  # ms\n    noise:\n      - 1\n      - 2.5\n")
    tau = file.place("populations", "inp", "tau")
    item = file.place("populations", "inp", "noise", 1)
    assert (tau.line, tau.column, tau.end_column) == (3, 10, 14)
    assert (item.line, item.column, item.end_column) == (6, 9, 12)


def test_without_pyyaml_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "yaml", None)
    with pytest.raises(MissingExtraError, match="PyYAML"):
        read("a: 1")


@given(st.text(max_size=30))
def test_any_text_gives_values_or_findings(text: str) -> None:
    file = read(text)
    assert file.document is not None or file.findings


@pytest.mark.parametrize("loader", ["CSafeLoader", "SafeLoader"])
def test_an_escape_beyond_unicode_is_a_finding_of_either_parser(
    monkeypatch: pytest.MonkeyPatch, loader: str
) -> None:
    monkeypatch.setattr("yaml.CSafeLoader", getattr(yaml, loader))
    assert [f.rule for f in parse('a: "\\U00110000"', notation="yaml").findings] == ["P001"]
