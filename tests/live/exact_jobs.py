"""What workers do with instrumented networks. Each function is one process."""

from __future__ import annotations

import os
import sys
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
from numpy.typing import NDArray

import ann_ckpt
import ann_ckpt.annarchy
import ann_ckpt.testing
from ann_ckpt.adapters.annarchy import instrument
from ann_ckpt.adapters.simulators import simulator_for
from tests.live.exact_networks import NETWORKS
from tests.live.lab import Lab

STEPS = 60
"""Simulated before saving."""
MORE = 50
"""Simulated after it."""


def opened(network: str, seed: int = 1) -> Lab:
    """Return an instrumented network; the library is built by the first who asks."""
    lab = NETWORKS[network](seed)
    with ann_ckpt.annarchy.instrument():
        lab.compile(Path(os.environ["LIVE_COMPILED"]) / f"exact-{network}")
    return lab


def disturb(lab: Lab, network: str) -> None:
    """Leave no flag and no schedule where a new network has it."""
    if network == "rate":
        lab.find("idle").disable()
        lab.find("learning").enable_learning(period=2.0, offset=0.5)
        lab.find("oja").disable_learning()
    if network == "spike":
        # Longer than any delay, as after delays that have become shorter again.
        lab.find("ring").cyInstance.update_max_delay(8)
    if network == "inputs":
        lab.find("filter").weights = 1.5 * lab.find("filter").weights
        lab.find("pooling").transmission = False
        lab.find("correlated").rates = 400.0
        lab.find("times").spike_times = [[40.0, 65.0], [62.0, 80.0, 100.0]]
        for extension in lab.network.get_extensions():
            extension.start()
    if network == "growing":
        instance = lab.find("growing").cyInstance
        for what, period in (("pruning", 3), ("creating", 2)):
            setattr(instance, f"_{what}", True)
            setattr(instance, f"_{what}_period", period)
            setattr(instance, f"_{what}_offset", 7)


