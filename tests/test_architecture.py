"""The layers drawn in docs/architecture.md are the layers that the imports have."""

from __future__ import annotations

import ast
import graphlib
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "ann_ckpt"
TABLE = re.compile(r"^\| `(?P<module>[\w/.]+\.py)` \| (?P<rank>\d+) \| (?P<what>\S.*) \|$", re.MULTILINE)

# Who may import what else: the first part of an imported name -> places in the package.
RESERVED = {
    "ANNarchy": ("adapters/annarchy/",),
    "h5py": ("format/", "store/", "adapters/legacy/", "provenance.py"),
    "hdf5plugin": ("format/",),
    "click": ("cli/",),
    "rich": ("cli/",),
    "pickle": (),
    "jsonschema": ("params/",),
}


def drawn_ranks() -> dict[str, int]:
    """Rank of each module, as the table in docs/architecture.md has it."""
    rows = list(TABLE.finditer((ROOT / "docs" / "architecture.md").read_text()))
    ranks = {row["module"]: int(row["rank"]) for row in rows}
    assert len(ranks) == len(rows), "a module stands twice in docs/architecture.md"
    return ranks


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


def own_imports(module: str) -> set[str]:
    """Modules of the package that ``module`` imports; a facade stands for what it re-exports."""
    found = set()
    for name in imported_names(module):
        parts = name.split(".")
        if parts[0] != "ann_ckpt":
            continue
        target = next(t for t in _candidates(parts[1:]) if (PACKAGE / t).is_file())
        found |= own_imports(target) if is_facade(target) and target != module else {target}
    return found


def _candidates(parts: list[str]) -> Iterator[str]:
    """Files that a dotted name may mean, longest first: the last part may be a name inside one."""
    for length in range(len(parts), -1, -1):
        stem = "/".join(parts[:length])
        yield f"{stem}.py"
        yield f"{stem}/__init__.py" if stem else "__init__.py"


@pytest.mark.parametrize("module", [m for m in modules() if not is_facade(m)])
def test_imports_go_down_the_layers(module: str) -> None:
    ranks = drawn_ranks()
    assert module in ranks, f"docs/architecture.md does not list {module}"
    unlisted = own_imports(module) - ranks.keys()
    assert not unlisted, f"docs/architecture.md does not list {unlisted}"
    allowed = {t for t in ranks if ranks[t] < ranks[module] or _neighbours(t, module, ranks)}
    upwards = {t: ranks[t] for t in own_imports(module) - allowed}
    assert not upwards, f"{module} has rank {ranks[module]} and imports {upwards}"


def _neighbours(one: str, other: str, ranks: dict[str, int]) -> bool:
    """Whether two modules share a layer and a folder, where imports may go one way."""
    return ranks[one] == ranks[other] and Path(one).parent == Path(other).parent


def test_no_imports_go_round_in_a_circle() -> None:
    graph = {module: own_imports(module) for module in modules() if not is_facade(module)}
    graphlib.TopologicalSorter(graph).prepare()


def test_the_drawing_lists_no_module_that_is_gone() -> None:
    assert set(drawn_ranks()) <= set(modules())


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
