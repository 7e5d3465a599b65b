"""One holder at a time, whatever becomes of it."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from ann_ckpt.errors import LockedError, NotWritableError
from ann_ckpt.store.owners.lock import FileLock

ROOT = Path(__file__).parents[3]
HOLD = """
import sys, time
from pathlib import Path
from ann_ckpt.store.owners.lock import FileLock
lock = FileLock(Path(sys.argv[1]), "saves to the store")
lock.acquire()
print("held", flush=True)
time.sleep(600)
"""


@pytest.fixture
def path(tmp_path) -> Path:
    return tmp_path / "lock"


@pytest.fixture
def other(path):
    """Another process that holds the lock."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, path], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_a_second_one_learns_who_holds_it_where_and_since_when(path, other):
    with pytest.raises(LockedError) as caught:
        FileLock(path, "saves to the store").acquire()
    expected = (
        rf"process {other.pid} on host {re.escape(socket.gethostname())}, since 20\d\d-\d\d-\d\dT.*\+00:00"
    )
    assert re.search(expected, str(caught.value))
    assert "another process saves to the store" in str(caught.value)
    assert str(path) in str(caught.value)
    assert caught.value.exit_status == 10


def test_a_lock_of_a_dead_process_is_taken_over_and_that_is_said(path, other):
    other.send_signal(signal.SIGKILL)
    other.wait()
    assert path.exists()
    with FileLock(path, "saves") as lock:
        assert lock.acquire() is True
        assert lock.held


def test_a_released_lock_leaves_nothing_and_nothing_to_take_over(path):
    for _ in range(2):
        with FileLock(path, "saves") as lock:
            assert lock.acquire() is False
        assert not path.exists()
        assert not lock.held


def test_the_same_process_cannot_hold_it_twice(path):
    with FileLock(path, "saves") as lock:
        lock.acquire()
        with pytest.raises(LockedError, match=f"process {os.getpid()} "):
            FileLock(path, "saves").acquire()
    assert FileLock(path, "saves").acquire() is False


def test_who_only_looks_at_a_lock_that_is_being_made_does_not_have_it(path):
    with path.open("w") as looking:
        fcntl.flock(looking, fcntl.LOCK_SH)
        threading.Timer(0.2, fcntl.flock, (looking, fcntl.LOCK_UN)).start()
        with FileLock(path, "writes") as lock:
            lock.acquire()
            assert lock.intact


def test_who_is_about_to_sign_a_lock_is_named(path):
    with path.open("w") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        signed = json.dumps({"host": socket.gethostname(), "pid": 1, "since": "now", "purpose": "writes"})
        threading.Timer(0.2, lambda: (other.write(signed), other.flush())).start()
        with pytest.raises(LockedError, match="process 1 on host"):
            FileLock(path, "writes").acquire()


def test_waiting_ends_when_the_holder_lets_go(path):
    first = FileLock(path, "saves")
    first.acquire()
    threading.Timer(0.2, first.release).start()
    with FileLock(path, "saves") as second:
        assert second.acquire(wait=60) is False


def test_waiting_in_vain_ends_in_the_same_error(path, other):
    with pytest.raises(LockedError, match=f"process {other.pid} "):
        FileLock(path, "saves").acquire(wait=0.1)


def test_a_lock_from_another_host_is_not_taken_over(path):
    holder = {"host": "node17", "pid": 4242, "since": "2026-11-22T10:00:00+00:00", "purpose": "saves"}
    path.write_text(json.dumps(holder))
    with pytest.raises(LockedError, match=r"(?s)process 4242 on host node17.*is gone: `ann-ckpt unlock"):
        FileLock(path, "saves").acquire()
    assert json.loads(path.read_text()) == holder


@pytest.mark.parametrize("text", ["", "\0\0\0", "nonsense", "[]", '{"pid": 1}', "\x1b[2J"])
def test_what_a_power_cut_may_leave_of_a_lock_is_taken_over_on_this_host(path, text):
    path.write_text(text)
    if text == '{"pid": 1}':
        with pytest.raises(LockedError, match="unknown"):
            FileLock(path, "saves").acquire()
    else:
        with FileLock(path, "saves") as lock:
            assert lock.acquire() is bool(text.strip("\0"))


def test_a_forked_child_neither_keeps_nor_releases_it(path):
    lock = FileLock(path, "saves")
    lock.acquire()
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        lock.release()
        os.write(writing, b"held" if lock.held else b"free")
        time.sleep(60)
        os._exit(0)
    try:
        assert os.read(reading, 4) == b"free"
        with pytest.raises(LockedError):
            FileLock(path, "saves").acquire()
        lock.release()
        with FileLock(path, "saves") as again:
            assert again.acquire() is False
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        os.close(reading)
        os.close(writing)


