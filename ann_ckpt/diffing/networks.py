"""Compares two networks (paths, checkpoints, states or live networks) object by object."""

from __future__ import annotations

import contextlib
import operator
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields
from typing import Any, TypeVar

import numpy as np

from ann_ckpt.adapters.live import live_reading
from ann_ckpt.adapters.protocol import Reading
from ann_ckpt.diffing.report import StateDiff, SynapseChange, ValueChange
from ann_ckpt.diffing.values import ChangeCounter, common_rows, compare_values, matched, same_values
from ann_ckpt.errors import printable
from ann_ckpt.lazy import Checkpoint
from ann_ckpt.model import (
    Array,
    Attribute,
    Connectivity,
    Locality,
    NetworkState,
    PopulationState,
    ProjectionState,
    Recording,
    Resume,
    TypeInfo,
)
from ann_ckpt.model.plain import same_plain
from ann_ckpt.report import Note
from ann_ckpt.selection import Selection, Which
from ann_ckpt.store.opening import stored_reading

__all__ = [
    "Differences",
    "compare_networks",
    "compare_projections",
    "diff",
]


T = TypeVar("T")
_FEW = 8
_PLAIN = (dict, list, bool, int, float)
"""What is in metadata, where 1 and true are two values, in Python one."""


class Differences:
    """Collects differences in the order in which they are found."""

    def __init__(self) -> None:
        self._described: list[Note] = []
        self._added: list[str] = []
        self._removed: list[str] = []
        self._changed: list[ValueChange] = []
        self._synapses: list[SynapseChange] = []
        self.units: dict[str, str] = {}
        """Units of arrays, by their paths, where both sides say the same."""

    def result(self, names: tuple[str, str], notes: tuple[Note, ...]) -> StateDiff:
        """Return the collected differences."""
        return StateDiff(
            *names,
            described=tuple(self._described),
            added=tuple(self._added),
            removed=tuple(self._removed),
            changed=tuple(self._changed),
            synapses=tuple(self._synapses),
            notes=notes,
        )

    def note(self, path: str, text: str) -> None:
        """Add a note that is not about a value."""
        self._described.append(Note(path, text))

    def rewired(self, change: SynapseChange) -> None:
        """Add the synapses that were added and removed."""
        self._synapses.append(change)

    def change(self, change: ValueChange | None) -> None:
        """Add a change of values, if there is one."""
        if change is not None:
            self._changed.append(change)

    def fields(self, path: str, a: object, b: object, names: tuple[str, ...]) -> None:
        """Compare the descriptive fields of two objects."""
        for name in names:
            one, other = getattr(a, name), getattr(b, name)
            if _differ(one, other):
                self.note(path, f"{name}{_words(one, other)}")

    def common(self, path: str, a: Mapping[str, T], b: Mapping[str, T]) -> Iterator[tuple[str, T, T]]:
        """Yield what both have, with its path; report what only one has."""
        for name in a:
            if name in b:
                yield f"{path}/{name}", a[name], b[name]
            else:
                self._removed.append(f"{path}/{name}")
        self._added += [f"{path}/{name}" for name in b if name not in a]

    def order(self, path: str, a: Iterable[str], b: Iterable[str]) -> None:
        """Report that what both have is in another order."""
        one, other = list(a), list(b)
        if [name for name in one if name in other] != [name for name in other if name in one]:
            self.note(path, "are in a different order")

    def arrays(self, path: str, a: Mapping[str, Array], b: Mapping[str, Array]) -> None:
        """Compare arrays by their names."""
        for place, one, other in self.common(path, a, b):
            self.change(compare_values(place, one, other))

    def attributes(
        self, path: str, a: PopulationState | ProjectionState, b: PopulationState | ProjectionState
    ) -> Iterator[tuple[str, Attribute, Attribute]]:
        """Yield the attributes that both have with equal locality; report the others."""
        for group, elsewhere in (("parameters", "variables"), ("variables", "parameters")):
            for name in getattr(a, group):
                if name in getattr(b, elsewhere):
                    self.note(f"{path}/{name}", f"moved from {group} to {elsewhere}")
        units, others = _units(a), _units(b)
        self.units |= {f"{path}/{name}": unit for name, unit in units.items() if unit == others.get(name)}
        for place, one, other in self.common(path, a.attributes, b.attributes):
            if one.locality == other.locality:
                yield place, one, other
            else:
                self.note(place, f"{one.locality} became {other.locality}, so values are not compared")


def _units(owner: PopulationState | ProjectionState) -> dict[str, str]:
    kind = owner.neuron_type if isinstance(owner, PopulationState) else owner.synapse_type
    return {} if kind is None else {name: info.unit for name, info in kind.attributes.items()}


