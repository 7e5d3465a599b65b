"""A plastic network simulated in numpy, open to this package as any simulator is.

An image of ``2 side x 2 side`` neurons feeds a noisy layer of ``side x side``.
Feed-forward weights follow Oja's rule, delayed lateral inhibition Foldiak's
anti-Hebbian one.

The last three sections are all that a simulator owes to take part: *How it joins* is
:class:`~ann_ckpt.adapters.protocol.Simulator`, with
:class:`~ann_ckpt.adapters.protocol.CallsBack`; *How its monitors go on* adds
:class:`~ann_ckpt.adapters.protocol.Records`, and *How it resumes exactly*
:class:`~ann_ckpt.adapters.protocol.ExactSimulator`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ann_ckpt.adapters.protocol import Clock, Owner, Reading
from ann_ckpt.demo.monitor import DemoMonitor
from ann_ckpt.errors import SimulatorError
from ann_ckpt.model import (
    Array,
    Attribute,
    Connectivity,
    Exactness,
    Locality,
    NetworkState,
    PopulationState,
    ProjectionState,
    Recording,
    Resume,
    TypeInfo,
    blocks,
)
from ann_ckpt.report import Note
from ann_ckpt.selection import EVERYTHING, Selection

__all__ = [
    "ANTI_HEBB",
    "DT",
    "IMAGE",
    "LEAKY",
    "MAX_DELAY",
    "OJA",
    "DemoNetwork",
    "DemoSynapses",
    "Population",
    "Projection",
    "fill",
    "one",
    "own_delays",
    "random_synapses",
]

DT = 1.0
"""Length of one step in ms."""
MAX_DELAY = 5
"""Longest delay in steps; every population remembers as many rates."""

_Delays = int | NDArray[np.int32]
"""One delay for all synapses, or one per synapse, in steps."""

LEAKY = TypeInfo(
    name="LeakyRate",
    description="Rectified rate neuron with a threshold and noise",
    texts={"equations": "tau * dr/dt + r = pos(sum(exc) - sum(inh) - threshold + noise * Normal(0, 1))"},
)
IMAGE = TypeInfo(name="Image", description="A bump of light that goes round in circles")
# E. Oja (1982), J. Math. Biol. 15, 267-273.
OJA = TypeInfo(
    name="Oja",
    description="Hebbian learning that keeps the weights of a dendrite bounded",
    texts={"equations": "dw/dt = eta * post.r * (pre.r - post.r * w)"},
)
# P. Foldiak (1990), Biol. Cybern. 64, 165-170.
ANTI_HEBB = TypeInfo(
    name="AntiHebb",
    description="Inhibition grows between neurons that are active together",
    texts={"equations": "dw/dt = eta * (post.r * pre.r - rho ** 2) : min = 0"},
)


class Population:
    """Neurons that remember their last ``MAX_DELAY`` rates."""

    def __init__(
        self, name: str, geometry: tuple[int, ...], kind: TypeInfo, parameters: dict[str, Attribute]
    ) -> None:
        self.name, self.geometry, self.kind, self.parameters = name, geometry, kind, parameters
        self.rates = np.zeros((MAX_DELAY, math.prod(geometry)))
        """Rates now, a step ago, and so on; shape ``(MAX_DELAY, size)``."""

    @property
    def size(self) -> int:
        """Number of neurons."""
        return self.rates.shape[1]

    @property
    def variables(self) -> dict[str, Attribute]:
        """Variables of the population."""
        return {"r": Attribute(self.rates[0].reshape(self.geometry), Locality.LOCAL)}

    @property
    def past(self) -> NDArray[np.float64]:
        """Rates on their way through delayed synapses, newest first; shape ``(MAX_DELAY - 1, size)``."""
        return self.rates[1:]

    def advance(self, rates: NDArray[np.float64]) -> None:
        """Take new rates, shape ``(size,)``, and move the older ones down the line."""
        self.rates[1:] = self.rates[:-1].copy()
        self.rates[0] = rates


class DemoSynapses:
    """Which synapses a projection has, with a weight and a delay for each."""

    def __init__(self, connectivity: Connectivity, w: NDArray[np.float64], delays: _Delays) -> None:
        self.connectivity, self.w, self.delays = connectivity, w, delays
        self.row = np.repeat(np.arange(connectivity.n_rows), connectivity.row_sizes)
        self.pre = np.asarray(connectivity.pre_ranks)
        self.post = connectivity.post_ranks[self.row]


@dataclass(eq=False)
class Projection:
    """Synapses between two populations, and the rule by which they learn."""

    name: str
    pre: Population
    post: Population
    target: str
    kind: TypeInfo
    parameters: dict[str, Attribute]
    synapses: DemoSynapses

    @property
    def variables(self) -> dict[str, Attribute]:
        """Variables of the projection."""
        return {"w": Attribute(self.synapses.w, Locality.LOCAL)}

    def parameter(self, name: str) -> NDArray[np.float64]:
        """Values of a parameter as each synapse sees them: shape ``()`` or ``(n_synapses,)``."""
        values = np.asarray(self.parameters[name].values, np.float64)
        return values[self.synapses.row] if values.ndim else values

    def arriving(self) -> NDArray[np.float64]:
        """Rate that reaches each synapse in this step, shape ``(n_synapses,)``."""
        lag = np.asarray(self.synapses.delays) - 1
        return np.asarray(self.pre.rates[lag, self.synapses.pre])

    def drive(self) -> NDArray[np.float64]:
        """Weighted sum of what reaches each post-synaptic neuron, shape ``(post.size,)``."""
        weighted = self.synapses.w * self.arriving()
        return np.asarray(np.bincount(self.synapses.post, weighted, self.post.size), np.float64)

    def learn(self) -> None:
        """Change the weights by one step of the projection's rule."""
        w, pre, post = self.synapses.w, self.arriving(), self.post.rates[0, self.synapses.post]
        if self.kind is OJA:
            w += DT * self.parameter("eta") * post * (pre - post * w)
        else:
            w += DT * self.parameter("eta") * (post * pre - self.parameter("rho") ** 2)
            np.maximum(w, 0.0, out=w)


