"""ANNarchy 4.8 knows networks by number only, and gives numbers again; with stand-ins for its managers."""

from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import Any

import pytest

from ann_ckpt.adapters.annarchy.v48 import Cython
from ann_ckpt.errors import SimulatorError


class Constant(float):
    """A number with a value that can be set."""

    name = "gain"

    def __init__(self, value: float) -> None:
        self.value = value


class Manager(list[dict[str, Any]]):
    """The networks by number."""

    def get_network_dict(self, net_id: int) -> dict[str, Any]:
        return self[net_id]

    def get_populations(self, net_id: int) -> list[Any]:
        return list(self[net_id]["populations"])

    def get_projections(self, net_id: int) -> list[Any]:
        return list(self[net_id]["projections"])

    def compile(self, constant: Constant) -> Cython:
        """Make the network number 0, whose C++ has the value that the constant has now."""
        compiled = SimpleNamespace(gain=constant.value, get_time=lambda: 0)
        compiled._set_gain = lambda value: setattr(compiled, "gain", value)
        self[:] = [{"populations": [], "projections": [], "monitors": [], "instance": compiled}]
        return Cython("4.8", 0)


@pytest.fixture
def gain() -> Constant:
    return Constant(2.0)


@pytest.fixture
def manager(gain: Constant, monkeypatch: pytest.MonkeyPatch) -> Manager:
    there = Manager()
    intern = SimpleNamespace(
        NetworkManager=SimpleNamespace(NetworkManager=lambda: there),
        GlobalObjects=SimpleNamespace(
            GlobalObjectManager=lambda: SimpleNamespace(get_constants=lambda: [gain])
        ),
        ConfigManagement=SimpleNamespace(get_global_config={"seed": None}.get),
    )
    monkeypatch.setitem(sys.modules, "ANNarchy", SimpleNamespace(intern=intern))
    monkeypatch.setitem(sys.modules, "ANNarchy.intern", intern)
    return there


def test_a_constant_that_was_loaded_is_in_force_in_its_network_only(manager: Manager, gain: Constant) -> None:
    former = manager.compile(gain)
    former.set_constant("gain", 5.0)
    assert former.lost == ()
    gain.value = 3.0
    new = manager.compile(gain)
    gain.value = 5.0  # as Constant.set does, which passes the network number 0 by
    assert new.instance.gain == 3.0
    assert len(new.lost) == 1
    new.set_constant("gain", 5.0)
    assert new.instance.gain == 5.0
    assert new.lost == ()


@pytest.mark.parametrize("another", [True, False])
def test_a_network_that_is_gone_is_not_taken_for_the_next_of_its_number(
    manager: Manager, gain: Constant, another: bool
) -> None:
    former = manager.compile(gain)
    manager.clear()
    if another:
        assert manager.compile(gain).time_step() == 0
    for ask in (former.time_step, lambda: former.monitors, lambda: former.set_constant("gain", 1.0)):
        with pytest.raises(SimulatorError, match="the network is gone"):
            ask()
    assert gain.value == 2.0
