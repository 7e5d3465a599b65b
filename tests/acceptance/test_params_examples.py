"""The example folder: the schema is fresh, the valid files are valid, each wrong file is wrong in its way."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest

from ann_ckpt.params import RULES, load, schema_for, validate
from ann_ckpt.params.run import Checkers
from ann_ckpt.params.schema.generate import dump_json

EXAMPLES = Path(__file__).parents[2] / "examples" / "parameters"
WRONG = sorted((EXAMPLES / "wrong").iterdir())
NO_FILE = {"P005", "P017", "P502", "P601"}
"""Rules about files that are too large for a repository, are checkpoints, or are not there."""


def module() -> ModuleType:
    spec = importlib.util.spec_from_file_location("example_network", EXAMPLES / "network.py")
    assert spec is not None
    assert spec.loader is not None
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    return made


def test_the_schema_is_that_of_the_network() -> None:
    assert (EXAMPLES / "network.schema.json").read_text() == dump_json(schema_for(module().network()))


@pytest.mark.parametrize("name", ["baseline.json", "baseline.yaml"])
def test_a_valid_file_is_valid(name: str) -> None:
    assert Checkers().check_path(str(EXAMPLES / name)).findings == ()
    assert validate(EXAMPLES / name, module().network()) == []


def test_both_notations_say_the_same() -> None:
    json, yaml = load(EXAMPLES / "baseline.json"), load(EXAMPLES / "baseline.yaml")
    assert json.data == yaml.data


@pytest.mark.parametrize("path", WRONG, ids=lambda p: p.name)
def test_a_wrong_file_is_wrong_in_its_way(path: Path) -> None:
    checked = Checkers(global_only=path.stem == "P301").check_path(str(path))
    assert {f.rule for f in checked.findings} == {path.stem}
    if path.stem == "P301":
        assert Checkers().check_path(str(path)).findings == ()


def test_every_rule_has_a_file() -> None:
    assert {path.stem for path in WRONG} == RULES.keys() - NO_FILE


def test_every_rule_is_explained() -> None:
    text = (EXAMPLES.parents[1] / "docs" / "parameters.md").read_text()
    explained = dict(re.findall(r"^\| `(P\d{3})` \| ([a-z-]+) \|", text, re.MULTILINE))
    assert explained == {rule.id: rule.name for rule in RULES.values()}
