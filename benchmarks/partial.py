"""Reading a part: opening, one projection of fifty, ten dendrites, one column."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import ann_ckpt
from ann_ckpt import NetworkState, PopulationState, ProjectionState
from ann_ckpt.reports import Synapses
from benchmarks import limits, ours
from benchmarks.harness import Case, Contender, Goal, Role, Scale
from benchmarks.peers import PEERS, Arrays, Peer, Ranges, loading
from benchmarks.states import ROW, arrays_of, make_state, many_projections, rows_in, same

__all__ = ["cases"]

OPENED_BY_H5PY = "limit: h5py.File"

_OBJECTS = 10_000
_PROJECTIONS = 50
_TEN = 10
_SYNAPSE = ("ff.pre_ranks", "ff.w", "ff.trace")
"""What belongs to one synapse of the usual state."""
_PROJECTION = ("post_ranks", "row_ptr", "pre_ranks", "delays", "eta", "w", "trace")
"""What belongs to one projection of the usual state."""
_WITH_PARTS = (
    "h5py contiguous",
    "h5py gzip+shuffle",
    "safetensors",
    "zarr",
    "tensorstore zarr3",
    "tensorstore zarr2",
)
_WHOLE_ONLY = ("pickle 5", "numpy savez")
"""These read whole arrays, or everything, whatever is wanted."""


def cases(scale: Scale) -> list[Case]:
    """Reading parts of a file."""
    return [
        _open_case("1-MiB", partial(make_state, "random", 1 << 20), 1 << 20),
        _open_case("usual-size", partial(make_state, "random", scale.nbytes), scale.nbytes),
        _open_case(f"{_OBJECTS}-objects", _many_populations, 0),
        Case(
            "one-of-50",
            f"One projection of {_PROJECTIONS}, opened and read whole",
            partial(_one_projection, scale.nbytes),
            nbytes=scale.nbytes // _PROJECTIONS,
            brief=True,
            goals=(
                Goal(
                    text="at most 1.2 x the limit",
                    what=ours.NAMES["none"],
                    over=limits.READ_FRESH,
                    at_most=1.2,
                ),
            ),
        ),
        Case(
            "ten-dendrites/adjacent",
            "Ten neighbouring dendrites: ranks and two attributes, opening included",
            partial(_ten_dendrites, scale.nbytes, scattered=False),
            nbytes=scale.nbytes,
            goals=_DENDRITE_GOALS,
            brief=True,
        ),
        Case(
            "ten-dendrites/scattered",
            "Ten dendrites from all over: ranks and two attributes, opening included",
            partial(_ten_dendrites, scale.nbytes, scattered=True),
            nbytes=scale.nbytes,
            goals=_DENDRITE_GOALS,
            brief=True,
        ),
        Case(
            "one-column",
            "All synapses of one pre-synaptic neuron with their weights",
            partial(_one_column, scale.nbytes),
            nbytes=scale.nbytes,
        ),
    ]


_DENDRITE_GOALS = (
    Goal(text="at most 1 MB read", what=ours.NAMES["auto"], of="read", at_most=1e6),
    Goal(text="at most 3 ms", what=ours.NAMES["auto"], at_most=3e-3),
    Goal(text="uncompressed: at most 1 MB read", what=ours.NAMES["none"], of="read", at_most=1e6),
    Goal(text="uncompressed: at most 3 ms", what=ours.NAMES["none"], at_most=3e-3),
)


def _open_case(name: str, make: Callable[[], NetworkState], nbytes: int) -> Case:
    goal = Goal(
        text="at most 1 ms more than h5py.File", what=ours.NAMES["auto"], minus=OPENED_BY_H5PY, at_most=1e-3
    )
    return Case(
        f"open/{name}",
        f"Open and close: {name}",
        partial(_opening, make),
        nbytes=nbytes,
        goals=(goal,),
        brief=True,
    )


def _opening(make: Callable[[], NetworkState], folder: Path) -> list[Contender]:
    import h5py

    opened = ours.loading("auto", folder, make, run=lambda path: ann_ckpt.open(path).close())
    path = opened.product
    return [
        Contender(OPENED_BY_H5PY, lambda: h5py.File(path, "r").close(), role=Role.LIMIT, product=path),
        opened,
    ]


def _many_populations() -> NetworkState:
    return NetworkState(
        populations=[PopulationState(f"p{i}", (10,), parameters={"tau": 1.0 * i}) for i in range(_OBJECTS)]
    )


def _one_projection(nbytes: int, folder: Path) -> list[Contender]:
    state = cache(lambda: many_projections(_PROJECTIONS, nbytes))
    arrays = cache(lambda: arrays_of(state()))
    name = f"p{_PROJECTIONS // 2}"
    wanted = [
        f"{name}.{what}" for what in ("post_ranks", "row_ptr", "pre_ranks", "delays", "eta", "w", "trace")
    ]

    def expected() -> Arrays:
        return {key: arrays()[key] for key in wanted}

    def read(path: Path) -> ProjectionState:
        with ann_ckpt.open(path) as checkpoint:
            return checkpoint.projections[name].state()

    return [
        *limits.reading(folder, lambda: list(expected().values())),
        *(
            ours.loading(
                compression,
                folder,
                state,
                run=read,
                check=lambda one: same(expected(), arrays_of(NetworkState(projections=[one]))),
            )
            for compression in ours.NAMES
        ),
        *(_some(PEERS[peer], folder, arrays, wanted) for peer in (*_WITH_PARTS, *_WHOLE_ONLY)),
    ]


def _some(peer: Peer, folder: Path, arrays: Callable[[], Arrays], wanted: Sequence[str]) -> Contender:
    """Read some arrays of many."""
    return loading(
        peer,
        folder,
        arrays,
        run=lambda path: peer.read(path, wanted),
        check=lambda read: same({key: arrays()[key] for key in wanted}, read),
    )


def _ten_dendrites(nbytes: int, folder: Path, *, scattered: bool) -> list[Contender]:
    state = cache(lambda: make_state("random", nbytes))
    arrays = cache(lambda: arrays_of(state()))
    rows = rows_in("random", nbytes)
    ranks = range(rows // (2 * _TEN), rows, rows // _TEN) if scattered else range(rows // 2, rows // 2 + _TEN)
    ranges = [(rank * ROW, (rank + 1) * ROW) for rank in ranks]
    if not scattered:
        ranges = [(ranges[0][0], ranges[-1][1])]

    def expected() -> list[NDArray[Any]]:
        return _cut(arrays(), ranges)

    def dendrites(path: Path) -> list[NDArray[Any]]:
        with ann_ckpt.open(path) as checkpoint:
            projection = checkpoint.projections["ff"]
            found: list[Synapses]
            if scattered:
                found = [projection.dendrite(rank) for rank in ranks]
            else:
                found = [projection.rows(ranks[0], ranks[-1] + 1)]
        return [
            *(some.pre_ranks for some in found),
            *(some["w"] for some in found),
            *(some["trace"] for some in found),
        ]

    def check(read: Sequence[NDArray[Any]]) -> None:
        for one, other in zip(expected(), read, strict=True):
            np.testing.assert_array_equal(one, other)

    def of_peer(peer: Peer) -> Contender:
        def run(path: Path) -> list[NDArray[Any]]:
            if peer.part is None:
                return _cut(peer.read(path, _SYNAPSE), ranges)
            return peer.part(path, _SYNAPSE, ranges)

        return loading(peer, folder, arrays, run=run, check=check)

    return [
        *limits.reading(folder, expected),
        *(ours.loading(c, folder, state, run=dendrites, check=check) for c in ours.NAMES),
        *(of_peer(PEERS[name]) for name in (*_WITH_PARTS, *_WHOLE_ONLY)),
    ]


def _cut(arrays: Arrays, ranges: Ranges) -> list[NDArray[Any]]:
    return [arrays[name][start:stop] for name in _SYNAPSE for start, stop in ranges]


def _one_column(nbytes: int, folder: Path) -> list[Contender]:
    state = cache(lambda: make_state("random", nbytes))
    arrays = cache(lambda: arrays_of(state()))
    neuron = 500

    def column(path: Path) -> NDArray[Any]:
        with ann_ckpt.open(path) as checkpoint:
            return checkpoint.projections["ff"].outgoing(neuron)["w"]

    def pick(read: Arrays) -> NDArray[Any]:
        found: NDArray[Any] = read["ff.w"][read["ff.pre_ranks"] == neuron]
        return found

    def check(read: NDArray[Any]) -> None:
        np.testing.assert_array_equal(pick(arrays()), read)

    return [
        *limits.reading(folder, lambda: [arrays()["ff.pre_ranks"]]),
        *(ours.loading(c, folder, state, run=column, check=check) for c in ours.NAMES),
        *(
            loading(
                PEERS[name],
                folder,
                arrays,
                run=lambda path, read=PEERS[name].read: pick(read(path, ("ff.pre_ranks", "ff.w"))),
                check=check,
            )
            for name in (*_WITH_PARTS, *_WHOLE_ONLY)
        ),
    ]
