"""A forked child saves: what was at the fork is in it, and whatever becomes of the child is said."""

from __future__ import annotations

import contextlib
import errno
import gc
import os
import random
import select
import selectors
import signal
import socket
import subprocess
import sys
import textwrap
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import ann_ckpt
from ann_ckpt import CheckpointStore, NetworkState, PopulationState, Retention, differences
from ann_ckpt.demo import DemoNetwork
from ann_ckpt.errors import NotWritableError, OptionError
from ann_ckpt.format.plan import FilePlan
from ann_ckpt.store.folder import StoreFolder
from ann_ckpt.store.owners.lock import FileLock
from ann_ckpt.store.saving import batch, forked, memory, writer
from ann_ckpt.store.saving.forked import Child, ChildDiedError
from tests.store.runs import state


@pytest.fixture
def stuck(monkeypatch):
    """A disk that never answers a child."""
    parent, real = os.getpid(), batch.fsync_file

    def fsync(path):
        if os.getpid() != parent:
            time.sleep(600)
        real(path)

    monkeypatch.setattr(batch, "fsync_file", fsync)


def child_of(pending) -> int:
    """The process that saves."""
    assert pending.way == "fork"
    (pid,) = children() - _BEFORE
    return int(pid)


def children() -> set[str]:
    """Processes of ours that run or were not waited for."""
    with contextlib.suppress(FileNotFoundError):  # a thread has ended meanwhile
        return {
            pid
            for task in Path("/proc/self/task").iterdir()
            for pid in (task / "children").read_text().split()
        }
    return children()


_BEFORE: set[str] = set()
"""Processes that other tests left behind, such as servers."""


@pytest.fixture(autouse=True)
def before() -> None:
    _BEFORE.clear()
    _BEFORE.update(children())


def is_child_left() -> bool:
    return bool(children() - _BEFORE)


# --- The child --------------------------------------------------------------------


def test_what_the_work_returns_or_raises_comes_back():
    assert Child(lambda: {"a": np.arange(3).sum()}).result() == {"a": 3}
    with pytest.raises(NotWritableError) as caught:
        Child(lambda: _raise(_full())).result()
    assert (caught.value.errno, caught.value.details) == (errno.ENOSPC, {"kept": "all"})
    with pytest.raises(ZeroDivisionError) as other:
        Child(lambda: 1 / 0).result()
    assert "in the process that was forked" in other.value.__notes__[0]
    with pytest.raises(RuntimeError, match="LocalError: it cannot be sent"):
        Child(lambda: _raise(_unsendable())).result()
    with pytest.raises(KeyboardInterrupt):
        Child(lambda: _raise(KeyboardInterrupt())).result()
    assert not is_child_left()


def _raise(error):
    raise error


def _full():
    error = NotWritableError("no space", details={"kept": "all"})
    error.errno = errno.ENOSPC
    return error


def _unsendable():
    class LocalError(Exception):
        """Has no name that another process could look up."""

    return LocalError("it cannot be sent")


def test_a_large_answer_comes_back():
    assert Child(lambda: bytes(10_000_000)).result() == bytes(10_000_000)


@pytest.mark.parametrize(
    ("work", "said"),
    [
        (lambda: os.kill(os.getpid(), signal.SIGKILL), "it was ended by SIGKILL"),
        (lambda: os._exit(3), "it ended with status 3"),
    ],
)
def test_an_end_without_an_answer_is_said(work, said):
    with pytest.raises(ChildDiedError, match=said):
        Child(work).result()


def test_an_answer_that_breaks_off_is_none():
    child = Child(lambda: bytes(10_000_000))  # more than a pipe holds
    select.select([child._answer], [], [])
    os.kill(child.pid, signal.SIGKILL)
    with pytest.raises(ChildDiedError, match="it was ended by SIGKILL"):
        child.result()


def test_a_program_that_collects_its_children_itself_gets_the_answer(monkeypatch):
    before = signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    try:
        assert Child(lambda: 5).result() == 5
    finally:
        signal.signal(signal.SIGCHLD, before)


