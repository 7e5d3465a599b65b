"""``ann-ckpt params``: arguments in, reports, files and exit statuses out."""

from __future__ import annotations

import csv
import io
import json
import os
from pathlib import Path
from typing import Any

import pytest

import ann_ckpt
from ann_ckpt.params import RULES, schema_for
from ann_ckpt.params.reports import REPORTS
from tests.acceptance.conftest import Run
from tests.unit.params.networks import network


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    ann_ckpt.write(network(), "net.h5")


def write(path: str, content: Any) -> str:
    Path(path).write_text(content if isinstance(content, str) else json.dumps(content))
    return path


GOOD = {"populations": {"inp": {"tau": 2.0}}}
TYPO = {"populations": {"inpt": {"tau": 2.0}}}
WARNING = {"constants": {"K": 2**53 + 1}}


class Pipe:
    """Standard input with these bytes."""

    def __init__(self, content: bytes) -> None:
        self.buffer = io.BytesIO(content)


# --- validate ---


def test_a_clean_file(run: Run) -> None:
    answer = run("params", "validate", write("p.json", GOOD), "--checkpoint", "net.h5")
    assert (answer.status, answer.out, answer.err) == (
        0,
        "p.json: checked against net.h5\n1 file checked, no findings\n",
        "",
    )


def test_a_finding_has_its_place_its_line_and_a_caret(run: Run) -> None:
    write("params.json", '{\n  "populations": {\n    "inpt": {"tau": 2.0}\n  }\n}')
    answer = run("params", "validate", "params.json", "--checkpoint", "net.h5")
    assert answer.status == 1
    assert answer.out == (
        "params.json:3:5: error[P102] unknown population 'inpt' (did you mean 'inp'?)\n"
        '    3 |     "inpt": {"tau": 2.0}\n'
        "      |     ^^^^^^\n"
        "params.json: checked against net.h5\n"
        "1 error in 1 file\n"
    )


def test_warnings_do_not_fail(run: Run) -> None:
    answer = run("params", "validate", write("p.json", WARNING), "--checkpoint", "net.h5")
    assert answer.status == 0
    assert "warning[P401]" in answer.out


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (["good.json"], 0),
        (["good.json", "wide*.json"], 3),
        (["typo.json", "--schema", "net.schema.json"], 1),
        (["typo.json", "none.json", "--schema", "net.schema.json"], 3),
        (["typo.json", "remote.json"], 4),
        (["none.json", "remote.json"], 4),
        (["good.json", "--schema", "none.json"], 3),
        (["good.json", "--schema", "no-schema.json"], 4),
        (["good.json", "--checkpoint", "none.h5"], 3),
        (["good.json", "--checkpoint", "good.json"], 4),
        (["good.json", "--checkpoint", "cut.h5"], 4),
        (["good.json", "--schema", "net.schema.json", "--checkpoint", "net.h5"], 2),
        ([], 2),
        (["good.json", "--format", "xml"], 2),
        (["good.json", "--limit", "0"], 2),
    ],
)
@pytest.mark.parametrize("style", ["human", "json"])
def test_the_exit_status(run: Run, arguments: list[str], status: int, style: str) -> None:
    write("good.json", GOOD)
    write("typo.json", TYPO)
    write("remote.json", {"$schema": "https://example.org/net.schema.json"})
    write("net.schema.json", schema_for(network()))
    write("no-schema.json", {"type": "float"})
    Path("cut.h5").write_bytes(Path("net.h5").read_bytes()[:3000])
    usage = status == 2
    answer = run("params", "validate", *arguments, *([] if usage else ["--format", style]))
    assert answer.status == status
    assert ("Usage:" in answer.err) is usage
    if style == "json" and not usage:
        assert answer.json["exit_status"] == status
        assert any(f["severity"] == "error" for f in answer.json["findings"]) is bool(status)
        written = run("params", "validate", *arguments, "--format", style, "--output", "report.json")
        assert (written.status, written.out) == (status, "")
        assert written.err.rstrip().endswith(("file", "files", "no findings"))
        assert Path("report.json").read_text() == answer.out


def test_a_folder_without_files_in_it_is_a_finding(run: Run) -> None:
    answer = run("params", "validate", "*.yaml")
    assert answer.status == 3
    assert "*.yaml:1:1: error[P601] no such file" in answer.out


def test_globs_and_several_files(run: Run) -> None:
    for name in ("a.json", "b.json"):
        write(name, TYPO)
    answer = run("params", "validate", "?.json", "--checkpoint", "net.h5")
    assert answer.out.endswith("2 errors in 2 files\n")


