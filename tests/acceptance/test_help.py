"""Every command explains itself, and its examples work."""

from __future__ import annotations

from collections.abc import Iterator

import click
import pytest

import ann_ckpt
from ann_ckpt import errors
from ann_ckpt.cli.command import Command
from ann_ckpt.cli.main import COMMANDS, cli
from tests.acceptance.conftest import Run


def commands(group: click.Group = cli, prefix: tuple[str, ...] = ()) -> Iterator[tuple[str, click.Command]]:
    """Every command with the words that call it, subcommands included."""
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        words = (*prefix, name)
        if isinstance(command, click.Group):
            yield from commands(command, words)
        else:
            yield " ".join(words), command


ALL = dict(commands())
EXAMPLES = [line for c in ALL.values() if isinstance(c, Command) for line, _ in c.examples]


def test_the_list_of_commands_is_the_help(run: Run) -> None:
    answer = run("--help")
    assert answer.status == 0
    for section, listed in COMMANDS.items():
        assert f"{section}:" in answer.out
        for name, (_, line) in listed.items():
            assert f"  {name}" in answer.out
            assert line in " ".join(answer.out.split())


@pytest.mark.parametrize("name", [name for section in COMMANDS.values() for name in section])
def test_the_line_in_the_list_is_the_commands_own(name: str) -> None:
    listed = {name: line for section in COMMANDS.values() for name, (_, line) in section.items()}
    command = cli.get_command(click.Context(cli), name)
    assert command is not None
    assert command.help is not None
    assert command.help.partition("\n")[0] == listed[name]


@pytest.mark.parametrize("words", ALL)
def test_a_command_has_help_and_examples(words: str, run: Run) -> None:
    command = ALL[words]
    assert command.help, f"{words} has no help"
    assert isinstance(command, Command)
    assert command.examples, f"{words} has no example"
    answer = run(*words.split(), "--help")
    assert answer.status == 0
    for line, meaning in command.examples:
        assert f"ann-ckpt {words}" in line
        assert line in answer.out
        assert meaning in answer.out
    for parameter in command.params:
        assert not isinstance(parameter, click.Option) or parameter.help, f"{words} {parameter.name}"


@pytest.mark.parametrize("line", [line for line in EXAMPLES if "s3://" not in line])  # tests/remote has those
@pytest.mark.usefixtures("demo_file", "model_script", "old_files", "store_folder", "sweep")
def test_an_example_works(line: str, shell: Run) -> None:
    answer = shell(line)
    # A report that goes to a file leaves the log to what people read.
    said = answer.err.splitlines() if " -o found" in line else []
    assert (answer.status, answer.err.splitlines()) == (0, said)
    assert not said or said[-1] == "1 file checked, no findings"


def test_no_command_shows_the_help(run: Run) -> None:
    answer = run()
    assert answer.status == 2
    assert "Look inside:" in answer.err


def test_an_unknown_command_is_wrong_usage(run: Run) -> None:
    answer = run("shwo")
    assert answer.status == 2
    assert "No such command 'shwo'. Did you mean 'show'?" in answer.err
    assert answer.out == ""
    assert "mean" not in run("xyzzy").err


def test_an_unknown_topic_lists_the_topics(run: Run) -> None:
    answer = run("help", "exact-resum")
    assert answer.status == 3
    assert "did you mean 'exact-resume'?" in answer.err
    assert "  topics:  annarchy, " in answer.err
    assert "stored" not in answer.err


def test_the_version_is_the_packages(run: Run) -> None:
    assert ann_ckpt.__version__ in run("--version").out


def test_the_help_says_what_every_exit_status_means(run: Run) -> None:
    table = " ".join(run("--help").out.split("Exit status")[1].split())
    for name in errors.__all__:
        cls = getattr(errors, name)
        if isinstance(cls, type) and cls is not errors.CheckpointError:
            assert cls.code in table.replace("- ", "-")
            assert f" {cls.exit_status} " in table
