"""How Brian2's arrays are named and laid out, and what stands for them in a state; needs no Brian2.

Live networks, Brian's stored files and the results of standalone programs have the same arrays.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from itertools import chain, pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ann_ckpt.model import Array, Connectivity

__all__ = [
    "BUFFER",
    "GAUSS",
    "NETWORK_TIME",
    "RAND",
    "RANDN",
    "TWISTER",
    "Kind",
    "Role",
    "event_space",
    "invalid_queue",
    "invalid_random",
    "queue_arrays",
    "queue_slots",
    "random_arrays",
    "role_of",
    "rows_of",
    "steps_of",
    "twister_state",
]

TWISTER = "random.twister"
"""numpy's global Mersenne twister: 624 words and the position, uint32, shape ``(625,)``."""
GAUSS = "random.gauss"
"""Its stored normal number: whether there is one, and which, float64, shape ``(2,)``."""
RAND = "random.rand"
"""Uniform numbers that compiled code has drawn and not used yet, float64."""
RANDN = "random.randn"
"""Normal numbers that compiled code has drawn and not used yet, float64."""
NETWORK_TIME = "t.rest"
"""What the network's time in s, the sum of all runs, has beyond time step times dt."""
BUFFER = 20_000
"""Numbers that compiled code draws at once."""
_WORDS = 624

_NO_STATE = {"i", "N"}
"""What follows from sizes; Brian gives nobody these names."""
_OF_SYNAPSES = {"_synaptic_pre", "_synaptic_post", "N_incoming", "N_outgoing"}
"""What follows from synapses; groups may have variables of two of these names."""
_OF_GENERATORS = {"spike_number", "neuron_index", "spike_time"}
"""Arrays of spikes to come, of whatever length; others may have variables of these names."""


class Kind(StrEnum):
    """Whose arrays they are, which decides what names are Brian's own."""

    NEURONS = "neurons"
    GENERATOR = "generator"
    """A group with a list of spikes to come."""
    SYNAPSES = "synapses"


class Role(StrEnum):
    """What an array of Brian2 is in a state."""

    PARAMETER = "parameter"
    VARIABLE = "variable"
    DYNAMICS = "dynamics"
    NOTHING = "nothing"
    """It follows from sizes and synapses."""


def role_of(name: str, kind: Kind, *, constant: bool, scalar: bool, length: int, size: int) -> Role:
    """Return what an array of a group or of synapses is in a state; delays, of pathways, are not asked for.

    Parameters
    ----------
    name : str
        As the group or the synapses have it.
    kind : Kind
        What has it.
    constant : bool
        Whether equations declare it so; a file that does not say has variables.
    scalar : bool
        Whether it is one value for all, which Brian keeps as an array of one.
    length, size : int
        Of the array, and how many neurons or synapses there are.

    Examples
    --------
    >>> role_of("v", Kind.NEURONS, constant=False, scalar=False, length=10, size=10)
    <Role.VARIABLE: 'variable'>
    >>> role_of("_spikespace", Kind.NEURONS, constant=False, scalar=False, length=11, size=10)
    <Role.DYNAMICS: 'dynamics'>
    """
    if name in _NO_STATE or (kind is Kind.SYNAPSES and name in _OF_SYNAPSES):
        return Role.NOTHING
    to_come = kind is Kind.GENERATOR and name in _OF_GENERATORS
    if name.startswith("_") or to_come or not (scalar or length == size):
        return Role.DYNAMICS
    return Role.PARAMETER if constant else Role.VARIABLE


def event_space(name: str) -> bool:
    """Whether an array has the neurons with an event in the last step; users' names begin otherwise.

    Examples
    --------
    >>> event_space("_spikespace"), event_space("free_space")
    (True, False)
    """
    return name.startswith("_") and name.endswith("space")


def rows_of(
    pre: NDArray[np.int32], post: NDArray[np.int32]
) -> tuple[Connectivity, NDArray[np.int32], NDArray[np.int32] | None]:
    """Put synapses of any order into rows.

    Parameters
    ----------
    pre, post : int array, shape (n_synapses,)
        Neurons of each synapse in Brian's order.

    Returns
    -------
    connectivity : Connectivity
        A row for each post-synaptic neuron that has any; within a row Brian's order is kept.
    order : int array, shape (n_synapses,)
        For each synapse in Brian's order its place in the rows.
    places : int array, shape (n_synapses,), or None
        The reverse: values in rows are ``own[places]``. None if they stand in rows already.
    """
    n = post.size
    if not n:
        nothing = np.zeros(0, np.int32)
        return Connectivity(nothing, np.zeros(1, np.int64), nothing), nothing, None
    if np.all(post[1:] >= post[:-1]):
        counts = np.bincount(post)
        places, order, pre_ranks = None, np.arange(n, dtype=np.int32), pre.astype(np.int32)
    else:
        from scipy.sparse import csr_array  # takes longer to import than most files to read

        # One entry per synapse, in columns of post neurons: scipy counts where others would sort.
        width = int(post.max()) + 1
        sparse = csr_array((np.zeros(n, np.int8), post, np.arange(n + 1)), shape=(n, width)).tocsc()
        counts = np.diff(sparse.indptr)
        places = sparse.indices.astype(np.int32, copy=False)
        order = np.empty(n, np.int32)
        order[places] = np.arange(n, dtype=np.int32)
        pre_ranks = pre[places]
    there = np.flatnonzero(counts)
    row_ptr = np.concatenate(([0], np.cumsum(counts[there]))).astype(np.int64)
    return Connectivity(there.astype(np.int32), row_ptr, pre_ranks), order, places


