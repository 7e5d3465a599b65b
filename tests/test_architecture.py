"""What stands where: layers, re-exports, libraries, printing."""

from __future__ import annotations

import ast
import graphlib
import importlib
import operator
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import grimp
import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "ann_ckpt"
# Who may import what else: the first part of an imported name -> places in the package.
RESERVED = {
    "ANNarchy": ("adapters/annarchy/",),
    "h5py": ("format/", "store/", "adapters/legacy/", "adapters/sonata/", "provenance.py"),
    "hdf5plugin": ("format/",),
    "numcodecs": ("format/",),
    "click": ("cli/",),
    "rich": ("cli/",),
    "pickle": ("store/saving/forked.py",),
    "jsonschema": ("params/",),
}


def modules() -> list[str]:
    """Every module of the package, relative to it; facades included."""
    return sorted(path.relative_to(PACKAGE).as_posix() for path in PACKAGE.rglob("*.py"))


def is_facade(module: str) -> bool:
    return Path(module).name == "__init__.py"


def imported_names(module: str) -> Iterator[str]:
    """Dotted names that a module imports, at its top or inside a function."""
    for node in ast.walk(ast.parse((PACKAGE / module).read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module} has a relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def test_no_imports_go_round_in_a_circle() -> None:
    graph = grimp.build_graph("ann_ckpt")
    imports = {module: graph.find_modules_directly_imported_by(module) for module in graph.modules}
    graphlib.TopologicalSorter(imports).prepare()


def test_imports_go_down_the_layers() -> None:
    """The contracts stand in pyproject.toml; ``lint-imports`` prints what breaks them."""
    done = subprocess.run(
        [sys.executable, "-c", "from importlinter.cli import lint_imports; raise SystemExit(lint_imports())"],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout


def test_who_writes_no_network_writes_through_texts() -> None:
    """Which leaves checkpoints alone."""
    free = ("durable.py", "texts.py", "single.py", "store/", "adapters/legacy/")
    writers = {m for m in modules() if "ann_ckpt.durable.atomic_write" in imported_names(m)}
    assert {m for m in writers if not m.startswith(free)} == set()


def test_the_page_names_every_layer() -> None:
    layers = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"][0][
        "layers"
    ]
    drawn = re.findall(r"`([a-z0-9_]+)`", (ROOT / "docs" / "architecture.md").read_text())
    assert {name for layer in layers for name in layer.split(" | ")} <= set(drawn)


def test_the_journeys_pass_what_is_there() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text()
    journeys = page[page.index("## Six journeys") :]
    named = re.findall(r"`((?:[a-z_]+/)*[a-z_]+)\.([A-Za-z_]+(?:\.[a-z_]+)*)`", journeys)
    assert len(named) > 25
    for module, name in named:
        operator.attrgetter(name)(importlib.import_module(f"ann_ckpt.{module.replace('/', '.')}"))


@pytest.mark.parametrize("module", [m for m in modules() if is_facade(m)])
def test_facades_only_reexport(module: str) -> None:
    body = ast.parse((PACKAGE / module).read_text()).body
    assert body, f"{module} lacks a docstring"
    assert isinstance(body[0], ast.Expr), f"{module} lacks a docstring"
    for node in body[1:]:
        names = (
            [t.id for t in node.targets if isinstance(t, ast.Name)] if isinstance(node, ast.Assign) else []
        )
        assert isinstance(node, ast.Import | ast.ImportFrom) or names == ["__all__"], ast.unparse(node)


@pytest.mark.parametrize("library", RESERVED)
def test_a_library_is_known_in_its_place_only(library: str) -> None:
    users = {m for m in modules() if library in {name.split(".")[0] for name in imported_names(m)}}
    assert users == {m for m in users if m.startswith(RESERVED[library])}


def test_no_two_public_classes_have_one_name() -> None:
    """Nor two public type aliases: a name in a signature or a traceback means one thing."""
    homes: dict[str, list[str]] = {}
    for module in modules():
        for node in ast.parse((PACKAGE / module).read_text()).body:
            if isinstance(node, ast.ClassDef):
                homes.setdefault(node.name, []).append(module)
            elif isinstance(node, ast.Assign | ast.AnnAssign):
                named = ast.unparse(node.target if isinstance(node, ast.AnnAssign) else node.targets[0])
                if re.fullmatch(r"[A-Z]\w*[a-z]\w*", named):
                    homes.setdefault(named, []).append(module)
    twice = {name: where for name, where in homes.items() if len(where) > 1 and name[0] != "_"}
    assert not twice


def test_only_the_command_line_prints() -> None:
    printing = {
        module
        for module in modules()
        for node in ast.walk(ast.parse((PACKAGE / module).read_text()))
        if isinstance(node, ast.Call)
        and ast.unparse(node.func) in {"print", "sys.stdout.write", "click.echo"}
    }
    # verbose=True of load_parameters is ANNarchy's own argument, and means printing.
    assert all(module.startswith("cli/") for module in printing - {"params/calls.py"}), printing


def test_the_page_for_contributors_names_every_folder_of_tests() -> None:
    text = (ROOT / "docs" / "contributing.md").read_text()
    named = set(re.findall(r"`tests/(\w+)/`", text))
    there = {folder.name for folder in (ROOT / "tests").iterdir() if any(folder.glob("*.*"))}
    assert there - {"__pycache__"} == named
