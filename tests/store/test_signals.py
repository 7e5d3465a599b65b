"""Signals, from the opening of a store to its end: what is unsaved is saved, and nothing else is lost."""

from __future__ import annotations

import gc
import itertools
import os
import signal
import subprocess
import sys
import threading
import weakref
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest

from ann_ckpt import CheckpointStore, differences
from ann_ckpt.demo import DemoNetwork
from ann_ckpt.errors import OptionError
from tests.store.test_running import run_to, steps

ROOT = Path(__file__).parents[2]


class Silent(DemoNetwork):
    """Does not call between steps."""

    call_every = None


@pytest.fixture(autouse=True)
def _handlers():
    """Every signal is given back in the end."""
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGUSR1)}
    yield
    assert {number: signal.getsignal(number) for number in before} == before


@pytest.fixture
def net() -> DemoNetwork:
    return DemoNetwork(side=4)


def ask(number: signal.Signals = signal.SIGUSR1) -> None:
    os.kill(os.getpid(), number)


def test_before_the_network_is_known_it_leaves_at_once(path, capsys):
    with pytest.raises(SystemExit) as left, CheckpointStore(path, "a") as store:
        store.on_signal()
        ask(signal.SIGTERM)
        pytest.fail("it went on")
    assert left.value.code == 75
    assert capsys.readouterr().err == "ann_ckpt: SIGTERM: there was nothing to save; leaving with status 75\n"
    assert steps(CheckpointStore(path)) == []
    CheckpointStore(path, "a").close()


def test_from_resume_on_it_saves_between_two_steps_and_says_so(path, net, capsys):
    with pytest.raises(SystemExit) as left, CheckpointStore(path, "a") as store:
        store.on_signal(within=5.0)
        assert store.resume(net) is None
        net.simulate(7)
        ask()
        assert len(store) == 0
        net.simulate(100)
    assert left.value.code == 75
    assert steps(CheckpointStore(path)) == [10]
    assert not list(differences(CheckpointStore(path).latest.state(), run_to(10)))
    line = capsys.readouterr().err
    assert line.startswith(f"ann_ckpt: SIGUSR1: saved step 10 to {path} in ")
    assert line.endswith(" s; leaving with status 75\n")
    assert line.count("\n") == 1


def test_every_tells_it_the_network_too_and_a_periodic_save_is_moment_enough(path, net, capsys):
    with pytest.raises(SystemExit), CheckpointStore(path, "a") as store:
        store.on_signal(within=1000.0)
        with store.every(10.0, network=net):
            net.simulate(12)
            ask()
            net.simulate(100)
    assert steps(CheckpointStore(path)) == [10, 20]
    assert "step 20 was saved before" in capsys.readouterr().err


def test_between_two_calls_of_simulate_it_leaves_where_it_is_asked_to(path, capsys):
    net = Silent(side=4)
    with pytest.raises(SystemExit), CheckpointStore(path, "a") as store:
        store.on_signal()
        store.resume(net)
        for _ in range(4):
            net.simulate(3)
            store.checkpoint_if_asked()
            if net.time_step == 6:
                ask()
    assert steps(CheckpointStore(path)) == [9]
    assert not list(differences(CheckpointStore(path).latest.state(), run_to(9)))


def test_the_network_can_be_named_there(path, net):
    with pytest.raises(SystemExit), CheckpointStore(path, "a") as store:
        store.on_signal(exit_status=3)
        store.checkpoint_if_asked(net)
        net.simulate(3)
        ask()
        store.checkpoint_if_asked(net)
    assert steps(CheckpointStore(path)) == [3]


def test_a_signal_during_a_save_lets_it_finish(path, net, capsys):
    with pytest.raises(SystemExit) as left, CheckpointStore(path, "a") as store:
        store.on_signal()
        net.simulate(3)
        store.save(net, progress=lambda *_: ask())
        assert len(store) == 1
    assert left.value.code == 75
    assert steps(CheckpointStore(path)) == [3]
    assert CheckpointStore(path).verify().ok
    assert "step 3 was saved before" in capsys.readouterr().err


def test_a_signal_during_a_save_of_a_state_lets_it_finish_too(path):
    with pytest.raises(SystemExit), CheckpointStore(path, "a") as store:
        store.on_signal()
        store.save(run_to(3), progress=lambda *_: ask())
        assert len(store) == 1
    assert steps(CheckpointStore(path)) == [3]