def test_no_descriptor_and_no_blocked_signal_is_left(monkeypatch):
    before = os.listdir("/proc/self/fd"), signal.pthread_sigmask(signal.SIG_BLOCK, ())  # noqa: PTH208
    Child(lambda: 1).result()
    monkeypatch.setattr(os, "fork", lambda: _raise(OSError(errno.ENOMEM, "no memory")))
    with pytest.raises(OSError, match="no memory"):
        Child(lambda: 1)
    after = os.listdir("/proc/self/fd"), signal.pthread_sigmask(signal.SIG_BLOCK, ())  # noqa: PTH208
    assert after == before


@pytest.mark.parametrize(
    "number", [signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGHUP, signal.SIGWINCH, signal.SIGRTMIN]
)
@pytest.mark.parametrize("handled", [False, True])
def test_signals_are_the_parents_business(number, handled):
    """Neither their effect nor a handler, nor the descriptor that asyncio is woken by."""
    ran, (woken, wake) = [], socket.socketpair()
    wake.setblocking(False)
    before = signal.signal(number, lambda *_: ran.append(number)) if handled else None
    told = signal.set_wakeup_fd(wake.fileno())

    def work():
        os.kill(os.getpid(), number)
        os.kill(os.getpid(), number)
        return "went on", len(ran)

    try:
        assert Child(work).result() == ("went on", 0)
    finally:
        signal.set_wakeup_fd(told)
        if handled:
            signal.signal(number, before)
    wake.close()
    assert woken.recv(10) == b""
    woken.close()


def test_a_signal_on_its_way_runs_no_handler_in_the_child(monkeypatch):
    """It comes after the fork, before the child has let go of the parent's handlers."""
    ran = []
    before = signal.signal(signal.SIGUSR1, lambda *_: ran.append(os.getpid()))
    real = os.fork

    def fork():
        pid = real()
        if not pid:
            os.kill(os.getpid(), signal.SIGUSR1)
        return pid

    monkeypatch.setattr(os, "fork", fork)
    try:
        assert Child(lambda: list(ran)).result() == []
    finally:
        signal.signal(signal.SIGUSR1, before)


def run(folder, script: str) -> subprocess.Popen[str]:
    begin = "import ann_ckpt, atexit, os, signal, sys, time\nfrom tests.store.runs import state\n"
    return subprocess.Popen(
        [sys.executable, "-c", begin + textwrap.dedent(script)], cwd=folder, stdout=subprocess.PIPE, text=True
    )


def test_exit_handlers_and_destructors_run_once_in_the_parent(tmp_path):
    process = run(
        tmp_path,
        """
        def say(what):
            os.write(1, f"{what} {os.getpid() == parent}\\n".encode())
        class Thing:
            def __del__(self):
                say("gone")
        parent = os.getpid()
        thing = Thing()
        thing.itself = thing
        atexit.register(say, "exit")
        with ann_ckpt.CheckpointStore("run.ckpt", "a") as store:
            del thing
            store.save(state(1), background="fork")
        """,
    )
    answer, _ = process.communicate(timeout=120)
    assert process.returncode == 0
    assert sorted(answer.split("\n")) == ["", "exit True", "gone True"]


def test_what_the_parent_dropped_is_destroyed_by_the_parent():
    gone = []

    class Thing:
        def __del__(self):
            gone.append(os.getpid())

    gc.collect()
    thing = Thing()
    thing.itself = thing
    del thing
    assert Child(lambda: ([[] for _ in range(100_000)], list(gone))[1]).result() == []
    gc.collect()
    assert gone == [os.getpid()]


def test_a_save_leaves_no_descriptor(store):
    store.save(state(0), background="fork").wait()
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208
    store.save(state(1), background="fork").wait()
    assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208


# --- When it is safe ----------------------------------------------------------------


