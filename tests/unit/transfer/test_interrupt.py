"""^C while a network is loaded: the network is whole, or it is said that it is not."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable

import pytest

import ann_ckpt
from ann_ckpt import differences
from ann_ckpt.demo import DemoNetwork
from ann_ckpt.errors import SimulatorError


class Interrupted(DemoNetwork):
    """A network in which something happens before a certain number of attributes is set."""

    def __init__(self, at: int, happens: Callable[[], object]) -> None:
        super().__init__(seed=1)
        self.left = at
        self.happens = happens

    def set_population_attribute(self, *args, **kwargs):
        self._count()
        return super().set_population_attribute(*args, **kwargs)

    def set_projection_attribute(self, *args, **kwargs):
        self._count()
        return super().set_projection_attribute(*args, **kwargs)

    def _count(self) -> None:
        self.left -= 1
        if self.left == 0:
            self.happens()


@pytest.fixture
def path(tmp_path):
    net = DemoNetwork(seed=1)
    net.simulate(5)
    ann_ckpt.save(tmp_path / "net.h5", network=net)
    return tmp_path / "net.h5"


def interrupt() -> None:
    signal.raise_signal(signal.SIGINT)


def same(net, path) -> bool:
    return not list(differences(ann_ckpt.read(path), net.read().state))


@pytest.mark.parametrize("at", [1, 2, 3])
def test_an_interrupt_while_values_are_set_comes_when_all_are(path, at):
    net = Interrupted(at, interrupt)
    with pytest.raises(KeyboardInterrupt) as caught:
        ann_ckpt.load(path, network=net)
    assert caught.value.__notes__ == [
        "the network was loaded completely before the interrupt was let through"
    ]
    assert same(net, path)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_second_interrupt_breaks_off_and_says_so(path):
    net = Interrupted(1, lambda: (interrupt(), interrupt()))
    with pytest.raises(KeyboardInterrupt) as caught:
        ann_ckpt.load(path, network=net)
    assert "the network is partly loaded" in caught.value.__notes__[0]
    assert not same(net, path)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    ann_ckpt.load(path, network=net)
    assert same(net, path)


def test_an_interrupt_while_the_file_is_checked_comes_at_once_and_changes_nothing(path):
    net = DemoNetwork(seed=2)
    before = net.read().state
    with pytest.raises(KeyboardInterrupt) as caught:
        ann_ckpt.load(path, network=net, progress=lambda *_: interrupt())
    assert not hasattr(caught.value, "__notes__")
    assert not list(differences(before, net.read().state))


def test_an_exit_that_a_handler_asks_for_is_told_about_the_network(path):
    def leave():
        raise SystemExit(3)

    with pytest.raises(SystemExit) as caught:
        ann_ckpt.load(path, network=Interrupted(2, leave))
    assert caught.value.code == 3
    assert "the network is partly loaded" in caught.value.__notes__[0]


def test_an_error_says_it_itself_and_gives_the_signal_back(path):
    with pytest.raises(SimulatorError, match="partly loaded") as caught:
        ann_ckpt.load(path, network=Interrupted(2, lambda: 1 / 0))
    assert not hasattr(caught.value, "__notes__")
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_handler_of_ones_own_is_left_alone(path):
    came = []
    before = signal.signal(signal.SIGINT, lambda *_: came.append(1))
    try:
        net = Interrupted(1, interrupt)
        ann_ckpt.load(path, network=net)
    finally:
        signal.signal(signal.SIGINT, before)
    assert came == [1]
    assert same(net, path)


def test_loading_in_another_thread_touches_no_signal(path):
    net, seen = Interrupted(1, lambda: seen.append(signal.getsignal(signal.SIGINT))), []
    thread = threading.Thread(target=ann_ckpt.load, args=(path,), kwargs={"network": net})
    thread.start()
    thread.join(60)
    assert seen == [signal.default_int_handler]
    assert same(net, path)


@pytest.mark.parametrize("times", [1, 2])
def test_an_interrupt_while_parameters_are_set_comes_when_all_are(tmp_path, times):
    source, net = DemoNetwork(seed=1), Interrupted(1, lambda: [interrupt() for _ in range(times)])
    parameters = tmp_path / "parameters.json"
    ann_ckpt.params.save_parameters(parameters, network=source)
    with pytest.raises(KeyboardInterrupt) as caught:
        ann_ckpt.params.apply(parameters, net)
    said = "all parameters were set" if times == 1 else "the parameters are partly set"
    assert said in caught.value.__notes__[0]