def test_standard_input(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    for content, status in ((json.dumps(GOOD), 0), (json.dumps(TYPO), 1), ("", 1)):
        monkeypatch.setattr("sys.stdin", Pipe(content.encode()))
        assert run("params", "validate", "-", "--checkpoint", "net.h5").status == status
    monkeypatch.setattr("sys.stdin", Pipe(b"populations: {inpt: {}}"))
    answer = run("params", "validate", "-", "--stdin-name", "p.yaml", "--checkpoint", "net.h5")
    assert answer.out.startswith("p.yaml:1:15: error[P102]")


@pytest.mark.parametrize("style", REPORTS)
def test_every_format(run: Run, style: str) -> None:
    arguments = ("params", "validate", write("p.json", TYPO), "--checkpoint", "net.h5", "--format", style)
    answer = run(*arguments)
    assert answer.status == 1
    assert "P102" in answer.out
    assert run(*arguments, "-o", "report").status == 1
    assert Path("report").read_text() == answer.out


def test_a_report_that_cannot_be_written_is_no_silent_success(run: Run) -> None:
    answer = run("params", "validate", write("p.json", GOOD), "-o", "net.h5/report")
    assert answer.status == 3
    assert "error[not-writable]" in answer.err


def test_a_broken_schema_is_reported_in_the_schema(run: Run) -> None:
    write("s.json", '{\n  "properties": {"a": {"$ref": "https://example.org/x"}}\n}')
    answer = run("params", "validate", write("p.json", GOOD), "--schema", "s.json")
    assert answer.status == 4
    assert answer.out.startswith("s.json:2:32: error[P501] the reference 'https://example.org/x' leaves")


def test_global_only(run: Run) -> None:
    path = write("p.json", {"populations": {"inp": {"noise": 0.5}}})
    assert run("params", "validate", path, "--checkpoint", "net.h5").status == 0
    answer = run("params", "validate", path, "--checkpoint", "net.h5", "--global-only")
    assert "P301" in answer.out


@pytest.mark.parametrize("engine", ["jsonschema", "jsonschema-rs"])
def test_engines(run: Run, engine: str) -> None:
    path = write("p.json", TYPO)
    assert run("params", "validate", path, "--checkpoint", "net.h5", "--engine", engine).status == 1


def test_colours_on_a_terminal_only(
    run: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import sys

    path = write("p.json", TYPO)
    arguments = ("params", "validate", path, "--checkpoint", "net.h5")
    assert "\x1b" not in run(*arguments).out
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(type(sys.stdout), "isatty", lambda self: True, raising=False)
    assert "\x1b[" in run(*arguments).out
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b" not in run(*arguments).out


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff\xfe{\x00}\x00",
        b'{"a": "\xff"}',
        b'{"populations": {}, "populations": {}}',
        b'{"network": {"a": NaN, "b": 1e999, "c": 1' + b"0" * 400 + b"}}",
        b'{"a": ' + b"[" * 5000 + b"]" * 5000 + b"}",
        b"[1, 2, 3]",
        b'{"populations": {"' + b"n" * 100_000 + b'": {}}}',
        b'{"populations": {"\\u001b[2J\\u0007": {}}}',
        b" " * 50_000_000,
        b"{" * 1_000_000,
    ],
    ids=[
        "empty",
        "utf-16",
        "latin-1",
        "twice",
        "numbers",
        "deep",
        "list",
        "long",
        "control",
        "50 MB",
        "open",
    ],
)
def test_bad_input_is_a_finding_never_a_traceback(run: Run, content: bytes) -> None:
    Path("p.json").write_bytes(content)
    answer = run("params", "validate", "p.json", "--checkpoint", "net.h5")
    assert answer.status == 1
    assert answer.err == ""
    assert answer.out.startswith("p.json:1:")
    assert answer.out.replace("\n", "").isprintable()
    assert len(answer.out) < 2500


