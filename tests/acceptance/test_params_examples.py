"""The example folder: the schema is fresh, the valid files are valid, each wrong file is wrong in its way."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
import yaml

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
    one, other = load(EXAMPLES / "baseline.json"), load(EXAMPLES / "baseline.yaml")
    assert one.data == other.data


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


# --- settings, CI and hydra ---


def run_in(folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    """Run a command of the examples with this environment's programs and this tree."""
    paths = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    environment = os.environ | {"PATH": paths, "PYTHONPATH": str(EXAMPLES.parents[1])}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    return Path(shutil.copytree(EXAMPLES, tmp_path / "parameters"))


def test_what_a_ci_runs_passes_and_notices(copied: Path) -> None:
    done = run_in(copied, "ci/check.sh")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "network.schema.json is up to date" in done.stdout
    path = copied / "baseline.yaml"
    path.write_text(path.read_text().replace("tau: ", "tau: 1", 1))
    done = run_in(copied, "ci/check.sh")
    assert done.returncode == 1
    assert "error[P208] the input is not slower than the output" in done.stdout
    model = copied / "network.py"
    model.write_text(model.read_text().replace('"refractory"', '"refractori"'))
    assert "is stale" in run_in(copied, "ci/check.sh").stdout


def test_the_job_for_gitlab_is_the_one_of_the_documentation(copied: Path) -> None:
    job = yaml.safe_load((EXAMPLES / "ci" / "gitlab-ci.yml").read_text())["parameters"]
    done = run_in(copied, "bash", "-c", job["script"][-1])
    assert done.returncode == 0, done.stderr
    assert json.loads((copied / job["artifacts"]["reports"]["codequality"]).read_text()) == []


def test_hydra_composes_and_the_result_is_checked(copied: Path, tmp_path: Path) -> None:
    folder, out = copied / "hydra", f"hydra.run.dir={tmp_path}/out"

    def run(*overrides: str) -> subprocess.CompletedProcess[str]:
        return run_in(folder, sys.executable, "run.py", *overrides)

    assert run(out).stdout == "seed 7, tau 10.0 ms\n"
    assert run(out, "scenario=fast").stdout == "seed 7, tau 4.0 ms\n"
    done = run(out, "parameters.populations.input.tau=-1")
    assert done.returncode == 1
    assert "<object>:/populations/input/tau: error[P204] -1 is below the minimum 0.1 ms" in done.stderr
    swept = run(
        "--multirun", f"hydra.sweep.dir={tmp_path}/sweep", "parameters.populations.input.tau=5.0,20 ms"
    )
    assert "seed 7, tau 5.0 ms" in swept.stdout
    assert "seed 7, tau 20.0 ms" in swept.stdout
    check = ("ann-ckpt", "params", "validate", "--at", "parameters", "--schema", "../network.schema.json")
    done = run_in(folder, *check, f"{tmp_path}/sweep/**/.hydra/config.yaml")
    assert done.stdout.endswith("2 files checked, no findings\n")
    job = tmp_path / "job.yaml"
    job.write_text(run("--cfg", "job", "parameters.populations.input.tau=true").stdout)
    done = run_in(folder, *check, str(job))
    assert done.returncode == 1
    assert "error[P201] expected a number, found true" in done.stdout
