"""Pictures of how one attribute of a network changed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ann_ckpt.diffing.values import matched
from ann_ckpt.errors import OptionError, printable
from ann_ckpt.looking.choice import Network, Shown, shown
from ann_ckpt.looking.pictures import LARGEST, Bars, Floats, Grid, Points
from ann_ckpt.looking.sampling import BUDGET, Sample, floats, paired
from ann_ckpt.looking.values import histogram_of
from ann_ckpt.model import Connectivity, PopulationState

__all__ = ["Changes", "changes"]

_POINTS = 3000
"""Points that are told apart; more are counted in a grid."""
_CELLS = 60


@dataclass(frozen=True, slots=True, eq=False)
class Changes:
    """The values of one attribute in two networks, each beside that of the same neuron or synapse."""

    label: str
    """The attribute with its unit."""
    title: str
    before: Floats
    """Of what both networks have, shape ``(n,)``."""
    after: Floats
    """Of the same neurons or synapses, shape ``(n,)``."""
    removed: Floats
    """Values of synapses that only the first network has."""
    added: Floats
    """Values of synapses that only the second network has."""
    note: str
    """What a reader has to know: that it is a sample."""

    def scatter(self) -> Points | Grid:
        """Return values before and after: as points, or how many lie where."""
        both = np.isfinite(self.before) & np.isfinite(self.after)
        x, y = (np.clip(values[both], -LARGEST, LARGEST) for values in (self.before, self.after))
        x_label, y_label = f"before: {self.label}", f"after: {self.label}"
        if x.size <= _POINTS:
            return Points(title=self.title, note=self.note, x_label=x_label, y_label=y_label, x=x, y=y)
        low, high = float(min(x.min(), y.min())), float(max(x.max(), y.max()))
        if low == high:
            low, high = low - 0.5, high + 0.5
        counts = np.histogram2d(y, x, _CELLS, ((low, high), (low, high)))[0][::-1]
        with np.errstate(divide="ignore"):
            powers = np.where(counts > 0, np.log10(counts), np.nan)
        return Grid(
            title=self.title,
            note=self.note,
            values=powers,
            value_label="log10 of the number of values",
            extent=(low, high, high, low),
            equal=True,
            x_label=x_label,
            y_label=y_label,
        )

    def histogram(self) -> Bars:
        """Return how the changes are distributed."""
        both = np.isfinite(self.before) & np.isfinite(self.after)
        before, after = (np.clip(values[both], -LARGEST, LARGEST) for values in (self.before, self.after))
        finite = after - before
        found = Sample(finite, both.size, both.size)
        bars = histogram_of(found, f"change of {self.label}", self.title)
        notes = (self.note, bars.note, f"{np.count_nonzero(finite):,} of {finite.size:,} changed")
        return Bars(
            title=bars.title,
            x_label=bars.x_label,
            y_label=bars.y_label,
            note=", ".join(filter(None, notes)),
            edges=bars.edges,
            heights=bars.heights,
        )

    def turnover(self) -> Bars:
        """Return the values of synapses that stayed, came and went."""
        groups = {"kept": self.after, "added": self.added, "removed": self.removed}
        finite = {
            name: np.clip(values[np.isfinite(values)], -LARGEST, LARGEST) for name, values in groups.items()
        }
        every = np.concatenate([*finite.values()])
        edges = histogram_of(Sample(every, every.size, every.size), "", "").edges
        counts = [f"{values.size:,} {name}" for name, values in groups.items()]
        return Bars(
            title=self.title,
            x_label=self.label,
            y_label="number of synapses",
            note=", ".join(filter(None, (", ".join(counts), self.note))),
            edges=edges,
            heights={n: np.histogram(v, edges)[0].astype(np.float64) for n, v in finite.items()},
        )


def changes(a: Network, b: Network, path: str, *, budget: int = BUDGET) -> Changes:
    """Return the values of one attribute in two networks side by side; synapses are matched by (pre, post).

    Raises
    ------
    OptionError
        If values of neurons are not as many in both, or are not one per neuron or synapse.
    """
    one, other = shown(a, path), shown(b, path)
    title = path.partition("/")[2]
    if one.per_synapse and other.per_synapse:
        return _of_synapses(one, other, title, budget)
    if one.values.shape != other.values.shape:
        raise OptionError(
            f"{printable(path)!r} has another shape in each network",
            details={"found": f"{one.values.shape} and {other.values.shape}"},
        )
    before, after, note = paired(one.values, other.values, budget)
    nothing = np.empty(0)
    return Changes(other.label, title, before, after, nothing, nothing, note)


def _of_synapses(one: Shown, other: Shown, title: str, budget: int) -> Changes:
    a, b = (_connectivity(found) for found in (one, other))
    each = 2 * (4 + max(one.values.dtype.itemsize, other.values.dtype.itemsize))
    most = max(1, budget // each)
    before, after, added, removed, seen = [], [], [], [], 0
    for some in matched(a, b, at_most=most):
        old, new = floats(some.a.gather(one.values)), floats(some.b.gather(other.values))
        seen += new.size
        before.append(old[some.in_a])
        after.append(new[some.in_b])
        removed.append(np.delete(old, some.in_a))
        added.append(np.delete(new, some.in_b))
    note = "" if seen == b.n_synapses else f"a sample: {seen:,} of {b.n_synapses:,} synapses"
    return Changes(
        other.label, title, _joined(before), _joined(after), _joined(removed), _joined(added), note
    )


def _joined(parts: list[Floats]) -> Floats:
    return np.concatenate(parts) if parts else np.empty(0)


def _connectivity(found: Shown) -> Connectivity:
    assert not isinstance(found.owner, PopulationState)  # noqa: S101  it has one value per synapse
    owner = found.owner
    return Connectivity(owner.post_ranks[:], owner.row_ptr[:], owner.pre_ranks)