def _words(one: object, other: object) -> str:
    """How two values differ: of those with names inside, which of these."""
    inside, others = _named(one), _named(other)
    if inside is None or others is None:
        return f" {printable(one, 60)} became {printable(other, 60)}"
    nothing, other_than = object(), _differ if isinstance(one, Mapping) else operator.ne
    differ = [n for n in {**inside, **others} if other_than(inside.get(n, nothing), others.get(n, nothing))]
    return f": other {', '.join(printable(name, 40) for name in differ[:_FEW])}" + ", ..." * (
        len(differ) > _FEW
    )


def _differ(one: object, other: object) -> bool:
    return one != other or (isinstance(one, _PLAIN) and not same_plain(one, other))


def _named(value: object) -> Mapping[str, object] | None:
    if isinstance(value, TypeInfo | Resume):
        return {field.name: getattr(value, field.name) for field in fields(value)}
    return value if isinstance(value, Mapping) else None


def compare_networks(
    a: NetworkState, b: NetworkState, *, names: tuple[str, str] = ("a", "b"), notes: tuple[Note, ...] = ()
) -> StateDiff:
    """Compare ``b`` with ``a``.

    Values are compared bit for bit; those of synapses are matched by (pre, post) where
    the synapses differ. Lazy arrays are read in blocks, and not at all where digests
    show that they are equal.

    Parameters
    ----------
    a, b : NetworkState
        Eager or lazy.
    names : tuple of two str
        What to call them.
    notes : tuple of Note
        What is not known about one of them.
    """
    found = Differences()
    found.fields("", a, b, ("time_step", "dt", "seed", "metadata", "resume", "reseeded"))
    for group in ("populations", "projections", "recordings"):
        found.order(group, getattr(a, group), getattr(b, group))
    found.arrays("constants", a.constants, b.constants)
    found.arrays("dynamics", a.dynamics, b.dynamics)
    for path, population, its_like in found.common("populations", a.populations, b.populations):
        _populations(found, path, population, its_like)
    for path, projection, another in found.common("projections", a.projections, b.projections):
        compare_projections(found, path, projection, another)
    # A live network shows none, nor does a file that was saved without.
    if bool(a.recordings) != bool(b.recordings):
        which = names[0] if a.recordings else names[1]
        said = f"only {printable(which, 200)} has what monitors recorded, and it is not compared"
        notes += (Note("recordings", said),)
    if a.recordings and b.recordings:
        for path, recording, longer in found.common("recordings", a.recordings, b.recordings):
            found.fields(path, recording, longer, ("of", "settings", "carried"))
            found.arrays(path, _given(recording, ("ranks",)), _given(longer, ("ranks",)))
            found.order(path, recording, longer)
            for place, one_series, other_series in found.common(path, recording, longer):
                found.arrays(place, dict(one_series.arrays), dict(other_series.arrays))
    return found.result(names, notes)


def _populations(found: Differences, path: str, a: PopulationState, b: PopulationState) -> None:
    found.fields(path, a, b, ("geometry", "part", "neuron_type", "resume"))
    found.arrays(f"{path}/dynamics", a.dynamics, b.dynamics)
    for place, one, other in found.attributes(path, a, b):
        found.change(compare_values(place, one.values, other.values, found.units.get(place, "")))


_RANKS = ("pre_view", "post_view", "order")

_Pair = tuple[str, Array, Array]
"""An array of each side, and the path that both have."""


def compare_projections(found: Differences, path: str, a: ProjectionState, b: ProjectionState) -> None:
    """Compare projection ``b`` with ``a``.

    Values of dendrites are matched by post rank, those of synapses by (pre, post),
    wherever the two projections do not have the same ones at the same places.
    """
    described = ("pre", "post", "target", "pre_size", "post_size", "synapse_type", "partial", "resume")
    found.fields(path, a, b, described)
    found.arrays(f"{path}/dynamics", a.dynamics, b.dynamics)
    found.arrays(path, _given(a, _RANKS), _given(b, _RANKS))
    of_rows: list[_Pair] = []
    of_synapses: list[_Pair] = _delays(found, path, a, b)
    for place, one, other in found.attributes(path, a, b):
        alike = one.values.shape[1:] == other.values.shape[1:]
        if alike and one.locality is Locality.LOCAL:
            of_synapses.append((place, one.values, other.values))
        elif alike and one.locality is Locality.SEMIGLOBAL:
            of_rows.append((place, one.values, other.values))
        else:
            found.change(compare_values(place, one.values, other.values, found.units.get(place, "")))
    if a.connectivity.equals(b.connectivity, same=same_values):
        for place, before, after in of_rows + of_synapses:
            found.change(compare_values(place, before, after, found.units.get(place, "")))
    else:
        _match_rows(found, a.connectivity, b.connectivity, of_rows)
        _match_synapses(found, path, a.connectivity, b.connectivity, of_synapses)