@pytest.mark.parametrize(
    "save",
    [
        lambda store, net: store.save(net, projections=False),
        lambda store, net: store.save(net, projections=False, background=True),
        lambda store, net: store.save(net, attributes={"layer": "r"}),
        lambda store, net: store.save(net, rows={"forward": [0]}),
        lambda store, net: store.save(DemoNetwork(side=5), background=True),
        lambda store, net: store.save(run_to(0)),
        lambda store, net: store.add(store.save(run_to(0)).path),
    ],
    ids=["part", "part in the background", "attributes", "rows", "another network", "a state", "a file"],
)
def test_what_else_was_saved_at_that_step_does_not_count(path, net, save):
    with pytest.raises(SystemExit), CheckpointStore(path, "a") as store:
        store.on_signal(network=net)
        save(store, net)
        ask()
        store.checkpoint_if_asked()
    newest = CheckpointStore(path).latest
    assert newest.provenance["saved"] == "on SIGUSR1"
    assert not list(differences(newest.state(), net.read().state))


class Seen(DemoNetwork):
    """Another simulator of a network that there is, as adapters make them for each call."""

    def __init__(self, net: DemoNetwork) -> None:
        self.__dict__ = net.__dict__

    @property
    def identity(self) -> object:
        return self._calls


def test_what_was_saved_through_another_simulator_of_the_network_counts(path, net):
    with pytest.raises(SystemExit), CheckpointStore(path, "a") as store:
        store.on_signal(network=Seen(net))
        store.save(Seen(net))
        ask()
        store.checkpoint_if_asked()
    assert steps(CheckpointStore(path)) == [0]


def test_a_store_keeps_no_network_alive(path):
    with CheckpointStore(path, "a") as store:
        net = DemoNetwork(side=4)
        store.save(net)
        gone = weakref.ref(net)
        del net
        gc.collect()
        assert gone() is None


def test_a_signal_during_the_last_save_or_after_it_leaves_at_the_end(path, net, capsys):
    with pytest.raises(SystemExit) as left, CheckpointStore(path, "a") as store:
        store.on_signal()
        store.resume(net)
        net.simulate(20)
        store.save(net, tag="end", progress=lambda *_: ask())
    assert left.value.code == 75
    assert steps(CheckpointStore(path)) == [20]
    assert CheckpointStore(path)["end"].time_step == 20
    assert "step 20 was saved before; leaving with status 75" in capsys.readouterr().err


def test_a_signal_during_the_save_that_a_signal_caused_is_no_second_save(path, net, monkeypatch):
    with pytest.raises(SystemExit), CheckpointStore(path, "a") as store:
        save = store.save

        def interrupted(network, **options):
            ask()
            return save(network, **options)

        monkeypatch.setattr(store, "save", interrupted)
        store.on_signal(network=net)
        net.simulate(5)
        ask()
        store.checkpoint_if_asked()
    assert steps(CheckpointStore(path)) == [5]


def test_what_is_unsaved_at_the_end_of_the_store_is_saved(path, net):
    store = CheckpointStore(path, "a")
    store.on_signal()
    store.resume(net)
    net.simulate(4)
    ask()
    with pytest.raises(SystemExit):
        store.close()
    assert steps(CheckpointStore(path)) == [4]
    CheckpointStore(path, "a").close()


def test_a_signal_while_the_store_is_closed_leaves_when_it_is(path, net, monkeypatch, capsys):
    store = CheckpointStore(path, "a")
    store.on_signal()
    store.resume(net)
    close = store._close

    def interrupted(session):
        ask()
        close(session)

    monkeypatch.setattr(store, "_close", interrupted)
    with pytest.raises(SystemExit):
        store.close()
    assert "the store was just closed" in capsys.readouterr().err


def test_a_run_that_fails_is_not_called_one_to_be_started_again(path, net):
    with pytest.raises(ZeroDivisionError), CheckpointStore(path, "a") as store:
        store.on_signal()
        store.resume(net)
        net.simulate(4)
        ask()
        raise ZeroDivisionError
    assert steps(CheckpointStore(path)) == []


def test_it_may_go_on_after_saving(path, net):
    with CheckpointStore(path, "a") as store:
        store.on_signal(exit_status=None, within=1.0)
        ask()
        store.resume(net)
        for _ in range(2):
            net.simulate(3)
            ask()
        net.simulate(3)
    assert steps(CheckpointStore(path)) == [0, 3, 6]


