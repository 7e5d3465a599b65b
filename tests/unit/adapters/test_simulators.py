from __future__ import annotations

import sys
import types
from collections.abc import Iterator
from pathlib import Path

import pytest

import ann_ckpt
from ann_ckpt import NetworkState
from ann_ckpt.adapters import simulators
from ann_ckpt.adapters.simulators import GROUP, SIMULATORS, Simulators, simulator_for
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
    with pytest.raises(OptionError, match="'Nest' is already registered"):
        registry.register("Nest", lambda network, net_id: None)


def test_a_stranger_is_named_in_the_error() -> None:
    with pytest.raises(SimulatorError, match=r"accepts an object of type .*\.Brain") as caught:
        simulator_for(Brain())
    assert "ANNarchy" in caught.value.details["known"]
    assert "network=" in caught.value.details["hint"]


def test_no_network_at_all() -> None:
    with pytest.raises(SimulatorError, match="no network was given"):
        Simulators().find()


def test_annarchy_is_registered_and_not_imported() -> None:
    assert "ANNarchy" in SIMULATORS.names
    with pytest.raises(SimulatorError):
        simulator_for(Brain())
    assert "ANNarchy" not in sys.modules


# --- packages that join by an entry point -------------------------------------------

RING = """
class Network:
    size = 4

def adapt(network, net_id):
    from ann_ckpt.demo import DemoNetwork
    return DemoNetwork(side=network.size) if isinstance(network, Network) else None
"""


def install(where: Path, package: str, code: str, value: str, *, name: str = "Ring") -> None:
    """Put a package with one entry point where Python looks for packages, as pip does."""
    module = package.replace("-", "_")
    (where / f"{module}.py").write_text(code)
    info = where / f"{module}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[{GROUP}]\n{name} = {value}\n")


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path
    for name, module in list(sys.modules.items()):
        if str(getattr(module, "__file__", "")).startswith(str(tmp_path)):
            del sys.modules[name]


def test_an_installed_package_joins_without_being_imported(site: Path) -> None:
    install(site, "ring-sim", RING, "ring_sim:adapt")
    registry = Simulators(GROUP)
    registry.register("mine", lambda network, net_id: network if network == "mine" else None)  # type: ignore[arg-type, return-value]
    assert registry.find("mine") == "mine"
    assert "ring_sim" not in sys.modules, "loaded although another simulator took the network"
    network = types.SimpleNamespace()
    with pytest.raises(SimulatorError, match="no registered simulator accepts") as caught:
        registry.find(network)
    assert caught.value.details["known"] == "mine, Ring"
    ring = sys.modules["ring_sim"].Network()
    assert isinstance(registry.find(ring), DemoNetwork)
    assert isinstance(registry.find(ring), DemoNetwork), "joining twice"


def test_a_package_that_registers_when_imported_and_by_entry_point_joins_once(site: Path) -> None:
    code = RING.replace("isinstance(network, Network)", "network == 'ring'").replace("network.size", "4")
    code += "\nimport ann_ckpt.adapters.simulators as s\ns.TESTED.register('Ring', adapt)\n"
    install(site, "ring-sim", code, "ring_sim:adapt")
    registry = Simulators(GROUP)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(simulators, "TESTED", registry, raising=False)
        assert isinstance(registry.find("ring"), DemoNetwork)
    assert isinstance(registry.find("ring"), DemoNetwork)
    with pytest.raises(SimulatorError) as caught:
        registry.find(Brain())
    assert caught.value.details == {"known": "Ring", "hint": "pass the compiled network as network="}


@pytest.mark.parametrize(
    ("code", "value", "says"),
    [
        ("import no_such_module_anywhere", "broken:adapt", "No module named 'no_such_module_anywhere'"),
        ("raise SystemError('wrong build')", "broken:adapt", "SystemError: wrong build"),
        ("", "broken:adapt", "no attribute 'adapt'"),
        ("adapt = 3", "broken:adapt", "broken:adapt is not a function"),
        ("adapt = lambda network, net_id: 1 / 0", "broken:adapt", "ZeroDivisionError"),
    ],
)
def test_a_broken_package_is_named_and_the_others_work(site: Path, code: str, value: str, says: str) -> None:
    install(site, "broken", code, value, name="Broken")
    install(site, "ring-sim", RING, "ring_sim:adapt")
    import ring_sim

    registry = Simulators(GROUP)
    assert isinstance(registry.find(ring_sim.Network()), DemoNetwork)
    with pytest.raises(SimulatorError, match="no registered simulator accepts") as caught:
        registry.find(Brain())
    (who,) = (who for who in caught.value.details if who.startswith("Broken"))
    assert says in caught.value.details[who]
    assert caught.value.__cause__ is not None
    assert who in {"Broken", "Broken of broken 1.0"}


