"""What others copy into their CI: the pre-commit hooks and the GitHub action, run for real."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

import ann_ckpt
from ann_ckpt.params import schema_for
from ann_ckpt.params.schema.generate import dump_json
from tests.acceptance.conftest import Run
from tests.unit.params.networks import network

ROOT = Path(__file__).parents[2]
GOOD = '{"$schema": "./net.schema.json", "populations": {"inp": {"tau": 2.0}}}\n'
TYPO = GOOD.replace("tau", "tua")


@pytest.fixture
def _network(tmp_path: Path) -> None:
    ann_ckpt.write(network(), tmp_path / "net.h5")
    (tmp_path / "net.schema.json").write_text(dump_json(schema_for(network())))


# --- pre-commit ---


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """Of a machine that knows nobody and reaches no network, with ``ann-ckpt`` in its PATH."""
    paths = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    unreachable = "http://127.0.0.1:9"
    return {
        "PATH": paths,
        "PYTHONPATH": str(ROOT),
        "HOME": str(tmp_path),
        "PRE_COMMIT_HOME": str(tmp_path / "pre-commit"),
        "PIP_INDEX_URL": unreachable,
        "https_proxy": unreachable,
        "http_proxy": unreachable,
        "GIT_CONFIG_COUNT": "3",
        "GIT_CONFIG_KEY_0": "user.name",
        "GIT_CONFIG_VALUE_0": "somebody",
        "GIT_CONFIG_KEY_1": "user.email",
        "GIT_CONFIG_VALUE_1": "somebody@example.org",
        "GIT_CONFIG_KEY_2": "init.defaultBranch",
        "GIT_CONFIG_VALUE_2": "main",
    }


class Repository:
    """A git repository in a folder."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        folder.mkdir(exist_ok=True)
        self.folder, self.environment = folder, environment
        self.git("init", "--quiet")

    def git(self, *arguments: str) -> str:
        return self.run("git", *arguments, check=True).stdout.strip()

    def run(self, *command: str, check: bool = False) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command, cwd=self.folder, env=self.environment, capture_output=True, text=True, check=check
        )

    def commit(self) -> str:
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", "x")
        return self.git("rev-parse", "HEAD")


@pytest.fixture
def repository(tmp_path: Path, environment: dict[str, str], _network: None) -> Repository:
    """A group's repository: a network, its schema, and a configuration with both hooks.

    The hooks come out of a repository too, as they do for everybody; that they run in this
    environment, instead of one that pre-commit installs, is the only thing changed.
    """
    hooks = Repository(tmp_path / "hooks", environment)
    shutil.copy(ROOT / ".pre-commit-hooks.yaml", hooks.folder)
    used = {
        "repo": str(hooks.folder),
        "rev": hooks.commit(),
        "hooks": [
            {"id": "ann-params-validate", "language": "system", "additional_dependencies": []},
            {
                "id": "ann-params-schema-fresh",
                "language": "system",
                "args": ["--checkpoint", "net.h5", "-o", "net.schema.json"],
            },
        ],
    }
    made = Repository(tmp_path / "group", environment)
    for name in ("net.h5", "net.schema.json"):
        shutil.copy(tmp_path / name, made.folder)
    (made.folder / ".pre-commit-config.yaml").write_text(yaml.safe_dump({"repos": [used]}))
    (made.folder / "params.json").write_text(GOOD)
    made.commit()
    return made


def run_hooks(repository: Repository) -> tuple[int, str]:
    repository.git("add", "--all")
    done = repository.run(sys.executable, "-m", "pre_commit", "run", "--all-files", "--color", "never")
    return done.returncode, done.stdout + done.stderr


def test_hooks_pass_where_all_is_well(repository: Repository) -> None:
    status, said = run_hooks(repository)
    assert status == 0, said
    assert said.count("Passed") == 2


