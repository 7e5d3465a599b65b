"""What the package offers to users: modules, names, and what a star import brings."""

from __future__ import annotations

import builtins
import importlib
import inspect
from typing import Any

import pytest

import ann_ckpt
from ann_ckpt import reports
from ann_ckpt.cli.convert import convert as command
from ann_ckpt.report import Report

PUBLIC = [
    "ann_ckpt",
    "ann_ckpt.annarchy",
    "ann_ckpt.errors",
    "ann_ckpt.params",
    "ann_ckpt.plot",
    "ann_ckpt.reports",
    "ann_ckpt.simulators",
    "ann_ckpt.testing",
]


@pytest.mark.parametrize("name", PUBLIC)
def test_a_star_import_brings_every_public_name_and_hides_no_builtin(name: str) -> None:
    found: dict[str, Any] = {}
    exec(f"from {name} import *", found)
    module = importlib.import_module(name)
    assert {n for n in found if n != "__builtins__"} == set(module.__all__)
    assert not {n for n in found if hasattr(builtins, n)} - {"__builtins__"}


def test_open_stays_with_the_package() -> None:
    assert ann_ckpt.open.__module__ == "ann_ckpt.api"
    assert ann_ckpt.annarchy.compile.__module__ == "ann_ckpt.annarchy"


def test_few_names_stand_at_the_top() -> None:
    assert len(ann_ckpt.__all__) <= 42
    assert not set(ann_ckpt.__all__) & set(reports.__all__)


def test_every_report_is_in_the_module_of_reports() -> None:
    kinds = [Report]
    for kind in kinds:
        kinds += kind.__subclasses__()
    found = {kind.__name__ for kind in kinds if kind.__module__.startswith("ann_ckpt.")}
    assert found <= set(reports.__all__)


def test_the_command_line_and_the_calls_isolate_alike() -> None:
    (option,) = [each for each in command.params if each.name == "isolate"]
    assert option.default is inspect.signature(ann_ckpt.convert).parameters["isolate"].default is True
