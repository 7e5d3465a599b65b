"""Populations and projections of the demo network."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ann_ckpt.model import Array, Attribute, Connectivity, Locality, TypeInfo, blocks

__all__ = [
    "ANTI_HEBB",
    "DT",
    "IMAGE",
    "LEAKY",
    "MAX_DELAY",
    "OJA",
    "Delays",
    "Population",
    "Projection",
    "Synapses",
    "fill",
    "one",
    "own_delays",
    "random_synapses",
]

DT = 1.0
"""Length of one step in ms."""
MAX_DELAY = 5
"""Longest delay in steps; every population remembers as many rates."""

Delays = int | NDArray[np.int32]
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
        """What the equations change."""
        return {"r": Attribute(self.rates[0].reshape(self.geometry), Locality.LOCAL)}

    @property
    def past(self) -> NDArray[np.float64]:
        """Rates on their way through delayed synapses, newest first; shape ``(MAX_DELAY - 1, size)``."""
        return self.rates[1:]

    def advance(self, rates: NDArray[np.float64]) -> None:
        """Take new rates, shape ``(size,)``, and move the older ones down the line."""
        self.rates[1:] = self.rates[:-1].copy()
        self.rates[0] = rates


class Synapses:
    """Which synapses a projection has, with a weight and a delay for each."""

    def __init__(self, connectivity: Connectivity, w: NDArray[np.float64], delays: Delays) -> None:
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
    synapses: Synapses

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
) -> Synapses:
    """Draw synapses, none onto the neuron itself.

    Weights lie below ``heaviest``; delays go up to ``longest`` steps, one for all if that is 1.
    """
    mask = rng.random((post.size, pre.size)) < probability
    if pre is post:
        np.fill_diagonal(mask, val=False)
    connectivity = Connectivity.from_rows(np.arange(post.size), [np.flatnonzero(row) for row in mask])
    n = connectivity.n_synapses
    delays = rng.integers(1, longest, n, np.int32, endpoint=True) if longest > 1 else 1
    return Synapses(connectivity, rng.uniform(0.0, heaviest, n), delays)


def own_delays(delays: int | Array) -> Delays:
    """Return delays in memory of our own."""
    return delays if isinstance(delays, int) else np.array(delays, np.int32)


def fill(target: NDArray[Any], values: Array) -> None:
    """Copy ``values`` block by block, because they may be lazy."""
    for start, block in blocks(values):
        if target.shape:
            target[start : start + len(block)] = block
        else:
            target[...] = block