def test_a_typo_stops_the_commit(repository: Repository) -> None:
    for name in ("params.json", "params-fast.yaml"):
        (repository.folder / name).write_text(TYPO)
    status, said = run_hooks(repository)
    assert status == 1
    for name in ("params.json", "params-fast.yaml"):
        assert f"{name}:1:58: error[P104] population 'inp' has no parameter 'tua'" in said
    assert said.count("Passed") == 1


def test_a_stale_schema_stops_the_commit(repository: Repository) -> None:
    schema = repository.folder / "net.schema.json"
    schema.write_text(schema.read_text().replace('"default":10.0', '"default":11.0'))
    assert run_hooks(repository)[0] == 0  # a value is no part of what the schema asks
    schema.write_text(schema.read_text().replace('"integer"', '"number"'))
    status, said = run_hooks(repository)
    assert status == 1
    assert "net.schema.json is stale" in said
    assert said.count("Passed") == 1


def test_a_schema_that_changed_is_followed_to_the_files_that_name_it(repository: Repository) -> None:
    (repository.folder / "deep" / "er").mkdir(parents=True)
    (repository.folder / "deep/er/fast.yaml").write_text(GOOD.replace("./net", "../../net"))
    repository.commit()
    schema = repository.folder / "net.schema.json"
    schema.write_text(schema.read_text().replace('"tau"', '"tav"'))
    repository.git("add", "--all")
    done = repository.run(sys.executable, "-m", "pre_commit", "run", "--color", "never")
    assert done.returncode == 1
    for name in ("params.json", "deep/er/fast.yaml"):
        assert f"{name}:1:" in done.stdout
        assert "has no parameter 'tau' (did you mean 'tav'?)" in done.stdout


def test_other_files_are_none_of_our_business(repository: Repository) -> None:
    for name in ("package.json", "params.schema.json", "my-params.txt", "settings.yaml"):
        (repository.folder / name).write_text("{")
    assert run_hooks(repository)[0] == 0


def test_hooks_as_others_get_them_install_the_package() -> None:
    hooks = {h["id"]: h for h in yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())}
    assert hooks.keys() == {"ann-params-validate", "ann-params-schema-fresh"}
    assert {h["language"] for h in hooks.values()} == {"python"}


# --- the GitHub action ---


def action() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((ROOT / "action.yml").read_text())
    return loaded


@pytest.fixture
def check(tmp_path: Path, _network: None) -> Any:
    """Run the action's step ``Check`` as the runner would, with some inputs."""
    runner = tmp_path / "runner" / "ann-ckpt" / "bin"
    runner.mkdir(parents=True)
    script = f"#!/bin/sh\nexec {sys.executable} -c 'from ann_ckpt.cli import main; main()' \"$@\"\n"
    (runner / "ann-ckpt").write_text(script)
    (runner / "ann-ckpt").chmod(0o755)
    described = action()
    (step,) = [s for s in described["runs"]["steps"] if s["name"] == "Check"]
    assert step["shell"] == "bash"

    def call(**inputs: str) -> subprocess.CompletedProcess[str]:
        values = {k: v.get("default", "") for k, v in described["inputs"].items()}
        values |= {name.replace("_", "-"): value for name, value in inputs.items()}
        variables = {}
        for name, expression in step["env"].items():
            variables[name] = values[expression.removeprefix("${{ inputs.").removesuffix(" }}")]
        environment = (
            os.environ | variables | {"RUNNER_TEMP": str(tmp_path / "runner"), "PYTHONPATH": str(ROOT)}
        )
        command = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]]
        return subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )

    return call


def test_the_action_annotates(check: Any, tmp_path: Path) -> None:
    (tmp_path / "params.json").write_text(TYPO)
    (tmp_path / "params b.json").write_text(GOOD)
    done = check(files="params.json\nnone*.json", sarif="found.sarif")
    assert done.returncode == 3, done.stderr
    first, second, schema = sorted(done.stdout.splitlines(), key=lambda line: not line.startswith("::"))
    assert schema == "params.json: checked against net.schema.json"
    assert first.startswith(
        "::error file=params.json,line=1,endLine=1,col=58,endColumn=63,title=ann-ckpt P104::"
    )
    assert second.startswith("::error file=none*.json,")
    assert len(json.loads((tmp_path / "found.sarif").read_text())["runs"][0]["results"]) == 2


