"""What commands write over, and what they leave alone."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pytest

import ann_ckpt
from ann_ckpt.demo import DemoNetwork
from ann_ckpt.errors import NotWritableError
from tests.acceptance.conftest import Run


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a checkpoint, an old file, a store and a parameter file."""
    monkeypatch.chdir(tmp_path)
    network = DemoNetwork(seed=1)
    for name in ("a.h5", "old.data", "run.ckpt"):
        ann_ckpt.save(name, network=network)
    Path("p.json").write_text(json.dumps({"populations": {"layer": {"tau": 77.0}}}))
    return tmp_path


COMMANDS = {
    "apply": ("params", "apply", "p.json", "--checkpoint", "a.h5", "-o"),
    "convert": ("convert", "old.data"),
    "export": ("export", "run.ckpt"),
    "extract": ("params", "extract", "a.h5", "-o"),
    "schema": ("params", "schema", "--checkpoint", "a.h5", "-o"),
}
OF_NETWORKS = ("apply", "convert", "export")


@pytest.mark.parametrize("command", COMMANDS)
def test_only_ordinary_files_that_may_be_written_are_replaced(run: Run, here: Path, command: str) -> None:
    os.mkfifo("pipe.h5")
    Path("folder.h5").mkdir()
    Path("locked.h5").write_bytes(Path("a.h5").read_bytes() if command in OF_NETWORKS else b"{}")
    Path("locked.h5").chmod(0o444)
    names = sorted(here.iterdir())
    for target in ("pipe.h5", "folder.h5", "locked.h5"):
        before = Path(target).lstat()
        answer = run(*COMMANDS[command], target)
        assert answer.status in (3, 9)
        assert "cannot write: " in answer.err
        assert target in answer.err
        after = Path(target).lstat()
        assert (after.st_ino, after.st_mode, after.st_mtime_ns) == (
            before.st_ino,
            before.st_mode,
            before.st_mtime_ns,
        )
    assert sorted(here.iterdir()) == names


@pytest.mark.parametrize("command", COMMANDS)
def test_files_of_another_kind_are_not_replaced(run: Run, here: Path, command: str) -> None:
    target = "other.h5"
    Path(target).write_bytes(b"precious" if command in OF_NETWORKS else Path("a.h5").read_bytes())
    before = Path(target).read_bytes()
    answer = run(*COMMANDS[command], target)
    assert answer.status != 0
    assert "the file that is there is" in answer.err
    assert Path(target).read_bytes() == before


TEXTS = (
    "params table a.h5 -o V.h5",
    "params extract a.h5 -o V.h5",
    "params schema --checkpoint a.h5 -o V.h5",
    "params validate p.json --output V.h5",
    "params validate p.json --report json=V.h5",
    "params validate p.json --report human=good.txt --report junit=V.h5",
    "params validate p.json --write-baseline V.h5",
    "export a.h5 V.h5 --format graphml",
    "export a.h5 V.graphml",
    "export a.h5 V.csv --projections lateral",
    "export a.h5 V.parquet --projections lateral",
    "plot a.h5 populations/layer/r -o V.png",
    "report a.h5 -o V.h5",
    "runs . --parquet V.h5",
    "verify-resume no.py:model --at 1s --for 2s --junit V.xml",
)


@pytest.mark.parametrize("line", TEXTS)
def test_no_text_and_no_picture_replaces_a_checkpoint(run: Run, here: Path, line: str) -> None:
    name = next(word.rpartition("=")[2] for word in line.split() if "V." in word)
    Path(name).write_bytes(Path("a.h5").read_bytes())
    names = sorted(here.iterdir())
    answer = run(*line.split())
    assert answer.status in (3, 9)
    assert "the file that is there is an HDF5 file" in answer.err
    assert name in answer.err
    assert Path(name).read_bytes() == Path("a.h5").read_bytes()
    assert sorted(here.iterdir()) == names


@pytest.mark.parametrize("line", TEXTS)
def test_no_text_and_no_picture_replaces_a_file_of_another_program(run: Run, here: Path, line: str) -> None:
    name = next(word.rpartition("=")[2] for word in line.split() if "V." in word)
    for old, program in (("old.data", "ANNarchy"), ("circuit/circuit_config.json", "SONATA")):
        if program == "SONATA":
            run("export", "a.h5", "circuit", "--format", "sonata")
        content = Path(old).read_bytes()
        Path(name).write_bytes(content)
        answer = run(*line.split())
        assert answer.status in (3, 9)
        assert f"the file that is there is one of {program}" in answer.err
        assert Path(name).read_bytes() == content


@pytest.mark.parametrize("name", ["store.json", "lock", "catalog", "checkpoints/x.html", "objects/ab/x.html"])
def test_no_text_is_written_where_a_store_keeps_its_own(run: Run, here: Path, name: str) -> None:
    Path("link.ckpt").symlink_to("run.ckpt")
    before = {path: path.is_file() and path.read_bytes() for path in Path("run.ckpt").rglob("*")}
    for store in ("run.ckpt", "link.ckpt"):
        answer = run("report", "a.h5", "-o", f"{store}/{name}")
        assert (answer.status, answer.out) == (NotWritableError.exit_status, "")
        assert "the path belongs to a store" in answer.err
    assert {path: path.is_file() and path.read_bytes() for path in Path("run.ckpt").rglob("*")} == before


