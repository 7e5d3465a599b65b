"""The strict JSON reader: the values of the standard library, every position, every trap closed."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ann_ckpt.params import parse
from ann_ckpt.params.text.document import Document, Items, Members, Problems
from ann_ckpt.params.text.json import DEEPEST, read_json

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=6)
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**80), 10**80)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=20,
)


def read(text: str) -> tuple[Document | None, Problems]:
    problems = Problems()
    return read_json(text, problems), problems


def found(text: str) -> list[tuple[str, int, int, str]]:
    """Rule, line, column and marked text of each finding."""
    lines = text.splitlines() or [""]
    return [
        (f.rule, f.line, f.column, lines[min(f.line, len(lines)) - 1][f.column - 1 : f.end_column - 1])
        for f in parse(text, path="params.json").findings
    ]


@given(JSON, st.sampled_from([None, 1, 4]), st.booleans())
def test_the_values_are_those_of_the_standard_library(
    value: Any, indent: int | None, ascii_only: bool
) -> None:
    text = json.dumps(value, indent=indent, ensure_ascii=ascii_only)
    document, problems = read(text)
    assert not problems.found
    assert document is not None
    assert repr(document.value) == repr(json.loads(text))


@given(JSON, st.sampled_from([None, 1, 4]))
def test_every_position_is_that_of_its_value(value: Any, indent: int | None) -> None:
    text = json.dumps(value, indent=indent)
    document, _ = read(text)
    assert document is not None
    for path, expected in places(value):
        start, end = document.span_of(path)
        assert json.loads(text[start:end]) == expected
        if path and isinstance(path[-1], str):
            start, end = document.span_of(path, key=True)
            assert json.loads(text[start:end]) == path[-1]


def places(value: Any, path: tuple[Any, ...] = ()) -> Any:
    yield path, value
    members = (
        value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    )
    for step, inner in members:
        yield from places(inner, (*path, step))


@given(st.text(max_size=30))
def test_any_text_gives_values_or_findings(text: str) -> None:
    document, problems = read(text)
    assert document is not None or problems.found


@given(JSON, st.data())
def test_a_text_that_the_standard_library_refuses_is_refused(value: Any, data: st.DataObject) -> None:
    text = json.dumps(value)
    at = data.draw(st.integers(0, len(text)))
    spoilt = text[:at] + data.draw(st.sampled_from(list('{}[],:"\\x0-+.eE/# \n\x00'))) + text[at + 1 :]
    document, problems = read(spoilt)
    try:
        expected = json.loads(spoilt)
    except ValueError:
        assert problems.found
    else:
        assert problems.found or (document is not None and repr(document.value) == repr(expected))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"a": 1, "a": 2}', ("P007", 1, 10, '"a"')),
        ('{"a": NaN}', ("P008", 1, 7, "NaN")),
        ('{"a": -Infinity}', ("P008", 1, 7, "-Infinity")),
        ('{"a": [1, nan]}', ("P008", 1, 11, "nan")),
        ('{"a": 1e999}', ("P009", 1, 7, "1e999")),
        ('{"a": -1e999}', ("P009", 1, 7, "-1e999")),
        ('{"a": 1%s}' % ("0" * 399), ("P009", 1, 7, "1" + "0" * 399)),
        ('{"a": 1%s}' % ("0" * 400), ("P010", 1, 7, "1" + "0" * 400)),
        ('{"a": 0.%s1}' % ("0" * 5000), ("P010", 1, 7, "0." + "0" * 5000 + "1")),
        ('{"a": "\\ud800"}', ("P012", 1, 7, '"\\ud800"')),
        ('{"\\udfff": 1}', ("P012", 1, 2, '"\\udfff"')),
    ],
)
def test_a_trap_is_closed_and_reading_goes_on(text: str, expected: tuple[Any, ...]) -> None:
    assert found(text) == [expected]
    assert found(text.replace("{", '{"b": NaN,\n', 1)) == [
        ("P008", 1, 7, "NaN"),
        (expected[0], 2, expected[2] - 1, expected[3]),
    ]


@pytest.mark.parametrize(
    ("text", "line", "column", "words"),
    [
        ('{"a": 1,}', 1, 9, "a comma before '}'"),
        ('{"a": [1,]}', 1, 10, "a comma before ']'"),
        ('{"a":}', 1, 6, "expected a value, found '}'"),
        ('{"a" 1}', 1, 5, "expected ':' after the name 'a'"),
        ('{"a": 1 "b": 2}', 1, 9, "expected ',' or '}'"),
        ('{"a": [1 2]}', 1, 10, "expected ',' or ']', found '2'"),
        ('{"a": [1}', 1, 9, "expected ',' or ']', found '}'"),
        ('{"a": 1]', 1, 8, "expected ',' or '}', found ']'"),
        ("{'a': 1}", 1, 2, "expected a name in double quotes"),
        ("{\"a\": 'x'}", 1, 7, "single quotes"),
        ("{a: 1}", 1, 2, "expected a name in double quotes, found 'a'"),
        ('{"a": True}', 1, 7, "True is Python; JSON writes true"),
        ('{"a": None}', 1, 7, "JSON writes null"),
        ("<<<<<<< HEAD\n{}", 1, 1, "a merge conflict"),
        ('{"a": 1,\n=======\n"a": 2}', 2, 1, "a merge conflict"),
        ('{"a": 1\n>>>>>>> b\n}', 2, 1, "a merge conflict"),
        ('{"a": yes}', 1, 7, "texts are written in double quotes"),
        ('{"a": 01}', 1, 7, "01 is not a number as JSON writes it"),
        ('{"a": +1}', 1, 7, "+1 is not a number as JSON writes it"),
        ('{"a": .5}', 1, 7, ".5 is not a number"),
        ('{"a": 1.}', 1, 7, "1. is not a number"),
        ('{"a": 0x1F}', 1, 7, "0x1F is not a number"),
        ('{"a": 1_000}', 1, 7, "1_000 is not a number"),
        ('{"a": 1 // one\n}', 1, 9, "a comment; JSON has none"),
        ('{\n# one\n"a": 1}', 2, 1, "a comment; JSON has none"),
        ('{"a": "x\ny"}', 1, 7, "a control character in a text"),
        ('{"a": "\\x41"}', 1, 7, "an unknown escape"),
        ('{"a": "x', 1, 7, "a text without its closing quote"),
        ('{"a": 1', 1, 8, "the file ends where ',' or '}' should stand"),
        ('{"a":\n', 2, 1, "the file ends where a value should stand"),
        ('{"a": 1}\n{"b": 2}', 2, 1, "text after the end"),
    ],
)
def test_what_is_not_well_formed_is_said_in_words(text: str, line: int, column: int, words: str) -> None:
    file = parse(text, path="params.json")
    assert file.document is None
    (finding,) = file.findings
    assert (finding.rule, finding.line, finding.column) == ("P001", line, column)
    assert words in finding.message


@pytest.mark.parametrize("depth", [DEEPEST + 1, 5000, 200_000])
def test_what_is_nested_too_deeply_is_stepped_over(depth: int) -> None:
    text = f'{{"a": {"[" * depth}"]["{"]" * depth}, "b": NaN}}'
    assert [(f.rule, f.column) for f in parse(text).findings] == [
        ("P006", 7 + DEEPEST - 1),
        ("P008", len(text) - 3),
    ]
    assert [f.rule for f in parse('{"a": ' + "[" * depth).findings] == ["P006", "P001"]


def nested(depth: int) -> Any:
    return [nested(depth - 1)] if depth > 1 else []


def test_the_deepest_file_that_is_allowed() -> None:
    text = json.dumps({"a": nested(DEEPEST - 1)})
    assert parse(text).findings == ()


def test_lines_end_as_editors_have_it() -> None:
    text = '{\r\n"a": NaN,\r"b": NaN,\n"c\u2028d": NaN}'
    assert [(f.line, f.column) for f in parse(text).findings] == [(2, 6), (3, 6), (4, 8)]


def test_columns_count_characters() -> None:
    (finding,) = parse('{"\N{GRINNING FACE}\u96ea": NaN}').findings
    assert (finding.column, finding.end_column) == (8, 11)


def test_a_pointer_escapes_what_pointers_escape() -> None:
    (finding,) = parse('{"a/b": {"~": [0, NaN]}}').findings
    assert finding.pointer == "/a~1b/~0/1"


def test_a_pointer_is_bounded() -> None:
    name = "x" * 100_000
    (finding,) = parse(json.dumps({name: {name: float("nan")}})).findings
    assert len(finding.pointer) == 1000
    assert finding.column == 200_011


def test_more_problems_than_anybody_reads_are_counted() -> None:
    file = parse(json.dumps({"a": [float("nan")] * 20_000}))
    assert len(file.findings) == 10_000
    assert file.problems.dropped == 10_000


def test_positions_inside_arrays_take_little_memory() -> None:
    document, _ = read('{"a": [1, {"b": 2}, [3]]}')
    assert document is not None
    assert isinstance(document.mark, Members)
    items = document.mark["a"].mark
    assert isinstance(items, Items)
    assert items.starts.itemsize == 4
    assert sorted(items.marks) == [1, 2]


@pytest.mark.parametrize("notation", ["json", "yaml"])
@pytest.mark.parametrize("shape", ["[1,1,1,1,1,1,1,1,{}]", "[[1,1,1],[1,1,{}]]", "[1,1,1,[1,1,1,1,{}]]"])
def test_values_in_arrays_are_bounded(monkeypatch: pytest.MonkeyPatch, notation: str, shape: str) -> None:
    """The ninth value is one too many, wherever it stands."""
    monkeypatch.setattr(f"ann_ckpt.params.text.{notation}.MOST_VALUES", 8)
    name = f"params.{notation}"
    assert not parse(f'{{"network": {{"a": {shape.replace(",{}", "")}}}}}', path=name).findings
    text = f'{{"network": {{"a": {shape.replace("{}", "7,8,9")}}}}}'
    (finding,) = parse(text, path=name).findings
    assert (finding.rule, finding.line) == ("P017", 1)
    assert text[finding.column - 1] in "789"
