"""Which simulator a live object belongs to.

A package joins the registry by a call, or by an entry point, which is loaded only where no
simulator that has joined before takes the network.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from importlib.metadata import EntryPoint, entry_points
from itertools import chain

import numpy as np

from ann_ckpt.adapters import annarchy, brian2, nest, pynn
from ann_ckpt.adapters.protocol import Clock, HasClock, Simulator
from ann_ckpt.errors import CheckpointError, OptionError, SimulatorError, printable
from ann_ckpt.model import NetworkState
from ann_ckpt.selection import Selection

__all__ = [
    "GROUP",
    "SIMULATORS",
    "Adapt",
    "Build",
    "Prepare",
    "Simulators",
    "clock_of",
    "identity_of",
    "register",
    "simulator_for",
]

GROUP = "ann_ckpt.simulators"
"""Entry points of this group name a function such as :data:`Adapt`, or something that has it as ``adapt``
and perhaps ``prepare`` and ``build`` such as :data:`Prepare` and :data:`Build`; each under its
simulator's name."""

Adapt = Callable[[object | None, int], Simulator | None]
"""``adapt(network, net_id)``: a simulator, or None for an object of somebody else.

``network`` is None where the user named none; a simulator that keeps its networks
globally then answers for the one numbered ``net_id``.
"""

Build = Callable[[NetworkState], object]
"""``build(state)``: a new network with the populations and projections of a state.

What it returns is what ``Adapt`` recognises; see :class:`~ann_ckpt.simulators.Builds`.
"""

Prepare = Callable[[object, str], object | None]
"""``prepare(network, directory)``: the network that a model's function returned, ready to be simulated.

Asked where a model is run on the user's behalf, by ``verify_resume``. The answer has a method
``simulate(ms)`` and is what ``Adapt`` recognises; None for an object of somebody else. ``directory``
is for what has to be compiled; it need not exist yet.
"""


@dataclass(slots=True)
class _Search:
    """What came of asking one simulator after the other."""

    network: object | None
    net_id: int
    asked: set[str] = field(default_factory=set)
    failures: dict[str, Exception] = field(default_factory=dict)
    """Who could not be asked, or failed to answer, with the reason."""

    def ask(self, name: str, adapt: Adapt) -> Simulator | None:
        """Return a simulator's answer; None too if it fails, so that the others are asked."""
        self.asked.add(name)
        try:
            return adapt(self.network, self.net_id)
        except CheckpointError:
            raise  # the network is its own, and it says what is wrong with it
        except Exception as error:  # noqa: BLE001  (any code may be behind it)
            self.failures[printable(name)] = error
            return None


