"""Runs of ``verify-resume`` in which something goes wrong on purpose, over networks that are built once.

Each run of a check is a child of a process that has built its network, instead of a new process that would
build it again. ANNarchy 5.0 only.
"""

from __future__ import annotations

import json
import os
import re
import sys
import tempfile
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from ann_ckpt.adapters.annarchy import classes, internal_state
from ann_ckpt.adapters.annarchy.rng import DEFAULT, TWISTERS
from ann_ckpt.adapters.annarchy.simulator import AnnarchySimulator
from ann_ckpt.adapters.simulators import simulator_for
from ann_ckpt.errors import CheckpointError, SimulatorError
from ann_ckpt.model import NetworkState
from ann_ckpt.resume import run, verify
from ann_ckpt.selection import Selection
from tests.live.exact_jobs import MORE, STEPS, disturb, opened
from tests.live.lab import Lab

_NETWORK = ""
_LAB: Lab

MODEL = """
from tests.live import left_out_jobs

def build(**wrong):
    return left_out_jobs.going_wrong(**wrong)
"""


def members() -> list[str]:
    """Return the patterns of all that the adapter knows to be carried, each for one name."""
    known = [*classes._POPULATIONS.values(), *classes._PROJECTIONS.values()]
    patterns = [*internal_state.POPULATION.carried, *internal_state.PROJECTION.carried, TWISTERS, DEFAULT]
    patterns += [name for one in known for name in one.members]
    patterns += [f"python.{name}" for one in known for name in one.python]
    return sorted({alternative for pattern in patterns for alternative in _alternatives(pattern)})


def _alternatives(pattern: str) -> list[str]:
    """Return the patterns that one with ``|`` stands for."""
    found = []
    for part in re.split(r"\|(?![^(]*\))", pattern):
        choice = re.search(r"\((?!\?)([^()]*)\)", part)
        if choice is None:
            found.append(part)
        else:
            ends = part[: choice.start()], part[choice.end() :]
            found += [f"{ends[0]}{one}{ends[1]}" for one in choice[1].split("|")]
    return found


def going_wrong(disturbed: bool = False, left_out: str = "", changed: str = "") -> Any:
    """Return the network of this process: as it is saved, or as it is loaded without a member, or changed."""
    if disturbed:
        disturb(_LAB, _NETWORK)
    if left_out:
        _elsewhere(left_out)
        _leave_out(left_out)
    if changed:
        _after_loading(lambda: MUTATIONS[_NETWORK][changed][1](_LAB))
    return _LAB.network


def _elsewhere(name: str) -> None:
    """Give a member other values than the saved network may share with a new one, where that is safe."""
    simulator = simulator_for(_LAB.network)
    state = simulator.read().state
    _LAB.network.default_rng.random(3)
    for owner in (*state.populations.values(), *state.projections.values()):
        values = np.array(owner.dynamics.get(name, 0))
        text = bytes(values).decode().split() if values.dtype == np.uint8 else []
        if values.dtype == bool:
            values = ~values
        elif values.dtype.kind == "f":
            values = values + 0.25
        elif len(text) > 2:
            values = np.frombuffer(_KEPT, np.uint8)
        elif name == "_mean_fr_window":
            values = values + (values > 0).astype(values.dtype)
        elif (values.shape == () and name not in _DANGEROUS) or name in ("_schedule", "refractory"):
            values = values + 1
        else:
            continue
        if name in owner.dynamics:
            simulator.set_dynamics(owner, {**owner.dynamics, name: values})


_DANGEROUS = ("idx_delay", "max_delay", "_block")
"""The generated code takes them as they are."""
_KEPT = b"0 1 1 0.5"
"""A normal distribution that keeps a number for the next draw."""


