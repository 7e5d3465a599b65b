"""The old file stands until the new one is whole, whatever happens in between."""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import socket
import stat
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import ann_ckpt
from ann_ckpt import NetworkState, PopulationState, durable
from ann_ckpt.adapters import legacy
from ann_ckpt.adapters.legacy import Container
from ann_ckpt.durable import atomic_folder, atomic_write, make_folders
from ann_ckpt.errors import NotWritableError, OptionError

ROOT = Path(__file__).parents[2]


def state(step: int, neurons: int = 200_000) -> NetworkState:
    """A state in which every value tells the step that it belongs to."""
    values = np.full(neurons, float(step))
    return NetworkState(
        populations=[PopulationState("p", (neurons,), variables={"r": values})], time_step=step
    )


def litter(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir() if p.name != "net.h5")


def in_process(code: str, *arguments: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )


SAVE_FOR_EVER = """
import sys, itertools, ann_ckpt
from tests.unit.test_durable import state
for step in itertools.count(1):
    ann_ckpt.write(state(step), sys.argv[1], compression="none")
    print(step, flush=True)
"""


@pytest.mark.parametrize("attempt", range(12))
def test_killed_while_saving_leaves_the_old_file_and_no_litter_after_the_next_save(tmp_path, attempt):
    path = tmp_path / "net.h5"
    ann_ckpt.write(state(0), path)
    with in_process(SAVE_FOR_EVER, path) as process:
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(np.random.default_rng(attempt).uniform(0, 0.05))
        process.send_signal(signal.SIGKILL)
        done = process.stdout.read().split()
    found = ann_ckpt.read(path)
    last = int(done[-1]) if done else 1
    assert found.time_step in (last, last + 1)
    assert np.all(found.populations["p"]["r"] == found.time_step)
    ann_ckpt.write(state(1_000_000), path)
    assert litter(tmp_path) == []


SAVE_INTO_LITTLE_SPACE = """
import resource, signal, sys, ann_ckpt
from tests.unit.test_durable import state
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), -1))
try:
    ann_ckpt.write(state(1), sys.argv[1], compression=sys.argv[3])
except ann_ckpt.errors.NotWritableError as error:
    print(error.errno, ann_ckpt.read(sys.argv[1]).time_step)
"""


@pytest.mark.parametrize("space", [0, 1000, 20_000, 900_000])
@pytest.mark.parametrize("compression", ["none", "gzip"])
def test_no_space_left_is_an_error_and_the_old_file_stands(tmp_path, space, compression):
    path = tmp_path / "net.h5"
    ann_ckpt.write(state(0), path)
    allowed = space if compression == "none" else space // 200
    with in_process(SAVE_INTO_LITTLE_SPACE, path, allowed, compression) as process:
        out, _ = process.communicate()
    assert process.returncode == 0
    assert out.split() == [str(errno.EFBIG), "0"]
    assert ann_ckpt.read(path).time_step == 0
    assert litter(tmp_path) == []


class Interrupting:
    """An array that answers for its first half, and ends the save at the second."""

    shape = (1 << 20,)
    dtype = np.dtype(np.float64)

    def __init__(self, error: BaseException) -> None:
        self.error = error

    def __getitem__(self, key: slice):
        start, stop, step = key.indices(self.shape[0])
        if stop > self.shape[0] // 2:
            raise self.error
        return np.zeros(len(range(start, stop, step)))

    def __array__(self, dtype=None, *, copy=None):
        raise self.error


@pytest.mark.parametrize("error", [KeyboardInterrupt(), RuntimeError("the simulator says no"), MemoryError()])
def test_interrupted_in_the_middle_leaves_the_old_file(tmp_path, error):
    path = tmp_path / "net.h5"
    ann_ckpt.write(state(0), path)
    broken = NetworkState(
        populations=[PopulationState("p", (1 << 20,), variables={"r": Interrupting(error)})]
    )
    with pytest.raises(type(error)):
        ann_ckpt.write(broken, path)
    assert ann_ckpt.read(path).time_step == 0
    assert litter(tmp_path) == []
    ann_ckpt.write(state(2), path)
    assert ann_ckpt.read(path).time_step == 2


