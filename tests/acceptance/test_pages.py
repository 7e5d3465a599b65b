"""What is longer than the terminal goes to a pager, and topics are explained there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ann_ckpt.cli.help import TOPICS, text_of
from ann_ckpt.cli.main import COMMANDS
from tests.acceptance.conftest import Run
from tests.acceptance.terminal import in_terminal

SHOW = ["ann-ckpt", "show", "demo.h5", "projections/forward/w", "--rows"]


@pytest.fixture
def pager(tmp_path: Path) -> str:
    """A pager that says how many lines it was given."""
    script = tmp_path / "pager"
    script.write_text("#!/bin/sh\necho paged $(wc -l) lines\n")
    script.chmod(0o755)
    return str(script)


def test_what_is_longer_than_the_terminal_is_paged(demo_file: Path, pager: str) -> None:
    said = in_terminal([*SHOW, "0:40"], cwd=demo_file.parent, rows=20, PAGER=pager)
    assert said.status == 0
    assert "paged 4" in said.text
    assert "projections/forward" not in said.text


@pytest.mark.parametrize(("name", "coloured"), [("less", True), ("more", False)])
def test_no_pager_shows_the_signs_of_colours(
    demo_file: Path, tmp_path: Path, name: str, coloured: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("LESS", raising=False)
    pager = tmp_path / name
    pager.write_text('#!/bin/sh\necho "LESS is <$LESS>"\ncat -v\n')
    pager.chmod(0o755)
    said = in_terminal([*SHOW, "0:40"], cwd=demo_file.parent, rows=20, PAGER=str(pager))
    assert ("LESS is <-R>" in said.text) is coloured
    assert ("^[[" in said.text) is coloured


def test_what_fits_is_not(demo_file: Path, pager: str) -> None:
    said = in_terminal([*SHOW, "0:10"], cwd=demo_file.parent, rows=20, PAGER=pager)
    assert said.status == 0
    assert "paged" not in said.text
    assert "projections/forward/w" in said.text


def test_lines_that_the_terminal_folds_count_more_than_once(demo_file: Path, pager: str) -> None:
    said = in_terminal([*SHOW, "0:10"], cwd=demo_file.parent, rows=20, columns=30, PAGER=pager)
    assert "paged" in said.text


def test_a_pipe_is_never_paged(shell: Run, demo_file: Path, pager: str) -> None:
    answer = shell(f"PAGER={pager} ann-ckpt show demo.h5 projections/forward/w --rows 0:200 | cat")
    assert "paged" not in answer.out
    assert answer.out.count("\n") > 200


# --- Topics ----------------------------------------------------------------------------------


def test_the_list_of_topics(run: Run) -> None:
    answer = run("help")
    assert answer.status == 0
    for name, (_, about, _) in TOPICS.items():
        assert f"{name} " in answer.out
        assert about in answer.out


@pytest.mark.parametrize("topic", TOPICS)
def test_a_topic_is_a_page(run: Run, topic: str) -> None:
    answer = run("help", topic)
    assert answer.status == 0
    assert answer.out == text_of(topic)
    assert answer.out.startswith("# ")
    assert len(answer.out) > 1000
    assert re.search(r"\]\([^)]*\.md", answer.out) is None
    assert re.search(r"^!", answer.out, re.MULTILINE) is None


def test_a_part_of_a_page_ends_where_the_next_begins() -> None:
    assert "**Signals.**" in text_of("jobs")
    assert "\n## " not in text_of("jobs")
    assert len(text_of("jobs")) < len(text_of("stores"))


def test_no_topic_hides_a_command(run: Run) -> None:
    assert not set(TOPICS) & {name for section in COMMANDS.values() for name in section}
    assert run("help", "plot").out == run("plot", "--help").out


def test_an_unknown_topic(run: Run) -> None:
    answer = run("help", "store")
    assert answer.status != 0
    assert "did you mean 'stores'" in answer.err


def test_a_page_in_a_terminal_is_laid_out(demo_file: Path) -> None:
    said = in_terminal(
        ["ann-ckpt", "help", "jobs"], cwd=demo_file.parent, rows=500, columns=80, PAGER="false"
    )
    assert said.status == 0
    assert "**" not in said.text
    assert "Signals." in said.text