def test_many_at_once_and_only_one_gets_it(path):
    start, held = threading.Barrier(8), []

    def attempt() -> None:
        lock = FileLock(path, "saves")
        start.wait()
        try:
            lock.acquire()
        except LockedError:
            return
        held.append(lock)

    threads = [threading.Thread(target=attempt) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(held) == 1
    held[0].release()


@pytest.mark.parametrize("code", [errno.ENOSYS, errno.ENOTSUP, errno.ENOLCK])
def test_without_locks_in_the_file_system_the_file_itself_excludes(path, monkeypatch, code):
    def refuse(*_: object) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(fcntl, "flock", refuse)
    with FileLock(path, "saves") as lock:
        assert lock.acquire() is False
        with pytest.raises(LockedError, match=r"(?s)has no locks.*is gone: `ann-ckpt unlock"):
            FileLock(path, "saves").acquire()
    with FileLock(path, "saves") as lock:
        assert lock.acquire() is False


def test_a_folder_that_cannot_be_written_is_said(path, monkeypatch):
    with pytest.raises(NotWritableError, match="No such file or directory"):
        FileLock(path / "missing" / "lock", "saves").acquire()

    def refuse(*_: object) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(NotWritableError, match="Read-only file system"):
        FileLock(path, "saves").acquire()


@pytest.mark.parametrize("locks", [True, False])
def test_a_lock_that_finds_the_disk_full_leaves_nothing_behind(path, monkeypatch, locks):
    def refuse(code):
        def call(*_: object) -> None:
            raise OSError(code, os.strerror(code))

        return call

    if not locks:
        monkeypatch.setattr(fcntl, "flock", refuse(errno.ENOLCK))
    with monkeypatch.context() as full:
        full.setattr(os, "pwrite", refuse(errno.ENOSPC))
        with pytest.raises(NotWritableError, match="No space left"):
            FileLock(path, "saves").acquire()
    assert not path.exists()
    with FileLock(path, "saves") as lock:
        assert lock.acquire() is False


# --- Batch jobs -------------------------------------------------------------------


def job(monkeypatch, restart: int, number: str = "7") -> None:
    """Be a start of a job."""
    monkeypatch.setenv("SLURM_JOB_ID", number)
    monkeypatch.setenv("SLURM_RESTART_COUNT", str(restart))


@pytest.fixture
def elsewhere(monkeypatch):
    """Be another host while this is called."""

    def be(name: str) -> None:
        monkeypatch.setattr(socket, "gethostname", lambda: name)

    return be


def test_a_later_start_of_the_same_job_takes_over_on_another_host_and_says_so(
    path, monkeypatch, elsewhere, caplog
):
    elsewhere("node1")
    job(monkeypatch, 0)
    first = FileLock(path, "saves")
    first.acquire()
    left = path.read_text()
    first.release()
    path.write_text(left)
    elsewhere("node2")
    job(monkeypatch, 1)
    with FileLock(path, "saves") as lock:
        lock.acquire()
        assert lock.intact
        assert json.loads(path.read_text())["job"] == {
            "system": "slurm",
            "id": "7",
            "task": None,
            "restart": 1,
        }
    (record,) = caplog.records
    assert "on host node1" in record.message
    assert "Slurm job 7: this is restart 1 of the same job" in record.message
    assert not list(path.parent.iterdir())


def test_an_earlier_start_that_lives_on_loses_its_lock(path, monkeypatch, elsewhere):
    elsewhere("node1")
    job(monkeypatch, 0)
    first = FileLock(path, "saves")
    first.acquire()
    elsewhere("node2")
    job(monkeypatch, 1)
    with FileLock(path, "saves") as second:
        second.acquire()
        assert second.intact
        assert not first.intact
        first.release()
        assert second.intact


@pytest.mark.parametrize(("restart", "number"), [(0, "7"), (1, "8"), (2, "7")])
def test_other_jobs_and_other_starts_do_not_take_over_and_learn_whom_to_ask_for(
    path, monkeypatch, elsewhere, restart, number
):
    elsewhere("node1")
    job(monkeypatch, 2)
    first = FileLock(path, "saves to the store")
    first.acquire()
    left = path.read_text()
    first.release()
    path.write_text(left)
    elsewhere("node2")
    job(monkeypatch, restart, number)
    with pytest.raises(LockedError) as caught:
        FileLock(path, "saves to the store").acquire()
    lines = str(caught.value).splitlines()
    assert len(lines) == 3
    assert "on host node1" in lines[0]
    assert "Slurm job 7, restart 2" in lines[0]
    assert "`squeue -j 7` shows that job" in lines[1]
    assert "ann-ckpt unlock" in lines[1]
    assert path.read_text() == left


def test_where_the_file_alone_is_the_lock_the_job_takes_over_too(path, monkeypatch):
    job(monkeypatch, 0)

    def refuse(*_):
        raise OSError(errno.ENOSYS, "no such locks")

    monkeypatch.setattr(fcntl, "flock", refuse)
    first = FileLock(path, "saves")
    first.acquire()
    with pytest.raises(LockedError):
        FileLock(path, "saves").acquire()
    job(monkeypatch, 1)
    with FileLock(path, "saves") as lock:
        lock.acquire()
        assert not first.intact
    first.forget()


def test_of_two_that_take_over_one_holds_it(path, monkeypatch, elsewhere):
    job(monkeypatch, 0)
    elsewhere("node1")
    first = FileLock(path, "saves")
    first.acquire()
    job(monkeypatch, 1)
    elsewhere("node2")
    second, third = FileLock(path, "saves"), FileLock(path, "saves")
    descriptor = os.open(path, os.O_RDWR)
    second.acquire()
    assert third._replace(descriptor)
    os.close(descriptor)
    assert second.intact
    with pytest.raises(LockedError):
        third.acquire()
    second.release()
    first.forget()
    assert not list(path.parent.iterdir())
