"""One run of a model, in a process of its own: ``python -m ann_ckpt.resume.run KIND ARGUMENTS ANSWER``."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from ann_ckpt.adapters.simulators import SIMULATORS
from ann_ckpt.api import load, save
from ann_ckpt.model import NetworkState, PopulationState, ProjectionState

_MOST_STEPS = 1000
"""How far a difference is looked for step by step."""

__all__ = [
    "main",
]


def main() -> None:
    """Execute one run as the command line describes, and write its result as JSON."""
    kind, arguments, answer = sys.argv[1:]
    # Simulators look at the command line too, and this one is not for them.
    del sys.argv[1:]
    given = json.loads(arguments)
    model = _Model(given)
    Path(answer).write_text(json.dumps(_RUNS[kind](model, given)))


class _Model:
    """The network of a script, and what takes it forward: simulated time, or calls of a function."""

    def __init__(self, given: dict[str, Any]) -> None:
        module = _module(Path(given["script"]))
        made = getattr(module, given["function"])
        network = made(**given["arguments"]) if callable(made) else made
        self.network: Any = SIMULATORS.prepare(network, given["directory"])
        self._run = getattr(module, given["run"]) if given["run"] else None

    def go_on(self, amount: float) -> None:
        """Simulate for so many ms, or make so many calls."""
        if self._run is None:
            self.network.simulate(amount)
            return
        for _ in range(round(amount)):
            self._run(self.network)

    def digests(self) -> dict[str, str]:
        """Return a digest of everything that can be read, by path."""
        return {path: _digest(array) for path, array in _arrays(self.state())}

    def state(self) -> NetworkState:
        """Read the network."""
        return SIMULATORS.find(self.network).read().state

    def steps(self, amount: float) -> Iterator[int]:
        """Yield 0, then the number of each step or call, up to ``amount`` or a thousand."""
        one = 1.0 if self._run is not None else self.state().dt or amount
        yield 0
        for step in range(1, 1 + min(_MOST_STEPS, round(amount / one))):
            self.go_on(one)
            yield step


def _through(model: _Model, given: dict[str, Any]) -> list[Any]:
    """Simulate to the end without looking at anything."""
    model.go_on(given["at"])
    if given["barrier"]:
        save(f"{given['ended']}.barrier.h5", network=model.network, barrier=True)
    model.go_on(given["duration"])
    save(given["ended"], network=model.network)
    return []


def _interrupted(model: _Model, given: dict[str, Any]) -> list[Any]:
    """Save on the way, and go on."""
    model.go_on(given["at"])
    save(given["saved"], network=model.network, barrier=given["barrier"])
    model.go_on(given["duration"])
    save(given["ended"], network=model.network)
    return []


def _resumed(model: _Model, given: dict[str, Any]) -> list[Any]:
    """Start from the file."""
    notes: list[Any] = load(given["saved"], network=model.network).to_dict()["notes"]
    model.go_on(given["duration"])
    save(given["ended"], network=model.network)
    return notes


def _watched(model: _Model, given: dict[str, Any]) -> list[Any]:
    """Save on the way, and look at everything after each step."""
    model.go_on(given["at"])
    save(given["ended"], network=model.network, barrier=given["barrier"])
    return [model.digests() for _ in model.steps(given["duration"])]


def _compared(model: _Model, given: dict[str, Any]) -> list[Any]:
    """Start from the file, and return the first step after which something differs, and what does."""
    watched = json.loads(Path(given["watched"]).read_text())
    load(given["saved"], network=model.network)
    for step in model.steps(given["duration"]):
        here = model.digests()
        differ = [p for p in {**watched[step], **here} if watched[step].get(p) != here.get(p)]
        if differ:
            return [step, differ]
    return []


_RUNS = {
    "through": _through,
    "interrupted": _interrupted,
    "resumed": _resumed,
    "watched": _watched,
    "compared": _compared,
}


def _arrays(state: NetworkState) -> Iterator[tuple[str, Any]]:
    yield from ((f"constants/{name}", array) for name, array in state.constants.items())
    yield from ((f"dynamics/{name}", array) for name, array in state.dynamics.items())
    owners: list[tuple[str, PopulationState | ProjectionState]] = [
        (f"populations/{n}", p) for n, p in state.populations.items()
    ]
    owners += [(f"projections/{n}", p) for n, p in state.projections.items()]
    for path, owner in owners:
        for group in ("dynamics", "parameters", "variables"):
            for name, value in getattr(owner, group).items():
                yield f"{path}/{group}/{name}", getattr(value, "values", value)
        if isinstance(owner, ProjectionState):
            yield f"{path}/pre_ranks", owner.pre_ranks


def _digest(array: Any) -> str:
    values = np.ascontiguousarray(array)
    text = f"{values.dtype.str} {values.shape}".encode()
    return hashlib.blake2b(text + values.tobytes(), digest_size=16).hexdigest()


def _module(script: Path) -> ModuleType:
    """Import a script under a name of its own, so that what it guards with ``__main__`` does not run."""
    sys.path.insert(0, str(script.parent))
    spec = importlib.util.spec_from_file_location(f"_model_{script.stem}", script)
    if spec is None or spec.loader is None:
        raise ImportError(f"{script} is not a Python script")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # as an import does: simulators look for what a model's module defines
    spec.loader.exec_module(module)
    return module


if __name__ == "__main__":
    main()
