"""What workers do. Each function is one process; arguments and answers are JSON."""

from __future__ import annotations

import inspect
import os
import tempfile
import traceback
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

import ann_ckpt
import ann_ckpt.testing
from ann_ckpt.adapters.protocol import Reading
from ann_ckpt.adapters.simulators import simulator_for
from ann_ckpt.testing import SimulatorSuite
from ann_ckpt.transfer import load_into
from tests.live.lab import Lab
from tests.live.networks import NETWORKS


def opened(network: str, seed: int = 1) -> Lab:
    """Return a compiled network; the library is built by the first who asks."""
    lab = NETWORKS[network](seed)
    lab.compile(Path(os.environ["LIVE_COMPILED"]) / network)
    return lab


def save(lab: Lab, path: str) -> ann_ckpt.reports.SaveReport:
    return ann_ckpt.save(path, network=lab.network)


def load(lab: Lab, path: str, **options: Any) -> ann_ckpt.reports.LoadReport:
    return ann_ckpt.load(path, network=lab.network, **options)


def until_quiet(lab: Lab, monitors: list[Any]) -> int:
    """Simulate on until no neuron spiked in the last step, and return the present step."""
    for _ in range(200):
        lab.simulate(1)
        now = simulator_for(lab.network).read(ann_ckpt.Selection(False, False)).state.time_step
        times = {t for monitor in monitors for spikes in monitor.get("spike").values() for t in spikes}
        if now - 1 not in times:
            return now
    raise AssertionError("a spike in every step")


def record(network: str, saved: str, ended: str, quiet: list[str]) -> dict[str, Any]:
    """Run, save, run on, save: the uninterrupted network."""
    lab = NETWORKS[network](1)
    monitors = [lab.monitor(lab.find(name), ["spike"]) for name in quiet]
    lab.compile(Path(os.environ["LIVE_COMPILED"]) / network)
    simulator = simulator_for(lab.network)
    for name in simulator.read().state.constants:
        simulator.set_constant(name, np.array(2.5))
    lab.simulate(60)
    if quiet:
        until_quiet(lab, monitors)
    report = save(lab, saved)
    lab.simulate(50)
    save(lab, ended)
    return report.to_dict()


def resume(network: str, saved: str, loaded: str, ended: str) -> dict[str, Any]:
    """Load into a network with other random synapses, save at once, run on, save."""
    lab = opened(network, seed=2)
    report = load(lab, saved)
    save(lab, loaded)
    lab.simulate(50)
    save(lab, ended)
    return report.to_dict()


def rewind(network: str, saved: str, ended: str) -> dict[str, Any]:
    """Load into a network that has run for longer than the saved one, and run on."""
    lab = opened(network, seed=2)
    lab.simulate(300)
    report = load(lab, saved)
    lab.simulate(50)
    save(lab, ended)
    return report.to_dict()


def conform(network: str) -> dict[str, str]:
    """Run the conformance suite: name of each test -> empty, or what went wrong."""
    lab = opened(network)
    lab.simulate(30)
    simulator = simulator_for(lab.network)
    results = {}
    for name, test in inspect.getmembers(SimulatorSuite(), inspect.ismethod):
        if not name.startswith("test_"):
            continue
        wants = inspect.signature(test).parameters
        with tempfile.TemporaryDirectory() as folder:
            try:
                test(simulator, **({"tmp_path": Path(folder)} if "tmp_path" in wants else {}))
                results[name] = ""
            except Exception:  # noqa: BLE001  whatever a test raises is its result
                results[name] = traceback.format_exc()
    return results


def refused(network: str, saved: str) -> list[str]:
    """Load strictly what does not fit; return the problems. Nothing may have changed."""
    lab = opened(network)
    lab.simulate(10)
    simulator = simulator_for(lab.network)
    before = ann_ckpt.testing.captured(simulator.read().state)
    try:
        load(lab, saved)
    except ann_ckpt.errors.MismatchError as error:
        after = ann_ckpt.testing.captured(simulator.read().state)
        assert not list(ann_ckpt.differences(before, after))
        return [str(problem) for problem in error.report.problems]
    raise AssertionError("a network that does not fit was loaded")


def lengthened(network: str, projection: str) -> list[int]:
    """Give a projection longer delays than it was compiled with; return what it then has."""
    lab = opened(network)
    simulator = simulator_for(lab.network)
    state = simulator.read().state.projections[projection]
    each = not isinstance(state.delays, int)
    wanted = 40 - np.arange(state.connectivity.n_synapses, dtype=np.int32) % 40 if each else 40
    assert simulator.refusal(replace(state, delays=wanted)) is None
    simulator.set_delays(projection, wanted)
    # Long enough that every place of a queue is looked at, and put in again after a rebuild.
    lab.simulate(100)
    now = simulator.read().state.projections[projection]
    simulator.connect(ann_ckpt.testing.rewired(now))
    lab.simulate(100)
    now = simulator.read().state.projections[projection].delays
    return [now] if isinstance(now, int) else np.asarray(now).tolist()


