"""A compiled ANNarchy network: saved and loaded by ann_ckpt and by ANNarchy itself.

The network is rate-coded and plastic, all to all, with the weight and one more variable
per synapse. It is built and compiled once in each worker process. How long compiling itself
takes, with our bindings and without, is shown with networks of more kinds of parts.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import ann_ckpt
from benchmarks import limits, ours
from benchmarks.harness import Case, Contender, Goal, Role, Scale, flush, remove

__all__ = ["LiveNetwork", "cases"]

_ANNARCHY = ("ANNarchy",)
_NATIVE = (".data", ".npz", ".txt.gz")
"""What ANNarchy itself writes, by extension."""
_MOST_AS_TEXT = 250_000
"""Synapses; more of them take minutes as text."""
_PLAIN = "plain"
_INSTRUMENTED = "instrumented"
_FASTER = {
    ("save", _PLAIN): {".data": 2, ".npz": 10},
    ("load", _PLAIN): {".data": 2, ".npz": 10},
    ("save", _INSTRUMENTED): {".data": 8, ".npz": 50},
    ("load", _INSTRUMENTED): {".data": 5, ".npz": 100},
}
"""How many times faster than ANNarchy's own files we want to be."""
_PER_SYNAPSE = 20
"""Bytes: two float64 and an int32 rank."""


def cases(scale: Scale) -> list[Case]:
    """Saving and loading live networks, by number of synapses, compiled plainly and with our bindings."""
    return [
        *(
            Case(
                f"live-compile/{kind}",
                f"Compiling a {kind} network with the additional bindings",
                partial(_compiling, make),
                goals=(
                    Goal(
                        text="at most a tenth longer with the bindings",
                        what=_INSTRUMENTED,
                        over=_PLAIN,
                        at_most=1.1,
                    ),
                ),
            )
            for kind, make in _RICH.items()
            if scale.name != "small"  # a minute each
        ),
        *_moving(scale),
    ]


def _moving(scale: Scale) -> list[Case]:
    return [
        Case(
            f"live-{what}/{how}/{synapses}-synapses",
            f"Live {what}, {how}: ANNarchy network of {synapses:,} synapses",
            partial(contenders, synapses, instrumented=how == _INSTRUMENTED),
            nbytes=synapses * _PER_SYNAPSE,
            writes=what == "save",
            goals=_goals(what, how) if synapses == max(scale.synapses) else (),
            series=f"Live {what} by synapses, {how}",
            axis="synapses",
            x=synapses,
        )
        for what, contenders in (("save", _saving), ("load", _loading))
        for how in (_PLAIN, _INSTRUMENTED)
        for synapses in scale.synapses
    ]


def _goals(what: str, how: str) -> tuple[Goal, ...]:
    name = ours.NAMES["auto"]
    return (
        *(
            Goal(
                text=f"{what} at least {factor} x faster than {suffix}",
                what=f"ANNarchy {suffix}",
                over=name,
                at_least=factor,
            )
            for suffix, factor in _FASTER[what, how].items()
        ),
        Goal(text="at most 150 MB above the simulator's own memory", what=name, of="memory", at_most=150e6),
    )