def _given(owner: ProjectionState | Recording, names: Iterable[str]) -> dict[str, Array]:
    """The arrays of some fields, as far as there are any."""
    given = {name: getattr(owner, name) for name in names}
    return {name: array for name, array in given.items() if array is not None}


def _delays(found: Differences, path: str, a: ProjectionState, b: ProjectionState) -> list[_Pair]:
    """Compare delays that are one value for all; return the others to be compared synapse by synapse."""
    given = []
    for projection in (a, b):
        delays = projection.delays
        steps: dict[str, Array] = {} if delays is None else {"delays": _array(delays)}
        pathways = {f"pathway_delays/{name}": array for name, array in projection.pathway_delays.items()}
        given.append(steps | pathways)
    pairs: list[_Pair] = []
    for place, one, other in found.common(path, *given):
        if one.dtype.kind == other.dtype.kind == "f":
            found.units[place] = "s"
        if not one.shape and not other.shape:
            found.change(compare_values(place, one, other, found.units.get(place, "")))
            continue
        if len(one.shape) != len(other.shape):
            kinds = ["one per synapse" if delays.shape else "one for all" for delays in (one, other)]
            found.note(place, " became ".join(kinds))
        pairs.append((place, _spread(one, other, a.connectivity), _spread(other, one, b.connectivity)))
    return pairs


def _array(delays: int | Array) -> Array:
    return np.asarray(delays) if isinstance(delays, int) else delays


def _spread(delays: Array, others: Array, connectivity: Connectivity) -> Array:
    if delays.shape:
        return delays
    same = delays.dtype.kind == others.dtype.kind  # steps have any type, and are none of seconds
    one = np.asarray(delays, others.dtype if same else None)
    return np.broadcast_to(one, (connectivity.n_synapses,))


def _match_rows(found: Differences, a: Connectivity, b: Connectivity, pairs: Iterable[_Pair]) -> None:
    in_a, in_b = common_rows(a, b)
    for place, before, after in pairs:
        change = ChangeCounter(place, before, after, found.units.get(place, ""))
        change.add(np.asarray(before)[in_a], np.asarray(after)[in_b])
        found.change(change.result())


def _match_synapses(
    found: Differences, path: str, a: Connectivity, b: Connectivity, pairs: list[_Pair]
) -> None:
    """Match synapses once, and take every attribute of the matched ones along."""
    changes = [ChangeCounter(*pair, found.units.get(pair[0], "")) for pair in pairs]
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


def diff(a: Any, b: Any, *, populations: Which = True, projections: Which = True) -> StateDiff:
    """Compare network ``b`` with ``a``: attributes, values, synapses, delays.

    Values are compared to the last bit. Synapses are matched by (pre, post), so that a
    weight is compared with the weight of the same synapse however rows have changed
    since. Files are read block by block, and not at all where digests show that both
    hold the same; two checkpoints of a store share most blocks.

    Parameters
    ----------
    a, b : path-like, Checkpoint, NetworkState or live network
        Paths as :func:`ann_ckpt.load` takes them: a file, an old file of ANNarchy's, a
        store, ``run.ckpt@1000``, ``run.ckpt@tag``.
    populations, projections : bool, str or list of str
        All, none, or names and globs.

    Returns
    -------
    StateDiff
        Prints well; ``same`` says whether there is any difference.

    Examples
    --------
    >>> report = ann_ckpt.diff("run.ckpt@1000", "run.ckpt")     # doctest: +SKIP
    >>> report.same, [change.path for change in report.changed]     # doctest: +SKIP
    (False, ['projections/ff/w'])
    """
    selection = Selection(populations, projections)
    with _read("a", a, selection) as (one, first), _read("b", b, selection) as (other, second):
        notes = (*_notes_of(first, one), *_notes_of(second, other))
        return compare_networks(one.state, other.state, names=(first, second), notes=notes)


@contextlib.contextmanager
def _read(name: str, source: Any, selection: Selection) -> Iterator[tuple[Reading, str]]:
    """Yield what a source holds, and what to call it."""
    if isinstance(source, str | os.PathLike):
        with stored_reading(source, selection) as reading:
            yield reading, os.fspath(source)
    else:
        reading, _ = live_reading(source, 0, selection)
        yield reading, source.path if isinstance(source, Checkpoint) else name


def _notes_of(name: str, reading: Reading) -> Iterator[Note]:
    """What is not known about one of the two, saying about which."""
    return (Note(note.path, f"{name}: {note.text}") for note in reading.notes)
