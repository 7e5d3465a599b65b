"""Whether what a file says about hidden members would be safe in the generated C++.

That code looks nothing up twice: a rank beyond the population is a write beyond an array,
a period of 0 a division by zero. So every number that it uses as an index, a length or a
divisor is checked here before it is handed over.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ann_ckpt.errors import printable

__all__ = [
    "invalid_population",
    "invalid_projection",
]

Arrays = Mapping[str, NDArray[Any]]

_VARYING = re.compile(
    r"spiked|axonal|_delayed_\w+(\.sizes)?|_spike_history(\.sizes)?|spike_times|_schedule|_buffer|_mu|_sigma"
)
"""Members of populations whose lengths change while a network runs, or with its input."""
_RANKS = ("spiked", "axonal", "_delayed_spike")
_QUEUE = re.compile(r"_delayed_(?!spike$)\w+")
_QUEUE_SIZES = re.compile(r"_delayed_(?!spike\.)\w+\.sizes")
_WINDOWS = ("rates_history",)
"""Members of projections whose lengths the generated code takes for granted."""
_PERIODS = ("_update_period", "_pruning_period", "_creating_period")


def invalid_population(arrays: Arrays, present: Arrays, size: int) -> str | None:
    """Say what is wrong with the members of a population; None if nothing.

    Parameters
    ----------
    arrays : mapping of str to array
        What is to be set.
    present : mapping of str to array
        What the live population has.
    size : int
        Its neurons.
    """
    return next(_population(arrays, present, size), None)


def invalid_projection(arrays: Arrays, present: Arrays, row_sizes: NDArray[np.int64]) -> str | None:
    """Say what is wrong with the members of a projection; None if nothing.

    Parameters
    ----------
    arrays : mapping of str to array
        What is to be set, without what has a value per synapse.
    present : mapping of str to array
        What the live projection has.
    row_sizes : int64 array, shape (n_rows,)
        Synapses of each row.
    """
    return next(_projection(arrays, present, row_sizes), None)


def _population(arrays: Arrays, present: Arrays, size: int) -> Iterator[str]:
    for name, values in arrays.items():
        # Not all others have a value per neuron: refractory is empty where an equation gives the period.
        if not _VARYING.fullmatch(name) and values.shape != present[name].shape:
            yield f"{printable(name)} has the shape {values.shape}, not {present[name].shape}"
        if name in _RANKS and values.size and not 0 <= values.min() <= values.max() < size:
            ranks = f"ranks from {values.min()} to {values.max()}"
            yield f"{printable(name)} has {ranks} in a population of {size}"
        if _QUEUE.fullmatch(name) and values.ndim == 2 and values.shape[1] != size:
            yield f"{printable(name)} has values for {values.shape[1]} of {size} neurons"
        if _QUEUE_SIZES.fullmatch(name) and np.any(values != size):
            yield f"{printable(name)} does not have a value for each of {size} neurons"
    yield from _histories(arrays, size)
    yield from _schedule(arrays, size)


def _histories(arrays: Arrays, size: int) -> Iterator[str]:
    sizes = arrays.get("_spike_history.sizes")
    if sizes is None:
        return
    counting = int(arrays.get("_mean_fr_window", np.array(0))) > 0
    if sizes.shape != (size,) and (counting or sizes.size):
        yield f"_spike_history has the spikes of {sizes.size} of {size} neurons"


def _schedule(arrays: Arrays, size: int) -> Iterator[str]:
    if "_schedule" not in arrays or "_block" not in arrays:
        return
    blocks, now = arrays["_schedule"].size, int(arrays["_block"])
    if not 0 <= now < max(1, blocks):
        yield f"_block is {now} in a schedule of {blocks}"
    for name in ("_buffer", "_mu", "_sigma"):
        values = arrays.get(name)
        # Before they are given for the first time there are none.
        if values is not None and len(values) not in (0, blocks):
            yield f"{name} has {len(values)} entries for a schedule of {blocks}"
        if values is not None and values.ndim == 2 and values.size and values.shape[1] != size:
            yield f"{name} has values for {values.shape[1]} of {size} neurons"


def _projection(arrays: Arrays, present: Arrays, row_sizes: NDArray[np.int64]) -> Iterator[str]:
    for name, values in arrays.items():
        if name in _WINDOWS:
            if values.shape != present[name].shape:
                yield f"{name} has the shape {values.shape}, not {present[name].shape}"
            continue
        uneven = name.startswith("_delayed_spikes") or values.dtype == np.uint8
        # A value for each row, or a list of the same length for each.
        if values.shape and not uneven and values.shape[:1] != row_sizes.shape:
            yield f"{printable(name)} has the shape {values.shape} for {row_sizes.size} rows"
    if "window" in arrays and arrays["window"] != present["window"]:
        yield f"its window is {int(arrays['window'])} steps, in the network {int(present['window'])}"
    for name in _PERIODS:
        if name in arrays and int(arrays[name]) < 1:
            yield f"{name} is {int(arrays[name])}; the shortest period is 1 step"
    if "_delayed_spikes.sizes" in arrays:
        yield from _ring(arrays, row_sizes)


def _ring(arrays: Arrays, row_sizes: NDArray[np.int64]) -> Iterator[str]:
    """A ring of steps; in each, for each row, places of synapses in that row."""
    sizes, places = arrays["_delayed_spikes.sizes"], arrays["_delayed_spikes"]
    length, now = int(arrays["max_delay"]), int(arrays["idx_delay"])
    if length < 1 or sizes.shape != (length, row_sizes.size):
        yield f"_delayed_spikes has the shape {sizes.shape} for {length} steps of {row_sizes.size} rows"
        return
    if not 0 <= now < length:
        yield f"idx_delay is {now} in a ring of {length} steps"
    limits = np.repeat(np.tile(row_sizes, length), sizes.ravel())
    if np.any((places < 0) | (places >= limits)):
        yield "_delayed_spikes names synapses that are not there"
