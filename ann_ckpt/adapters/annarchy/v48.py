"""ANNarchy 4.8: networks by number, bound with Cython."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ann_ckpt.adapters.annarchy.bindings import Bindings
from ann_ckpt.errors import SimulatorError

__all__ = ["Cython"]

_REACHED = "ann_ckpt_reached"
"""Key of what ANNarchy has of a network: name of a constant -> value that was set in its C++."""


class Cython(Bindings):
    """A compiled network of ANNarchy 4.8: the global one, or one made with ``Network``."""

    def __init__(self, release: str, net_id: int) -> None:
        from ANNarchy.intern import ConfigManagement, GlobalObjects, NetworkManager

        self._manager = NetworkManager.NetworkManager()
        self._net_id = net_id
        self._had = self._manager.get_network_dict(net_id)
        self._setting = ConfigManagement.get_global_config
        instance = self.instance
        # A constant made after compile() has no setter, because no equation can use it.
        constants = {
            c.name: c
            for c in GlobalObjects.GlobalObjectManager().get_constants()
            if hasattr(instance, f"_set_{c.name}")
        }
        super().__init__(
            release,
            self._manager.get_populations(net_id=net_id),
            self._manager.get_projections(net_id=net_id),
            constants,
        )

    @property
    def seed(self) -> int | None:
        """Seed of all networks, if the user set one."""
        seed = self._setting("seed")
        return None if seed is None else int(seed)

    def setting(self, key: str) -> Any:
        """Return one entry of the configuration, which all networks share."""
        return self._setting(key)

    @property
    def monitors(self) -> Sequence[Any]:
        """The network's monitors."""
        monitors: Sequence[Any] = self._own["monitors"]
        return monitors

    @property
    def instance(self) -> Any:
        """The network's module in C++."""
        return self._own["instance"]

    @property
    def _own(self) -> dict[str, Any]:
        """What ANNarchy has of the network; after ``clear()`` another one has its number."""
        there = self._net_id < len(self._manager)
        if not there or self._manager.get_network_dict(self._net_id) is not self._had:
            raise SimulatorError(
                "the network is gone: it was deleted, or clear() was called",
                details={"hint": "end what saves from it before, and begin anew with the new network"},
            )
        own: dict[str, Any] = self._had
        return own

    def time_step(self) -> int:
        """Return the steps simulated so far."""
        return int(self.instance.get_time())

    def set_time_step(self, time_step: int) -> None:
        """Set the steps simulated so far."""
        self.instance.set_time(time_step)

    def set_constant(self, name: str, value: float) -> None:
        """Set one constant here; ``Constant.set`` passes the global network by."""
        getattr(self.instance, f"_set_{name}")(value)
        self.constants[name].value = value
        self._own.setdefault(_REACHED, {})[name] = value

    @property
    def lost(self) -> tuple[str, ...]:
        """Constants that were changed, of which nobody can say whether the network computes with them."""
        changed = [n for n, c in self.constants.items() if not self._is_in_force(c)]
        return tuple(
            f"whether Constant.set of {name} reached the network (in 4.8 it passes the global one by)"
            for name in changed
        )

    def _is_in_force(self, constant: Any) -> bool:
        """Whether the network computes with the value that a constant shows, which cannot be asked.

        It does with the one that the constant was made with, and with one that was set here.
        """
        reached = self._own.get(_REACHED, {})
        return bool(constant.value == reached.get(constant.name, float(constant)))

    def filters(self, instance: Any) -> Sequence[Any] | None:
        """Return the filters of a convolution as nested lists; None if it has none."""
        return instance.get_w() if hasattr(instance, "get_w") else None

    def set_filters(self, instance: Any, filters: list[Any]) -> None:
        """Set the filters of a convolution."""
        instance.set_w(filters)

    def filter_places(self, instance: Any) -> Sequence[Sequence[int]]:
        """Return, for each neuron after a convolution or pooling, where in front of it the filter lies."""
        places: Sequence[Sequence[int]] = instance.pre_coords()
        return places

    @property
    def callbacks(self) -> list[Any]:
        """The list that ``@every`` appends to."""
        from ANNarchy.core import Simulate

        callbacks: list[Any] = Simulate._callbacks[self._net_id]
        return callbacks

    def update_period(self, instance: Any) -> int:
        """Return the steps between two updates of a projection's synapses."""
        return int(instance._get_update_period())  # there is no public getter

    def offers(self, instance: Any, name: str, ctype: str, *, local: bool) -> bool:
        """Whether there is a value for each neuron, or one for all; a missing name gives neither."""
        if local:
            get = getattr(instance, "get_local_attribute_all", None)
            values = None if get is None else get(name, ctype)
            return values is not None and len(values) == instance.size
        return hasattr(instance, "get_global_attribute")

    def neurons(self, instance: Any, name: str, ctype: str) -> Sequence[Any]:
        """Return the value of each neuron, by rank."""
        values: Sequence[Any] = instance.get_local_attribute_all(name, ctype)
        return values

    def set_neurons(self, instance: Any, name: str, ctype: str, values: list[Any]) -> None:
        """Set the value of each neuron."""
        instance.set_local_attribute_all(name, values, ctype)

    def shared(self, instance: Any, name: str, ctype: str) -> Any:
        """Return the one value that all neurons of a population share."""
        return instance.get_global_attribute(name, ctype)

    def set_shared(self, instance: Any, name: str, ctype: str, value: Any) -> None:
        """Set the one value that all neurons of a population share."""
        instance.set_global_attribute(name, value, ctype)

    def row_getter(self, instance: Any, name: str, ctype: str) -> Callable[[int], Sequence[Any]]:
        """Return a function from a row number to the values of its synapses."""
        get = instance.get_local_attribute_row
        return lambda row: get(name, row, ctype)

    def row_setter(self, instance: Any, name: str, ctype: str) -> Callable[[int, list[Any]], None]:
        """Return a function that sets the synapses of one row."""
        put = instance.set_local_attribute_row
        return lambda row, values: put(name, row, values, ctype)

    def set_rows(self, instance: Any, name: str, ctype: str, rows: list[list[Any]]) -> None:
        """Set the synapses of all rows."""
        instance.set_local_attribute_all(name, rows, ctype)

    def per_dendrite(self, instance: Any, name: str, ctype: str) -> Sequence[Any]:
        """Return one value per row."""
        values: Sequence[Any] = instance.get_semiglobal_attribute_all(name, ctype)
        return values

    def set_per_dendrite(self, instance: Any, name: str, ctype: str, values: list[Any]) -> None:
        """Set one value per row."""
        instance.set_semiglobal_attribute_all(name, values, ctype)

    def single(self, instance: Any, name: str, ctype: str) -> Any:
        """Return the one value of a projection."""
        return instance.get_global_attribute(name, ctype)

    def set_single(self, instance: Any, name: str, ctype: str, value: Any) -> None:
        """Set the one value of a projection."""
        instance.set_global_attribute(name, value, ctype)
