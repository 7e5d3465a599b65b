"""File systems and folders as they are: what cannot be synced or locked, and what others put into a store."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import ann_ckpt
from ann_ckpt import CheckpointStore, NetworkState, PopulationState, Retention, differences, durable
from ann_ckpt.errors import FileMissingError, LockedError, NotReadableError, NotWritableError, UnsafeFileError
from ann_ckpt.store.folder import StoreFolder
from ann_ckpt.store.owners.lock import FileLock
from tests.store.dying import Killed, Mortal
from tests.store.powercut import recording
from tests.store.runs import state

CANNOT_SYNC = (errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EBADF, 524)
CANNOT_LOCK = (524, errno.EIO, errno.EINVAL, errno.EROFS, errno.ENOSYS, errno.ENOTSUP, errno.ENOLCK)


def same(store: CheckpointStore, *steps: int) -> None:
    assert [c.time_step for c in store.checkpoints] == list(steps)
    assert store.verify().ok
    assert not list(differences(store.latest.state(), state(steps[-1])))


def refuse_fsync(
    patch: pytest.MonkeyPatch, number: int, which: Callable[[Path], bool] = Path.is_dir
) -> list[Path]:
    """Refuse to sync certain files or folders; return those that were refused."""
    real = os.fsync
    refused: list[Path] = []

    def fsync(descriptor: int) -> None:
        path = Path(f"/proc/self/fd/{descriptor}").readlink()
        if which(path):
            refused.append(path)
            raise OSError(number, os.strerror(number))
        real(descriptor)

    patch.setattr(os, "fsync", fsync)
    return refused


# --- What cannot be synced or locked ----------------------------------------------------


@pytest.mark.parametrize("number", CANNOT_SYNC)
def test_a_store_where_folders_cannot_be_synced(path, monkeypatch, number):
    refused = refuse_fsync(monkeypatch, number)
    with CheckpointStore(path, "a") as store:
        for step in (0, 1, 2):
            store.save(state(step))
        store.prune(keep_last=2)
        store.gc()
        same(store, 1, 2)
    assert {path, path / "objects", path / "checkpoints"} <= set(refused)
    with CheckpointStore(path, "w") as store:
        store.save(state(7))
        same(store, 7)


@pytest.mark.parametrize("number", CANNOT_LOCK)
def test_where_flock_is_refused_the_file_is_the_lock(path, monkeypatch, number):
    def flock(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("fcntl.flock", flock)
    with CheckpointStore(path, "a") as store:
        store.save(state(0))
        with pytest.raises(LockedError):
            FileLock(path / "lock", "is another process").acquire()
    with CheckpointStore(path, "a") as store:
        store.save(state(1))
        same(store, 0, 1)


# --- Made durable, at once or by the next save -------------------------------------------


def test_every_folder_above_a_new_store_is_synced(tmp_path):
    with recording(tmp_path) as recorded, CheckpointStore(tmp_path / "deep" / "er" / "new.ckpt", "a"):
        pass
    synced = {path for what, path, content in recorded.calls if what == "sync" and content is None}
    assert {".", "deep", "deep/er", "deep/er/new.ckpt"} <= synced


def test_a_store_whose_maker_died_before_its_name_was_safe_is_made_safe_by_the_next(tmp_path, path):
    CheckpointStore(path, "a").close()
    with recording(tmp_path) as recorded, CheckpointStore(path, "a"):
        pass
    assert ("sync", ".", None) in recorded.calls


@pytest.mark.parametrize("which", ["objects", "prefixes"])
def test_a_folder_of_objects_that_could_not_be_synced_is_synced_by_the_next_save(path, which):
    def refused(folder: Path) -> bool:
        return folder.is_dir() and (folder if which == "objects" else folder.parent).name == "objects"

    with CheckpointStore(path, "a") as store:
        with pytest.MonkeyPatch.context() as patch:
            assert refuse_fsync(patch, errno.EIO, refused) is not None
            with pytest.raises(NotWritableError):
                store.save(state(0))
        assert len(store) == 0
    left = {p.name for p in (path / "objects").iterdir()}
    with CheckpointStore(path, "a") as store, recording(path) as recorded:
        store.save(state(0))
        same(store, 0)
    commit = next(i for i, (what, _, to) in enumerate(recorded.calls) if str(to).startswith("checkpoints/"))
    synced = {path for what, path, content in recorded.calls[:commit] if what == "sync" and content is None}
    assert "objects" in synced
    assert {f"objects/{name}" for name in left} <= synced


# --- Creation ---------------------------------------------------------------------------

MAKING = ("mkdir", "fsync", "replace", "unlink", "open", "close", "ftruncate", "pwrite", "write")


class Interrupting:
    """Does something once, before the n-th of all calls that make a store."""

    def __init__(self, after: int, then: Callable[[], None]) -> None:
        self.left = after
        self.then: Callable[[], None] | None = then

    def install(self, patch: pytest.MonkeyPatch) -> None:
        for name in MAKING:
            patch.setattr(os, name, self.wrap(getattr(os, name)))

    def wrap(self, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            if not self.left and self.then is not None:
                then, self.then = self.then, None
                then()
            self.left = max(0, self.left - 1)
            return real(*args, **kwargs)

        return call


def close_all_below(path: Path) -> None:
    """Close what the system closes when a process ends."""
    for entry in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):
            if path in entry.readlink().parents:
                os.close(int(entry.name))


CALLS_TO_MAKE_ONE = 40
"""More than making a store takes."""


@pytest.mark.parametrize("exists", [False, True])
@pytest.mark.parametrize("after", range(CALLS_TO_MAKE_ONE))
def test_an_interrupted_creation_is_completed_by_the_next(path, after, exists):
    if exists:
        path.mkdir()
    mortal = Mortal(after)
    with pytest.MonkeyPatch.context() as patch:
        for name in MAKING:
            patch.setattr(os, name, mortal.wrap(getattr(os, name)))
        with contextlib.suppress(Killed):
            CheckpointStore(path, "a").close()
    close_all_below(path)
    durable._IN_USE.clear()  # what a dead process was writing, nobody writes
    ann_ckpt.save(path, network=state(3))
    with CheckpointStore(path) as store:
        same(store, 3)
    assert sorted(p.name for p in path.iterdir()) == ["catalog", "checkpoints", "objects", "store.json"]


@pytest.mark.parametrize("after", range(0, CALLS_TO_MAKE_ONE, 2))
def test_another_one_who_makes_the_store_at_any_moment_gets_the_same(path, after):
    def rival() -> None:
        with pytest.MonkeyPatch.context() as patch:
            for name in MAKING:
                patch.setattr(os, name, REAL[name])
            StoreFolder(path).create({"compression": "auto"})

    with pytest.MonkeyPatch.context() as patch:
        Interrupting(after, rival).install(patch)
        with CheckpointStore(path, "a") as store:
            store.save(state(2))
    with CheckpointStore(path) as store:
        same(store, 2)


JOB = """
import pathlib, sys, ann_ckpt
from tests.store.runs import state
network = state(int(sys.argv[2]))
print("ready", flush=True)
sys.stdin.readline()
try:
    ann_ckpt.save(sys.argv[1], network=network)
    print("saved")
