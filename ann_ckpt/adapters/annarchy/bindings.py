"""What the generations of ANNarchy say differently, behind one face.

ANNarchy 5.0 binds its generated C++ with nanobind and puts the C type into the name
of an accessor; 4.8 binds with Cython and takes it as an argument. Everything else
that this package asks of a live object has the same name in both and is called as it
is: ``post_rank``, ``pre_rank``, ``dendrite_size``, ``get_delay``, ``get_dendrite_delay``,
``set_delay``, ``init_from_lil``, ``update_max_delay`` and ``clear``.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from itertools import count
from typing import Any

import numpy as np

from ann_ckpt.errors import SimulatorError, printable

__all__ = ["Bindings", "by_name"]

_AUTOMATIC = re.compile(r"(pop|proj)\d+")


class Bindings(ABC):
    """One compiled network: its objects, its settings, and typed access to values.

    Parameters
    ----------
    release : str
        ANNarchy's own version, such as ``5.0.4.1``.
    populations, projections : sequence
        The network's objects, in the order in which they were made.
    constants : mapping of str to object
        The network's constants by name.

    Raises
    ------
    SimulatorError
        If somebody gave two populations or two projections the same name.
    """

    def __init__(
        self,
        release: str,
        populations: Sequence[Any],
        projections: Sequence[Any],
        constants: Mapping[str, Any],
    ) -> None:
        self.release = release
        self.populations = by_name("population", populations)
        self.projections = by_name("projection", projections)
        self.constants = dict(constants)
        self._names = {
            id(thing): name for group in (self.populations, self.projections) for name, thing in group.items()
        }

    def name_of(self, thing: Any) -> str:
        """Return the name of a population or projection here, where no two have the same."""
        name: str = self._names.get(id(thing), thing.name)
        return name

    # --- the network ----------------------------------------------------------------

    @property
    @abstractmethod
    def seed(self) -> int | None:
        """Seed of the random numbers; None if ANNarchy chose one without keeping it."""

    @abstractmethod
    def setting(self, key: str) -> Any:
        """Return one entry of the network's configuration, such as ``dt``."""

    @property
    @abstractmethod
    def monitors(self) -> Sequence[Any]:
        """The network's monitors."""

    @abstractmethod
    def time_step(self) -> int:
        """Return the steps simulated so far."""

    @abstractmethod
    def set_time_step(self, time_step: int) -> None:
        """Set the steps simulated so far."""

    @abstractmethod
    def set_constant(self, name: str, value: float) -> None:
        """Set one constant in this network, and in no other."""

    @property
    @abstractmethod
    def instance(self) -> Any:
        """The network's module in C++."""

    def reseed(self, seed: int) -> None:
        """Give the random generators in C++ a new seed, as the network's construction did."""
        threads = 1 if self.setting("disable_parallel_rng") else int(self.setting("num_threads"))
        self.instance.set_seed(seed, threads, bool(self.setting("use_seed_seq")))

    @property
    def default_rng(self) -> np.random.Generator | None:
        """Generator of the network's random values in Python, if it has one of its own."""
        return None

    @property
    @abstractmethod
    def callbacks(self) -> list[Any]:
        """The network's own list of what it calls between steps."""

    @abstractmethod
    def update_period(self, instance: Any) -> int:
        """Return the steps between two updates of a projection's synapses."""

    @property
    def lost(self) -> tuple[str, ...]:
        """What of the network itself, besides its generators, cannot be read."""
        return ()

    @property
    def is_stepped(self) -> bool:
        """Whether a simulation step is one of this network's objects."""
        return True

    # --- filters ----------------------------------------------------------------------

    @abstractmethod
    def filters(self, instance: Any) -> Sequence[Any] | None:
        """Return the filters of a convolution as nested lists; None if it has none."""

    @abstractmethod
    def set_filters(self, instance: Any, filters: list[Any]) -> None:
        """Set the filters of a convolution. Another shape is undefined."""

    @abstractmethod
    def filter_places(self, instance: Any) -> Sequence[Sequence[int]]:
        """Return, for each neuron after a convolution or pooling, where in front of it the filter lies."""

    # --- values of populations --------------------------------------------------------

    @abstractmethod
    def offers(self, instance: Any, name: str, ctype: str, *, local: bool) -> bool:
        """Whether a population of a special class lets this attribute of its type be reached."""

    @abstractmethod
    def neurons(self, instance: Any, name: str, ctype: str) -> Sequence[Any]:
        """Return the value of each neuron, by rank."""

    @abstractmethod
    def set_neurons(self, instance: Any, name: str, ctype: str, values: list[Any]) -> None:
        """Set the value of each neuron. A list of another length than the population is undefined."""

    @abstractmethod
    def shared(self, instance: Any, name: str, ctype: str) -> Any:
        """Return the one value that all neurons of a population share."""

    @abstractmethod
    def set_shared(self, instance: Any, name: str, ctype: str, value: Any) -> None:
        """Set the one value that all neurons of a population share."""

    # --- values of projections --------------------------------------------------------

    @abstractmethod
    def row_getter(self, instance: Any, name: str, ctype: str) -> Callable[[int], Sequence[Any]]:
        """Return a function from a row number to the values of its synapses."""

    @abstractmethod
    def row_setter(self, instance: Any, name: str, ctype: str) -> Callable[[int, list[Any]], None]:
        """Return a function that sets the synapses of one row. Another length is undefined."""

    @abstractmethod
    def set_rows(self, instance: Any, name: str, ctype: str, rows: list[list[Any]]) -> None:
        """Set the synapses of all rows. Other lengths are undefined."""

    @abstractmethod
    def per_dendrite(self, instance: Any, name: str, ctype: str) -> Sequence[Any]:
        """Return one value per row."""

    @abstractmethod
    def set_per_dendrite(self, instance: Any, name: str, ctype: str, values: list[Any]) -> None:
        """Set one value per row. Another number of values is undefined."""

    @abstractmethod
    def single(self, instance: Any, name: str, ctype: str) -> Any:
        """Return the one value of a projection."""

    @abstractmethod
    def set_single(self, instance: Any, name: str, ctype: str, value: Any) -> None:
        """Set the one value of a projection."""


def by_name(noun: str, objects: Sequence[Any]) -> dict[str, Any]:
    """Return objects by name; of those that ANNarchy named alike, the later ones are told apart.

    ANNarchy numbers names itself (``pop0``, ``proj0``) and gives a copy, such as ``net.connect()``
    makes of a projection, the name of the original.

    Raises
    ------
    SimulatorError
        If two have a name in common that somebody gave them.
    """
    taken = {thing.name for thing in objects}
    named: dict[str, Any] = {}
    for thing in objects:
        name = thing.name
        if name in named:
            if not _AUTOMATIC.fullmatch(name):
                raise SimulatorError(
                    f"two {noun}s are called {printable(name)!r}",
                    details={
                        "hint": f"give each {noun} a name of its own, with name= or later: {noun}.name = ..."
                    },
                )
            name = next(other for n in count(2) if (other := f"{name}-{n}") not in taken)
            taken.add(name)
        named[name] = thing
    return named
