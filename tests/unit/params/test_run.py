"""Many files, each against the schema that applies to it."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from ann_ckpt.params import schema_for
from ann_ckpt.params.api import schema_of
from ann_ckpt.params.run import Checkers, expanded
from ann_ckpt.params.schema.generate import GENERAL_ID
from tests.unit.params.networks import network


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def write(path: str, content: Any) -> str:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def found(path: str, checkers: Checkers | None = None) -> list[tuple[str, str]]:
    return [(f.rule, f.pointer) for f in (checkers or Checkers()).check_path(path).findings]


WRONG = {"constants": {"k": 1}}


def test_a_file_is_checked_against_the_schema_that_it_names() -> None:
    write("schemas/net.schema.json", schema_for(network()))
    path = write("sub/p.json", {"$schema": "../schemas/net.schema.json", **WRONG})
    assert found(path) == [("P105", "/constants/k")]
    write("a b/net.schema.json", schema_for(network()))
    assert found(write("p.json", {"$schema": "./a%20b/net.schema.json", **WRONG})) == [
        ("P105", "/constants/k")
    ]


def test_without_a_schema_only_the_form_is_checked() -> None:
    assert found(write("p.json", WRONG)) == [("P404", "")]
    assert found("p.json", Checkers(schema_of(network()))) == [("P105", "/constants/k")]
    assert found(write("p.json", {"$schema": GENERAL_ID, **WRONG})) == []
    assert found(write("p.json", {"constant": {}})) == [("P101", "/constant")]


@pytest.mark.parametrize(
    ("named", "reason"),
    [
        ("https://example.org/net.schema.json", "nothing is fetched"),
        ("//example.org/net.schema.json", "nothing is fetched"),
        ("file:///etc/passwd", "nothing is fetched"),
        ("./missing.json", "no such file"),
        (".", "not a regular file"),
        ("", "not a regular file"),
        ("a\0b", "a character that is not allowed in file names"),
        ("x" * 5000, "name too long"),
        ("no-schema.json", "is not known"),
        ("p.json", "is not known"),
    ],
)
def test_a_schema_that_cannot_be_used_is_a_finding_where_it_is_named(named: str, reason: str) -> None:
    write("no-schema.json", {"$schema": "http://json-schema.org/draft-04/schema#"})
    checked = Checkers().check_path(write("p.json", {"$schema": named, "constant": {}}))
    schema, other = checked.findings
    assert (schema.rule, schema.pointer, schema.line, schema.column) == ("P501", "/$schema", 1, 13)
    assert reason in schema.message.lower()
    assert len(schema.message) < 500
    assert other.rule == "P101"
    assert checked.exit_status == 4


def test_a_named_schema_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    write("net.schema.json", schema_for(network()))
    checkers = Checkers()
    for name in ("a.json", "b.json", "./sub/../a.json"):
        Path("sub").mkdir(exist_ok=True)
        assert found(write(name, {"$schema": "net.schema.json", **WRONG}), checkers) == [
            ("P105", "/constants/k")
        ]
        Path("net.schema.json").unlink(missing_ok=True)


def test_a_file_that_cannot_be_read_is_a_finding() -> None:
    Path("folder").mkdir()
    os.mkfifo("pipe")
    for path, reason in (
        ("none.json", "no such file"),
        ("folder", "not a regular file"),
        ("pipe", "not a regular file"),
    ):
        checked = Checkers().check_path(path)
        (finding,) = checked.findings
        assert (finding.rule, finding.path, finding.message) == ("P601", path, reason)
        assert checked.exit_status == 3


def test_globs_are_expanded_in_order_and_names_come_first() -> None:
    for name in ("b.json", "a.json", "sub/c.json", "[x].json"):
        write(name, {})
    assert list(expanded(["*.json"])) == ["[x].json", "a.json", "b.json"]
    assert list(expanded(["**/*.json"])) == ["[x].json", "a.json", "b.json", "sub/c.json"]
    assert list(expanded(["[x].json", "none*.json", "none.json"])) == ["[x].json", "none*.json", "none.json"]
    assert list(expanded([str(Path.cwd() / "a*.json")])) == [str(Path.cwd() / "a.json")]
