"""A network of NEST: saved and built by ann_ckpt, and as its users do it.

They ask for all connections, for four of their values, and pickle those; later they connect what they have
unpickled. It runs where NEST is installed: ``.venv-nest/bin/python -m benchmarks nest``.
"""

from __future__ import annotations

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

__all__ = ["cases"]

_NEST = ("nest-simulator",)
_KEYS = ("source", "target", "weight", "delay")
_PER_SYNAPSE = 24
"""Bytes: two float64, two int32."""
_SIZES = (200_000, 1_000_000)
_OURS = ours.NAMES["auto"]
_PICKLE, _UNPICKLE = "GetConnections, get, pickle", "unpickle, Connect"
_CONNECT = "Connect alone"
_THIRD = 1 / 3
_NEURON = 5

Columns = dict[str, NDArray[Any]]


def cases(scale: Scale) -> list[Case]:
    """Saving, and making the network again."""
    return [
        Case(
            f"nest-{what}/{synapses}-synapses",
            f"NEST, {what}: {synapses:,} static synapses",
            partial(contenders, synapses),
            nbytes=synapses * _PER_SYNAPSE,
            writes=what == "save",
            goals=goals if synapses in _SIZES else (),
        )
        for what, contenders, goals in (("save", _saving, _SAVE_GOALS), ("build", _building, _BUILD_GOALS))
        for synapses in {"tiny": scale.synapses, "small": _SIZES[:1]}.get(scale.name, _SIZES)
    ]


_SAVE_GOALS = (
    Goal(text="at most 1.1 x the users' way", what=_OURS, over=_PICKLE, at_most=1.1),
    Goal(text="at most a third of its memory", what=_OURS, over=_PICKLE, of="memory", at_most=_THIRD),
    Goal(text="at most a third of its file", what=_OURS, over=_PICKLE, of="file", at_most=_THIRD),
)
_BUILD_GOALS = (
    Goal(text="at most 1.2 x Connect alone", what=_OURS, over=_CONNECT, at_most=1.2),
    Goal(text="no slower than the users' way", what=_OURS, over=_UNPICKLE, at_most=1.0),
)


def _reset() -> Any:
    import nest

    nest.ResetKernel()
    nest.verbosity = nest.VerbosityLevel.ERROR
    return nest


def _size(synapses: int) -> int:
    """Neurons; the synapses are divided among them."""
    return 50 if synapses < _SIZES[0] else 1000 if synapses < _SIZES[1] else 2000


def _named(synapses: int) -> Any:
    """Excitation and inhibition, weights and delays of any size; simulated, so that NEST has sorted it."""
    import ann_ckpt.nest

    nest, size = _reset(), _size(synapses)
    e = nest.Create("iaf_cond_exp", size * 4 // 5)
    i = nest.Create("iaf_cond_exp", size - len(e))
    for pre, low, high, indegree in (
        (e, 1.6, 2.4, synapses // size * 4 // 5),
        (i, -9.6, -6.4, synapses // size - synapses // size * 4 // 5),
    ):
        spec = {"weight": nest.random.uniform(low, high), "delay": nest.random.uniform(1.0, 4.0)}
        nest.Connect(pre, e + i, {"rule": "fixed_indegree", "indegree": indegree}, spec)
    nest.Simulate(0.1)
    return ann_ckpt.nest.network({"E": e, "I": i})


def _pickle(path: Path) -> None:
    import nest

    with path.open("wb") as file:
        pickle.dump(nest.GetConnections().get(list(_KEYS)), file, protocol=pickle.HIGHEST_PROTOCOL)
    flush(path)


def _unpickle(path: Path) -> Columns:
    with path.open("rb") as file:
        return {name: np.array(values) for name, values in pickle.load(file).items()}


def _connect(columns: Columns) -> None:
    import nest

    spec = {"synapse_model": "static_synapse", "weight": columns["weight"], "delay": columns["delay"]}
    nest.Connect(columns["source"], columns["target"], "one_to_one", spec)


def _check(columns: Columns) -> None:
    """Raise if one neuron has other synapses than were saved, which may come in any order."""
    import nest

    found = nest.GetConnections(target=nest.NodeCollection([_NEURON])).get(list(_KEYS))
    mine = columns["target"] == _NEURON
    expected = [columns[name][mine].tolist() for name in _KEYS]
    if sorted(zip(*found.values(), strict=True)) != sorted(zip(*expected, strict=True)):
        raise AssertionError(f"neuron {_NEURON} has other synapses than were saved")


def _saving(synapses: int, folder: Path) -> list[Contender]:
    made = cache(partial(_named, synapses))
    path, pickled = folder / "net.h5", folder / "net.pkl"

    def contender(name: str, role: Role, path: Path, run: Callable[[], Any]) -> Contender:
        return Contender(
            name, run, role=role, before=made, after=partial(remove, path), product=path, needs=_NEST
        )

    return [
        contender(_OURS, Role.OURS, path, lambda: ann_ckpt.save(path, network=made())),
        contender(_PICKLE, Role.PEER, pickled, partial(_pickle, pickled)),
    ]


def _building(synapses: int, folder: Path) -> list[Contender]:
    path, pickled = folder / "net.h5", folder / "net.pkl"
    loaded = cache(partial(_unpickle, pickled))

    def save() -> None:
        if not pickled.exists():
            ann_ckpt.save(path, network=_named(synapses))
            _pickle(pickled)

    def build() -> Any:
        import ann_ckpt.nest

        return ann_ckpt.nest.build(path)

    def nodes() -> None:
        _reset().Create("iaf_cond_exp", _size(synapses))

    def contender(
        name: str,
        role: Role,
        run: Callable[[], Any],
        before: Callable[[], Any],
        product: Path | None = None,
    ) -> Contender:
        return Contender(
            name,
            run,
            role=role,
            prepare=save,
            before=before,
            check=lambda _: _check(loaded()),
            product=product,
            needs=_NEST,
        )

    def alone() -> None:
        loaded()
        nodes()

    return [
        contender(_OURS, Role.OURS, build, _reset, path),
        contender(_UNPICKLE, Role.PEER, lambda: _connect(_unpickle(pickled)), nodes, pickled),
        contender(_CONNECT, Role.LIMIT, lambda: _connect(loaded()), alone),
    ]
