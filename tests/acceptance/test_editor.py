"""What other readers make of our schemas: the language service of VS Code, and ajv in its strict mode."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ann_ckpt.params import load, schema_for
from ann_ckpt.params.schema.engine import Engine
from ann_ckpt.params.schema.generate import dump_json
from ann_ckpt.params.schema.schema import Schema
from tests.unit.params.networks import network

HERE = Path(__file__).parents[1] / "editor"

Ask = Callable[[str], dict[str, Any]]


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The language service, installed as the lock file has it."""
    folder = tmp_path_factory.mktemp("editor")
    for name in ("package.json", "package-lock.json", "ask.mjs", "strict.mjs"):
        shutil.copy(HERE / name, folder)
    npm = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--no-update-notifier"]
    done = subprocess.run(npm, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder / "ask.mjs"


@pytest.fixture(params=["2020-12", "7"])
def ask(request: pytest.FixtureRequest, service: Path, tmp_path: Path) -> Ask:
    """Ask about a document in a folder with the schema of the test network, in either draft."""
    (tmp_path / "net.schema.json").write_text(dump_json(schema_for(network(), draft=request.param)))

    def call(text: str) -> dict[str, Any]:
        question = json.dumps({"folder": str(tmp_path), "text": text})
        done = subprocess.run(
            ["node", str(service)],
            input=question,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        answer: dict[str, Any] = json.loads(done.stdout)
        return answer

    return call


def document(populations: str) -> str:
    return f'{{\n  "$schema": "./net.schema.json",\n  "populations": {populations}\n}}'


def test_sections_are_completed(ask: Ask) -> None:
    answer = ask('{\n  "$schema": "./net.schema.json",\n  |\n}')
    assert {"populations", "projections", "network", "constants", "format_version"} <= set(answer["labels"])


def test_populations_are_completed(ask: Ask) -> None:
    assert set(ask(document("{|}"))["labels"]) == {"inp", "out", "grid"}


def test_parameters_are_completed_with_their_current_values(ask: Ask) -> None:
    answer = ask(document('{"inp": {|}}'))
    assert set(answer["labels"]) == {"tau", "nb", "on", "noise"}
    offered = dict(zip(answer["labels"], answer["inserts"], strict=True))
    assert offered["tau"] == '"tau": ${1:10}'
    assert offered["nb"] == '"nb": ${1:3}'
    assert offered["on"] == '"on": ${1:true}'


def test_what_is_there_already_is_not_offered_again(ask: Ask) -> None:
    assert set(ask(document('{"inp": {"tau": 1, |}}'))["labels"]) == {"nb", "on", "noise"}


def test_hovering_shows_the_description_and_unit(ask: Ask) -> None:
    assert "Time constant [ms]" in ask(document('{"inp": {"ta|u": 1}}'))["hover"].replace("\\", "")


@pytest.mark.parametrize(
    ("populations", "marked"),
    [
        ('{"inpt": {}}', '"inpt"'),
        ('{"inp": {"tua": 1}}', '"tua"'),
        ('{"inp": {"nb": "1e3"}}', '"1e3"'),
        ('{"inp": {"tau": -1}}', "-1"),
        ('{"inp": {"nb": 1.5}}', "1.5"),
        ('{"inp": {"noise": [1, 1]}}', "[1, 1]"),
        ('{"grid": {"noise": [[1, 2, 3], [4, 5]]}}', "[4, 5]"),
    ],
)
def test_a_mistake_is_marked(ask: Ask, populations: str, marked: str) -> None:
    text = document(populations)
    (problem,) = ask(text)["problems"]
    line = text.splitlines()[problem["start"]["line"]]
    found = line[problem["start"]["character"] : problem["end"]["character"]]
    assert found == marked


def test_a_valid_file_is_not_marked(ask: Ask) -> None:
    text = document(
        '{"inp": {"tau": 1, "noise": [0, 0, 0, 0]}, "grid": {"noise": [[1, 2, 3], [4, 5, 6]]}, "out": {}}'
    )
    assert ask(text)["problems"] == []


def test_the_general_schema_completes_sections(ask: Ask, tmp_path: Path) -> None:
    published = Path(__file__).parents[2] / "schemas" / "params-1.schema.json"
    (tmp_path / "net.schema.json").write_text(published.read_text())
    assert "populations" in ask('{\n  "$schema": "./net.schema.json",\n  |\n}')["labels"]
    assert ask(document('{"anything": {"a": [1, 2]}}'))["problems"] == []


def test_ajv_in_its_strict_mode_takes_every_schema_and_agrees(service: Path) -> None:
    top = Path(__file__).parents[2]
    examples = top / "examples" / "parameters"
    files = [load(p) for p in sorted(examples.rglob("*.*")) if p.suffix in {".json", ".yaml", ".xml"}]
    documents = [f.document.value for f in files if f.document is not None]
    documents += [{"populations": {"inp": {"tau": tau}}} for tau in (1, -1, "1 ms", "x", [1])]
    documents += [{"populations": {"grid": {"noise": [[0] * n] * 2}}} for n in (2, 3)]
    published = [*(top / "schemas").iterdir(), *examples.glob("*.schema.json")]
    schemas = [json.loads(path.read_text()) for path in published]
    schemas += [schema_for(network(), draft=draft) for draft in ("2020-12", "7")]
    done = subprocess.run(
        ["node", str(service.with_name("strict.mjs"))],
        input=json.dumps([{"schema": schema, "documents": documents} for schema in schemas]),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    answers = json.loads(done.stdout)
    assert [answer["fault"] for answer in answers] == [""] * len(schemas)
    for schema, answer in zip(schemas, answers, strict=True):
        engine = Engine(Schema.trusted(schema), "jsonschema")
        assert answer["fits"] == [not list(engine.failures(document)) for document in documents]
    assert {fits for answer in answers for fits in answer["fits"]} == {True, False}
