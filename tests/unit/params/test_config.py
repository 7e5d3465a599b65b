"""Settings of a project: where they are found, what they mean, and what they may not do."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import ann_ckpt
from ann_ckpt.errors import OptionError
from ann_ckpt.params import Severity, schema_for
from ann_ckpt.params.api import schema_of
from ann_ckpt.params.config import Config, dump_baseline, find_config, load_baseline, load_config
from ann_ckpt.params.run import Checkers, expanded
from tests.unit.params.networks import network

TYPO = {"populations": {"inpt": {"tau": 1.0}}}


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def write(path: str, content: Any) -> str:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def settings(text: str) -> Config:
    return load_config(write("ann-ckpt.toml", text))


def rules(path: str, config: Config, **options: Any) -> list[tuple[str, Severity]]:
    return [(f.rule, f.severity) for f in Checkers(config=config, **options).check_path(path).findings]


def test_settings_are_found_here_or_above_up_to_the_repository() -> None:
    Path("a/b").mkdir(parents=True)
    assert find_config("a/b") is None
    write("pyproject.toml", "[tool.other]\nx = 1\n")
    assert find_config("a/b") is None
    write("pyproject.toml", "[tool.ann-ckpt]\nstrict = true\n")
    found = find_config("a/b")
    assert found == Path.cwd() / "pyproject.toml"
    assert load_config(found).strict
    write("a/ann-ckpt.toml", "")
    assert find_config("a/b") == Path.cwd() / "a/ann-ckpt.toml"
    Path("a/b/.git").mkdir()
    assert find_config("a/b") is None


@pytest.mark.parametrize("text", ["[[tool.ann-ckpt]]\nstrict = true\n", "[tool]\nann-ckpt = 3\n"])
def test_settings_that_are_not_one_table_are_not_passed_over(text: str) -> None:
    write("pyproject.toml", text)
    with pytest.raises(OptionError, match=r"tool\.ann-ckpt is not one table"):
        find_config()


def test_somebody_elses_broken_file_is_not_ours() -> None:
    write("pyproject.toml", "[tool\n")
    assert find_config() is None
    write("pyproject.toml", "[tool.ann-ckpt]\nx = [\n")
    with pytest.raises(OptionError, match="not well formed"):
        find_config()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("strickt = true", "unknown key 'strickt' (did you mean 'strict'?)"),
        ("strict = 1", "strict is 1"),
        ('files = "a.json"', "files is a.json"),
        ("files = [1]", "files is not a list of globs"),
        ('ignore = ["P999"]', "there is no rule 'P999'"),
        ('ignore = ["P001"]', "P001 is always an error"),
        ('severity = {P501 = "warning"}', "P501 is always an error"),
        ('severity = {P402 = "loud"}', "the severity of P402 is 'loud'"),
        ("severity = {P402 = 1}", "the severity of P402 is '1'"),
        ('rules = ["tau >"]', "the rule 'tau >' cannot be read"),
        ("rules = [1]", "the rule 1 is neither an expression nor a table"),
        ('schema = "a"\ncheckpoint = "b"', "a set has both a schema and a checkpoint"),
        ("sets = [1]", "an entry of sets is not a table"),
        ('[[sets]]\nschema = "a"', "files is not a list of globs"),
        ('model = "m.py:build"', "unknown key 'model'"),
        ("x", "the configuration is not well formed"),
    ],
)
def test_what_is_not_known_is_refused_by_name(text: str, message: str) -> None:
    with pytest.raises(OptionError) as caught:
        settings(text)
    assert caught.value.fact.startswith(message)
    assert "ann-ckpt.toml" in str(caught.value)


def test_files_and_what_they_have_to_fit() -> None:
    write("conf/net.schema.json", schema_for(network()))
    ann_ckpt.write(network(), "net.h5")
    config = settings(
        'files = ["conf/*.json"]\nschema = "conf/net.schema.json"\n'
        '[[sets]]\nfiles = ["other/**/*.json"]\ncheckpoint = "net.h5"\n'
    )
    for path, schema in (
        ("conf/a.json", "conf/net.schema.json"),
        ("other/x/y.json", "net.h5"),
        ("z.json", "the general form only"),
    ):
        checked = Checkers(config=config).check_path(write(path, TYPO))
        assert checked.schema == schema
        assert [f.rule for f in checked.findings] == [("P404" if path == "z.json" else "P102")]
    assert config.files == ["other/**/*.json", "conf/*.json"]
    config = settings('files = ["a.json"]\nschema = "gone.schema.json"\n')
    assert rules(write("a.json", TYPO), config) == [("P501", Severity.ERROR)]


@pytest.mark.parametrize(
    ("path", "there"),
    [
        ("a/p.json", True),
        ("a/b/p.json", True),
        ("a/b/c/p.json", True),
        ("a/my_p.json", False),
        ("a/b/my_p.json", False),
        ("ab/p.json", False),
    ],
)
def test_two_stars_stand_for_folders_only(path: str, there: bool) -> None:
    config = settings('files = ["a/**/p.json"]')
    assert (config.set_for(path) is not None) == there
    write(path, {})
    assert (path in expanded(config.files)) == there


def test_severities_and_strict() -> None:
    path = write("a.json", {**TYPO, "$schema": "./net.schema.json", "constants": {"K": 2**53 + 1}})
    write("net.schema.json", schema_for(network()))
    error, warning = Severity.ERROR, Severity.WARNING
    assert rules(path, Config()) == [("P102", error), ("P401", warning)]
    assert rules(path, settings("strict = true")) == [("P102", error), ("P401", error)]
    assert rules(path, settings('severity = {unknown-population = "warning"}')) == [
        ("P102", warning),
        ("P401", warning),
    ]
    checked = Checkers(config=settings('ignore = ["P102", "inexact"]')).check_path(path)
    assert (checked.findings, checked.suppressed, checked.exit_status) == ((), 2, 0)
    assert rules(write("b.json", TYPO), settings("require-schema = true")) == [("P404", error)]


def test_rules_of_the_project() -> None:
    write("net.schema.json", schema_for(network()))
    path = write("a.json", {"$schema": "./net.schema.json", "populations": {"inp": {"tau": 1.0}}})
    assert rules(path, settings('rules = ["tau > nb"]')) == [("P208", Severity.ERROR)]


def test_comments_in_yaml() -> None:
    write("net.schema.json", schema_for(network()))
    lines = [
        "# yaml-language-server: $schema=./net.schema.json",
        "populations:",
        "  inp:",
        "    tua: 1",
        "    tau: -1",
    ]

    def found(*changed: str) -> list[str]:
        return [r for r, _ in rules(write("a.yaml", "\n".join(changed) + "\n"), Config())]

    assert found(*lines) == ["P104", "P204"]
    assert found(*lines[:3], lines[3] + "  # ann-ckpt: ignore", lines[4]) == ["P204"]
    assert found(*lines[:4], lines[4] + "  # ann-ckpt: ignore[P104, bounds]") == ["P104"]
    assert found(*lines[:4], lines[4] + "  # ann-ckpt: ignore[P104]") == ["P104", "P204"]
    assert found("# ann-ckpt: ignore-file[P204]", *lines) == ["P104"]
    assert found("# ann-ckpt: ignore-file", *lines, "  : : [") == ["P001"]


def test_a_key_in_json() -> None:
    write("net.schema.json", schema_for(network()))
    data = {
        "$schema": "./net.schema.json",
        "populations": {"inp": {"tua": 1, "tau": -1}},
        "constants": {"x": 1},
    }

    def found(ignored: Any) -> list[str]:
        return [r for r, _ in rules(write("a.json", {**data, "$ignore": ignored}), Config())]

    assert found([]) == ["P104", "P204", "P105"]
    assert found(["P105", "P104"]) == ["P204"]
    assert found({"/populations/inp": ["*"]}) == ["P105"]
    assert found({"/populations/inp/tau": ["bounds"], "/populations/in": ["P104"]}) == ["P104", "P105"]
    assert "P201" in found(7)
    old = schema_for(network())
    del old["properties"]["$ignore"]
    write("net.schema.json", old)
    assert found(["P105", "P104"]) == ["P204"]


@pytest.mark.parametrize(
    ("top", "inner", "left"),
    [
        (None, None, ["P104", "P204"]),
        (["P104"], None, ["P204"]),
        (None, ["P104"], ["P204"]),
        (["P104"], ["P204"], []),
        (None, {"/populations/inp/tau": ["*"]}, ["P104"]),
        (None, {"/m/p/populations/inp/tau": ["*"]}, ["P104"]),
        ({"/m/p/populations/inp/tau": ["*"]}, None, ["P104"]),
        ({"/populations/inp/tau": ["*"]}, None, ["P104", "P204"]),
        ({"/m/p": ["P104"]}, {"": ["P204"]}, []),
    ],
)
def test_a_part_of_a_file_and_its_top_may_say_what_is_left_out(top: Any, inner: Any, left: list[str]) -> None:
    part = {"populations": {"inp": {"tua": 1, "tau": -1}}}
    data = {
        **({} if top is None else {"$ignore": top}),
        "m": {"p": part if inner is None else {"$ignore": inner, **part}},
    }
    checkers = Checkers(schema_of(network()))
    assert [f.rule for f in checkers.check_path(write("a.json", data), at="m.p").findings] == left


def test_a_baseline_leaves_out_what_was_there() -> None:
    write("net.schema.json", schema_for(network()))
    path = write("a.json", {"$schema": "./net.schema.json", **TYPO})
    write("base.json", dump_baseline([Checkers().check_path(path)]))
    known = load_baseline("base.json")
    assert rules(path, Config(), baseline=known) == []
    write(path, {"$schema": "./net.schema.json", "constants": {"x": 1}, **TYPO})
    assert [r for r, _ in rules(path, Config(), baseline=known)] == ["P105"]
    for text in ("", "[]", '{"findings": 1}', '{"findings": [1]}', "[" * 100_000):
        with pytest.raises(OptionError, match="not a baseline"):
            load_baseline(write("broken.json", text))