def refusals(network: str, projection: str) -> dict[str, str | None]:
    """Offer synapses and delays of every kind; return the answers. None must kill the process."""
    lab = opened(network)
    simulator = simulator_for(lab.network)
    state = simulator.read().state.projections[projection]
    rows = [state.connectivity.row(i).tolist() for i in range(state.connectivity.n_rows)]
    posts = state.connectivity.post_ranks.tolist()
    offers = {
        "same": (posts, rows),
        "fewer": (posts, [row[:1] for row in rows]),
        "an empty dendrite": (posts, [[], *rows[1:]]),
        "posts reversed": (posts[::-1], rows),
        "pres reversed": (posts, [row[::-1] for row in rows]),
        "twice": (posts, [[row[0], row[0]] for row in rows]),
        "nothing": ([], []),
        "one dendrite": (posts[1:2], rows[1:2]),
    }
    answers = {}
    for name, (post, pre) in offers.items():
        row_ptr = np.cumsum([0, *(len(row) for row in pre)])
        flat = np.array([rank for row in pre for rank in row], np.int32)
        offered = _like(state, ann_ckpt.Connectivity(np.array(post, np.int32), row_ptr, flat))
        answers[name] = simulator.refusal(offered)
        if answers[name] is None:
            simulator.connect(offered)
            for attribute, held in offered.attributes.items():
                simulator.set_projection_attribute(projection, attribute, held.values)
            lab.simulate(5)
            now = simulator.read().state.projections[projection]
            for part in ("post_ranks", "row_ptr", "pre_ranks"):
                assert np.array_equal(getattr(now.connectivity, part), getattr(offered.connectivity, part)), (
                    name
                )
    return answers


def delay_refusals(network: str) -> dict[str, str | None]:
    """Offer delays of every kind to the synapses that there are."""
    lab = opened(network)
    simulator = simulator_for(lab.network)
    projections = simulator.read().state.projections
    each = np.ones(projections["each"].connectivity.n_synapses, np.int32)
    many = projections["uniform"].connectivity.n_synapses
    offers = {
        "at once: 3 steps": replace(projections["at once"], delays=3),
        "uniform: each": replace(projections["uniform"], delays=np.arange(many, dtype=np.int32) % 9 + 1),
        "uniform: each the same": replace(projections["uniform"], delays=np.full(many, 3, np.int32)),
        "uniform: unknown": replace(projections["uniform"], delays=None),
        "each: none": replace(projections["each"], delays=each * 0),
        "each: unknown": replace(projections["each"], delays=None),
        "each: one for all": replace(projections["each"], delays=2),
    }
    answers = {name: simulator.refusal(offer) for name, offer in offers.items()}
    simulator.set_delays("each", 2)
    now = simulator.read().state.projections["each"].delays
    assert np.array_equal(np.asarray(now), 2 * each)
    return answers


def monitored(network: str, projection: str) -> dict[str, str | None]:
    """Offer synapses to a projection that somebody records."""
    lab = NETWORKS[network](1)
    lab.compile(Path(os.environ["LIVE_COMPILED"]) / network)
    lab.monitor(lab.find(projection).dendrite(0), ["w"])
    simulator = simulator_for(lab.network)
    state = simulator.read().state.projections[projection]
    rows = [state.connectivity.row(i) for i in range(state.connectivity.n_rows)]
    fewer = ann_ckpt.Connectivity.from_rows(state.connectivity.post_ranks[1:], rows[1:])
    return {
        "other dendrites": simulator.refusal(_like(state, fewer)),
        "the same dendrites": simulator.refusal(ann_ckpt.testing.rewired(state)),
    }


def not_compiled() -> str:
    """Ask for a network that is only built."""
    lab = NETWORKS["delays"](1)
    return _said(lambda: ann_ckpt.save("nowhere.h5", network=lab.network))