def one(value: float) -> Attribute:
    """Return an attribute with one value for all."""
    return Attribute(np.array(value), Locality.GLOBAL)


def random_synapses(
    rng: np.random.Generator,
    pre: Population,
    post: Population,
    *,
    probability: float,
    heaviest: float,
    longest: int,
) -> DemoSynapses:
    """Draw random synapses without self-connections.

    Weights lie below ``heaviest``; delays go up to ``longest`` steps, one for all if that is 1.
    """
    mask = rng.random((post.size, pre.size)) < probability
    if pre is post:
        np.fill_diagonal(mask, val=False)
    connectivity = Connectivity.from_rows(np.arange(post.size), [np.flatnonzero(row) for row in mask])
    n = connectivity.n_synapses
    delays = rng.integers(1, longest, n, np.int32, endpoint=True) if longest > 1 else 1
    return DemoSynapses(connectivity, rng.uniform(0.0, heaviest, n), delays)


def own_delays(delays: int | Array) -> _Delays:
    """Return a copy of the delays in memory."""
    return delays if isinstance(delays, int) else np.array(delays, np.int32)


def fill(target: NDArray[Any], values: Array) -> None:
    """Copy ``values`` block by block, because they may be lazy."""
    for start, block in blocks(values):
        if target.shape:
            target[start : start + len(block)] = block
        else:
            target[...] = block


_EXACT = Resume(Exactness.EXACT)
_WORDS = 624
"""Words in the state of a Mersenne twister."""


