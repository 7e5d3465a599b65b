from __future__ import annotations

import sys

import pytest

from ann_ckpt.adapters.simulators import SIMULATORS, Simulators, simulator_for
from ann_ckpt.demo import DemoNetwork
from ann_ckpt.errors import OptionError, SimulatorError


class Brain:
    """A network of a simulator that nobody knows."""


def test_a_simulator_is_its_own_answer() -> None:
    network = DemoNetwork(side=4)
    assert simulator_for(network) is network
    assert Simulators().find(network) is network


def test_each_adapter_is_asked_in_turn_and_told_the_number() -> None:
    asked: list[tuple[str, object, int]] = []
    registry = Simulators()
    registry.register("first", lambda network, net_id: asked.append(("first", network, net_id)))
    registry.register("second", lambda network, net_id: DemoNetwork(side=4, seed=net_id))
    registry.register("third", lambda network, net_id: pytest.fail("asked after an answer"))
    found = registry.find(None, net_id=3)
    assert isinstance(found, DemoNetwork)
    assert found.seed == 3
    assert asked == [("first", None, 3)]
    assert registry.names == ("first", "second", "third")


def test_a_name_is_given_once() -> None:
    registry = Simulators()
    registry.register("Nest", lambda network, net_id: None)
    with pytest.raises(OptionError, match="'Nest' is registered already"):
        registry.register("Nest", lambda network, net_id: None)


def test_a_stranger_is_named_in_the_error() -> None:
    with pytest.raises(SimulatorError, match=r"no simulator takes a .*\.Brain") as caught:
        simulator_for(Brain())
    assert "ANNarchy" in caught.value.details["known"]
    assert "network=" in caught.value.details["hint"]


def test_no_network_at_all() -> None:
    with pytest.raises(SimulatorError, match="there is no network"):
        Simulators().find()


def test_annarchy_is_registered_and_not_imported() -> None:
    assert "ANNarchy" in SIMULATORS.names
    with pytest.raises(SimulatorError):
        simulator_for(Brain())
    assert "ANNarchy" not in sys.modules