def test_the_action_passes_options_on(check: Any, tmp_path: Path) -> None:
    (tmp_path / "params.json").write_text('{"populations": {"inp": {"noise": 0.5}}}')
    assert check(files="*.json", schema="net.schema.json").returncode == 0  # a glob leaves out schemas
    assert check(files="net.schema.json", schema="net.schema.json").returncode == 1
    assert check(files="params.json", require_schema="true").returncode == 1
    assert check(files="params.json", schema="net.schema.json").returncode == 0
    assert check(files="params.json", checkpoint="net.h5").returncode == 0
    assert check(files="params.json", checkpoint="net.h5", global_only="true").returncode == 1


@pytest.mark.parametrize("name", ["files", "schema", "checkpoint", "sarif"])
def test_the_action_runs_nothing_that_an_input_says(check: Any, tmp_path: Path, name: str) -> None:
    (tmp_path / "params.json").write_text(GOOD)
    check(**{"files": "params.json", name: '$(touch hit) `touch hit`"; touch hit; "'})
    assert not (tmp_path / "hit").exists()
    assert "${{" not in "".join(step.get("run", "") for step in action()["runs"]["steps"])


# --- the page that it attaches ---


@pytest.fixture
def attach(tmp_path: Path, check: Any) -> Any:
    """Run the action's step ``Report`` as the runner would; return what was written, or None."""
    (step,) = [s for s in action()["runs"]["steps"] if s["name"] == "Report"]

    def call(source: str, compare: str = "") -> tuple[int, str]:
        runner = tmp_path / "runner"
        for name in ("output", "summary"):
            (runner / name).write_text("")
        values = {"${{ inputs.report }}": source, "${{ inputs.compare }}": compare}
        environment = os.environ | {name: values[given] for name, given in step["env"].items()}
        environment |= {"RUNNER_TEMP": str(runner), "PYTHONPATH": str(ROOT)}
        environment |= {
            "GITHUB_OUTPUT": str(runner / "output"),
            "GITHUB_STEP_SUMMARY": str(runner / "summary"),
        }
        command = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]]
        done = subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )
        said = (runner / "output").read_text()
        return done.returncode, said.removeprefix("page=").strip()

    return call


def test_the_action_writes_a_page(attach: Any, tmp_path: Path) -> None:
    status, page = attach("net.h5")
    assert status == 0
    assert "<title>net.h5" in Path(page).read_text()
    assert 'id="changes"' not in Path(page).read_text()
    shutil.copy(tmp_path / "net.h5", tmp_path / "-old net.h5")
    status, page = attach("net.h5", compare="-old net.h5")
    assert status == 0
    assert "Compared with -old net.h5" in Path(page).read_text()
    assert "ann-ckpt-report" in (tmp_path / "runner" / "summary").read_text()


@pytest.mark.parametrize("source", ["absent.h5", '$(touch hit)"; touch hit; "', "--follow"])
def test_no_page_of_what_is_no_network(attach: Any, tmp_path: Path, source: str) -> None:
    status, page = attach(source)
    assert status != 0
    assert page == ""
    assert not (tmp_path / "hit").exists()


def test_the_page_is_attached_where_one_was_made() -> None:
    steps = {step["name"]: step for step in action()["runs"]["steps"]}
    assert steps["Attach"]["uses"].startswith("actions/upload-artifact@")
    assert steps["Attach"]["with"]["path"] == "${{ steps.report.outputs.page }}"
    assert "inputs.report != ''" in steps["Report"]["if"]


