"""One face for building and running networks in ANNarchy 4.8 and 5.0."""

from __future__ import annotations

import importlib.util  # noqa: F401  ANNarchy 4.8 uses it without importing it
import os
import sys
from pathlib import Path
from typing import Any
from unittest import mock

import ANNarchy as ann

FIVE = ann.__release__.startswith("5.")

TEXTS = {
    # name -> (parameters, equations); flags in the old notation, which both generations read.
    # "leaky" takes a constant called gain.
    "leaky": (
        """
        tau = 10.0 : population
        base = 0.5
        level = 3 : population, int
        kind = 4 : int
        on = True : bool
        armed = False : population, bool
        """,
        """
        tau * dv/dt = -v + gain * base + sum(exc) - 0.1 * sum(inh)
        phase = phase + 0.01 : population
        r = pos(v) : max = 5.0
        """,
    ),
    "plain": ("tau = 10.0 : population", "tau * dr/dt = -r + sum(exc) + 0.3"),
}


class Lab:
    """A network that is being built, then compiled, then run.

    Parameters
    ----------
    dt : float
        Length of a step in ms.
    seed : int
        Decides what random connectors and distributions draw.
    single : bool
        Single instead of double precision.
    """

    def __init__(self, *, dt: float, seed: int, single: bool = False) -> None:
        import numpy as np

        self._rng = np.random.default_rng(seed)
        if FIVE:
            self.network: Any = ann.Network(dt=dt, seed=seed)
            if single:
                self.network.config(dtype=ann.float32)
        else:
            self.network = None
            ann.setup(dt=dt, seed=seed, precision="float" if single else "double")

    def uniform(self, low: float, high: float) -> Any:
        """Return a distribution that a seed decides."""
        # 4.8 draws from numpy's global generator, which setup() seeds.
        return ann.Uniform(low, high, rng=self._rng) if FIVE else ann.Uniform(low, high)

    def population(self, name: str, geometry: Any, neuron: Any) -> Any:
        """Add a population; ``neuron`` may be the name of a text above."""
        if isinstance(neuron, str):
            parameters, equations = TEXTS[neuron]
            neuron = ann.Neuron(parameters=parameters, equations=equations)
        if FIVE:
            return self.network.create(geometry=geometry, neuron=neuron, name=name)
        return ann.Population(geometry, neuron=neuron, name=name)

    def special(self, make: Any) -> Any:
        """Add a population of a class of its own, made by ``make()``."""
        population = make()
        return self.network.create(population) if FIVE else population

    def projection(self, name: str, pre: Any, post: Any, target: str, synapse: Any = None) -> Any:
        """Add a projection."""
        if FIVE:
            return self.network.connect(pre, post, target, synapse, name=name)
        return ann.Projection(pre, post, target, synapse, name=name)

    def constant(self, name: str, value: float) -> Any:
        """Add a constant."""
        return self.network.constant(name, value) if FIVE else ann.Constant(name, value)

    def monitor(self, thing: Any, variables: list[str]) -> Any:
        """Record something."""
        return self.network.monitor(thing, variables) if FIVE else ann.Monitor(thing, variables)

    def compile(self, folder: Path) -> None:
        """Compile, quickly and without listening to pytest's own arguments."""
        # 4.8 puts the working directory before whatever it is given.
        place = str(folder) if FIVE else os.path.relpath(folder)
        with without_arguments():
            where = self.network if FIVE else ann
            where.compile(directory=place, compiler_flags="-O0", silent=True)

    def simulate(self, steps: int) -> None:
        """Run for a number of steps."""
        for _ in range(steps):
            self.network.step() if FIVE else ann.step()

    def save_by_itself(self, path: str) -> None:
        """Call ANNarchy's own save."""
        (self.network if FIVE else ann).save(path)

    def find(self, name: str) -> Any:
        """Return a projection or population by name."""
        things = (
            [*self.network.get_populations(), *self.network.get_projections()]
            if FIVE
            else [*ann.populations(), *ann.projections()]
        )
        return next(thing for thing in things if thing.name == name)


def without_arguments() -> Any:
    """Return a context in which ANNarchy does not listen to pytest's own arguments."""
    return mock.patch.object(sys, "argv", ["lab"])


def connect(projection: Any, how: str, *args: Any, **options: Any) -> Any:
    """Call a connector, which 4.8 knows with a prefix."""
    return getattr(projection, how if FIVE else f"connect_{how}")(*args, **options)