def test_what_the_disk_refuses_while_the_file_is_being_written_is_not_forgotten(tmp_path, monkeypatch):
    path = tmp_path / "net.h5"
    ann_ckpt.write(state(0), path)
    monkeypatch.setattr(durable, "_FLUSHED_AT_ONCE", 1)
    refusals = [OSError(errno.EIO, "the disk says no")]  # said once: the fsync at the end succeeds

    def fsync(path: Path) -> None:
        if refusals:
            raise refusals.pop()

    monkeypatch.setattr(durable, "fsync_file", fsync)
    with pytest.raises(NotWritableError, match="the disk says no"):
        ann_ckpt.write(state(1), path)
    assert ann_ckpt.read(path).time_step == 0
    assert litter(tmp_path) == []


def test_a_reader_keeps_the_file_that_it_opened(tmp_path):
    path = tmp_path / "net.h5"
    ann_ckpt.write(state(1), path)
    with ann_ckpt.open(path) as old:
        ann_ckpt.write(state(2), path)
        with ann_ckpt.open(path) as new:
            assert new.populations["p"]["r"][5] == 2
        assert old.populations["p"]["r"][5] == 1


def test_a_folder_that_cannot_be_written_to_and_a_folder_as_target(tmp_path):
    (tmp_path / "file").touch()
    for path in (Path("/proc/net.h5"), Path("/proc/no/net.h5"), tmp_path / "file" / "net.h5"):
        with pytest.raises(NotWritableError, match="cannot write"):
            ann_ckpt.write(state(1), path)
    (tmp_path / "folder.h5").mkdir()
    with pytest.raises(NotWritableError, match="directory"):
        ann_ckpt.write(state(1), tmp_path / "folder.h5")


def test_unknown_extension_writes_nothing(tmp_path):
    with pytest.raises(OptionError, match=r"\.xyz"):
        ann_ckpt.write(state(1), tmp_path / "net.xyz")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["net", "net.pkl", "net.v2", ".net", "net.h5.bak", "net.PKL", "a.b/net"])
def test_what_names_no_format_is_pickled_and_read_back(name, tmp_path):
    report = ann_ckpt.save(tmp_path / name, network=state(1))
    assert legacy.detect(tmp_path / name) is Container.PICKLE
    assert "pickled, as ANNarchy does" in report.skipped[0].text
    found = ann_ckpt.read(tmp_path / name, dt=1.0)
    assert list(found.populations) == list(state(1).populations)
    ann_ckpt.save(tmp_path / name, network=state(2))
    assert ann_ckpt.read(tmp_path / name, dt=1.0).time_step == 2


@pytest.mark.parametrize(
    "name",
    ["net.h5.", "net.H5", "net.h5 ", "net.hdf", "net.hd5", "net.h5@a", "run.ckpt/x", "Run.CKPT", "r.ckpt."],
)
def test_what_is_nearly_a_checkpoint_is_refused(name, tmp_path):
    with pytest.raises(OptionError, match="is not a format that can be written"):
        ann_ckpt.save(tmp_path / name, network=state(1))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("text", ["import ANNarchy\n", "# model.py"])
def test_nothing_else_is_replaced_by_a_pickle(text, tmp_path):
    (tmp_path / "model.py").write_text(text)
    with pytest.raises(NotWritableError, match="not one that ANNarchy wrote"):
        ann_ckpt.save(tmp_path / "model.py", network=state(1))
    assert (tmp_path / "model.py").read_text() == text
    (tmp_path / "empty").touch()
    ann_ckpt.save(tmp_path / "empty", network=state(1))
    ann_ckpt.write(state(1), tmp_path / "net.h5")
    (tmp_path / "net.h5").rename(tmp_path / "net")
    with pytest.raises(NotWritableError):
        ann_ckpt.save(tmp_path / "net", network=state(2))


def test_symbolic_link_stays_a_link(tmp_path):
    real = tmp_path / "real.h5"
    ann_ckpt.write(state(1), real)
    (tmp_path / "latest.h5").symlink_to("real.h5")
    ann_ckpt.write(state(2), tmp_path / "latest.h5")
    assert (tmp_path / "latest.h5").is_symlink()
    assert ann_ckpt.read(real).time_step == 2


