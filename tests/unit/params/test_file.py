"""Bytes to a parameter file: encodings, sizes, notations."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from ann_ckpt.errors import CheckpointError, OptionError, WrongTypeError
from ann_ckpt.params import load, parse
from ann_ckpt.params.text.document import LARGEST
from tests.legacy.truth import SHARED


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b"", ("P004", 1, 1)),
        (b" \r\n\t", ("P004", 1, 1)),
        (b'{"a":\n "\xe9"}', ("P002", 2, 3)),
        ('{"ä":\n 1, "b": "'.encode() + b"\xff", ("P002", 2, 11)),
        ('{"a": 1}'.encode("utf-16"), ("P002", 1, 1)),
        (b'\xef\xbb\xbf{"a": 1}', ("P003", 1, 1)),
        (b"[1, 2]", ("P011", 1, 1)),
        (b" 3", ("P011", 1, 2)),
        (b'"text"', ("P011", 1, 1)),
        (b"null", ("P011", 1, 1)),
        (b"NaN", ("P008", 1, 1)),
        (b"{} x", ("P001", 1, 4)),
        (b"\x00" * 10, ("P001", 1, 1)),
        (b"\x89HDF\r\n\x1a\n", ("P002", 1, 1)),
        (b"x" * (LARGEST + 1), ("P005", 1, 1)),
    ],
)
def test_bad_bytes_are_a_finding(raw: bytes, expected: tuple[str, int, int]) -> None:
    file = parse(raw, path="params.json")
    (finding,) = file.findings
    assert (finding.rule, finding.line, finding.column) == expected
    assert len(finding.message) < 200


def test_what_stands_behind_a_byte_order_mark_is_read() -> None:
    assert parse(b'\xef\xbb\xbf{"network": {"a": 1}}').section("network") == {"a": 1}


def test_a_list_at_the_top_is_read_for_what_else_is_wrong() -> None:
    assert [f.rule for f in parse('[{"a": NaN}]').findings] == ["P011", "P008"]


def test_fifty_megabytes_are_not_read(tmp_path: Path) -> None:
    path = tmp_path / "large.json"
    with path.open("wb") as file:
        file.truncate(50_000_000)
    assert [f.rule for f in load(path).findings] == ["P005"]


@pytest.mark.parametrize("kind", ["missing", "folder", "pipe", "device"])
def test_what_is_no_file_is_an_os_error(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "params.json"
    if kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "device":
        path = Path("/dev/zero")
    with pytest.raises(OSError, match="no such file" if kind == "missing" else "not a regular file"):
        load(path)
    with pytest.raises(CheckpointError) as caught:
        load(path)
    assert caught.value.where == str(path)
    assert isinstance(caught.value, FileNotFoundError) == (kind == "missing")


@pytest.mark.parametrize(
    ("name", "text", "notation"),
    [
        ("params.json", '{"network": {"a": 1}}', None),
        ("params", '{"network": {"a": 1}}', None),
        ("params.yaml", "network: {a: 1}", None),
        ("params.YML", "network: {a: 1}", None),
        ("params.txt", "network: {a: 1}", "yaml"),
        ("params.json", " <database><parameter><name>a</name><value>1</value></parameter></database>", None),
        ("params.xml", '{"network": {"a": 1}}', None),
    ],
)
def test_the_notation_is_found(name: str, text: str, notation: str | None) -> None:
    assert parse(text, path=name, notation=notation).section("network") == {"a": 1}


def test_an_unknown_notation() -> None:
    with pytest.raises(OptionError, match="toml"):
        parse("", notation="toml")


@pytest.mark.parametrize("value", [[], 1, None, "x"])
def test_a_section_that_is_no_object_is_empty(value: Any) -> None:
    file = parse(json.dumps({"network": value, "$schema": value}))
    assert file.section("network") == {}
    assert file.section("missing") == {}
    assert file.schema == (value if value == "x" else None)


def test_a_place_outside_the_file_is_the_nearest_above() -> None:
    file = parse('{\n  "network": {"a": 1}}')
    assert file.place("network", "b", "c") == file.place("network")
    assert file.place("x") == file.place()
    assert parse("nothing").place("x").line == 1


def legacy_files() -> list[Path]:
    return sorted(SHARED.glob("*/*/params.json"))


def test_there_are_files_that_annarchy_wrote() -> None:
    assert {path.parts[-3] for path in legacy_files()} >= {"4.6.4", "4.6.10.1", "4.8.2.7", "5.0.4.1"}


@pytest.mark.parametrize("path", legacy_files(), ids=lambda p: f"{p.parts[-3]}-{p.parts[-2]}")
def test_a_file_that_annarchy_wrote_reads_unchanged(path: Path) -> None:
    from ann_ckpt.params import validate

    file = load(path)
    assert validate(file) == []
    assert repr(dict(file.data)) == repr(json.loads(path.read_text()))


@pytest.mark.parametrize("content", [None, 3, ["{}"]])
def test_content_of_another_type_is_refused_in_words(content: Any) -> None:
    with pytest.raises(WrongTypeError, match="the content is a"):
        parse(content)


def test_a_merge_conflict_is_no_xml() -> None:
    (finding,) = parse("<<<<<<< HEAD\n{}").findings
    assert finding.message == "a merge conflict that is not resolved"