def _leave_out(name: str) -> None:
    """Let a load keep what the network has under a name, wherever that is."""
    original = AnnarchySimulator.set_dynamics

    def set_dynamics(self: AnnarchySimulator, stored: Any, dynamics: Any) -> None:
        if isinstance(stored, NetworkState):
            here = self.read(Selection(populations=False, projections=False)).state.dynamics
        else:
            here = self._live(stored).state().dynamics
        kept = {n: np.array(here[n]) for n in dynamics if n.removesuffix(".sizes") == name}
        if name == "_delayed_spikes" and kept:  # as long as it has to be, with nothing on its way
            kept = {name: kept[name][:0], f"{name}.sizes": np.zeros_like(dynamics[f"{name}.sizes"])}
        original(self, stored, {**dynamics, **kept})

    AnnarchySimulator.set_dynamics = set_dynamics


def _after_loading(change: Callable[[], None]) -> None:
    original = run._Model.load

    def load(self: run._Model, path: str) -> Any:
        report = original(self, path)
        change()
        return report

    run._Model.load = load


# --- what goes wrong after loading ---------------------------------------------------------


def _carried(owner: str, name: str) -> Callable[[Lab], None]:
    """Change a member that Python does not show: another number in it, or none."""

    def change(lab: Lab) -> None:
        simulator = simulator_for(lab.network)
        state = simulator.read().state
        group, _, rest = owner.partition("/")
        stored = getattr(state, group)[rest] if rest else state
        dynamics = {n: np.array(a) for n, a in stored.dynamics.items()}
        values = dynamics[name]
        if values.dtype == bool:
            values = ~values
        elif values.dtype.kind == "f":
            values = values + 0.25
        else:
            values = values + 1
        simulator.set_dynamics(stored, {**dynamics, name: values})

    return change


def _set(owner: str, name: str, value: Any) -> Callable[[Lab], None]:
    return lambda lab: setattr(lab.find(owner), name, value)


def _private(owner: str, name: str, value: Any) -> Callable[[Lab], None]:
    return lambda lab: setattr(lab.find(owner).cyInstance, name, value)


def _grow(lab: Lab) -> None:
    """Add a synapse where there is none."""
    projection = lab.find("growing")
    dendrite = next(d for d in projection if len(d.pre_ranks) < projection.pre.size)
    rank = next(r for r in range(projection.pre.size) if r not in dendrite.pre_ranks)
    dendrite.create_synapse(rank, 0.3)


Mutations = dict[str, tuple[str, Callable[[Lab], None]]]
MUTATIONS: dict[str, Mutations] = {
    "inputs": {
        "a filter": ("projections/filter", _set("filter", "weights", np.ones((3, 3)))),
        "a bank of filters": ("projections/filters", _carried("projections/filters", "w")),
        "the flag of a pooling": ("projections/pooling", _set("pooling", "transmission", True)),
        "the rates in a window": ("projections/window", _carried("projections/window", "rates_history")),
        "the rate of correlated trains": ("populations/correlated", _set("correlated", "rates", 77.0)),
        "the clock of correlated trains": (
            "populations/correlated",
            _carried("populations/correlated", "_t"),
        ),
        "the times of spikes": ("populations/times", _set("times", "spike_times", [[75.0], [99.0]])),
        "the clock of a timed array": ("populations/steps", _carried("populations/steps", "_t")),
        "the rates of a timed array": ("populations/steps", _carried("populations/steps", "_buffer")),
        "the number a distribution keeps": (
            "projections/jitter",
            lambda lab: simulator_for(lab.network).set_dynamics(
                simulator_for(lab.network).read().state.projections["jitter"],
                {"dist_rand_0": np.frombuffer(_KEPT, np.uint8)},
            ),
        ),
        "a delayed rate": ("populations/image", _carried("populations/image", "_delayed_r")),
        "a mean": ("populations/image", _carried("populations/image", "_mean_r")),
        "whether it is enabled": ("populations/bank", lambda lab: lab.find("bank").disable()),
        "when it learns": ("projections/drive", _private("drive", "_update_period", 3)),
        "a baseline": ("projections/proj6", _carried("projections/proj6", "baseline_mean")),
        "numpy's generator": ("dynamics", lambda lab: lab.network.default_rng.random(1)),
    },
    "spike": {
        "a spike on its way": ("projections/ring", _carried("projections/ring", "idx_delay")),
        "the last event of a synapse": ("projections/ring", _carried("projections/ring", "_last_event")),
        "a last spike": ("populations/excitatory", _carried("populations/excitatory", "last_spike")),
        "a countdown": ("populations/tired", _carried("populations/tired", "refractory_remaining")),
        "a weight": ("projections/short", _set("short", "w", 0.7)),
        "the rates of timed inputs": ("populations/timed", _carried("populations/timed", "_buffer")),
        "the rate of a poisson population": ("populations/poisson", _set("poisson", "rates", 10.0)),
        "the generator": ("dynamics", lambda lab: simulator_for(lab.network).reseed(5)),
    },
    "growing": {
        "when synapses go": ("projections/growing", _private("growing", "_pruning_period", 4)),
        "whether synapses come": ("projections/growing", _private("growing", "_creating", False)),
        "a synapse": ("projections/growing", _grow),
        "a constant": ("constants", lambda lab: lab.network.get_constants()[0].set(0.75)),
    },
}