def test_threads_that_wait_are_no_hindrance_and_others_are_named(store):
    begun, end = threading.Event(), threading.Event()
    waiting = threading.Thread(target=end.wait, name="waits")
    asked, answered = socket.socketpair()
    listening = threading.Thread(target=_listen, args=(asked,), name="listens")
    pool = ThreadPoolExecutor(1, "pool")
    pool.submit(int).result()
    busy = threading.Thread(target=lambda: (begun.set(), _spin(end)), name="computes")
    waiting.start()
    listening.start()
    busy.start()
    try:
        assert begun.wait(60)
        while "listens" in forked.others_at_work():  # until it does
            time.sleep(0.001)
        assert forked.others_at_work() == ["computes"]
        pending = store.save_in_background(state(1))
        assert (pending.way, pending.because) == (
            "copy",
            "other threads may be inside a library: computes",
        )
        with pytest.raises(OptionError, match="a forked child cannot save this"):
            store.save(state(2), background="fork")
    finally:
        end.set()
        waiting.join()
        busy.join()
    with pool, asked, answered:
        pending = store.save_in_background(state(3))
        answered.send(b"end")
        listening.join()
    assert (pending.way, pending.because) == ("fork", "")
    pending.wait()
    assert [c.time_step for c in store] == [1, 3]


def _listen(asked):
    with selectors.DefaultSelector() as selector:
        selector.register(asked, selectors.EVENT_READ)
        selector.select()


def _spin(end):
    while not end.is_set():
        time.sleep(0.001)


def test_our_own_threads_begin_again_in_both_processes(store):
    big = NetworkState(populations=[PopulationState("p", (3_000_000,), variables={"r": np.zeros(3_000_000)})])
    for _ in range(3):
        store.save(big)
        assert not forked.others_at_work()
        store.save(big, background="fork").wait()
    assert store.verify().ok


def test_what_is_not_in_memory_or_has_too_much_is_copied(store, tmp_path, monkeypatch):
    ann_ckpt.write(state(1), tmp_path / "net.h5")
    with ann_ckpt.open(tmp_path / "net.h5") as checkpoint:
        pending = store.save_in_background(checkpoint)
        assert pending.because == "the state is not in memory, but read while it is saved"
        pending.wait()
    assert "are allowed by at_most" in store.save_in_background(state(2), at_most=10).because
    monkeypatch.setattr(forked, "available", lambda: 10)
    assert "are available" in store.save_in_background(state(3)).because
    assert store.save_in_background(state(4), at_most=1 << 40).way == "fork"
    monkeypatch.setattr(forked, "available", lambda: None)  # a system that does not say
    assert store.save_in_background(state(5)).way == "fork"
    monkeypatch.setattr(os, "fork", lambda: _raise(OSError(errno.EAGAIN, "no process more")))
    pending = store.save_in_background(state(6))
    assert (pending.way, pending.because) == ("copy", "the system makes no process: no process more")
    with monkeypatch.context() as patch:
        patch.setattr(forked, "interpreter_ends", lambda: True)
        assert "about to end" in store.save_in_background(state(7)).because
    monkeypatch.setattr(sys, "platform", "darwin")
    assert "of this system" in store.save_in_background(state(8)).because
    store.settle()
    assert [c.time_step for c in store] == [1, 2, 3, 4, 5, 6, 7, 8]


@pytest.mark.parametrize(("given", "fact"), [({"background": "thread"}, "'thread'"), ({"at_most": -1}, "-1")])
def test_a_wrong_way_is_refused_before_anything_happens(store, given, fact):
    with pytest.raises(OptionError, match=fact):
        store.save(state(1), **{"background": True, **given})
    assert len(store) == 0


def test_a_simulator_has_the_last_word(store, monkeypatch):
    net = DemoNetwork(seed=1)
    assert store.save_in_background(net).way == "fork"
    net.simulate(1)
    monkeypatch.setattr(DemoNetwork, "refuse_fork", lambda self: "it is on a GPU")
    assert store.save_in_background(net).because.endswith("it is on a GPU")
    said = forked.refuse_fork(FilePlan(()), SimpleNamespace(label="Other 1.0"), None)
    assert said == "Other 1.0: it has no refuse_fork"


