"""What workers do with monitors: record, save, load elsewhere, be killed, go on. ANNarchy 5.0 only."""

from __future__ import annotations

import os
import random
import signal
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import ANNarchy as ann
import numpy as np

import ann_ckpt
import ann_ckpt.annarchy
from ann_ckpt import CheckpointStore, NetworkState
from ann_ckpt.adapters.simulators import simulator_for
from ann_ckpt.testing import captured
from tests.live.exact_jobs import disturb, opened
from tests.live.exact_networks import TIRED, stdp
from tests.live.jobs import opened as plain
from tests.live.lab import Lab, connect

STEPS, MORE = 60, 50
PERIOD = 5.0
"""Milliseconds between two checkpoints of a run that is killed."""
LENGTH = 300.0
"""Milliseconds of the whole run."""

BUMPY = {
    "parameters": "tau = 10.0 : population",
    "equations": """
        noise = Normal(0.0, 0.1)
        tau * dr/dt = -r + sum(exc) + noise
        seen = r > 0.0 : bool
        top = max(r) : population
    """,
}
SLOW = {
    "parameters": "eta = 0.01 : projection",
    "equations": """
        dw/dt = eta * (pre.r * post.r - w)
        trace = 0.9 * trace + post.r : postsynaptic
        clock = clock + 1.0 : projection
    """,
}


def built(seed: int = 1) -> Lab:
    """Return a compiled network: spikes and rates, variables of every locality."""
    lab = Lab(dt=1.0, seed=seed)
    cells = lab.population("cells", (4, 5), ann.Izhikevich)
    tired = lab.population("tired", 8, ann.Neuron(**TIRED))
    rates = lab.population("rates", 6, ann.Neuron(**BUMPY))
    cells.i_offset = np.linspace(6.0, 14.0, 20).reshape(4, 5)
    tired.I = lab.uniform(3.5, 8.0)
    weights = {"weights": lab.uniform(0.0, 0.5)}
    connect(lab.projection("learn", cells, tired, "exc", stdp()), "fixed_probability", 0.5, **weights)
    connect(
        lab.projection("slow", rates, rates, "exc", ann.Synapse(**SLOW)), "fixed_probability", 0.7, **weights
    )
    with ann_ckpt.annarchy.instrument():
        lab.compile(Path(os.environ["LIVE_COMPILED"]) / "recorded")
    return lab


def monitored(lab: Lab, **changes: Any) -> list[Any]:
    """Return monitors of all that a monitor takes; the first one as ``changes`` say."""
    net = lab.network
    first = {"variables": ["spike", "v"], **changes}
    return [
        net.monitor(lab.find("cells"), first.pop("variables"), **first),
        net.monitor(lab.find("cells")[1:3, 2], ["spike", "u"], period=3.0, period_offset=1.0),
        net.monitor(lab.find("rates"), ["r", "sum(exc)", "seen"], start=False),
        net.monitor(lab.find("rates"), ["top"], period=2.0, name="tops"),
        net.monitor(lab.find("learn"), ["w"], period=7.0),
        net.monitor(lab.find("learn").dendrite(0), ["w"], period=5.0, name="one"),
        net.monitor(lab.find("slow"), ["trace", "clock"], period=4.0, period_offset=2.0, name="slow"),
        net.monitor(lab.find("tired"), ["spike", "g_exc"], name="tired"),
    ]


def held(lab: Lab) -> dict[str, ann_ckpt.Recording]:
    return dict(simulator_for(lab.network).recordings()[0])


def alike(some: dict[str, ann_ckpt.Recording], others: dict[str, ann_ckpt.Recording]) -> list[str]:
    return list(ann_ckpt.differences(NetworkState(recordings=some), NetworkState(recordings=others)))


def got(monitors: list[Any]) -> str:
    """What ``get()`` gives and ``times()`` says then, in full."""
    answers = [(monitor.get(reshape=False), monitor.times()) for monitor in monitors]
    with np.printoptions(threshold=sys.maxsize, floatmode="unique"):
        return repr(answers)


def whole(saved: str, ended: str) -> dict[str, Any]:
    """Run with what a script does to monitors on the way, save, run on, save: the uninterrupted run."""
    lab = built()
    monitors = monitored(lab)
    lab.simulate(20)
    monitors[2].start()
    late = lab.network.monitor(lab.find("rates"), ["r"], period=6.0, name="late")
    lab.simulate(20)
    monitors[0].pause()
    monitors[7].get()  # what it held is the script's from now on
    lab.simulate(10)
    monitors[0].resume()
    monitors[3].pause()
    lab.simulate(STEPS - 50)
    before = held(lab)
    before = {n: r.in_memory() for n, r in before.items()}
    report = ann_ckpt.save(saved, network=lab.network, monitors=True)
    emptied = alike(before, held(lab))
    lab.simulate(MORE)
    ann_ckpt.save(ended, network=lab.network, monitors=True)
    return {"report": report.to_dict(), "emptied": emptied, "got": got([*monitors, late])}