# --- runs ----------------------------------------------------------------------------------


def cases(network: str) -> dict[str, list[str]]:
    """Return what can be left out of a network, and what can be changed in it."""
    _open(network)
    state = simulator_for(_LAB.network).read().state
    owners = [state, *state.populations.values(), *state.projections.values()]
    names = {name.removesuffix(".sizes") for owner in owners for name in owner.dynamics}
    return {"left out": sorted(names), "changed": list(MUTATIONS[network])}


def checked(network: str, left_out: list[str] | None, changed: list[str] | None) -> dict[str, Any]:
    """Check a network whole, then each time with one thing left out or changed; answer what was named.

    None stands for all that there is.
    """
    there = cases(network)
    left = [name for name in there["left out"] if left_out is None or name in left_out]
    other = [what for what in there["changed"] if changed is None or what in changed]
    step = float(simulator_for(_LAB.network).read().state.dt or 1.0)
    with tempfile.TemporaryDirectory() as place:
        script = Path(place) / "model.py"
        script.write_text(MODEL)
        verify._run = _forked

        def named(**wrong: str) -> dict[str, Any]:
            try:
                report = verify.verify_resume(
                    f"{script}:build", at=STEPS * step, duration=MORE * step, directory=place,
                    arguments={"disturbed": True}, other={"disturbed": False, **wrong},
                )  # fmt: skip
            except SimulatorError as error:  # the load is refused
                return {"ok": False, "named": [], "said": str(error)}
            found = sorted({note.path for note in (*report.lost, *report.differing)})
            return {"ok": report.ok, "named": found, "said": report.headline()}

        return {
            "nothing": named(),
            "left out": {name: named(left_out=name) for name in left},
            "changed": {what: named(changed=what) for what in other},
            "of": {name: owner for name, (owner, _) in MUTATIONS[network].items()},
            "members": members(),
        }


def _open(network: str) -> None:
    global _LAB, _NETWORK
    if network != _NETWORK:
        _LAB, _NETWORK = opened(network), network


_REFUSED = 3
"""Status of a child whose load was refused, or whose save."""


def _forked(kind: str, folder: Path, arguments: dict[str, Any]) -> Any:
    """Do in a child what is otherwise done in a new process; what nothing went wrong in only once."""
    answer = folder / f"{kind}.json"
    if kind in ("through", "interrupted") and answer.exists():
        return json.loads(answer.read_text())
    child = os.fork()
    if child == 0:
        status = 1
        try:
            answer.write_text(json.dumps(run._RUNS[kind](run._Model(arguments), arguments)))
            status = 0
        except CheckpointError as error:
            status = _REFUSED
            answer.with_suffix(".txt").write_text(str(error))
        except BaseException:  # noqa: BLE001  (the parent sees the status)
            traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(status)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if status == _REFUSED:
        raise SimulatorError(answer.with_suffix(".txt").read_text())
    assert status == 0, f"the {kind} run ended with {status}: {arguments}"
    return json.loads(answer.read_text())
