"""Which synapses each of ANNarchy's matrix formats can be rebuilt with.

``init_from_lil`` checks nothing. Given rows that a format does not expect it drops
synapses, permutes them or writes past the end of its arrays, so that each rule below
stands for a crash or a silent change that was seen in 4.8.2.7 or 5.0.4.1.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ann_ckpt.adapters.annarchy.rows import rows_of
from ann_ckpt.model import Array, Connectivity, blocks

__all__ = [
    "StorageRules",
    "as_arrays",
    "as_lists",
    "rules_for",
    "sets_single_rows",
]

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


@dataclass(frozen=True, slots=True)
class StorageRules:
    """What a matrix format expects of the synapses that it is built from."""

    rising_posts: bool = False
    """Rows must be in the order of their post ranks."""
    rising_pres: bool = False
    """Within a row, pre ranks must not fall: the format keeps them sorted."""
    distinct_pres: bool = False
    """Two neurons are connected once at most: the format is a matrix of them."""
    filled_rows: bool = False
    """No row may be empty."""
    some_row: bool = False
    """There must be a row."""
    some_synapse: bool = False
    """There must be a synapse."""
    every_row: bool = False
    """There is a row for every neuron of the post population, in order."""

    def refusal(self, synapses: Connectivity, post_size: int) -> str | None:
        """Say which expectation ``synapses`` break, reading the pre ranks at most once."""
        return next(self._broken(synapses, post_size), None)

    def _broken(self, synapses: Connectivity, post_size: int) -> Iterator[str]:
        posts = synapses.post_ranks
        if self.every_row and not np.array_equal(posts, np.arange(post_size)):
            yield f"it keeps a row for each of the {post_size} neurons, in order"
        if self.some_row and not posts.size:
            yield "it cannot be without a dendrite"
        if self.some_synapse and not synapses.n_synapses:
            yield "it cannot be without a synapse"
        if self.rising_posts and np.any(np.diff(posts) < 0):
            yield "its dendrites must be in the order of their ranks"
        if self.filled_rows and np.any(synapses.row_sizes == 0):
            yield "it cannot hold an empty dendrite"
        if self.distinct_pres and not _rows_rise(synapses, strictly=True):
            yield "the pre ranks of a dendrite must be in order, each at most once"
        if self.rising_pres and not _rows_rise(synapses, strictly=False):
            yield "the pre ranks of a dendrite must be in order"


_COMPRESSED = StorageRules(rising_posts=True)
_TRANSPOSED = StorageRules(rising_posts=True, rising_pres=True, filled_rows=True, some_row=True)
_MATRIX = StorageRules(distinct_pres=True)

_RULES = {
    ("lil", "post_to_pre"): StorageRules(),
    ("csr", "post_to_pre"): _COMPRESSED,
    ("csr", "pre_to_post"): _TRANSPOSED,
    ("coo", "post_to_pre"): StorageRules(filled_rows=True),
    ("ell", "post_to_pre"): StorageRules(),
    ("ellr", "post_to_pre"): StorageRules(some_row=True),
    ("sell", "post_to_pre"): StorageRules(rising_posts=True, filled_rows=True, some_row=True),
    ("hyb", "post_to_pre"): StorageRules(),
    ("dense", "post_to_pre"): _MATRIX,
    ("dense", "pre_to_post"): _MATRIX,
    ("bsr", "post_to_pre"): _MATRIX,
}


def rules_for(release: str, storage: str, order: str) -> StorageRules | None:
    """Return the rules of one format, or None if rebuilding it is not known to work.

    Parameters
    ----------
    release : str
        ANNarchy's version.
    storage, order : str
        A projection's ``_storage_format`` and ``_storage_order``.
    """
    rules = _RULES.get((storage, order))
    if rules is None or not release.startswith("4."):
        return rules
    if storage == "dense":
        return replace(rules, every_row=True)
    return replace(rules, some_synapse=storage == "bsr")


def sets_single_rows(storage: str) -> bool:
    """Whether one row of a variable can be set; where not, ANNarchy only prints ``Not implemented``."""
    return storage != "hyb"


def _rows_rise(synapses: Connectivity, *, strictly: bool) -> bool:
    """Whether the pre ranks of each row rise (or, unless ``strictly``, at least do not fall)."""
    starts = synapses.row_ptr[:-1][synapses.row_sizes > 0]
    before = np.empty(0, np.int32)
    for at, block in blocks(synapses.pre_ranks):
        steps = np.diff(np.concatenate((before, block)))
        # A step leads to the synapse behind it; there is one into the first only after a block before.
        falls = np.flatnonzero(steps <= 0 if strictly else steps < 0) + at + 1 - before.size
        if not np.isin(falls, starts).all():
            return False
        before = block[-1:]
    return True