except ann_ckpt.errors.LockedError:
    print("locked")
"""


def test_two_jobs_that_make_one_store_at_the_same_time_both_get_it(tmp_path):
    root = Path(__file__).parents[2]
    for turn in range(3):
        path = tmp_path / f"{turn}.ckpt"
        command = [sys.executable, "-c", JOB, path]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "cwd": root}
        jobs = [subprocess.Popen([*command, str(step)], **pipes) for step in (1, 2)]
        for job in jobs:
            job.stdout.readline()
        for job in jobs:
            job.stdin.write("\n")
            job.stdin.flush()
        said = sorted(job.communicate()[0].split()[-1] for job in jobs)
        assert said in (["saved", "saved"], ["locked", "saved"])
        with CheckpointStore(path) as store:
            assert len(store) == said.count("saved")
            assert store.verify().ok


REAL = {name: getattr(os, name) for name in MAKING}


def test_a_dangling_link_becomes_a_store_where_it_points(tmp_path):
    (tmp_path / "run.ckpt").symlink_to(tmp_path / "scratch" / "run.ckpt")
    ann_ckpt.save(tmp_path / "run.ckpt", network=state(1))
    assert (tmp_path / "run.ckpt").is_symlink()
    with CheckpointStore(tmp_path / "scratch" / "run.ckpt") as store:
        same(store, 1)


@pytest.mark.parametrize("content", ["a file", "notes.txt", "checkpoints/000000000001.h5", "objects/ab/x.h5"])
@pytest.mark.parametrize("mode", ["a", "w"])
def test_what_is_no_unfinished_store_is_left_alone(path, content, mode):
    if content == "a file":
        path.write_text("years of work")
    else:
        (path / content).parent.mkdir(parents=True)
        (path / content).write_text("years of work")
    before = {p: p.is_file() and p.read_bytes() for p in [path, *path.rglob("*")]}
    with pytest.raises(NotWritableError, match="the path exists and is not a store"):
        CheckpointStore(path, mode)
    with pytest.raises(NotWritableError, match="the path exists and is not a store"):
        ann_ckpt.save(path, network=state(1))
    assert {p: p.is_file() and p.read_bytes() for p in [path, *path.rglob("*")]} == before


@pytest.mark.parametrize("stranger", [".DS_Store", "._checkpoints", ".nfs00000001", "lost+found"])
def test_what_systems_put_into_folders_does_not_hinder_a_new_store(path, stranger):
    (path / stranger).mkdir(parents=True)
    ann_ckpt.save(path, network=state(1))
    with CheckpointStore(path) as store:
        same(store, 1)


def test_a_store_that_was_write_protected_as_a_whole_stays_as_it_is(path):
    ann_ckpt.save(path, network=state(1))
    path.chmod(0o555)
    try:
        for change in (
            lambda: CheckpointStore(path, "a"),
            lambda: CheckpointStore(path, "w"),
            lambda: CheckpointStore(path, "prune").gc(),
        ):
            with pytest.raises(NotWritableError, match="write-protected"):
                change()
        with CheckpointStore(path) as store:
            same(store, 1)
    finally:
        path.chmod(0o755)


# --- The working folder -----------------------------------------------------------------


def test_a_store_opened_by_a_relative_path_stays_where_it_is(tmp_path, monkeypatch):
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    store = CheckpointStore("run.ckpt", "a", retention=Retention(keep_last=3))
    store.save(state(0))
    read, reader = store.latest, CheckpointStore("run.ckpt")
    opened = ann_ckpt.open("run.ckpt/checkpoints/000000000000.h5")
    monkeypatch.chdir("elsewhere")
    for step in (1, 2):
        store.save(state(step))
    same(store, 0, 1, 2)
    same(reader, 0, 1, 2)
    assert not list(differences(read.state(), state(0)))
    assert not list(differences(opened.state(), state(0)))
    store.save(state(3), background=True)
    monkeypatch.chdir("/")
    store.close()
    same(reader, 1, 2, 3)
    assert Path(reader.path) == tmp_path / "run.ckpt"
    assert sorted(p.name for p in (tmp_path / "run.ckpt").iterdir()) == [
        "catalog",
        "checkpoints",
        "objects",
        "store.json",
    ]
    assert list((tmp_path / "elsewhere").iterdir()) == []


WITHOUT_A_WORKING_FOLDER = """
import os, sys, ann_ckpt
from ann_ckpt.demo import DemoNetwork
root = sys.argv[1]
os.mkdir(f"{root}/gone")
os.chdir(f"{root}/gone")
os.rmdir(f"{root}/gone")
net = DemoNetwork(seed=1)
for name in ("x.h5", "x.mat", "x.data", "run.ckpt", "new/y.h5"):
    ann_ckpt.save(f"{root}/{name}", network=net)