def test_a_fault_of_the_program_is_one_line(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("oh")

    monkeypatch.setattr("ann_ckpt.cli.params.validate.expanded", broken)
    answer = run("params", "validate", write("p.json", GOOD))
    assert (answer.status, answer.out, answer.err) == (5, "", "error[internal]: ZeroDivisionError: oh\n")


# --- schema ---


def test_the_schema_of_a_checkpoint_is_that_of_the_network(run: Run) -> None:
    answer = run("params", "schema", "--checkpoint", "net.h5")
    assert answer.json == schema_for(network())
    assert run("params", "schema", "--checkpoint", "net.h5", "-o", "s.json").out == ""
    assert Path("s.json").read_text() == answer.out
    assert "definitions" in run("params", "schema", "--checkpoint", "net.h5", "--draft", "7").json


def test_a_stale_schema_is_noticed(run: Run) -> None:
    arguments = ("params", "schema", "--checkpoint", "net.h5", "-o", "s.json")
    assert run(*arguments, "--check").status == 3
    run(*arguments)
    assert run(*arguments, "--check").out == "s.json is up to date\n"
    Path("s.json").write_text(Path("s.json").read_text().replace("10.0", "11.0"))
    assert run(*arguments, "--check").status == 0
    answer = run(*arguments, "--check", "--values")
    assert answer.status == 1
    assert answer.out.startswith("s.json is stale; write it again without --check\n  populations/inp/tau\n")
    for old, new in (
        ('"minimum":0', '"minimum":1'), ('"integer"', '"number"'), ('"noise"', '"nois"'),
        ('"minItems":6', '"minItems":7'), ('"unit":"ms"', '"unit":"s"'), ("2020-12/", "2020-21/"),
    ):  # fmt: skip
        run(*arguments)
        text = Path("s.json").read_text()
        assert old in text
        Path("s.json").write_text(text.replace(old, new, 1))
        assert run(*arguments, "--check").status == 1


def test_a_schema_from_a_parameter_file(run: Run) -> None:
    data = {
        "populations": {"p": {"x": 1.5, "n": 3, "on": True, "a": [[1, 2], [3, 4]]}},
        "constants": {"K": 2**40},
    }
    answer = run("params", "schema", "--from-params", write("p.json", data), "-o", "s.json")
    assert answer.status == 0
    properties = json.loads(Path("s.json").read_text())["$defs"]["neuron"]["properties"]
    assert {n: p["x-ann"]["ctype"] for n, p in properties.items()} == {
        "x": "double",
        "n": "int",
        "on": "bool",
        "a": "int64_t",
    }
    assert run("params", "validate", "p.json", "--schema", "s.json").status == 0
    for wrong in ({"p": {"y": 1}}, {"p": {"n": 1.5}}, {"p": {"a": [1]}}, {"q": {}}):
        write("p.json", {"populations": wrong})
        assert run("params", "validate", "p.json", "--schema", "s.json").status == 1


@pytest.mark.parametrize(
    ("value", "fault"),
    [
        ([[1, 2], [3]], "P202"),
        ([[1, 2], 3], "P202"),
        ([[1], [[2]]], "P202"),
        ([True, 1.5], "P201"),
        ([True, 1], "P201"),
        (10**350, "P009"),
        (2**64, ""),
        (-(2**63) - 1, ""),
        ([1, 2**70], ""),
        (2**64 - 1, ""),
        ([], ""),
    ],
)
@pytest.mark.parametrize("section", ["populations", "constants"])
def test_a_file_fits_the_schema_that_it_gives_or_says_why_not(
    run: Run, section: str, value: Any, fault: str
) -> None:
    path = write("p.json", {section: {"x": value} if section == "constants" else {"p": {"x": value}}})
    answer = run("params", "schema", "--from-params", path, "-o", "s.json")
    assert answer.status == bool(fault)
    assert fault in answer.err
    assert Path("s.json").exists() != bool(fault)
    if not fault:
        assert run("params", "validate", path, "--schema", "s.json").status == 0


def test_every_array_without_a_shape_is_named_by_its_place(run: Run) -> None:
    text = '{"constants": {\n"a": [[1], 2]},\n"projections": {"f": {"w": [[1], []]}}}'
    answer = run("params", "schema", "--from-params", write("p.json", text))
    assert (answer.status, answer.out) == (1, "")
    assert "p.json:2:6: error[P202] the rows of this array are not equally long" in answer.err
    assert "p.json:3:28: error[P202]" in answer.err


def test_a_warning_about_a_file_is_one_of_the_command(run: Run) -> None:
    answer = run("params", "schema", "--from-params", write("p.json", {"constants": {"K": 2**64 + 1}}))
    assert answer.status == 0
    assert answer.err.startswith("warning: look at these\n  p.json:1:21: warning[P401]")
    assert ".py:" not in answer.err


def test_no_schema_from_a_wrong_file(run: Run) -> None:
    answer = run("params", "schema", "--from-params", write("p.json", {"populations": {"p": {"x": "1"}}}))
    assert answer.status == 1
    assert "P201" in answer.err


def test_the_general_schema_is_the_published_one(run: Run) -> None:
    published = Path(__file__).parents[2] / "schemas" / "params-1.schema.json"
    assert run("params", "schema", "--general").out == published.read_text()


def test_the_general_schema_has_the_draft_that_was_asked_for(run: Run) -> None:
    newer, older = (run("params", "schema", "--general", "--draft", draft).json for draft in ("2020-12", "7"))
    assert older == {**newer, "$schema": "http://json-schema.org/draft-07/schema#"}
    write("s.json", older)
    assert run("params", "validate", write("p.json", GOOD), "--schema", "s.json").status == 0
    assert run("params", "validate", write("p.json", {"constants": 1}), "--schema", "s.json").status == 1


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--general", "--checkpoint", "net.h5"],
        ["--general", "--check"],
        ["--general", "--values"],
        ["--draft", "4"],
    ],
)
def test_wrong_usage_of_schema(run: Run, arguments: list[str]) -> None:
    assert run("params", "schema", *arguments).status == 2


# --- diff, apply, extract, init ---


def test_diff(run: Run) -> None:
    run("params", "extract", "net.h5", "-o", "a.json")
    assert run("params", "diff", "a.json", "net.h5", "--exit-code").status == 0
    write("b.json", Path("a.json").read_text().replace("10.0", "11.0"))
    answer = run("params", "diff", "a.json", "b.json")
    assert (answer.status, answer.out) == (0, "~ populations/inp/tau: 10.0 -> 11.0\n")
    assert run("params", "diff", "b.json", "net.h5", "--exit-code").status == 1
    assert run("params", "diff", "a.json", "b.json", "--json").json[0]["pointer"] == "/populations/inp/tau"
    assert run("params", "diff", "a.json", "none.json").status == 3
    assert run("params", "diff", "a.json", write("c.json", "{")).status == 1


