"""Synapses as ANNarchy's ``init_from_lil`` takes them: as lists of Python objects, or flat for the binding.

Rows are ``[[...], ...]`` in the one form and ``(values, borders)`` in the other: row ``i`` is
``values[borders[i]:borders[i + 1]]``. One value for all synapses is a single row of one, and a
projection without delays gets no row at all.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ann_ckpt.adapters.annarchy.rows import rows_of
from ann_ckpt.model import Array, Connectivity

__all__ = ["as_arrays", "as_lists"]

_RANK = np.dtype(np.int32)
_STEP = np.dtype(np.int32)
_WEIGHT = np.dtype(np.float64)
"""What crosses; a network of single precision rounds it back to what it was."""

Lists = list[list[Any]]
Flat = tuple[NDArray[Any], NDArray[np.int64]]


def as_lists(
    synapses: Connectivity, weights: Array, delays: int | Array | None
) -> tuple[list[int], Lists, Lists, Lists]:
    """Return post ranks and rows of pre ranks, weights and delays, each number a Python object.

    Parameters
    ----------
    synapses : Connectivity
    weights : Array, shape ``(n_synapses,)`` or ``()``
    delays : int, Array of shape ``(n_synapses,)``, or None
        Steps; None if the network was compiled without.
    """
    row_ptr = synapses.row_ptr

    def listed(values: Array, dtype: np.dtype[Any]) -> Lists:
        return [row for _, row in rows_of(values, row_ptr, dtype)]

    return (
        synapses.post_ranks.tolist(),
        listed(synapses.pre_ranks, _RANK),
        listed(weights, weights.dtype) if weights.shape else [[np.asarray(weights).item()]],
        [] if delays is None else [[delays]] if isinstance(delays, int) else listed(delays, _STEP),
    )


def as_arrays(
    synapses: Connectivity, weights: Array, delays: int | Array | None
) -> tuple[NDArray[np.int32], Flat, Flat, Flat]:
    """Return the same as arrays: the borders int64, ranks and delays int32, weights float64.

    Parameters
    ----------
    synapses, weights, delays
        As for :func:`as_lists`.
    """

    def flat(values: Any, dtype: np.dtype[Any]) -> Flat:
        whole = np.ascontiguousarray(values, dtype)
        return whole, synapses.row_ptr if np.ndim(values) else np.array([0, 1])

    return (
        np.ascontiguousarray(synapses.post_ranks, _RANK),
        flat(synapses.pre_ranks, _RANK),
        flat(weights, _WEIGHT),
        (np.empty(0, _STEP), np.array([0])) if delays is None else flat(delays, _STEP),
    )