class LiveNetwork:
    """The compiled network and what its synapses should hold."""

    def __init__(self, synapses: int, *, instrumented: bool, folder: Path, threads: int = 1) -> None:
        import ANNarchy as ann  # noqa: N813

        size = math.isqrt(synapses)
        rng = np.random.default_rng(3)
        self.values: dict[str, NDArray[Any]] = {name: rng.random((size, size)) for name in ("w", "trace")}
        self.network: Any = ann.Network(dt=1.0, seed=1)
        self.network.config(num_threads=threads)
        neuron = ann.Neuron(parameters="tau = 10.0 : population", equations="tau * dr/dt = -r + sum(exc)")
        synapse = ann.Synapse(
            parameters="eta = 0.01 : projection",
            equations="trace = 0.9 * trace + 0.1 * pre.r * post.r\ndw/dt = eta * trace",
        )
        source = self.network.create(geometry=size, neuron=neuron, name="in")
        sink = self.network.create(geometry=size, neuron=neuron, name="out")
        self._projection = self.network.connect(source, sink, "exc", synapse, name="ff")
        self._projection.all_to_all(weights=0.0)
        # Beside the folders of the cases: what it compiles is the same for all sizes.
        place = folder.parent / f"annarchy-{instrumented}-{threads}"
        _compile(self.network, place, instrumented=instrumented)
        self.fill(self.values)

    def fill(self, values: dict[str, NDArray[Any]]) -> None:
        """Set both variables of every synapse."""
        put = self._projection.cyInstance.set_local_attribute_row_double
        for name, rows in values.items():
            for row, entries in enumerate(rows):
                put(name, row, entries.tolist())

    def forget(self) -> None:
        """Set both variables of every synapse to 0, so that loading has something to do."""
        self.fill({name: np.zeros_like(rows) for name, rows in self.values.items()})

    def check(self) -> None:
        """Raise if a synapse does not hold what was saved."""
        get = self._projection.cyInstance.get_local_attribute_row_double
        for name, rows in self.values.items():
            for row, expected in enumerate(rows):
                np.testing.assert_array_equal(get(name, row), expected)

    def arrays(self) -> list[NDArray[Any]]:
        """Return what a save has to keep: the values and the ranks."""
        size = len(self.values["w"])
        return [*self.values.values(), np.tile(np.arange(size, dtype=np.int32), size)]


def _rate_coded() -> Any:
    """Noise, means, delays, learning rules, four storage formats."""
    import ANNarchy as ann  # noqa: N813

    network = ann.Network(dt=1.0, seed=1)
    neuron = ann.Neuron(
        parameters="tau = 10.0 : population\nbase = 0.5",
        equations="noise = Normal(0.0, 0.1)\n"
        "tau * dv/dt = -v + base + sum(exc) - sum(inh) + noise + 0.01 * mean(r)\nr = pos(v) : max = 5.0",
    )
    source, sink = (network.create(geometry=20, neuron=neuron, name=name) for name in ("source", "sink"))
    for number, (target, synapse, delays, form) in enumerate(
        (
            ("exc", None, 0.0, "lil"),
            ("exc", ann.Oja, 3.0, "lil"),
            ("inh", ann.Oja, ann.Uniform(1.0, 4.0), "lil"),
            ("exc", ann.Oja, 0.0, "csr"),
            ("inh", None, 0.0, "dense"),
            ("exc", None, 0.0, "ell"),
        )
    ):
        projection = network.connect(source, sink, target, synapse, name=f"{form} {number}")
        projection.all_to_all(weights=ann.Uniform(0.0, 0.1), delays=delays, storage_format=form)
    return network


def _spiking() -> Any:
    """Built-in and own neurons, refractory, noisy inputs, delays, plasticity of two kinds."""
    import ANNarchy as ann  # noqa: N813

    network = ann.Network(dt=1.0, seed=1)
    own = ann.Neuron(
        parameters="tau = 10.0\nI = 5.0",
        equations="tau * dv/dt = -v + I + g_exc - g_inh\ntau * dg_exc/dt = -g_exc\ntau * dg_inh/dt = -g_inh",
        spike="v > 3.0",
        reset="v = 0.0",
        refractory=3.0,
    )
    first = network.create(geometry=20, neuron=ann.Izhikevich, name="first")
    second = network.create(geometry=20, neuron=own, name="second")
    noise = network.create(ann.PoissonPopulation(geometry=20, name="noise", rates=30.0))
    stdp = ann.STDP(tau_plus=20.0, tau_minus=20.0, A_plus=0.01, A_minus=0.01, w_max=1.0)
    for number, (pre, post, target, synapse, delays, form) in enumerate(
        (
            (noise, first, "exc", None, 0.0, "lil"),
            (noise, second, "exc", None, 2.0, "lil"),
            (first, second, "exc", stdp, ann.Uniform(1.0, 6.0), "lil"),
            (first, second, "inh", stdp, 0.0, "csr"),
            (second, first, "inh", ann.STP, 2.0, "lil"),
            (second, first, "exc", None, 0.0, "dense"),
        )
    ):
        projection = network.connect(pre, post, target, synapse, name=f"{form} {number}")
        projection.all_to_all(weights=ann.Uniform(0.0, 0.1), delays=delays, storage_format=form)
    return network


