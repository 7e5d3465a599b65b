"""Groups of neurons, and of what spikes as they do, as populations."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ann_ckpt.adapters.brian2.describe import population_type
from ann_ckpt.adapters.brian2.live import EXACT, LivePart
from ann_ckpt.adapters.brian2.mapping import Kind, Role, event_space
from ann_ckpt.model import Array, PopulationState, Resume

__all__ = ["LiveGroup"]

_CHANGED = "_spikes_changed"
_DT = "_previous_dt"
_ARRAYS = ("neuron_index", "spike_time", "spike_number", "_timebins")


class LiveGroup(LivePart):
    """A NeuronGroup, SpatialNeuron, PoissonGroup or SpikeGeneratorGroup."""

    @property
    def size(self) -> int:
        """Number of neurons."""
        return int(self.thing.variables["N"].item())

    @property
    def _generates(self) -> bool:
        """Whether it has a list of spikes to come, which Brian keeps in attributes too."""
        from brian2 import SpikeGeneratorGroup

        return isinstance(self.thing, SpikeGeneratorGroup)

    @property
    def _kind(self) -> Kind:
        return Kind.GENERATOR if self._generates else Kind.NEURONS

    def state(self, outside: Mapping[str, Any], resume: Resume = EXACT) -> PopulationState:
        """Return the population; its attributes are the live arrays."""
        return PopulationState(
            self.name,
            (self.size,),
            parameters=self.wrapped(Role.PARAMETER),
            variables=self.wrapped(Role.VARIABLE),
            neuron_type=population_type(self.thing, self.attributes, outside),
            dynamics=self.dynamics(),
            resume=resume,
        )

    def forget(self) -> None:
        """Drop the spikes of the last step, and where among the spikes to come it is."""
        for name, variable in self._arrays.items():
            if event_space(name):
                variable.get_value()[-1] = 0
        if self._generates:
            self.thing._spikes_changed = True

    # --- what it carries ----------------------------------------------------------------

    def dynamics(self) -> dict[str, NDArray[Any]]:
        """Copy what it carries from step to step."""
        found = super().dynamics()
        if found and self._generates:
            previous = self.thing._previous_dt
            found[_CHANGED] = np.array(self.thing._spikes_changed)
            found[_DT] = np.array(np.nan if previous is None else np.asarray(previous).item())
        return found

    def _is_special(self, name: str) -> bool:
        return super()._is_special(name) or (self._generates and name in (_CHANGED, _DT))

    def _resizable(self, variable: Any) -> bool:
        return self._generates and variable.name in _ARRAYS

    def _is_structure(self, variable: Any) -> bool:
        return super()._is_structure(variable) and not self._generates

    def _faults(self, dynamics: Mapping[str, Array]) -> Iterator[str]:
        yield from super()._faults(dynamics)
        if not self._generates:
            return
        there = [dynamics[name] for name in _ARRAYS if name in dynamics]
        if there and (len(there) < len(_ARRAYS) or len({array.shape for array in there}) > 1):
            yield f"{', '.join(_ARRAYS)} are not of one length"
        elif there:
            neurons, times = np.asarray(there[0]), np.asarray(there[1])
            if neurons.size and not 0 <= neurons.min() <= neurons.max() < self.size:
                yield f"neuron_index names neurons from {neurons.min()} to {neurons.max()}, of {self.size}"
            if "_lastindex" in dynamics and not np.all(np.asarray(dynamics["_lastindex"]) <= times.size):
                yield f"_lastindex is beyond the {times.size} spikes"
        flags = [dynamics[name].shape for name in (_CHANGED, _DT) if name in dynamics]
        if flags not in ([], [(), ()]):
            yield f"{_CHANGED} and {_DT} are not one value each"

    def set_dynamics(self, dynamics: Mapping[str, Array]) -> None:
        """Set what :meth:`refuse_dynamics` has nothing against."""
        super().set_dynamics(dynamics)
        if not self._generates:
            return
        if "spike_time" in dynamics:
            self.thing._spike_time = np.array(self._arrays["spike_time"].get_value())
            self.thing._neuron_index = np.array(self._arrays["neuron_index"].get_value())
        if _CHANGED in dynamics:
            previous = float(np.asarray(dynamics[_DT]))
            self.thing._spikes_changed = bool(np.asarray(dynamics[_CHANGED]))
            self.thing._previous_dt = None if np.isnan(previous) else np.array([previous])
