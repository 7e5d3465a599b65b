"""The parts into which the Makefile divides the tests: together they are all of them."""

from __future__ import annotations

import os
import re
import subprocess
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).parents[1]


def runs() -> list[tuple[str, list[str]]]:
    """What ``make test`` would run: for each part its environment and the arguments of pytest."""
    # What calls the tests may be make itself, with options of its own.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    said = subprocess.run(
        ["make", "--dry-run", "--always-make", "test"],
        cwd=ROOT,
        env=environment | {"MFLAGS": ""},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    found = re.findall(r'VIRTUAL_ENV="[^"]*/([^"/]+)".* -m pytest(.*)', said)
    return [(environment, arguments.split()) for environment, arguments in found]


def selected(arguments: list[str]) -> set[Path]:
    """The files of tests below the folders named, or below all of them."""
    ignored = [ROOT / word.partition("=")[2] for word in arguments if word.startswith("--ignore=")]
    folders = [ROOT / word for word in arguments if not word.startswith("-")] or [ROOT / "tests"]
    for folder in [*folders, *ignored]:
        assert folder.is_dir(), folder
    files = {path for folder in folders for path in folder.rglob("test_*.py")}
    return {path for path in files if not set(ignored) & set(path.parents)}


def test_each_test_is_in_exactly_one_part_of_an_environment() -> None:
    found: dict[str, Counter[Path]] = {}
    for environment, arguments in runs():
        found.setdefault(environment, Counter()).update(selected(arguments))
    assert found.keys() >= {".venv", ".venv-annarchy48", ".venv-brian2"}
    for environment, counts in found.items():
        assert set(counts.values()) == {1}, environment
    everything = set((ROOT / "tests").rglob("test_*.py"))
    # NEST cannot be installed on every machine; its tests, and those of PyNN, need nothing else.
    nest = {path for path in everything if path.parent.name in ("nest", "pynn")}
    assert found.get(".venv-nest", dict.fromkeys(nest)).keys() == nest
    assert found[".venv"].keys() | found[".venv-brian2"].keys() == everything - nest
    assert not found[".venv"].keys() & (found[".venv-brian2"].keys() | nest)


def test_the_package_itself_is_tested_once() -> None:
    """Its doctests are run by the part that names no folder."""
    assert sum(all(word.startswith("-") for word in arguments) for _, arguments in runs()) == 1
