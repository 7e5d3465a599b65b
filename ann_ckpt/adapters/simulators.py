"""Which simulator a live object belongs to.

The registry is an object that a package joins by saying so. Nothing is imported for a
simulator that the caller has not imported already.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ann_ckpt.adapters import annarchy
from ann_ckpt.adapters.protocol import Simulator
from ann_ckpt.errors import OptionError, SimulatorError, printable

__all__ = ["SIMULATORS", "Adapt", "Simulators", "simulator_for"]

Adapt = Callable[[object | None, int], Simulator | None]
"""``adapt(network, net_id)``: a simulator, or None for an object of somebody else.

``network`` is None where the user named none; a simulator that keeps its networks
globally then answers for the one numbered ``net_id``.
"""


class Simulators:
    """Names of simulators and how each recognises what is its own.

    Examples
    --------
    >>> registry = Simulators()
    >>> registry.register("Nest", lambda network, net_id: None)
    >>> registry.names
    ('Nest',)
    """

    def __init__(self) -> None:
        self._adapters: dict[str, Adapt] = {}

    @property
    def names(self) -> tuple[str, ...]:
        """Registered simulators, in the order in which they are asked."""
        return tuple(self._adapters)

    def register(self, name: str, adapt: Adapt) -> None:
        """Let another simulator take part.

        Parameters
        ----------
        name : str
            How messages call it.
        adapt : callable
            See :data:`Adapt`.

        Raises
        ------
        OptionError
            If there is one of that name already.
        """
        if name in self._adapters:
            raise OptionError(f"a simulator called {printable(name)!r} is registered already")
        self._adapters[name] = adapt

    def find(self, network: object | None = None, net_id: int = 0) -> Simulator:
        """Return the simulator that ``network`` belongs to.

        Parameters
        ----------
        network : object or None
            A live network, or something that is a simulator itself.
        net_id : int
            Which network, if ``network`` is None.

        Raises
        ------
        SimulatorError
            If no simulator takes it, or its own one cannot work with it.
        OptionError
            If ``net_id`` is no number.
        """
        if isinstance(network, Simulator):
            return network
        if not isinstance(net_id, int | np.integer):
            raise OptionError(
                f"net_id= takes a number, not a {type(net_id).__name__}",
                details={"hint": "pass network=net"},
            )
        for adapt in self._adapters.values():
            simulator = adapt(network, net_id)
            if simulator is not None:
                return simulator
        if network is None:
            fact = "there is no network: no simulator that is imported keeps one globally"
        else:
            fact = f"no simulator takes a {type(network).__module__}.{type(network).__qualname__}"
        raise SimulatorError(
            fact,
            details={
                "known": ", ".join(self.names) or "none",
                "hint": "pass the compiled network as network=",
            },
        )


SIMULATORS = Simulators()
"""The registry that ``save`` and ``load`` ask. Other packages register here."""

SIMULATORS.register("ANNarchy", annarchy.adapt)


def simulator_for(network: object | None = None, net_id: int = 0) -> Simulator:
    """Return the simulator that ``network`` belongs to, as :data:`SIMULATORS` has it."""
    return SIMULATORS.find(network, net_id)
