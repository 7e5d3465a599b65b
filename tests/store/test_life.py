"""A save is committed or says why it was not, wherever in the life of a process it comes.

Each script runs in a process of its own, with a limit against hanging.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from ann_ckpt import CheckpointStore
from ann_ckpt.store.owners.lock import holder_of

ROOT = Path(__file__).parents[2]
LIMIT = 120
"""Seconds; what hangs, hangs for longer."""
PRELUDE = """
import atexit, dataclasses, json, os, signal, sys, threading, time, warnings
import numpy as np
import ann_ckpt
from ann_ckpt import CheckpointStore, NetworkState, PopulationState
from ann_ckpt.errors import BusyError, CheckpointError, LockedError, OptionError

warnings.filterwarnings("ignore", message=".*fork.*", category=DeprecationWarning)

def net(step, size=100_000):
    values = np.random.default_rng(step).random(size)
    return NetworkState(populations=[PopulationState("p", (size,), variables={"x": values})], time_step=step)

def wait_for_child(pid):
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
"""


def run(tmp_path: Path, script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    file = tmp_path / "script.py"
    file.write_text(PRELUDE + textwrap.dedent(script))
    return subprocess.run(
        [sys.executable, "-W", "error", file, *arguments],
        check=False,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": os.fspath(ROOT)},
        capture_output=True,
        text=True,
        timeout=LIMIT,
    )


def done(tmp_path: Path, script: str) -> str:
    """Run a script that has to end well; return what it printed."""
    answer = run(tmp_path, script)
    assert (answer.returncode, answer.stderr) == (0, ""), answer.stderr
    return answer.stdout


def steps(path: Path) -> list[int | None]:
    """Time steps in a store that is whole and that nobody holds."""
    assert not list(path.glob("lock*"))
    store = CheckpointStore(path)
    assert store.verify().ok
    assert not list(store._folder.leftovers())
    return [info.time_step for info in store.checkpoints]


# --- The end of the interpreter ---------------------------------------------------


@pytest.mark.parametrize("background", [False, True])
@pytest.mark.parametrize(
    "when",
    [
        "save()",
        "atexit.register(save)",
        "threading.Thread(target=lambda: (threading.main_thread().join(), save())).start()",
        "threading.Thread(target=lambda: (threading.main_thread().join(), time.sleep(.3), save())).start()",
    ],
    ids=["last line", "atexit", "outliving thread", "outliving thread, later"],
)
def test_what_is_saved_while_the_interpreter_ends_is_committed(tmp_path, when, background):
    done(
        tmp_path,
        f"""
        store = CheckpointStore("run.ckpt", "a")
        def save():
            store.save(net(1, 3_000_000), background={background})
        {when}
        """,
    )
    assert steps(tmp_path / "run.ckpt") == [1]


def test_an_exit_handler_that_was_registered_before_the_import_saves_too(tmp_path):
    (tmp_path / "first.py").write_text(
        "import atexit\n"
        "atexit.register(lambda: (store.save(net(2)), ann_ckpt.save('net.h5', network=net(3))))\n"
        "from script import *\n"
    )
    (tmp_path / "script.py").write_text(PRELUDE + 'store = CheckpointStore("run.ckpt", "a")\n')
    answer = subprocess.run(
        [sys.executable, "first.py"],
        check=False,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": os.fspath(ROOT)},
        capture_output=True,
        text=True,
        timeout=LIMIT,
    )
    assert (answer.returncode, answer.stderr) == (0, "")
    assert (tmp_path / "net.h5").exists()
    with CheckpointStore(tmp_path / "run.ckpt") as store:
        assert [info.time_step for info in store.checkpoints] == [2]


def test_single_files_are_saved_while_the_interpreter_ends(tmp_path):
    done(
        tmp_path,
        """
        def save(name):
            ann_ckpt.save(name, network=net(1, 3_000_000))
            assert ann_ckpt.read(name).time_step == 1
        atexit.register(save, "a.h5")
        threading.Thread(target=lambda: (threading.main_thread().join(), save("b.h5"))).start()
        """,
    )
    assert (tmp_path / "a.h5").exists()
    assert (tmp_path / "b.h5").exists()


def test_a_failure_in_the_background_that_nobody_asks_for_is_said_at_the_end(tmp_path):
    answer = run(
        tmp_path,
        """
        from ann_ckpt.store.saving import batch
        def fsync(path):
            raise OSError(5, "Input/output error")
        batch.fsync_file = fsync
        store = CheckpointStore("run.ckpt", "a")
        store.save(net(1), background=True)
        """,
    )
    assert "a background save failed" in answer.stderr
    assert "Input/output error" in answer.stderr
    assert steps(tmp_path / "run.ckpt") == []


def test_a_store_that_is_kept_everywhere_does_not_change_the_exit_status(tmp_path):
    done(
        tmp_path,
        """
        store = CheckpointStore("run.ckpt", "a")
        store.save(net(1))
        sys.modules["keeper"] = store
        checkpoint = store.latest
        checkpoint.metadata
        def keep(*things):
            while True:
                time.sleep(1)
        threading.Thread(target=keep, args=(store, checkpoint), daemon=True).start()
        atexit.register(lambda things: None, (store, checkpoint))
        signal.signal(signal.SIGUSR1, lambda *_: (store, checkpoint))
        cycle = [store]; cycle.append(cycle); del cycle
        """,
    )
    assert steps(tmp_path / "run.ckpt") == [1]


def test_a_store_that_nobody_refers_to_lets_the_next_writer_in(tmp_path):
    with CheckpointStore(tmp_path / "run.ckpt", "a"):
        pass
    store = CheckpointStore(tmp_path / "run.ckpt", "a")
    assert (tmp_path / "run.ckpt" / "lock").exists()
    del store
    assert not (tmp_path / "run.ckpt" / "lock").exists()


# --- Several threads, one process -------------------------------------------------


@pytest.mark.parametrize("background", [False, True])
@pytest.mark.parametrize("objects", [1, 2])
def test_threads_take_turns(tmp_path, background, objects):
    done(
        tmp_path,
        f"""
        stores = [CheckpointStore("run.ckpt", "a") for _ in range({objects})]
        pruner = CheckpointStore("run.ckpt", "prune")
        def work(number):
            for step in range(8):
                stores[number % {objects}].save(net(10 * number + step), background={background})
                stores[number % {objects}].plan(net(0))
        def prune():
            for _ in range(8):
                pruner.gc()
        threads = [threading.Thread(target=work, args=(n,)) for n in range(3)]
        threads.append(threading.Thread(target=prune))
        [t.start() for t in threads]; [t.join() for t in threads]
        [store.close() for store in stores]
        """,
    )
    assert sorted(steps(tmp_path / "run.ckpt")) == sorted(10 * n + s for n in range(3) for s in range(8))


def test_a_process_that_opens_its_store_again_shares_it(tmp_path):
    path = tmp_path / "run.ckpt"
    first = CheckpointStore(path, "a")
    second = CheckpointStore(path, "a")
    assert holder_of(path / "lock") is not None
    first.close()
    assert (path / "lock").exists()
    second.close()
    assert not (path / "lock").exists()


@pytest.mark.parametrize("happened", ["moved", "removed"])
def test_a_folder_that_is_moved_or_removed_while_it_is_open_can_be_opened_again(tmp_path, happened):
    done(
        tmp_path,
        f"""
        import shutil
        for step in range(3):  # the number of a folder that was removed is soon that of another
            old = CheckpointStore(f"run{{step}}.ckpt", "a")
            old.save(net(step))
            if {happened == "moved"}:
                os.rename(f"run{{step}}.ckpt", "new.ckpt")
            else:
                shutil.rmtree(f"run{{step}}.ckpt")
            with CheckpointStore("new.ckpt", "a") as store:
                store.save(net(step))
                assert store.latest.time_step == step and store.verify().ok
            try:
                old.save(net(9))
            except CheckpointError:
                pass
            else:
                raise SystemExit("saved to a folder that is not there")
            shutil.rmtree("new.ckpt")
        """,
    )


def test_beginning_anew_beside_an_open_object_leaves_it_nothing_to_build_upon(tmp_path):
    done(
        tmp_path,
        """
        old = CheckpointStore("run.ckpt", "a")
        old.save(net(7))
        new = CheckpointStore("run.ckpt", "w")
        assert len(old) == 0
        new.save(net(7, 50_000))
        old.save(dataclasses.replace(net(7), time_step=8))  # the values that are gone
        old.save(net(9))
        new.close(); old.close()
        """,
    )
    assert steps(tmp_path / "run.ckpt") == [7, 8, 9]


# --- A thread that would wait for itself ------------------------------------------

CALLS = {
    "save": "store.save(net(5))",
    "background": "store.save(net(5), background=True)",
    "plan": "store.plan(net(5))",
    "prune": "store.prune(keep_last=1)",
    "gc": "store.gc()",
    "close": "store.close()",
    "api save": "ann_ckpt.save('run.ckpt', network=net(5))",
    "another object": "CheckpointStore('run.ckpt', 'a')",
    "a pruner": "CheckpointStore('run.ckpt', 'prune').gc()",
    "add": "store.add('net.h5')",
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
@pytest.mark.parametrize("background", [False, "copy"])
def test_a_call_from_within_a_save_is_refused_at_once(tmp_path, call, background):
    said = done(
        tmp_path,
        f"""
        ann_ckpt.save("net.h5", network=net(0))
        store = CheckpointStore("run.ckpt", "a")
        store.save(net(1))
        def progress(*_):
            try:
                {call}
            except BusyError as error:
                print(error)
            else:
                sys.exit("not refused")
        store.save(net(2, 2_000_000), progress=progress, background={background!r})
        store.save(net(3))
        store.close()
        """,
    )
    assert "cannot wait for itself" in said
    assert steps(tmp_path / "run.ckpt") == [1, 2, 3]


def test_a_call_from_within_retention_in_the_background_is_refused(tmp_path):
    done(
        tmp_path,
        """
        def keep(info):
            store.save(net(9))
        store = CheckpointStore("run.ckpt", "a", retention=ann_ckpt.Retention(keep=keep))
        try:
            store.save(net(1)); store.save(net(2), background=True).wait()
        except BusyError as error:
            assert "cannot wait for itself" in str(error)
        else:
            sys.exit("not refused")
        store.retention = None
        store.save(net(3))
        store.close()
        """,
    )


@pytest.mark.parametrize("background", [False, True])
def test_a_signal_handler_saves_or_is_refused_and_never_hangs(tmp_path, background):
    said = done(
        tmp_path,
        f"""
        store = CheckpointStore("run.ckpt", "a")
        counts = dict(saved=0, refused=0)
        small, large = net(100, 1000), net(1, 1_000_000)
        def handler(*_):
            try:
                store.save(small, background={background})
                counts["saved"] += 1
            except BusyError:
                counts["refused"] += 1
        signal.signal(signal.SIGALRM, handler)
        signal.setitimer(signal.ITIMER_REAL, 0.01, 0.1)
        deadline = time.monotonic() + 100
        step = 0
        while (step < 8 or not counts["refused"]) and time.monotonic() < deadline:
            step += 1
            store.save(large, background={background})
        while not counts["saved"] and time.monotonic() < deadline:
            time.sleep(0.05)
        signal.setitimer(signal.ITIMER_REAL, 0)
        store.close()
        print(json.dumps(counts))
        """,
    )
    counts = json.loads(said)
    assert counts["refused"]
    assert counts["saved"]
    assert len(steps(tmp_path / "run.ckpt")) >= 8 + counts["saved"]


def test_a_signal_handler_reads_in_the_middle_of_a_read(tmp_path):
    done(
        tmp_path,
        """
        from ann_ckpt.format.shared import objects
        with CheckpointStore("run.ckpt", "a") as store:
            store.save(net(1))
        seen = []
        checkpoint = CheckpointStore("run.ckpt").latest
        def handler(*_):
            seen.append(np.asarray(checkpoint.populations["p"]["x"][:10]))
        signal.signal(signal.SIGUSR1, handler)
        def interrupted(real):
            def call(*args):
                if not seen:
                    seen.append(None)
                    signal.raise_signal(signal.SIGUSR1)
                return real(*args)
            return call
        objects.naming_object = interrupted(objects.naming_object)
        first = np.asarray(checkpoint.populations["p"]["x"][:10])
        assert np.array_equal(seen[1], first)
        """,
    )


# --- Forked children --------------------------------------------------------------


@pytest.mark.parametrize(
    "child",
    [
        "pass",
        "store.close()",
        "store.__exit__(None, None, None)",
        "refused(lambda: store.save(net(9)), OptionError)",
        "refused(lambda: CheckpointStore('run.ckpt', 'a'), LockedError)",
        "refused(pending.wait, OptionError)",
        "refused(lambda: pending.done, OptionError)",
        "ann_ckpt.save('child.h5', network=net(3, 3_000_000))",
        "CheckpointStore('run.ckpt').verify()",
        "CheckpointStore('run.ckpt', 'prune').gc()",
    ],
)
@pytest.mark.parametrize("leaving", ["sys.exit(0)", "os._exit(0)"])
def test_a_forked_child_does_not_disturb_a_save_of_its_parent(tmp_path, child, leaving):
    done(
        tmp_path,
        f"""
        def refused(call, kind):
            try:
                call()
            except kind as error:
                return
            sys.exit("not refused")
        store = CheckpointStore("run.ckpt", "a")
        pending = store.save(net(1, 6_000_000), background=True)
        pid = os.fork()
        if pid == 0:
            signal.alarm(60)
            {child}
            {leaving}
        assert wait_for_child(pid) == 0
        pending.wait()
        store.save(net(2))
        store.close()
        """,
    )
    assert steps(tmp_path / "run.ckpt") == [1, 2]


@pytest.mark.parametrize("target", ["store.save(two, progress=fork)", "single()"])
@pytest.mark.parametrize("child", ["sys.exit(7)", "return", "raise KeyboardInterrupt"])
def test_a_child_forked_in_the_middle_of_a_save_leaves_the_files_to_its_parent(tmp_path, target, child):
    done(
        tmp_path,
        f"""
        store = CheckpointStore("run.ckpt", "a")
        parent = os.getpid()
        one = net(1, 2_000_000).populations["p"]
        two = NetworkState(populations=[one, dataclasses.replace(one, name="q")], time_step=1)
        def fork(what, *_):
            global pid
            if os.getpid() != parent or pid or "/q/" not in what:  # objects of the first are written
                return
            pid = os.fork()
            if pid == 0:
                signal.alarm(60)
                {child}
            wait_for_child(pid)
        def single():
            ann_ckpt.save("net.h5", network=two, progress=fork)
        pid = None
        try:
            {target}
        except BaseException:
            if os.getpid() == parent:
                raise
        if os.getpid() != parent:
            os._exit(0)
        assert pid
        if os.path.exists("net.h5"):
            assert ann_ckpt.verify("net.h5").ok
        store.save(net(2))
        store.close()
        """,
    )
    assert steps(tmp_path / "run.ckpt")[-1] == 2


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_workers_of_multiprocessing_read_and_save_beside_a_save(tmp_path, method):
    done(
        tmp_path,
        f"""
        import multiprocessing
        def work(number):
            ann_ckpt.save(f"worker-{{number}}.h5", network=net(number))
            try:
                CheckpointStore("run.ckpt", "a")
            except LockedError:
                return ann_ckpt.read(f"worker-{{number}}.h5").time_step
        if __name__ == "__main__":
            store = CheckpointStore("run.ckpt", "a")
            store.save(net(1))
            pending = store.save(net(2, 4_000_000), background=True)
            with multiprocessing.get_context("{method}").Pool(2) as pool:
                assert pool.map(work, range(4)) == [0, 1, 2, 3]
            pending.wait()
            store.close()
        """,
    )
    assert steps(tmp_path / "run.ckpt") == [1, 2]


# --- Locks ------------------------------------------------------------------------

HOLDER = """
with CheckpointStore("run.ckpt", "a") as store:
    store.save(net(1))
    print("open", flush=True)
    {then}