class Simulators:
    """Registry of simulators, each with a function that recognises its networks.

    Parameters
    ----------
    group : str, optional
        Group of entry points by which installed packages join; None for none.

    Examples
    --------
    >>> registry = Simulators()
    >>> registry.register("Nest", lambda network, net_id: None)
    >>> registry.names
    ('Nest',)
    """

    def __init__(self, group: str | None = None) -> None:
        self._group = group
        self._adapters: dict[str, Adapt] = {}
        self._prepare: dict[str, Prepare] = {}
        self._build: dict[str, Build] = {}

    @property
    def names(self) -> tuple[str, ...]:
        """Registered simulators, in the order in which they are asked."""
        return tuple(self._adapters)

    def register(
        self, name: str, adapt: Adapt, *, prepare: Prepare | None = None, build: Build | None = None
    ) -> None:
        """Register a simulator.

        Parameters
        ----------
        name : str
            How messages call it.
        adapt : callable
            See :data:`Adapt`.
        prepare : callable, optional
            See :data:`Prepare`; without it, models return networks that can be simulated.
        build : callable, optional
            See :data:`Build`; without it, no network can be made from a file.

        Raises
        ------
        OptionError
            If there is one of that name already.
        """
        if name in self._adapters:
            raise OptionError(f"a simulator named {printable(name)!r} is already registered")
        self._adapters[name] = adapt
        if prepare is not None:
            self._prepare[name] = prepare
        if build is not None:
            self._build[name] = build

    def builder(self, name: str) -> Build:
        """Return what makes networks of a simulator.

        Parameters
        ----------
        name : str
            As it was registered.

        Raises
        ------
        SimulatorError
            If there is no such simulator, or it makes none.
        """
        for known, _ in chain(list(self._adapters.items()), self._installed(_Search(None, 0))):
            if known == name and known in self._build:
                return self._build[known]
        raise SimulatorError(
            f"no registered simulator {printable(name, 60)!r} makes networks from files",
            details={"known": ", ".join(self._build) or "none"},
        )

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
            If no simulator takes it, or its own one cannot work with it. Simulators that
            could not be asked are named with the reason.
        OptionError
            If ``net_id`` is not a number.
        """
        if isinstance(network, Simulator):
            return network
        if not isinstance(net_id, int | np.integer):
            raise OptionError(
                f"net_id= takes a number, not what is of type {type(net_id).__name__}",
                details={"hint": "pass network=net"},
            )
        search = _Search(network, int(net_id))
        for name, adapt in chain(list(self._adapters.items()), self._installed(search)):
            simulator = search.ask(name, adapt)
            if simulator is not None:
                return simulator
        raise self._nobody(search)

    def prepare(self, network: object, directory: str) -> object:
        """Return a network ready to be simulated, as its own simulator makes it so."""
        if isinstance(network, Simulator):
            return network
        for name, _ in chain(list(self._adapters.items()), self._installed(_Search(network, 0))):
            prepared = self._prepare[name](network, directory) if name in self._prepare else None
            if prepared is not None:
                return prepared
        return network

    def _installed(self, search: _Search) -> Iterator[tuple[str, Adapt]]:
        """Yield the simulators of installed packages that have not joined yet, as each joins.

        A name that two packages claim belongs to neither.
        """
        found = list(entry_points(group=self._group)) if self._group is not None else []
        claims = Counter(point.name for point in found)
        for point in found:
            try:
                adapt = self._join(point, claims[point.name], search)
            except Exception as error:  # noqa: BLE001  (a package that cannot be imported fails in any way)
                search.failures[_whose(point)] = error
            else:
                if adapt is not None:
                    yield point.name, adapt

    def _join(self, point: EntryPoint, claims: int, search: _Search) -> Adapt | None:
        """Load and register what an entry point names; None if it was asked already."""
        if claims > 1:
            raise OptionError(f"{claims} installed packages register a simulator of that name")
        loaded = point.load()
        adapt: Adapt = getattr(loaded, "adapt", loaded)
        if self._adapters.get(point.name) is adapt:  # it joined before, or because it was imported now
            return None if point.name in search.asked else adapt
        if not callable(adapt):
            raise OptionError(f"{printable(point.value)} is not a function and has no function adapt")
        functions = {name: getattr(loaded, name, None) for name in ("prepare", "build")}
        self.register(point.name, adapt, **functions)
        return adapt

    def _nobody(self, search: _Search) -> SimulatorError:
        if search.network is None:
            fact = "no network was given, and no imported simulator has a global one"
        else:
            kind = type(search.network)
            fact = f"no registered simulator accepts an object of type {kind.__module__}.{kind.__qualname__}"
        details = {"known": ", ".join(self.names) or "none"}
        for who, why in search.failures.items():
            details[who] = printable(
                why.fact if isinstance(why, CheckpointError) else f"{type(why).__name__}: {why}", 300
            )
        error = SimulatorError(fact, details=details | {"hint": "pass the compiled network as network="})
        error.__cause__ = next(iter(search.failures.values()), None)
        return error


def _whose(point: EntryPoint) -> str:
    """Name an entry point with the package that it comes from."""
    package = "" if point.dist is None else f" of {point.dist.name} {point.dist.version}"
    return printable(f"{point.name}{package}")


SIMULATORS = Simulators(GROUP)
"""The registry that ``save`` and ``load`` ask."""

SIMULATORS.register("ANNarchy", annarchy.adapt, prepare=annarchy.prepare)
SIMULATORS.register("Brian2", brian2.adapt, prepare=brian2.prepare)
SIMULATORS.register("NEST", nest.adapt, build=nest.build)
SIMULATORS.register("PyNN", pynn.adapt, build=pynn.built)


def simulator_for(network: object | None = None, net_id: int = 0) -> Simulator:
    """Return the simulator that ``network`` belongs to, as :data:`SIMULATORS` has it."""
    return SIMULATORS.find(network, net_id)


def clock_of(simulator: Simulator) -> Clock:
    """Return where in time a network stands, without reading it if it says so itself."""
    if isinstance(simulator, HasClock):
        return simulator.clock()
    state = simulator.read(Selection(populations=False, projections=False)).state
    return Clock(state.time_step, state.dt)


def identity_of(simulator: Simulator) -> object:
    """Return what all simulators of one live network have in common; else the simulator itself."""
    return getattr(simulator, "identity", simulator)


def register(name: str, adapt: Adapt, *, prepare: Prepare | None = None, build: Build | None = None) -> None:
    """Register a simulator for every call that takes ``network=``.

    Parameters
    ----------
    name : str
        How messages call it.
    adapt : callable
        ``adapt(network, net_id)`` returns a :class:`~ann_ckpt.simulators.Simulator`, or None for
        what is not its own; ``network`` is None where the user named none.
    prepare : callable, optional
        ``prepare(network, directory)`` returns the network of a model ready for its ``simulate(ms)``,
        or None for what is not its own: it compiles it, say. For ``verify_resume``.
    build : callable, optional
        ``build(state)`` returns a new network with the populations and projections of a
        :class:`~ann_ckpt.NetworkState`. For :func:`ann_ckpt.build`.

    Raises
    ------
    OptionError
        If there is one of that name already.
    """
    SIMULATORS.register(name, adapt, prepare=prepare, build=build)
