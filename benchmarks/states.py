"""Network states of a wanted size, the same ones in every process."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ann_ckpt import Connectivity, NetworkState, PopulationState, ProjectionState

__all__ = ["KINDS", "ROW", "arrays_of", "make_state", "many_projections", "rows_in", "same"]

ROW = 1_000
"""Synapses of one dendrite."""

KINDS = {
    "random": "random float64 weights",
    "float32": "float64 weights with float32 values",
    "constant": "constant weights",
    "sorted-ranks": "sorted ranks of a sparse projection, one weight for all",
    "all-to-all": "ranks of an all-to-all projection, one weight for all",
    "mixed": "random weights, a float32-valued trace, a constant, delays and sparse ranks",
}
"""What dominates a state, by the name under which it is asked for."""


def make_state(kind: str, nbytes: int) -> NetworkState:
    """Return two populations and one projection of about ``nbytes`` bytes of values.

    Parameters
    ----------
    kind : str
        A key of :data:`KINDS`.
    """
    rows = rows_in(kind, nbytes)
    return _network([_projection("ff", kind, rows, np.random.default_rng(1))], rows)


def many_projections(count: int, nbytes: int) -> NetworkState:
    """Return a network of ``count`` equal projections with random weights, ``nbytes`` bytes together."""
    rng = np.random.default_rng(2)
    rows = rows_in("random", nbytes // count)
    return _network([_projection(f"p{i:02}", "random", rows, rng) for i in range(count)], rows)


def arrays_of(state: NetworkState) -> dict[str, NDArray[Any]]:
    """Return every array of a state by a dotted name: what the peers are given to keep."""
    found: dict[str, Any] = {}
    for population in state.populations.values():
        for name, attribute in population.attributes.items():
            found[f"{population.name}.{name}"] = attribute.values
    for projection in state.projections.values():
        found[f"{projection.name}.post_ranks"] = projection.post_ranks
        found[f"{projection.name}.row_ptr"] = projection.row_ptr
        found[f"{projection.name}.pre_ranks"] = projection.pre_ranks
        if projection.delays is not None:
            found[f"{projection.name}.delays"] = projection.delays
        for name, attribute in projection.attributes.items():
            found[f"{projection.name}.{name}"] = attribute.values
    return {name: np.asarray(values) for name, values in found.items()}


def same(a: Mapping[str, NDArray[Any]], b: Mapping[str, NDArray[Any]]) -> None:
    """Raise if two collections of arrays differ in any bit; ``()`` and ``(1,)`` count as one shape."""
    if a.keys() != b.keys():
        raise AssertionError(f"other arrays came back: {sorted(a.keys() ^ b.keys())}")
    for name, values in a.items():
        one, other = np.atleast_1d(values), np.atleast_1d(b[name])
        if (
            one.dtype != other.dtype
            or one.shape != other.shape
            or not np.array_equal(_bits(one), _bits(other))
        ):
            raise AssertionError(f"{name} came back changed")


def _bits(values: NDArray[Any]) -> NDArray[np.uint8]:
    return np.ascontiguousarray(values).reshape(-1).view(np.uint8)


def rows_in(kind: str, nbytes: int) -> int:
    """Dendrites of a projection of about ``nbytes`` bytes."""
    dtypes = [np.dtype(np.int32), *(np.dtype(_MAKERS[maker][0]) for maker in _LOCAL[kind].values())]
    return max(1, nbytes // (ROW * sum(dtype.itemsize for dtype in dtypes)))


def _network(projections: list[ProjectionState], rows: int) -> NetworkState:
    source = PopulationState("in", (20 * ROW,), variables={"r": np.zeros(20 * ROW)})
    sink = PopulationState("out", (rows,), parameters={"tau": 10.0}, variables={"r": np.zeros(rows)})
    return NetworkState(populations=[source, sink], projections=projections, time_step=1000, dt=0.1)


def _projection(name: str, kind: str, rows: int, rng: np.random.Generator) -> ProjectionState:
    synapses = rows * ROW
    if kind == "all-to-all":
        ranks = np.tile(np.arange(ROW, dtype=np.int32), rows)
    else:
        # Gaps of 1 to 19 make rows of distinct, ascending ranks over 19,000 neurons.
        ranks = np.cumsum(rng.integers(1, 20, (rows, ROW), np.int32), axis=1, dtype=np.int32).reshape(-1)
    values = {name: _MAKERS[maker][1](rng, synapses) for name, maker in _LOCAL[kind].items()}
    return ProjectionState(
        name,
        "in",
        "out",
        "exc",
        Connectivity(np.arange(rows), np.arange(rows + 1) * ROW, ranks),
        delays=values.pop("delays", 1),
        parameters={"eta": 0.1},
        variables=values or {"w": 0.5},
        pre_size=20 * ROW,
        post_size=rows,
    )


_MAKERS = {
    "random": (np.float64, lambda rng, n: rng.random(n)),
    "float32": (np.float64, lambda rng, n: rng.random(n, np.float32).astype(np.float64)),
    "constant": (np.float64, lambda _, n: np.full(n, 0.25)),
    "delays": (np.int32, lambda rng, n: rng.integers(1, 21, n, np.int32)),
}
"""Type of the values, and how ``n`` of them are made."""

_LOCAL = {
    "random": {"w": "random", "trace": "random"},
    "float32": {"w": "float32", "trace": "float32"},
    "constant": {"w": "constant", "trace": "constant"},
    "sorted-ranks": {},
    "all-to-all": {},
    "mixed": {"w": "random", "trace": "float32", "alpha": "constant", "delays": "delays"},
}
"""Values per synapse of each kind of state: name -> key of :data:`_MAKERS`."""
