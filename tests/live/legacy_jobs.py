"""Jobs about ANNarchy's own formats: what is written for it, it loads; what it wrote, loads."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import ANNarchy as ann
import numpy as np

import ann_ckpt
import ann_ckpt.annarchy
import ann_ckpt.testing
from ann_ckpt.adapters import legacy
from ann_ckpt.adapters.simulators import simulator_for
from tests.legacy import truth
from tests.live.lab import FIVE, Lab, connect
from tests.live.networks import NETWORKS


def opened(network: str) -> Lab:
    lab = NETWORKS[network](1)
    lab.compile(Path(os.environ["LIVE_COMPILED"]) / network)
    return lab


def write(network: str, steps: int, truth: str, paths: list[str]) -> list[list[str]]:
    """Run, then write one state as a checkpoint and in each old format; return what was left out."""
    lab = opened(network)
    lab.simulate(steps)
    ann_ckpt.save(truth, network=lab.network)
    reading = simulator_for(lab.network).read()
    return [[str(note) for note in legacy.write(reading, path).skipped] for path in paths]


def load_by_itself(network: str, path: str, truth: str) -> list[str]:
    """Let ANNarchy load a file into a network that has not run; return where it differs then."""
    lab = opened(network)
    (lab.network if FIVE else ann).load(path)
    state = ann_ckpt.testing.captured(simulator_for(lab.network).read().state)
    return sorted(ann_ckpt.differences(ann_ckpt.read(truth), state))


def unlike_before(network: str, path: str, truth: str) -> dict[str, Any]:
    """Whether the network differed from the truth before anything was loaded."""
    lab = opened(network)
    state = simulator_for(lab.network).read().state
    return {"differs": bool(list(ann_ckpt.differences(ann_ckpt.read(truth), state)))}


def bare(dt: float = 0.5) -> tuple[Lab, dict[str, Any]]:
    """Two populations, and projections between them that have no synapses yet."""
    lab = Lab(dt=dt, seed=3)
    source = lab.population("source", (2, 5), "plain")
    sink = lab.population("sink", 6, "plain")
    return lab, {
        "ragged": lab.projection("ragged", source, sink, "exc"),
        "late": lab.projection("late", source, sink, "exc"),
        "single": lab.projection("single", sink, sink, "exc"),
        "view": lab.projection("view", source[0, :], sink[2:5], "exc"),
    }


def save_connectivity(folder: str, truth: str) -> None:
    """Let ANNarchy save each projection's synapses in each of its formats."""
    lab, made = bare()
    weights = {"weights": lab.uniform(0.0, 1.0)}
    connect(made["ragged"], "fixed_probability", 0.5, **weights, delays=lab.uniform(1.0, 4.0))
    connect(made["late"], "fixed_number_pre", 3, **weights, delays=1.5)
    connect(made["single"], "one_to_one", weights=0.25)
    connect(made["view"], "all_to_all", **weights)
    lab.compile(Path(os.environ["LIVE_COMPILED"]) / "connectivity")
    ann_ckpt.save(truth, network=lab.network)
    for name, projection in made.items():
        for suffix in ("data", "txt.gz", "npz", "mat"):
            projection.save_connectivity(str(Path(folder) / f"{name}.{suffix}"))


def from_file(folder: str, truth: str, suffix: str) -> list[str]:
    """Build the same network out of those files; return where its synapses differ."""
    lab, made = bare()
    for name, projection in made.items():
        ann_ckpt.annarchy.from_file(projection, Path(folder) / f"{name}.{suffix}")
    lab.compile(Path(os.environ["LIVE_COMPILED"]) / f"from-{suffix}")
    state = ann_ckpt.testing.captured(simulator_for(lab.network).read().state)
    lab.simulate(20)
    found = ann_ckpt.differences(ann_ckpt.read(truth), state)
    return sorted(path for path in found if path.startswith("projections/"))


def like(net: truth.Net) -> Lab:
    """Build what a network of the collection was made of, synapses from its connectivity files."""
    lab = Lab(dt=net.dt, seed=1)
    made = {
        facts["name"]: lab.population(
            facts["name"], tuple(facts["geometry"]), ann.Neuron(**texts(net, f"pop{index}", facts))
        )
        for index, facts in enumerate(net.populations)
    }
    for index, facts in enumerate(net.projections):
        plain = facts["attributes"] == ["w"]
        synapse = None if plain else ann.Synapse(**texts(net, f"proj{index}", facts))
        projection = lab.projection(
            facts["name"], made[facts["pre"]], made[facts["post"]], facts["target"], synapse
        )
        ann_ckpt.annarchy.from_file(projection, net.folder / "conn" / f"q{index:02}.data")
    return lab


