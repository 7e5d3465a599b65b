"""Old files on the command line: converted one by one and by folders, and looked into."""

from __future__ import annotations

import errno
import os
import pickle
from collections.abc import Iterator
from pathlib import Path

import pytest

import ann_ckpt
from ann_ckpt.errors import (
    CorruptFileError,
    FileMissingError,
    NotReadableError,
    OptionError,
    UnknownFormatError,
    UnsafeFileError,
)
from tests.acceptance.conftest import Run

HOSTILE = b"\x80\x02cposix\nsystem\nU\ntouch ran\x85R."


def spoil(path: Path) -> None:
    """Take the values of one attribute out of a pickle, as a version did that forgot to write them."""
    content = pickle.loads(path.read_bytes())
    del content["ff"]["w"]
    path.write_bytes(pickle.dumps(content))


def test_one_file_becomes_a_checkpoint(run: Run, old_files: Path) -> None:
    target = old_files / "2016.h5"
    answer = run("convert", old_files / "2016.data", target, "--dt", "0.5")
    assert (answer.status, answer.err) == (0, "")
    assert "converted " in answer.out
    assert "dt = 0.5 ms, as given" in answer.out
    state = ann_ckpt.read(target)
    assert state.projections["ff"].delays.tolist() == [1, 2, 3]
    assert (state.time_step, state.dt) == (40, 0.5)
    assert state.metadata["converted_from"]["file"] == "2016.data"
    assert ann_ckpt.verify(target).ok


@pytest.mark.parametrize("isolate", ["--isolate", "--no-isolate"])
def test_what_a_file_lost_is_said(run: Run, old_files: Path, isolate: str) -> None:
    source, target = old_files / "2016.data", old_files / "2016.h5"
    spoil(source)
    answer = run("convert", source, target, isolate)
    assert answer.status == 0
    assert "converted in part" in answer.out
    assert "ANNarchy 4.7.0 forgot" in answer.out
    found = run("convert", source, target, isolate, "--json").json
    assert found["partial"]
    assert found["lost"][0]["path"] == "projections/ff"
    assert (found["program"], found["versions"]) == ("ANNarchy", "4.7.0")


def test_a_folder_becomes_a_folder(run: Run, old_files: Path) -> None:
    (old_files / "old" / "notes.txt").write_text("not one of them")
    spoil(old_files / "old" / "deep" / "a.data")
    answer = run("convert", old_files / "old", old_files / "new")
    assert answer.status == 0
    assert answer.out.splitlines()[-1] == "converted 2, partial 1, refused 0"
    made = sorted(p.relative_to(old_files / "new").as_posix() for p in (old_files / "new").rglob("*.h5"))
    assert made == ["a.h5", "deep/a.data.h5", "deep/a.mat.h5"]
    for name in made:
        assert "ff" in ann_ckpt.read(old_files / "new" / name).projections


@pytest.mark.parametrize(
    "names",
    [("net.data", "net.npz", "net.data.bak"), ("a", "a.data", "a.data.gz", "a.data.bak", "a.data.bak.old")],
)
def test_every_file_of_a_folder_has_a_checkpoint_of_its_own(
    run: Run, old_files: Path, names: tuple[str, ...]
) -> None:
    """Also where the short name of one is the whole name of another."""
    (old_files / "many").mkdir()
    for step, name in enumerate(names):
        content = pickle.loads((old_files / "2016.data").read_bytes()) | {"time_step": step}
        (old_files / "many" / name).write_bytes(pickle.dumps(content))
    answer = run("convert", old_files / "many", old_files / "new")
    assert answer.out.splitlines()[-1] == f"converted {len(names)}, partial 0, refused 0"
    found = [ann_ckpt.read(path) for path in (old_files / "new").iterdir()]
    assert sorted(state.time_step for state in found) == list(range(len(names)))