def steps_of(seconds: NDArray[np.floating[Any]], dt: float) -> NDArray[np.int32]:
    """Return delays in whole steps, rounded as Brian's queue of spikes rounds them.

    Examples
    --------
    >>> steps_of(np.array([0.0, 1e-4, 1.49e-4, 1.6e-4]), 1e-4).tolist()
    [0, 1, 1, 2]
    """
    return np.trunc(np.asarray(seconds) / dt + 0.5).astype(np.int32)


def queue_arrays(pathway: str, slots: Sequence[Sequence[int]]) -> dict[str, NDArray[Any]]:
    """Return the dynamics of one queue of spikes.

    Parameters
    ----------
    pathway : str
        Its name within the synapses: ``pre``, ``post``.
    slots : sequence of sequences of int
        For each step from now on, the synapses (in Brian's order) that a spike reaches then.

    Examples
    --------
    >>> {name: array.tolist() for name, array in queue_arrays("pre", [[], [4, 2], [0]]).items()}
    {'pre.queue': [4, 2, 0], 'pre.queue.sizes': [0, 2, 1]}
    """
    return {
        f"{pathway}.queue": np.fromiter(chain.from_iterable(slots), np.int32),
        f"{pathway}.queue.sizes": np.array([len(slot) for slot in slots], np.int32),
    }


def queue_slots(pathway: str, dynamics: Mapping[str, Array]) -> list[list[int]] | None:
    """Return what :func:`queue_arrays` was given; None if the queue is not among the dynamics."""
    if not {f"{pathway}.queue", f"{pathway}.queue.sizes"} <= dynamics.keys():
        return None
    flat = np.asarray(dynamics[f"{pathway}.queue"])
    bounds = np.concatenate(([0], np.cumsum(np.asarray(dynamics[f"{pathway}.queue.sizes"]))))
    return [flat[start:stop].tolist() for start, stop in pairwise(bounds.tolist())]


def invalid_queue(pathway: str, dynamics: Mapping[str, Array], n_synapses: int) -> str | None:
    """Say why these are not the arrays of a queue of spikes; None if they are, or are not there."""
    names = (f"{pathway}.queue", f"{pathway}.queue.sizes")
    found = [np.asarray(dynamics[name]) for name in names if name in dynamics]
    if not found:
        return None
    if len(found) == 1 or any(a.ndim != 1 or a.dtype.kind not in "iu" for a in found):
        return f"{pathway}.queue is not two flat arrays of integers"
    flat, sizes = found
    if not sizes.size or sizes.min() < 0 or sizes.sum(dtype=np.int64) != flat.size:
        return f"{pathway}.queue has {flat.size} spikes, and sizes that say otherwise"
    if flat.size and not 0 <= flat.min() <= flat.max() < n_synapses:
        return f"{pathway}.queue names synapses from {flat.min()} to {flat.max()}, of {n_synapses}"
    return None


def random_arrays(
    numpy_state: Sequence[Any], rand: NDArray[np.float64], randn: NDArray[np.float64]
) -> dict[str, NDArray[Any]]:
    """Return the dynamics of the random numbers of a process.

    Parameters
    ----------
    numpy_state : sequence
        What ``numpy.random.get_state()`` returns: name, words, position, stored normal or not, which.
    rand, randn : float64 array
        What compiled code has drawn and not used yet.
    """
    _, words, position, has_gauss, gauss = numpy_state
    return {
        TWISTER: np.append(np.asarray(words, np.uint32), np.uint32(position)),
        GAUSS: np.array([has_gauss, gauss if has_gauss else 0.0], np.float64),
        RAND: np.array(rand, np.float64),
        RANDN: np.array(randn, np.float64),
    }


def twister_state(dynamics: Mapping[str, Array]) -> tuple[str, NDArray[np.uint32], int, int, float]:
    """Return what ``numpy.random.set_state()`` takes."""
    words, (has_gauss, gauss) = np.array(dynamics[TWISTER]), np.asarray(dynamics[GAUSS]).tolist()
    return ("MT19937", words[:_WORDS], int(words[_WORDS]), int(has_gauss), gauss)


def invalid_random(dynamics: Mapping[str, Array]) -> str | None:
    """Say why these are no random numbers of a process; None if they are, or are not there."""
    found = {name: dynamics[name] for name in (TWISTER, GAUSS, RAND, RANDN) if name in dynamics}
    if not found:
        return None
    if len(found) < 4:
        return f"of the random numbers it has only {', '.join(found)}"
    words, gauss = found[TWISTER], found[GAUSS]
    if words.shape != (_WORDS + 1,) or words.dtype != np.uint32 or np.asarray(words)[_WORDS] > _WORDS:
        return f"{TWISTER} is not the state of a Mersenne twister"
    if gauss.shape != (2,) or gauss.dtype != np.float64 or np.asarray(gauss)[0] not in (0.0, 1.0):
        return f"{GAUSS} is not whether there is a number, and the number"
    for name in (RAND, RANDN):
        if len(found[name].shape) != 1 or found[name].dtype != np.float64 or found[name].shape[0] >= BUFFER:
            return f"{name} is not the rest of {BUFFER} numbers"
    return None
