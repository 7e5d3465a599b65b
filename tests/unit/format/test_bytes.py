"""An open file is one object with a lifetime; a written one keeps the first error."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import textwrap
import threading

import h5py
import numpy as np
import pytest
from h5py import h5g

import ann_ckpt
from ann_ckpt import Checkpoint, NetworkState, PopulationState
from ann_ckpt.durable import open_regular
from ann_ckpt.errors import ClosedCheckpointError, NotReadableError, NotWritableError
from ann_ckpt.format import h5
from ann_ckpt.format.bytes import FileBytes, NewFile
from ann_ckpt.model import differences
from tests.golden.networks import NETWORKS


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "x"
    path.write_bytes(bytes(range(100)))
    return FileBytes(open_regular(path), str(path))


def test_reads_end_where_the_file_ends(file):
    assert file.read(90, 20) == bytes(range(90, 100))
    assert file.read(200, 20) == b""
    assert file.size == 100


def test_a_closed_file_says_so(file):
    file.close()
    file.close()
    with pytest.raises(ClosedCheckpointError):
        file.read(0, 1)


def test_a_read_in_flight_ends_before_its_descriptor_goes_to_another_file(file, tmp_path, monkeypatch):
    other = tmp_path / "other"
    other.write_bytes(b"\xff" * 100)
    begun, go_on = threading.Event(), threading.Event()
    preadv = os.preadv

    def slow(*args):
        begun.set()
        assert go_on.wait(10)
        return preadv(*args)

    monkeypatch.setattr(os, "preadv", slow)
    found = []
    thread = threading.Thread(target=lambda: found.append(file.read(0, 100)))
    thread.start()
    assert begun.wait(10)
    file.close()
    with other.open("rb"):  # would get the number that was closed
        go_on.set()
        thread.join()
    assert found == [bytes(range(100))]


def test_a_disk_that_fails_is_not_called_damage(file, monkeypatch):
    def refuse(*_):
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "preadv", refuse)
    with pytest.raises(NotReadableError, match="Input/output error"):
        file.read(0, 1)


def test_a_checkpoint_on_a_disk_that_fails_raises_not_readable(tmp_path, monkeypatch):
    path = tmp_path / "net.h5"
    values = np.arange(100_000.0)
    ann_ckpt.write(
        NetworkState(populations=[PopulationState("p", values.shape, variables={"x": values})]), path
    )
    preadv = os.preadv
    for failing in range(12):
        calls = 0

        def refuse(*args, n=failing):
            nonlocal calls
            calls += 1
            if calls > n:
                raise OSError(errno.EIO, os.strerror(errno.EIO))
            return preadv(*args)

        with monkeypatch.context() as patch:
            patch.setattr(os, "preadv", refuse)
            try:
                with ann_ckpt.open(path) as checkpoint:
                    assert np.array_equal(checkpoint.populations["p"]["x"], values)
            except NotReadableError as error:
                assert "Input/output error" in str(error)  # noqa: PT017
    assert np.array_equal(ann_ckpt.read(path).populations["p"]["x"], values)


class InMemory:
    """A file that is not on a disk, as one behind a network would."""

    path = "memory://net.h5"
    distant = True

    def __init__(self, data):
        self.data = data
        self.size = len(data)
        self.closed = False
        self.left = None

    def close(self):
        self.closed = True

    def expect(self, ranges):
        pass

    def read(self, offset, count):
        buffer = bytearray(max(0, min(count, self.size - offset)))
        del buffer[self.read_into(buffer, offset) :]
        return bytes(buffer)

    def read_into(self, buffer, offset):
        if self.closed:
            raise ClosedCheckpointError("closed")
        if self.left is not None:
            self.left -= 1
            if self.left < 0:
                raise NotReadableError("connection reset")
        view = memoryview(buffer).cast("B")
        part = self.data[offset : offset + len(view)]
        view[: len(part)] = part
        return len(part)


@pytest.mark.parametrize("name", ["complete", "bare"])
def test_a_checkpoint_is_read_from_bytes_that_lie_on_no_disk(tmp_path, name):
    path = tmp_path / "net.h5"
    ann_ckpt.write(NETWORKS[name](), path)
    data = path.read_bytes()
    path.unlink()
    with Checkpoint("memory://net.h5", source := InMemory(data)) as checkpoint:
        assert not list(differences(checkpoint.state(), NETWORKS[name]()))
        assert not [error for *_, error in checkpoint.verify() if error is not None]
        assert checkpoint.file_bytes == len(data)
        assert "memory://net.h5" in repr(checkpoint)
    assert source.closed


def test_bytes_that_do_not_come_are_not_called_damage(tmp_path):
    path = tmp_path / "net.h5"
    ann_ckpt.write(NETWORKS["complete"](), path)
    data = path.read_bytes()
    whole = InMemory(data)
    whole.left = 10**6
    with Checkpoint(whole.path, whole) as checkpoint:
        checkpoint.state()
    reads = 10**6 - whole.left
    for failing in {*range(8), *range(8, reads, max(1, reads // 40))}:
        source = InMemory(data)
        source.left = failing
        with pytest.raises(NotReadableError, match="connection reset"), Checkpoint(source.path, source) as c:
            c.state()


class Refusing:
    """Fails the n-th write and no other."""

    def __init__(self, n, real):
        self.n, self.real, self.calls = n, real, 0

    def __call__(self, *args):
        self.calls += 1
        if self.calls == self.n + 1:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return self.real(*args)


def hdf5_with_everything(path):
    file = NewFile(str(path))
    hdf5 = h5.create_file(file)
    root = h5g.open(hdf5, b"/")
    h5.write_attribute(root, "a", np.arange(5))
    for number in range(30):
        group = h5g.create(root, f"g{number}".encode())
        h5.write_whole(group, "contiguous", np.arange(2000.0), compact=False)
        h5.write_whole(group, "gathered", np.arange(3000.0), compact=False)
        h5.write_whole(group, "compact", np.arange(20.0), compact=True)
    hdf5.close()
    file.close()
    return file


def test_whichever_write_fails_hdf5_goes_on_and_the_error_is_kept(tmp_path, monkeypatch):
    n = met = 0
    while met == n:
        with monkeypatch.context() as patch:
            patch.setattr(os, "pwrite", refusing := Refusing(n, os.pwrite))
            file = hdf5_with_everything(tmp_path / "x.h5")
        n += 1
        if refusing.calls > refusing.n:
            met += 1
            assert refusing.calls == n  # nothing is written after it
            with pytest.raises(OSError, match="No space left"):
                file.check()
    file.check()
    assert met > 30
    with h5py.File(tmp_path / "x.h5") as whole:
        assert whole["g29/contiguous"][1999] == 1999.0


def test_large_writes_that_follow_one_another_are_one_call(tmp_path, monkeypatch):
    """Whatever comes between them, the file is as if each had been written at once."""
    piece = 32 << 10
    sizes = []
    pwrite = os.pwrite
    monkeypatch.setattr(os, "pwrite", lambda f, data, at: sizes.append(len(data)) or pwrite(f, data, at))
    file = NewFile(str(tmp_path / "x"))
    expected = bytearray(76 * piece)
    rng = np.random.default_rng(0)

    def put(number, size=piece):
        data = rng.bytes(size)
        file.seek(number * piece)
        file.write(data)
        expected[number * piece : number * piece + size] = data

    for number in range(40):
        put(number)
    assert sizes == [32 * piece]
    file.seek(39 * piece)
    assert file.readinto(read := bytearray(piece)) == piece  # what waits is read back
    assert read == expected[39 * piece : 40 * piece]
    put(50)
    put(40)  # not where the last one ended
    put(41, 100)  # too small to wait
    assert sizes == [32 * piece, 8 * piece, piece, piece, 100]
    put(42)
    put(43, 33 * piece)  # too large to wait
    assert sizes[-2:] == [piece, 33 * piece]
    put(5)
    put(75)
    file.truncate(75 * piece)
    del expected[75 * piece :]
    file.close()
    file.check()
    assert (tmp_path / "x").read_bytes() == expected


@pytest.mark.parametrize("failing", range(12))
def test_one_failed_write_leaves_the_old_file(tmp_path, monkeypatch, failing):
    path = tmp_path / "net.h5"

    def state(step):
        x, y = np.full(2000, step), np.full(100_000, step)
        populations = [
            PopulationState("p", x.shape, variables={"x": x}),
            PopulationState("q", y.shape, variables={"y": y}),
        ]
        return NetworkState(populations=populations, time_step=step)

    ann_ckpt.write(state(1), path)
    with monkeypatch.context() as patch:
        patch.setattr(os, "pwrite", refusing := Refusing(failing, os.pwrite))
        try:
            ann_ckpt.write(state(2), path)
            step = 2
        except NotWritableError:
            step = 1
    assert (step == 1) == (refusing.calls > failing)
    assert list(ann_ckpt.differences(ann_ckpt.read(path), state(step))) == []
    assert sorted(p.name for p in tmp_path.iterdir()) == ["net.h5"]


def test_a_checkpoint_that_is_open_when_python_ends_ends_well(tmp_path):
    code = textwrap.dedent("""
        import sys, threading, time, numpy as np, ann_ckpt
        from ann_ckpt import Checkpoint, NetworkState, PopulationState
        state = NetworkState(populations=[PopulationState("p", (9000,), variables={"x": np.zeros(9000)})])
        ann_ckpt.write(state, sys.argv[1])
        checkpoint = ann_ckpt.open(sys.argv[1])
        checkpoint.metadata
        sys.modules["kept"] = checkpoint
        forever = threading.Thread(target=lambda c: time.sleep(1000), args=(checkpoint,), daemon=True)
        forever.start()
    """)
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path / "x.h5")], timeout=60, check=False)
    assert done.returncode == 0
