"""Standard streams that are closed, full, gone or not UTF-8: no traceback, no status of a difference."""

from __future__ import annotations

from pathlib import Path

import pytest

import ann_ckpt
from ann_ckpt import NetworkState, PopulationState
from tests.acceptance.conftest import Run

SNOW = "snow ☃ …"


@pytest.fixture
def unicode_file(tmp_path: Path) -> Path:
    """A checkpoint ``u.h5`` with names that ASCII does not have, beside ``v.h5`` with another value."""
    for name, value in (("u.h5", 1.0), ("v.h5", 2.0)):
        population = PopulationState(SNOW, (2,), parameters={"ü": value})
        state = NetworkState(populations=[population], time_step=1, metadata={"ü": SNOW})
        ann_ckpt.write(state, tmp_path / name)
    return tmp_path / "u.h5"


LINES = {
    "info u.h5": 0,
    "show u.h5 metadata": 0,
    "info u.h5 --json": 0,
    "verify u.h5": 0,
    "diff u.h5 v.h5 --exit-code": 1,
    "completion bash": 0,
    "info --help": 0,
}


def all_lines(end: str) -> str:
    """One shell line that runs all commands and says the status of each on standard error."""
    return "; ".join(f"ann-ckpt {line} {end}; echo status=$? >&2" for line in LINES)


def statuses(text: str) -> list[int]:
    return [int(line.removeprefix("status=")) for line in text.splitlines() if line.startswith("status=")]


@pytest.mark.parametrize("how", ["PYTHONIOENCODING=ascii", "LC_ALL=POSIX PYTHONCOERCECLOCALE=0 PYTHONUTF8=0"])
def test_a_terminal_without_utf8(shell: Run, unicode_file: Path, how: str) -> None:
    answer = shell(f"export {how}; {all_lines('')}")
    assert "Traceback" not in answer.err
    assert statuses(answer.err) == list(LINES.values())
    assert "\\u2603" in answer.out


@pytest.mark.parametrize("end", [">&-", ">/dev/full", "<&- >&-"])
def test_output_that_cannot_be_written(shell: Run, unicode_file: Path, end: str) -> None:
    answer = shell(all_lines(end))
    assert "Traceback" not in answer.err
    assert statuses(answer.err) == [9] * len(LINES)
    assert answer.err.count("error[not-writable]: cannot write to standard output: ") == len(LINES)
    assert answer.out == ""


@pytest.mark.parametrize("line", ["--help", "info u.h5", "info u.h5 --json", "completion bash"])
def test_a_reader_that_has_gone(shell: Run, unicode_file: Path, line: str) -> None:
    answer = shell(f"{{ sleep 0.2; ann-ckpt {line}; echo status=$? >&2; }} | true")
    assert statuses(answer.err) == [141]
    assert answer.err.count("\n") == 1


def test_errors_keep_their_status_where_nothing_can_be_said(shell: Run, unicode_file: Path) -> None:
    assert shell("ann-ckpt info nothing.h5 >&- 2>&-").status == 3
    assert shell("ann-ckpt info nothing.h5 >/dev/full 2>/dev/full").status == 3
    assert shell("ann-ckpt info --nonsense 2>/dev/full").status == 2


def test_closed_streams_do_not_lend_their_numbers_to_files(shell: Run, unicode_file: Path) -> None:
    shell("ann-ckpt export u.h5 copy.h5 <&- >&- 2>&-")
    answer = shell("ann-ckpt add new.ckpt u.h5 v.h5 <&- >&- 2>&-; ann-ckpt verify new.ckpt u.h5")
    assert answer.status in (0, 3)
    for path in unicode_file.parent.glob("*.h5"):
        assert ann_ckpt.verify(path).ok


def test_a_fault_of_the_program_is_no_difference(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("on purpose")

    monkeypatch.setattr("ann_ckpt.cli.verify.verify_file", broken)
    answer = run("verify", "x.h5")
    assert answer.status == 70
    assert "error[internal]" in answer.err
