"""A compiled ANNarchy network: saved and loaded by ann_ckpt and by ANNarchy itself.

The network is rate-coded and plastic, all to all, with the weight and one more variable
per synapse. It is built and compiled once in each worker process.
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
        Case(
            f"live-{what}/{how}/{synapses}-synapses",
            f"Live {what}, {how}: ANNarchy network of {synapses:,} synapses",
            partial(contenders, synapses, instrumented=how == _INSTRUMENTED),
            nbytes=synapses * _PER_SYNAPSE,
            goals=_goals(what, how),
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

    def __init__(self, synapses: int, *, instrumented: bool, folder: Path) -> None:
        import ANNarchy as ann  # noqa: N813

        size = math.isqrt(synapses)
        rng = np.random.default_rng(3)
        self.values: dict[str, NDArray[Any]] = {name: rng.random((size, size)) for name in ("w", "trace")}
        self.network: Any = ann.Network(dt=1.0, seed=1)
        neuron = ann.Neuron(parameters="tau = 10.0 : population", equations="tau * dr/dt = -r + sum(exc)")
        synapse = ann.Synapse(
            parameters="eta = 0.01 : projection",
            equations="trace = 0.9 * trace + 0.1 * pre.r * post.r\ndw/dt = eta * trace",
        )
        source = self.network.create(geometry=size, neuron=neuron, name="in")
        sink = self.network.create(geometry=size, neuron=neuron, name="out")
        self._projection = self.network.connect(source, sink, "exc", synapse, name="ff")
        self._projection.all_to_all(weights=0.0)
        # It reads the options of the process that it is in, and these are not for it.
        given, sys.argv = sys.argv, sys.argv[:1]
        try:
            # Beside the folders of the cases: what it compiles is the same for all sizes.
            place = folder.parent / f"annarchy-{instrumented}"
            build = partial(ann_ckpt.annarchy.compile, self.network) if instrumented else self.network.compile
            build(directory=str(place), silent=True)
        finally:
            sys.argv = given
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


@dataclass(frozen=True, slots=True)
class _Way:
    """One way to keep a live network, and the file that it makes."""

    name: str
    role: Role
    path: Path
    save: Callable[[Path], None]
    load: Callable[[Path], None]


def _ways(made: Callable[[], LiveNetwork], folder: Path) -> list[_Way]:
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
            for suffix in _NATIVE
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
            for way in _ways(made, folder)
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
            for way in _ways(made, folder)
        ),
    ]