def test_apply_writes_a_new_checkpoint(run: Run) -> None:
    path = write(
        "p.json", {"populations": {"inp": {"tau": 5, "noise": [0, 0, 0, 1]}}, "constants": {"K": 0.25}}
    )
    before = Path("net.h5").read_bytes()
    dry = run("params", "apply", path, "--checkpoint", "net.h5", "--dry-run")
    assert (dry.status, Path("new.h5").exists()) == (0, False)
    answer = run("params", "apply", path, "--checkpoint", "net.h5", "-o", "new.h5")
    assert answer.status == 0
    assert answer.out == dry.out
    assert "populations/inp/tau: 10.0 -> 5.0" in answer.out
    assert answer.out.endswith("2 values change\n")
    assert Path("net.h5").read_bytes() == before
    changed = list(ann_ckpt.differences(network(), ann_ckpt.read("new.h5")))
    assert changed == ["populations/inp/parameters/tau", "populations/inp/parameters/noise"]


def test_apply_writes_nothing_if_anything_is_wrong(run: Run) -> None:
    path = write("p.json", {"populations": {"inp": {"tau": 5, "tua": 1}}})
    answer = run("params", "apply", path, "--checkpoint", "net.h5", "-o", "new.h5")
    assert answer.status == 1
    assert "P104" in answer.out
    assert not Path("new.h5").exists()
    assert run("params", "apply", path, "--checkpoint", "net.h5").status == 2


@pytest.mark.parametrize("way", ["$ignore", "settings", "baseline"])
def test_apply_asks_the_network_alone(run: Run, way: str) -> None:
    """What a project lets pass does not fit the network for that."""
    path = write("p.json", {**TYPO, **({"$ignore": ["P102"]} if way == "$ignore" else {})})
    options = ["--checkpoint", "net.h5"]
    if way == "settings":
        write("ann-ckpt.toml", 'ignore = ["P102"]')
    elif way == "baseline":
        run("params", "validate", path, *options, "--write-baseline", "base.json")
        write("ann-ckpt.toml", 'baseline = "base.json"')
    assert run("params", "validate", path, *options).status == 0
    answer = run("params", "apply", path, *options, "-o", "new.h5")
    assert (answer.status, "error[P102]" in answer.out, Path("new.h5").exists()) == (1, True, False)


def test_apply_does_not_ask_rules_between_values(run: Run) -> None:
    write("ann-ckpt.toml", 'rules = ["tau > 100"]')
    path = write("p.json", GOOD)
    assert run("params", "validate", path, "--checkpoint", "net.h5").status == 1
    assert run("params", "apply", path, "--checkpoint", "net.h5", "-o", "new.h5").status == 0


def test_apply_over_the_checkpoint_itself(run: Run) -> None:
    path = write("p.json", {"constants": {"K": 2}})
    before = Path("net.h5").read_bytes()
    assert run("params", "apply", path, "--checkpoint", "net.h5", "-o", "./net.h5").status == 2
    assert Path("net.h5").read_bytes() == before
    assert run("params", "apply", path, "--checkpoint", "net.h5", "--in-place").status == 0
    assert float(ann_ckpt.read("net.h5").constants["K"]) == 2


def test_extract_gives_what_save_parameters_writes(run: Run) -> None:
    from ann_ckpt.params import save_parameters

    save_parameters("saved.json", network=network())
    assert run("params", "extract", "net.h5").out == Path("saved.json").read_text()
    named = run("params", "extract", "net.h5", "--schema", "./s.json").json
    assert (named["$schema"], named["format_version"]) == ("./s.json", 1)


def test_init_begins_a_folder(run: Run) -> None:
    assert run("params", "init", "net.h5", "--folder", "config/sub", "--name", "base").status == 0
    folder = Path("config/sub")
    assert sorted(p.name for p in folder.iterdir()) == ["base.json", "base.schema.json"]
    assert run("params", "validate", "config/**/base.json").status == 0
    write("config/sub/base.json", (folder / "base.json").read_text().replace('"tau"', '"tua"'))
    assert run("params", "validate", "config/sub/base.json").status == 1
    again = run("params", "init", "net.h5", "--folder", "config/sub", "--name", "base")
    assert again.status == 3
    assert "exists already" in again.err


def test_a_checkpoint_that_is_none(run: Run) -> None:
    write("no.h5", "text")
    for words in (["extract", "no.h5"], ["init", "no.h5"], ["schema", "--checkpoint", "no.h5"]):
        assert run("params", *words).status == 4
    assert run("params", "extract", "none.h5").status == 3


def test_the_group_explains_itself(run: Run) -> None:
    answer = run("params", "--help")
    assert answer.status == 0
    for name in ("validate", "schema", "diff", "apply", "extract", "init", "explain", "table"):
        assert name in answer.out


# --- what a group's CI lives on ---


def test_a_glob_leaves_out_schemas_and_one_that_is_named_is_one_finding(run: Run) -> None:
    run("params", "init", "net.h5", "--folder", "config")
    answer = run("params", "validate", "config/params*.json")
    assert (answer.status, answer.out.splitlines()[-1]) == (0, "1 file checked, no findings")
    answer = run("params", "validate", "config/params.schema.json")
    assert answer.status == 1
    assert answer.out.count("error[") == 1
    assert "error[P016] a JSON Schema, not a parameter file" in answer.out


