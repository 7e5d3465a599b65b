"""One process at a time compiles into a directory, and libraries of an interrupted one are removed."""

from __future__ import annotations

import errno
import fcntl
import os
import subprocess
import sys
from pathlib import Path

import pytest

import ann_ckpt.annarchy
from ann_ckpt.adapters.annarchy.building import build_directory
from ann_ckpt.errors import NotWritableError

ROOT = Path(__file__).parents[4]
OTHER = """
import sys
from ann_ckpt.adapters.annarchy.building import build_directory
print("asking", flush=True)
with build_directory(sys.argv[1]) as directory:
    print(directory, flush=True)
"""


def test_another_process_waits_for_the_end_of_the_block(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "annarchy"
    with build_directory(path) as directory:
        assert directory == str(path)
        other = subprocess.Popen(
            [sys.executable, "-c", OTHER, path], cwd=ROOT, stdout=subprocess.PIPE, text=True
        )
        assert other.stdout is not None
        assert other.stdout.readline() == "asking\n"
        with pytest.raises(subprocess.TimeoutExpired):
            other.wait(0.3)
    assert other.communicate(timeout=60)[0] == f"{path}\n"


def test_libraries_of_an_interrupted_compilation_are_removed_and_others_stay(tmp_path: Path) -> None:
    path = tmp_path / "annarchy"
    path.mkdir()
    library, source = path / "ANNarchyWrapper0.so", path / "release"
    for file in (library, source):
        file.write_text("x")
    with build_directory(path):
        assert library.exists()
    with pytest.raises(SystemExit), build_directory(path):
        assert library.exists()
        raise SystemExit(75)
    with build_directory(path):
        assert not library.exists()
        assert source.exists()
        library.write_text("x")
    with build_directory(path):
        assert library.exists()


def test_without_locks_each_process_has_a_directory_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOSYS, "no such locks")

    monkeypatch.setattr(fcntl, "flock", refuse)
    with build_directory(tmp_path / "annarchy") as directory:
        assert directory.startswith(f"{tmp_path}/annarchy-")
        assert directory.endswith(f"-{os.getpid()}")


def test_where_nothing_can_be_written_it_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(NotWritableError), build_directory(tmp_path / "file" / "annarchy"):
        pass


class Empty:
    """A network without objects."""

    def get_populations(self) -> list[object]:
        return []

    get_projections = get_populations


def test_compile_takes_the_directory_that_it_is_told_then_that_of_the_job(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("ANN_CKPT_BUILD", raising=False)
    told: list[object] = []
    monkeypatch.setattr(ann_ckpt.annarchy, "compile_instrumented", lambda _, **options: told.append(options))
    ann_ckpt.annarchy.compile(Empty())
    monkeypatch.setenv("ANN_CKPT_BUILD", "of-the-job")
    ann_ckpt.annarchy.compile(Empty(), silent=True)
    ann_ckpt.annarchy.compile(Empty(), directory="told")
    assert told == [
        {"directory": str(tmp_path / "annarchy")},
        {"directory": str(tmp_path / "of-the-job"), "silent": True},
        {"directory": str(tmp_path / "told")},
    ]