def texts(net: truth.Net, owner: str, facts: dict[str, Any]) -> dict[str, str]:
    """Return parameters and equations that have the attributes of an object and change nothing."""
    glob = "population" if owner.startswith("pop") else "projection"
    flags = {"global": glob, "semiglobal": "postsynaptic", "local": ""}

    def line(name: str, value: str) -> str:
        kind, locality = facts["ctype"][name], facts["locality"][name]
        if locality == "global" and len(np.unique(net.values(owner, name))) > 1:
            locality = "semiglobal"  # before 4.6 there was no word for it
        said = [flags[locality], kind if kind in ("int", "bool") else ""]
        return f"{name} = {value} : {', '.join(filter(None, said))}".rstrip(" :")

    zero = {"int": "0", "bool": "False"}
    changing = facts["variables"]
    fixed = [name for name in facts["parameters"] if name not in changing]
    return {
        "parameters": "\n".join(line(n, zero.get(facts["ctype"][n], "0.0")) for n in fixed),
        "equations": "\n".join(line(n, f"{n} + 0.0") for n in changing),
    }


def rescue(host: str, folders: list[str], workplace: str) -> dict[str, list[str]]:
    """Convert old pickles and load them into one live network; return where it is not as each was.

    Parameters
    ----------
    host : str
        The network of the collection that the live one is built like.
    folders : list of str
        Networks of the collection, with the same objects and other synapses.
    """
    lab = like(truth.net(truth.SHARED / host))
    lab.compile(Path(os.environ["LIVE_COMPILED"]) / "collection")
    unlike = {}
    for folder in folders:
        net = truth.net(truth.SHARED / folder)
        target = Path(workplace) / f"{folder.replace('/', '-')}.h5"
        ann_ckpt.convert(net.folder / "net.data", target, dt=net.dt, isolate=True)
        ann_ckpt.load(target, network=lab.network)
        state = ann_ckpt.testing.captured(simulator_for(lab.network).read().state)
        unlike[folder] = unlike_truth(net, state)
    return unlike


def unlike_truth(net: truth.Net, state: ann_ckpt.NetworkState) -> list[str]:
    """Return where a state is not what the live network of the collection said."""
    found = []
    if net.version >= truth.TIME_STEP_SINCE and state.time_step != net.facts["truth"]["step"]:
        found.append("time_step")
    for index, facts in enumerate(net.populations):
        found += _unlike_values(net, f"pop{index}", facts, state.populations[facts["name"]])
    for index, facts in enumerate(net.projections):
        projection = state.projections[facts["name"]]
        where = f"projections/{facts['name']}"
        owner, synapses = f"proj{index}", projection.connectivity
        ranks = {
            "post_ranks": synapses.post_ranks,
            "row_len": synapses.row_sizes,
            "pre_ranks": synapses.pre_ranks,
        }
        for name, own in ranks.items():
            if not np.array_equal(own, net.arrays[f"{owner}__{name}"]):
                found.append(f"{where}/{name}")
        steps = net.delay_steps(index)
        if (
            steps is not None
            and net.version >= truth.DELAYS_SINCE
            and not np.array_equal(projection.delays, steps)
        ):
            found.append(f"{where}/delays")
        found += _unlike_values(net, owner, facts, projection)
    return found


def _unlike_values(net: truth.Net, owner: str, facts: dict[str, Any], state: Any) -> list[str]:
    found = []
    for name in facts["attributes"]:
        expected, own = net.values(owner, name), np.asarray(state[name])
        if expected is None:  # the simulator itself could not say
            continue
        if len(np.unique(expected)) == 1:
            # One value for all in one version may be one for each row or synapse in another.
            expected = np.full(own.shape, expected.reshape(-1)[0])
        if not np.array_equal(own, expected):
            found.append(f"{facts['name']}/{name}")
    return found


def from_every_version(sources: list[list[str]], size: list[int], dt: float) -> dict[str, list[str]]:
    """Build projections out of connectivity files; return what of each is not as it was saved.

    Parameters
    ----------
    sources : list of [str, int]
        A network of the collection, and the position of a projection in it.
    size : list of int
        Neurons before and behind the synapses.
    """
    lab = Lab(dt=dt, seed=1)
    pre, post = (lab.population(f"p{i}", neurons, "plain") for i, neurons in enumerate(size))
    for number, (folder, index) in enumerate(sources):
        path = truth.SHARED / folder / "conn" / f"q{index:02}.data"
        ann_ckpt.annarchy.from_file(lab.projection(f"q{number}", pre, post, "exc"), path)
    lab.compile(Path(os.environ["LIVE_COMPILED"]) / "every-version")
    state = simulator_for(lab.network).read().state
    unlike = {}
    for number, (folder, index) in enumerate(sources):
        net, projection = truth.net(truth.SHARED / folder), state.projections[f"q{number}"]
        own = {
            "post_ranks": projection.connectivity.post_ranks,
            "pre_ranks": projection.connectivity.pre_ranks,
            "w": projection["w"],
        }
        unlike[folder] = [
            name
            for name, values in own.items()
            if not np.array_equal(np.asarray(values), net.arrays[f"proj{index}__{name}"])
        ]
        if not np.array_equal(np.asarray(projection.delays), net.delay_steps(index)):
            unlike[folder].append("delays")
    lab.simulate(20)
    return unlike