def test_a_text_may_lie_beside_what_a_store_keeps(run: Run, here: Path) -> None:
    for target in ("run.ckpt/params.json", "run.ckpt/notes/lock", "objects/checkpoints/x.json"):
        Path(target).parent.mkdir(parents=True, exist_ok=True)
        for _ in range(2):
            assert run("params", "extract", "a.h5", "-o", target).status == 0


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("before", ["nothing", "an empty file", "one of the kind"])
def test_files_of_the_kind_and_empty_ones_are_replaced(
    run: Run, here: Path, command: str, before: str
) -> None:
    target = "new/out.h5" if before == "nothing" else "out.h5"
    if before == "an empty file":
        Path(target).touch()
    elif before == "one of the kind":
        Path(target).write_bytes(Path("a.h5").read_bytes() if command in OF_NETWORKS else b"{}")
    answer = run(*COMMANDS[command], target)
    assert (answer.status, answer.err) == (0, "")
    if command in OF_NETWORKS:
        assert ann_ckpt.verify(target).ok
    else:
        json.loads(Path(target).read_text())


@pytest.mark.parametrize("name", ["a.h5", "./a.h5", "link.h5"])
def test_apply_leaves_the_checkpoint_that_it_reads(run: Run, here: Path, name: str) -> None:
    Path("link.h5").symlink_to("a.h5")
    before = Path("a.h5").read_bytes()
    answer = run(*COMMANDS["apply"], name)
    assert answer.status == 2
    assert "would overwrite the input" in answer.err
    assert Path("a.h5").read_bytes() == before


def test_a_checkpoint_of_a_store_may_be_changed_into_a_new_one_of_it(run: Run, here: Path) -> None:
    answer = run("params", "apply", "p.json", "--checkpoint", "run.ckpt@0", "-o", "run.ckpt@hot")
    assert answer.status == 0
    assert ann_ckpt.open("run.ckpt@000000000000").populations["layer"]["tau"] != 77.0
    assert ann_ckpt.open("run.ckpt@hot").populations["layer"]["tau"] == 77.0


@pytest.mark.parametrize(
    "line",
    [
        "demo --dir V",
        "params init a.h5 --folder V",
        "verify-resume model.py:build --at 2ms --for 2ms --directory V",
    ],
)
@pytest.mark.parametrize("folder", ["file/sub", "/dev/null/x"])
def test_a_folder_that_cannot_be_made_is_said(run: Run, here: Path, line: str, folder: str) -> None:
    Path("file").write_text("precious")
    Path("model.py").write_text("")
    names = sorted(here.iterdir())
    answer = run(*line.replace("V", folder).split())
    assert (answer.status, answer.out) in ((3, ""), (9, ""))
    assert answer.err.startswith("error[not-writable]: cannot write: ")
    assert folder in answer.err
    assert sorted(here.iterdir()) == names


def test_a_demo_makes_its_folder(run: Run, here: Path) -> None:
    assert run("demo", "--dir", "one/two", "--json").status == 0
    assert ann_ckpt.verify("one/two/demo.h5").ok


@pytest.mark.parametrize(
    ("chosen", "other"), [("populations", "projections"), ("projections", "populations")]
)
def test_a_comparison_of_some_objects_of_one_kind_has_all_of_the_other(
    run: Run, here: Path, chosen: str, other: str
) -> None:
    some = next(iter(getattr(ann_ckpt.read("a.h5"), chosen)))
    network = DemoNetwork(seed=1)
    network.simulate(3)
    ann_ckpt.save("later.h5", network=network)
    found = run("diff", "a.h5", "later.h5", f"--{chosen}", some, "--exit-code", "--json").json
    assert any(change["path"].startswith(f"{other}/") for change in found["changed"])


ANYWHERE = (
    ("info",),
    ("ls",),
    ("tree",),
    ("verify",),
    ("log",),
    ("gc",),
    ("prune", "--keep-last", "1"),
    ("diff", "a.h5"),
    ("export", "run.ckpt"),
    ("add", "run.ckpt"),
    ("convert", "old.data"),
    ("params", "validate"),
    ("params", "extract"),
    ("params", "diff", "p.json"),
    ("params", "apply", "p.json", "--dry-run", "--checkpoint"),
    ("params", "apply", "p.json", "--checkpoint", "a.h5", "-o"),
    ("params", "extract", "a.h5", "-o"),
    ("params", "schema", "--general", "-o"),
)


READING = (
    ("info",),
    ("ls",),
    ("tree",),
    ("verify",),
    ("log",),
    ("gc",),
    ("prune", "--keep-last", "1"),
    ("diff", "a.h5"),
    ("add", "run.ckpt"),
    ("params", "extract"),
    ("params", "apply", "p.json", "--dry-run", "--checkpoint"),
)
"""What takes addresses; tests/remote has them."""


@pytest.mark.parametrize("command", ANYWHERE, ids=" ".join)
def test_every_command_refuses_schemes_by_name(run: Run, here: Path, command: tuple[str, ...]) -> None:
    names = sorted(here.iterdir())
    answer = run(*command, "hf://bucket/run.ckpt" if command in READING else "s3://bucket/run.ckpt")
    assert answer.status != 0
    assert re.search("the scheme '(s3|hf)' is not supported", answer.err + answer.out)
    assert sorted(here.iterdir()) == names


def test_standard_output_is_no_target_of_an_export_or_a_page(run: Run, here: Path) -> None:
    names = sorted(here.iterdir())
    for more in ((), ("--format", "csv", "--projections", "lateral")):
        answer = run("export", "a.h5", "-", *more)
        assert answer.status == 2
        assert "cannot write to standard output" in answer.err
    answer = run("report", "a.h5", "-o", "-")
    assert answer.status == 2
    assert "cannot write to standard output" in answer.err
    assert sorted(here.iterdir()) == names


def test_a_folder_cannot_be_written_where_a_device_is(run: Run, here: Path) -> None:
    answer = run("export", "a.h5", "/dev/full", "--format", "sonata")
    assert answer.status == 9
    assert "the path is not a folder" in answer.err
    assert "/dev/full" in answer.err
