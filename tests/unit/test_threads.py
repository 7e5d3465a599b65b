"""Work handed to threads is done, whatever becomes of the threads."""

from __future__ import annotations

import gc
import os
import signal
import threading
import time
import weakref
from concurrent.futures import CancelledError

import pytest

from ann_ckpt import threads
from ann_ckpt.threads import Threads


def no_thread_starts(monkeypatch) -> None:
    def start(self):
        raise RuntimeError("can't create new thread at interpreter shutdown")

    monkeypatch.setattr(threading.Thread, "start", start)


def test_results_come_in_the_order_of_the_work():
    with Threads(3, "t") as pool:
        assert list(pool.map(lambda n: n * n, range(100))) == [n * n for n in range(100)]
        assert pool.submit(divmod, 7, 2).result() == (3, 1)


def test_several_threads_work_at_once():
    meet = threading.Barrier(3, timeout=60)
    with Threads(3, "t") as pool:
        futures = [pool.submit(meet.wait) for _ in range(3)]
        while not all(f.done() for f in futures):
            time.sleep(0.001)
        assert sorted(f.result() for f in futures) == [0, 1, 2]


@pytest.mark.parametrize("starts", [True, False])
def test_an_error_reaches_whoever_asks(monkeypatch, starts):
    if not starts:
        no_thread_starts(monkeypatch)
    with Threads(1, "t") as pool:
        future = pool.submit(lambda: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            future.result()
        assert isinstance(future.exception(), ZeroDivisionError)


def test_without_threads_the_caller_does_the_work(monkeypatch):
    no_thread_starts(monkeypatch)
    with Threads(2, "t") as pool:
        future = pool.submit(threading.get_ident)
        assert future.done()
        assert future.result() == threading.get_ident()
        assert list(pool.map(str, range(3))) == ["0", "1", "2"]


def test_without_threads_an_interrupt_comes_at_once(monkeypatch):
    no_thread_starts(monkeypatch)

    def interrupted():
        raise KeyboardInterrupt

    with Threads(1, "t") as pool, pytest.raises(KeyboardInterrupt):
        pool.submit(interrupted)


def test_work_may_wait_for_more_work_on_the_same_threads():
    with Threads(1, "t") as pool:
        outer = pool.submit(lambda: sum(pool.map(lambda n: n, range(10))))
        while not outer.done():
            time.sleep(0.001)
        assert outer.result() == 45


def test_work_is_done_once_however_many_ask():
    done = []
    with Threads(4, "t") as pool:
        futures = [pool.submit(done.append, n) for n in range(2000)]
        askers = [threading.Thread(target=lambda: [f.result() for f in futures]) for _ in range(4)]
        for asker in askers:
            asker.start()
        for asker in askers:
            asker.join(60)
    assert sorted(done) == list(range(2000))


def test_ending_waits_for_the_work_and_then_takes_no_more():
    gate, done = threading.Event(), []
    pool = Threads(1, "t")
    pool.submit(gate.wait, 60)
    pool.submit(done.append, 1)
    threading.Timer(0.05, gate.set).start()
    pool.shutdown()
    pool.shutdown()
    assert done == [1]
    with pytest.raises(RuntimeError, match="shut down"):
        pool.submit(int)


def test_ending_may_cancel_what_has_not_begun():
    gate = threading.Event()
    pool = Threads(1, "t")
    first = pool.submit(gate.wait, 60)
    while not first.running():
        time.sleep(0.001)
    second = pool.submit(int)
    pool.shutdown(wait=False, cancel_futures=True)
    gate.set()
    assert first.result() is True
    with pytest.raises(CancelledError):
        second.result()


def test_a_pool_that_nobody_refers_to_ends_its_threads():
    pool = Threads(2, "forgotten")
    pool.submit(int).result()
    started = list(pool._threads)
    del pool
    gc.collect()
    for thread in started:
        thread.join(60)
        assert not thread.is_alive()


def test_an_idle_thread_keeps_nothing_alive():
    class Big:
        pass

    big = Big()
    gone = weakref.ref(big)
    with Threads(1, "t") as pool:
        future = pool.submit(lambda value: None, big)
        while not future.done():
            time.sleep(0.001)
        del big, future
        deadline = time.monotonic() + 60
        while gone() is not None and time.monotonic() < deadline:
            time.sleep(0.001)
        assert gone() is None


def in_child(check) -> int:
    """Run ``check`` in a forked child; return its exit status, killed after 60 s."""
    pid = os.fork()
    if pid == 0:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(60)
        status = 1
        try:
            status = 0 if check() else 2
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_has_threads_of_its_own():
    with Threads(2, "t") as pool:
        list(pool.map(int, range(10)))
        assert in_child(lambda: list(pool.map(str, range(3))) == ["0", "1", "2"]) == 0
        assert list(pool.map(str, range(3))) == ["0", "1", "2"]


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_is_told_that_its_parent_does_the_work():
    gate = threading.Event()
    with Threads(1, "t") as pool:
        future = pool.submit(gate.wait, 60)
        while not future.running():
            time.sleep(0.001)

        def check() -> bool:
            with pytest.raises(RuntimeError, match="parent"):
                future.result()
            return True

        assert in_child(check) == 0
        gate.set()
        assert future.result() is True


def test_a_signal_handler_may_submit_while_it_interrupts_submitting():
    """Executors of the standard library wait for their own lock here."""
    pool = Threads(1, "t")
    got = []
    before = signal.signal(signal.SIGALRM, lambda *_: got.append(pool.submit(int).result()))
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.0005, 0.0005)
        deadline = time.monotonic() + 60
        while len(got) < 300 and time.monotonic() < deadline:
            pool.submit(int).result()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        pool.shutdown()
    assert len(got) >= 300


def test_the_interpreter_does_not_end_while_the_main_thread_runs():
    assert not threads.interpreter_ends()