_RICH = {"rate-coded": _rate_coded, "spiking": _spiking}


class _Compilation:
    """A network that is new for each run, compiled with ANNarchy's own flags in a folder that is new too."""

    def __init__(self, make: Callable[[], Any], folder: Path, *, instrumented: bool) -> None:
        self._make = make
        self._folder = folder
        self._instrumented = instrumented
        self._network: Any = None

    def renew(self) -> None:
        """Build the network; nothing is compiled yet."""
        remove(self._folder)
        self._network = self._make()

    def run(self) -> None:
        """Compile it."""
        _compile(self._network, self._folder, instrumented=self._instrumented)


def _compile(network: Any, place: Path, *, instrumented: bool) -> None:
    build = partial(ann_ckpt.annarchy.compile, network) if instrumented else network.compile
    # It reads the options of the process that it is in, and these are not for it.
    given, sys.argv = sys.argv, sys.argv[:1]
    try:
        build(directory=str(place), silent=True)
    finally:
        sys.argv = given


def _compiling(make: Callable[[], Any], folder: Path) -> list[Contender]:
    both = {
        name: _Compilation(make, folder / name, instrumented=name == _INSTRUMENTED)
        for name in (_PLAIN, _INSTRUMENTED)
    }
    return [
        Contender(
            name,
            compilation.run,
            role=Role.OURS if name == _INSTRUMENTED else Role.PEER,
            before=compilation.renew,
            after=partial(remove, folder / name),
            needs=_ANNARCHY,
        )
        for name, compilation in both.items()
    ]


@dataclass(frozen=True, slots=True)
class _Way:
    """One way to keep a live network, and the file that it makes."""

    name: str
    role: Role
    path: Path
    save: Callable[[Path], None]
    load: Callable[[Path], None]


def _ways(made: Callable[[], LiveNetwork], synapses: int, folder: Path) -> list[_Way]:
    """Every way to keep a live network."""

    def save(path: Path, compression: str) -> None:
        ann_ckpt.save(path, network=made().network, compression=compression)

    def load(path: Path) -> None:
        ann_ckpt.load(path, network=made().network)

    def native_save(path: Path) -> None:
        made().network.save(str(path))
        flush(path)

    def native_load(path: Path) -> None:
        made().network.load(str(path))

    return [
        *(
            _Way(name, Role.OURS, folder / f"{compression}.h5", partial(save, compression=compression), load)
            for compression, name in ours.NAMES.items()
        ),
        *(
            _Way(f"ANNarchy {suffix}", Role.PEER, folder / f"native{suffix}", native_save, native_load)
            for suffix in (_NATIVE if synapses <= _MOST_AS_TEXT else _NATIVE[:-1])
        ),
    ]


def _saving(synapses: int, folder: Path, *, instrumented: bool) -> list[Contender]:
    made = cache(lambda: LiveNetwork(synapses, instrumented=instrumented, folder=folder))
    return [
        limits.writing(folder, cache(lambda: made().arrays())),
        *(
            Contender(
                way.name,
                partial(way.save, way.path),
                role=way.role,
                before=made,
                after=partial(remove, way.path),
                product=way.path,
                needs=_ANNARCHY,
            )
            for way in _ways(made, synapses, folder)
        ),
    ]


def _loading(synapses: int, folder: Path, *, instrumented: bool) -> list[Contender]:
    made = cache(lambda: LiveNetwork(synapses, instrumented=instrumented, folder=folder))
    return [
        *limits.reading(folder, cache(lambda: made().arrays())),
        *(
            Contender(
                way.name,
                partial(way.load, way.path),
                role=way.role,
                prepare=partial(way.save, way.path),
                before=lambda: made().forget(),
                check=lambda _: made().check(),
                product=way.path,
                needs=_ANNARCHY,
            )
            for way in _ways(made, synapses, folder)
        ),
    ]
