"""Two projections side by side: their synapses first, then the values that belong to the same ones."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from ann_ckpt.diffing.findings import Findings
from ann_ckpt.diffing.report import SynapseChange
from ann_ckpt.diffing.synapses import common_rows, matched
from ann_ckpt.diffing.values import Change, compare_values, same_values
from ann_ckpt.model import Array, Connectivity, Locality, ProjectionState

__all__ = ["compare_projections"]

_Pair = tuple[str, Array, Array]
"""An array of each side, and the path that both have."""


def compare_projections(found: Findings, path: str, a: ProjectionState, b: ProjectionState) -> None:
    """Find how ``b`` differs from ``a``.

    Values of dendrites are matched by post rank, those of synapses by (pre, post),
    wherever the two projections do not have the same ones at the same places.
    """
    found.fields(path, a, b, ("pre", "post", "target", "pre_size", "post_size", "synapse_type", "resume"))
    found.arrays(f"{path}/dynamics", a.dynamics, b.dynamics)
    found.arrays(path, _views(a), _views(b))
    of_rows: list[_Pair] = []
    of_synapses: list[_Pair] = _delays(found, path, a, b)
    for place, one, other in found.attributes(path, a, b):
        if one.locality is Locality.LOCAL:
            of_synapses.append((place, one.values, other.values))
        elif one.locality is Locality.SEMIGLOBAL:
            of_rows.append((place, one.values, other.values))
        else:
            found.change(compare_values(place, one.values, other.values))
    if _same_synapses(a.connectivity, b.connectivity):
        for place, before, after in of_rows + of_synapses:
            found.change(compare_values(place, before, after))
    else:
        _match_rows(found, a.connectivity, b.connectivity, of_rows)
        _match_synapses(found, path, a.connectivity, b.connectivity, of_synapses)


def _views(projection: ProjectionState) -> dict[str, Array]:
    views = {"pre_view": projection.pre_view, "post_view": projection.post_view}
    return {name: view for name, view in views.items() if view is not None}


def _delays(found: Findings, path: str, a: ProjectionState, b: ProjectionState) -> list[_Pair]:
    """Compare delays that are one value for all; return the others to be compared synapse by synapse."""
    given = [{} if p.delays is None else {"delays": p.delays} for p in (a, b)]
    for place, one, other in found.common(path, *given):
        if isinstance(one, int) and isinstance(other, int):
            found.change(compare_values(place, np.asarray(one), np.asarray(other)))
            continue
        if isinstance(one, int) != isinstance(other, int):
            kinds = [
                "one for all" if isinstance(delays, int) else "one per synapse" for delays in (one, other)
            ]
            found.note(place, " became ".join(kinds))
        return [(place, _spread(one, a.connectivity), _spread(other, b.connectivity))]
    return []


def _spread(delays: int | Array, connectivity: Connectivity) -> Array:
    if isinstance(delays, int):
        return np.broadcast_to(np.asarray(delays, np.int32), (connectivity.n_synapses,))
    return delays


def _same_synapses(a: Connectivity, b: Connectivity) -> bool:
    """Whether both have the same synapses in the same order."""
    return (
        np.array_equal(a.post_ranks, b.post_ranks)
        and np.array_equal(a.row_ptr, b.row_ptr)
        and same_values(a.pre_ranks, b.pre_ranks)
    )


def _match_rows(found: Findings, a: Connectivity, b: Connectivity, pairs: Iterable[_Pair]) -> None:
    in_a, in_b = common_rows(a, b)
    for place, before, after in pairs:
        change = Change(place, before, after)
        change.add(np.asarray(before)[in_a], np.asarray(after)[in_b])
        found.change(change.result())


def _match_synapses(found: Findings, path: str, a: Connectivity, b: Connectivity, pairs: list[_Pair]) -> None:
    """Match synapses once, and take every attribute of the matched ones along."""
    changes = [Change(*pair) for pair in pairs]
    kept = added = removed = 0
    rows_a, rows_b = common_rows(a, b)
    moved = not np.array_equal(np.argsort(rows_a), np.argsort(rows_b))
    for some in matched(a, b):
        kept += some.in_a.size
        added += some.added
        removed += some.removed
        moved = moved or some.moved
        for change, (_, before, after) in zip(changes, pairs, strict=True):
            change.add(some.a.gather(before)[some.in_a], some.b.gather(after)[some.in_b])
    found.rewired(
        SynapseChange(path, kept, added, removed, b.n_rows - rows_b.size, a.n_rows - rows_a.size, moved)
    )
    for change in changes:
        found.change(change.result())
