"""A network of Brian2 with plastic synapses: saved and loaded by ann_ckpt, and by its own store and restore.

All to all, with the weight, two traces and the time of the last spike per synapse. It runs where Brian2
is installed: ``.venv-brian2/bin/python -m benchmarks brian2``.
"""

from __future__ import annotations

import math
import pickle
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import ann_ckpt
from benchmarks import ours
from benchmarks.harness import Case, Contender, Goal, Role, Scale, flush, remove

__all__ = ["PlasticNetwork", "cases"]

_BRIAN2 = ("brian2",)
_WAYS = {**ours.NAMES, "fast": ours.FAST}
_NEEDS = {ours.FAST: (*_BRIAN2, "hdf5plugin", "numcodecs")}
"""What has to be installed for some of them."""
_PER_SYNAPSE = 40
"""Bytes: four float64 and two int32 ranks."""
_MOST = 4_000_000
_STORE, _RESTORE = "Brian2 store", "Brian2 restore"
_NEURON = 5


def cases(scale: Scale) -> list[Case]:
    """Saving and loading, one neuron's weights, and a checkpoint after the weights have changed."""
    return [
        Case(
            f"brian2-{what}/{synapses}-synapses",
            f"Brian2, {title}: {synapses:,} plastic synapses",
            partial(contenders, synapses),
            nbytes=synapses * _PER_SYNAPSE,
            writes=what in ("save", "second"),
            goals=_goals(what),
        )
        for what, title, contenders in (
            ("save", "save", _saving),
            ("load", "load", _loading),
            ("weights", "the weights of one neuron", _one_neuron),
            ("second", "a second checkpoint, weights changed", _second),
        )
        for synapses in scale.synapses
        if synapses <= _MOST
    ]


def _goals(what: str) -> tuple[Goal, ...]:
    if what not in ("save", "load"):
        return ()
    peer = _STORE if what == "save" else _RESTORE
    return (
        Goal(text=f"at most 1.2 x {peer}", what=ours.NAMES["auto"], over=peer, at_most=1.2),
        Goal(text=f"uncompressed at most 1.0 x {peer}", what=ours.NAMES["none"], over=peer, at_most=1.0),
    )


class PlasticNetwork:
    """The network, and what its synapses should hold."""

    def __init__(self, synapses: int) -> None:
        import brian2
        from brian2 import Hz, ms

        brian2.prefs.codegen.target = "numpy"
        brian2.BrianLogger.log_level_error()
        size = math.isqrt(synapses)
        cells = brian2.NeuronGroup(
            size, "dv/dt = -v/(10*ms) : 1", threshold="v > 1", reset="v = 0", method="exact", name="cells"
        )
        sources = brian2.PoissonGroup(size, rates=15 * Hz, name="sources")
        self._synapses: Any = brian2.Synapses(
            sources,
            cells,
            """w : 1
            dpre/dt = -pre/(20*ms) : 1 (event-driven)
            dpost/dt = -post/(20*ms) : 1 (event-driven)""",
            on_pre="v_post += w; pre += 0.01; w = clip(w + post, 0, 1)",
            on_post="post -= 0.01; w = clip(w + pre, 0, 1)",
            name="plastic",
        )
        self._synapses.connect()
        self.network: Any = brian2.Network(cells, sources, self._synapses)
        self.network.run(1 * ms)
        rng = np.random.default_rng(3)
        number = size * size
        self.values: dict[str, NDArray[Any]] = {
            **{name: rng.random(number) for name in ("w", "pre", "post")},
            "lastupdate": rng.integers(0, 1000, number) * 1e-4,
        }
        self.fill(self.values)

    def fill(self, values: dict[str, NDArray[Any]]) -> None:
        """Set variables of every synapse."""
        for name, entries in values.items():
            self._live(name)[:] = entries

    def decay(self) -> None:
        """Change every one of them a little."""
        for name in self.values:
            self._live(name)[:] *= 0.999

    def forget(self) -> None:
        """Set all to 0, so that loading has something to do."""
        for name in self.values:
            self._live(name)[:] = 0

    def check(self) -> None:
        """Raise if a synapse does not hold what was saved."""
        for name, entries in self.values.items():
            np.testing.assert_array_equal(self._live(name), entries)

    def of_neuron(self, snapshot: dict[str, Any]) -> NDArray[Any]:
        """Return the weights of one neuron from what Brian2 stored."""
        stored = snapshot["plastic"]
        w, post = (np.asarray(stored[name][0]) for name in ("w", "_synaptic_post"))
        return w[post == _NEURON]

    def _live(self, name: str) -> NDArray[Any]:
        values: NDArray[Any] = self._synapses.variables[name].get_value()
        return values