def test_two_packages_of_one_name_are_both_named(site: Path) -> None:
    install(site, "ring-a", RING, "ring_a:adapt")
    install(site, "ring-b", RING, "ring_b:adapt")
    install(site, "other", RING, "other:adapt", name="Other")
    with pytest.raises(SimulatorError) as caught:
        Simulators(GROUP).find(Brain())
    for who in ("Ring of ring-a 1.0", "Ring of ring-b 1.0"):
        assert caught.value.details[who] == "2 installed packages register a simulator of that name"
    import other

    assert isinstance(Simulators(GROUP).find(other.Network()), DemoNetwork)


def test_a_package_cannot_take_the_name_of_one_that_is_registered(site: Path) -> None:
    install(site, "ring-sim", RING, "ring_sim:adapt")
    registry = Simulators(GROUP)
    registry.register("Ring", lambda network, net_id: None)
    with pytest.raises(SimulatorError) as caught:
        registry.find(Brain())
    assert "already registered" in caught.value.details["Ring of ring-sim 1.0"]


def test_an_answer_that_is_an_error_of_ours_is_the_answer(site: Path) -> None:
    """Its own network, which it cannot work with: nobody else is asked."""
    registry = Simulators()

    def adapt(network: object, net_id: int) -> None:
        raise SimulatorError("the network is not compiled")

    registry.register("Ring", adapt)
    with pytest.raises(SimulatorError, match="not compiled"):
        registry.find(Brain())


def test_register_joins_the_registry_that_save_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SIMULATORS, "_adapters", {})
    ann_ckpt.simulators.register("Brain", lambda network, net_id: DemoNetwork(side=4))
    assert isinstance(simulator_for(Brain()), DemoNetwork)
    with pytest.raises(OptionError, match="already registered"):
        ann_ckpt.simulators.register("Brain", lambda network, net_id: None)


def test_an_installed_package_is_asked_once(site: Path) -> None:
    install(
        site, "ring-sim", "asked = []\ndef adapt(network, net_id): asked.append(network)", "ring_sim:adapt"
    )
    registry, brain = Simulators(GROUP), Brain()
    for times in (1, 2):
        with pytest.raises(SimulatorError):
            registry.find(brain)
        assert sys.modules["ring_sim"].asked == [brain] * times


# --- models that are run on the user's behalf ----------------------------------------


def test_a_network_is_prepared_by_its_own_simulator(site: Path, tmp_path: Path) -> None:
    code = (
        RING
        + """
def prepare(network, directory):
    if isinstance(network, Network):
        network.size, network.directory = 3, directory
        return network
"""
    )
    install(site, "ring-sim", code, "ring_sim")
    import ring_sim

    registry = Simulators(GROUP)
    registry.register("first", lambda network, net_id: None, prepare=lambda network, directory: None)
    registry.register("second", lambda network, net_id: None)
    ring = ring_sim.Network()
    assert registry.prepare(ring, "here") is ring
    assert (ring.size, ring.directory) == (3, "here")
    assert isinstance(registry.find(ring), DemoNetwork)


def test_what_needs_no_preparing_is_left_alone() -> None:
    registry = Simulators()
    registry.register("first", lambda network, net_id: None, prepare=lambda network, directory: "another")
    network, brain = DemoNetwork(side=4), Brain()
    assert registry.prepare(network, "here") is network
    assert registry.prepare(brain, "here") == "another"
    assert Simulators().prepare(brain, "here") is brain


def test_networks_are_made_by_the_simulator_of_that_name() -> None:
    registry = Simulators()
    registry.register("None", lambda network, net_id: None)
    registry.register("A", lambda network, net_id: None, build=lambda state: "a network of A")
    registry.register("B", lambda network, net_id: None, build=lambda state: "a network of B")
    assert registry.builder("B")(NetworkState()) == "a network of B"
    for name in ("None", "C", "b"):
        with pytest.raises(SimulatorError, match=f"{name!r} makes networks(.|\n)*A, B"):
            registry.builder(name)


def test_a_network_is_made_from_a_file(tmp_path) -> None:
    network = DemoNetwork(side=4, seed=3)
    network.simulate(5)
    ann_ckpt.save(tmp_path / "net.h5", network=network)
    made, report = ann_ckpt.build(tmp_path / "net.h5", simulator=DemoNetwork)
    assert report.rebuilt == () or report.problems == ()
    assert not list(ann_ckpt.differences(network.read().state, made.read().state))
    with pytest.raises(SimulatorError, match="no registered simulator"):
        ann_ckpt.build(tmp_path / "net.h5", simulator="nobody")
    ann_ckpt.write(NetworkState(), tmp_path / "empty.h5")
    with pytest.raises(SimulatorError, match="square population"):
        ann_ckpt.build(tmp_path / "empty.h5", simulator=DemoNetwork)