def test_the_action_takes_names_with_blanks_and_empty_lists(check: Any, tmp_path: Path) -> None:
    (tmp_path / "my params").mkdir()
    (tmp_path / "my params" / "a b.json").write_text(TYPO.replace("./net", "../net"))
    (tmp_path / "p.json").write_text(TYPO)
    for files, status in (
        ("my params/a b.json", 1),
        ("my params/*.json", 1),
        ("  p.json none.json  ", 3),
        ("\n\nmy params/a b.json\np.json\n", 1),
    ):
        assert check(files=files).returncode == status
    for files in ("", " \n "):
        done = check(files=files)
        assert (done.returncode, done.stdout) == (
            0,
            "::notice::no parameter files were named, so none were checked\n",
        )
    (tmp_path / "ann-ckpt.toml").write_text('files = ["p.json"]\n')
    assert check().returncode == 1


# --- the recipes of docs/parameters.md, as they are written ---


def recipe(language: str, words: str) -> str:
    """The one block of docs/parameters.md in this language that has these words in it."""
    text = (ROOT / "docs" / "parameters.md").read_text()
    (found,) = [
        b for b in re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL) if words in b
    ]
    return str(found)


@pytest.fixture
def group(tmp_path: Path, environment: dict[str, str], _network: None) -> Repository:
    """A group's repository, begun as docs/parameters.md says, with ``pip`` that has installed already."""
    tools = tmp_path / "tools"
    tools.mkdir()
    (tools / "pip").write_text('#!/bin/sh\n[ "$1" = install ]\n')
    script = f"#!/bin/sh\nexec {sys.executable} -c 'from ann_ckpt.cli import main; main()' \"$@\"\n"
    (tools / "ann-ckpt").write_text(script)
    for tool in tools.iterdir():
        tool.chmod(0o755)
    environment = environment | {"PATH": f"{tools}{os.pathsep}{environment['PATH']}"}
    made = Repository(tmp_path / "group", environment)
    shutil.copy(tmp_path / "net.h5", made.folder)
    made.run("ann-ckpt", "params", "init", "net.h5", "--folder", "config", check=True)
    made.commit()
    return made


def mistake(group: Repository) -> None:
    path = group.folder / "config" / "params.json"
    path.write_text(path.read_text().replace('"tau"', '"tua"', 1))


PLACE = "config/params.json"


def test_the_recipe_for_pre_commit(group: Repository, tmp_path: Path, environment: dict[str, str]) -> None:
    hooks = Repository(tmp_path / "hooks", environment)
    shutil.copy(ROOT / ".pre-commit-hooks.yaml", hooks.folder)
    written = recipe("yaml", "ann-params-schema-fresh")
    filled = written.replace("<address of this repository>", str(hooks.folder)).replace(
        "<a release>", hooks.commit()
    )
    config = yaml.safe_load(filled)
    for hook in config["repos"][0]["hooks"]:  # not installed anew, which takes a network
        hook |= {"language": "system", "additional_dependencies": []}
    (group.folder / ".pre-commit-config.yaml").write_text(yaml.safe_dump(config))
    status, said = run_hooks(group)
    assert status == 0, said
    mistake(group)
    status, said = run_hooks(group)
    assert status == 1
    assert f"{PLACE}:6:13: error[P104]" in said