def test_two_watches_give_the_signals_back_in_order(path, net):
    with CheckpointStore(path, "a") as store:
        store.on_signal()
        with store.on_signal(network=net):
            net.simulate(3)
        store.on_signal()


@pytest.fixture
def heard():
    """Signals that reach what was there before any watch."""
    came: list[int] = []
    before = {n: signal.signal(n, lambda n, _: came.append(n)) for n in (signal.SIGTERM, signal.SIGUSR1)}
    yield came
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_watches_may_be_stopped_in_any_order(path, net, heard, order):
    before = signal.getsignal(signal.SIGUSR1)
    with CheckpointStore(path, "a") as store:
        watches = [store.on_signal(network=net, exit_status=None, within=1.0) for _ in range(3)]
        for count, number in enumerate(order):
            net.simulate(2)
            ask()
            net.simulate(2)  # whoever listens saves in it
            assert len(store) == count + 1
            watches[number].stop()
        store.on_signal(signal.SIGUSR1, signal.SIGUSR1, network=net).stop()
        assert heard == []
        assert signal.getsignal(signal.SIGUSR1) == before
        ask()
    assert heard == [signal.SIGUSR1]
    assert len(CheckpointStore(path)) == 3


def test_a_handler_that_was_set_after_a_watch_stays(path, net, heard):
    with CheckpointStore(path, "a") as store:
        watch = store.on_signal(network=net)
        own = signal.getsignal(signal.SIGUSR1)
        mine = partial(own)
        signal.signal(signal.SIGUSR1, mine)
        watch.stop()
        assert signal.getsignal(signal.SIGUSR1) is mine
        ask()
    assert heard == [signal.SIGUSR1]


def test_a_store_closed_in_another_thread_leaves_no_signal_unheard(path, net, heard):
    store = CheckpointStore(path, "a")
    watch = store.on_signal(network=net)
    with ThreadPoolExecutor() as pool:
        pool.submit(store.close).result()
    assert not watch.listening
    ask()
    assert heard == [signal.SIGUSR1]
    with CheckpointStore(path, "a") as store:
        store.on_signal(network=net, exit_status=None).stop()
        ask()
    assert heard == [signal.SIGUSR1] * 2


def test_a_handler_that_is_not_pythons_is_replaced_by_the_default(path, net, monkeypatch):
    with monkeypatch.context() as patch, CheckpointStore(path, "a") as store:
        for name in ("getsignal", "signal"):
            real = getattr(signal, name)
            patch.setattr(signal, name, lambda *given, real=real: real(*given) or None)
        store.on_signal(network=net)
    assert signal.getsignal(signal.SIGUSR1) == signal.SIG_DFL


def test_somebody_has_to_listen(path, net):
    with CheckpointStore(path, "a") as store:
        with pytest.raises(OptionError, match="no signal handler"):
            store.checkpoint_if_asked(net)
        store.on_signal(network=net).stop()
        with pytest.raises(OptionError, match="no signal handler"):
            store.checkpoint_if_asked()


def test_only_the_main_thread_can_listen(path):
    failures = []

    def listen() -> None:
        try:
            store.on_signal()
        except OptionError as error:
            failures.append(error)

    with CheckpointStore(path, "a") as store:
        thread = threading.Thread(target=listen)
        thread.start()
        thread.join()
    assert len(failures) == 1


def test_a_forked_child_dies_of_a_signal_as_it_would_have(path, net):
    with CheckpointStore(path, "a") as store:
        store.on_signal()
        store.resume(net)
        net.simulate(3)
        child = os.fork()
        if child == 0:
            os.kill(os.getpid(), signal.SIGUSR1)
            os._exit(0)
        assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGUSR1
    assert steps(CheckpointStore(path)) == []


IMPORTING = """
import os, signal, sys
from ann_ckpt import CheckpointStore
with CheckpointStore(sys.argv[1], "a") as store:
    store.on_signal()
    print("listening", flush=True)
    import time
    time.sleep(60)
"""


def test_a_long_import_or_compilation_is_left_at_once(path):
    with subprocess.Popen(
        [sys.executable, "-c", IMPORTING, path],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as job:
        assert job.stdout is not None
        job.stdout.readline()
        job.send_signal(signal.SIGUSR1)
        _, said = job.communicate(timeout=60)
    assert job.returncode == 75
    assert said == "ann_ckpt: SIGUSR1: there was nothing to save; leaving with status 75\n"
    CheckpointStore(path, "a").close()