def twins(saved: str) -> dict[str, Any]:
    """Ask for a network with two populations of one name, then let it be one that ANNarchy gave both."""
    lab = NETWORKS["delays"](1)
    lab.compile(Path(os.environ["LIVE_COMPILED"]) / "delays")
    source, sink = lab.find("source"), lab.find("sink")
    source.name = sink.name = "twin"
    answer: dict[str, Any] = {"said": _said(lambda: simulator_for(lab.network))}
    source.name = sink.name = "pop0"
    lab.simulate(3)
    answer["skipped"] = [str(note) for note in ann_ckpt.save(saved, network=lab.network).skipped]
    state = ann_ckpt.read(saved)
    lab.simulate(3)
    ann_ckpt.load(saved, network=lab.network)
    answer["names"] = list(state.populations)
    answer["ends"] = sorted({end for p in state.projections.values() for end in (p.pre, p.post)})
    answer["other"] = list(ann_ckpt.differences(state, simulator_for(lab.network).read().state))
    sink.name = "sink"
    answer["named"] = list(simulator_for(lab.network).read().state.populations)
    return answer


def no_such_network() -> str:
    """Ask for a number out of the blue."""
    return _said(lambda: simulator_for(None, 77))


def _said(call: Callable[[], object]) -> str:
    try:
        call()
    except ann_ckpt.errors.CheckpointError as error:
        return error.fact
    raise AssertionError("it was accepted")


def _like(state: ann_ckpt.ProjectionState, connectivity: ann_ckpt.Connectivity) -> ann_ckpt.ProjectionState:
    """Return a projection with other synapses and made-up values of the same kinds."""
    sizes = {"global": (), "semiglobal": (connectivity.n_rows,), "local": (connectivity.n_synapses,)}

    def made_up(group: Mapping[str, ann_ckpt.Attribute]) -> dict[str, ann_ckpt.Attribute]:
        return {
            name: ann_ckpt.Attribute(np.ones(sizes[a.locality], a.values.dtype), a.locality)
            for name, a in group.items()
        }

    return replace(
        state,
        connectivity=connectivity,
        parameters=made_up(state.parameters),
        variables=made_up(state.variables),
        delays=state.delays if isinstance(state.delays, int) else np.ones(connectivity.n_synapses, np.int32),
    )


def seed_of(network: str, seed: int) -> int | None:
    """Return the seed that a state carries."""
    return simulator_for(opened(network, seed).network).read().state.seed


def two_networks() -> dict[str, Any]:
    """Build one network twice in a process, with a constant that both have from outside."""
    import ANNarchy as ann

    outside = ann.Constant("gain", 1.5)
    labs = [NETWORKS["shared"](seed) for seed in (1, 2)]
    for lab in labs:
        lab.compile(Path(os.environ["LIVE_COMPILED"]) / f"shared{lab.network.id}")
    first, second = (simulator_for(lab.network) for lab in labs)
    labs[0].simulate(5)
    first.set_constant("gain", np.array(9.0))
    by_number = simulator_for(None, labs[0].network.id)
    return {
        "gains": [float(s.read().state.constants["gain"]) for s in (first, second)] + [outside.value],
        "steps": [s.read().state.time_step for s in (first, second)],
        "by number": by_number.read().state.time_step,
        "by object": first.read().state.time_step,
    }


def global_and_copy() -> dict[str, Any]:
    """Compile the global network and a copy of it; run one."""
    import ANNarchy as ann

    lab = opened("shared")
    copy = ann.Network(everything=True)
    place = os.path.relpath(Path(os.environ["LIVE_COMPILED"]) / "copy")
    copy.compile(directory=place, compiler_flags="-O0", silent=True)
    lab.simulate(5)
    globally, copied = simulator_for(None), simulator_for(copy)
    states = [simulator.read().state for simulator in (globally, copied)]
    return {
        "steps": [state.time_step for state in states],
        "by number": simulator_for(None, copy.id).read().state.time_step,
        "by object": states[1].time_step,
        "rates differ": bool(
            np.any(states[0].populations["sink"]["r"][:] != states[1].populations["sink"]["r"][:])
        ),
    }


def native(network: str, path: str) -> dict[str, Any]:
    """Let ANNarchy save by itself, change everything, load its file; return what is left different."""
    lab = opened(network)
    lab.simulate(30)
    simulator = simulator_for(lab.network)
    before = ann_ckpt.testing.captured(simulator.read().state)
    lab.save_by_itself(path)
    load_into(simulator, Reading(ann_ckpt.testing.disturbed(before)))
    report = load(lab, path)
    after = ann_ckpt.testing.captured(simulator.read().state)
    return {"differences": list(ann_ckpt.differences(before, after)), **report.to_dict()}


def constant_changed(network: str, saved: str) -> list[str]:
    """Change a constant in the middle of a run, as a script does, and save before and after."""
    from ANNarchy.core.Constant import get_constant

    lab = opened(network)
    lab.simulate(5)
    before = save(lab, saved)
    get_constant("gain").set(9.0)
    lab.simulate(5)
    after = save(lab, saved)
    load(lab, saved)
    loaded = save(lab, saved)
    return [" ".join(str(note) for note in report.skipped) for report in (before, after, loaded)]