def test_the_modeline_that_editors_read_is_read(run: Run) -> None:
    write("net.schema.json", schema_for(network()))
    modeline = "# yaml-language-server: $schema=./net.schema.json\n"
    answer = run("params", "validate", write("p.yaml", modeline + "populations:\n  inpt: {tau: 1}\n"))
    assert answer.status == 1
    assert "p.yaml:3:3: error[P102]" in answer.out
    answer = run("params", "validate", write("p.yaml", modeline.replace("net", "gone") + "network: {}\n"))
    assert answer.out.startswith("p.yaml:1:33: error[P501]")


@pytest.mark.parametrize("suffix", ["json", "yaml"])
def test_a_file_that_is_written_again_keeps_what_is_not_the_networks(run: Run, suffix: str) -> None:
    from ann_ckpt.params import load, save_parameters

    options = ["--yaml"] if suffix == "yaml" else []
    run("params", "init", "net.h5", *options)
    path = f"params.{suffix}"
    text = Path(path).read_text().replace("network: {}", "network: {seed: 42}")
    Path(path).write_text(text.replace('"network": {}', '"network": {"seed": 42}'))
    before = load(path)
    for again in (
        lambda: save_parameters(path, network=network()),
        lambda: run("params", "extract", "net.h5", "-o", path),
    ):
        again()
        after = load(path)
        assert after.schema == before.schema == "./params.schema.json"
        assert after.data == before.data
        assert after.data["network"] == {"seed": 42}
        assert run("params", "validate", path).out.endswith("1 file checked, no findings\n")


def test_the_general_form_is_said_and_can_be_refused(run: Run) -> None:
    path = write("p.json", TYPO)
    answer = run("params", "validate", path)
    assert answer.status == 0
    assert "warning[P404]" in answer.out
    assert "p.json: checked against the general form only" in answer.out
    assert run("params", "validate", path, "--require-schema").status == 1
    assert run("params", "validate", path, "--require-schema", "--checkpoint", "net.h5").status == 1
    general = {**TYPO, "$schema": "urn:ann-ckpt:params-1"}
    assert run("params", "validate", write("p.json", general)).status == 0
    assert run("params", "validate", "p.json", "--require-schema").status == 1


@pytest.mark.parametrize("style", REPORTS)
def test_every_report_names_the_schema_and_counts_what_is_over_the_limit(run: Run, style: str) -> None:
    path = write("p.json", {"populations": {"inp": {f"x{i}": 1 for i in range(9)}}})
    answer = run("params", "validate", path, "--checkpoint", "net.h5", "--limit", "2", "--format", style)
    assert "net.h5" in answer.out
    assert '"dropped": 7' in answer.out if style == "json" else "and 7 more findings" in answer.out


def test_several_reports_in_one_run(run: Run) -> None:
    path = write("p.json", TYPO)
    arguments = ("params", "validate", path, "--checkpoint", "net.h5")
    answer = run(*arguments, "--report", "sarif=a.sarif", "--report", "junit=a.xml", "--report", "human=-")
    assert answer.status == 1
    assert "error[P102]" in answer.out
    assert answer.err == ""
    assert "P102" in Path("a.sarif").read_text()
    assert "P102" in Path("a.xml").read_text()
    answer = run(*arguments, "--format", "gitlab", "-o", "a.json")
    assert "error[P102]" in answer.err  # the log of a job is never empty
    for wrong in (["human"], ["human="], ["x=y"], ["human=-", "json=-"]):
        assert run(*arguments, *(w for r in wrong for w in ("--report", r))).status == 2


def test_a_file_that_is_named_twice_is_checked_once(run: Run) -> None:
    path = write("p.json", TYPO)
    answer = run("params", "validate", path, "./p.json", "*.json", "--checkpoint", "net.h5")
    assert answer.out.endswith("1 error in 1 file\n")


def test_a_pipe_is_refused_and_not_waited_for(run: Run) -> None:
    os.mkfifo("pipe")
    answer = run("params", "diff", "pipe", "net.h5")
    assert (answer.status, answer.out) == (3, "")
    assert "not a regular file" in answer.err


def test_an_old_file_in_place_of_a_checkpoint_names_convert(run: Run) -> None:
    Path("old.data").write_bytes(b"\x80\x04N.")
    answer = run("params", "validate", write("p.json", GOOD), "--checkpoint", "old.data")
    assert answer.status == 4
    assert "ann-ckpt convert" in answer.out


def test_a_converted_network_takes_any_constant_with_a_warning(run: Run) -> None:
    from dataclasses import replace

    ann_ckpt.write(replace(network(), constants={}, metadata={"converted_from": {}}), "old.h5")
    answer = run("params", "validate", write("p.json", {"constants": {"G": 1}}), "--checkpoint", "old.h5")
    assert answer.status == 0
    assert "warning[P405]" in answer.out
    assert (
        run("params", "validate", write("p.json", {"constants": {"G": "x"}}), "--checkpoint", "old.h5").status
        == 1
    )


