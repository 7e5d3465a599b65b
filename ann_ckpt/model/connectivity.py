"""Connectivity of a projection: compressed rows, one row per dendrite."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ann_ckpt.errors import ConnectivityError, StateError
from ann_ckpt.model.arrays import Array, identical_values, is_lazy, plain_array

__all__ = ["Connectivity"]

RANK = np.dtype(np.int32)
POINTER = np.dtype(np.int64)


@dataclass(frozen=True, slots=True, eq=False)
class Connectivity:
    """The synapses of one projection in compressed-row form.

    Synapses ``row_ptr[i]:row_ptr[i + 1]`` reach neuron ``post_ranks[i]``. Rows keep
    the order in which they were given and may be empty, uneven or unsorted. The same
    pre-neuron may stand in one row twice (a multapse); :meth:`from_rows` refuses that,
    because by hand it is nearly always a mistake.
    """

    post_ranks: NDArray[np.int32]
    """Post-synaptic neuron of each row, shape ``(n_rows,)``; no rank stands twice."""
    row_ptr: NDArray[np.int64]
    """Start of each row and the end of the last, shape ``(n_rows + 1,)``, from 0 upwards."""
    pre_ranks: Array
    """Pre-synaptic neuron of each synapse, int32, shape ``(n_synapses,)``; may be lazy."""

    def __post_init__(self) -> None:
        post = checked_ranks(self.post_ranks, "post_ranks")
        ptr = _integers(self.row_ptr, "row_ptr").astype(POINTER, copy=False)
        pre: Array = self.pre_ranks
        if not is_lazy(pre):
            pre = checked_ranks(pre, "pre_ranks")
        elif pre.dtype != RANK or len(pre.shape) != 1:
            raise ConnectivityError(f"pre_ranks must be int32 and flat, not {pre.dtype} {pre.shape}")
        rising = np.all(post[1:] > post[:-1])  # as nearly everywhere, which is seen sooner
        if not rising and np.unique(post).size != post.size:
            raise ConnectivityError("duplicate post rank; each dendrite has one row")
        if ptr.size != post.size + 1 or ptr[0] != 0 or np.any(ptr[1:] < ptr[:-1]):
            raise ConnectivityError(
                f"row_ptr must increase from 0 over {post.size + 1} entries for {post.size} rows",
                details={"given": f"{ptr.size} entries"},
            )
        if ptr[-1] != pre.shape[0]:
            raise ConnectivityError(f"row_ptr ends at {ptr[-1]} but there are {pre.shape[0]} pre ranks")
        for field, value in (("post_ranks", post), ("row_ptr", ptr), ("pre_ranks", pre)):
            object.__setattr__(self, field, value)

    @classmethod
    def from_rows(cls, post_ranks: ArrayLike, rows: Sequence[ArrayLike]) -> Connectivity:
        """Build the compressed rows from one array of pre ranks per dendrite.

        Parameters
        ----------
        post_ranks : int array, shape (n_rows,)
            Post-synaptic neuron of each row. Need not be sorted; must not repeat.
        rows : sequence of n_rows int arrays
            ``rows[i]`` lists the pre ranks of row ``i``, in the order in which all
            values per synapse are given; rows may be empty or uneven.

        Raises
        ------
        ConnectivityError
            If a rank is negative or repeats within a row, or lengths disagree.

        Examples
        --------
        >>> c = Connectivity.from_rows([4, 2], [[0, 7, 3], []])
        >>> c.n_rows, c.n_synapses, c.row(0).tolist()
        (2, 3, [0, 7, 3])
        """
        ranks = [checked_ranks(r, f"row {i}") for i, r in enumerate(rows)]
        for i, rank in enumerate(ranks):
            if np.unique(rank).size != rank.size:
                raise ConnectivityError(f"a pre rank repeats within row {i}")
        post = checked_ranks(post_ranks, "post_ranks")
        if post.shape != (len(ranks),):
            raise ConnectivityError(f"{len(ranks)} rows need as many post ranks, not {post.shape}")
        flat = np.concatenate(ranks) if ranks else np.empty(0, RANK)
        return cls(post, row_pointers(r.size for r in ranks), flat)

    @property
    def n_rows(self) -> int:
        """Number of dendrites, empty ones included."""
        return int(self.post_ranks.size)

    @property
    def n_synapses(self) -> int:
        """Number of synapses in all rows."""
        return int(self.row_ptr[-1])

    @property
    def row_sizes(self) -> NDArray[np.int64]:
        """Number of synapses of each row, shape ``(n_rows,)``."""
        return np.diff(self.row_ptr)

    def equals(self, other: Connectivity, *, same: Callable[[Array, Array], bool] | None = None) -> bool:
        """Whether both have the same synapses in the same order.

        Parameters
        ----------
        other : Connectivity
            Lazy or not.
        same : callable, optional
            Compares the pre ranks, which may be large; by default in blocks, and only where rows agree.
        """
        return (
            np.array_equal(self.post_ranks, other.post_ranks)
            and np.array_equal(self.row_ptr, other.row_ptr)
            and (same or identical_values)(self.pre_ranks, other.pre_ranks)
        )

    def row(self, index: int) -> NDArray[np.int32]:
        """Pre ranks of row ``index`` (a row number, not a post rank)."""
        pre: NDArray[np.int32] = np.asarray(self.pre_ranks[self.row_ptr[index] : self.row_ptr[index + 1]])
        return pre


def row_pointers(sizes: Iterable[int] | NDArray[Any]) -> NDArray[np.int64]:
    """Return ``row_ptr``, shape ``(n_rows + 1,)``, for rows of these sizes."""
    counts = np.fromiter(sizes, POINTER)
    return np.concatenate((np.zeros(1, POINTER), np.cumsum(counts, dtype=POINTER)))


def _integers(values: ArrayLike, what: str) -> NDArray[Any]:
    try:
        array = plain_array(values)
    except StateError as error:
        raise ConnectivityError(f"{what}: {error.fact}", details=error.details) from error
    if array.ndim == 1 and array.size == 0:
        return array.astype(POINTER)
    if array.ndim != 1 or array.dtype.kind not in "iu":
        raise ConnectivityError(f"{what} must be a flat array of integers, not {array.dtype} {array.shape}")
    return array


def checked_ranks(values: ArrayLike, what: str) -> NDArray[np.int32]:
    array = _integers(values, what)
    # Of what is int32 already, none is too large.
    if array.size and (array.min() < 0 or (array.dtype != RANK and array.max() > np.iinfo(RANK).max)):
        raise ConnectivityError(
            f"{what} holds ranks from {array.min()} to {array.max()}; expected 0 to 2**31 - 1"
        )
    return array.astype(RANK, copy=False)
