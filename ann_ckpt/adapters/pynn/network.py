"""A network of PyNN with names, as users hold one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ann_ckpt.errors import MissingExtraError, OptionError, printable

__all__ = ["Ends", "PynnNetwork", "pynn"]


def pynn(module: str) -> Any:
    """Return a module of PyNN.

    Raises
    ------
    MissingExtraError
        If PyNN, or the simulator of a backend, is not installed.
    """
    try:
        return import_module(module)
    except ImportError as error:
        raise MissingExtraError(
            f"{module} cannot be imported: {printable(str(error), 200)}",
            details={"hint": "pip install 'ann_ckpt[pynn]', and the simulator itself"},
        ) from error


@dataclass(frozen=True, slots=True)
class Ends:
    """Where a projection begins and ends."""

    pre: str
    post: str
    pre_ranks: NDArray[np.int64]
    """For each neuron of what was connected its rank in the population; a view has some of them."""
    post_ranks: NDArray[np.int64]


class PynnNetwork:
    """Names for populations and projections of PyNN; made by :func:`ann_ckpt.pynn.network`.

    Parameters
    ----------
    sim : module
        The backend, such as ``pyNN.nest``.
    populations, projections : mapping of str to Population or Projection

    Raises
    ------
    OptionError
        If something is of another kind or backend, or a projection begins or ends at what has no name.
    """

    def __init__(
        self, sim: ModuleType, populations: Mapping[str, Any], projections: Mapping[str, Any]
    ) -> None:
        self.sim: Any = sim
        """The backend."""
        self.populations: dict[str, Any] = dict(populations)
        """Populations by name."""
        self.projections: dict[str, Any] = dict(projections)
        """Projections by name."""
        for kind, objects in (("Population", self.populations), ("Projection", self.projections)):
            for name, one in objects.items():
                if not isinstance(name, str) or not isinstance(one, getattr(sim, kind, ())):
                    raise OptionError(
                        f"{printable(str(name))!r} is a {type(one).__module__}.{type(one).__qualname__}, "
                        f"no {kind} of {printable(getattr(sim, '__name__', str(sim)))}"
                    )
        self.ends = {name: self._ends(name, one) for name, one in self.projections.items()}
        """Where projections begin and end, by name."""

    def _ends(self, name: str, projection: Any) -> Ends:
        found = []
        for side in (projection.pre, projection.post):
            # A view says which neurons of the whole population it has; that of a view, too.
            whole = getattr(side, "grandparent", side)
            names = [n for n, population in self.populations.items() if population is whole]
            if not names:
                what = getattr(side, "label", None) or type(side).__name__
                raise OptionError(
                    f"{printable(name)!r} begins or ends at {printable(str(what))!r}, which has no name here",
                    details={"hint": "name the population; of an assembly connect one population at a time"},
                )
            ranks = np.arange(side.size)
            found.append((names[0], ranks if whole is side else side.index_in_grandparent(ranks)))
        (pre, pre_ranks), (post, post_ranks) = found
        return Ends(pre, post, np.asarray(pre_ranks), np.asarray(post_ranks))

    @property
    def step(self) -> int:
        """Steps that the network was simulated for."""
        return round(float(self.sim.get_current_time()) / float(self.sim.get_time_step()))

    @property
    def time(self) -> float:
        """Simulated time in ms."""
        return float(self.sim.get_current_time())

    def simulate(self, duration: float) -> None:
        """Simulate as the backend's ``run`` does; ``duration`` in ms."""
        self.sim.run(duration)