def test_init_says_what_it_left_out_and_takes_it_in(run: Run) -> None:
    answer = run("params", "init", "net.h5")
    assert "populations/inp/noise" in answer.out
    run("params", "init", "net.h5", "--name", "all", "--arrays")
    written = json.loads(Path("all.json").read_text())
    assert written["populations"]["grid"] == {"noise": [[0.0] * 3] * 2}
    assert run("params", "validate", "all.json").out.endswith("1 file checked, no findings\n")
    assert run("params", "diff", "all.json", "net.h5", "--exit-code").status == 0


def test_apply_keeps_the_network_section(run: Run) -> None:
    path = write("p.json", {"network": {"seed": 7}, "constants": {"K": 2}})
    run("params", "apply", path, "--checkpoint", "net.h5", "-o", "new.h5")
    assert run("params", "extract", "new.h5").json["network"] == {"seed": 7}


def test_a_schema_that_is_written_again_keeps_its_rules(run: Run) -> None:
    arguments = ("params", "schema", "--checkpoint", "net.h5", "-o", "s.json")
    run(*arguments)
    schema = json.loads(Path("s.json").read_text())
    write("s.json", {**schema, "x-ann": {"rules": ["tau > nb"]}})
    run(*arguments)
    assert json.loads(Path("s.json").read_text())["x-ann"]["rules"] == ["tau > nb"]
    answer = run(
        "params", "validate", write("p.json", {"populations": {"inp": {"tau": 1}}}), "--schema", "s.json"
    )
    assert "error[P208]" in answer.out


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('<<<<<<< HEAD\n{"x-ann": {"rules": ["tau > nb"]}}', "1:1: P001: a merge conflict"),
        ('{"$schema": "https://json-schema.org/draft/2020-12/schema", "pattern": "a"}', "pattern is refused"),
        ('{"network": {"seed": 42}}', 'it has no "$schema"'),
        ('{"$schema": "./net.schema.json", "network": {"seed": 42}}', "the draft './net.schema.json'"),
    ],
)
def test_what_is_no_schema_is_not_replaced_by_one(run: Run, text: str, reason: str) -> None:
    answer = run("params", "schema", "--checkpoint", "net.h5", "-o", write("s.json", text))
    assert answer.status == 3
    assert "cannot be read as a schema, and is not replaced" in answer.err
    assert reason in answer.err
    assert Path("s.json").read_text() == text
    checked = run("params", "schema", "--checkpoint", "net.h5", "-o", "s.json", "--check")
    assert checked.status == 1
    if reason.startswith("1:1"):
        assert "remove it, and write it again" in checked.out


def test_an_empty_file_is_replaced_by_a_schema(run: Run) -> None:
    assert run("params", "schema", "--checkpoint", "net.h5", "-o", write("s.json", "")).status == 0
    assert json.loads(Path("s.json").read_text()) == schema_for(network())


def test_an_overlay_against_its_base(run: Run) -> None:
    base = write("a.json", {"populations": {"inp": {"tau": 1.0, "noise": [0, 1, 2, 3]}, "out": {"tau": 2.0}}})
    over = write("b.json", {"populations": {"inp": {"tau": 1.5, "noise": [[0, 1], [2, 4]]}}})
    answer = run("params", "diff", base, over, "--overlay")
    assert answer.out.splitlines() == [
        "~ populations/inp/tau: 1.0 -> 1.5",
        "~ populations/inp/noise: 1 of 4 values differ: [3] 3 -> 4",
    ]
    found = run("params", "diff", base, over, "--overlay", "--json").json
    assert (found[0]["before"], found[0]["after"]) == (1.0, 1.5)
    assert found[1]["entries"] == [{"at": 3, "before": 3, "after": 4}]
    write("c.json", {"populations": {"inp": {"noise": [[0, 1], [2, 3]]}}})
    assert run("params", "diff", base, "c.json", "--overlay", "--exit-code").status == 0


def test_a_schema_from_a_model(run: Run) -> None:
    body = "def build():\n    print('noise')\n    return network()\n"
    write("model.py", f"from tests.unit.params.networks import network\n\n{body}")
    assert run("params", "schema", "--model", "model.py:build").json == schema_for(network())
    write("exits.py", f"import sys\n\n{body}\n\nsys.exit(0)\n")
    for wrong in ("model.py:other", "gone.py:build", "model.py", "model.py:1", "exits.py:build"):
        assert run("params", "schema", "--model", wrong).status == 2


def test_explain(run: Run) -> None:
    for name in ("P301", "p301", "locality"):
        answer = run("params", "explain", name)
        assert answer.out.startswith("P301 locality (error)\n  what:    The parameter has one value per")
        assert all(word in answer.out for word in ("why:", "example:", "mend:"))
    assert len(run("params", "explain").out.splitlines()) == len(RULES)
    assert run("params", "explain", "P999").status == 2
    assert run("params", "explain", "P301", "--json").json[0]["id"] == "P301"


