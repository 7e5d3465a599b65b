"""The wheel holds everything: tested where no checkout is near."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

import ann_ckpt
from ann_ckpt.cli.help import TOPICS

ROOT = Path(__file__).parent.parent.parent
INSTALLED = """
import importlib.resources, json, pathlib, sys
import ann_ckpt
home = pathlib.Path(ann_ckpt.__file__).parent
assert pathlib.Path(sys.prefix) in home.parents, home
assert (home / "py.typed").is_file()
schemas = importlib.resources.files("ann_ckpt") / "schemas"
for name in json.loads(sys.argv[1]):
    json.loads((schemas / name).read_text())
print(ann_ckpt.__version__)
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    pip(sys.executable, "wheel", "--no-deps", "--wheel-dir", str(folder), str(ROOT))
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def prefix(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh environment with the wheel and its dependencies, and nothing else."""
    folder = tmp_path_factory.mktemp("installed")
    venv.create(folder, with_pip=True)
    pip(str(folder / "bin" / "python"), "install", str(wheel))
    return folder


def pip(python: str, *arguments: str) -> None:
    command = [python, "-m", "pip", "--quiet", "--disable-pip-version-check", *arguments]
    subprocess.run(command, check=True, cwd=Path(python).parent)


def run(prefix: Path, folder: Path, *command: str) -> str:
    """Run a program of the environment in an empty folder, with nothing of the checkout in reach."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    program = prefix / "bin" / command[0]
    done = subprocess.run(
        [program, *command[1:]], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def schema_names() -> list[str]:
    folder = ROOT / "schemas"
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.json"))


def test_the_wheel_holds_the_package_and_the_schemas_and_nothing_else(wheel: Path) -> None:
    held = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    sources = {p.relative_to(ROOT).as_posix() for p in (ROOT / "ann_ckpt").rglob("*") if p.is_file()}
    expected = {name for name in sources if "__pycache__" not in name}
    expected |= {f"ann_ckpt/schemas/{name}" for name in schema_names()}
    assert {name for name in held if name.endswith((".py", ".json", ".typed"))} == {
        name for name in expected if name.endswith((".py", ".json", ".typed"))
    }
    assert "ann_ckpt/py.typed" in held
    pages = {f"ann_ckpt/docs/{page}.md" for page, _, _ in TOPICS.values()}
    assert {name for name in held if name.endswith(".md")} == pages
    assert all(name.startswith("ann_ckpt/") for name in held)


def test_it_works_where_it_is_installed(prefix: Path, tmp_path: Path) -> None:
    assert schema_names(), "a checkout without schemas"
    said = run(prefix, tmp_path, "python", "-c", INSTALLED, json.dumps(schema_names()))
    assert said.strip() == ann_ckpt.__version__
    assert "Look inside:" in run(prefix, tmp_path, "ann-ckpt", "--help")
    assert "every bit is equal" in run(prefix, tmp_path, "ann-ckpt", "demo")
    assert "intact" in run(prefix, tmp_path, "ann-ckpt", "verify", "demo/demo.h5")
    assert run(prefix, tmp_path, "ann-ckpt", "help", "stores").startswith("# Stores")