"""


def start(tmp_path: Path, then: str) -> subprocess.Popen[str]:
    file = tmp_path / "holder.py"
    file.write_text(PRELUDE + HOLDER.format(then=then))
    process = subprocess.Popen(
        [sys.executable, file],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": os.fspath(ROOT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "open\n"
    return process


def test_wait_waits_for_another_process(tmp_path):
    then = "[time.sleep(.05) for _ in iter(lambda: os.path.exists('refused'), True)]; time.sleep(.3)"
    with start(tmp_path, then):
        done(
            tmp_path,
            """
            try:
                CheckpointStore("run.ckpt", "a", wait=0.05)
            except LockedError:
                open("refused", "w").close()
                with CheckpointStore("run.ckpt", "a", wait=100) as store:
                    store.save(net(2))
            """,
        )
    assert steps(tmp_path / "run.ckpt") == [1, 2]


def test_wait_bounds_how_long_a_change_waits_for_another(tmp_path):
    with start(tmp_path, "store._change.acquire(); sys.stdin.read(); store._change.release()") as process:
        done(
            tmp_path,
            """
            with CheckpointStore("run.ckpt", "prune", wait=0.05) as store:
                try:
                    store.gc()
                except LockedError as error:
                    assert "changes the store" in str(error)
                    sys.exit(0)
            sys.exit("not refused")
            """,
        )
        process.communicate("", timeout=LIMIT)


@pytest.mark.parametrize("wait", [-1, float("nan"), -float("inf")])
def test_a_wait_that_is_no_time_is_refused(tmp_path, wait):
    with pytest.raises(ValueError, match="number of seconds"):
        CheckpointStore(tmp_path / "run.ckpt", "a", wait=wait)
    assert not (tmp_path / "run.ckpt").exists()


def test_a_process_whose_lock_was_removed_saves_no_more(tmp_path):
    with start(
        tmp_path,
        """sys.stdin.readline()
    for call in (lambda: store.save(net(2)), lambda: store.plan(net(2))):
        try:
            call()
        except LockedError as error:
            print(error.fact)
    sys.stdout.flush()""",
    ) as process:
        (tmp_path / "run.ckpt" / "lock").unlink()
        with CheckpointStore(tmp_path / "run.ckpt", "a"):
            out, err = process.communicate("go\n", timeout=LIMIT)
            assert err == ""
            assert out.count("was removed while it was open") == 2
            assert (tmp_path / "run.ckpt" / "lock").exists()  # the one that is ours now
    assert steps(tmp_path / "run.ckpt") == [1]


def test_a_lock_that_is_removed_during_a_save_prevents_the_commit(tmp_path):
    done(
        tmp_path,
        """
        store = CheckpointStore("run.ckpt", "a")
        def unlock(*_):
            if os.path.exists("run.ckpt/lock"):
                os.unlink("run.ckpt/lock")
        try:
            store.save(net(1), progress=unlock)
        except LockedError as error:
            assert "was removed" in str(error)
        else:
            sys.exit("committed")
        again = CheckpointStore("run.ckpt", "a")
        again.save(net(2))
        """,
    )
    assert steps(tmp_path / "run.ckpt") == [2]


def test_who_holds_a_lock_and_whether_he_lives(tmp_path):
    lock = tmp_path / "run.ckpt" / "lock"
    with start(tmp_path, "sys.stdin.read()") as process:
        holder = holder_of(lock)
        assert holder is not None
        assert (holder.pid, holder.alive, holder.purpose) == (str(process.pid), True, "saves to the store")
        process.send_signal(signal.SIGKILL)
        process.wait(LIMIT)
        dead = holder_of(lock)
        assert dead is not None
        assert dead.alive is False
    lock.write_text(lock.read_text().replace(dead.host, "node17"))
    away = holder_of(lock)
    assert away is not None
    assert (away.host, away.alive) == ("node17", None)
    lock.unlink()
    assert holder_of(lock) is None