def test_permissions_are_kept(tmp_path):
    path = tmp_path / "net.h5"
    ann_ckpt.write(state(1), path)
    path.chmod(0o640)
    ann_ckpt.write(state(2), path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_data_are_synced_before_the_rename_and_the_folder_after(tmp_path, monkeypatch):
    calls = []
    real_fsync, real_replace = os.fsync, Path.replace
    monkeypatch.setattr(
        os, "fsync", lambda fd: (calls.append(str(Path(f"/proc/self/fd/{fd}").readlink())), real_fsync(fd))
    )
    monkeypatch.setattr(Path, "replace", lambda s, t: (calls.append("rename"), real_replace(s, t))[1])
    with atomic_write(tmp_path / "net.h5") as temporary:
        temporary.write_text("whole")
    assert calls == [str(temporary), "rename", str(tmp_path)]
    assert (tmp_path / "net.h5").read_text() == "whole"


def test_names_of_255_bytes_can_be_saved(tmp_path):
    path = tmp_path / ("n" * 252 + ".h5")
    ann_ckpt.write(state(1), path)
    assert ann_ckpt.read(path).time_step == 1


# --- What stands at the target ------------------------------------------------------

FORMATS = (".h5", ".hdf5", ".data", ".txt", ".gz", ".npz", ".mat")


class Unread:
    """A source that must not be read: what is refused is refused before."""

    shape = (1 << 20,)
    dtype = np.dtype(np.float64)

    def __getitem__(self, key: slice):
        raise AssertionError("it was read")

    def __array__(self, dtype=None, *, copy=None):
        raise AssertionError("it was read")


UNREAD = NetworkState(
    populations=[PopulationState("p", (1 << 20,), variables={"r": Unread()})], time_step=1, dt=1.0
)


def make_pipe(path: Path) -> None:
    os.mkfifo(path)


def make_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(os.fspath(path))


def make_link_to_a_device(path: Path) -> None:
    path.symlink_to("/dev/full")


def make_folder(path: Path) -> None:
    path.mkdir()


def make_read_only(path: Path) -> None:
    path.write_text("precious")
    path.chmod(0o444)


def make_link_to_read_only(path: Path) -> None:
    make_read_only(path.with_name("real"))
    path.symlink_to("real")


MAKERS = [v for k, v in sorted(globals().items()) if k.startswith("make_") and v is not make_folders]


def look(path: Path) -> tuple[int, int, bytes]:
    status = path.lstat()
    content = path.read_bytes() if path.is_file() else b""
    return status.st_mode, status.st_ino, content


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize("make", MAKERS, ids=lambda make: make.__name__)
def test_only_ordinary_files_that_may_be_written_are_replaced(tmp_path, suffix, make):
    path = tmp_path / f"net{suffix}"
    make(path)
    before = look(path)
    names = sorted(tmp_path.iterdir())
    with pytest.raises(NotWritableError, match=r"(?s)cannot write: .*untouched.*net"):
        ann_ckpt.save(path, network=UNREAD)
    assert look(path) == before
    assert sorted(tmp_path.iterdir()) == names


@pytest.mark.parametrize("make", MAKERS, ids=lambda make: make.__name__)
def test_texts_and_exports_and_conversions_are_refused_alike(tmp_path, make):
    path = tmp_path / "net.h5"
    make(path)
    before = look(path)
    ann_ckpt.save(tmp_path / "old.data", network=state(1, 10))
    with ann_ckpt.CheckpointStore(tmp_path / "run.ckpt", "a") as store:
        store.save(state(1, 10))
        for call in (
            lambda: store.export(-1, path),
            lambda: ann_ckpt.convert(tmp_path / "old.data", path),
            lambda: ann_ckpt.save_parameters(path, network=state(1, 10)),
        ):
            with pytest.raises(NotWritableError, match="cannot write: "):
                call()
    assert look(path) == before


@pytest.mark.parametrize("suffix", FORMATS)
def test_a_path_that_ends_like_a_folder_is_no_file(tmp_path, suffix):
    path = tmp_path / f"net{suffix}"
    with pytest.raises(NotWritableError, match="the path ends in /"):
        ann_ckpt.save(f"{path}/", network=UNREAD)
    assert list(tmp_path.iterdir()) == []
    path.write_bytes(b"mine")
    with pytest.raises(NotWritableError, match="the path ends in /"):
        ann_ckpt.save(f"{path}/", network=UNREAD)
    assert path.read_bytes() == b"mine"
    with pytest.raises(NotWritableError, match="the path is a folder"):
        ann_ckpt.save(f"{tmp_path}/", network=UNREAD)


FOLDER = """
import os, sys
from ann_ckpt.durable import atomic_folder

with atomic_folder(sys.argv[1]) as folder:
    (folder / "nodes.h5").write_text("half")
    os._exit(9)
"""


def test_what_a_killed_export_leaves_goes_with_the_next_and_what_runs_is_left_alone(tmp_path):
    target, other = tmp_path / "circuit", tmp_path / "mine"
    other.mkdir()
    (other / "kept").touch()
    for _ in range(2):
        assert subprocess.run([sys.executable, "-c", FOLDER, target], check=False).returncode == 9
        assert len(list(tmp_path.iterdir())) == 2
    (link,) = tmp_path.glob(".*.tmp")
    link.with_name(f"{link.name[:-12]}00000000.tmp").symlink_to(other)
    with atomic_folder(target) as running:
        assert {p.name for p in tmp_path.iterdir()} == {"mine", running.name}
        with pytest.raises(NotWritableError, match="not empty"), atomic_folder(target) as again:
            assert running.is_dir()
            again.joinpath("a").touch()
            target.mkdir()
            (target / "b").touch()
        (target / "b").unlink()
    assert (other / "kept").exists()


def test_a_folder_that_is_there_keeps_its_mode(tmp_path):
    (tmp_path / "circuit").mkdir()
    (tmp_path / "circuit").chmod(0o2700)
    with atomic_folder(tmp_path / "circuit") as folder:
        (folder / "nodes.h5").touch()
    assert stat.S_IMODE((tmp_path / "circuit").stat().st_mode) == 0o2700
    assert (tmp_path / "circuit" / "nodes.h5").exists()


@pytest.mark.parametrize("target", [".", "../here", "link"])
def test_the_working_folder_is_not_replaced(tmp_path, monkeypatch, target):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    if target == "link":
        target = tmp_path / "link"
        target.symlink_to("here")
    with pytest.raises(NotWritableError, match="the path is the working folder"), atomic_folder(target):
        pytest.fail("begun")
    assert list((tmp_path / "here").iterdir()) == []


@pytest.mark.parametrize("suffix", FORMATS)
def test_missing_folders_are_made(tmp_path, suffix):
    ann_ckpt.save(tmp_path / "deep" / "er" / f"net{suffix}", network=state(1, 10))
    assert litter(tmp_path / "deep" / "er") == ([] if suffix == ".h5" else [f"net{suffix}"])


def folders_synced(monkeypatch) -> list[Path]:
    synced: list[Path] = []
    real = os.fsync

    def fsync(descriptor: int) -> None:
        path = Path(f"/proc/self/fd/{descriptor}").readlink()
        if path.is_dir():
            synced.append(path)
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    return synced


def test_every_folder_that_is_made_is_made_durable(tmp_path, monkeypatch):
    synced = folders_synced(monkeypatch)
    ann_ckpt.write(state(1, 10), tmp_path / "a" / "b" / "c" / "net.h5")
    assert synced == [tmp_path, tmp_path / "a", tmp_path / "a" / "b", tmp_path / "a" / "b" / "c"]


def test_a_folder_that_could_not_be_made_durable_is_made_again(tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", refusing(errno.EIO, folders=True))
        with pytest.raises(OSError, match="Input/output error"):
            make_folders(tmp_path / "a" / "b")
    assert list(tmp_path.iterdir()) == []
    synced = folders_synced(monkeypatch)
    make_folders(tmp_path / "a" / "b")
    assert synced == [tmp_path, tmp_path / "a"]


def test_overwriting_keeps_owner_group_and_attributes(tmp_path):
    path = tmp_path / "net.h5"
    ann_ckpt.write(state(1), path)
    if os.geteuid() == 0:
        os.chown(path, 4321, 8765)
    else:
        os.chown(path, -1, os.getgroups()[-1])
    path.chmod(0o664)
    with contextlib.suppress(OSError):  # not every file system keeps such
        os.setxattr(path, "user.origin", b"lab 3")
    before = path.stat(), {name: os.getxattr(path, name) for name in os.listxattr(path)}
    ann_ckpt.write(state(2), path)
    after = path.stat(), {name: os.getxattr(path, name) for name in os.listxattr(path)}
    for name in ("st_uid", "st_gid", "st_mode"):
        assert getattr(after[0], name) == getattr(before[0], name)
    assert after[1] == before[1]
    assert ann_ckpt.read(path).time_step == 2


@pytest.mark.parametrize("call", ["chown", "chmod", "setxattr", "listxattr"])
def test_where_the_system_does_not_permit_it_they_change(tmp_path, monkeypatch, call):
    path = tmp_path / "net.h5"
    ann_ckpt.write(state(1), path)
    path.chmod(0o666 if call == "chmod" else 0o640)
    if os.geteuid() == 0:
        os.chown(path, 4321, 8765)

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(os, call, refuse)
    ann_ckpt.write(state(2), path)
    assert ann_ckpt.read(path).time_step == 2


# --- What file systems cannot do ------------------------------------------------------


def refusing(number: int, *, folders: bool):
    """An fsync that refuses folders, or files."""
    real = os.fsync

    def fsync(descriptor: int) -> None:
        if Path(f"/proc/self/fd/{descriptor}").is_dir() == folders:
            raise OSError(number, os.strerror(number))
        real(descriptor)

    return fsync


CANNOT = (errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.ENOTTY, errno.EBADF, 524)


@pytest.mark.parametrize("number", CANNOT)
@pytest.mark.parametrize("folders", [True, False])
def test_file_systems_that_cannot_sync_are_written_to_all_the_same(tmp_path, monkeypatch, number, folders):
    monkeypatch.setattr(os, "fsync", refusing(number, folders=folders))
    for step in (1, 2):
        ann_ckpt.write(state(step), tmp_path / "new" / "net.h5")
        assert ann_ckpt.read(tmp_path / "new" / "net.h5").time_step == step


def test_a_folder_that_may_be_written_and_not_read_is_enough(tmp_path, monkeypatch):
    real = os.open

    def denied(path, flags, *more, **named):
        if Path(path).is_dir() and not flags & os.O_WRONLY:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        return real(path, flags, *more, **named)

    monkeypatch.setattr(os, "open", denied)
    ann_ckpt.write(state(1), tmp_path / "net.h5")
    assert ann_ckpt.read(tmp_path / "net.h5").time_step == 1


def test_what_fails_after_the_rename_is_not_said_to_have_changed_nothing(tmp_path, monkeypatch):
    path = tmp_path / "net.h5"
    ann_ckpt.write(state(1), path)
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", refusing(errno.EIO, folders=True))
        with pytest.raises(NotWritableError, match="the new file is in place and complete") as caught:
            ann_ckpt.write(state(2), path)
    assert "untouched" not in str(caught.value)
    assert caught.value.errno == errno.EIO
    assert ann_ckpt.read(path).time_step == 2
    assert litter(tmp_path) == []


# --- Errors of others -----------------------------------------------------------------


@pytest.mark.parametrize("suffix", [*FORMATS, ".ckpt"])
@pytest.mark.parametrize(
    "error", [ConnectionResetError(errno.ECONNRESET, "gone"), TimeoutError(), OSError(5, "x")]
)
def test_an_error_of_the_source_is_not_blamed_on_the_target(tmp_path, suffix, error):
    path = tmp_path / f"net{suffix}"
    ann_ckpt.save(path, network=state(0, 10))
    before = {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()}
    broken = NetworkState(
        populations=[PopulationState("p", (1 << 20,), variables={"r": Interrupting(error)})],
        time_step=1,
        dt=1.0,
    )
    with pytest.raises(type(error)) as caught:
        ann_ckpt.save(path, network=broken)
    assert caught.value is error
    assert {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()} == before


@pytest.mark.parametrize("suffix", [".h5", ".ckpt"])
def test_an_error_of_the_progress_callback_is_not_blamed_on_the_target(tmp_path, suffix):
    path = tmp_path / f"net{suffix}"
    ann_ckpt.save(path, network=state(0, 10))
    error = BrokenPipeError(errno.EPIPE, "nobody reads what is printed")

    def progress(*_: object) -> None:
        raise error

    with pytest.raises(BrokenPipeError) as caught:
        ann_ckpt.save(path, network=state(1), progress=progress)
    assert caught.value is error
    assert ann_ckpt.read(path).time_step == 0


@pytest.mark.parametrize("suffix", [".data", ".gz", ".npz", ".mat"])
def test_a_full_disk_is_blamed_on_the_target_in_the_old_formats(tmp_path, suffix):
    path = tmp_path / f"net{suffix}"
    ann_ckpt.save(path, network=state(0, 10))
    before = path.read_bytes()
    with in_process(SAVE_OLD_FORMAT_INTO_LITTLE_SPACE, path) as process:
        out, _ = process.communicate()
    assert process.returncode == 0
    assert out.split() == [str(errno.EFBIG), path.name]
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


SAVE_OLD_FORMAT_INTO_LITTLE_SPACE = """
import resource, signal, sys, ann_ckpt, numpy as np, pathlib
from ann_ckpt import NetworkState, PopulationState
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
values = np.random.default_rng(1).random(100_000)
state = NetworkState(populations=[PopulationState("p", (100_000,), variables={"r": values})], dt=1.0)
resource.setrlimit(resource.RLIMIT_FSIZE, (5000, -1))
try:
    ann_ckpt.save(sys.argv[1], network=state)
except ann_ckpt.errors.NotWritableError as error:
    print(error.errno, pathlib.Path(error.where).name)
"""
