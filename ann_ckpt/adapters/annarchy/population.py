"""One live population: its state, and a way to set it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from ann_ckpt.adapters.annarchy.bindings import Bindings
from ann_ckpt.adapters.annarchy.describe import Declared, declared, described
from ann_ckpt.adapters.annarchy.resuming import hidden_in_population, resuming
from ann_ckpt.adapters.annarchy.rows import Neurons
from ann_ckpt.errors import SimulatorError, printable
from ann_ckpt.model import Array, Attribute, Locality, PopulationState
from ann_ckpt.report import Note

__all__ = ["LivePopulation"]

_MOST_AXES = 3
_FIRST_INEXACT_IN_FLOAT = 1 << 24


class LivePopulation:
    """A population of a compiled network.

    Parameters
    ----------
    bindings : Bindings
        The network that it belongs to.
    population : object
        ANNarchy's own object.
    """

    def __init__(self, bindings: Bindings, population: Any) -> None:
        self._bindings = bindings
        self._population = population
        self._instance = population.cyInstance
        self._declared = declared(population.neuron_type.description)
        self._special = type(population).__name__ != "Population"
        if self._special:
            self._declared = tuple(a for a in self._declared if self._offers(a))
        self.name: str = population.name
        self.path = f"populations/{self.name}"

    @property
    def saveable(self) -> bool:
        """Whether the model can hold its geometry."""
        return len(self._population.geometry) <= _MOST_AXES

    def state(self) -> PopulationState:
        """Return the state; values are fetched when asked for."""
        attributes = {a.name: self._attribute(a) for a in self._declared}
        return PopulationState(
            self.name,
            self._population.geometry,
            parameters={a.name: attributes[a.name] for a in self._declared if a.parameter},
            variables={a.name: attributes[a.name] for a in self._declared if not a.parameter},
            neuron_type=described(self._population.neuron_type, self._declared),
            resume=resuming(hidden_in_population(self._population)),
        )

    def set(self, name: str, values: Array) -> None:
        """Set one attribute: shape ``()`` if all neurons share it, the geometry otherwise."""
        attribute = next(a for a in self._declared if a.name == name)
        array = np.asarray(values, attribute.dtype)
        if attribute.locality is Locality.GLOBAL:
            self._bindings.set_shared(self._instance, name, attribute.ctype, array.item())
            return
        if array.shape != self._population.geometry:
            raise SimulatorError(
                f"{printable(self.path)}/{printable(name)}: values of the shape {array.shape}",
                details={"expected": f"{self._population.geometry}"},
            )
        self._bindings.set_neurons(self._instance, name, attribute.ctype, array.ravel().tolist())

    def forget(self) -> None:
        """Drop spikes, countdowns and queues: they belong to the time before a load.

        A queue of delayed rates is filled with the present ones.
        """
        # Inputs with a schedule start it anew, and some clear the rates that were just set.
        held = self.state().attributes if self._special else {}
        held = {name: Attribute(np.asarray(a.values), a.locality) for name, a in held.items()}
        self._instance.reset()
        for name, attribute in held.items():
            self.set(name, attribute.values)

    def notes(self) -> Iterator[Note]:
        """Yield what the state does not say."""
        if not self.saveable:
            yield Note(self.path, f"not saved: it has {len(self._population.geometry)} axes, more than three")
            return
        names = {a.name for a in declared(self._population.neuron_type.description)}
        if lacking := sorted(names - {a.name for a in self._declared}):
            yield Note(
                self.path, f"a {type(self._population).__name__} does not give out {', '.join(lacking)}"
            )
        if rounded := [a.name for a in self._declared if self._rounded(a)]:
            yield Note(
                f"{self.path}/{rounded[0]}",
                f"single precision rounds integers from {_FIRST_INEXACT_IN_FLOAT} on its way to Python",
            )
        if hidden := hidden_in_population(self._population):
            yield Note(self.path, f"a resumed run may differ, because this is not kept: {', '.join(hidden)}")

    def _offers(self, attribute: Declared) -> bool:
        local = attribute.locality is Locality.LOCAL
        return self._bindings.offers(self._instance, attribute.name, attribute.ctype, local=local)

    def _attribute(self, attribute: Declared) -> Attribute:
        if attribute.locality is Locality.GLOBAL:
            value = self._bindings.shared(self._instance, attribute.name, attribute.ctype)
            return Attribute(np.array(value, attribute.dtype), Locality.GLOBAL)
        values = Neurons(
            self._population.geometry,
            attribute.dtype,
            lambda: self._bindings.neurons(self._instance, attribute.name, attribute.ctype),
        )
        return Attribute(values, Locality.LOCAL)

    def _rounded(self, attribute: Declared) -> bool:
        """Whether an integer went through a float that could not hold it."""
        if attribute.ctype != "int" or self._bindings.setting("precision") != "float":
            return False
        values = np.asarray(self._attribute(attribute).values)
        return bool(np.any(np.abs(values.astype(np.int64)) >= _FIRST_INEXACT_IN_FLOAT))
