"""A plastic network simulated in numpy, open to this package as any simulator is.

An image of ``2 side x 2 side`` neurons feeds a layer of ``side x side``. Feed-forward
weights follow Oja's rule [1]_, delayed lateral inhibition Foldiak's anti-Hebbian
one [2]_. Nothing is random once the network is built, so a run that was saved and
loaded can be compared bit for bit with one that was not.

The last section, *How it joins*, is all that a simulator owes
:class:`~ann_ckpt.adapters.protocol.Simulator`.

.. [1] E. Oja (1982), J. Math. Biol. 15, 267-273.
.. [2] P. Foldiak (1990), Biol. Cybern. 64, 165-170.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ann_ckpt.adapters.protocol import Reading
from ann_ckpt.model import (
    Array,
    Attribute,
    Connectivity,
    Locality,
    NetworkState,
    PopulationState,
    ProjectionState,
    TypeInfo,
    blocks,
)
from ann_ckpt.selection import EVERYTHING, Selection

__all__ = ["MAX_DELAY", "DemoNetwork"]

DT = 1.0
"""Length of one step in ms."""
MAX_DELAY = 5
"""Longest delay in steps; every population remembers as many rates."""

_Delays = int | NDArray[np.int32]
"""One delay for all synapses, or one per synapse, in steps."""

_LEAKY = TypeInfo(
    name="LeakyRate",
    description="Rectified rate neuron with a threshold",
    texts={"equations": "tau * dr/dt + r = pos(sum(exc) - sum(inh) - threshold)"},
)
_IMAGE = TypeInfo(name="Image", description="A bump of light that goes round in circles")
_OJA = TypeInfo(
    name="Oja",
    description="Hebbian learning that keeps the weights of a dendrite bounded",
    texts={"equations": "dw/dt = eta * post.r * (pre.r - post.r * w)"},
)
_ANTI_HEBB = TypeInfo(
    name="AntiHebb",
    description="Inhibition grows between neurons that are active together",
    texts={"equations": "dw/dt = eta * (post.r * pre.r - rho ** 2) : min = 0"},
)


class _Population:
    """Neurons that remember their last ``MAX_DELAY`` rates.

    The delay line is part of the state: without it the first steps after loading
    would differ. ``r`` is the rate now, ``r_1`` the one a step ago, and so on.
    """

    def __init__(
        self, name: str, geometry: tuple[int, ...], kind: TypeInfo, parameters: dict[str, Attribute]
    ) -> None:
        self.name, self.geometry, self.kind, self.parameters = name, geometry, kind, parameters
        self.rates = np.zeros((MAX_DELAY, math.prod(geometry)))
        self.variables = {
            f"r_{ago}" if ago else "r": Attribute(rates.reshape(geometry), Locality.LOCAL)
            for ago, rates in enumerate(self.rates)
        }

    @property
    def size(self) -> int:
        """Number of neurons."""
        return self.rates.shape[1]

    def advance(self, rates: NDArray[np.float64]) -> None:
        """Take new rates, shape ``(size,)``, and move the older ones down the line."""
        self.rates[1:] = self.rates[:-1].copy()
        self.rates[0] = rates


class _Synapses:
    """Which synapses a projection has, with a weight and a delay for each."""

    def __init__(self, connectivity: Connectivity, w: NDArray[np.float64], delays: _Delays) -> None:
        self.connectivity, self.w, self.delays = connectivity, w, delays
        self.row = np.repeat(np.arange(connectivity.n_rows), connectivity.row_sizes)
        self.pre = np.asarray(connectivity.pre_ranks)
        self.post = connectivity.post_ranks[self.row]


@dataclass(eq=False)
class _Projection:
    """Synapses between two populations, and the rule by which they learn."""

    name: str
    pre: _Population
    post: _Population
    target: str
    kind: TypeInfo
    parameters: dict[str, Attribute]
    synapses: _Synapses

    @property
    def variables(self) -> dict[str, Attribute]:
        """What learning changes."""
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
        if self.kind is _OJA:
            w += DT * self.parameter("eta") * post * (pre - post * w)
        else:
            w += DT * self.parameter("eta") * (post * pre - self.parameter("rho") ** 2)
            np.maximum(w, 0.0, out=w)


class DemoNetwork:
    """The network.

    Parameters
    ----------
    seed : int
        Decides which synapses there are, their weights and delays. Two networks of
        different seeds differ in all of these.
    side : int
        Neurons along one side of the layer; the image has twice as many.
    """

    label = "ann_ckpt demo network"

    def __init__(self, *, seed: int = 0, side: int = 20) -> None:
        rng = np.random.default_rng(seed)
        image = _Population("image", (2 * side, 2 * side), _IMAGE, {"sigma": _one(side / 4)})
        thresholds = Attribute(rng.uniform(0.0, 0.1, (side, side)), Locality.LOCAL)
        layer = _Population("layer", (side, side), _LEAKY, {"tau": _one(10.0), "threshold": thresholds})
        etas = Attribute(rng.uniform(1e-3, 5e-3, layer.size), Locality.SEMIGLOBAL)
        forward, lateral = (
            _random_synapses(rng, image, layer, probability=0.3, heaviest=0.1, longest=1),
            _random_synapses(rng, layer, layer, probability=0.2, heaviest=0.01, longest=MAX_DELAY),
        )
        self.seed = seed
        self.time_step = 0
        self._constants = {"period": np.array(200.0)}
        self._populations = {p.name: p for p in (image, layer)}
        self._projections = {
            p.name: p
            for p in (
                _Projection("forward", image, layer, "exc", _OJA, {"eta": etas}, forward),
                _Projection(
                    "lateral", layer, layer, "inh", _ANTI_HEBB, {"eta": _one(1e-3), "rho": _one(0.1)}, lateral
                ),
            )
        }

    @property
    def n_synapses(self) -> int:
        """Number of synapses in all projections."""
        return sum(p.synapses.w.size for p in self._projections.values())

    def simulate(self, steps: int) -> None:
        """Run for ``steps`` steps of 1 ms, with learning."""
        image, layer = self._populations.values()
        forward, lateral = self._projections.values()
        tau, threshold = (np.asarray(layer.parameters[name].values).ravel() for name in ("tau", "threshold"))
        for _ in range(steps):
            drive = np.maximum(forward.drive() - lateral.drive() - threshold, 0.0)
            rates = layer.rates[0] + DT / tau * (drive - layer.rates[0])
            forward.learn()
            lateral.learn()
            image.advance(self._bump(image))
            layer.advance(rates)
            self.time_step += 1

    def _bump(self, image: _Population) -> NDArray[np.float64]:
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
            )
        )

    def _population_state(self, name: str) -> PopulationState:
        live = self._populations[name]
        return PopulationState(
            name,
            live.geometry,
            parameters=live.parameters,
            variables=live.variables,
            neuron_type=live.kind,
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
        )

    def refusal(self, projection: ProjectionState) -> str | None:
        """Say why these synapses cannot be taken: only delays can be out of reach."""
        if projection.delays is None:
            own = self._projections[projection.name].synapses.delays
            return (
                None
                if isinstance(own, int)
                else "its delays are not known, and here each synapse has its own"
            )
        delays = np.asarray(projection.delays)
        if delays.size and not 1 <= delays.min() <= delays.max() <= MAX_DELAY:
            return f"delays of {delays.min()} to {delays.max()} steps; this network takes 1 to {MAX_DELAY}"
        return None

    def set_time_step(self, time_step: int) -> None:
        """Set the number of steps simulated so far."""
        self.time_step = time_step

    def set_constant(self, name: str, value: NDArray[Any]) -> None:
        """Set a constant in place."""
        _fill(self._constants[name], value)

    def set_population_attribute(self, population: str, attribute: str, values: Array) -> None:
        """Set one attribute in place."""
        live = self._populations[population]
        _fill(np.asarray((live.parameters | live.variables)[attribute].values), values)

    def set_projection_attribute(self, projection: str, attribute: str, values: Array) -> None:
        """Set one attribute in place."""
        live = self._projections[projection]
        _fill(np.asarray((live.parameters | live.variables)[attribute].values), values)

    def set_delays(self, projection: str, delays: int | Array) -> None:
        """Set delays in steps."""
        self._projections[projection].synapses.delays = _own_delays(delays)

    def connect(self, projection: ProjectionState) -> None:
        """Replace the live projection's synapses, with their weights and delays.

        A delay that the state does not know stays what it is. Values per dendrite start
        from the mean of the old ones; the caller sets them next.
        """
        live = self._projections[projection.name]
        stored = projection.connectivity
        own = Connectivity(stored.post_ranks, stored.row_ptr, np.array(stored.pre_ranks))
        weights = np.empty(own.n_synapses)
        _fill(weights, projection["w"])
        delays = live.synapses.delays if projection.delays is None else _own_delays(projection.delays)
        live.synapses = _Synapses(own, weights, delays)
        for name, attribute in live.parameters.items():
            if attribute.locality is Locality.SEMIGLOBAL:
                filled = np.full(own.n_rows, np.mean(np.asarray(attribute.values)))
                live.parameters[name] = Attribute(filled, Locality.SEMIGLOBAL)


def _one(value: float) -> Attribute:
    return Attribute(np.array(value), Locality.GLOBAL)


def _random_synapses(
    rng: np.random.Generator,
    pre: _Population,
    post: _Population,
    *,
    probability: float,
    heaviest: float,
    longest: int,
) -> _Synapses:
    """Draw synapses, none onto the neuron itself.

    Weights lie below ``heaviest``; delays go up to ``longest`` steps, one for all if that is 1.
    """
    mask = rng.random((post.size, pre.size)) < probability
    if pre is post:
        np.fill_diagonal(mask, val=False)
    connectivity = Connectivity.from_rows(np.arange(post.size), [np.flatnonzero(row) for row in mask])
    n = connectivity.n_synapses
    delays = rng.integers(1, longest, n, np.int32, endpoint=True) if longest > 1 else 1
    return _Synapses(connectivity, rng.uniform(0.0, heaviest, n), delays)


def _own_delays(delays: int | Array) -> _Delays:
    return delays if isinstance(delays, int) else np.array(delays, np.int32)


def _fill(target: NDArray[Any], values: Array) -> None:
    """Copy ``values`` block by block, because they may be lazy."""
    for start, block in blocks(values):
        if target.shape:
            target[start : start + len(block)] = block
        else:
            target[...] = block
