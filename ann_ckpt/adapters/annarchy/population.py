"""One live population: its state, and a way to set it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ann_ckpt.adapters.annarchy.bindings import Bindings
from ann_ckpt.adapters.annarchy.classes import Known, known_population, unknown_class
from ann_ckpt.adapters.annarchy.describe import Declared, declared, described
from ann_ckpt.adapters.annarchy.exactness import NOT_INSTRUMENTED, hidden_in_population, resuming
from ann_ckpt.adapters.annarchy.internal_state import CarriedByPopulation, is_instrumented
from ann_ckpt.adapters.annarchy.rows import Neurons
from ann_ckpt.errors import SimulatorError, printable
from ann_ckpt.model import Array, Attribute, Locality, PopulationState
from ann_ckpt.report import Note

__all__ = [
    "LivePopulation",
]

_PYTHON = "python."
"""Before the names of what only ANNarchy's own object has."""
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
        self._known: Known | None = known_population(population)
        self._carried: CarriedByPopulation | None = None
        if is_instrumented(self._instance):
            shown = {a.name for a in self._declared}
            declared_too = {a.name for a in declared(population.neuron_type.description)} - shown
            own = None if self._known is None else self._known.members
            self._carried = CarriedByPopulation(self._instance, shown, own=own, also=declared_too)
        self.name = bindings.name_of(population)
        self.path = f"populations/{self.name}"

    saveable = True

    def state(self, *, reseeded: bool = False) -> PopulationState:
        """Return the state; values are fetched when asked for.

        Parameters
        ----------
        reseeded : bool
            Whether the random generators just got a new seed.
        """
        attributes = {a.name: self._attribute(a) for a in self._declared}
        return PopulationState(
            self.name,
            self._population.geometry,
            parameters={a.name: attributes[a.name] for a in self._declared if a.parameter},
            variables={a.name: attributes[a.name] for a in self._declared if not a.parameter},
            neuron_type=described(self._population.neuron_type, self._declared),
            dynamics={} if self._carried is None else self._carried.read() | self._in_python(),
            resume=resuming(self.hidden, reseeded=reseeded),
        )

    @property
    def hidden(self) -> tuple[str, ...]:
        """What a state does not have."""
        if self._carried is None:
            return hidden_in_population(self._population)
        unknown = () if self._known is not None else (unknown_class(self._population),)
        return (*unknown, *self._carried.lost)

    def _in_python(self) -> dict[str, Array]:
        """Return the numbers that only ANNarchy's own object has, under names that C++ cannot have."""
        names = () if self._known is None else self._known.python
        return {_PYTHON + name: np.array(vars(self._population)[name], np.float64) for name in names}

    def _refusal_in_python(self, dynamics: Mapping[str, Array]) -> str | None:
        """Say why the stored numbers are not such as ANNarchy's own object has."""
        for name, present in self._in_python().items():
            given = dynamics.get(name, present)
            if (given.dtype, given.shape) != (present.dtype, present.shape):
                return f"{name} is {given.dtype} {given.shape}, not {present.dtype} {present.shape}"
        return None

    def cannot_take(self, stored: PopulationState) -> str | None:
        """Say why none of what the population carries can be set."""
        if self._carried is None:
            return NOT_INSTRUMENTED
        return self._carried.lacking(stored.dynamics)

    def refuse_dynamics(self, stored: PopulationState) -> str | None:
        """Say why what ``stored`` carries does not fit here."""
        if self._carried is None:
            return None
        return self._refusal_in_python(stored.dynamics) or self._carried.refusal(
            stored.dynamics, self._population.size
        )

    def set_dynamics(self, dynamics: Mapping[str, Array]) -> None:
        """Set what it carries, and what ANNarchy's own object remembers of it."""
        if self._carried is None:
            return
        self._carried.set(dynamics)
        if "_active" in dynamics:
            self._population.enabled = bool(dynamics["_active"])
        if "_mean_fr_window" in dynamics:
            steps = int(np.asarray(dynamics["_mean_fr_window"]))
            window = steps * float(self._bindings.setting("dt"))
            self._population._compute_mean_fr = window if steps > 0 else -1.0  # nothing public sets it alone
        if "spike_times" in dynamics:
            # What reset() goes back to; setting them sets both.
            self._population.init["spike_times"] = self._population.spike_times
        for name in self._in_python():
            if name in dynamics:
                # Past ANNarchy's own setters, which would work out mu and sigma anew.
                vars(self._population)[name.removeprefix(_PYTHON)] = np.asarray(dynamics[name]).tolist()

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
        if self._carried is not None and self._carried.has(name):
            self._carried.set_vector(name, array.ravel())
        else:
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
        names = {a.name for a in declared(self._population.neuron_type.description)}
        lacking = sorted(names - {a.name for a in self._declared})
        if lacking and self._carried is None:
            yield Note(
                self.path, f"a {type(self._population).__name__} does not give out {', '.join(lacking)}"
            )
        if rounded := [a.name for a in self._declared if self._carried is None and self._rounded(a)]:
            yield Note(
                f"{self.path}/{rounded[0]}",
                f"single precision rounds integers from {_FIRST_INEXACT_IN_FLOAT} on its way to Python",
            )

    def _offers(self, attribute: Declared) -> bool:
        local = attribute.locality is Locality.LOCAL
        return self._bindings.offers(self._instance, attribute.name, attribute.ctype, local=local)

    def _attribute(self, attribute: Declared) -> Attribute:
        if attribute.locality is Locality.GLOBAL:
            value = self._bindings.shared(self._instance, attribute.name, attribute.ctype)
            return Attribute(np.array(value, attribute.dtype), Locality.GLOBAL)
        values = Neurons(self._population.geometry, attribute.dtype, lambda: self._neurons(attribute))
        return Attribute(values, Locality.LOCAL)

    def _neurons(self, attribute: Declared) -> Sequence[Any] | NDArray[Any]:
        if self._carried is not None and self._carried.has(attribute.name):
            return self._carried.vector(attribute.name)
        return self._bindings.neurons(self._instance, attribute.name, attribute.ctype)

    def _rounded(self, attribute: Declared) -> bool:
        """Whether an integer went through a float that could not hold it."""
        if attribute.ctype != "int" or self._bindings.setting("precision") != "float":
            return False
        values = np.asarray(self._attribute(attribute).values)
        return bool(np.any(np.abs(values.astype(np.int64)) >= _FIRST_INEXACT_IN_FLOAT))
