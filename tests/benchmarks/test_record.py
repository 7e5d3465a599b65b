"""A run goes on where it was stopped, and never in the file of another."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.record import Record, RecordError
from benchmarks.results import Result

RUN = {"scale": "tiny", "commit": "a1", "command": "python -m benchmarks", "cases": ["a", "b"]}


def made(key: str, took: float = 1.0) -> Result:
    return Result(key, "A case", 0, "", "", None, {}, took=took)


def test_what_was_added_is_read_back(tmp_path: Path) -> None:
    record = Record.begin(tmp_path / "new" / "run.jsonl", RUN)
    for result in (made("a"), made("b"), made("a", took=2.0)):
        record.add(result)
    found = Record.read(tmp_path / "new" / "run.jsonl")
    assert found.run == RUN
    assert found.results == record.results == {"a": made("a", took=2.0), "b": made("b")}


def test_a_stopped_run_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    Record.go_on(path, RUN).add(made("a"))
    record = Record.go_on(path, RUN)
    assert list(record.results) == ["a"]
    record.add(made("b"))
    assert list(Record.read(path).results) == ["a", "b"]


@pytest.mark.parametrize(
    "other", [{"commit": "b2"}, {"command": "python -m benchmarks open"}, {"cases": ["a"]}, {"scale": "full"}]
)
def test_another_run_is_not_mixed_in(tmp_path: Path, other: dict[str, object]) -> None:
    path = tmp_path / "run.jsonl"
    Record.begin(path, RUN).add(made("a"))
    before = path.read_bytes()
    with pytest.raises(RecordError, match="holds another run"):
        Record.go_on(path, RUN | other)
    assert path.read_bytes() == before


@pytest.mark.parametrize("cut", [0, 1, -1])
def test_a_line_that_was_cut_is_named(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "run.jsonl"
    Record.begin(path, RUN).add(made("a"))
    path.write_text(path.read_text().rstrip()[:cut])
    with pytest.raises(RecordError, match=rf"line {2 if cut < 0 else 1} is not whole"):
        Record.go_on(path, RUN)