Made = Callable[[], PlasticNetwork]


def _save(made: Made, path: Path, compression: str) -> None:
    ann_ckpt.save(path, network=made().network, compression=compression)


def _store(made: Made, path: Path, name: str = "default") -> None:
    made().network.store(name, filename=str(path))
    flush(path)


def _saving(synapses: int, folder: Path) -> list[Contender]:
    made = cache(lambda: PlasticNetwork(synapses))
    ways = {name: (folder / f"{c}.h5", partial(_save, made, compression=c)) for c, name in _WAYS.items()}
    ways[_STORE] = (folder / "stored.pkl", partial(_store, made))
    return [
        Contender(
            name,
            partial(save, path=path),
            role=Role.PEER if name == _STORE else Role.OURS,
            before=made,
            after=partial(remove, path),
            product=path,
            needs=_NEEDS.get(name, _BRIAN2),
        )
        for name, (path, save) in ways.items()
    ]


def _loading(synapses: int, folder: Path) -> list[Contender]:
    made = cache(lambda: PlasticNetwork(synapses))

    def contender(name: str, path: Path, prepare: Callable[[], None], run: Callable[[], Any]) -> Contender:
        return Contender(
            name,
            run,
            role=Role.PEER if name == _RESTORE else Role.OURS,
            prepare=prepare,
            before=lambda: made().forget(),
            check=lambda _: made().check(),
            product=path,
            needs=_NEEDS.get(name, _BRIAN2),
        )

    def prepared(save: Callable[[], None]) -> None:
        made().fill(made().values)
        save()

    def load(path: Path) -> None:
        ann_ckpt.load(path, network=made().network)

    pickled = folder / "stored.pkl"
    return [
        *(
            contender(
                name,
                folder / f"{c}.h5",
                partial(prepared, partial(_save, made, folder / f"{c}.h5", c)),
                partial(load, folder / f"{c}.h5"),
            )
            for c, name in _WAYS.items()
        ),
        contender(
            _RESTORE,
            pickled,
            partial(prepared, partial(_store, made, pickled)),
            lambda: made().network.restore(filename=str(pickled)),
        ),
    ]


def _one_neuron(synapses: int, folder: Path) -> list[Contender]:
    made = cache(lambda: PlasticNetwork(synapses))
    path, pickled = folder / "net.h5", folder / "stored.pkl"

    def read() -> NDArray[Any]:
        with ann_ckpt.open(path) as ckpt:
            return ckpt.projections["plastic"].dendrite(_NEURON)["w"]

    def unpickle() -> NDArray[Any]:
        with pickled.open("rb") as file:
            return made().of_neuron(pickle.load(file)["default"])

    def check(found: NDArray[Any]) -> None:
        size = math.isqrt(synapses)
        np.testing.assert_array_equal(found, made().values["w"].reshape(size, size)[:, _NEURON])

    return [
        Contender(
            ours.NAMES["auto"],
            read,
            role=Role.OURS,
            prepare=partial(_save, made, path, "auto"),
            check=check,
            product=path,
            needs=_BRIAN2,
        ),
        Contender(
            "pickle.load of what Brian2 stored",
            unpickle,
            prepare=partial(_store, made, pickled),
            check=check,
            product=pickled,
            needs=_BRIAN2,
        ),
    ]


def _second(synapses: int, folder: Path) -> list[Contender]:
    made = cache(lambda: PlasticNetwork(synapses))
    store, pickled = folder / "run.ckpt", folder / "stored.pkl"
    other = cache(lambda: {"w": np.random.default_rng(4).random(made().values["w"].size)})

    def first(save: Callable[[], Any]) -> None:
        made().fill(made().values)
        save()
        made().fill(other())

    return [
        Contender(
            f"{ours.NAMES['auto']}, in a store",
            lambda: ann_ckpt.save(store, network=made().network),
            role=Role.OURS,
            before=partial(first, lambda: ann_ckpt.save(store, network=made().network)),
            after=partial(remove, store),
            product=store,
            needs=_BRIAN2,
        ),
        Contender(
            f"{_STORE}, under another name",
            partial(_store, made, pickled, "second"),
            before=partial(first, partial(_store, made, pickled)),
            after=partial(remove, pickled),
            product=pickled,
            needs=_BRIAN2,
        ),
    ]
