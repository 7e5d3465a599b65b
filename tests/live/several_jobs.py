"""What workers do with copied networks, automatic names and converted networks. ANNarchy 5.0 only."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

import ANNarchy as ann
import numpy as np

import ann_ckpt
import ann_ckpt.annarchy
import ann_ckpt.testing
from ann_ckpt.adapters.simulators import simulator_for
from ann_ckpt.params import load_parameters, save_parameters
from tests.live.lab import without_arguments

STEPS = 20


def state_of(network: Any) -> ann_ckpt.NetworkState:
    return ann_ckpt.testing.captured(simulator_for(network).read().state)


def compiled(network: Any, name: str) -> list[str]:
    """Compile with the instrumentation; answer what it warned of."""
    place = Path(os.environ["LIVE_COMPILED"]) / name
    with without_arguments(), warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        ann_ckpt.annarchy.compile(network, directory=str(place), compiler_flags="-O0", silent=True)
    return [str(w.message) for w in caught if issubclass(w.category, ann_ckpt.annarchy.SameNameWarning)]


def said(call: Callable[[], object]) -> str:
    try:
        call()
    except ann_ckpt.errors.CheckpointError as error:
        return str(error)
    return ""


# --- copies and parallel runs ---


class Noisy(ann.Network):  # type: ignore[misc]
    """Noise, delays and learning, and other synapses with each seed."""

    def __init__(self, level: float = 0.5) -> None:
        cells = ann.Neuron(
            "tau = 10.0 : population\nlevel = 0.5", "tau*dr/dt = -r + sum(exc) + level*Uniform(0, 1)"
        )
        self.one = self.create(8, cells, name="one")
        self.one.level = level
        self.two = self.create((2, 3), cells, name="two")
        self.ff = self.connect(self.one, self.two, "exc", ann.Hebb(eta=0.01), name="ff")
        weights, delays = ann.Uniform(0.0, 1.0), ann.Uniform(1.0, 4.0)
        self.ff.fixed_probability(0.6, weights=weights, delays=delays)


def run_and_save(net: Noisy, start: str, end: str) -> list[int]:
    """One simulation of a parallel run: a file in the middle, another at the end."""
    net.simulate(STEPS)
    ann_ckpt.save(start, network=net)
    net.simulate(STEPS)
    ann_ckpt.save(end, network=net)
    return [net.id, os.getpid()]


def load_and_run(net: Noisy, start: str, end: str) -> list[str]:
    """Go on from the middle."""
    report = ann_ckpt.load(start, network=net)
    net.simulate(STEPS)
    ann_ckpt.save(end, network=net)
    return [str(note) for note in report.rebuilt]


def run_nameless(net: Noisy, start: str) -> str:
    """Save without saying which network: the process that started the worker has one too."""
    return said(lambda: ann_ckpt.save(start))


def parallel(folder: str) -> dict[str, Any]:
    """Save in each worker of a parallel run, resume in each worker of another."""
    net = Noisy(level=0.5, seed=11)
    compiled(net, "noisy")

    def paths(name: str) -> list[str]:
        return [str(Path(folder) / f"{name}-{number}.h5") for number in range(3)]

    levels = [0.25, 0.5, 0.75]
    start, end, again = map(paths, ("start", "end", "again"))
    first = net.parallel_run(run_and_save, 3, 2, seeds=[1, 2, 3], start=start, end=end, level=levels)
    rebuilt = net.parallel_run(load_and_run, 3, 2, seeds=[4, 5, 6], start=start, end=again, level=levels)
    nameless = net.parallel_run(run_nameless, 1, 1, seeds=[1], start=[str(Path(folder) / "alone.h5")])
    saved = [ann_ckpt.read(path) for path in start]
    answer: dict[str, Any] = {
        "levels": [np.unique(np.asarray(state.populations["one"]["level"])).tolist() for state in saved],
        "seeds": [state.seed for state in saved],
        "exact": [str(state.resume) for state in saved],
        "rebuilt": rebuilt,
        "processes": len({pid for _, pid in first} - {os.getpid()}),
        "resumed": [_unlike(a, b) for a, b in zip(end, again, strict=True)],
        "nameless": nameless,
        "alike": _unlike(start[0], start[1]) == [],
        "still": state_of(net).time_step,
    }
    return answer | _copied(net, Path(folder), start[1])


def _unlike(a: str, b: str) -> list[str]:
    return [p for p in ann_ckpt.differences(ann_ckpt.read(a), ann_ckpt.read(b)) if p != "seed"]


def _copied(net: Noisy, folder: Path, start: str) -> dict[str, Any]:
    """Copy the network: the copy is the one that is simulated, and the original is refused."""
    copy = net.copy(level=0.75)
    before = state_of(copy)
    answer: dict[str, Any] = {
        "original": said(lambda: ann_ckpt.save(folder / "original.h5", network=net)),
        "loading": said(lambda: ann_ckpt.load(start, network=net)),
        "none named": said(lambda: ann_ckpt.save(folder / "nameless.h5")),
        "nothing moved": list(ann_ckpt.differences(before, state_of(copy))),
    }
    ann_ckpt.load(start, network=copy)
    middle, stored = state_of(copy), ann_ckpt.read(start)
    answer["loaded"] = [p for p in ann_ckpt.differences(stored, middle) if p != "seed"]
    copy.simulate(STEPS)
    ann_ckpt.save(folder / "copied.h5", network=copy)
    answer["copy resumed"] = _unlike(str(folder / "copied.h5"), start.replace("start", "end"))
    return answer


# --- names ---


def hybrid() -> ann.Network:
    """Rates, spikes and back; a projection that is handed over keeps its number as its name."""
    net = ann.Network(seed=3)
    rate = ann.Neuron("base = 0.5", "tau = 10.0\ndr/dt = (base + sum(exc) - r) / tau")
    source = net.create(4, rate)
    trains = net.create(ann.PoissonPopulation(6, target="exc"))
    target = net.create(3, rate)
    last = net.create(3, rate)
    net.connect(source, trains, "exc").all_to_all(20.0)
    net.connect(ann.DecodingProjection(trains, target, "exc", window=10.0)).all_to_all(0.1)
    net.connect(target, last, "exc").one_to_one(1.0)
    return net


def by_itself(folder: str) -> dict[str, Any]:
    """Save a network of twins, load it back, and load it where the names are others."""
    path = str(Path(folder) / "hybrid.h5")
    net = hybrid()
    answer: dict[str, Any] = {"told": compiled(net, "hybrid")}
    net.simulate(30.0)
    saved = state_of(net)
    answer["skipped"] = [str(note) for note in ann_ckpt.save(path, network=net).skipped]
    answer["names"] = {name: f"{p.pre} {p.post}" for name, p in saved.projections.items()}
    answer["exact"] = str(saved.resume)
    net.simulate(30.0)
    ended = state_of(net)
    ann_ckpt.load(path, network=net)
    answer["loaded"] = list(ann_ckpt.differences(saved, state_of(net)))
    net.simulate(30.0)
    answer["resumed"] = list(ann_ckpt.differences(ended, state_of(net)))
    for thing, name in zip(net.get_projections(), ("rates", "decoder", "last"), strict=True):
        thing.name = name
    for thing, name in zip(net.get_populations(), ("E0", "E1", "E2", "E3"), strict=True):
        thing.name = name
    answer["unnamed"] = said(lambda: ann_ckpt.load(path, network=net))
    names = {"pop*": "E*"} | dict(zip(saved.projections, ("rates", "decoder", "last"), strict=True))
    ann_ckpt.load(path, network=net, names=names)
    now = state_of(net)
    answer["mapped"] = [
        f"{old}/{attribute}"
        for old, new in zip(saved.projections, now.projections, strict=True)
        for attribute in saved.projections[old]
        if not np.array_equal(saved.projections[old][attribute], now.projections[new][attribute])
    ]
    answer["shifted"] = _shifted(net, path)
    answer["nameless"] = _nameless(net, path)
    return answer


def _nameless(net: ann.Network, path: str) -> dict[str, Any]:
    """Compile another network in this process, and make calls that do not say which one they mean."""
    other = ann.Network(seed=5)
    other.create(2, ann.Neuron(equations="dr/dt = 0.1", parameters="base = 1.0"))
    compiled(other, "other")
    new, parameters = Path(path).with_name("nameless.h5"), Path(path).with_name("named.json")
    save_parameters(parameters, network=net)
    before = [state_of(one) for one in (net, other)]
    calls = {
        "save": lambda: ann_ckpt.save(new),
        "load": lambda: ann_ckpt.load(path),
        "save_parameters": lambda: save_parameters(new.with_suffix(".json")),
        "load_parameters": lambda: load_parameters(parameters),
        "store": lambda: ann_ckpt.save(new.with_suffix(".ckpt")),
    }
    answer: dict[str, Any] = {"said": {name: said(call) for name, call in calls.items()}}
    answer["written"] = [p.name for p in Path(path).parent.iterdir() if p.name.startswith("nameless.")]
    after = [state_of(one) for one in (net, other)]
    answer["moved"] = [p for pair in zip(before, after, strict=True) for p in ann_ckpt.differences(*pair)]
    ann_ckpt.save(new, network=other)
    answer["named"] = list(ann_ckpt.read(new).populations)
    return answer


def _shifted(net: ann.Network, path: str) -> dict[str, Any]:
    """Load it into a network with the names that it has where the script makes one more population first."""
    for number, thing in enumerate(net.get_populations(), start=1):
        thing.name = f"pop{number}"
    for thing, name in zip(net.get_projections(), ("proj0", "proj0", "proj2"), strict=True):
        thing.name = name
    net.simulate(5.0)
    before = state_of(net)
    answer: dict[str, Any] = {}
    try:
        ann_ckpt.load(path, network=net)
    except ann_ckpt.errors.MismatchError as error:
        answer["hint"] = error.details["hint"]
    answer["moved"] = list(ann_ckpt.differences(before, state_of(net)))
    suggested = eval(answer["hint"].partition("names=")[2])  # what a user would copy
    answer["suggested"] = suggested
    ann_ckpt.load(path, network=net, names=suggested)
    stored, now = ann_ckpt.read(path), state_of(net)
    answer["unlike"] = [
        f"{old}/{attribute}"
        for group in ("populations", "projections")
        for old, thing in getattr(stored, group).items()
        for attribute in thing
        if not np.array_equal(thing[attribute], getattr(now, group)[suggested.get(old, old)][attribute])
    ]
    return answer


# --- converted networks ---


class _Layer:
    """What the converter asks a layer of Keras for."""

    def __init__(self, name: str, shape: tuple[int, ...], *weights: Any, **config: Any) -> None:
        self.name, self.output = name, SimpleNamespace(shape=(None, *shape))
        self._weights, self._config = weights, config

    def get_weights(self) -> tuple[Any, ...]:
        return self._weights

    def get_config(self) -> dict[str, Any]:
        return self._config


class InputLayer(_Layer):
    pass


class Dense(_Layer):
    pass


class Conv2D(_Layer):
    pass


class MaxPooling2D(_Layer):
    pass


class AveragePooling2D(_Layer):
    pass


class Flatten(_Layer):
    pass


def keras(seed: int) -> Any:
    """Stand in for tensorflow, which the converter only reads one file with: layers with weights."""
    rng = np.random.default_rng(seed)
    layers = [
        InputLayer("input", (6, 6, 1)),
        Conv2D("conv", (6, 6, 2), rng.uniform(-0.1, 0.5, (2, 2, 1, 2))),
        MaxPooling2D("pool", (3, 3, 2), pool_size=(2, 2)),
        Flatten("flat", (18,)),
        Dense("hidden", (5,), rng.uniform(-0.1, 0.6, (18, 5))),
        Dense("answer", (3,), rng.uniform(-0.1, 0.6, (5, 3))),
    ]
    kinds = {c.__name__: c for c in (InputLayer, Dense, Conv2D, MaxPooling2D, AveragePooling2D)}
    models = SimpleNamespace(load_model=lambda _: SimpleNamespace(layers=layers))
    return SimpleNamespace(keras=SimpleNamespace(layers=SimpleNamespace(**kinds), models=models))


def converted(seed: int) -> Any:
    from ANNarchy.extensions.ann_to_snn_conversion import ANNtoSNNConverter

    converter = ANNtoSNNConverter(input_encoding="CPN", hidden_neuron="IaF", read_out="spike_count")
    place = str(Path(os.environ["LIVE_COMPILED"]) / "converted")
    reader = mock.patch.dict(sys.modules, {"tensorflow": keras(seed)})
    with reader, without_arguments(), ann_ckpt.annarchy.instrument():
        net = converter.load_keras_model("model.keras", directory=place, show_info=False)
    net.get_populations()[0].rates = 100.0 * np.linspace(0.0, 1.0, 36).reshape(6, 6, 1)
    return net


def save_converted(start: str, end: str) -> dict[str, Any]:
    """Save a converted network in the middle of an image, and at its end."""
    net = converted(1)
    net.simulate(60.0)
    report = ann_ckpt.save(start, network=net)
    net.simulate(60.0)
    ann_ckpt.save(end, network=net)
    spikes = sum(len(times) for times in net.get_monitors()[0].get("spike").values())
    state = ann_ckpt.read(start)
    return {
        "skipped": [str(note) for note in report.skipped],
        "exact": {n: str(p.resume) for g in (state.populations, state.projections) for n, p in g.items()},
        "spikes": spikes,
    }


def load_converted(start: str, loaded: str, end: str) -> list[str]:
    """Load it into one of another model of the same layers, and go on."""
    net = converted(2)
    report = ann_ckpt.load(start, network=net)
    ann_ckpt.save(loaded, network=net)
    net.simulate(60.0)
    ann_ckpt.save(end, network=net)
    return [str(note) for note in (*report.notes, *report.rebuilt)]