def test_memory_is_what_the_tightest_group_leaves(tmp_path, monkeypatch):
    assert 0 < memory.available() < 1 << 50

    def lay_out(files):
        for name, text in files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)

    lay_out(
        {
            "job/memory.max": "1000\n",
            "job/memory.current": "700\n",
            "job/memory.stat": "anon 500\ninactive_file 200\n",
            "job/step/memory.max": "max\n",
            "job/step/memory.current": "1\n",
            "job/step/memory.stat": "inactive_file 0\n",
            "memory/old/memory.limit_in_bytes": "90",
            "memory/old/memory.usage_in_bytes": "50",
            "memory/old/memory.stat": "total_inactive_file 10",
        }
    )
    said = ["0::/job/step\n"]
    real = Path.read_text
    monkeypatch.setattr(
        Path, "read_text", lambda path: said[0] if str(path) == "/proc/self/cgroup" else real(path)
    )
    monkeypatch.setattr(memory, "_GROUPS", tmp_path)
    assert memory.available() == 500
    said[0] = "4:cpu,memory:/old\n0::/job/step\n"
    assert memory.available() == 50
    said[0] = "0::/nowhere\n"
    assert memory.available() > 1000


def test_what_is_unknown_is_called_as_the_caller_called_it(store):
    with pytest.raises(OptionError, match=r"^way='spoon' is unknown"):
        store.save_in_background(state(1), way="spoon")
    with pytest.raises(OptionError, match=r"^background='spoon' is unknown"):
        store.save(state(1), background="spoon")
    assert len(store) == 0


def test_the_next_save_builds_upon_what_the_child_saved_without_reading_it(store, monkeypatch):
    store.save(state(0), background="fork").wait()
    monkeypatch.setattr(writer, "_read_base", lambda *_: pytest.fail("it is known"))
    assert "projections/ff/pre_ranks" in store.save(state(1)).linked


# --- Whoever dies -------------------------------------------------------------------


@pytest.mark.parametrize("marked", [True, False])
def test_a_child_that_is_killed_is_told_and_leaves_nothing_behind(store, path, stuck, monkeypatch, marked):
    if not marked:  # the disk does not take the mark, either
        monkeypatch.setattr(StoreFolder, "mark_unswept", lambda _: None)
    store.save(state(0))
    pending = store.save_in_background(state(1))
    os.kill(child_of(pending), signal.SIGTERM)  # of no effect
    os.kill(child_of(pending), signal.SIGKILL)
    with pytest.raises(NotWritableError, match="the process that saved in the background died") as caught:
        store.save(state(2))
    assert caught.value.details["found"] == "it was ended by SIGKILL"
    assert not is_child_left()
    report = store.save(state(3))
    assert "removed the leftovers" in report.notes[0].text
    assert not list(store._folder.leftovers())
    assert [c.time_step for c in store] == [0, 3]
    assert store.verify().ok
    assert not list(differences(store.latest.state(), state(3)))


def test_what_a_killed_child_left_is_removed_by_whoever_opens_the_store_next(path, stuck):
    with CheckpointStore(path, "a") as store:
        store.save(state(0))
        pending = store.save_in_background(state(1))
        while not list(store._folder.leftovers()):
            time.sleep(0.001)
        os.kill(child_of(pending), signal.SIGKILL)
        with pytest.raises(NotWritableError):
            pending.wait()
    with CheckpointStore(path, "a") as store:
        assert list(store._folder.leftovers())
        assert "removed the leftovers" in store.save(state(2)).notes[0].text
        assert not list(store._folder.leftovers())


