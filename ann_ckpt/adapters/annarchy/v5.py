"""ANNarchy 5.0: ``Network`` objects, bound with nanobind."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ann_ckpt.adapters.annarchy.bindings import Bindings

__all__ = ["Nanobind"]


class Nanobind(Bindings):
    """A compiled ``ANNarchy.Network`` of version 5.0.

    Its population accessors carry every value as a double (a float in networks of
    single precision), whatever the C type behind it.
    """

    def __init__(self, release: str, network: Any) -> None:
        # A constant made after compile() has no setter, because no equation can use it.
        constants = {c.name: c for c in network.get_constants() if hasattr(network.instance, f"set_{c.name}")}
        super().__init__(release, network.get_populations(), network.get_projections(), constants)
        self._network = network

    @property
    def seed(self) -> int | None:
        """Seed of the network; 5.0 draws one where the user gives none, and keeps it."""
        seed = self._network.seed
        return None if seed is None else int(seed)

    def setting(self, key: str) -> Any:
        """Return one entry of the network's configuration."""
        return self._network._get_config(key)  # the public config() only sets

    @property
    def monitors(self) -> Sequence[Any]:
        """The network's monitors."""
        monitors: Sequence[Any] = self._network.get_monitors()
        return monitors

    def time_step(self) -> int:
        """Return the steps simulated so far."""
        return int(self.instance.get_time())

    def set_time_step(self, time_step: int) -> None:
        """Set the steps simulated so far."""
        self.instance.set_time(time_step)

    def set_constant(self, name: str, value: float) -> None:
        """Set one constant here; ``Constant.set`` would reach the networks made from it too."""
        self.constants[name].value = value
        getattr(self.instance, f"set_{name}")(value)

    @property
    def instance(self) -> Any:
        """The network's module in C++."""
        return self._network.instance

    @property
    def default_rng(self) -> np.random.Generator | None:
        """Generator that connectors and initial values draw from."""
        generator: np.random.Generator = self._network.default_rng
        return generator

    @property
    def callbacks(self) -> list[Any]:
        """The list that ``@every`` appends to."""
        callbacks: list[Any] = self._network._callbacks
        return callbacks

    def update_period(self, instance: Any) -> int:
        """Return the steps between two updates of a projection's synapses."""
        # There is no public getter, and none at all for the projections of BOLD monitors, which do not learn.
        return int(getattr(instance, "_update_period", 1))

    @property
    def is_stepped(self) -> bool:
        """Whether a simulation step is one of this network's objects.

        ``Network.copy()`` makes new objects over the library of the original, whose global
        pointers then point to them: from then on the copy is simulated, whoever is asked.
        """
        objects = (thing.cyInstance for thing in self._network.get_populations())
        probe = next((o._ann_ckpt_stepped for o in objects if hasattr(o, "_ann_ckpt_stepped")), None)
        if probe is not None:
            return bool(probe())
        return not any(other is not None and self._takes_over(other) for other in self._later)

    def _takes_over(self, other: Any) -> bool:
        """Whether another network was made later over the same library, with objects of its own."""
        if not (other.compiled and other.get_populations()):
            return False
        return bool(other.instance.__name__ == self.instance.__name__)

    @property
    def _later(self) -> list[Any]:
        """Networks with higher numbers; None where one was removed."""
        from ANNarchy.intern.NetworkManager import NetworkManager

        return list(NetworkManager().get_networks()[self._network.id + 1 :])

    @property
    def lost(self) -> tuple[str, ...]:
        """What of the network itself, besides its generators, cannot be read."""
        probed = hasattr(self.instance, "_ann_ckpt_generators")
        gone = not probed and None in self._later
        return ("whether a network that was removed since had been a copy of it",) if gone else ()

    def filters(self, instance: Any) -> Sequence[Any] | None:
        """Return the filters of a convolution as nested lists; None if it has none."""
        return getattr(instance, "w", None)

    def set_filters(self, instance: Any, filters: list[Any]) -> None:
        """Set the filters of a convolution."""
        instance.w = filters

    def filter_places(self, instance: Any) -> Sequence[Sequence[int]]:
        """Return, for each neuron after a convolution or pooling, where in front of it the filter lies."""
        places: Sequence[Sequence[int]] = instance.pre_coords
        return places

    def offers(self, instance: Any, name: str, ctype: str, *, local: bool) -> bool:
        """Whether the binding has a property of that name."""
        return hasattr(instance, name)

    def neurons(self, instance: Any, name: str, ctype: str) -> Sequence[Any]:
        """Return the value of each neuron, by rank."""
        values: Sequence[Any] = getattr(instance, name)
        return values

    def set_neurons(self, instance: Any, name: str, ctype: str, values: list[Any]) -> None:
        """Set the value of each neuron."""
        setattr(instance, name, values)

    def shared(self, instance: Any, name: str, ctype: str) -> Any:
        """Return the one value that all neurons of a population share."""
        return getattr(instance, name)

    def set_shared(self, instance: Any, name: str, ctype: str, value: Any) -> None:
        """Set the one value that all neurons of a population share."""
        setattr(instance, name, value)

    def row_getter(self, instance: Any, name: str, ctype: str) -> Callable[[int], Sequence[Any]]:
        """Return a function from a row number to the values of its synapses."""
        get = getattr(instance, f"get_local_attribute_row_{ctype}")
        return lambda row: get(name, row)

    def row_setter(self, instance: Any, name: str, ctype: str) -> Callable[[int, list[Any]], None]:
        """Return a function that sets the synapses of one row."""
        put = getattr(instance, f"set_local_attribute_row_{ctype}")
        return lambda row, values: put(name, row, values)

    def set_rows(self, instance: Any, name: str, ctype: str, rows: list[list[Any]]) -> None:
        """Set the synapses of all rows."""
        getattr(instance, f"set_local_attribute_all_{ctype}")(name, rows)

    def per_dendrite(self, instance: Any, name: str, ctype: str) -> Sequence[Any]:
        """Return one value per row."""
        values: Sequence[Any] = getattr(instance, f"get_semiglobal_attribute_all_{ctype}")(name)
        return values

    def set_per_dendrite(self, instance: Any, name: str, ctype: str, values: list[Any]) -> None:
        """Set one value per row."""
        getattr(instance, f"set_semiglobal_attribute_all_{ctype}")(name, values)

    def single(self, instance: Any, name: str, ctype: str) -> Any:
        """Return the one value of a projection."""
        return getattr(instance, f"get_global_attribute_{ctype}")(name)

    def set_single(self, instance: Any, name: str, ctype: str, value: Any) -> None:
        """Set the one value of a projection."""
        getattr(instance, f"set_global_attribute_{ctype}")(name, value)
