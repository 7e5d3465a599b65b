"""One live projection without synapses of its own: a convolution or a pooling.

Its state is a projection without dendrites. What it has, filters and flags, is kept beside
what other projections carry from step to step. Filters are put back as weights are; where
they are applied is only compared.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ann_ckpt.adapters.annarchy.bindings import Bindings
from ann_ckpt.adapters.annarchy.describe import described
from ann_ckpt.adapters.annarchy.exactness import resuming
from ann_ckpt.errors import SimulatorError, printable
from ann_ckpt.model import Array, Connectivity, ProjectionState
from ann_ckpt.model.arrays import identical_values
from ann_ckpt.report import Note

__all__ = [
    "LiveFilters",
]

_FLAGS = ("transmission", "axon_transmission", "update", "plasticity")
_RANK = np.dtype(np.int32)
_FILTERS = "w"
_PLACES = "pre_coords"
_EXTENT = "extent"


class LiveFilters:
    """A convolution or pooling of a compiled network.

    Parameters
    ----------
    bindings : Bindings
        The network that it belongs to.
    projection : object
        ANNarchy's own object.
    """

    saveable = True
    """Always; as the other projections say of themselves."""
    hidden: tuple[str, ...] = ()
    """What a state does not have."""

    def __init__(self, bindings: Bindings, projection: Any) -> None:
        self._bindings = bindings
        self._projection = projection
        self._instance = projection.cyInstance
        self.name = bindings.name_of(projection)
        self.path = f"projections/{self.name}"

    def state(self, *, reseeded: bool = False) -> ProjectionState:
        """Return the state: no synapses, and among the dynamics the filters.

        Parameters
        ----------
        reseeded : bool
            Whether the random generators just got a new seed, which is all the same here.
        """
        pre, post, target = self._projection.pre, self._projection.post, self._projection.target
        return ProjectionState(
            self.name,
            self._bindings.name_of(pre),
            self._bindings.name_of(post),
            target if isinstance(target, str) else "+".join(target),
            Connectivity(np.empty(0, _RANK), np.zeros(1, np.int64), np.empty(0, _RANK)),
            delays=self._delay,
            pre_size=pre.size,
            post_size=post.size,
            synapse_type=described(self._projection.synapse_type, ()),
            dynamics=self._held(),
            resume=resuming(self.hidden, reseeded=reseeded),
        )

    def notes(self) -> Iterator[Note]:
        """Yield what the state does not say: nothing."""
        return iter(())

    @property
    def _delay(self) -> int:
        return max(1, int(self._instance.get_delay())) if hasattr(self._instance, "get_delay") else 1

    def _held(self) -> dict[str, Array]:
        held: dict[str, Array] = {f"_{flag}": np.array(getattr(self._projection, flag)) for flag in _FLAGS}
        held[_PLACES] = np.array(self._bindings.filter_places(self._instance), _RANK)
        if (extent := getattr(self._projection, "extent", None)) is not None:
            held[_EXTENT] = np.array(extent, np.float64)
        if (filters := self._filters()) is not None:
            held[_FILTERS] = filters
        return held

    def _filters(self) -> NDArray[Any] | None:
        """Return the filters in the precision of the network; None if this is a pooling."""
        values = self._bindings.filters(self._instance)
        single = self._bindings.setting("precision") == "float"
        return None if values is None else np.array(values, np.float32 if single else np.float64)

    # --- setting ----------------------------------------------------------------------

    def cannot_take(self, stored: ProjectionState) -> str | None:
        """Say why nothing of it can be set; nothing stands against it in any network."""
        missing = sorted(self._held().keys() - stored.dynamics.keys())
        return f"the file does not have {', '.join(missing)}" if missing else None

    def refuse_dynamics(self, stored: ProjectionState) -> str | None:
        """Say why the stored filters do not fit the code that was compiled for the live ones."""
        given = stored.dynamics
        for name, live in self._held().items():
            if (given[name].shape, given[name].dtype) != (live.shape, live.dtype):
                kinds = f"{given[name].dtype} {given[name].shape}, not {live.dtype} {live.shape}"
                return f"{name} is {kinds}"
            if name in (_PLACES, _EXTENT) and not identical_values(given[name], live):
                return f"{name} differs: the filters are applied elsewhere than in the network"
        return None

    def set_dynamics(self, dynamics: Mapping[str, Array]) -> None:
        """Set filters and flags."""
        for flag in _FLAGS:
            setattr(self._projection, flag, bool(np.asarray(dynamics[f"_{flag}"])))
        if _FILTERS in dynamics and self._filters() is not None:
            self._bindings.set_filters(self._instance, np.asarray(dynamics[_FILTERS]).tolist())

    def refusal(self, projection: ProjectionState) -> str | None:
        """Say why these synapses and delays cannot replace the live ones: there are none, or one delay."""
        if projection.connectivity.n_rows:
            return f"a {type(self._projection).__name__} has no synapses of its own"
        delays = projection.delays
        if delays is not None and not (isinstance(delays, int) and delays == self._delay):
            return f"it was compiled with a delay of {self._delay} steps"
        return None

    def forget(self, *, has_run: bool) -> None:
        """Drop what belongs to the time before a load: nothing does."""

    def set(self, name: str, _values: Array) -> None:
        """Refuse: it has no attributes."""
        raise SimulatorError(f"{printable(self.path)} has no attribute {printable(name)!r}")

    def set_delays(self, _delays: int | Array) -> None:
        """Leave the delay: :meth:`refusal` allows no other one than it has."""

    def connect(self, projection: ProjectionState) -> None:
        """Refuse: :meth:`refusal` allows no synapses."""
        raise SimulatorError(f"{printable(projection.name)!r} has no synapses of its own")