def test_a_folder_that_cannot_be_listed_is_refused_and_the_others_go_on(
    run: Run, old_files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.scandir
    locked = old_files / "old" / "deep"

    def scandir(path: str) -> Iterator[os.DirEntry[str]]:
        if Path(path) == locked:
            raise PermissionError(errno.EACCES, "Permission denied", path)
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    answer = run("convert", old_files / "old", old_files / "new")
    assert answer.status == NotReadableError.exit_status
    assert answer.out.splitlines()[-1] == "converted 1, partial 0, refused 1"
    assert f"cannot list the folder: Permission denied\n  where:   {locked}" in answer.err
    answer = run("convert", locked, old_files / "newer")
    assert (answer.status, answer.out) == (NotReadableError.exit_status, "")
    assert f"cannot list the folder: Permission denied\n  where:   {locked}" in answer.err


def test_a_link_that_leads_nowhere_is_refused_and_the_others_go_on(run: Run, old_files: Path) -> None:
    (old_files / "old" / "b.data").symlink_to("/nonexistent")
    answer = run("convert", old_files / "old", old_files / "new")
    assert answer.status == FileMissingError.exit_status
    assert answer.out.splitlines()[-1] == "converted 3, partial 0, refused 1"
    assert "the file does not exist" in answer.err
    assert "b.data" in answer.err


def test_a_hostile_file_in_a_folder_is_refused_and_the_others_go_on(
    run: Run, old_files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(old_files)
    (old_files / "old" / "b.data").write_bytes(HOSTILE)
    (old_files / "old" / "c.data").write_bytes((old_files / "2016.data").read_bytes()[:-20])
    (old_files / "old" / "d.data").write_bytes(pickle.dumps([1, 2]))
    answer = run("convert", "old", "new")
    assert answer.status == UnsafeFileError.exit_status
    assert "converted 3, partial 0, refused 2" in answer.out
    assert "1 more" in answer.out
    assert "error[unsafe-file]" in answer.err
    assert "b.data" in answer.err
    assert "error[corrupt-file]" in answer.err
    assert not (old_files / "ran").exists()
    assert not (old_files / "new" / "b.h5").exists()
    documents = run("convert", "old", "new", "--json").json
    assert sorted(d["error"] for d in documents if "error" in d) == ["corrupt-file", "unsafe-file"]
    assert sum(not d["partial"] for d in documents if "partial" in d) == 3


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (("2016.data", "2016.data"), OptionError.exit_status),
        (("2016.data", "out.h5", "--dt", "-1"), OptionError.exit_status),
        (("2016.data", "out.h5", "--encoding", "klingon"), OptionError.exit_status),
        (("old", "2016.data"), OptionError.exit_status),
        (("missing.data", "out.h5"), 3),
        (("hostile.data", "out.h5"), UnsafeFileError.exit_status),
        (("cut.npz", "out.h5"), CorruptFileError.exit_status),
        (("words.txt", "out.h5"), UnknownFormatError.exit_status),
        (("2016.data", "words.txt/out.h5"), 9),
    ],
)
def test_a_refusal_has_its_status_and_leaves_nothing_behind(
    run: Run, old_files: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], status: int
) -> None:
    monkeypatch.chdir(old_files)
    Path("hostile.data").write_bytes(HOSTILE)
    Path("cut.npz").write_bytes(Path("trained.npz").read_bytes()[:-100])
    Path("words.txt").write_text("words")
    before = sorted(old_files.rglob("*"))
    answer = run("convert", *arguments)
    assert answer.status == status
    assert answer.out == ""
    assert answer.err.startswith("error[")
    assert sorted(old_files.rglob("*")) == before


def test_info_tells_who_wrote_an_old_file_and_what_it_lacks(run: Run, old_files: Path) -> None:
    spoil(old_files / "2016.data")
    answer = run("info", old_files / "2016.data")
    assert answer.status == 0
    for expected in ("ANNarchy 4.7.0", "in -> out", "40 steps", "per synapse", "lost", "forgot", "seeds"):
        assert expected in answer.out
    found = run("info", old_files / "2016.data", "--json").json
    assert [p["name"] for p in found["populations"]] == ["in", "out"]
    assert [note["path"] for note in found["lost"]] == ["projections/ff"]
    assert any("seeds" in note["text"] for note in found["notes"])


@pytest.mark.parametrize(
    ("name", "container"),
    [
        ("trained.npz", "npz"),
        ("old/a.txt.gz", "gzip"),
        ("old/deep/a.mat", "mat"),
        ("old/deep/a.data", "pickle"),
    ],
)
def test_info_on_every_container(run: Run, old_files: Path, name: str, container: str) -> None:
    isolated, here = (
        run("info", old_files / name, way, "--json").json for way in ("--isolate", "--no-isolate")
    )
    assert isolated == here
    assert (here["container"], here["kind"], here["time_step"]) == (container, "network", 40)