def resumed(saved: str, ended: str) -> dict[str, Any]:
    """Load into a network that has run, with monitors that have recorded, run on, save."""
    lab = built(seed=2)
    monitors = monitored(lab)
    lab.simulate(13)
    late = lab.network.monitor(lab.find("rates"), ["r"], period=6.0, name="late")
    lab.simulate(4)
    report = ann_ckpt.load(saved, network=lab.network, monitors=True)
    now = {name: recording.in_memory() for name, recording in held(lab).items()}
    lab.simulate(MORE)
    ann_ckpt.save(ended, network=lab.network, monitors=True)
    stored = dict(ann_ckpt.read(saved).recordings)
    return {"report": report.to_dict(), "now": alike(now, stored), "got": got([*monitors, late])}


def refused(saved: str) -> dict[str, list[str]]:
    """Load into networks whose first monitor is another one; answer the problems, and what changed."""
    answers = {}
    for name, changes in {
        "variables": {"variables": ["spike"]},
        "period": {"period": 2.0},
        "offset": {"period": 3.0, "period_offset": 2.0},
        "name": {"name": "another"},
    }.items():
        lab = built(seed=2)
        monitored(lab, **changes)
        lab.network.monitor(lab.find("rates"), ["r"], period=6.0, name="late")
        answers[name] = _refused(lab, saved)
    lab = built(seed=2)
    monitored(lab)
    for name, path in _changed(saved).items():
        answers[name] = _refused(lab, path)
    return answers


def _refused(lab: Lab, path: str) -> list[str]:
    lab.simulate(3)
    before = captured(simulator_for(lab.network).read().state)
    recorded = {name: recording.in_memory() for name, recording in held(lab).items()}
    try:
        ann_ckpt.load(path, network=lab.network, monitors=True)
        said = ["loaded"]
    except ann_ckpt.errors.MismatchError as error:
        said = [str(problem) for problem in error.report.problems if "late" not in problem.path]
    moved = list(ann_ckpt.differences(before, captured(simulator_for(lab.network).read().state)))
    return [*said, *(f"changed: {path}" for path in moved + alike(recorded, held(lab)))]


def _changed(saved: str) -> dict[str, str]:
    """Files in which a recording is none that the monitor can hold."""
    state = ann_ckpt.read(saved)
    cells, learn = state.recordings["Monitor_cells"], state.recordings["Monitor_learn"]
    spike, v, w = cells["spike"], cells["v"], learn["w"]
    n = len(spike)
    others = {
        "ranks": (cells, "spike", replace(spike, ranks=np.full(n, 20, np.int32))),
        "seconds": (cells, "spike", replace(spike, times=np.asarray(spike.times) / 1000)),
        "no events": (cells, "spike", ann_ckpt.Series(values=np.zeros(3))),
        "type": (cells, "v", replace(v, values=np.asarray(v.values, np.float32))),
        "shape": (cells, "v", replace(v, values=np.asarray(v.values).reshape(-1, 20))),
        "no samples": (cells, "v", spike),
        "synapses": (learn, "w", replace(w, values=np.asarray(w.values)[:, 1:])),
        "sizes": ({**learn.carried, "sizes": [1]}, learn, None),
        "carried": ({}, cells, None),
        "intervals": ({**cells.carried, "recorded": {"spike": 3, "v": 4}}, cells, None),
    }
    paths = {}
    for name, (one, two, three) in others.items():
        if three is None:
            changed = replace(two, carried=one)
        else:
            changed = replace(one, series={**one.series, two: three})
        paths[name] = f"{saved}-{name.replace(' ', '-')}.h5"
        recordings = {**state.recordings, changed.name: changed}
        ann_ckpt.write(replace(state, recordings=recordings), paths[name])
    return paths


def without_bindings(path: str) -> list[str]:
    """Ask for monitors of a network that was compiled as usual; answer what is said and what is there."""
    lab = plain("rate")
    said = []
    ann_ckpt.save(path, network=lab.network, monitors=True)  # there are none
    lab.monitor(lab.find("source"), ["r"])
    for call in (ann_ckpt.save, ann_ckpt.load):
        try:
            call(path, network=lab.network, monitors=True)
        except ann_ckpt.errors.SimulatorError as error:
            said.append(str(error))
    return said