def test_a_table_for_a_paper(run: Run) -> None:
    answer = run("params", "table", "net.h5")
    assert "| inp | tau | 10.0 | ms | Time constant |" in answer.out.splitlines()
    path = write("p.json", {"populations": {"inp": {"tau": "0.02 s", "noise": [0, 0, 0, 1]}}})
    rows = list(
        csv.reader(io.StringIO(run("params", "table", "net.h5", "--params", path, "--format", "csv").out))
    )
    assert ["inp", "tau", "20.0", "ms", "Time constant"] in rows
    assert ["inp", "noise", "0.0 to 1.0", "", ""] in rows
    assert ["ff", "eta", "0.1", "", ""] in rows
    assert (
        r"inp & tau & 10.0 & ms & Time constant \\"
        in run("params", "table", "net.h5", "--format", "latex").out
    )
    assert run("params", "table", "net.h5", "--params", write("p.json", TYPO)).status == 1


def test_paths_in_reports_begin_at_the_top_of_the_repository(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    top = Path.cwd()
    Path("sub/deep").mkdir(parents=True)
    write("sub/deep/p.json", TYPO)
    for variable, folder in (("GITHUB_WORKSPACE", "."), ("CI_PROJECT_DIR", "sub"), (None, "sub")):
        monkeypatch.chdir(top / "sub" / "deep")
        for name in ("GITHUB_WORKSPACE", "CI_PROJECT_DIR"):
            monkeypatch.delenv(name, raising=False)
        if variable is None:
            (top / "sub" / ".git").mkdir()
        else:
            monkeypatch.setenv(variable, str(top / folder))
        expected = (Path("sub/deep/p.json") if folder == "." else Path("deep/p.json")).as_posix()
        for style in ("github", "sarif", "gitlab"):
            answer = run("params", "validate", "p.json", "--checkpoint", "../../net.h5", "--format", style)
            assert expected in answer.out
            assert answer.out.count("sub/deep/p.json") == (answer.out.count(expected) if folder == "." else 0)


def test_a_baseline_on_the_command_line(run: Run) -> None:
    path = write("p.json", TYPO)
    arguments = ("params", "validate", path, "--checkpoint", "net.h5")
    assert run(*arguments, "--write-baseline", "base.json").status == 0
    answer = run(*arguments, "--baseline", "base.json")
    assert (answer.status, answer.out.splitlines()[-1]) == (0, "1 file checked, no findings (1 ignored)")


def test_a_baseline_says_what_it_cannot_list(run: Run) -> None:
    """A file that could not be read has not been checked."""
    files = (write("p.json", TYPO), write("broken.json", "{"), "missing.json")
    answer = run("params", "validate", *files, "--checkpoint", "net.h5", "--write-baseline", "base.json")
    assert answer.status == 3
    assert "broken.json" in answer.err
    assert "missing.json" in answer.err
    assert "inpt" not in answer.err
    assert "inpt" in Path("base.json").read_text()


THREE = {"populations": {f"p{i}": {} for i in range(3)}}


def test_a_baseline_lists_more_than_a_report_does(run: Run) -> None:
    arguments = ("params", "validate", write("p.json", THREE), "--checkpoint", "net.h5", "--limit", "2")
    assert run(*arguments, "--write-baseline", "base.json").status == 0
    assert run(*arguments, "--baseline", "base.json").status == 0


def test_a_baseline_that_cannot_list_everything_is_no_success(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ann_ckpt.cli.params.validate.MOST_PROBLEMS", 2)
    arguments = ("params", "validate", write("p.json", THREE), "--checkpoint", "net.h5")
    answer = run(*arguments, "--write-baseline", "base.json")
    assert answer.status == 1
    assert "p.json: and 1 more findings, over the limit" in answer.err


@pytest.mark.parametrize(
    "options",
    [
        ["--write-baseline", "b.json", "--report", "json=r.json"],
        ["--write-baseline", "b.json", "--format", "json"],
        ["--write-baseline", "b.json", "-o", "r.txt"],
        ["--config", "ann-ckpt.toml", "--no-config"],
    ],
)
def test_options_that_would_be_passed_over_are_refused(run: Run, options: list[str]) -> None:
    write("ann-ckpt.toml", "")
    assert run("params", "validate", write("p.json", GOOD), *options).status == 2
    assert not any(Path(name).exists() for name in ("b.json", "r.json", "r.txt"))


@pytest.mark.parametrize("name", ["my net", "a%41", "n\u00e9t", "a#b?c"])
@pytest.mark.parametrize("options", [[], ["--yaml"]])
def test_the_schema_of_any_name_is_found(run: Run, name: str, options: list[str]) -> None:
    run("params", "init", "net.h5", "--name", name, *options)
    for asked in ([f"{name}{'.yaml' if options else '.json'}"], ["--follow-schemas", f"{name}.schema.json"]):
        answer = run("params", "validate", *asked)
        assert answer.out.splitlines()[-1] == "1 file checked, no findings"
        assert "schema.json" in answer.out


def test_a_schema_under_an_impossible_name_stops_no_search(run: Run) -> None:
    run("params", "init", "net.h5")
    write("other.json", {"$schema": "a%00.schema.json"})
    answer = run("params", "validate", "--follow-schemas", "params.schema.json")
    assert (answer.status, answer.out.splitlines()[-1]) == (0, "1 file checked, no findings")


def test_a_part_that_a_file_lacks_is_a_finding_of_that_file(run: Run) -> None:
    good = write("a.json", {"m": {"p": GOOD}})
    lacks = write("b.json", '{"m": {\n  "q": {"populations": {}}}}')
    wrong = write("c.json", {"m": {"p": TYPO}})
    other = write("d.yaml", "m: [1]\n")
    answer = run("params", "validate", good, lacks, wrong, other, "--at", "m.p", "--checkpoint", "net.h5")
    assert answer.status == 1
    lines = [line for line in answer.out.splitlines() if "error[" in line]
    assert lines[0] == "b.json:1:2: error[P011] the file has no object 'm.p'; there is 'm.q'"
    assert lines[1].startswith("c.json:1:30: error[P102] unknown population 'inpt'")
    assert lines[2] == "d.yaml:1:1: error[P011] the file has no object 'm.p'; there is 'm'"
    assert "a.json: checked against net.h5" in answer.out


def test_a_closed_standard_input_is_a_finding_beside_others(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", None)
    answer = run("params", "validate", "-", write("p.json", TYPO), "--checkpoint", "net.h5")
    assert answer.status == 3
    assert "<stdin>:1:1: error[P601] standard input is closed" in answer.out
    assert "error[P102]" in answer.out
    answer = run("params", "apply", "-", "--checkpoint", "net.h5", "-o", "new.h5")
    assert (answer.status, "standard input is closed" in answer.err) == (3, True)


def test_standard_input_may_lack_a_part(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", Pipe(b"{}"))
    answer = run("params", "validate", "-", "--at", "m.p", "--checkpoint", "net.h5")
    assert answer.status == 1
    assert "<stdin>:1:1: error[P011] the file has no object 'm.p'; there is nothing" in answer.out


def test_an_error_is_never_what_the_limit_cuts(run: Run) -> None:
    """Nor do findings that a project passes over keep one out."""
    warnings = "".join(f"  k{n}: yes\n" for n in range(3))
    path = write("p.yaml", f"network:\n{warnings}populations:\n  inpt: {{tau: 1}}\n")
    limited = ("params", "validate", path, "--checkpoint", "net.h5", "--limit", "1")
    answer = run(*limited)
    assert answer.status == 1
    assert "inpt" in answer.out
    write("ann-ckpt.toml", 'ignore = ["P402"]\n')
    answer = run(*limited)
    assert answer.status == 1
    assert "inpt" in answer.out
    assert "over the limit" not in answer.out


def test_apply_refuses_what_was_not_looked_at_to_the_end(run: Run) -> None:
    many = "".join(f"  k{n}: yes\n" for n in range(1001))
    path = write("p.yaml", f"network:\n{many}populations:\n  inp: {{tau: 5}}\n")
    assert run("params", "apply", path, "--checkpoint", "net.h5", "-o", "new.h5").status == 1
    assert not Path("new.h5").exists()


def test_settings_that_name_no_files_ask_for_none_to_be_checked(run: Run) -> None:
    write("p.json", TYPO)
    write("ann-ckpt.toml", 'checkpoint = "net.h5"\n')
    answer = run("params", "validate")
    assert answer.status == 2
    assert "name the files to check" in answer.err
    assert run("params", "validate", "p.json").status == 1
    write("ann-ckpt.toml", 'files = ["./p*.json"]\ncheckpoint = "net.h5"\n')
    assert run("params", "validate").status == 1
    assert run("params", "validate", "p.json").status == 1


@pytest.mark.parametrize(
    "text", ['severity = {P402 = ["off"]}', "severity = {P402 = {a = 1}}", 'ignore = [["P402"]]']
)
def test_settings_of_the_wrong_type_are_refused_in_words(run: Run, text: str) -> None:
    write("ann-ckpt.toml", text)
    answer = run("params", "validate", write("p.json", GOOD))
    assert answer.status == 2
    assert "P402" in answer.err


def test_an_address_that_is_none_is_no_schema(run: Run) -> None:
    answer = run("params", "validate", write("p.json", {"$schema": "http://[x"}), write("q.json", TYPO))
    assert "P501" in answer.out
    assert "q.json" in answer.out


def test_a_bound_beyond_any_float_is_no_number(run: Run) -> None:
    schema = write("s.json", '{"properties": {"a": {"minimum": 1' + "0" * 400 + "}}}")
    answer = run("params", "validate", write("p.json", GOOD), "--schema", schema)
    assert answer.status == 4
    assert "a number" in answer.out + answer.err


def test_settings_name_the_files(run: Run) -> None:
    write("p.json", TYPO)
    assert run("params", "validate").status == 2
    write("ann-ckpt.toml", 'files = ["p*.json"]\ncheckpoint = "net.h5"\n')
    answer = run("params", "validate")
    assert answer.status == 1
    assert "p.json: checked against net.h5" in answer.out
    assert run("params", "validate", "p.json", "--no-config").status == 0
    write("ann-ckpt.toml", "x = 1")
    assert run("params", "validate", "p.json").status == 2