def test_the_recipe_for_github(group: Repository, tmp_path: Path) -> None:
    """The action's step runs with a runner's variables; what it installs is this tree, without a network."""
    (step,) = [
        s
        for s in yaml.safe_load(recipe("yaml", "upload-sarif"))["jobs"]["parameters"]["steps"]
        if "with" in s and "files" in s["with"]
    ]
    described = action()
    given = {k: v.get("default", "") for k, v in described["inputs"].items()}
    assert step["with"].keys() <= given.keys()
    given |= {k: str(v).lower() if isinstance(v, bool) else v for k, v in step["with"].items()}
    runner = {
        "GITHUB_ACTIONS": "true",
        "GITHUB_WORKSPACE": str(group.folder),
        "GITHUB_ACTION_PATH": str(ROOT),
        "GITHUB_ACTION_REPOSITORY": "someone/ann_ckpt",
        "GITHUB_ACTION_REF": "v1",
        "RUNNER_TEMP": str(tmp_path / "runner"),
    }

    def run() -> tuple[int, str]:
        for one in described["runs"]["steps"]:
            if one["name"] in ("Report", "Attach"):
                continue
            if one["name"] == "Install":
                folder = tmp_path / "runner" / "ann-ckpt" / "bin"
                folder.mkdir(parents=True, exist_ok=True)
                shutil.copy(tmp_path / "tools" / "ann-ckpt", folder)
                assert "$GITHUB_ACTION_PATH[" in one["run"]
                continue
            named = {
                k: given[v.removeprefix("${{ inputs.").removesuffix(" }}")] for k, v in one["env"].items()
            }
            command = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", one["run"]]
            done = subprocess.run(
                command,
                cwd=group.folder,
                env=group.environment | runner | named,
                capture_output=True,
                text=True,
                check=False,
            )
        return done.returncode, done.stdout

    status, said = run()
    assert status == 0, said
    assert f"{PLACE}: checked against config/params.schema.json" in said
    mistake(group)
    status, said = run()
    assert status == 1
    assert f"::error file={PLACE},line=6," in said
    (log,) = json.loads((group.folder / given["sarif"]).read_text())["runs"]
    location = log["results"][0]["locations"][0]["physicalLocation"]
    assert location["artifactLocation"]["uri"] == PLACE
    rule = log["tool"]["driver"]["rules"][log["results"][0]["ruleIndex"]]
    assert rule["helpUri"].startswith("https://github.com/someone/ann_ckpt/blob/v1/docs/parameters.md#")
    assert {"fullDescription", "help"} <= rule.keys()


@pytest.mark.parametrize("folder", [".", "config"])
def test_the_recipe_for_gitlab(group: Repository, folder: str) -> None:
    job = yaml.safe_load(recipe("yaml", "codequality"))["parameters"]
    lines = [line.replace("config/", "") if folder == "config" else line for line in job["script"]]
    runner = {"GITLAB_CI": "true", "CI": "true", "CI_PROJECT_DIR": str(group.folder)}

    def run() -> subprocess.CompletedProcess[str]:
        command = ["bash", "-eo", "pipefail", "-c", "\n".join(lines)]
        return subprocess.run(
            command,
            cwd=group.folder / folder,
            env=group.environment | runner,
            capture_output=True,
            text=True,
            check=False,
        )

    done = run()
    assert done.returncode == 0, done.stdout + done.stderr
    mistake(group)
    done = run()
    assert done.returncode == 1
    assert "error[P104] population 'inp' has no parameter 'tua'" in done.stdout
    (entry,) = json.loads((group.folder / folder / job["artifacts"]["reports"]["codequality"]).read_text())
    assert entry["location"] == {"path": PLACE, "lines": {"begin": 6}}


def test_the_recipe_for_a_shell(group: Repository) -> None:
    script = recipe("bash", "junit")
    run = ["bash", "-e", "-c", script]
    done = group.run(*run)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "is up to date" in done.stdout
    mistake(group)
    done = group.run(*run)
    assert done.returncode == 1
    assert f"{PLACE}:6:13: error[P104]" in done.stdout
    assert "P104" in (group.folder / "parameters.xml").read_text()


# --- shell ---


@pytest.mark.usefixtures("_network")
def test_a_plain_shell_sees_status_and_report(shell: Run, tmp_path: Path) -> None:
    (tmp_path / "params.json").write_text(TYPO)
    answer = shell("ann-ckpt params validate params.json --format gitlab -o report.json; echo $?")
    assert answer.out == "1\n"
    assert json.loads((tmp_path / "report.json").read_text())[0]["check_name"] == "P104"
