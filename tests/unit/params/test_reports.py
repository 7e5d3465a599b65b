"""Each report, read by somebody who reads such reports."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from junitparser import JUnitXml
from sarif_pydantic import Sarif

from ann_ckpt.params import RULES, parse
from ann_ckpt.params.api import schema_of
from ann_ckpt.params.checking.checker import Checked, Checker
from ann_ckpt.params.reports import REPORTS
from ann_ckpt.params.reports.human import human
from tests.unit.params.networks import network

ROOT = Path(__file__).parents[3]
TEXT = """{
  "populations": {
    "inpt": {"tau": 2.0},
    "out": {"tau": "1e3"}
  },
  "constants": {"K": 9007199254740993}
}
"""


def checked(text: str = TEXT, path: str = "params.json") -> Checked:
    return Checker(schema_of(network())).check(parse(text, path=path))


def clean() -> Checked:
    return checked("{}", "clean.json")


NASTY_PATHS = [
    "a,b:c%d.json",
    "line\nbreak.json",
    "\x1b[2J.json",
    "../up/p.json",
    "/abs/p.json",
    "ünï 雪.json",
    "a\udc80b.json",
]


# --- for people ---


def test_the_human_report() -> None:
    assert human([checked(), clean()]) == (
        "params.json:3:5: error[P102] unknown population 'inpt' (did you mean 'inp'?)\n"
        '    3 |     "inpt": {"tau": 2.0},\n'
        "      |     ^^^^^^\n"
        "params.json:4:20: error[P201] expected a number, found the text '1e3'\n"
        '    4 |     "out": {"tau": "1e3"}\n'
        "      |                    ^^^^^\n"
        "params.json:6:22: warning[P401] 9007199254740993 has more digits than the C type double keeps\n"
        '    6 |   "constants": {"K": 9007199254740993}\n'
        "      |                      ^^^^^^^^^^^^^^^^\n"
        "2 errors, 1 warning in 2 files\n"
    )


def test_a_clean_run_says_so() -> None:
    assert human([clean()]) == "1 file checked, no findings\n"


def test_colours_only_if_asked() -> None:
    plain, coloured = human([checked()]), human([checked()], colour=True)
    assert "\x1b" not in plain
    assert re.sub(r"\x1b\[[0-9;]*m", "", coloured) == plain


def test_what_was_dropped_is_counted() -> None:
    file = parse(json.dumps({"network": {f"k{i}": [] for i in range(5)}}), path="p.json")
    report = human([Checker(schema_of(None)).check(file, limit=2)])
    assert "p.json: and 3 more findings, over the limit\n2 errors and 3 more in 1 file\n" in report


@pytest.mark.parametrize(
    ("text", "shown", "caret"),
    [
        ('{"network": {\t"a": []}}', '{"network": {    "a": []}}', "[]"),
        ('{"network": {"雪": []}}', '{"network": {"雪": []}}', "[]"),
        ('{"network": {"\u202e": []}}', '{"network": {"\\u202e": []}}', "[]"),
        ('{"network": {"e\u0301": []}}', '{"network": {"e\u0301": []}}', "[]"),
    ],
)
def test_the_caret_stands_below_what_it_means(text: str, shown: str, caret: str) -> None:
    _, line, mark, _ = human([checked(text)]).splitlines()
    assert line == f"    1 | {shown}"
    wide = sum("\u4e00" <= c <= "\u9fff" for c in shown) - shown.count("\u0301")
    assert mark.index("^") == line.index(caret) + wide
    assert mark.count("^") == len(caret)


def test_a_line_that_is_too_wide_is_cut_around_the_caret() -> None:
    text = json.dumps({"network": {**{f"k{i}": i for i in range(10_000)}, "bad": [], "z": "x" * 1000}})
    _, line, mark, _ = human([checked(text)]).splitlines()
    assert len(line) < 120
    assert line[mark.index("^") :].startswith("[]")


# --- for machines ---


def read_json(text: str) -> list[tuple[str, str, int]]:
    report = json.loads(text)
    schema = json.loads((ROOT / "schemas" / "report-1.schema.json").read_text())
    Draft202012Validator(schema).validate(report)
    return [(f["rule"], f["path"], f["line"]) for f in report["findings"]]


def read_sarif(text: str) -> list[tuple[str, str, int]]:
    (run,) = Sarif.model_validate_json(text).runs
    assert run.results is not None
    rules = run.tool.driver.rules
    assert rules is not None
    assert [r.id for r in rules] == list(RULES)
    raw = json.loads(text)["runs"][0]
    prints = [r["partialFingerprints"]["annCkptFinding/v1"] for r in raw["results"]]
    assert len(set(prints)) == len(prints)
    found = []
    for result, plain in zip(run.results, raw["results"], strict=True):
        assert rules[plain["ruleIndex"]].id == result.rule_id
        (location,) = plain["locations"]
        physical = location["physicalLocation"]
        region = physical["region"]
        assert region["startColumn"] < region["endColumn"]
        assert re.fullmatch(r"[!#$&-;=?-\[\]_a-z~%]+", physical["artifactLocation"]["uri"])
        found.append((plain["ruleId"], physical["artifactLocation"]["uri"], region["startLine"]))
    return found


def read_github(text: str) -> list[tuple[str, str, int]]:
    """As the runner of GitHub Actions reads commands out of a log."""
    found = []
    for line in text.splitlines():
        match = re.fullmatch(r"::(error|warning) ([^:]*)::(.+)", line)
        if line.endswith("over the limit") or (
            match is None and "::" not in line and "checked against" in line
        ):
            continue
        assert match, line
        properties = dict(p.split("=", 1) for p in match[2].split(","))
        assert properties.keys() == {"file", "line", "endLine", "col", "endColumn", "title"}
        for code, character in (("%0D", "\r"), ("%0A", "\n"), ("%3A", ":"), ("%2C", ","), ("%25", "%")):
            properties = {k: v.replace(code, character) for k, v in properties.items()}
        found.append(
            (properties["title"].removeprefix("ann-ckpt "), properties["file"], int(properties["line"]))
        )
    return found


def read_gitlab(text: str) -> list[tuple[str, str, int]]:
    entries = json.loads(text)
    Draft202012Validator(CODE_QUALITY).validate(entries)
    assert len({e["fingerprint"] for e in entries}) == len(entries)
    return [(e["check_name"], e["location"]["path"], e["location"]["lines"]["begin"]) for e in entries]


CODE_QUALITY = {
    "type": "array",
    "items": {
        "type": "object",
        "required": ["description", "check_name", "fingerprint", "severity", "location"],
        "properties": {
            "description": {"type": "string", "minLength": 1},
            "check_name": {"type": "string", "minLength": 1},
            "fingerprint": {"type": "string", "pattern": "^[0-9a-f]{32}$"},
            "severity": {"enum": ["info", "minor", "major", "critical", "blocker"]},
            "location": {
                "required": ["path", "lines"],
                "properties": {
                    "path": {"type": "string", "not": {"pattern": "^\\./"}},
                    "lines": {
                        "required": ["begin"],
                        "properties": {"begin": {"type": "integer", "minimum": 1}},
                    },
                },
            },
        },
    },
}
"""What GitLab documents of the code quality reports that it reads."""


def read_junit(text: str) -> list[tuple[str, str, int]]:
    found = []
    for suite in JUnitXml.fromstring(text.encode()):
        assert suite.tests == len(list(suite))
        assert suite.failures == sum(bool(case.result) for case in suite)
        for case in suite:
            match = re.match(r"(P\d+) in line (\d+)", case.name)
            if match:
                found.append((match[1], suite.name, int(match[2])))
    return found


READERS: dict[str, Any] = {
    "json": read_json,
    "sarif": read_sarif,
    "github": read_github,
    "gitlab": read_gitlab,
    "junit": read_junit,
}


def test_every_report_has_a_reader_here() -> None:
    assert REPORTS.keys() - {"human"} == READERS.keys()


@pytest.mark.parametrize("name", READERS)
def test_a_report_says_what_was_found(name: str) -> None:
    report = REPORTS[name]([checked(), clean()])
    expected = [("P102", "params.json", 3), ("P201", "params.json", 4), ("P401", "params.json", 6)]
    assert READERS[name](report) == expected
    assert report.endswith("\n")


@pytest.mark.parametrize("name", READERS)
def test_a_report_of_nothing(name: str) -> None:
    assert READERS[name](REPORTS[name]([clean()])) == []


@pytest.mark.parametrize("path", NASTY_PATHS)
@pytest.mark.parametrize("name", READERS)
def test_a_report_survives_any_file_name(name: str, path: str) -> None:
    assert [rule for rule, _, _ in READERS[name](REPORTS[name]([checked(path=path)]))] == [
        "P102",
        "P201",
        "P401",
    ]


@given(
    st.dictionaries(st.text(max_size=6), st.text(max_size=6), max_size=4), st.sampled_from(sorted(READERS))
)
def test_a_report_survives_any_name_in_a_file(names: dict[str, str], style: str) -> None:
    data = {"populations": {**{n: {} for n in names}, "inp": names}, "network": names}
    file = checked(json.dumps(data))
    found = READERS[style](REPORTS[style]([file]))
    assert [rule for rule, _, _ in found] == [f.rule for f in file.findings]


def test_paths_are_those_of_the_repository(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    for path in ("sub/p.json", "./sub/p.json", str(tmp_path / "sub" / "p.json")):
        for name in ("sarif", "github", "gitlab"):
            assert {p for _, p, _ in READERS[name](REPORTS[name]([checked(path=path)]))} == {"sub/p.json"}
    outside = read_sarif(REPORTS["sarif"]([checked(path="/etc/p q.json")]))
    assert {p for _, p, _ in outside} == {"file:///etc/p%20q.json"}


def test_a_fingerprint_stays_when_lines_move() -> None:
    def prints(text: str) -> list[str]:
        return [e["fingerprint"] for e in json.loads(REPORTS["gitlab"]([checked(text)]))]

    assert prints(TEXT) == prints(TEXT.replace("{", "{\n\n", 1))
    assert len(set(prints('{"network": {"a": [], "a": 1, "a": 2}}'))) == 3


def test_sarif_says_whether_the_run_itself_was_sound() -> None:
    (run,) = json.loads(REPORTS["sarif"]([checked()]))["runs"]
    (invocation,) = run["invocations"]
    assert (invocation["executionSuccessful"], invocation["exitCode"]) == (True, 1)
    assert run["columnKind"] == "unicodeCodePoints"