def test_a_child_that_dies_after_it_has_committed_has_committed(store, monkeypatch):
    store.save(state(0))
    synced = []
    with monkeypatch.context() as patch:
        patch.setattr(forked.pickle, "dumps", lambda _: os.kill(os.getpid(), signal.SIGKILL))
        patch.setattr(forked, "fsync_folder", synced.append)
        report = store.save(state(1), tag="t", background="fork").wait()
    assert (report.name, report.time_step, report.tag) == ("000000000001", 1, "t")
    assert "ended by SIGKILL" in report.notes[0].text
    assert synced == [store._folder.checkpoints]  # the child may not have come to that
    assert store.saved_step == 1
    assert "projections/ff/pre_ranks" in store.save(state(2)).linked
    assert [c.time_step for c in store] == [0, 1, 2]
    assert store.verify().ok


def test_a_lock_that_was_taken_away_ends_the_save_in_the_child(store, path, tmp_path, monkeypatch):
    answer = tmp_path / "answer"
    real = batch.fsync_file

    def fsync(name):
        while not answer.exists():
            time.sleep(0.01)
        real(name)

    monkeypatch.setattr(batch, "fsync_file", fsync)
    pending = store.save_in_background(state(1))
    (path / "lock").unlink()  # as `ann-ckpt unlock` does
    (path / "lock.change").unlink()
    answer.touch()
    with pytest.raises(ann_ckpt.errors.LockedError, match="was removed while it was open"):
        pending.wait()
    assert len(CheckpointStore(path)) == 0


