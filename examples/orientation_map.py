"""A sheet of neurons that learns edges, its neighbours similar ones: python orientation_map.py run.ckpt.

T. Kohonen (1982), Biol. Cybern. 43, 59-69: the neuron that an edge excites most learns it, and so do
its neighbours, in a circle that shrinks. What comes out is a map of orientations, with pinwheels.
Needs no simulator: a network is handed to a store as a :class:`~ann_ckpt.NetworkState`.
"""

from __future__ import annotations

import sys

import numpy as np

import ann_ckpt
from ann_ckpt import (
    Attribute,
    AttributeInfo,
    CheckpointStore,
    Connectivity,
    Locality,
    NetworkState,
    PopulationState,
    ProjectionState,
    TypeInfo,
)

PATCH, SHEET = 12, 8
"""Neurons along one side of the patch of image, and of the sheet, whose edges are joined."""
LEARN = TypeInfo(
    name="Kohonen",
    description="Learning of what arrives, by the most excited neuron and its neighbours",
    attributes={"w": AttributeInfo(description="weight", minimum=0.0)},
    texts={"equations": "dw/dt = eta * neighbourhood(post, winner) * (pre.r - w)"},
)
RATE = TypeInfo(name="Rate", attributes={"r": AttributeInfo(unit="Hz", description="firing rate")})


class OrientationMap:
    """The network.

    Parameters
    ----------
    edges : int
        How many edges it is going to see; the circle that learns shrinks over all of them.
    """

    def __init__(self, edges: int = 6000, seed: int = 1) -> None:
        self.rng = np.random.default_rng(seed)
        self.edges, self.seen = edges, 0
        self.image = np.zeros(PATCH * PATCH)
        self.sheet = np.zeros(SHEET * SHEET)
        self.w = self.rng.uniform(0.0, 1.0, (self.sheet.size, self.image.size))
        self.w /= np.linalg.norm(self.w, axis=1, keepdims=True)
        self.places = np.indices((SHEET, SHEET)).reshape(2, -1).T

    def edge(self) -> np.ndarray:
        """Return a bar of light at a random angle and place, flat, of length 1."""
        angle, shift = self.rng.uniform(0, np.pi), self.rng.uniform(-2.5, 2.5)
        y, x = np.indices((PATCH, PATCH)) - (PATCH - 1) / 2
        across = x * np.cos(angle) + y * np.sin(angle) - shift
        light = np.exp(-(across**2) / (2 * 0.8**2) - (x**2 + y**2) / (2 * 3.5**2)).ravel()
        return light / np.linalg.norm(light)

    def learn(self, edges: int) -> None:
        """See some edges, and learn from each."""
        for _ in range(edges):
            done = self.seen / self.edges
            radius, eta = 3.0 * (0.5 / 3.0) ** done, 0.3 * (0.02 / 0.3) ** done
            self.image = self.edge()
            self.sheet = self.w @ self.image
            away = np.abs(self.places - self.places[np.argmax(self.sheet)])
            away = np.minimum(away, SHEET - away)
            near = np.exp(-(away**2).sum(1) / (2 * radius**2))
            self.w += eta * near[:, np.newaxis] * (self.image - self.w)
            self.seen += 1

    def state(self) -> NetworkState:
        """Return the network as it is: every image neuron reaches every neuron of the sheet."""
        n_post, n_pre = self.w.shape
        return NetworkState(
            populations=[
                PopulationState(
                    "image",
                    (PATCH, PATCH),
                    variables={"r": 100.0 * self.image.reshape(PATCH, PATCH)},
                    neuron_type=RATE,
                ),
                PopulationState(
                    "sheet",
                    (SHEET, SHEET),
                    variables={"r": 100.0 * self.sheet.reshape(SHEET, SHEET)},
                    neuron_type=RATE,
                ),
            ],
            projections=[
                ProjectionState(
                    "forward",
                    "image",
                    "sheet",
                    "exc",
                    Connectivity.from_rows(range(n_post), [np.arange(n_pre)] * n_post),
                    variables={"w": Attribute(self.w.ravel(), Locality.LOCAL)},
                    synapse_type=LEARN,
                    pre_size=n_pre,
                    post_size=n_post,
                )
            ],
            time_step=100 * self.seen,
            dt=1.0,
        )


def main(path: str, saves: int = 24) -> None:
    """Let it learn, and save it while it does; an edge is 100 ms."""
    network = OrientationMap()
    with CheckpointStore(path, "w") as store:
        store.save(network.state())
        for _ in range(saves):
            network.learn(network.edges // saves)
            store.save(network.state())
    print(ann_ckpt.open(path).projections["forward"])  # noqa: T201


if __name__ == "__main__":
    main(sys.argv[1])
