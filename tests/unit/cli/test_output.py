from __future__ import annotations

import json
import math
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.text import Text

from ann_ckpt.cli.output import emit, json_ready, progress_bar, safe, table

DOCUMENTS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


def without_oddities(value: Any) -> bool:
    if isinstance(value, float):
        return math.isfinite(value)
    if isinstance(value, dict):
        return all(without_oddities(v) for v in value.values())
    return not isinstance(value, list) or all(without_oddities(v) for v in value)


@given(DOCUMENTS)
def test_every_document_becomes_json_and_only_oddities_change(document: Any) -> None:
    written = json.loads(json.dumps(json_ready(document), allow_nan=False))
    if without_oddities(document):
        assert written == document


@given(st.text(max_size=100))
def test_safe_text_shows_as_itself(text: str) -> None:
    shown = Text.from_markup(f"[bold]{safe(text, 10_000)}[/]").plain
    assert shown.isprintable()
    if text.isprintable():
        assert shown == text


def test_nothing_is_cut_and_no_blanks_trail_in_a_pipe(capsys: pytest.CaptureFixture[str]) -> None:
    listing = table("name", "value")
    listing.add_row("n" * 300, "1")
    listing.add_row("short", "")
    emit(listing)
    lines = capsys.readouterr().out.splitlines()
    assert "n" * 300 in lines[1]
    assert all(line == line.rstrip() for line in lines)


@pytest.mark.parametrize(("of_bytes", "shown"), [(True, "3/12 bytes"), (False, "3/12")])
def test_progress_is_in_bytes_or_in_what_is_counted(
    of_bytes: bool, shown: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    with progress_bar("working", of_bytes=of_bytes) as progress:
        assert progress is not None
        progress("one", 3, 12)
    said = " ".join(re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", capsys.readouterr().err).split())
    assert shown in said
    assert ("bytes" in said) is of_bytes


def test_there_is_no_progress_without_a_terminal() -> None:
    with progress_bar("working") as progress:
        assert progress is None
