"""All published models of one step in one network, in several kinds; also for ANNarchy 4.8."""

from __future__ import annotations

import importlib.util  # noqa: F401  ANNarchy 4.8 uses it without importing it
import json
import sys
from pathlib import Path
from typing import Any

import ANNarchy as ann  # noqa: N813
import numpy as np

import ann_ckpt

sys.path.insert(0, str(Path(__file__).parents[2] / "examples" / "models"))
import published


def build(
    dt: float,
    seed: int = 1,
    *,
    names: list[str],
    threads: int = 1,
    single: bool = False,
) -> Any:
    """Return a network of ANNarchy 5.0 that is not compiled, with monitors."""
    network = ann.Network(dt=dt, seed=seed)
    network.config(num_threads=threads, dtype=ann.float32 if single else ann.float64)
    _fill(network, seed, names)
    for population in network.get_populations():
        variables = [v for v in ("spike", *population.variables) if v == "spike" or v in ("v", "r")]
        if population.neuron_type.type == "rate":
            variables.remove("spike")
        network.monitor(population, variables)
    return network


def plain(dt: float, seed: int = 1, *, names: list[str]) -> Any:
    """Return the same, compiled without the instrumentation."""
    network = build(dt, seed, names=names)
    network.compile(directory="plain", compiler_flags="-O0", silent=True)
    return network


def old(
    folder: str, *, dt: float, seed: int, names: list[str], at: float, duration: float, load: bool
) -> None:
    """Fill the one network of ANNarchy 4.8; simulate and save in a folder, or load, and go on."""
    ann.setup(dt=dt, seed=seed)
    # Distributions and connectors of 4.8 draw from numpy's global generator, which setup() seeds.
    published._uniform = lambda _rng, low, high: ann.Uniform(low, high)
    _fill(_Global(), seed, names)
    ann.compile(directory="plain", compiler_flags="-O0", silent=True)
    if load:
        ann_ckpt.load(f"{folder}/saved.h5")
    else:
        ann.simulate(at)
        ann_ckpt.save(f"{folder}/saved.h5")
    ann.simulate(duration)
    ann_ckpt.save(f"{folder}/{'resumed' if load else 'ended'}.h5")


def _fill(network: Any, seed: int, names: list[str]) -> None:
    for name in names:
        # Each has a generator of its own, so that it draws the same whichever others are there.
        published.MODELS[name][1](network, np.random.default_rng(seed))


class _Global:
    """The one network of ANNarchy 4.8, with the methods that networks of 5.0 have."""

    def config(self, **options: Any) -> None:
        ann.setup(**options)

    def constant(self, name: str, value: float) -> Any:
        return ann.Constant(name, value)

    def create(
        self, population: Any = None, *, geometry: Any = None, neuron: Any = None, name: str = ""
    ) -> Any:
        return population or ann.Population(geometry, neuron=neuron, name=name)

    def connect(self, pre: Any, *ends: Any, name: str = "") -> Any:
        return _Connected(ann.Projection(pre, *ends, name=name) if ends else pre)

    def boldmonitor(self, **options: Any) -> Any:
        from ANNarchy.extensions.bold import BoldMonitor

        return BoldMonitor(**options)


class _Connected:
    """A projection of 4.8, whose connectors have a prefix."""

    def __init__(self, projection: Any) -> None:
        self._projection = projection

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._projection, name, None)
        return found if found is not None else getattr(self._projection, f"connect_{name}")


if __name__ == "__main__":
    given = json.loads(sys.argv.pop())
    old(**given)