def go_on(lab: Lab, network: str) -> None:
    """Run on as a script does: what it sets depends on what ANNarchy's own objects remember."""
    if network == "inputs":
        lab.find("correlated").corr = 0.6
    lab.simulate(MORE // 2)
    if network == "inputs":
        lab.find("times").reset()
    lab.simulate(MORE - MORE // 2)


def record(network: str, saved: str, ended: str) -> dict[str, Any]:
    """Run, save, run on, save: the uninterrupted network. Answers what was on its way at the save."""
    lab = opened(network)
    disturb(lab, network)
    lab.simulate(STEPS)
    report = ann_ckpt.save(saved, network=lab.network)
    lab.network.default_rng.random(3)
    go_on(lab, network)
    ann_ckpt.save(ended, network=lab.network)
    start_again(lab, network, f"{ended}.again.h5")
    return report.to_dict()


def start_again(lab: Lab, network: str, again: str) -> None:
    """Reset the network as a script does between two trials, simulate, and save."""
    if network == "inputs":
        lab.network.reset()
        lab.simulate(STEPS)
        ann_ckpt.save(again, network=lab.network)


def resume(network: str, saved: str, loaded: str, ended: str, lists: bool = False) -> dict[str, Any]:
    """Load into a network with other random synapses, save at once, run on, save.

    With ``lists``, rebuild them as in a network without the binding for it.
    """
    lab = opened(network, seed=2)
    if lists:
        for projection in lab.network.get_projections():
            del type(projection.cyInstance)._ann_ckpt_rebuild
    report = ann_ckpt.load(saved, network=lab.network)
    ann_ckpt.save(loaded, network=lab.network)
    lab.network.default_rng.random(3)
    go_on(lab, network)
    ann_ckpt.save(ended, network=lab.network)
    start_again(lab, network, f"{ended}.again.h5")
    return report.to_dict()


def refused(network: str, saved: str, changed: str, owner: str) -> dict[str, Any]:
    """Load a file in which one ``python.*`` array is not such as the population has: each array, each kind.

    Answers what was said, and what has changed nevertheless.
    """
    lab = opened(network, seed=2)
    simulator = simulator_for(lab.network)
    stored = ann_ckpt.read(saved)
    population = stored.populations[owner]
    answers = {}
    for name in [name for name in population.dynamics if name.startswith("python.")]:
        for kind, values in _unfit(np.asarray(population.dynamics[name])).items():
            other = replace(population, dynamics={**population.dynamics, name: values})
            state = replace(stored, populations={**stored.populations, owner: other})
            ann_ckpt.write(state, changed)
            before = ann_ckpt.testing.captured(simulator.read().state)
            kept = {k: repr(v) for k, v in vars(lab.find(owner)).items()}
            try:
                ann_ckpt.load(changed, network=lab.network)
                said = []
            except ann_ckpt.errors.MismatchError as error:
                said = [str(problem) for problem in error.report.problems]
            now = {k: repr(v) for k, v in vars(lab.find(owner)).items()}
            moved = list(ann_ckpt.differences(before, simulator.read().state))
            answers[f"{name}, {kind}"] = {
                "said": said,
                "moved": moved + [k for k in now if now[k] != kept[k]],
            }
    return answers


def _unfit(values: NDArray[Any]) -> dict[str, NDArray[Any]]:
    """Return the same in kinds that the Python object does not have."""
    return {
        "one axis more": values[np.newaxis],
        "two values more": np.concatenate([values.ravel(), [1.0, 2.0]]),
        "nothing": np.zeros(0),
        "integers": values.astype(np.int64),
    }


def barrier(instrumented: bool, saved: str, ended: str) -> list[str]:
    """Run the noisy network, save with a barrier, run on; answer what the compilation warned of."""
    lab, warned = _noisy(1, instrumented=instrumented)
    lab.simulate(STEPS)
    ann_ckpt.save(saved, network=lab.network, barrier=True)
    lab.simulate(MORE)
    ann_ckpt.save(ended, network=lab.network)
    return warned


def resume_plain(saved: str, ended: str) -> dict[str, Any]:
    """Load what :func:`barrier` saved into a network without the instrumentation, and run on."""
    lab, _ = _noisy(2, instrumented=False)
    report = ann_ckpt.load(saved, network=lab.network)
    lab.simulate(MORE)
    ann_ckpt.save(ended, network=lab.network)
    return report.to_dict()


def unbuildable(saved: str) -> dict[str, Any]:
    """Compile with bindings that the C++ compiler refuses; answer what was said and where we stand."""
    instrument._helpers = lambda: '#error "not this one"\n'
    lab = NETWORKS["noisy"](1)
    here = Path.cwd()
    with (
        warnings.catch_warnings(record=True) as caught,
        mock.patch.object(sys, "argv", ["lab"]),
    ):
        warnings.simplefilter("always", ann_ckpt.annarchy.InstrumentationWarning)
        ann_ckpt.annarchy.compile(
            lab.network,
            directory=str(Path(os.environ["LIVE_COMPILED"]) / "unbuildable"),
            compiler_flags="-O0",
            silent=True,
        )
    lab.simulate(STEPS)
    ann_ckpt.save(saved, network=lab.network)
    kind = ann_ckpt.annarchy.InstrumentationWarning
    return {
        "warned": [str(w.message) for w in caught if issubclass(w.category, kind)],
        "moved": Path.cwd() != here,
    }


def _noisy(seed: int, *, instrumented: bool) -> tuple[Lab, list[str]]:
    """Return the noisy network, instrumented or under an instrumentation that does not fit."""
    if not instrumented:
        from ANNarchy.generator.NanoBind import Generator

        Generator.basetemplate = Generator.basetemplate.replace("NB_MODULE(", "NB_MODULE( ")
    lab = NETWORKS["noisy"](seed)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ann_ckpt.annarchy.InstrumentationWarning)
        with ann_ckpt.annarchy.instrument():
            lab.compile(Path(os.environ["LIVE_COMPILED"]) / f"noisy-{instrumented}")
    kind = ann_ckpt.annarchy.InstrumentationWarning
    return lab, [str(w.message) for w in caught if issubclass(w.category, kind)]
