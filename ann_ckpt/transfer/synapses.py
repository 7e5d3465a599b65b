"""Plans the load of one projection: set its values, or rebuild its synapses first."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ann_ckpt.adapters.protocol import SetsPathwayDelays, SetsTogether
from ann_ckpt.errors import printable
from ann_ckpt.model import Array, Connectivity, Locality, NetworkState, ProjectionState, blocks
from ann_ckpt.model.arrays import known_identical, permutation_fault
from ann_ckpt.report import Note, count
from ann_ckpt.transfer.actions import (
    Action,
    Connect,
    SetAttributes,
    SetDelays,
    SetPathwayDelays,
    SetProjectionAttribute,
)
from ann_ckpt.transfer.fitting import LoadFindings, fitting_attributes, fitting_values, refused_values
from ann_ckpt.transfer.names import ends_at_synapses

__all__ = [
    "Refusal",
    "keep_ends",
    "plan_projection",
]

Refusal = Callable[[ProjectionState], str | None]
"""What :meth:`~ann_ckpt.adapters.protocol.Simulator.refusal` answers."""


def plan_projection(
    findings: LoadFindings,
    stored: ProjectionState,
    live: ProjectionState,
    *,
    refusal: Refusal,
    same_clock: bool,
    offers: object = None,
    rows: Sequence[int] | None = None,
) -> None:
    """Compare one projection and add actions and problems to ``findings``.

    Parameters
    ----------
    findings : LoadFindings
        Takes actions and reports.
    stored, live : ProjectionState
        The projection on both sides.
    refusal : callable
        The simulator's answer to synapses and delays that differ from its own.
    same_clock : bool
        Whether a step is as long in the file as in the network; if not, stored delays
        mean nothing here.
    offers : object
        The simulator, asked for what it may offer beyond the protocol.
    rows : sequence of int, optional
        Post-synaptic ranks of the only dendrites that are set; their synapses have to be the same.
    """
    path = f"projections/{stored.name}"
    if _ends_differ(findings, path, stored, live):
        return
    if rows is None and stored.partial:
        rows = stored.connectivity.post_ranks.tolist()
        findings.note(path, f"the file has {count(len(rows), 'dendrite')} of it; the others stay as they are")
    if rows is not None:
        _plan_rows(findings, path, stored, live, rows, offers)
        return
    shapes = {
        Locality.GLOBAL: (),
        Locality.SEMIGLOBAL: (stored.connectivity.n_rows,),
        Locality.LOCAL: (stored.connectivity.n_synapses,),
    }
    fits = fitting_attributes(findings, path, stored, live, shapes)
    if stored.delays is None and not (live.delays is None or _same_delays(1, live.delays)):
        findings.note(f"{path}/delays", "the file does not know the delays; the live ones stay")
    candidate = replace(
        stored,
        parameters={n: a for n, a in fits.items() if n in stored.parameters},
        variables={n: a for n, a in fits.items() if n in stored.variables},
        delays=stored.delays if same_clock else None,
        pathway_delays=_fitting_pathways(findings, path, stored, live, same_clock=same_clock),
        order=_usable_order(findings, path, stored, live),
    )
    values = {name: attribute.values for name, attribute in fits.items()}
    refused = refused_values(findings, path, candidate, values, offers)
    if stored.connectivity.equals(live.connectivity) and not _other_order(candidate, live):
        _plan_delays(findings, path, candidate, live, refusal, offers)
    elif refused or not _plan_rebuilding(findings, path, candidate, live, refusal):
        return
    else:
        values.pop("w", None)  # the call that rebuilds sets them
    if not refused:
        _set(findings, path, candidate, values, offers)


def _set(
    findings: LoadFindings, path: str, stored: ProjectionState, values: Mapping[str, Array], offers: object
) -> None:
    if values and isinstance(offers, SetsTogether):
        findings.do(SetAttributes(path, offers, stored, values))
        return
    for name, array in values.items():
        findings.do(SetProjectionAttribute(f"{path}/{name}", name, array, stored.name))


def _plan_rows(
    findings: LoadFindings,
    path: str,
    stored: ProjectionState,
    live: ProjectionState,
    ranks: Sequence[int],
    offers: object,
) -> None:
    """Set some dendrites; the values of all others are those that the network has."""
    here, there = stored.connectivity, live.connectivity
    rows = []
    for rank in ranks:
        ours, theirs = (np.flatnonzero(c.post_ranks == rank) for c in (here, there))
        if not (ours.size and theirs.size):
            side = "network" if ours.size else "file"
            findings.mismatch(path, f"the {side} has no dendrite of rank {printable(repr(rank), 40)}")
        elif not np.array_equal(here.row(int(ours[0])), there.row(int(theirs[0]))):
            findings.mismatch(path, f"dendrite {rank} has other synapses in the file than in the network")
        else:
            rows.append((int(ours[0]), int(theirs[0])))
    if len(rows) < len(ranks):
        return
    pieces = [
        (slice(*here.row_ptr[ours : ours + 2].tolist()), slice(*there.row_ptr[theirs : theirs + 2].tolist()))
        for ours, theirs in rows
    ]
    if _other_delays(findings, path, stored, live, pieces):
        return
    shapes = {
        Locality.GLOBAL: (),
        Locality.SEMIGLOBAL: (here.n_rows,),
        Locality.LOCAL: (here.n_synapses,),
    }
    values: dict[str, Array] = {}
    for name, attribute in fitting_attributes(findings, path, stored, live, shapes).items():
        if attribute.locality is Locality.GLOBAL:
            findings.note(f"{path}/{name}", "one value for all dendrites; it stays as it is")
            continue
        merged = np.array(live[name])
        for to, which in _places(attribute.locality, rows, pieces):
            merged[to] = attribute.values[which]
        values[name] = merged
    if not refused_values(findings, path, live, values, offers):
        _set(findings, path, live, values, offers)


def _places(
    locality: Locality, rows: Sequence[tuple[int, int]], pieces: Sequence[tuple[slice, slice]]
) -> Iterator[tuple[int | slice, int | slice]]:
    """Yield where in the network, and in the file, the values of each dendrite are."""
    for ours, theirs in pieces if locality is Locality.LOCAL else rows:
        yield theirs, ours


def _other_delays(
    findings: LoadFindings,
    path: str,
    stored: ProjectionState,
    live: ProjectionState,
    pieces: Sequence[tuple[slice, slice]],
) -> bool:
    """Report all delays, those of pathways too, that differ within some dendrites; whether any do."""
    both = {"delays": (stored.delays, live.delays)} | {
        f"pathway_delays/{name}": (delays, live.pathway_delays.get(name))
        for name, delays in stored.pathway_delays.items()
    }

    def within(delays: int | Array, piece: slice) -> NDArray[Any]:
        return np.asarray(delays if isinstance(delays, int) or not delays.shape else delays[piece])

    other = [
        name
        for name, (here, there) in both.items()
        if here is not None and there is not None
        if not all(np.all(within(here, ours) == within(there, theirs)) for ours, theirs in pieces)
    ]
    for name in other:
        findings.mismatch(f"{path}/{name}", "the dendrites have other delays in the file than in the network")
    return bool(other)


def _ends_differ(findings: LoadFindings, path: str, stored: ProjectionState, live: ProjectionState) -> bool:
    """Report every end at which the two are not the same projection; whether there was one."""
    before = len(findings.mismatched)
    for what in ("pre", "post", "target", "pre_size", "post_size"):
        here, there = getattr(stored, what), getattr(live, what)
        # Old files leave out what they do not know.
        if here != there and here not in (None, ""):
            findings.mismatch(path, f"{what} is {_shown(here)} in the file, {_shown(there)} in the network")
    for side in ("pre_view", "post_view"):
        here, there = getattr(stored, side), getattr(live, side)
        if here is not None and not (there is not None and np.array_equal(here, there)):
            findings.mismatch(path, f"{side} selects other neurons in the file than in the network")
        elif (
            here is None and there is not None and not _inside(stored.connectivity, side, set(there.tolist()))
        ):
            findings.mismatch(path, f"{side} of the network leaves out neurons that the file connects")
    return len(findings.mismatched) > before


def _shown(value: object) -> str:
    return repr(printable(value)) if isinstance(value, str) else str(value)


def _inside(synapses: Connectivity, side: str, view: set[int]) -> bool:
    """Whether all ranks on one side lie in a view; a file that knows no views names the whole."""
    if side == "post_view":
        return view.issuperset(synapses.post_ranks.tolist())
    return all(view.issuperset(np.unique(block).tolist()) for _, block in blocks(synapses.pre_ranks))


def _fitting_pathways(
    findings: LoadFindings, path: str, stored: ProjectionState, live: ProjectionState, *, same_clock: bool
) -> dict[str, Array]:
    """Return the stored delays of pathways that the network has too, in its types; report the others."""
    for name in live.pathway_delays.keys() - stored.pathway_delays.keys():
        findings.note(f"{path}/pathway_delays/{name}", "the file does not know these delays; they stay")
    found: dict[str, Array] = {}
    for name, delays in stored.pathway_delays.items():
        where = f"{path}/pathway_delays/{name}"
        if name not in live.pathway_delays:
            findings.not_in_network(where, "the network has no such pathway")
            continue
        dtype = live.pathway_delays[name].dtype
        here, there = ("seconds" if d.kind == "f" else "steps" for d in (delays.dtype, dtype))
        if here != there:
            findings.mismatch(where, f"{here} in the file, {there} in the network")
        elif here == "seconds" or same_clock:
            fit = fitting_values(findings, where, delays, dtype)
            found |= {} if fit is None else {name: fit}
    return found


def _usable_order(
    findings: LoadFindings, path: str, stored: ProjectionState, live: ProjectionState
) -> Array | None:
    """Return the stored order of synapses if the network has one too."""
    where = f"{path}/order"
    if stored.order is None or live.order is None:
        if stored.order is not None:
            findings.note(where, "the network does not keep synapses in an order of its own; not used")
        elif live.order is not None:
            findings.note(where, "the file does not know in which order the simulator had the synapses")
        return None
    known = known_identical(stored.order, live.order)
    fault = None if known else permutation_fault(stored.order, stored.connectivity.n_synapses)
    if fault is not None:
        findings.mismatch(where, f"not a permutation: {fault}")
        return None
    return stored.order


def _other_order(stored: ProjectionState, live: ProjectionState) -> bool:
    """Whether the simulator has the same synapses in another order."""
    if stored.order is None or live.order is None:
        return False
    return not _same_delays(stored.order, live.order)


def _plan_delays(
    findings: LoadFindings,
    path: str,
    stored: ProjectionState,
    live: ProjectionState,
    refusal: Refusal,
    offers: object,
) -> None:
    """Set delays that differ, on synapses that are the same."""
    actions: list[Action] = []
    if stored.delays is not None and not (
        live.delays is not None and _same_delays(stored.delays, live.delays)
    ):
        actions.append(SetDelays(f"{path}/delays", stored.name, stored.delays))
    pathways = {
        name: delays
        for name, delays in stored.pathway_delays.items()
        if not _same_delays(delays, live.pathway_delays[name])
    }
    if pathways and isinstance(offers, SetsPathwayDelays):
        actions.append(SetPathwayDelays(f"{path}/pathway_delays", offers, stored.name, pathways))
    elif pathways:
        names = ", ".join(printable(name) for name in pathways)
        findings.mismatch(f"{path}/pathway_delays", f"this simulator cannot set them: {names}")
    reason = refusal(stored) if actions else None
    for action in actions:
        if reason is None:
            findings.do(action)
        else:
            findings.mismatch(action.path, f"cannot be set: {reason}")


def _same_delays(stored: int | Array, live: int | Array) -> bool:
    if isinstance(stored, int) or isinstance(live, int):
        return isinstance(stored, int) and isinstance(live, int) and stored == live
    if not stored.shape or not live.shape:
        return stored.shape == live.shape and bool(np.asarray(stored) == np.asarray(live))
    if stored.shape != live.shape:
        return False
    return known_identical(stored, live) or all(
        np.array_equal(block, live[start : start + block.size]) for start, block in blocks(stored)
    )


def _plan_rebuilding(
    findings: LoadFindings, path: str, stored: ProjectionState, live: ProjectionState, refusal: Refusal
) -> bool:
    """Put the stored synapses in place of the live ones; whether that can be done."""
    here, there = stored.connectivity, live.connectivity
    counts = f"{here.n_synapses} synapses in {here.n_rows} dendrites"
    others = f"{there.n_synapses} in {there.n_rows}"
    reason = _outside(here, live) or refusal(stored)
    if reason is not None:
        findings.mismatch(path, f"{counts} in the file, {others} in the network; cannot be rebuilt: {reason}")
        return False
    findings.do(Connect(path, stored))
    same = here.equals(there)
    findings.rebuilt.append(
        Note(path, f"{counts}, in another order" if same else f"{counts}, in place of {others}")
    )
    for name, attribute in live.attributes.items():
        if name not in stored and attribute.locality is not Locality.GLOBAL:
            findings.note(f"{path}/{name}", "starts from its initial value, because the synapses are new")
    return True


def _outside(synapses: Connectivity, live: ProjectionState) -> str | None:
    """Say which ranks lie beyond the live populations, as far as their sizes are known."""
    posts, post_size, pre_size = synapses.post_ranks, live.post_size, live.pre_size
    if post_size is not None and posts.size and posts.max() >= post_size:
        return f"post rank {posts.max()} in a population of {post_size}"
    for _, block in blocks(synapses.pre_ranks) if pre_size is not None else ():
        if block.size and not 0 <= block.min() <= block.max() < pre_size:
            return f"pre ranks from {block.min()} to {block.max()} in a population of {pre_size}"
    return None


def keep_ends(findings: LoadFindings, live: NetworkState) -> None:
    """Rebuild no synapses by which a projection would end at synapses that there are not.

    A projection may end at another one. Each is planned for itself, and what becomes of both is known
    when all are: one may be refused, or not selected.
    """
    rebuilt = {a.projection.name: a.projection for a in findings.actions if isinstance(a, Connect)}
    ends = list(ends_at_synapses(live))

    def faults() -> Iterator[tuple[str, str, str]]:
        for name, side, end in ends:
            if name not in rebuilt and end not in rebuilt:
                continue
            here, there = (rebuilt.get(n, live.projections[n]).connectivity for n in (name, end))
            rank = _beyond(getattr(here, f"{side}_ranks"), there.n_synapses)
            if rank is not None:
                what = f"{printable(name)} would end at synapse {rank} of {printable(end)}"
                yield name, end, f"{what}, which would have {there.n_synapses}"

    while (fault := next(faults(), None)) is not None:
        *both, what = fault
        for name in sorted(rebuilt.keys() & both):
            del rebuilt[name]
            _withdraw(findings, f"projections/{name}")
            findings.mismatch(f"projections/{name}", f"cannot be rebuilt: {what}")


def _beyond(ranks: Array, size: int) -> int | None:
    """Return a rank that none of ``size`` has, if there is one."""
    for _, block in blocks(ranks):
        for rank in (block.min(initial=0), block.max(initial=-1)):
            if not 0 <= rank < size and block.size:
                return int(rank)
    return None


def _withdraw(findings: LoadFindings, path: str) -> None:
    """Take back what was planned for one object."""
    findings.actions = [a for a in findings.actions if a.path != path and not a.path.startswith(f"{path}/")]
    findings.rebuilt = [note for note in findings.rebuilt if note.path != path]
