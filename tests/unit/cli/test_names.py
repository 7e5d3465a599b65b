"""A command and the call that it stands for have one name, and an option is called as its parameter."""

import importlib
import inspect

import click
import pytest

import ann_ckpt
from ann_ckpt import CheckpointStore
from ann_ckpt.cli.main import COMMANDS

CALLS = {
    "verify": ann_ckpt.verify,
    "diff": ann_ckpt.diff,
    "export": ann_ckpt.export,
    "add": CheckpointStore.add,
    "prune": CheckpointStore.prune,
    "gc": CheckpointStore.gc,
    "convert": ann_ckpt.convert,
    "verify-resume": ann_ckpt.verify_resume,
    "runs": ann_ckpt.runs,
}
OF_THE_COMMAND_LINE = {
    # The exit status, and files that a program writes by itself from what the call returns.
    "diff": {"exit_code"},
    "verify-resume": {"junit_file", "matrix"},
    "runs": {"parquet", "ro_crate"},
}


def options(name: str) -> set[str]:
    modules = {command: target for section in COMMANDS.values() for command, (target, _) in section.items()}
    module, _, attribute = modules[name].partition(":")
    command: click.Command = getattr(importlib.import_module(module), attribute)
    found = {param.name for param in command.params if isinstance(param, click.Option)}
    return found - {"as_json", "help"} - OF_THE_COMMAND_LINE.get(name, set())


@pytest.mark.parametrize("name", CALLS)
def test_options_are_parameters(name: str) -> None:
    assert options(name) <= inspect.signature(CALLS[name]).parameters.keys()
