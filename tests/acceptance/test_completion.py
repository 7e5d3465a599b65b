"""The shell completes commands, options, and paths inside a file."""

from __future__ import annotations

from pathlib import Path

import click
import pytest

import ann_ckpt
from ann_ckpt.cli.plot import _complete, plot
from ann_ckpt.looking.choice import pictures
from tests.acceptance.conftest import Run
from tests.acceptance.terminal import in_terminal


def completions(shell: Run, *words: str) -> set[str]:
    line = " ".join(("ann-ckpt", *words))
    asked = f'_ANN_CKPT_COMPLETE=bash_complete COMP_WORDS="{line}" COMP_CWORD={len(words)} ann-ckpt'
    answer = shell(asked)
    assert answer.err == ""
    return {entry.partition(",")[2] for entry in answer.out.split()}


def test_commands(shell: Run) -> None:
    assert completions(shell, "inf") == {"info"}


def test_paths_inside_the_file(shell: Run, demo_file: Path) -> None:
    expected = {f"projections/forward/{name}" for name in ("post_ranks", "pre_ranks")}
    assert completions(shell, "show", demo_file.name, "projections/forward/p") == expected


def test_projections_themselves(shell: Run, demo_file: Path) -> None:
    found = completions(shell, "show", demo_file.name, "projections/f")
    assert "projections/forward" in found
    assert "projections/forward/w" in found
    assert completions(shell, "show", demo_file.name, "prov") == {"provenance"}


def test_names_behind_an_option(shell: Run, demo_file: Path, store_folder: Path) -> None:
    assert completions(shell, "export", demo_file.name, "x.csv", "--projections", "f") == {"forward"}
    assert completions(shell, "diff", store_folder.name, demo_file.name, "--populations", "") == {
        "image",
        "layer",
    }
    assert completions(shell, "export", "absent.h5", "x.csv", "--projections", "f") == set()


def test_tags_and_steps_behind_a_store(shell: Run, store_folder: Path) -> None:
    name = store_folder.name
    expected = {f"{name}@{which}" for which in ("trained", "0", "5", "10", "15")}
    assert completions(shell, "info", f"{name}@") == expected
    assert completions(shell, "diff", f"{name}@0", f"{name}@t") == {f"{name}@trained"}
    assert completions(shell, "report", f"{name}@1") == {f"{name}@10", f"{name}@15"}
    assert completions(shell, "show", f"{name}@trained", "projections/forward/w") == {"projections/forward/w"}
    assert completions(shell, "info", f"absent@{name}") == {f"absent@{name}"}


def test_bash_itself_completes_behind_the_at(shell: Run, store_folder: Path) -> None:
    script = shell("ann-ckpt completion bash").out
    (store_folder.parent / "rc").write_text(f"{script}\nPS1='ready> '\n")
    said = in_terminal(
        ["bash", "--rcfile", "rc", "-i"],
        cwd=store_folder.parent,
        prompt="ready> ",
        # A tab, and the key that goes to the beginning of the line.
        typed=b"ann-ckpt info run.ckpt@tr\t\x01echo \nexit\n",
    )
    assert "ann-ckpt info run.ckpt@trained\n" in said.text.replace("\r", "")


def test_no_paths_of_a_file_that_is_none(shell: Run) -> None:
    assert completions(shell, "show", "absent.h5", "pro") == set()


@pytest.mark.parametrize("name", ["bash", "zsh", "fish"])
def test_the_script_calls_the_program_back(run: Run, name: str) -> None:
    answer = run("completion", name)
    assert answer.status == 0
    assert f"_ANN_CKPT_COMPLETE={name}_complete" in answer.out


def test_another_shell_is_wrong_usage(run: Run) -> None:
    assert run("completion", "csh").status == 2


def test_plot_offers_what_it_draws(demo_file: Path) -> None:
    context = click.Context(plot, info_name="plot")
    context.params["file"] = str(demo_file)
    offered = [item.value for item in _complete(context, plot.params[1], "")]
    assert "projections/lateral/delays" in offered
    with ann_ckpt.open(demo_file) as checkpoint:
        assert all(pictures(checkpoint, path) for path in offered)
