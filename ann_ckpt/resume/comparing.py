"""Where two runs of one model differ, and by how much."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from ann_ckpt.model import Array, NetworkState, Recording, Series, blocks, differences
from ann_ckpt.model.arrays import bits, distances
from ann_ckpt.report import Note

__all__ = ["Unlike", "count_arrays", "unlike"]


class Unlike(NamedTuple):
    """What is not the same in two networks."""

    notes: tuple[Note, ...]
    """One for each array, and for each variable that monitors recorded."""
    first: str
    """Of what was recorded, what differs first; empty if nothing does."""


def unlike(a: NetworkState, b: NetworkState, *, ignored: Collection[str] = ()) -> Unlike:
    """Compare two networks bit for bit, with what their monitors recorded.

    Parameters
    ----------
    a, b : NetworkState
        Eager or lazy.
    ignored : collection of str
        Fields of the networks that are not looked at, such as ``seed``.
    """
    paths = differences(_compared(a, ignored), _compared(b, ignored))
    notes = [Note(path, _size(_found(a, path), _found(b, path))) for path in paths]
    recorded = list(_recorded(a, b))
    notes += [note for _, note in recorded]
    if not recorded:
        return Unlike(tuple(notes), "")
    moment, first = min(recorded, key=lambda found: found[0])
    return Unlike(tuple(notes), first.path if math.isinf(moment) else f"{first.path}, at step {moment:.10g}")


def _compared(state: NetworkState, ignored: Collection[str]) -> NetworkState:
    """Return a network without what is not looked at; recordings have a comparison that knows of steps."""
    fields: dict[str, Any] = {
        group: {name: replace(owner, resume=None) for name, owner in getattr(state, group).items()}
        for group in ("populations", "projections")
    }
    fields |= dict.fromkeys(("resume", *ignored)) | {"metadata": {}, "recordings": {}}
    return replace(state, **fields)


def count_arrays(state: NetworkState) -> int:
    """Return how many arrays are compared."""
    owners = (*state.populations.values(), *state.projections.values())
    recorded = (series for recording in state.recordings.values() for series in recording.values())
    return (
        sum(len(o.attributes) + len(o.dynamics) for o in owners)
        + sum(len(series.arrays) for series in recorded)
        + len(state.dynamics)
        + len(state.constants)
    )


def _recorded(a: NetworkState, b: NetworkState) -> Iterator[tuple[float, Note]]:
    """Yield what differs in recordings, and its step; infinity if there is none."""
    for name in {**a.recordings, **b.recordings}:
        path, sides = f"recordings/{name}", (a.recordings.get(name), b.recordings.get(name))
        if sides[0] is None or sides[1] is None:
            yield math.inf, Note(path, "not the same")
            continue
        for what in dict.fromkeys(_variable(path) for path in sides[0].differences(sides[1])):
            yield _first_record(sides[0], sides[1], path, what)


def _variable(path: str) -> str:
    """Return the variable of ``v/values``, or what else a recording has, such as ``settings``."""
    return path.rpartition("/")[0] or path


def _first_record(one: Recording, other: Recording, path: str, what: str) -> tuple[float, Note]:
    mine, theirs = one.series.get(what), other.series.get(what)
    if mine is None or theirs is None:
        return math.inf, Note(f"{path}/{what}", "not the same")
    number = _first_unlike(mine, theirs)
    counts = f"{len(mine)} and {len(theirs)} records, " if len(mine) != len(theirs) else ""
    moment, at = math.inf, f"number {number}"
    longer = mine if len(mine) > number else theirs
    if longer.times is not None and number < len(longer):
        moment = float(np.asarray(longer.times[number : number + 1])[0])
        at = f"of step {moment:.10g}" if longer.times.dtype.kind in "iu" else f"of {moment:.10g} s"
    sizes = ""
    if not counts and mine.values is not None and theirs.values is not None:
        sizes = f"; {_size(mine.values, theirs.values)}"
    return moment, Note(f"{path}/{what}", f"{counts}the first that differs is {at}{sizes}")


def _first_unlike(a: Series, b: Series) -> int:
    """Number of the first record that is not the same, or the length of the shorter series."""
    number = min(len(a), len(b))
    for name, mine in a.arrays:
        theirs = dict(b.arrays).get(name)
        if theirs is None or theirs.dtype != mine.dtype or theirs.shape[1:] != mine.shape[1:]:
            return 0
        x, y = (np.asarray(array[0:number]) for array in (mine, theirs))
        differ = np.flatnonzero(bits(x) != bits(y))
        if differ.size:
            number = int(differ[0]) // math.prod(x.shape[1:])
    return number


def _found(state: NetworkState, path: str) -> Array | None:
    """Return the array at a path of :func:`~ann_ckpt.differences`; None if there stands none."""
    first, _, rest = path.partition("/")
    if first in ("constants", "dynamics"):
        return getattr(state, first).get(rest)  # type: ignore[no-any-return]
    for name, owner in getattr(state, first).items() if first in ("populations", "projections") else ():
        # A name may hold slashes, so that the path is looked at from the name on.
        if rest.startswith(f"{name}/"):
            group, _, attribute = rest[len(name) + 1 :].partition("/")
            if group == "dynamics":
                return owner.dynamics.get(attribute)  # type: ignore[no-any-return]
            if attribute in owner and group in ("parameters", "variables"):
                return owner[attribute]  # type: ignore[no-any-return]
    return None


def _size(a: Array | None, b: Array | None) -> str:
    """Say how far two arrays are apart."""
    if a is None or b is None:
        return "not the same"
    if a.shape != b.shape or a.dtype != b.dtype:
        return f"{a.dtype} {a.shape} and {b.dtype} {b.shape}"
    count, largest, where = 0, -1.0, ""
    for (start, x), (_, y) in zip(blocks(a), blocks(b), strict=True):
        differ = np.flatnonzero(bits(x) != bits(y))
        if not differ.size:
            continue
        count += differ.size
        apart = distances(*(values.reshape(-1)[differ] for values in (x, y)))
        apart[np.isnan(apart)] = np.inf  # nothing is further apart than a number and none
        if apart.max() > largest:
            largest = float(apart.max())
            place = [int(i) for i in np.unravel_index(differ[apart.argmax()], x.shape)]
            if place:
                place[0] += start
            where = f" at {place}" if place else ""
    return f"{count} values differ, the largest difference is {largest:.3g}{where}"
