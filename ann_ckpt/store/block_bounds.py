"""Chooses where arrays are cut into blocks, the units of change detection.

Values per synapse are cut at row boundaries only, and whether a row starts a block
depends on that row alone: a dendrite that grows moves everything behind it, and yet
changes its own block only.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ann_ckpt.model import Array, Connectivity, nbytes

__all__ = [
    "LONGEST",
    "ROW_BLOCK",
    "even_bounds",
    "row_bounds",
]

ROW_BLOCK = 32 << 10
"""Synapses that a block of rows has on average."""
LONGEST = 3 * ROW_BLOCK // 2
"""A block that reaches this many synapses ends with the row; longer rows are cut inside."""
_EVEN_BYTES = 256 << 10


def row_bounds(connectivity: Connectivity) -> NDArray[np.int64]:
    """Return the block bounds of values per synapse.

    A row starts a block with a probability of its size over :data:`ROW_BLOCK`, decided
    by a hash of its post rank. So there is one start in that many synapses on average,
    however rows are sized and ordered, and no row has a say in where another is cut,
    except inside ranges that grow too long.

    Parameters
    ----------
    connectivity : Connectivity
        At least one synapse.

    Returns
    -------
    int64 array, shape (n_blocks + 1,)
        Rising, from 0 to the number of synapses.
    """
    starts, sizes = connectivity.row_ptr[:-1], connectivity.row_sizes
    share = (sizes.astype(np.uint64) << np.uint64(32)) // np.uint64(ROW_BLOCK)
    is_start = _hash32(connectivity.post_ranks) < share
    is_start[0] = True
    section = np.cumsum(is_start) - 1
    part = (starts - starts[is_start][section]) // LONGEST
    is_cut = is_start | np.append(True, np.diff(part) != 0)
    bounds = (starts[is_cut], _inside_rows(starts, sizes), [connectivity.n_synapses])
    return np.unique(np.concatenate(bounds).astype(np.int64))


def even_bounds(array: Array) -> NDArray[np.int64]:
    """Return the bounds of blocks of about 256 KiB.

    Parameters
    ----------
    array : Array
        At least one entry; cut along its first axis.
    """
    length = array.shape[0]
    step = max(1, _EVEN_BYTES * length // nbytes(array))
    return np.append(np.arange(0, length, step, dtype=np.int64), length)


def _inside_rows(starts: NDArray[np.int64], sizes: NDArray[np.int64]) -> NDArray[np.int64]:
    """Cuts inside rows that are longer than a block may be, counted from the start of the row."""
    cuts = np.maximum(sizes - 1, 0) // LONGEST
    rows = np.repeat(np.arange(sizes.size), cuts)
    number = np.arange(rows.size) - np.repeat(np.cumsum(cuts) - cuts, cuts) + 1
    return np.asarray(starts[rows] + number * LONGEST, np.int64)


def _hash32(ranks: NDArray[np.int32]) -> NDArray[np.uint64]:
    """Spread ranks evenly over 32 bits (the finalizer of splitmix64, upper half)."""
    mixed = ranks.astype(np.uint64) + np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return (mixed ^ (mixed >> np.uint64(31))) >> np.uint64(32)