ann_ckpt.save_parameters(f"{root}/x.json", network=net)
with ann_ckpt.CheckpointStore(f"{root}/run.ckpt", "a") as store:
    net.simulate(1)
    store.save(net)
    store.export(-1, f"{root}/exported.h5")
    assert store.verify().ok
ann_ckpt.convert(f"{root}/x.data", f"{root}/converted.h5", isolate=True)
assert ann_ckpt.diff(f"{root}/x.h5", f"{root}/new/y.h5").same
ann_ckpt.load(f"{root}/x.h5", network=net)
try:
    ann_ckpt.save("relative.h5", network=net)
except ann_ckpt.errors.CheckpointError as error:
    print(type(error).__name__)
"""


def test_absolute_targets_need_no_working_folder(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_A_WORKING_FOLDER, tmp_path],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parents[2],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.split() == ["NotWritableError"]


# --- Files of others, and folders that are not there ------------------------------------------


def strangers(path: Path) -> list[Path]:
    """What macOS, NFS, synchronising programs and people put beside files."""
    (prefix,) = sorted((path / "objects").iterdir())[:1]
    (known, *_) = sorted(prefix.iterdir())
    put = [
        prefix / f"._{known.name}",
        prefix / "._abc.h5",
        prefix / ".nfs000000000001",
        prefix / "copy of.h5",
        prefix / f"{known.stem.upper()}.h5",
        prefix / f"{'0' * 32}x.h5",
        path / "objects" / "._.h5",
        path / "objects" / ".syncthing.abc.tmp",
        path / "objects" / "zz" / f"{'a' * 32}.h5",
        path / "objects" / ".DS_Store",
        path / "checkpoints" / "._000000000000.h5",
        path / "checkpoints" / ".DS_Store",
        path / "checkpoints" / "000000000000 (conflict).h5",
        path / "._store.json",
    ]
    for file in put:
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(b"\0\5\x16\7")
    return put


def test_files_of_others_are_no_part_of_a_store(path):
    with CheckpointStore(path, "a", retention=Retention(keep_last=2)) as store:
        store.save(state(0))
        put = strangers(path)
        same(store, 0)
        for step in (1, 2, 3):
            report = store.save(state(step))
            assert report.notes == ()
        assert report.pruned == ("000000000001",)
        same(store, 2, 3)
        assert store.gc().objects == 0
        assert store.prune(keep_last=1).removed == ("000000000002",)
        same(store, 3)
    with CheckpointStore(path, "w") as store:
        store.save(state(9))
        same(store, 9)
    assert all(file.read_bytes() == b"\0\5\x16\7" for file in put)


def test_sweeping_leaves_files_of_others(path):
    ann_ckpt.save(path, network=state(0))
    put = strangers(path)
    left = path / "objects" / ".new-0.tmp"
    left.touch()
    (path / "lock.change").write_text(f'{{"host": "{os.uname().nodename}", "pid": 1}}')
    with CheckpointStore(path, "a") as store:
        assert "removed the leftovers" in str(store.save(state(1)))
        same(store, 0, 1)
    assert not left.exists()
    assert all(file.read_bytes() == b"\0\5\x16\7" for file in put)


def test_a_linked_folder_does_not_lead_into_another_store(path, tmp_path):
    ann_ckpt.save(path, network=state(0))
    ann_ckpt.save(tmp_path / "other.ckpt", network=state(5))
    theirs = next((tmp_path / "other.ckpt" / "objects").iterdir())
    ours = path / "objects" / theirs.name
    if ours.exists():
        shutil.rmtree(ours)
    ours.symlink_to(theirs)
    with pytest.raises(UnsafeFileError, match="symbolic link"):
        CheckpointStore(path, "prune").gc()
    with CheckpointStore(tmp_path / "other.ckpt") as store:
        same(store, 5)


@pytest.mark.parametrize("missing", [("checkpoints",), ("objects",), ("checkpoints", "objects")])
def test_empty_folders_that_a_copy_left_out(path, missing):
    CheckpointStore(path, "a").close()
    for name in missing:
        (path / name).rmdir()
    with CheckpointStore(path) as store:
        assert (len(store), store.checkpoints, list(store)) == (0, [], [])
        assert store.verify().ok
        assert "0 checkpoints" in repr(store)
        assert store.gc(dry_run=True).objects == 0
        with pytest.raises(FileMissingError, match="no checkpoints yet"):
            _ = store.latest
    with CheckpointStore(path, "prune") as store:
        assert store.prune(keep_last=1).removed == ()
    with CheckpointStore(path, "a") as store:
        store.save(state(1))
        same(store, 1)


def test_folders_that_vanish_while_a_store_is_open_are_made_again(path):
    small = NetworkState(populations=[PopulationState("p", (3,), variables={"r": np.zeros(3)})], time_step=1)
    with CheckpointStore(path, "a") as store:
        store.save(small)
        (path / "objects").rmdir()
        store.save(state(2))
        for folder in sorted((path / "objects").iterdir()):
            if not any(folder.iterdir()):
                folder.rmdir()
        assert store.verify().ok
        assert not list(differences(store.latest.state(), state(2)))


def test_a_store_that_vanishes_while_it_is_open_is_said_to_be_missing(path):
    ann_ckpt.save(path, network=state(1))
    with CheckpointStore(path) as store:
        shutil.rmtree(path)
        with pytest.raises(FileMissingError, match="the store does not exist"):
            len(store)


@pytest.mark.parametrize("name", ["checkpoints", "objects"])
def test_a_file_in_place_of_a_folder_is_said(path, name):
    CheckpointStore(path, "a").close()
    (path / name).rmdir()
    (path / name).write_text("what is this?")
    with pytest.raises(NotReadableError, match="not a folder"), CheckpointStore(path) as store:
        _ = store.gc(dry_run=True)
    with CheckpointStore(path, "a") as store, pytest.raises((NotReadableError, NotWritableError)):
        store.save(state(1))


# --- Removing that is refused -----------------------------------------------------------------


def refuse_unlink(patch: pytest.MonkeyPatch, which: Callable[[str], bool]) -> None:
    real = os.unlink

    def unlink(path: Any, **kwargs: Any) -> None:
        if which(os.fspath(path)):
            raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))
        real(path, **kwargs)

    patch.setattr(os, "unlink", unlink)


def files(path: Path) -> set[str]:
    return {os.fspath(p.relative_to(path)) for p in path.rglob("*") if p.is_file()}


@pytest.fixture
def pruned(tmp_path: Path) -> set[str]:
    """The files that stay when all is removed that is to be."""
    other = tmp_path / "pruned.ckpt"
    with CheckpointStore(other, "a") as store:
        for step in (0, 1, 2):
            store.save(state(step))
        store.prune(keep_last=1)
    return files(other)


@pytest.mark.parametrize("then", ["save", "gc", "another process"])
@pytest.mark.parametrize("refused", ["/objects/", "/checkpoints/", "/000000000000.h5"])
def test_what_prune_could_not_remove_is_removed_later(path, pruned, refused, then):
    with CheckpointStore(path, "a") as store:
        for step in (0, 1, 2):
            store.save(state(step))
    with CheckpointStore(path, "prune") as pruner:
        with pytest.MonkeyPatch.context() as patch:
            refuse_unlink(patch, lambda name: refused in name)
            with pytest.raises(
                NotWritableError, match=r"(?s)cannot remove: .*every checkpoint that is there"
            ) as caught:
                pruner.prune(keep_last=1)
            assert "untouched" not in str(caught.value)
        assert pruner.verify().ok
        if then == "gc":
            pruner.gc()
            pruner.prune(keep_last=1)
    if then != "gc":
        with CheckpointStore(path, "a") as store:
            assert "removed the leftovers" in str(store.save(state(2)))
            store.prune(keep_last=1)
            (last,) = store.checkpoints
        assert last.name == "000000000002-1"
        needed = {f.replace("000000000002", "000000000002-1") for f in pruned if f.startswith("checkpoints")}
        assert files(path) == needed | {f for f in pruned if not f.startswith("checkpoints")}
    else:
        assert files(path) == pruned


def test_what_a_failed_save_could_not_remove_is_removed_by_the_next(path):
    with CheckpointStore(path, "a") as store:
        store.save(state(0))
        with pytest.MonkeyPatch.context() as patch:
            refuse_fsync(patch, errno.EIO, lambda p: p.name == "objects")
            refuse_unlink(patch, lambda name: "/objects/" in name)
            with pytest.raises(NotWritableError):
                store.save(state(500))
    with CheckpointStore(path, "a") as store:
        assert "removed the leftovers" in str(store.save(state(1)))
        assert store.gc(dry_run=True).objects == 0
        same(store, 0, 1)
    assert not (path / "unswept").exists()


def test_a_repaired_object_stays_when_the_save_that_repaired_it_fails(path):
    ann_ckpt.save(path, network=state(0))
    victim = max((path / "objects").glob("*/*.h5"), key=lambda p: p.stat().st_size)
    whole = victim.read_bytes()
    victim.write_bytes(whole[:1000])
    with CheckpointStore(path, "a") as store, pytest.MonkeyPatch.context() as patch:
        refuse_fsync(patch, errno.EIO, lambda p: p.name == "objects")
        with pytest.raises(NotWritableError):
            store.save(state(0))
    with CheckpointStore(path) as store:
        same(store, 0)


@pytest.mark.parametrize(
    "error", [PermissionError(errno.EPERM, "no"), OSError(errno.EIO, "the disk says no")]
)
@pytest.mark.parametrize("background", [False, True])
def test_a_save_that_committed_does_not_fail_because_retention_does(path, error, background):
    with CheckpointStore(path, "a", retention=Retention(keep_last=1)) as store:
        store.save(state(0))
        real = os.unlink

        def unlink(name: Any, **kwargs: Any) -> None:
            if "/checkpoints/0" in os.fspath(name):
                raise error
            real(name, **kwargs)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(os, "unlink", unlink)
            report = store.save(state(1), background=background)
            report = report.wait() if background else report
        assert report.pruned == ()
        assert "pruning was not completed" in str(report)
        assert "untouched" not in str(report)
        same(store, 0, 1)
        assert "removed the leftovers" in str(store.save(state(2)))
        same(store, 2)