def test_a_child_goes_on_when_its_parent_is_killed_and_the_next_job_waits_for_it(tmp_path):
    process = run(
        tmp_path,
        """
        from ann_ckpt.store.saving import batch
        real = batch.fsync_file
        def fsync(path):
            while not os.path.exists("answer"):
                time.sleep(0.01)
            real(path)
        batch.fsync_file = fsync
        store = ann_ckpt.CheckpointStore("run.ckpt", "a")
        pending = store.save(state(1), background="fork")
        print("begun", flush=True)
        time.sleep(600)
        """,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "begun\n"
    process.kill()
    process.wait()
    with pytest.raises(ann_ckpt.errors.LockedError, match="another process changes the store"):
        CheckpointStore(tmp_path / "run.ckpt", "a", wait=0.05)
    assert len(CheckpointStore(tmp_path / "run.ckpt")) == 0
    release = threading.Timer(0.2, (tmp_path / "answer").touch)
    release.start()
    with CheckpointStore(tmp_path / "run.ckpt", "a") as store:
        assert [c.time_step for c in store] == [1]
        store.save(state(2))
        assert store.verify().ok
        assert not list(store._folder.leftovers())
    release.join()
    process.stdout.close()


def test_a_child_that_has_not_let_go_of_a_lock_yet_is_waited_for_a_moment(tmp_path):
    process = run(
        tmp_path,
        """
        import subprocess
        from pathlib import Path
        from ann_ckpt.store.owners.lock import FileLock
        lock = FileLock(Path("lock"), "tests")
        lock.acquire()
        os.set_inheritable(lock._descriptor, True)
        subprocess.Popen(["sleep", "0.3"], close_fds=False, stdout=subprocess.DEVNULL)
        print("held", flush=True)
        time.sleep(600)
        """,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    with pytest.raises(ann_ckpt.errors.LockedError):
        FileLock(tmp_path / "lock", "tests").acquire()
    process.kill()
    process.wait()
    process.stdout.close()
    with FileLock(tmp_path / "lock", "tests") as lock:
        assert lock.acquire()


@pytest.mark.torture
def test_whoever_is_killed_nothing_is_lost(path, tmp_path, zygote, rounds):
    """Parent or child, at any moment: what was said to be saved is there, what is there is right."""
    log, said, kills = tmp_path / "log", -1, 0
    for number in range(4 if rounds == 1 else 25 * rounds):
        draw = random.Random(number)
        log.write_text("")
        saver = zygote.start(path, log, "fork", said + 1)
        for _ in range(number % 2):  # its children first
            pid = _said(log, "child", draw.randrange(1, 6))[-1]
            time.sleep(draw.uniform(0, 0.02))
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
                kills += 1
        _said(log, "child", len(_said(log, "child")) + draw.randrange(1, 4))
        time.sleep(draw.uniform(0, 0.05))
        zygote.kill(saver)
        kills += 1
        with CheckpointStore(path, "a") as store:
            steps = [c.time_step for c in store]
            assert steps[-1:] >= _said(log, "saved")[-1:]
            said = steps[-1] if steps else -1
            assert steps == sorted(set(steps))
            assert store.verify().ok
            assert not steps or not list(differences(store.latest.state(), state(said)))
            store.save(state(said + 1))
            said += 1
            assert not list(store._folder.leftovers())
            assert store.gc(dry_run=True).objects == 0
    assert kills >= (4 if rounds == 1 else 25 * rounds)


def _said(log: Path, word: str, at_least: int = 0) -> list[int]:
    """Wait until it was said so often; return what was said with it."""
    while True:
        lines = [line.split() for line in log.read_text().splitlines()]
        assert ["FAILED"] not in lines, log.read_text()
        found = [int(line[1]) for line in lines if line[0] == word and len(line) > 1]
        if len(found) >= at_least:
            return found
        time.sleep(0.001)


# --- While simulating ---------------------------------------------------------------


@pytest.mark.parametrize("way", [False, True, "fork", "copy"])
def test_what_is_saved_while_simulating_is_what_was_at_that_moment(store, tmp_path, way):
    net, twin = DemoNetwork(seed=3, side=8), DemoNetwork(seed=3, side=8)
    with store.every(10, network=net, background=way):
        net.simulate(40)
    assert [c.time_step for c in store] == [10, 20, 30, 40]
    with CheckpointStore(tmp_path / "twin.ckpt", "a") as expected:
        for saved in store:
            twin.simulate(10)
            expected.save(twin)
            assert not list(differences(saved.state(), expected.latest.state()))


@pytest.mark.torture
@pytest.mark.parametrize("way", ["fork", "copy"])
def test_arrays_that_two_threads_change_at_once_are_saved_as_they_were(store, rounds, way):
    """The first thread goes on the moment the call returns, the other one waits for that until then."""
    rng, go, done = np.random.default_rng(7), threading.Barrier(2), threading.Barrier(2)
    shapes = {"tiny": (3,), "small": (40, 50), "large": (300, 1000), "huge": (2_000_000,)}
    values = {name: rng.integers(0, 255, shape, np.uint8).astype("f4") for name, shape in shapes.items()}
    store.retention = Retention(keep_last=2)
    saves = 5 if rounds == 1 else 50 * rounds

    def change():
        for _ in range(saves):
            go.wait()
            for array in reversed(values.values()):
                np.add(array, 1, out=array)
            done.wait()

    other = threading.Thread(target=change)
    other.start()
    try:
        for step in range(saves):
            expected = {name: array.copy() for name, array in values.items()}
            sheets = [PopulationState(name, a.shape, variables={"r": a}) for name, a in values.items()]
            while forked.others_at_work():  # until it waits
                time.sleep(0.001)
            pending = store.save_in_background(NetworkState(populations=sheets, time_step=step), way=way)
            go.wait()
            for array in values.values():
                np.multiply(array, 0.5, out=array)
            done.wait()
            assert pending.wait().time_step == step
            with store.latest as saved:
                for name, was in expected.items():
                    assert np.array_equal(saved.populations[name]["r"][...], was)
    finally:
        go.abort()
        done.abort()
        other.join()


def test_a_step_that_is_on_its_way_is_not_saved_again_but_one_that_failed_is(store, stuck):
    net = DemoNetwork(seed=3, side=8)
    with pytest.raises(NotWritableError, match="died"), store.every(10, network=net, background="fork"):
        net.simulate(10)
        net.simulate(1)
        os.kill(child_of(store._background), signal.SIGKILL)
        while not store._background.done:
            time.sleep(0.01)
        assert store.saved_step is None
        net.simulate(9)
        net.simulate(1)
    store.save(net)
    assert [c.time_step for c in store] == [20]
