"""Many small things: 1,000 populations with ten scalars each."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np

import ann_ckpt
from ann_ckpt import NetworkState, PopulationState
from benchmarks import limits, ours
from benchmarks.harness import Case, Contender, Role, Scale, flush, remove
from benchmarks.peers import PEERS

__all__ = ["cases"]

_POPULATIONS = 1_000
_SCALARS = 10
_ONE = f"p{_POPULATIONS // 2}"

Table = Mapping[str, Mapping[str, float]]
"""Scalars by name, by population."""


def cases(_: Scale) -> list[Case]:
    """Writing them, reading all, reading those of one population."""
    nbytes = _POPULATIONS * _SCALARS * 8
    what = f"{_POPULATIONS:,} populations with {_SCALARS} scalars each"
    return [
        Case("many/save", f"Save: {what}", _saving, nbytes=nbytes, writes=True),
        Case("many/load", f"Load: {what}", partial(_loading, one=False), nbytes=nbytes),
        Case("many/one", f"Read one: {what}", partial(_loading, one=True), nbytes=_SCALARS * 8, brief=True),
    ]


@cache
def _table() -> Table:
    rng = np.random.default_rng(4)
    return {
        f"p{i}": {f"a{j}": float(value) for j, value in enumerate(rng.random(_SCALARS))}
        for i in range(_POPULATIONS)
    }


@cache
def _state() -> NetworkState:
    populations = [PopulationState(name, (10,), parameters=scalars) for name, scalars in _table().items()]
    return NetworkState(populations=populations, time_step=0, dt=1.0)


@dataclass(frozen=True, slots=True)
class _Way:
    """One way to keep the table."""

    name: str
    file: str
    write: Callable[[Path], None]
    read: Callable[[Path], Table]
    read_one: Callable[[Path], Mapping[str, float]]
    role: Role = Role.PEER
    needs: tuple[str, ...] = ()


def _saving(folder: Path) -> list[Contender]:
    def durably(way: _Way, path: Path) -> None:
        way.write(path)
        if way.role is not Role.OURS:
            flush(path)

    return [
        limits.writing(folder, _values),
        *(
            Contender(
                way.name,
                partial(durably, way, folder / way.file),
                role=way.role,
                before=_state,
                after=partial(remove, folder / way.file),
                product=folder / way.file,
                needs=way.needs,
            )
            for way in _WAYS
        ),
    ]


def _loading(folder: Path, *, one: bool) -> list[Contender]:
    expected: Any = _table()[_ONE] if one else _table()

    def check(read: Any) -> None:
        if read != expected:
            raise AssertionError("the scalars came back changed")

    return [
        *limits.reading(folder, _values),
        *(
            Contender(
                way.name,
                partial(way.read_one if one else way.read, folder / way.file),
                role=way.role,
                prepare=partial(way.write, folder / way.file),
                check=check,
                product=folder / way.file,
                needs=way.needs,
            )
            for way in _WAYS
        ),
    ]


@cache
def _values() -> list[np.ndarray[Any, Any]]:
    return [np.array([list(scalars.values()) for scalars in _table().values()])]


def _plain(population: Any) -> dict[str, float]:
    return {name: float(attribute.values) for name, attribute in population.parameters.items()}


def _ours_write(path: Path) -> None:
    ann_ckpt.write(_state(), path)


def _ours_read(path: Path) -> Table:
    return {name: _plain(population) for name, population in ann_ckpt.read(path).populations.items()}


def _ours_one(path: Path) -> Mapping[str, float]:
    with ann_ckpt.open(path) as checkpoint:
        return _plain(checkpoint.populations[_ONE])


def _datasets_write(path: Path) -> None:
    import h5py

    with h5py.File(path, "w") as file:
        for name, scalars in _table().items():
            group = file.create_group(name)
            for scalar, value in scalars.items():
                group[scalar] = value


def _datasets_read(path: Path) -> Table:
    import h5py

    with h5py.File(path, "r") as file:
        return {name: _datasets_of(file[name]) for name in file}


def _datasets_one(path: Path) -> Mapping[str, float]:
    import h5py

    with h5py.File(path, "r") as file:
        return _datasets_of(file[_ONE])


def _datasets_of(group: Any) -> dict[str, float]:
    return {scalar: float(group[scalar][()]) for scalar in group}


def _attributes_write(path: Path) -> None:
    import h5py

    with h5py.File(path, "w") as file:
        for name, scalars in _table().items():
            file.create_group(name).attrs.update(scalars)


def _attributes_read(path: Path) -> Table:
    import h5py

    with h5py.File(path, "r") as file:
        return {name: dict(file[name].attrs) for name in file}


def _attributes_one(path: Path) -> Mapping[str, float]:
    import h5py

    with h5py.File(path, "r") as file:
        return dict(file[_ONE].attrs)


def _json_write(path: Path) -> None:
    path.write_text(json.dumps(_table()))


def _json_read(path: Path) -> Table:
    table: Table = json.loads(path.read_text())
    return table


def _pickle_read(path: Path) -> Table:
    table: Any = PEERS["pickle 5"].read(path, None)
    return table


def _pickle_write(path: Path) -> None:
    table: Any = _table()
    PEERS["pickle 5"].write(path, table)


_WAYS = (
    _Way(
        ours.NAMES["auto"],
        "ours.h5",
        _ours_write,
        _ours_read,
        _ours_one,
        role=Role.OURS,
    ),
    _Way(
        "h5py datasets",
        "datasets.h5",
        _datasets_write,
        _datasets_read,
        _datasets_one,
        needs=("h5py",),
    ),
    _Way(
        "h5py attributes",
        "attributes.h5",
        _attributes_write,
        _attributes_read,
        _attributes_one,
        needs=("h5py",),
    ),
    _Way("one JSON text", "table.json", _json_write, _json_read, lambda path: _json_read(path)[_ONE]),
    _Way("pickle 5", "table.pkl", _pickle_write, _pickle_read, lambda path: _pickle_read(path)[_ONE]),
)
