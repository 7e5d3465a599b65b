"""One run of a model, in a process of its own: ``python -m ann_ckpt.resume.run KIND ARGUMENTS ANSWER``."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import sys
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from ann_ckpt.adapters.protocol import Records
from ann_ckpt.adapters.simulators import SIMULATORS
from ann_ckpt.api import load, save
from ann_ckpt.api import open as open_checkpoint
from ann_ckpt.errors import CheckpointError, MismatchError, ObjectNotFoundError, OptionError, SimulatorError
from ann_ckpt.model import NetworkState, PopulationState, ProjectionState
from ann_ckpt.report import LoadReport

_MOST_STEPS = 1000
"""How far a difference is looked for step by step."""
_DIGITS = 9
"""Of times in ms, whose differences are no whole steps else, and ANNarchy rounds up."""

__all__ = [
    "main",
]


def main() -> None:
    """Execute one run as the command line describes, and write its result as JSON."""
    kind, arguments, answer = sys.argv[1:]
    # Simulators look at the command line too, and this one is not for them.
    del sys.argv[1:]
    given = json.loads(arguments)
    try:
        answered = _RUNS[kind](_Model(given), given)
    except CheckpointError as error:
        sys.exit(str(error))
    except Exception as error:  # noqa: BLE001  (whatever the script raises)
        sys.exit(_traceback(error))
    Path(answer).write_text(json.dumps(answered))


def _traceback(error: Exception) -> str:
    """Return a traceback that begins where our own calls end."""
    whole = traceback.TracebackException.from_exception(error)
    ours = [i for i, frame in enumerate(whole.stack) if frame.filename == __file__]
    whole.stack = traceback.StackSummary.from_list(list(whole.stack)[ours[-1] + 1 :] or list(whole.stack))
    return "".join(whole.format())


def _named(module: ModuleType, name: str) -> Any:
    """Return what a script calls so."""
    present = [n for n in vars(module) if not n.startswith("_")]
    if not hasattr(module, name):
        raise ObjectNotFoundError.among("the script", "function", name, present, label="has")
    return getattr(module, name)


class _Model:
    """The network of a script, and what takes it forward: simulated time, or calls of a function."""

    def __init__(self, given: dict[str, Any]) -> None:
        module = _module(Path(given["script"]))
        made = _named(module, given["function"])
        network = made(**given["arguments"]) if callable(made) else made
        self.network: Any = SIMULATORS.prepare(network, given["directory"])
        self._run = _named(module, given["run"]) if given["run"] else None
        self._unrecorded: dict[str, str] = {}

    @property
    def answer(self) -> dict[str, Any]:
        """What is said of recordings: whether they can be compared, and if not, why."""
        notes = [{"path": path, "text": f"not compared: {why}"} for path, why in self._unrecorded.items()]
        return {"notes": notes, "recorded": not notes}

    def save(self, path: str, *, barrier: bool = False) -> None:
        """Save the network, with what its monitors recorded where that can be read."""
        save(path, network=self.network, barrier=barrier, monitors=self._is_recording())

    def load(self, path: str) -> LoadReport:
        """Load a file; monitors go on from what it has, if they can."""
        with open_checkpoint(path) as stored:
            recorded = bool(stored.recordings)
        if self._is_recording() or recorded:
            try:
                return load(path, network=self.network, monitors=True)
            except MismatchError as error:
                problems = error.report.problems
                if any(note.path.partition("/")[0] != "recordings" for note in problems):
                    raise
                # A script that makes its monitors later, say: it does not go on with these ones.
                self._unrecorded |= {note.path: note.text for note in problems}
        return load(path, network=self.network)

    def _is_recording(self) -> bool:
        """Whether there are monitors, and what they hold can be read and set."""
        simulator = SIMULATORS.find(self.network)
        if self._unrecorded or not isinstance(simulator, Records):
            return False
        try:
            recordings, _ = simulator.recordings()
        except SimulatorError as error:
            self._unrecorded["recordings"] = error.fact
            return False
        return bool(recordings)

    def go_on(self, amount: float) -> None:
        """Simulate for so many ms, or make so many calls."""
        if self._run is None:
            self.network.simulate(amount)
            return
        for _ in range(round(amount)):
            self._run(self.network)

    def meet(self, given: dict[str, Any], act: Callable[[], Any], amount: float, *, skip: bool) -> Any:
        """Act at the time of the save, then go on; return what ``act`` does.

        Between two calls that is now. Inside one, it is during the next call: with ``skip``, what
        that simulates before is left out, as it was simulated by the process that saved.
        """
        if given["inside"] is None:
            done = act()
            self.go_on(amount)
            return done
        left, simulate = given["inside"], self.network.simulate
        answers: list[Any] = []

        def counted(duration: float, *more: Any, **options: Any) -> Any:
            nonlocal left
            if answers or duration < left:
                left = round(left - duration, _DIGITS)
                return None if skip and not answers else simulate(duration, *more, **options)
            if not skip:
                simulate(left, *more, **options)
            answers.append(act())
            rest = round(duration - left, _DIGITS)
            return simulate(rest, *more, **options) if rest else None

        self.network.simulate = counted
        try:
            self.go_on(1)
        finally:
            self.network.simulate = simulate
        if not answers:
            simulated = f"the call of {given['run']} simulated {given['inside'] - left:.10g} ms"
            raise OptionError(f"inside={given['inside']:.10g}: {simulated}")
        self.go_on(amount - 1)
        return answers[0]

    def digests(self) -> dict[str, str]:
        """Return a digest of everything that can be read, by path."""
        return {path: _digest(array) for path, array in _arrays(self.state())}

    def state(self) -> NetworkState:
        """Read the network."""
        return SIMULATORS.find(self.network).read().state

    def steps(self, given: dict[str, Any], act: Callable[[], Any]) -> Iterator[int]:
        """Act at the time of the save; yield 0, then the number of each step or call, up to a thousand."""
        amount = given["duration"]
        one = 1.0 if self._run is not None else self.state().dt or amount
        first = 0 if given["inside"] is None else 1
        self.meet(given, act, first, skip="watched" in given)
        yield first
        for step in range(first + 1, 1 + min(_MOST_STEPS, round(amount / one))):
            self.go_on(one)
            yield step


def _through(model: _Model, given: dict[str, Any]) -> dict[str, Any]:
    """Simulate to the end without looking at anything."""
    model.go_on(given["at"])

    def act() -> None:
        if given["barrier"]:
            save(f"{given['ended']}.barrier.h5", network=model.network, barrier=True)

    model.meet(given, act, given["duration"], skip=False)
    model.save(given["ended"])
    return model.answer


def _interrupted(model: _Model, given: dict[str, Any]) -> dict[str, Any]:
    """Save on the way, and go on."""
    model.go_on(given["at"])
    model.meet(
        given, lambda: model.save(given["saved"], barrier=given["barrier"]), given["duration"], skip=False
    )
    model.save(given["ended"])
    return model.answer


def _resumed(model: _Model, given: dict[str, Any]) -> dict[str, Any]:
    """Start from the file."""

    def act() -> LoadReport:
        report = model.load(given["saved"])
        model.save(given["loaded"])
        return report

    report = model.meet(given, act, given["duration"], skip=True)
    model.save(given["ended"])
    # That monitors were not asked for is no news.
    said = [note for note in report.to_dict()["notes"] if note["path"] != "recordings"]
    return model.answer | {"notes": [*said, *model.answer["notes"]]}


def _watched(model: _Model, given: dict[str, Any]) -> list[Any]:
    """Save on the way, and look at everything after each step."""
    model.go_on(given["at"])

    def act() -> None:
        model.save(given["ended"], barrier=given["barrier"])

    return [[step, model.digests()] for step in model.steps(given, act)]


def _compared(model: _Model, given: dict[str, Any]) -> list[Any]:
    """Start from the file, and return the first step after which something differs, and what does."""
    watched = dict(json.loads(Path(given["watched"]).read_text()))
    for step in model.steps(given, lambda: model.load(given["saved"])):
        there, here = watched[step], model.digests()
        differ = [p for p in {**there, **here} if there.get(p) != here.get(p)]
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
