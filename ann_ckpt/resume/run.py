"""One run of a model, in a process of its own: ``python -m ann_ckpt.resume.run KIND ARGUMENTS ANSWER``."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from typing import Any

from ann_ckpt.adapters.simulators import SIMULATORS
from ann_ckpt.api import load, save

__all__ = [
    "main",
]


def main() -> None:
    """Execute one run as the command line describes, and write its result as JSON."""
    kind, arguments, answer = sys.argv[1:]
    # Simulators look at the command line too, and this one is not for them.
    del sys.argv[1:]
    given = json.loads(arguments)
    network = _network(Path(given["script"]), given["function"], given["directory"])
    notes = _RUNS[kind](network, given)
    Path(answer).write_text(json.dumps({"notes": notes}))


def _through(network: Any, given: dict[str, Any]) -> list[Any]:
    """Simulate to the end without looking at anything."""
    network.simulate(given["at"])
    if given["barrier"]:
        save(f"{given['ended']}.barrier.h5", network=network, barrier=True)
    network.simulate(given["duration"])
    save(given["ended"], network=network)
    return []


def _interrupted(network: Any, given: dict[str, Any]) -> list[Any]:
    """Save on the way, and go on."""
    network.simulate(given["at"])
    save(given["saved"], network=network, barrier=given["barrier"])
    network.simulate(given["duration"])
    save(given["ended"], network=network)
    return []


def _resumed(network: Any, given: dict[str, Any]) -> list[Any]:
    """Start from the file."""
    notes: list[Any] = load(given["saved"], network=network).to_dict()["notes"]
    network.simulate(given["duration"])
    save(given["ended"], network=network)
    return notes


_RUNS = {"through": _through, "interrupted": _interrupted, "resumed": _resumed}


def _network(script: Path, function: str, directory: str) -> Any:
    """Import a script under a name of its own, so that what it guards with ``__main__`` does not run."""
    sys.path.insert(0, str(script.parent))
    spec = importlib.util.spec_from_file_location(f"_model_{script.stem}", script)
    if spec is None or spec.loader is None:
        raise ImportError(f"{script} is not a Python script")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return SIMULATORS.prepare(getattr(module, function)(), directory)


if __name__ == "__main__":
    main()