def test_info_runs_nothing(run: Run, old_files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(old_files)
    Path("hostile.data").write_bytes(HOSTILE)
    assert run("info", "hostile.data").status == UnsafeFileError.exit_status
    assert not Path("ran").exists()


def test_read_takes_old_files_and_says_what_they_lack(old_files: Path) -> None:
    state = ann_ckpt.read(old_files / "trained.npz", dt=0.5)
    assert state.projections["ff"].delays.tolist() == [1, 2, 3]
    assert any("seeds" in text for _, text in state.metadata["converted_from"]["notes"])


def test_a_circuit_goes_out_and_comes_back(run: Run, demo_file: Path) -> None:
    folder = demo_file.parent / "circuit"
    answer = run("export", demo_file, folder, "--format", "sonata")
    assert (answer.status, answer.err) == (0, "")
    assert "equations of neuron and synapse types are left out" in answer.out
    answer = run("convert", folder / "circuit_config.json", demo_file.parent / "again.h5")
    assert (answer.status, answer.err) == (0, "")
    before, after = ann_ckpt.read(demo_file), ann_ckpt.read(demo_file.parent / "again.h5")
    for name, projection in before.projections.items():
        assert after.projections[name].connectivity.equals(projection.connectivity)
        assert (after.projections[name]["w"] == projection["w"]).all()
    assert run("info", folder / "edges.h5").status == 0


def test_a_circuit_in_a_folder_is_one_network(run: Run, demo_file: Path, old_files: Path) -> None:
    """Its nodes and edges are not converted again on their own; what stands beside them is."""
    run("export", demo_file, old_files / "circuit", "--format", "sonata")
    edges = (old_files / "circuit" / "edges.h5").read_bytes()
    (old_files / "circuit" / "others.h5").write_bytes(edges)
    new, newer = old_files / "new", old_files / "newer"
    answer = run("convert", old_files / "circuit", new)
    assert (answer.status, answer.err) == (0, "")
    assert sorted(path.name for path in new.iterdir()) == ["circuit_config.h5", "others.h5"]
    (old_files / "circuit" / "circuit_config.json").write_text('{"networks": {"nodes": [{}]}}')
    answer = run("convert", old_files / "circuit", newer)
    assert answer.status == CorruptFileError.exit_status
    assert sorted(path.name for path in newer.iterdir()) == ["edges.h5", "nodes.h5", "others.h5"]


@pytest.mark.parametrize("target", ["out.h5", "out.ckpt", "out.ckpt@tag"])
def test_many_files_do_not_become_one_checkpoint(run: Run, demo_file: Path, target: str) -> None:
    folder = demo_file.parent / "circuit"
    run("export", demo_file, folder, "--format", "sonata")
    names = sorted(demo_file.parent.iterdir())
    answer = run("convert", folder, demo_file.parent / target)
    assert answer.status == 2
    assert "many files cannot be converted to one checkpoint" in answer.err
    assert str(folder / "circuit_config.json") in answer.err
    assert sorted(demo_file.parent.iterdir()) == names


def test_a_folder_with_nothing_to_convert_is_an_error(run: Run, tmp_path: Path) -> None:
    (tmp_path / "old").mkdir()
    answer = run("convert", tmp_path / "old", tmp_path / "new")
    assert (answer.status, answer.out) == (4, "")
    assert "no file below the folder" in answer.err


def test_a_table_of_one_projection(run: Run, demo_file: Path) -> None:
    table = demo_file.parent / "lateral.csv"
    answer = run("export", demo_file, table, "--projections", "lat*", "--json")
    assert answer.json["saved"] == ["projections/lateral"]
    assert table.read_text().splitlines()[0] == "pre,post,delay,eta,rho,w"


def test_the_name_of_a_table_is_one_of_its_format(run: Run, demo_file: Path) -> None:
    folder = demo_file.parent
    table = ("--format", "csv", "--projections", "lateral")
    assert run("export", demo_file, folder / "edges.CSV", *table).status == 0
    assert (folder / "edges.CSV").is_file()
    for name, more in (("edges.txt", table), ("edges.parquet", table), ("out.h5", ("--format", "sonata"))):
        answer = run("export", demo_file, folder / name, *more)
        assert (answer.status, answer.out) == (2, "")
        assert not (folder / name).exists()
    answer = run("export", demo_file, folder / "a.csv", *table, "--compression", "gzip")
    assert (answer.status, "is for checkpoints" in answer.err) == (2, True)
    assert not (folder / "a.csv").exists()
    assert run("export", demo_file, folder / "tables.2026", "--format", "csv").status == 0


def test_an_export_does_not_replace_its_source_or_another_file(run: Run, demo_file: Path) -> None:
    assert run("export", demo_file, demo_file).status == OptionError.exit_status
    (demo_file.parent / "full").mkdir()
    (demo_file.parent / "full" / "mine").touch()
    answer = run("export", demo_file, demo_file.parent / "full", "--format", "parquet")
    assert "not empty" in answer.err
    assert run("export", demo_file, demo_file.parent / "x.txt").status == OptionError.exit_status