def jumped(saved: str, path: str) -> dict[str, Any]:
    """Load without monitors into networks that record: to a later step, and to an earlier one."""
    lab = built(seed=2)
    monitor = lab.network.monitor(lab.find("cells"), ["spike", "v"])
    lab.simulate(10)
    ann_ckpt.load(saved, network=lab.network)
    lab.simulate(10)
    later = {variable: np.asarray(s.times).tolist() for variable, s in held(lab)["Monitor_cells"].items()}
    lab.simulate(30)
    ann_ckpt.load(saved, network=lab.network)
    lab.simulate(30)
    report = ann_ckpt.save(path, network=lab.network, monitors=True)
    recording = ann_ckpt.read(path).recordings["Monitor_cells"]
    return {
        "later": later,
        "skipped": [str(note) for note in report.skipped],
        "earlier": {variable: s.times is None for variable, s in recording.items()},
        "records": len(monitor.get("v")),
    }


def single(saved: str, ended: str, resumes: bool) -> str:
    """Run in single precision on two threads, save half-way and run on; or load that and run on."""
    lab = opened("threads", seed=1 + resumes)
    net = lab.network
    monitors = [
        net.monitor(lab.find("sink"), ["r", "sum(exc)", "common"], name="sink"),
        net.monitor(lab.find("one"), ["spike", "v"]),
        net.monitor(lab.find("each"), ["w"], period=7.0),
    ]
    if resumes:
        lab.simulate(3)
        ann_ckpt.load(saved, network=net, monitors=True)
    else:
        lab.simulate(STEPS)
        ann_ckpt.save(saved, network=net, monitors=True)
    lab.simulate(MORE)
    ann_ckpt.save(ended, network=net, monitors=True)
    return got(monitors)


def grown(path: str) -> dict[str, list[str]]:
    """Save a monitor of synapses whose number changed meanwhile."""
    lab = opened("growing")
    disturb(lab, "growing")
    lab.network.monitor(lab.find("growing"), ["age"], period=5.0)
    lab.simulate(60)
    report = ann_ckpt.save(path, network=lab.network, monitors=True)
    return {
        "skipped": [str(note) for note in report.skipped],
        "kept": list(ann_ckpt.read(path).recordings["Monitor_growing"]),
    }


# --- kills ---------------------------------------------------------------------------------


def _run(lab: Lab, path: str, begun: int) -> None:
    """Begin or go on with a run that saves as it goes, to its end."""
    with CheckpointStore(path, "a", monitors=True) as store:
        store.resume(lab.network)
        os.write(begun, b"!")
        with store.every(PERIOD, network=lab.network):
            lab.network.simulate(LENGTH - (store.saved_step or 0))


def straight(path: str, ended: str) -> None:
    """Run without interruption."""
    lab = built()
    monitored(lab)
    lab.network.simulate(LENGTH)
    ann_ckpt.save(ended, network=lab.network, monitors=True)


def killed(folder: str, kills: int, seed: int) -> dict[str, Any]:
    """Kill runs at random moments until there were so many kills, and let the last run come to its end.

    Answers the stores, each of a run that was finished, and the steps that the resumed ones began at.
    """
    lab = built()
    monitored(lab)
    rng = random.Random(seed)
    stores: list[str] = []
    done, finished, resumed_at = 0, True, []
    while done < kills or not finished:
        if finished:
            stores.append(f"{folder}/{len(stores)}.ckpt")
            finished = False
        if Path(stores[-1]).exists():
            with CheckpointStore(stores[-1]) as store:
                resumed_at.append(store.checkpoints[-1].time_step if len(store) else 0)
        status = _killed_once(lab, stores[-1], rng.uniform(0.0, 0.6) if done < kills else None)
        done += status == -signal.SIGKILL
        finished = status == 0
        assert status in (0, -signal.SIGKILL), status
    return {"stores": stores, "kills": done, "resumed_at": resumed_at}


def _killed_once(lab: Lab, path: str, seconds: float | None) -> int:
    """Run in a child that is killed so many seconds after it resumed; answer how it ended.

    The network has been built, and nothing else: the child has it as a new process would.
    """
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            os.close(reading)
            _run(lab, path, writing)
            status = 0
        finally:
            os._exit(status)
    os.close(writing)
    with os.fdopen(reading, "rb") as begun:
        begun.read(1)
    if seconds is not None:
        time.sleep(seconds)
        os.kill(child, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
