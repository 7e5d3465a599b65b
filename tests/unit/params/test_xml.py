"""ANNarchy's old XML: free names and values, and nothing that XML could do besides."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ann_ckpt.params import load_parameters, parse, validate
from tests.strategies import parameter_networks


def one(value: str, name: str = "tau") -> str:
    fields = f"<name>{name}</name><value>{value}</value>"
    return f"<database>\n  <parameter>\n    {fields}\n  </parameter>\n</database>"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("10.0", 10.0),
        ("3", 3),
        (" 007 ", 7),
        ("-1e-3", -0.001),
        ("+.5", 0.5),
        ("1.", 1.0),
        ("-00.50E+2", -50.0),
        ("hello", "hello"),
        ("1_000", "1_000"),
        ("a &amp; b", "a & b"),
        ("true", "true"),
    ],
)
def test_values_are_what_annarchy_made_of_them(text: str, value: Any) -> None:
    file = parse(one(text))
    assert file.findings == ()
    assert repr(file.section("network")["tau"]) == repr(value)


def test_values_have_places() -> None:
    file = parse(one(" 10.0 "))
    name, value = file.place("network", "tau", key=True), file.place("network", "tau")
    assert (name.line, name.column, name.end_column) == (3, 11, 14)
    assert (value.line, value.column, value.end_column) == (3, 29, 33)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (one("nan"), ("P008", 3, 28)),
        (one("-inf"), ("P008", 3, 28)),
        (one("1e999"), ("P009", 3, 28)),
        (one("1" * 401), ("P010", 3, 28)),
        (one(""), ("P014", 2, 3)),
        (one("1", name=""), ("P014", 2, 3)),
        (one("1</value><value>2"), ("P014", 3, 37)),
        (one("1</value><unit>2</unit><value>3"), ("P014", 3, 37)),
        (one("<b>1</b>"), ("P014", 3, 28)),
        (
            '<database>\n<parameter id="1"><name>a</name><value>1</value></parameter>',
            ("P014", 2, 1),
        ),
        ("<database>\n<other/>\n</database>", ("P014", 2, 1)),
        ("<database>\n<parameter></database>", ("P001", 2, 14)),
        ("<database>\n&lol;</database>", ("P001", 2, 1)),
        ("<", ("P001", 1, 1)),
        ('<!DOCTYPE a [<!ENTITY x "y">]>\n<a>&x;</a>', ("P015", 1, 1)),
        ('\n <!DOCTYPE a SYSTEM "file:///etc/passwd"><a/>', ("P015", 2, 2)),
    ],
)
def test_what_is_wrong_is_found_where_it_stands(text: str, expected: tuple[str, int, int]) -> None:
    first = parse(text).findings[0]
    rule, line, column = expected
    assert (first.rule, first.line) == (rule, line)
    assert first.column == column


def test_a_name_that_stands_twice() -> None:
    entry = "<parameter><name>a</name><value>{}</value></parameter>"
    file = parse(f"<database>\n{entry.format(1)}\n{entry.format(2)}\n</database>")
    assert [(f.rule, f.line, f.pointer) for f in file.findings] == [("P007", 3, "/network/a")]
    assert file.section("network") == {"a": 1}


@pytest.mark.parametrize("text", ["<svg/>", one("1").replace("database", "svg"), "<svg><g/><g/></svg>"])
def test_other_xml_is_told_by_its_root_and_once(text: str) -> None:
    (finding,) = parse(text).findings
    assert (finding.rule, finding.line, finding.column) == ("P014", 1, 1)
    assert "the root element svg; expected database" in finding.message


def test_a_declared_encoding_of_its_time() -> None:
    text = '<?xml version="1.0" encoding="ISO-8859-1"?>' + one("1", name="größe")
    assert dict(parse(text.encode("latin-1")).section("network")) == {"größe": 1}
    assert [f.rule for f in parse(text.replace("8859-1", "10646-UCS-4").encode("latin-1")).findings] == [
        "P002"
    ]


def test_elements_in_elements_end_the_reading() -> None:
    assert len(parse("<database>" * 100_000).findings) < 10


@given(parameter_networks())
def test_a_file_is_valid_for_any_network_and_given_back(state: Any) -> None:
    assert validate(parse(one("7")), state) == []


def test_load_parameters_gives_the_values_back(tmp_path: Any) -> None:
    path = tmp_path / "old.xml"
    path.write_text(one("10.0"))
    from ann_ckpt import NetworkState

    assert load_parameters(path, network=NetworkState()) == {"tau": 10.0}


@given(st.text(max_size=30))
def test_any_text_gives_values_or_findings(text: str) -> None:
    file = parse(text, notation="xml")
    assert file.document is not None or file.findings
