"""A network of PyNN with names, as users hold one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ann_ckpt.arguments import duration as in_ms
from ann_ckpt.arguments import named
from ann_ckpt.errors import MissingExtraError, OptionError, SimulatorError, printable

__all__ = ["Ends", "PynnNetwork", "check_backend", "pynn"]


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


def check_backend(sim: object) -> None:
    """Raise if this is no backend.

    Raises
    ------
    OptionError
        If it is something else than a module such as ``pyNN.nest``.
    """
    if not all(hasattr(sim, name) for name in ("setup", "Population", "Projection", "simulator")):
        raise OptionError(
            f"sim= takes a backend of PyNN, not a {type(sim).__name__}",
            details={"expected": "a module such as pyNN.nest: import pyNN.nest as sim"},
        )


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
        If something is of another kind or backend, or stands under two names, or a projection begins or ends
        at what has no name.
    SimulatorError
        If the backend was set up anew since something was made.
    """

    def __init__(
        self, sim: ModuleType, populations: Mapping[str, Any], projections: Mapping[str, Any]
    ) -> None:
        self.sim: Any = sim
        """The backend."""
        check_backend(sim)
        self.populations: dict[str, Any] = named("populations", populations, "Population")
        """Populations by name."""
        self.projections: dict[str, Any] = named("projections", projections, "Projection")
        """Projections by name."""
        for kind, objects in (("Population", self.populations), ("Projection", self.projections)):
            self._check(kind, objects)
        self.ends = {name: self._ends(name, one) for name, one in self.projections.items()}
        """Where projections begin and end, by name."""
        self.check_alive()

    def _check(self, kind: str, objects: Mapping[str, Any]) -> None:
        names: dict[int, str] = {}
        for name, one in objects.items():
            if not isinstance(one, getattr(self.sim, kind)):
                part = hasattr(one, "grandparent")
                raise OptionError(
                    f"{printable(name)!r} is a {type(one).__module__}.{type(one).__qualname__}, "
                    f"no {kind} of {printable(self.sim.__name__)}",
                    details={"hint": "name the whole population that the view is of"} if part else {},
                )
            if (other := names.setdefault(id(one), name)) != name:
                raise OptionError(f"{printable(other)!r} and {printable(name)!r} are the same {kind}")

    def check_alive(self) -> None:
        """Raise an error if the backend was set up anew since: numbers of neurons are those of others then.

        Each population enters its recorder in the backend's state, and ``setup`` empties that. Projections
        are between populations that have names.
        """
        there = self.sim.simulator.state.recorders
        if any(one.recorder not in there for one in self.populations.values()):
            raise SimulatorError(
                f"{self.sim.__name__} was set up anew, and the populations that the network names are gone",
                details={"hint": "make them again; ann_ckpt.pynn.network names new ones"},
            )

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
        return round(self.time / float(self.sim.get_time_step()))

    @property
    def time(self) -> float:
        """Simulated time in ms."""
        self.check_alive()
        return float(self.sim.get_current_time())

    def simulate(self, duration: float) -> None:
        """Simulate as the backend's ``run`` does; ``duration`` in ms."""
        self.check_alive()
        self.sim.run(in_ms("duration", duration))
