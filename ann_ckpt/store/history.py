"""Pictures of a store: one attribute over its checkpoints, and what each save added."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ann_ckpt.errors import CheckpointError, NotFoundError, OptionError
from ann_ckpt.looking.choice import shown
from ann_ckpt.looking.pictures import LARGEST, Bars, Curve
from ann_ckpt.looking.sampling import BUDGET, Sample, quantiles, sample
from ann_ckpt.looking.svg import figure
from ann_ckpt.looking.values import histogram_of
from ann_ckpt.markup import card, table
from ann_ckpt.report import count, human_bytes
from ann_ckpt.store.summary import CheckpointInfo, added_bytes, open_inside

__all__ = ["AttributeHistory", "Checkpoints", "evenly", "history", "in_notebook", "series", "sizes"]

_AT = (0.05, 0.25, 0.5, 0.75, 0.95)
_MOST = 60
"""Checkpoints that a picture looks at, or bars that it has, at most."""
_LISTED = 40
"""Checkpoints that are listed where text stands for the list; the newest."""


class Checkpoints(list[CheckpointInfo]):
    """Summaries of the checkpoints of a store, oldest first, and how they are shown.

    Parameters
    ----------
    infos : sequence of CheckpointInfo
    path : str
        The store.
    """

    def __init__(self, infos: Sequence[CheckpointInfo], path: str) -> None:
        super().__init__(infos)
        self._path = path

    def __repr__(self) -> str:
        lines = [repr(info) for info in (self if len(self) <= _LISTED else self[-_LISTED:])]
        if len(self) > _LISTED:
            lines.insert(0, f"{len(self) - _LISTED:,} older")
        return "[" + ",\n ".join(lines) + "]"

    def _repr_html_(self) -> str:
        return in_notebook(self._path, self)


def evenly(infos: Sequence[CheckpointInfo], at_most: int) -> list[CheckpointInfo]:
    """Return some checkpoints, spread evenly, the first and the last among them."""
    readable = [info for info in infos if info.problem is None]
    if len(readable) <= at_most:
        return readable
    return [readable[i] for i in np.unique(np.linspace(0, len(readable) - 1, at_most).astype(int))]


@dataclass(frozen=True, slots=True, eq=False)
class AttributeHistory:
    """One attribute over the checkpoints of a store."""

    path: str
    label: str
    """The attribute with its unit."""
    infos: tuple[CheckpointInfo, ...]
    """The checkpoints that were looked at, oldest first."""
    of: int
    """Checkpoints that there are."""
    samples: tuple[Sample | None, ...]
    """What was read of each; None where a checkpoint has nothing there, or it could not be read."""
    unread: tuple[tuple[CheckpointInfo, CheckpointError], ...] = ()
    """Those that could not be read, and why."""

    def curve(self) -> Curve:
        """Return the median over time, with bands of quantiles."""
        nothing = np.full(len(_AT), np.nan)
        levels = np.array([nothing if s is None else quantiles(s.values, _AT) for s in self.samples])
        x, x_label = _places(self.infos)
        left_out = f"{len(self.infos)} of {self.of:,} checkpoints" if len(self.infos) < self.of else ""
        unread = f"{len(self.unread)} could not be read" if self.unread else ""
        partly = any(s is not None and not s.whole for s in self.samples)
        return Curve(
            title=self.path.partition("/")[2],
            x_label=x_label,
            y_label=self.label,
            note=", ".join(filter(None, (left_out, unread, "samples of the values" if partly else ""))),
            x=x,
            y=levels[:, 2],
            y_name="median",
            bands={"5 to 95 %": (levels[:, 0], levels[:, 4]), "25 to 75 %": (levels[:, 1], levels[:, 3])},
            marks=tuple((float(at), i.tag) for at, i in zip(x, self.infos, strict=True) if i.tag),
        )

    def frames(self) -> list[tuple[CheckpointInfo, Sample, Bars]]:
        """Return how the values are distributed in each checkpoint, all with the same axes."""
        known = [(info, s) for info, s in zip(self.infos, self.samples, strict=True) if s is not None]
        ends = np.array([e for _, s in known if s.values.size for e in (s.values.min(), s.values.max())])
        edges = histogram_of(Sample(ends, ends.size, ends.size), "", "").edges
        shares = [
            np.histogram(np.clip(s.values, -LARGEST, LARGEST), edges)[0] / max(1, s.values.size)
            for _, s in known
        ]
        top = float(np.max(shares, initial=0.0)) or 1.0
        return [
            (
                info,
                found,
                Bars(
                    title=f"{self.path.partition('/')[2]} at {_moment(info)}",
                    x_label=self.label,
                    y_label="share of the values",
                    note=found.note(),
                    edges=edges,
                    heights={"": share},
                    top=top,
                ),
            )
            for (info, found), share in zip(known, shares, strict=True)
        ]


def _moment(info: CheckpointInfo) -> str:
    if info.time_ms is not None:
        return f"{info.time_ms:.10g} ms"
    return info.name if info.time_step is None else f"step {info.time_step:,}"


def series(
    infos: Sequence[CheckpointInfo], path: str, *, at_most: int = _MOST, budget: int = BUDGET
) -> AttributeHistory:
    """Read an attribute of some checkpoints of a store.

    Parameters
    ----------
    infos : sequence of CheckpointInfo
        Oldest first.
    path : str
        ``projections/ff/w``.
    at_most : int
        How many checkpoints are looked at, spread evenly.
    budget : int
        Bytes of values that are read, of all checkpoints together.

    Raises
    ------
    NotFoundError
        If no checkpoint has an array there.
    OptionError
        If none can be read.
    """
    chosen = evenly(infos, at_most)
    label: str | None = None
    found: list[Sample | None] = []
    reason: CheckpointError | None = None
    unread: list[tuple[CheckpointInfo, CheckpointError]] = []
    for info in chosen:
        try:
            with open_inside(info.path) as checkpoint:
                picked = shown(checkpoint, path)
                found.append(sample(picked.values, budget // max(1, len(chosen))))
                label = picked.label
        except CheckpointError as error:
            reason = error
            found.append(None)
            if not isinstance(error, NotFoundError):
                unread.append((info, error))
    if label is None:
        if reason is not None:
            raise reason
        raise OptionError("the store has no checkpoint that can be read", where=path)
    return AttributeHistory(path, label, tuple(chosen), len(infos), tuple(found), tuple(unread))


def history(infos: Sequence[CheckpointInfo], path: str, *, budget: int = BUDGET) -> Curve:
    """Return the median of an array over the checkpoints of a store; as :func:`series`."""
    return series(infos, path, budget=budget).curve()


def _places(infos: Sequence[CheckpointInfo]) -> tuple[np.ndarray[tuple[int], np.dtype[np.float64]], str]:
    """Where the checkpoints stand: at their simulated time, else at their step, else at their number.

    Of a run that went back, times and steps do not rise, and their numbers do.
    """
    times = [info.time_ms for info in infos]
    steps = [info.time_step for info in infos]
    for known, label in ((times, "simulated time [ms]"), (steps, "time step")):
        there = [place for place in known if place is not None and math.isfinite(place)]
        if infos and len(there) == len(infos) and there == sorted(there):
            return np.array(there, np.float64), label
    return np.arange(len(infos), dtype=np.float64), "checkpoint"


def _number(name: str) -> str:
    """The name of a checkpoint without the zeros in front: ``000000001000``, ``000000000000-1``."""
    step, dash, more = name.partition("-")
    return f"{step.lstrip('0') or '0'}{dash}{more}"


def sizes(infos: Sequence[CheckpointInfo]) -> Bars:
    """Return what each save added to the disk, in MiB: values, and the file that describes them."""
    added = np.array(added_bytes(infos), np.float64)
    files = np.array([info.file_bytes for info in infos], np.float64)
    names = [_number(info.name) for info in infos]
    note = f"{count(len(infos), 'checkpoint')}, {added.sum() / 2**20:,.1f} MiB together"
    if len(infos) > _MOST:
        starts = np.arange(_MOST) * len(infos) // _MOST
        added, files = np.add.reduceat(added, starts), np.add.reduceat(files, starts)
        names = [names[i] for i in starts]
        note += f", each bar {len(infos) / _MOST:.0f} of them"
    return Bars(
        title="what each save added",
        x_label="checkpoint",
        y_label="added [MiB]",
        note=note,
        edges=np.arange(len(names) + 1, dtype=np.float64),
        heights={"values": (added - files) / 2**20, "checkpoint file": files / 2**20},
        names=tuple(names),
    )


_NEWEST = 12
"""Checkpoints that a notebook lists."""


def in_notebook(path: str, infos: Sequence[CheckpointInfo]) -> str:
    """Return a store as HTML: its newest checkpoints, and what each save added; no values are read."""
    added = added_bytes(infos)
    rows = [
        [
            info.name,
            "" if info.time_step is None else f"{info.time_step:,}",
            "" if info.time_ms is None else f"{info.time_ms:.10g}",
            info.created[:19].replace("T", " "),
            human_bytes(more),
            info.problem or info.tag or "",
        ]
        for info, more in [*zip(infos, added, strict=True)][-_NEWEST:]
    ]
    right = ["step", "ms", "added"]
    listing = table(["checkpoint", "step", "ms", "written", "added", "tag"], rows, right=right)
    left = len(infos) - len(rows)
    older = f'<div class="ac-note">and {left:,} older</div>' if left > 0 else ""
    title = f"store {path}: {count(len(infos), 'checkpoint')}, {human_bytes(sum(added))}"
    return card(title, listing, older, figure(sizes(infos)) if infos else "")
