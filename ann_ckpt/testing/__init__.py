"""Conformance tests for simulators, to be inherited.

A package that writes a :class:`~ann_ckpt.simulators.Simulator` subclasses
:class:`SimulatorSuite` in its own tests and supplies one pytest fixture::

    from ann_ckpt.testing import SimulatorSuite

    @pytest.fixture(scope="module")
    def simulator():
        return MySimulator(a_network_with_a_bit_of_everything())

    class TestMySimulator(SimulatorSuite):
        def simulate(self, simulator, duration):
            simulator.network.simulate(duration)

What a simulator may offer beyond the protocol is tested where it is offered, but for ``MayFork`` and
``Replays``. Every test leaves the network as it found it, so that one network serves them all. For
readable failures call ``pytest.register_assert_rewrite("ann_ckpt.testing")`` in
``conftest.py`` before the import.
"""

from ann_ckpt.testing.states import captured, disturbed, rewired
from ann_ckpt.testing.suite import SimulatorSuite

__all__ = [
    "SimulatorSuite",
    "captured",
    "disturbed",
    "rewired",
]
