"""The old file stands until the new one is whole, whatever happens in between."""

from __future__ import annotations

import errno
import os
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import ann_ckpt
from ann_ckpt import NetworkState, PopulationState, durable
from ann_ckpt.durable import atomic_write
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
    """An array that stops the save in its middle."""

    shape = (1 << 20,)
    dtype = np.dtype(np.float64)

    def __init__(self, error: BaseException) -> None:
        self.error = error

    def __getitem__(self, key: slice):
        if key.start:
            raise self.error
        return np.zeros(len(range(*key.indices(self.shape[0]))))

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


def test_missing_folder_and_folder_as_target(tmp_path):
    for path in (tmp_path / "no" / "net.h5", Path("/proc/net.h5")):
        with pytest.raises(NotWritableError, match="cannot write"):
            ann_ckpt.write(state(1), path)
    (tmp_path / "folder.h5").mkdir()
    with pytest.raises(NotWritableError, match="directory"):
        ann_ckpt.write(state(1), tmp_path / "folder.h5")


def test_unknown_extension_writes_nothing(tmp_path):
    with pytest.raises(OptionError, match=r"\.xyz"):
        ann_ckpt.write(state(1), tmp_path / "net.xyz")
    assert list(tmp_path.iterdir()) == []


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
