"""What goes wrong is one clear message and one exit status, never a traceback."""

from __future__ import annotations

import re
from pathlib import Path

import h5py
import pytest

import ann_ckpt
from ann_ckpt import errors
from ann_ckpt.cli import main as entry
from ann_ckpt.demo import DemoNetwork
from tests.acceptance.conftest import Run


def not_hdf5(path: Path) -> None:
    path.write_bytes(b"something else entirely" * 50)


def empty(path: Path) -> None:
    path.write_bytes(b"")


def other_hdf5(path: Path) -> None:
    with h5py.File(path, "w") as file:
        file["temperatures"] = [1.0, 2.0]


def truncated(path: Path) -> None:
    raw = path.read_bytes()
    path.write_bytes(raw[: len(raw) // 2])


def folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def gone(path: Path) -> None:
    path.unlink()


BAD_FILES = {
    not_hdf5: "unrecognised-file",
    empty: "unrecognised-file",
    other_hdf5: "unrecognised-file",
    truncated: "corrupt-file",
    folder: "not-readable",
    gone: "no-such-file",
}


@pytest.mark.parametrize("command", ["info", "ls", "tree", "verify", "show"])
@pytest.mark.parametrize(("spoil", "code"), BAD_FILES.items(), ids=lambda x: getattr(x, "__name__", x))
def test_a_bad_file(run: Run, demo_file: Path, command: str, spoil: object, code: str) -> None:
    assert callable(spoil)
    spoil(demo_file)
    answer = run(command, demo_file, *(["metadata"] if command == "show" else []))
    (status,) = {c.exit_status for c in vars(errors).values() if getattr(c, "code", None) == code}
    assert answer.status == status
    assert answer.out == ""
    assert answer.err.startswith(f"error[{code}]: ")
    assert str(demo_file) in answer.err


@pytest.mark.parametrize(
    ("path", "code", "offered"),
    [
        ("projections/forwrd", "object-not-found", "'forward'"),
        ("projections/forward/weight", "attribute-not-found", "stored:"),
        ("populations/layer/parameters/r", "attribute-not-found", "tau, noise, threshold"),
        ("populations/layer/tua", "attribute-not-found", "'tau'"),
        ("populations/layer/R", "attribute-not-found", "'r'"),
        ("forward", "object-not-found", "'projections/forward'"),
        ("layer/r", "object-not-found", "'populations/layer/r'"),
        ("constants/perod", "attribute-not-found", "'period'"),
        ("elsewhere", "object-not-found", "populations/NAME/ATTRIBUTE"),
        ("populations/layer/r/0/1", "object-not-found", "populations/NAME/ATTRIBUTE"),
        ("", "object-not-found", "populations/NAME/ATTRIBUTE"),
    ],
)
def test_a_wrong_path_offers_what_there_is(
    run: Run, demo_file: Path, path: str, code: str, offered: str
) -> None:
    answer = run("show", demo_file, path)
    assert answer.status == 3
    assert answer.err.startswith(f"error[{code}]: ")
    assert offered in answer.err


@pytest.mark.parametrize("rows", ["x", "1:2:3", "", "1.5", "a:b", "--"])
def test_rows_that_are_no_rows_are_wrong_usage(run: Run, demo_file: Path, rows: str) -> None:
    answer = run("show", demo_file, "projections/forward", f"--rows={rows}")
    assert answer.status == 2
    assert "10:20" in answer.err


@pytest.mark.parametrize(
    ("path", "rows"),
    [("projections/forward/w", "400:"), ("projections/forward", "500"), ("constants/period", "0")],
)
def test_rows_that_are_not_there_are_an_error(run: Run, demo_file: Path, path: str, rows: str) -> None:
    answer = run("show", demo_file, path, "--rows", rows)
    assert answer.status == 2
    assert answer.err.startswith("error[invalid-option]: ")


def test_where_an_argument_is_missing_a_whole_command_is_shown(run: Run) -> None:
    for command in ("show", "plot"):
        answer = run(command, "run.ckpt@5")
        assert answer.status == 2
        assert f"Missing argument 'PATH'. For example: ann-ckpt {command} " in answer.err


def test_a_store_without_its_settings_is_called_one(run: Run, tmp_path: Path) -> None:
    store = tmp_path / "half.ckpt"
    ann_ckpt.save(store, network=DemoNetwork(seed=1))
    (store / "store.json").unlink()
    for command in ("info", "verify"):
        answer = run(command, str(store))
        assert answer.status == 3
        assert "a folder that has no store.json" in answer.err
        assert "a copy that is not complete" in answer.err


def test_ctrl_c_ends_quietly(run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def interrupted(path: Path) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("ann_ckpt.cli.demo._tour", interrupted)
    answer = run("demo", "--dir", tmp_path)
    assert (answer.status, answer.out, answer.err.strip()) == (130, "", "interrupted")


def test_a_reader_that_leaves_ends_quietly(shell: Run, demo_file: Path) -> None:
    answer = shell("ann-ckpt show demo.h5 projections/forward/w --rows : --json | true")
    assert answer.status == 141
    assert answer.err == ""


def test_every_error_class_has_its_code_and_a_status_between_1_and_125() -> None:
    classes = [
        c for c in vars(errors).values() if isinstance(c, type) and issubclass(c, errors.CheckpointError)
    ]
    codes = [c.code for c in classes]
    assert len(set(codes)) == len(codes)
    assert all(re.fullmatch(r"[a-z-]+", code) for code in codes)
    assert all(1 <= c.exit_status <= 125 for c in classes)


def test_main_leaves_with_status_zero_when_all_is_well(
    demo_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as left:
        entry(["info", str(demo_file)])
    assert left.value.code == 0
    assert capsys.readouterr().err == ""