class DemoNetwork:
    """The network.

    Parameters
    ----------
    seed : int
        Decides which synapses there are, their weights and delays, and the noise. Two
        networks of different seeds differ in all of these.
    side : int
        Neurons along one side of the layer; the image has twice as many.
    """

    label = "ann_ckpt demo network"

    def __init__(self, *, seed: int = 0, side: int = 20) -> None:
        rng = np.random.default_rng(seed)
        image = Population("image", (2 * side, 2 * side), IMAGE, {"sigma": one(side / 4)})
        thresholds = Attribute(rng.uniform(0.0, 0.1, (side, side)), Locality.LOCAL)
        parameters = {"tau": one(10.0), "noise": one(0.05), "threshold": thresholds}
        layer = Population("layer", (side, side), LEAKY, parameters)
        etas = Attribute(rng.uniform(1e-3, 5e-3, layer.size), Locality.SEMIGLOBAL)
        forward, lateral = (
            random_synapses(rng, image, layer, probability=0.3, heaviest=0.1, longest=1),
            random_synapses(rng, layer, layer, probability=0.2, heaviest=0.01, longest=MAX_DELAY),
        )
        self.seed = seed
        self.time_step = 0
        self._calls: list[tuple[int, Callable[[], None]]] = []
        self._monitors: dict[str, DemoMonitor] = {}
        self._noise = np.random.MT19937(seed)
        self._reseeded: int | None = None
        self._constants = {"period": np.array(200.0)}
        self._populations = {p.name: p for p in (image, layer)}
        self._projections = {
            p.name: p
            for p in (
                Projection("forward", image, layer, "exc", OJA, {"eta": etas}, forward),
                Projection(
                    "lateral", layer, layer, "inh", ANTI_HEBB, {"eta": one(1e-3), "rho": one(0.1)}, lateral
                ),
            )
        }

    @staticmethod
    def build(state: NetworkState) -> DemoNetwork:
        """Return a network of the size that a state has; loading makes its synapses and values the same."""
        layer = state.populations.get("layer")
        if layer is None or len(layer.geometry) != 2 or layer.geometry[0] != layer.geometry[1]:
            raise SimulatorError("the demo network needs a square population 'layer'")
        return DemoNetwork(seed=state.seed or 0, side=layer.geometry[0])

    @property
    def time(self) -> float:
        """Simulated time in ms."""
        return self.time_step * DT

    @property
    def n_synapses(self) -> int:
        """Number of synapses in all projections."""
        return sum(p.synapses.w.size for p in self._projections.values())

    def simulate(self, duration: float) -> None:
        """Run for ``duration`` ms, in steps of 1 ms, with learning."""
        image, layer = self._populations.values()
        forward, lateral = self._projections.values()
        tau, noise, threshold = (np.asarray(a.values).ravel() for a in layer.parameters.values())
        for _ in range(round(duration / DT)):
            self._call_back()
            normal = np.random.Generator(self._noise).standard_normal(layer.size)
            drive = forward.drive() - lateral.drive() - threshold + noise * normal
            drive = np.maximum(drive, 0.0)
            rates = layer.rates[0] + DT / tau * (drive - layer.rates[0])
            forward.learn()
            lateral.learn()
            image.advance(self._bump(image))
            layer.advance(rates)
            for monitor in self._monitors.values():
                recorded = self._populations[monitor.population].rates
                monitor.record(self.time_step, recorded[1], recorded[0])
            self.time_step += 1

    def monitor(
        self,
        population: str,
        variables: Sequence[str],
        *,
        period: float = DT,
        level: float = 0.05,
        name: str | None = None,
    ) -> DemoMonitor:
        """Record from now on; see :class:`~ann_ckpt.demo.monitor.DemoMonitor`. The period is in ms."""
        name = f"Monitor_{population}" if name is None else name
        self._monitors[name] = DemoMonitor(name, population, variables, max(1, round(period / DT)), level)
        return self._monitors[name]

    def _call_back(self) -> None:
        for steps, call in self._calls.copy():  # a call may end the calls
            if self.time_step % steps == 0:
                call()
        self._reseeded = None

    def _bump(self, image: Population) -> NDArray[np.float64]:
        """Return the light on each neuron of ``image``, flat, at the present step."""
        phase = 2 * math.pi * self.time_step * DT / float(self._constants["period"])
        centre = image.geometry[0] / 2
        y, x = np.indices(image.geometry) - centre
        squared = (x - centre / 2 * math.cos(phase)) ** 2 + (y - centre / 2 * math.sin(phase)) ** 2
        return np.asarray(np.exp(-squared / (2 * np.asarray(image.parameters["sigma"].values) ** 2)).ravel())

    # --- How it joins -------------------------------------------------------------

    def read(self, selection: Selection = EVERYTHING) -> Reading:
        """Return the selected part of the network; the arrays are the live ones."""
        populations = selection.pick("populations", self._populations)
        projections = selection.pick("projections", self._projections)
        return Reading(
            NetworkState(
                populations={name: self._population_state(name) for name in populations},
                projections={name: self._projection_state(name) for name in projections},
                constants=self._constants,
                time_step=self.time_step,
                dt=DT,
                seed=self.seed,
                dynamics={"noise": self._generator()},
                resume=_EXACT,
                reseeded=self._reseeded,
            )
        )

    def clock(self) -> Clock:
        """Return the time step, and the length of a step in ms."""
        return Clock(self.time_step, DT)

    @staticmethod
    def refuse_fork() -> None:
        """Let a forked child save: everything is arrays of this process."""

    def call_every(self, period: float, call: Callable[[], None]) -> Callable[[], None]:
        """Call before each step at a multiple of ``period`` ms, not after the last one."""
        entry = (max(1, round(period / DT)), call)
        self._calls.append(entry)

        def leave() -> None:
            self._calls[:] = [other for other in self._calls if other is not entry]

        return leave

    def _population_state(self, name: str) -> PopulationState:
        live = self._populations[name]
        return PopulationState(
            name,
            live.geometry,
            parameters=live.parameters,
            variables=live.variables,
            neuron_type=live.kind,
            dynamics={"past": live.past},
            resume=_EXACT,
        )

    def _projection_state(self, name: str) -> ProjectionState:
        live = self._projections[name]
        return ProjectionState(
            name,
            live.pre.name,
            live.post.name,
            live.target,
            live.synapses.connectivity,
            parameters=live.parameters,
            variables=live.variables,
            delays=live.synapses.delays,
            pre_size=live.pre.size,
            post_size=live.post.size,
            synapse_type=live.kind,
            resume=_EXACT,
        )

    def refusal(self, projection: ProjectionState) -> str | None:
        """Return why these synapses cannot be taken: only delays can be too long."""
        if projection.delays is None:
            uniform = isinstance(self._projections[projection.name].synapses.delays, int)
            return None if uniform else "its delays are not known, and here each synapse has its own"
        delays = np.asarray(projection.delays)
        if delays.size and not 1 <= delays.min() <= delays.max() <= MAX_DELAY:
            return f"delays of {delays.min()} to {delays.max()} steps; this network takes 1 to {MAX_DELAY}"
        return None

    def set_time_step(self, time_step: int) -> None:
        """Set the number of steps simulated so far, and clear the queue of delayed rates.

        Back in time, monitors are emptied: what they hold has not happened yet.
        """
        if time_step < self.time_step:
            for monitor in self._monitors.values():
                monitor.get()
        self.time_step = time_step
        for population in self._populations.values():
            population.past[...] = 0.0

    def set_constant(self, name: str, value: NDArray[Any]) -> None:
        """Set a constant in place."""
        fill(self._constants[name], value)

    def set_population_attribute(self, population: str, attribute: str, values: Array) -> None:
        """Set one attribute in place."""
        live = self._populations[population]
        fill(np.asarray((live.parameters | live.variables)[attribute].values), values)

    def set_projection_attribute(self, projection: str, attribute: str, values: Array) -> None:
        """Set one attribute in place."""
        live = self._projections[projection]
        fill(np.asarray((live.parameters | live.variables)[attribute].values), values)

    def set_delays(self, projection: str, delays: int | Array) -> None:
        """Set delays in steps."""
        self._projections[projection].synapses.delays = own_delays(delays)

    def connect(self, projection: ProjectionState) -> None:
        """Replace the live projection's synapses, with their weights and delays.

        A delay that the state does not know stays what it is. Values per dendrite start
        from the mean of the old ones; the caller sets them next.
        """
        live = self._projections[projection.name]
        stored = projection.connectivity
        own = Connectivity(stored.post_ranks, stored.row_ptr, np.array(stored.pre_ranks))
        weights = np.empty(own.n_synapses)
        fill(weights, projection["w"])
        delays = live.synapses.delays if projection.delays is None else own_delays(projection.delays)
        live.synapses = DemoSynapses(own, weights, delays)
        for name, attribute in live.parameters.items():
            if attribute.locality is Locality.SEMIGLOBAL:
                filled = np.full(own.n_rows, np.mean(np.asarray(attribute.values)))
                live.parameters[name] = Attribute(filled, Locality.SEMIGLOBAL)

    # --- How its monitors go on ------------------------------------------------------

    def recordings(self) -> tuple[Mapping[str, Recording], tuple[Note, ...]]:
        """Return what the monitors hold."""
        return {name: monitor.recording() for name, monitor in self._monitors.items()}, ()

    def refuse_recording(self, stored: Recording) -> str | None:
        """Return why the monitor of that name cannot hold a recording, or None."""
        size = self._populations[self._monitors[stored.name].population].size
        samples = stored.series.get("r")
        shape = None if samples is None or samples.values is None else samples.values.shape
        fits = shape is None or shape[0] == 0 or shape[1:] == (size,)
        return None if fits else f"samples of {shape} values, for {size} neurons"

    def set_recording(self, stored: Recording) -> None:
        """Let the monitor of that name go on from a recording."""
        self._monitors[stored.name].go_on_from(stored)

    # --- How it resumes exactly ---------------------------------------------------

    def cannot_take(self, stored: Owner) -> str | None:
        """Return None: any resume state of this simulator can be restored."""
        return None

    def refuse_dynamics(self, stored: Owner) -> str | None:
        """Return why the dynamics do not fit this network, or None."""
        wanted = self._carried(stored)
        given = {name: (array.shape, array.dtype) for name, array in stored.dynamics.items()}
        if given != {name: (array.shape, array.dtype) for name, array in wanted.items()}:
            return f"it carries {', '.join(given)}; this network carries {', '.join(wanted) or 'nothing'}"
        if isinstance(stored, NetworkState) and np.asarray(stored.dynamics["noise"])[-1] > _WORDS:
            return "the generator of the noise has no such place"
        return None

    def set_dynamics(self, stored: Owner, dynamics: Mapping[str, Array]) -> None:
        """Set the rates on their way through delayed synapses, or the generator of the noise."""
        if isinstance(stored, NetworkState):
            words = np.array(dynamics["noise"])
            state: Any = {"key": words[:_WORDS], "pos": int(words[_WORDS])}
            self._noise.state = {"bit_generator": "MT19937", "state": state}
        else:
            for name, target in self._carried(stored).items():
                fill(target, dynamics[name])

    def reseed(self, seed: int) -> None:
        """Reseed the noise generator."""
        self._noise = np.random.MT19937(seed % 2**64)

    def barrier(self) -> None:
        """Reseed from the seed and the time step; the state says so until time goes on."""
        self._reseeded = int(np.random.SeedSequence([self.seed, self.time_step]).generate_state(1)[0])
        self.reseed(self._reseeded)

    def _carried(self, owner: Owner) -> dict[str, NDArray[Any]]:
        """What the live network, or the object of the name of ``owner``, carries from step to step."""
        if isinstance(owner, NetworkState):
            return {"noise": self._generator()}
        if isinstance(owner, PopulationState):
            return {"past": self._populations[owner.name].past}
        return {}

    def _generator(self) -> NDArray[np.uint32]:
        """State of the noise generator, shape ``(625,)``: 624 words and the position of the next."""
        state: Any = self._noise.state["state"]
        return np.append(state["key"], np.uint32(state["pos"]))
